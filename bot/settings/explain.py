"""Sentences for what is wrong: which source holds a mistake, what is allowed there, and what was probably meant."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Protocol

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bot.redaction import UNSHOWN, name_shown, quoted
from bot.settings import flaws
from bot.settings.schema import SettingPath, all_paths, field_at, section_of, without_none


class LocatesValues(Protocol):
    """A source of settings, as far as a sentence needs it."""

    def where(self, path: SettingPath) -> str | None:
        """How people call the place of the value at `path`; None when it is not from here."""

    def similar(self, path: SettingPath) -> str:
        """A sentence on what may have been meant with `path`."""


_PHRASES: Mapping[str, str] = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "decimal_max_places": "a number with at most {decimal_places} digits after its point",
    "literal_error": "one of {expected}",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "path_type": "a path in quotes",
}


def explain(detail: ErrorDetails, sources: Sequence[LocatesValues]) -> str:
    """One validation error as a sentence; what was given is quoted only where it can be no secret."""
    path = tuple(str(part) for part in detail["loc"] if part != "[key]")  # a wrong key is named like its value
    source, location = next(
        ((source, location) for source in sources if (location := source.where(path)) is not None),
        (sources[0], name_shown(".".join(path))),
    )
    if detail["type"] == "extra_forbidden":
        return f"{location}: there is no such setting.{source.similar(path)}"
    if detail["type"] == flaws.FLAWED:
        return f"{location}: {detail['msg']}"
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        allowed = str(context.get("error", detail["msg"]))
    else:
        allowed = _PHRASES.get(detail["type"], detail["msg"]).format_map(
            {key: str(value) for key, value in context.items()}
        )
    return f"{location}: it can't be {_shown(path, detail)}. It takes {allowed}."


def _shown(path: SettingPath, detail: ErrorDetails) -> str:
    """What was given, where the setting is a number, a choice or a name; anything else may be or hold a secret."""
    value = detail["input"]
    if detail["loc"][-1] == "[key]":  # the name of a tier
        return quoted(value) if isinstance(value, str) else UNSHOWN
    field = field_at(path)
    annotation = without_none(field.annotation) if field is not None else None
    plain = annotation in (bool, int, float, Decimal) or typing.get_origin(annotation) is Literal
    return quoted(value) if plain and isinstance(value, str | int | float) else UNSHOWN


def did_you_mean(path: SettingPath, show: Callable[[SettingPath], str]) -> str:
    """A sentence, with a space before it, that names the closest known setting as `show` writes it."""
    paths = [known for known in all_paths() if section_of((field_at(known) or FieldInfo()).annotation) is None]
    same_name = [known for known in paths if known[-1] == path[-1]]
    by_text = {".".join(known): known for known in paths}
    close = [by_text[text] for text in difflib.get_close_matches(".".join(path), by_text, n=1, cutoff=0.5)]
    found = (close or same_name)[:1] if len(path) > 1 else (same_name or close)[:1]
    return f" Did you mean `{show(found[0])}`?" if found else " config.example.toml lists them all."
