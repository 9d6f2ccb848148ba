"""One parser for each kind of option: what a person gave → the value in the form fal takes, or InvalidOption.

Values may be given as text or as JSON values. Numbers are digits with at most one dot, written as people write them
(`figures`): no exponent, no `nan`.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bot import graphemes
from bot.catalogue import sizes, weights
from bot.catalogue.descriptions import choice_label, takes
from bot.catalogue.figures import MOST_CHARACTERS, figure
from bot.catalogue.folding import by_label, fold
from bot.catalogue.links import usable_link
from bot.catalogue.mentions import as_words
from bot.catalogue.model import Option, OptionKind
from bot.catalogue.prompt_checks import nothing_to_paint, unsendable
from bot.catalogue.rejections import close_matches, refuse, refuse_because, shown
from bot.domain.request import Json
from bot.errors import InvalidOption
from bot.phrase import Phrase, phrase

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")
#: An empty text that replaces a default.
_NOTHING = frozenset({'""', "''", "“”"})
_HEX_COLOUR = re.compile(r"#?([0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})")
_TRUE = frozenset({"true", "yes", "on", "1", "y"})
_FALSE = frozenset({"false", "no", "off", "0", "n"})


# ---------------------------------------------------------------------- plain kinds


def _bad(option: Option, name: str, given: object) -> InvalidOption:
    return refuse(name, given, takes(option))


def _within(option: Option, name: str, given: object, value: float) -> None:
    too_low = option.minimum is not None and value < option.minimum
    too_high = option.maximum is not None and value > option.maximum
    if too_low or too_high:
        raise _bad(option, name, given)


def parse_text(option: Option, name: str, given: object) -> Json:
    """Text without leading and trailing spaces; a required one must have visible words."""
    if not isinstance(given, str):
        raise _bad(option, name, given)
    typed = "" if given.strip() in _NOTHING and not option.required else given.strip()
    text = as_words(typed)
    length = graphemes.length(text)
    if option.max_length and length > option.max_length:
        why = phrase("option_too_long", option=shown(name), length=length, most=option.max_length)
        if length > len(text):
            why = phrase("option_too_long_emoji", option=shown(name), length=length, most=option.max_length)
        raise refuse_because(name, given, why)
    if unsendable(text):
        raise refuse(name, text, phrase("takes_plain_text"))
    nothing = nothing_to_paint(typed) if option.required else None
    if nothing:
        raise refuse_because(name, text, nothing)
    return text


def parse_integer(option: Option, name: str, given: object) -> Json:
    """A whole number within the option's range."""
    match given:
        case bool():
            raise _bad(option, name, given)
        case int():
            value = given
        case float() if math.isfinite(given) and given.is_integer():
            value = int(given)
        case str() if _INTEGER.fullmatch(digits := figure(option, given)):
            value = int(digits)
        case _:
            raise _bad(option, name, given)
    _within(option, name, given, value)
    return value


#: `7,5` is how most of the world writes it; `1,500` has three digits behind its comma.
_DECIMAL_COMMA = re.compile(r"^([+-]?\d{1,3}),(\d{1,2})$")


def parse_number(option: Option, name: str, given: object) -> Json:
    """A finite number within the option's range."""
    match given:
        case bool():
            raise _bad(option, name, given)
        case int() | float() if not isinstance(given, int) or abs(given) < 10**18:
            value = float(given)
        case str() if _NUMBER.fullmatch(number := _DECIMAL_COMMA.sub(r"\1.\2", figure(option, given))):
            value = float(number)
        case _:
            raise _bad(option, name, given)
    if not math.isfinite(value):
        raise _bad(option, name, given)
    _within(option, name, given, value)
    return value


def parse_boolean(option: Option, name: str, given: object) -> Json:
    """True or false, from `yes`/`no`, `on`/`off`, `1`/`0` and the like."""
    if isinstance(given, bool):
        return given
    word = fold(given[:MOST_CHARACTERS]) if isinstance(given, str) else None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _bad(option, name, given)


