"""fal's own validation: arguments against a model's documented options, answered the pydantic way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bot.catalogue.model import Model, Option, OptionKind
from bot.domain.request import Json
from sandbox.fal.jobs import error_detail

Detail = dict[str, Json]
Loc = tuple[str | int, ...]

#: Pixel sizes of fal's presets, (width, height).
PRESETS: Mapping[str, tuple[int, int]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_LARGEST_SIDE_PX = 14142


def problems(model: Model, arguments: Mapping[str, Json]) -> list[Detail]:
    """Everything fal would refuse, in the order of the model's options; empty when it is fine."""
    found: list[Detail] = []
    for option in model.options:
        value = arguments.get(option.name)
        if option.name not in arguments or (value is None and not option.required):
            if option.required:
                found.append(error_detail([option.name], "Field required", "missing", dict(arguments)))
            continue
        found += _CHECKS[option.kind](option, (option.name,), value)
    return found


def unknown(model: Model, arguments: Mapping[str, Json]) -> tuple[str, ...]:
    """Names the model does not document; fal ignores them, a test should not."""
    return tuple(name for name in arguments if model.option(name) is None)


def _text(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if not isinstance(value, str):
        yield error_detail(loc, "Input should be a valid string", "string_type", value)


def _bounds(option: Option, loc: Loc, value: float) -> Iterator[Detail]:
    if option.minimum is not None and value < option.minimum:
        low = _plain(option.minimum)
        yield error_detail(
            loc, f"Input should be greater than or equal to {low}", "greater_than_equal", value, {"ge": low}
        )
    if option.maximum is not None and value > option.maximum:
        high = _plain(option.maximum)
        yield error_detail(loc, f"Input should be less than or equal to {high}", "less_than_equal", value, {"le": high})


def _integer(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if isinstance(value, str):
        yield error_detail(
            loc, "Input should be a valid integer, unable to parse string as an integer", "int_parsing", value
        )
    elif isinstance(value, float) and not value.is_integer():
        yield error_detail(
            loc, "Input should be a valid integer, got a number with a fractional part", "int_from_float", value
        )
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield error_detail(loc, "Input should be a valid integer", "int_type", value)
    else:
        yield from _bounds(option, loc, value)


def _number(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield error_detail(loc, "Input should be a valid number", "float_type", value)
    else:
        yield from _bounds(option, loc, value)


def _boolean(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if not isinstance(value, bool):
        yield error_detail(loc, "Input should be a valid boolean", "bool_type", value)


def _choice(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if value not in option.choices:
        yield _not_among(loc, option.choices, value)


def _not_among(loc: Loc, choices: tuple[str, ...], value: Json) -> Detail:
    quoted = [f"'{choice}'" for choice in choices]
    expected = " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)
    return error_detail(loc, f"Input should be {expected}", "enum", value, {"expected": expected})


def _size(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if isinstance(value, str):
        if value not in option.choices:
            yield _not_among(loc, option.choices, value)
        return
    if not isinstance(value, dict) or not option.custom_size:
        yield error_detail(loc, "Input should be a valid dictionary or object", "model_type", value)
        return
    sides = [value.get(name, 512) for name in ("width", "height")]
    for name, side in zip(("width", "height"), sides, strict=True):
        yield from _side(option, (*loc, name), side)
    if all(isinstance(side, int) and not isinstance(side, bool) for side in sides):
        yield from _area(option, loc, value, int(str(sides[0])) * int(str(sides[1])))


def _side(option: Option, loc: Loc, side: Json) -> Iterator[Detail]:
    bounds = Option(
        name=option.name,
        kind=OptionKind.INTEGER,
        description="",
        minimum=option.min_side_px or 1,
        maximum=option.max_side_px or _LARGEST_SIDE_PX,
    )
    yield from _integer(bounds, loc, side)


def _area(option: Option, loc: Loc, value: Json, pixels: int) -> Iterator[Detail]:
    if option.min_pixels is not None and pixels < option.min_pixels:
        yield error_detail(loc, "The image is too small", "image_too_small", value, {"min_pixels": option.min_pixels})
    if option.max_pixels is not None and pixels > option.max_pixels:
        yield error_detail(loc, "The image is too large", "image_too_large", value, {"max_pixels": option.max_pixels})


def _list(
    option: Option, loc: Loc, value: Json, each: Callable[[Option, Loc, Json], Iterator[Detail]]
) -> Iterator[Detail]:
    if not isinstance(value, list):
        yield error_detail(loc, "Input should be a valid list", "list_type", value)
        return
    if option.max_items is not None and len(value) > option.max_items:
        yield error_detail(
            loc,
            f"List should have at most {option.max_items} items",
            "sequence_too_long",
            value,
            {"max_length": option.max_items},
        )
    for index, item in enumerate(value):
        yield from each(option, (*loc, index), item)


def _texts(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    yield from _list(option, loc, value, _text)


def _colour(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if not isinstance(value, dict):
        yield error_detail(loc, "Input should be a valid dictionary or object", "model_type", value)
        return
    part = Option(name=option.name, kind=OptionKind.INTEGER, description="", minimum=0, maximum=255)
    for name in ("r", "g", "b"):
        yield from _integer(part, (*loc, name), value.get(name, 0))


def _colours(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    yield from _list(option, loc, value, _colour)


def _member(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    yield from _members(loc, value, required=("rgb",))
    if isinstance(value, dict) and "rgb" in value:
        yield from _colour(option, (*loc, "rgb"), value["rgb"])


def _palette(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    if not isinstance(value, dict):
        yield error_detail(loc, "Input should be a valid dictionary or object", "model_type", value)
        return
    name, members = value.get("name"), value.get("members")
    if (name is None) == (members is None):
        yield error_detail(
            loc, "Exactly one of 'name' and 'members' is needed", "one_of", value, {"expected": ["name", "members"]}
        )
    elif name is not None and option.choices and name not in option.choices:
        yield _not_among((*loc, "name"), option.choices, name)
    elif members is not None:
        yield from _list(option, (*loc, "members"), members, _member)


def _members(loc: Loc, value: Json, required: tuple[str, ...]) -> Iterator[Detail]:
    if not isinstance(value, dict):
        yield error_detail(loc, "Input should be a valid dictionary or object", "model_type", value)
        return
    for name in required:
        if value.get(name) is None:
            yield error_detail((*loc, name), "Field required", "missing", value)


def _lora(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    yield from _members(loc, value, required=("path",))


def _loras(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    yield from _list(option, loc, value, _lora)


def _controlnet(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    yield from _members(loc, value, required=("path", "control_image_url"))


def _ip_adapter(option: Option, loc: Loc, value: Json) -> Iterator[Detail]:
    yield from _members(loc, value, required=("path", "image_encoder_path", "scale"))


def _plain(number: float) -> int | float:
    return int(number) if float(number).is_integer() else number


_CHECKS: Mapping[OptionKind, Callable[[Option, Loc, Json], Iterator[Detail]]] = {
    OptionKind.TEXT: _text,
    OptionKind.INTEGER: _integer,
    OptionKind.NUMBER: _number,
    OptionKind.BOOLEAN: _boolean,
    OptionKind.CHOICE: _choice,
    OptionKind.SIZE: _size,
    OptionKind.TEXTS: _texts,
    OptionKind.PICTURE: _text,
    OptionKind.PICTURES: _texts,
    OptionKind.COLOURS: _colours,
    OptionKind.PALETTE: _palette,
    OptionKind.LORAS: _loras,
    OptionKind.CONTROLNET: _controlnet,
    OptionKind.IP_ADAPTER: _ip_adapter,
}
