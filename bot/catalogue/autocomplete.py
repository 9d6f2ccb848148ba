"""Autocomplete for sizes, styles and the `options` field. Discord takes 25 choices of 100 characters."""

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
_MOST: Final = 25
_MOST_CHARACTERS: Final = 100
_KEYS = re.compile(r"(?:^|[\s,;])([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_TAIL = re.compile(r"[\s,;]*([^\s,;=]*)$")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _fitting(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """Those whose value or label holds every typed word; values that start with it first."""
    words = re.split(r"[\s_/-]+", typed.strip().lower())
    found = [(label, value) for label, value in choices if all(word in f"{label} {value}".lower() for word in words)]
    found.sort(key=lambda choice: not choice[1].lower().startswith(typed.strip().lower()))
    return [(_short(label), value) for label, value in found][:_MOST]


def _pretty(value: str) -> str:
    """`vector_illustration/line_art` as people read it."""
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
    """(label for people, value) of sizes; a size typed out comes first when the model takes it."""
    option = model.option(model.size_option or "")
    if option is None:
        return []
    first = _typed_size(option, typed)
    listed = _fitting([(_size_label(option, choice), choice) for choice in option.choices], typed)
    return (first + [choice for choice in listed if choice not in first])[:_MOST]


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
    """(label for people, value) of every style the model has, whichever option carries it."""
    styles = [choice for option in candidates(model, "style") for choice in option.choices]
    return _fitting([(_pretty(style), style) for style in styles], typed)


# ---------------------------------------------------------------------- the options field


def option_completions(model: Model, typed: str) -> list[Choice]:
    """Keys first, after `key=` values; earlier pairs are kept. Empty where the whole would pass 100 characters.

    Label and value are the same: Discord writes the label into the field, and people type on from there.
    """
    earlier, key, tail = _split(model, typed)
    if key is None:
        return _whole(earlier, _keys(model, typed, tail))
    option = next(iter(candidates(model, plain_key(key))), None)
    if option is None:
        return _whole(earlier, _keys(model, earlier, key))
    return _whole(f"{earlier}{key}=", _values(model, option, plain_key(key), tail))


#: A value that is over, the separator after it, and the beginning of the next key.
_FINISHED = re.compile(r"(\"[^\"]*\"|[^\s,;\"'{\[]+)[\s,;]+([A-Za-z_.-]*)")
_SEVERAL: Final = frozenset(
    {OptionKind.TEXTS, OptionKind.PICTURES, OptionKind.COLOURS, OptionKind.PALETTE, OptionKind.LORAS}
)


def _split(model: Model, typed: str) -> tuple[str, str | None, str]:
    """(what is settled, the key whose value is being typed or None, the unfinished word)."""
    keys = list(_KEYS.finditer(typed))
    if not keys:
        return "", None, typed.strip()
    last = keys[-1]
    value = typed[last.end() :]
    finished = _FINISHED.fullmatch(value)
    takes_several = any(option.kind in _SEVERAL for option in candidates(model, plain_key(last[1])))
    if finished and not (takes_several and value.rstrip().endswith(",")):
        return f"{typed[: last.end()]}{finished[1]} ", None, finished[2]
    return typed[: last.start(1)], last[1], value


def _whole(earlier: str, endings: Iterable[str]) -> list[Choice]:
    full = dict.fromkeys(f"{earlier}{ending}" for ending in endings)
    return [(text, text) for text in full if len(text) <= _MOST_CHARACTERS][:_MOST]


#: So many keys are few enough to show their values beside them.
_FEW: Final = 3


def _keys(model: Model, earlier: str, word: str) -> list[str]:
    """Keys not given yet: those without a field of their own in /imagine first, required ones before others.

    Where what was typed leaves few, whole pairs follow.
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
    """What was typed when it is fine, else the default and, where no other option minds, the ends of the range."""
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
