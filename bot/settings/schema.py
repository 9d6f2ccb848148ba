"""Looking up settings by their path, e.g. `("fal", "max_in_flight")`, in the models of `bot.settings.model`."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bot.settings.model import Section, Settings

SettingPath = tuple[str, ...]

#: Usual names of the secrets and the proxies, beside their EASEL_ ones.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "DISCORD_TOKEN": ("discord", "token"),
    "FAL_KEY": ("fal", "key"),
    "OPENAI_API_KEY": ("fal", "openai_api_key"),
    "HTTPS_PROXY": ("proxy", "https"),
    "HTTP_PROXY": ("proxy", "http"),
    "ALL_PROXY": ("proxy", "all"),
    "NO_PROXY": ("proxy", "bypass"),
}


def variable_name(path: Sequence[str]) -> str:
    """The environment variable of a setting: `("fal", "key")` is `EASEL_FAL__KEY`."""
    return "EASEL_" + "__".join(path).upper()


def without_none(annotation: Any) -> Any:
    """The annotation without `| None`; of several kinds of value the first, which says what it mostly is."""
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section class that a field holds; None for a plain value."""
    plain = without_none(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, Section) else None


def _value_type(annotation: Any) -> Any:
    return typing.get_args(without_none(annotation))[1]


def field_at(path: Sequence[str]) -> FieldInfo | None:
    """The setting a path names, or None."""
    section: type[BaseModel] | None = Settings
    field: FieldInfo | None = None
    rest = list(path)
    while rest:
        part = rest.pop(0)
        if section is not None:
            field = section.model_fields.get(part)
            if field is None:
                return None
        elif field is not None and typing.get_origin(without_none(field.annotation)) is dict:
            field = FieldInfo(annotation=_value_type(field.annotation))
        else:
            return None
        section = section_of(field.annotation)
    return field


def all_paths(section: type[BaseModel] = Settings, above: SettingPath = ()) -> Iterator[SettingPath]:
    """The path of every section and setting, depth first."""
    for name, field in section.model_fields.items():
        below = section_of(field.annotation)
        yield (*above, name)
        if below is not None:
            yield from all_paths(below, (*above, name))