def _folded(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", fold(text))


def _labelled(option: Option, given: str) -> str | None:
    """The choice whose label was given back."""
    return by_label(given[:200], ((choice_label(choice), choice) for choice in option.choices))


#: Two names of one format.
_SAME_FORMAT: Final = (("jpg", "jpeg"), ("jpeg", "jpg"))


def parse_choice(option: Option, name: str, given: object) -> Json:
    """One of the choices, ignoring case, spaces and hyphens; the part after the last `/` suffices if it is unique."""
    if not isinstance(given, str):
        raise _bad(option, name, given)
    word = _folded(given[:200])
    word = next((other for one, other in _SAME_FORMAT if one == word and other in option.choices), word)
    same = [choice for choice in option.choices if _folded(choice) == word]
    last = [choice for choice in option.choices if _folded(choice).rpartition("/")[2] == word]
    found = same or last
    if len(found) == 1:
        return found[0]
    labelled = _labelled(option, given)
    if labelled is not None:
        return labelled
    if found:
        raise refuse(name, given, phrase("takes_choice_there", choices=tuple(found)))
    near = close_matches(given, option.choices) or _sharing_a_word(given, option.choices)
    if near and len(option.choices) > len(near):
        raise refuse(name, given, phrase("takes_did_you_mean", takes=takes(option), close=tuple(near)))
    raise _bad(option, name, given)


def _sharing_a_word(given: str, choices: Sequence[str]) -> list[str]:
    """Up to three choices with a word that is in the text, or similar to one."""
    typed = [word for word in _folded(given[:100]).split("_") if len(word) > 2]
    close = {word: difflib.get_close_matches(word, typed, 1, 0.75) for choice in choices for word in _words(choice)}
    sharing = [choice for choice in choices if any(close[word] for word in _words(choice))]
    return sharing[:3]


def _words(choice: str) -> list[str]:
    return [word for word in re.split(r"[_/]", _folded(choice)) if len(word) > 2]


# ---------------------------------------------------------------------- links and lists


def read_json(text: str) -> object:
    """Parse JSON from a person. Raises ValueError, also for NaN, repeated keys and too deep nesting."""

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(items)) != len(items):
            raise ValueError("a key is given twice")
        return dict(items)

    def constant(word: str) -> object:
        raise ValueError(word)

    try:
        value: object = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _maybe_json(option: Option, name: str, given: object) -> object:
    """Parse text that looks like a JSON list or object; return anything else unchanged."""
    if isinstance(given, str) and given.strip()[:1] in ("[", "{"):
        try:
            return read_json(given)
        except ValueError as error:
            raise _bad(option, name, given) from error
    return given


def _items(option: Option, name: str, given: object) -> list[object]:
    given = _maybe_json(option, name, given)
    match given:
        case str():
            parts: list[object] = [part for part in re.split(r"[,\s]+", given.strip()) if part]
        case Sequence() if not isinstance(given, bytes | bytearray):
            parts = list(given)
        case Mapping():
            parts = [given]
        case _:
            raise _bad(option, name, given)
    if not parts or (option.max_items and len(parts) > option.max_items):
        raise _bad(option, name, given)
    return parts


def parse_picture(option: Option, name: str, given: object) -> Json:
    """One https URL. `Attachment` values may also point to loopback."""
    link = usable_link(given.strip() if isinstance(given, str) else given, attachment=isinstance(given, Attachment))
    if link is None:
        raise _bad(option, name, given)
    return str(link)


def parse_pictures(option: Option, name: str, given: object) -> Json:
    """A list of picture URLs."""
    parts = [given] if isinstance(given, Attachment) else _items(option, name, given)
    return [parse_picture(option, name, part) for part in parts]


class Attachment(str):
    """A URL that came from Discord, not from what the person typed."""

    __slots__ = ()


def parse_texts(option: Option, name: str, given: object) -> Json:
    """A list of short texts that match the option's pattern."""
    values: list[Json] = []
    for part in _items(option, name, given):
        fits = isinstance(part, str) and graphemes.length(part) <= (option.max_length or 200) and not unsendable(part)
        if not fits or (option.pattern and not re.fullmatch(option.pattern, str(part))):
            raise _bad(option, name, part)
        values.append(str(part))
    return values


# ---------------------------------------------------------------------- colours


def _colour(given: object) -> dict[str, Json] | None:
    if isinstance(given, str) and (found := _HEX_COLOUR.fullmatch(given.strip())):
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        return {key: int(digits[at : at + 2], 16) for key, at in (("r", 0), ("g", 2), ("b", 4))}
    if isinstance(given, Mapping) and given and set(given) <= {"r", "g", "b"}:
        parts = {key: given.get(key, 0) for key in "rgb"}
        if all(type(part) is int and 0 <= part <= 255 for part in parts.values()):
            return parts
    return None


