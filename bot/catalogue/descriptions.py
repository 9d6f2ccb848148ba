"""Describe the values that an option takes, as phrases for refusals and help."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from bot.catalogue import sizes
from bot.catalogue.model import Model, Option, OptionKind
from bot.domain.request import Json
from bot.phrase import Phrase, phrase

_MOST_LISTED = 16


def _range(option: Option) -> Phrase | None:
    low, high = option.minimum, option.maximum
    if low is not None and high is not None:
        return phrase("range", low=low, high=high)
    if low is not None:
        return phrase("range_from", low=low)
    return phrase("range_to", high=high) if high is not None else None


def _integer(option: Option) -> Phrase:
    bounds = _range(option)
    return phrase("takes_integer", range=bounds) if bounds else phrase("takes_any_integer")


def _number(option: Option) -> Phrase:
    bounds = _range(option)
    return phrase("takes_number", range=bounds) if bounds else phrase("takes_any_number")


def _choices(option: Option) -> Phrase:
    if len(option.choices) <= _MOST_LISTED:
        return phrase("takes_choice", choices=option.choices)
    in_field = phrase("takes_listed_in_field", option=option.label)
    where = in_field if option.alias else phrase("takes_listed_in_options", option=option.label)
    return phrase("takes_choice_of_many", count=len(option.choices), some=option.choices[:6], where=where)


def _texts(option: Option) -> Phrase:
    most = option.max_items or 0
    if option.pattern_says:
        return phrase("takes_texts_like", most=most, pattern=option.pattern_says)
    return phrase("takes_texts", most=most)


def _loras(option: Option) -> Phrase:
    bounds, most = _range(option), option.max_items or 0
    return phrase("takes_loras", most=most, range=bounds) if bounds else phrase("takes_any_loras", most=most)


_TAKES: Final[Mapping[OptionKind, Callable[[Option], Phrase]]] = {
    OptionKind.TEXT: lambda option: phrase("takes_text", most=option.max_length or 0),
    OptionKind.INTEGER: _integer,
    OptionKind.NUMBER: _number,
    OptionKind.BOOLEAN: lambda option: phrase("takes_boolean"),
    OptionKind.CHOICE: _choices,
    OptionKind.SIZE: sizes.takes,
    OptionKind.TEXTS: _texts,
    OptionKind.PICTURE: lambda option: phrase("takes_picture"),
    OptionKind.PICTURES: lambda option: phrase("takes_pictures", most=option.max_items or 0),
    OptionKind.COLOURS: lambda option: phrase("takes_colours", most=option.max_items or 0),
    OptionKind.PALETTE: lambda option: phrase("takes_palette", choices=_choices(option), most=option.max_items or 0),
    OptionKind.LORAS: _loras,
    OptionKind.CONTROLNET: lambda option: phrase("takes_controlnet"),
    OptionKind.IP_ADAPTER: lambda option: phrase("takes_ip_adapter"),
}


def takes(option: Option) -> Phrase:
    """What the option takes, as a phrase that completes "It takes …"."""
    return _TAKES[option.kind](option)


def value_text(value: Json) -> str:
    """A value as a person would type it, and as `kinds` reads it; empty for one that can only be typed as JSON."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return number_text(value)
        case {"width": width, "height": height}:
            return f"{width}x{height}"
        case {"name": str(name), **rest} if not rest:
            return name
        case {"members": [*members], **rest} if not rest:
            return _listed([_member(member) for member in members])
        case [_, *_]:
            return _listed([_item(item) for item in value])
    return ""


def number_text(value: float) -> str:
    """A number as digits with at most one dot, exactly."""
    short = f"{value:g}"
    if isinstance(value, int):
        return str(value)
    return short if float(short) == value and "e" not in short else format(Decimal(repr(value)), "f")


def _listed(items: Sequence[str]) -> str:
    """Joined by commas; empty if one of them can't be typed, or holds what separates them."""
    return ",".join(items) if items and all(item and not re.search(r"[,\s]", item) for item in items) else ""


def _item(item: Json) -> str:
    match item:
        case str():
            return item
        case {"r": int(red), "g": int(green), "b": int(blue), **rest} if not rest:
            return f"#{red:02x}{green:02x}{blue:02x}"
        case {"path": str(path), **rest} if not rest:
            return path
        case {"path": str(path), "scale": int() | float() as scale, **rest} if not rest:
            return f"{path}@{number_text(scale)}"
    return ""


def _member(member: Json) -> str:
    match member:
        case {"rgb": rgb, "color_weight": int() | float() as weight}:
            return f"{_item(rgb)}:{number_text(weight)}"
        case {"rgb": rgb}:
            return _item(rgb)
    return ""


def choice_label(value: str) -> str:
    """A choice as autocomplete shows it: `vector_illustration/line_art` as `Vector illustration / Line art`."""
    parts = [part.lower() if part.isupper() else part for part in value.replace("_", " ").split("/")]
    return " / ".join(part[:1].upper() + part[1:] for part in parts)


def option_name(model: Model, option: Option) -> str:
    """The one name by which people know an option: its label, or fal's name where two options share the label."""
    shared = sum(other.label == option.label for other in model.offered) > 1
    return option.name if shared else option.label


def describe_option(option: Option) -> Phrase:
    """What the option takes and its default, e.g. `whole number from 1 to 50, default 28`."""
    whole = takes(option)
    brief = Phrase(f"{whole.code}.brief", whole.params)
    default = value_text(option.default)
    if not default.strip():
        return phrase("option_needed", takes=brief) if option.required else brief
    if len(default) > 40:
        default = default[:39] + "…"
    return phrase("option_default", takes=brief, default=default)
