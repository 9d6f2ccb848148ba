"""The documentation of every setting, made from the models: config.example.toml and the README's table."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bot.settings.model import Settings
from bot.settings.schema import ALIASES, SettingPath, field_at, section_of, variable_name, without_none


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the documentation."""

    path: SettingPath
    description: str
    #: In TOML's notation; empty where there is none.
    default: str
    #: "one of …", "0 or more"; empty where anything of its type goes.
    allowed: str

    @property
    def sentence(self) -> str:
        """The description with what is allowed."""
        return f"{self.description.rstrip('.')} ({self.allowed})." if self.allowed else self.description

    @property
    def variable(self) -> str:
        """The environment variable people use."""
        usual = next((name for name, path in ALIASES.items() if path == self.path), None)
        return usual or variable_name(self.path)


def documented(section: type[BaseModel] = Settings, above: SettingPath = ()) -> Iterator[Setting]:
    """Every setting, in the order of the sections."""
    below = {name: section_of(field.annotation) for name, field in section.model_fields.items()}
    for name, field in section.model_fields.items():  # a TOML table's own keys must come before the tables below it
        if below[name] is None:
            path = (*above, name)
            yield Setting(
                path, field.description or "", _toml(field.get_default(call_default_factory=True)), _allowed(field)
            )
    for name, inner in below.items():
        if inner is not None:
            yield from documented(inner, (*above, name))


def _toml(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, tuple):
        return json.dumps(list(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    return (
        f"{value:g}" if isinstance(value, float) else str(value) if isinstance(value, int) else json.dumps(str(value))
    )


def _allowed(field: FieldInfo) -> str:
    plain = without_none(field.annotation)
    if typing.get_origin(plain) is Literal:
        return "one of " + ", ".join(typing.get_args(plain))
    bounds = []
    for rule in field.metadata:
        for name, words in (("gt", "above {}"), ("ge", "at least {}"), ("le", "at most {}"), ("lt", "below {}")):
            if (bound := getattr(rule, name, None)) is not None:
                bounds.append(words.format(bound))
    return ", ".join(bounds)


_EXAMPLE_HEAD = """\
# Easel's settings: all of them, with their defaults. Copy this file to config.toml and uncomment what you change.
# Every setting has an environment variable too, which wins: EASEL_ and the path with __ between its parts,
# e.g. EASEL_FAL__MAX_IN_FLIGHT=4. The three secrets are better kept in the environment or in .env:
# DISCORD_TOKEN, FAL_KEY, OPENAI_API_KEY. An empty value ("") counts as not set.
"""

_EXAMPLE_BY_ID = """\

# What you allow one server, more or less than the others; the key is the server's id. As many as you like.
# [limits.servers.123456789012345678]
# images_per_hour = 60
# burst_images = 20
# images_per_day = 120
# concurrent_jobs = 5
# guild_images_per_day = 1000
# guild_concurrent_jobs = 20
# usd_per_day = 20
# usd_per_month = 200

# A better tier for people with a role; the key is the role's id. As many as you like.
# [limits.tiers.123456789012345678]
# images_per_hour = 120
# burst_images = 20
# images_per_day = 400
# concurrent_jobs = 6
# weight = 2
# usd_per_day = 5
"""


def example_toml() -> str:
    """The text of config.example.toml (`make docs` writes it)."""
    blocks = [_EXAMPLE_HEAD]
    table: SettingPath = ()
    for setting in documented():
        if setting.path in _BY_ID:
            continue
        if setting.path[:-1] != table:
            table = setting.path[:-1]
            blocks.append(f"\n# {_section_summary(table)}\n[{'.'.join(table)}]\n")
        line = f"{setting.path[-1]} = {setting.default or _EMPTY}"
        blocks.append(f"\n# {setting.sentence}\n# {line}\n")
    return "".join(blocks) + _EXAMPLE_BY_ID


_EMPTY = '""'
#: Tables of which there may be many; the example shows one of each.
_BY_ID = (("limits", "servers"), ("limits", "tiers"))


def _section_summary(table: SettingPath) -> str:
    field = field_at(table)
    section = section_of(field.annotation) if field is not None else None
    if field is None or section is None:
        return ""
    return field.description or (section.__doc__ or "").strip().splitlines()[0]
