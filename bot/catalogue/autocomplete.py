"""Autocomplete for sizes, styles and the `options` field. Discord's limits: 25 choices of 100 characters each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bot.catalogue import sizes
from bot.catalogue.descriptions import value_text
from bot.catalogue.kinds import parse_value
from bot.catalogue.model import Model, Option, OptionKind
from bot.catalogue.option_syntax import plain_key
from bot.catalogue.parse import candidates
from bot.errors import InvalidOption

Choice = tuple[str, str]
_MAX_CHOICES: Final = 25
_MAX_CHARACTERS: Final = 100
_KEYS = re.compile(r"(?:^|[\s,;])([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_TAIL = re.compile(r"[\s,;]*([^\s,;=]*)$")


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"


def _fitting(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """The choices whose value or label contains every typed word; values that start with the typed text first."""
    words = re.split(r"[\s_/-]+", typed.strip().lower())
    found = [(label, value) for label, value in choices if all(word in f"{label} {value}".lower() for word in words)]
    found.sort(key=lambda choice: not choice[1].lower().startswith(typed.strip().lower()))
    return [(_short(label), value) for label, value in found][:_MAX_CHOICES]


def _pretty(value: str) -> str:
    """A value as a label: `vector_illustration/line_art` as `Vector illustration / Line art`."""
    parts = [part.lower() if part.isupper() else part for part in value.replace("_", " ").split("/")]
    return " / ".join(part[:1].upper() + part[1:] for part in parts)


# ---------------------------------------------------------------------- sizes and styles


_SHAPES: Final = {
    "square_hd": "Square",
    "square": "Square, small",
    "portrait_4_3": "Portrait 3:4",
    "portrait_16_9": "Portrait 9:16",
    "landscape_4_3": "Landscape 4:3",
    "landscape_16_9": "Landscape 16:9",
}


def _size_label(option: Option, choice: str) -> str:
    pixels, ratio = sizes.pixels_of(option, choice), sizes.read_ratio(choice)
    name = _SHAPES.get(choice) or (choice if ratio else _pretty(choice))
    if pixels:
        shape = _SHAPES.get(choice) or _orientation(pixels[0] / pixels[1])
        return f"{shape} · {pixels[0]} × {pixels[1]}"
    return f"{name} · {_orientation(ratio).lower()}" if ratio else f"{name} · the model decides"


def _orientation(ratio: float) -> str:
    return "Square" if ratio == 1 else ("Landscape" if ratio > 1 else "Portrait")


def size_choices(model: Model, typed: str = "") -> list[Choice]:
    """(label, value) of sizes that match the typed text; a complete size that the model takes comes first."""
    option = model.option(model.size_option or "")
    if option is None:
        return []
    first = _typed_size(option, typed)
    listed = _fitting([(_size_label(option, choice), choice) for choice in option.choices], typed)
    return (first + [choice for choice in listed if choice not in first])[:_MAX_CHOICES]


def _typed_size(option: Option, typed: str) -> list[Choice]:
    try:
        value = parse_value(option, "size", typed)
    except InvalidOption:
        return []
    pixels = sizes.pixels_of(option, value)
    if isinstance(value, dict) and pixels:
        return [(f"{pixels[0]} × {pixels[1]}", f"{pixels[0]}x{pixels[1]}")]
    return [(_size_label(option, str(value)), str(value))]


def style_choices(model: Model, typed: str = "") -> list[Choice]:
    """(label, value) of the model's styles, from all options with the alias `style`."""
    styles = [choice for option in candidates(model, "style") for choice in option.choices]
    return _fitting([(_pretty(style), style) for style in styles], typed)


# ---------------------------------------------------------------------- the options field


