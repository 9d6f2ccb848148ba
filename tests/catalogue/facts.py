"""The parameters that fal documents for the 18 endpoints, and a validator of request bodies that uses nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings

from bot.catalogue import OptionKind

Facts = dict[str, Any]

_FILE: Facts = json.loads((Path(__file__).parent / "fal_parameters.json").read_text(encoding="utf-8"))
NESTED: Facts = _FILE["_nested"]
FACTS: Mapping[str, Facts] = {name: facts for name, facts in _FILE.items() if not name.startswith("_")}
#: Parameters that fal_parameters.json lacks, because only newer versions of fal's documentation have them.
BEYOND = {
    "fal-ai/flux-1/schnell": {"guidance_scale": "float"},
    "fal-ai/z-image/turbo": {"enable_prompt_expansion": "boolean"},
    "fal-ai/qwen-image": {"use_turbo": "boolean"},
}
#: fal's documentation itself, if a copy is next to the checkout.
DOCUMENTS = Path(__file__).parents[3] / "shared"

#: The same examples on every run, and no deadline, which a busy machine would miss.
QUICK = settings(max_examples=400, derandomize=True, deadline=None, database=None)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_link(value: object) -> bool:
    return isinstance(value, str) and re.match(r"(https://[^/\s]+\.|http://127\.0\.0\.1)", value) is not None


def _is_size(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return set(value) == {"width", "height"} and all(_is_integer(side) and 0 < side <= 14142 for side in value.values())


def _is_colour(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"r", "g", "b"}
        and all(_is_integer(part) and 0 <= part <= 255 for part in value.values())
    )


def _is_palette(value: Any) -> bool:
    match value:
        case {"name": name} if len(value) == 1:
            return name in NESTED["palette_names"]
        case {"members": [_, *_] as members} if len(value) == 1:
            return all(
                set(member) <= {"rgb", "color_weight"}
                and _is_colour(member["rgb"])
                and _is_number(member.get("color_weight", 0.5))
                for member in members
            )
    return False


def _is_lora(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("path"), str)
        and set(value) <= {"path", "weight_name", "scale"}
        and _is_number(value.get("scale", 1))
    )


def _is_nested(name: str) -> Callable[[object], bool]:
    members: dict[str, str] = NESTED[name]
    required = {member for member, said in members.items() if said.partition(" ")[0].endswith("*")}

    def fits(value: object) -> bool:
        if not isinstance(value, dict) or not required <= set(value) <= set(members):
            return False
        return all(
            isinstance(value[member], str) if members[member].startswith("string") else _is_number(value[member])
            for member in value
        )

    return fits


def _is_list_of(fits: Callable[[Any], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


@dataclass(frozen=True, slots=True)
class FalType:
    """One of the types in fal's documentation."""

    #: The kinds of options that describe such a parameter.
    kinds: frozenset[OptionKind]
    #: Whether a value in a request body is of this type.
    fits: Callable[[Any], bool]

    @classmethod
    def of(cls, *kinds: OptionKind, fits: Callable[[Any], bool]) -> FalType:
        return cls(frozenset(kinds), fits)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


#: By fal's own name for the type, as in fal_parameters.json.
TYPES: Mapping[str, FalType] = {
    "string": FalType.of(OptionKind.TEXT, fits=_is_text),
    "integer": FalType.of(OptionKind.INTEGER, fits=_is_integer),
    "float": FalType.of(OptionKind.NUMBER, fits=_is_number),
    "boolean": FalType.of(OptionKind.BOOLEAN, fits=lambda value: isinstance(value, bool)),
    "enum": FalType.of(OptionKind.CHOICE, OptionKind.SIZE, fits=_is_text),
    "ImageSize|enum": FalType.of(OptionKind.SIZE, fits=lambda value: _is_text(value) or _is_size(value)),
    "image_url": FalType.of(OptionKind.PICTURE, fits=_is_link),
    "list<image_url>": FalType.of(OptionKind.PICTURES, fits=_is_list_of(_is_link)),
    "list<string>": FalType.of(OptionKind.TEXTS, fits=_is_list_of(_is_text)),
    "list<RGBColor>": FalType.of(OptionKind.COLOURS, fits=_is_list_of(_is_colour)),
    "ColorPalette": FalType.of(OptionKind.PALETTE, fits=_is_palette),
    "list<LoraWeight>": FalType.of(OptionKind.LORAS, fits=_is_list_of(_is_lora)),
    "ControlNet": FalType.of(OptionKind.CONTROLNET, fits=_is_nested("ControlNet")),
    "IPAdapter": FalType.of(OptionKind.IP_ADAPTER, fits=_is_nested("IPAdapter")),
}


def _fault(fact: Facts, value: Any) -> str | None:
    if not TYPES[fact["type"]].fits(value):
        return f"is no {fact['type']}"
    if isinstance(value, str) and "enum" in fact and value not in fact["enum"]:
        return "is not in the enum"
    if _is_number(value) and not fact.get("min", value) <= value <= fact.get("max", value):
        return "is out of range"
    if isinstance(value, dict) and "side_px" in fact:
        low, high = fact["side_px"]
        if not all(low <= side <= high for side in value.values()):
            return "is out of the size range"
    if isinstance(value, list) and len(value) > fact.get("max_items", len(value)):
        return "has too many items"
    return None


def faults(endpoint: str, body: Mapping[str, Any]) -> list[str]:
    """Everything in a request body that fal's documentation does not allow, one sentence each."""
    parameters: Facts = FACTS[endpoint]["parameters"]
    beyond = {name: {"type": sort} for name, sort in BEYOND.get(endpoint, {}).items()}
    found = [f"{name} is missing" for name, fact in parameters.items() if fact["required"] and name not in body]
    for name, value in body.items():
        fact = parameters.get(name) or beyond.get(name)
        fault = "is unknown" if fact is None else _fault(fact, value)
        found += [f"{name} {fault}: {value!r}"] if fault else []
    json.dumps(body, allow_nan=False).encode()
    return found