def parse_colours(option: Option, name: str, given: object) -> Json:
    """A list of RGB colours from `#rrggbb` or `{"r": …}`."""
    colours: list[Json] = []
    for part in _items(option, name, given):
        colour = _colour(part)
        if colour is None:
            raise _bad(option, name, part)
        colours.append(colour)
    return colours


def parse_palette(option: Option, name: str, given: object) -> Json:
    """A palette, either by name or by its colours with optional weights."""
    given = _maybe_json(option, name, given)
    if isinstance(given, Mapping):
        if set(given) == {"name"}:
            given = given["name"]
        elif set(given) == {"members"} and isinstance(given["members"], list):
            given = given["members"]
        else:
            raise _bad(option, name, given)
    named = (
        by_label(given[:200], ((choice_label(choice), choice) for choice in option.choices))
        if isinstance(given, str)
        else None
    )
    if named is not None:
        return {"name": named}
    return {"members": [_member(option, name, part) for part in _items(option, name, given)]}


def _member(option: Option, name: str, given: object) -> Json:
    colour: object = given
    weight: object = None
    if isinstance(given, str):
        colour, colon, text = given.partition(":")
        weight = text if colon else None
    elif isinstance(given, Mapping) and "rgb" in given and set(given) <= {"rgb", "color_weight"}:
        colour, weight = given["rgb"], given.get("color_weight")
    rgb = _colour(colour)
    if rgb is None:
        raise _bad(option, name, given)
    member: dict[str, Json] = {"rgb": rgb}
    if weight is not None:
        member["color_weight"] = parse_number(_scale(option), name, weight)
    return member


# ---------------------------------------------------------------------- weights


def _scale(option: Option) -> Option:
    """A number option for the weights inside `option`, with its bounds."""
    return Option("scale", OptionKind.NUMBER, "", minimum=option.minimum, maximum=option.maximum)


def parse_loras(option: Option, name: str, given: object) -> Json:
    """A list of LoRA weights, from `path@scale` and the forms that are common elsewhere (`weights.entries`)."""
    parts = weights.entries(_maybe_json(option, name, given), option.fields)
    if not parts:
        raise _bad(option, name, given)
    if option.max_items and len(parts) > option.max_items:
        why = phrase("lora_count", option=shown(name), count=len(parts), takes=takes(option))
        raise refuse_because(name, given, why)
    return [_lora_of(option, name, part, number, len(parts)) for number, part in enumerate(parts, 1)]


def _lora_of(option: Option, name: str, given: object, number: int, count: int) -> Json:
    """One of several entries; its refusal says which."""
    try:
        return _lora(option, name, given)
    except InvalidOption as error:
        why = error.phrase.params.get("why")
        if count == 1 or not isinstance(why, Phrase):
            raise
        raise refuse_because(name, given, phrase("lora_of_several", number=number, count=count, why=why)) from error


def _lora(option: Option, name: str, given: object) -> Json:
    if not isinstance(given, Mapping) or not set(given) <= set(option.fields):
        raise _bad(option, name, given)
    path = weights.read_path(name, given.get("path"))
    file = given.get("weight_name")
    if path is None:
        raise refuse_because(name, weights.typed(given), weights.flaw(name, given, takes(option)))
    if file is not None and not _is_file_name(file):
        raise _bad(option, name, weights.typed(given))
    lora: dict[str, Json] = {"path": path}
    if file is not None:
        lora["weight_name"] = str(file)
    if given.get("scale") is not None:
        lora["scale"] = _strength(option, name, path, given["scale"])
    return lora


def _strength(option: Option, name: str, path: str, given: object) -> Json:
    try:
        return parse_number(_scale(option), name, given)
    except InvalidOption as error:
        limits = takes(_scale(option))
        why = phrase("lora_strength", given=shown(given) or " ", lora=shown(path), takes=limits)
        raise refuse_because(name, given, why) from error


def _is_file_name(given: object) -> bool:
    return isinstance(given, str) and bool(re.fullmatch(r"[\w. /-]{1,200}", given)) and ".." not in given