def option_completions(model: Model, typed: str) -> list[Choice]:
    """Complete a key, or after `key=` a value; each choice is the whole field, with the earlier pairs.

    Choices of more than 100 characters are left out. Label and value are the same: Discord writes the label into the
    field, and people type on from there.
    """
    earlier, key, tail = _split(model, typed)
    if key is None:
        return _whole(earlier, _keys(model, typed, tail))
    option = next(iter(candidates(model, plain_key(key))), None)
    if option is None:
        return _whole(earlier, _keys(model, earlier, key))
    return _whole(f"{earlier}{key}=", _values(model, option, plain_key(key), tail))


#: A finished value, the separator after it, and the beginning of the next key.
_FINISHED = re.compile(r"(\"[^\"]*\"|[^\s,;\"'{\[]+)[\s,;]+([A-Za-z_.-]*)")
_LIST_KINDS: Final = frozenset(
    {OptionKind.TEXTS, OptionKind.PICTURES, OptionKind.COLOURS, OptionKind.PALETTE, OptionKind.LORAS}
)


def _split(model: Model, typed: str) -> tuple[str, str | None, str]:
    """Split into (finished pairs, the key whose value is being typed or None, the unfinished word)."""
    keys = list(_KEYS.finditer(typed))
    if not keys:
        return "", None, typed.strip()
    last = keys[-1]
    value = typed[last.end() :]
    finished = _FINISHED.fullmatch(value)
    takes_several = any(option.kind in _LIST_KINDS for option in candidates(model, plain_key(last[1])))
    if finished and not (takes_several and value.rstrip().endswith(",")):
        return f"{typed[: last.end()]}{finished[1]} ", None, finished[2]
    return typed[: last.start(1)], last[1], value


def _whole(earlier: str, endings: Iterable[str]) -> list[Choice]:
    full = dict.fromkeys(f"{earlier}{ending}" for ending in endings)
    return [(text, text) for text in full if len(text) <= _MAX_CHARACTERS][:_MAX_CHOICES]


#: With at most this many matching keys, `key=value` pairs are suggested too.
_FEW: Final = 3


def _keys(model: Model, earlier: str, word: str) -> list[str]:
    """Keys that are not given yet: those without a field in /imagine first, required ones before others.

    If at most `_FEW` keys match the typed word, complete pairs follow.
    """
    used = {option.name for found in _KEYS.finditer(earlier) for option in candidates(model, plain_key(found[1]))}
    free = [option for option in model.offered if option.name not in used | {"prompt"}]
    free.sort(key=lambda option: (option.alias is not None, not option.required))
    wanted = plain_key(word)
    fitting = [option for option in free if wanted in option.name or wanted in (option.alias or "")]
    fitting.sort(key=lambda option: not option.name.startswith(wanted))
    keys = [f"{option.name}=" for option in fitting]
    if not wanted or len(fitting) > _FEW:
        return keys
    return keys + [f"{option.name}={value}" for option in fitting for value in _values(model, option, option.name, "")]


def _values(model: Model, option: Option, key: str, typed: str) -> list[str]:
    if option.kind is OptionKind.SIZE:
        return [value for _, value in size_choices(model, typed)]
    if option.kind in {OptionKind.CHOICE, OptionKind.PALETTE}:
        every = [choice for found in candidates(model, key) for choice in found.choices]
        return [value for _, value in _fitting([(_pretty(value), value) for value in every], typed)]
    if option.kind is OptionKind.BOOLEAN:
        return [value for value in ("true", "false") if value.startswith(typed.strip().lower())]
    return _fitting_values(model, option, typed)


def _fitting_values(model: Model, option: Option, typed: str) -> list[str]:
    """The typed value if it is valid; else the default and, unless a `Rule` has the option, the ends of its range."""
    if not typed.strip() and option.kind is OptionKind.TEXT:
        return []
    try:
        parse_value(option, option.name, typed)
    except InvalidOption:
        if not value_text(option.default).strip():
            return []
        bound = any(option.name in rule.options for rule in model.rules)
        ends = () if bound else (option.minimum, option.maximum)
        return [value_text(one) for one in (option.default, *ends) if one is not None]
    return [typed]