#: Members of the nested values, each with its kind (`path`, `link`, `file`) or its bounds, and the required ones.
_SHARE = (0.0, 1.0)
_STRENGTH = (0.0, 2.0)
CONTROLNET_MEMBERS: Final[Mapping[str, str | tuple[float, float]]] = {
    "path": "path",
    "control_image_url": "link",
    "conditioning_scale": _STRENGTH,
    "start_percentage": _SHARE,
    "end_percentage": _SHARE,
}
CONTROLNET_REQUIRED: Final = ("path", "control_image_url")
IP_ADAPTER_MEMBERS: Final[Mapping[str, str | tuple[float, float]]] = {
    "path": "path",
    "subfolder": "file",
    "weight_name": "file",
    "image_encoder_path": "path",
    "image_encoder_subfolder": "file",
    "image_encoder_weight_name": "file",
    "image_url": "link",
    "mask_image_url": "link",
    "mask_threshold": _SHARE,
    "scale": _STRENGTH,
}
IP_ADAPTER_REQUIRED: Final = ("path", "image_encoder_path", "image_url", "scale")
#: The members of nested values that are picture URLs.
PICTURE_MEMBERS: Final[Mapping[OptionKind, tuple[str, ...]]] = {
    OptionKind.CONTROLNET: ("control_image_url",),
    OptionKind.IP_ADAPTER: ("image_url", "mask_image_url"),
}


def _nested(
    option: Option,
    name: str,
    given: object,
    members: Mapping[str, str | tuple[float, float]],
    required: Sequence[str],
) -> dict[str, Json]:
    given = _maybe_json(option, name, given)
    if not isinstance(given, Mapping) or not set(given) <= set(members):
        raise _bad(option, name, given)
    missing = [member for member in required if given.get(member) in (None, "")]
    if missing:
        needs = tuple(f"{name}.{member}" for member in missing)
        raise refuse_because(name, given, phrase("option_needs_members", option=name, needs=needs))
    known = {member: value for member, value in given.items() if value not in (None, "")}
    return {member: _member_value(f"{name}.{member}", members[member], value) for member, value in known.items()}


def _member_value(name: str, sort: str | tuple[float, float], given: object) -> Json:
    if isinstance(sort, tuple):
        return parse_number(Option(name, OptionKind.NUMBER, "", minimum=sort[0], maximum=sort[1]), name, given)
    if sort == "path":
        value, wanted = weights.read_path(name, given), phrase("takes_weights")
    elif sort == "link":
        value, wanted = usable_link(given), phrase("takes_picture_link")
    else:
        value, wanted = str(given) if _is_file_name(given) else None, phrase("takes_file_name")
    if value is None:
        raise refuse(name, given, wanted)
    return value


def parse_controlnet(option: Option, name: str, given: object) -> Json:
    """ControlNet weights with their control picture."""
    value = _nested(option, name, given, CONTROLNET_MEMBERS, CONTROLNET_REQUIRED)
    start, end = value.get("start_percentage", 0.0), value.get("end_percentage", 1.0)
    if isinstance(start, float) and isinstance(end, float) and start > end:
        raise refuse_because(name, given, phrase("option_start_above_end", option=name))
    return value


def parse_ip_adapter(option: Option, name: str, given: object) -> Json:
    """IP-Adapter weights with their reference picture."""
    return dict(_nested(option, name, given, IP_ADAPTER_MEMBERS, IP_ADAPTER_REQUIRED))


#: The parser of every kind.
PARSERS: Final[Mapping[OptionKind, Callable[[Option, str, object], Json]]] = {
    OptionKind.TEXT: parse_text,
    OptionKind.INTEGER: parse_integer,
    OptionKind.NUMBER: parse_number,
    OptionKind.BOOLEAN: parse_boolean,
    OptionKind.CHOICE: parse_choice,
    OptionKind.SIZE: sizes.parse_size,
    OptionKind.TEXTS: parse_texts,
    OptionKind.PICTURE: parse_picture,
    OptionKind.PICTURES: parse_pictures,
    OptionKind.COLOURS: parse_colours,
    OptionKind.PALETTE: parse_palette,
    OptionKind.LORAS: parse_loras,
    OptionKind.CONTROLNET: parse_controlnet,
    OptionKind.IP_ADAPTER: parse_ip_adapter,
}


def parse_value(option: Option, name: str, given: object) -> Json:
    """Parse a value into the form fal takes. Raises InvalidOption naming the option `name`, as the person called it."""
    return PARSERS[option.kind](option, name, given)
