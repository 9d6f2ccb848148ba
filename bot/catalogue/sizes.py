"""Sizes: convert what people type (`16:9`, `1024x768`, `portrait`, `square_hd`) to the form that each model takes.

There are two kinds of size options. With `custom_size` an option takes presets and any width and
height within its bounds; without, only the listed choices: presets such as `auto`, ratios such as
`16:9`, or pixels such as `1024x1536`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from bot.catalogue.folding import SEPARATOR, by_label, fold
from bot.catalogue.model import Option
from bot.catalogue.rejections import refuse, refuse_because, shown
from bot.domain.request import Json
from bot.phrase import Phrase, phrase

#: fal's presets in pixels, the same on every model that has them.
PRESETS_PX: Final[Mapping[str, tuple[int, int]]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}

#: Words for aspect ratios. A preset of the same name takes precedence (`square` is fal's 512 × 512).
WORDS: Final[Mapping[str, float]] = {
    "square": 1.0,
    "portrait": 3 / 4,
    "landscape": 4 / 3,
    "tall": 9 / 16,
    "wide": 16 / 9,
    "vertical": 9 / 16,
    "horizontal": 16 / 9,
    "widescreen": 16 / 9,
}

#: Names of fal's presets in labels.
SHAPES: Final[Mapping[str, str]] = {
    "square_hd": "Square",
    "square": "Square, small",
    "portrait_4_3": "Portrait 3:4",
    "portrait_16_9": "Portrait 9:16",
    "landscape_4_3": "Landscape 4:3",
    "landscape_16_9": "Landscape 16:9",
}

_PIXELS = re.compile(r"([0-9]{1,5})\s*(?:px)?\s*(?:[x*]|by)\s*([0-9]{1,5})\s*(?:px|pixels)?")
_RATIO = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,4})?)\s*[:/]\s*([0-9]{1,5}(?:\.[0-9]{1,4})?)")
#: A shape before its figures: `landscape 16:9`, `square, 1024x1024`.
_SHAPE_BEFORE = re.compile(rf"(?:{'|'.join(WORDS)}|small)(?:[ ,]+(?:small|hd))?[ ,]+(?=[0-9])")
#: The same behind them: `16:9 landscape`.
_SHAPE_BEHIND = re.compile(rf"(?<=[0-9])[ ,]+\(?(?:{'|'.join(WORDS)})\)?$")
#: Up to this, two numbers with an x between them are a ratio: `16x9`.
_MOST_OF_RATIO = 64
#: Largest relative difference between a typed ratio and a listed one (1344 × 768 counts as 16:9).
_TOLERANCE = 0.03
_STEP_PX = 16
_MOST_CHARACTERS = 100
_USUAL_PIXELS = 1024 * 1024
#: The bounds of fal's ImageSize, used where a model has none of its own.
_LEAST_SIDE_PX, _MOST_SIDE_PX = 1, 14142


class _Bounds(NamedTuple):
    low: int
    high: int
    least: int
    most: int

    def hold(self, width: int, height: int) -> bool:
        sides = self.low <= min(width, height) and max(width, height) <= self.high
        return sides and self.least <= width * height <= self.most


def _bounds(option: Option) -> _Bounds:
    low = option.min_side_px or _LEAST_SIDE_PX
    high = option.max_side_px or _MOST_SIDE_PX
    return _Bounds(low, high, option.min_pixels or low * low, option.max_pixels or high * high)


def read_pixels(text: str) -> tuple[int, int] | None:
    """Parse `1024x768` as (1024, 768); None for anything else."""
    found = _PIXELS.fullmatch(fold(text))
    return (int(found[1]), int(found[2])) if found else None


def read_ratio(text: str) -> float | None:
    """Parse `16:9` as width divided by height; None for anything else."""
    found = _RATIO.fullmatch(fold(text))
    if not found or not float(found[1]) or not float(found[2]):
        return None
    return float(found[1]) / float(found[2])


def label(option: Option, choice: str) -> str:
    """How a choice is shown: `Square · 1024 × 1024`, `16:9 · landscape`, `Auto · the model decides`."""
    pixels, ratio = pixels_of(option, choice), read_ratio(choice)
    if pixels:
        shape = SHAPES.get(choice) or _orientation(pixels[0] / pixels[1])
        return f"{shape}{SEPARATOR}{pixels[0]} × {pixels[1]}"
    if ratio:
        return f"{choice}{SEPARATOR}{_orientation(ratio).lower()}"
    name = choice.replace("_", " ").lower()
    return f"{SHAPES.get(choice) or name[:1].upper() + name[1:]}{SEPARATOR}the model decides"


def _orientation(ratio: float) -> str:
    return "Square" if ratio == 1 else ("Landscape" if ratio > 1 else "Portrait")


def _shape(choice: str) -> float | None:
    """Width divided by height of a listed choice; None for `auto`."""
    pixels = PRESETS_PX.get(choice) or read_pixels(choice)
    return pixels[0] / pixels[1] if pixels else read_ratio(choice)


def parse_size(option: Option, name: str, given: object) -> Json:
    """Parse a size into the form that the model takes: a choice, or `{"width": …, "height": …}`."""
    if isinstance(given, Mapping):
        given = _object_text(given)
    if not isinstance(given, str) or len(given) > _MOST_CHARACTERS:
        raise refuse(name, given, takes(option))
    text = fold(given)
    listed = next((choice for choice in option.choices if _folded(text) == _folded(choice)), None)
    listed = listed or by_label(given, ((label(option, choice), choice) for choice in option.choices))
    value = listed if listed is not None else _figures(option, text)
    if value is None:
        why = _why_not(option, name, given, text)
        raise refuse_because(name, given, why) if why is not None else refuse(name, given, takes(option))
    return value


def _why_not(option: Option, name: str, given: str, text: str) -> Phrase | None:
    """Which limit of the model a size in figures breaks; None where it is none, or another shape than those listed."""
    pixels, ratio = _read(_SHAPE_BEFORE.sub("", text, count=1))
    named, quoted, limits = shown(name), shown(given), takes(option)
    if pixels and option.custom_size:
        return _beyond(_bounds(option), pixels, named, quoted, limits)
    shape = ratio or (pixels[0] / pixels[1] if pixels and all(pixels) else None)
    if shape is None:
        return None
    if option.custom_size:
        most = _longest(_bounds(option))
        if max(shape, 1 / shape) <= most:
            return None
        return phrase("size_narrow", option=named, given=quoted, times=most, takes=limits)
    shapes = [known for choice in option.choices if (known := _shape(choice))]
    if not shapes or min(shapes) * (1 - _TOLERANCE) <= shape <= max(shapes) * (1 + _TOLERANCE):
        return None
    return phrase("size_narrow_listed", option=named, given=quoted, takes=limits)


def _beyond(bounds: _Bounds, pixels: tuple[int, int], option: str, given: str, limits: Phrase) -> Phrase | None:
    area = pixels[0] * pixels[1]
    if max(pixels) > bounds.high or (area > bounds.most and min(pixels) >= bounds.low):
        return phrase("size_large", option=option, given=given, takes=limits)
    if min(pixels) < bounds.low:
        return phrase("size_small", option=option, given=given, takes=limits)
    if area >= bounds.least:
        return None
    return phrase("size_small_in_all", option=option, given=given, pixels=area, least=bounds.least, takes=limits)


def _longest(bounds: _Bounds) -> int:
    """How many times the short side the long one can be."""
    long_px = min(bounds.high, bounds.most // bounds.low)
    return max(1, int(long_px / max(bounds.low, bounds.least / long_px)))


def _figures(option: Option, text: str) -> Json:
    """A size from the whole text, or from a part of the label of another model: its pixels, its ratio, its shape."""
    parts = [part.strip() for part in text.split(SEPARATOR.strip())]
    figures = {part: _SHAPE_BEHIND.sub("", _SHAPE_BEFORE.sub("", part, count=1)) for part in (text, *parts)}
    read = [(part, *_read(figure)) for part, figure in figures.items()]
    parse = _custom if option.custom_size else _listed
    # Shapes come last: `16:9 · landscape` is no 4:3.
    for part, pixels, ratio in sorted(read, key=lambda entry: (entry[1] is None, entry[2] is None)):
        if (value := parse(option, part, pixels, ratio)) is not None:
            return value
    return None


def _read(text: str) -> tuple[tuple[int, int] | None, float | None]:
    """The pixels or the ratio in a text."""
    pixels = read_pixels(text)
    if pixels and min(pixels) and max(pixels) <= _MOST_OF_RATIO:
        return None, pixels[0] / pixels[1]
    return pixels, read_ratio(text)


def _folded(text: str) -> str:
    return re.sub(r"[\s:_-]+", "_", text.lower())


def _object_text(given: Mapping[object, object]) -> str:
    width, height = given.get("width"), given.get("height")
    whole = all(type(side) is int and 0 <= side < 100_000 for side in (width, height))
    return f"{width}x{height}" if whole and len(given) == 2 else json.dumps(given, default=str)[:_MOST_CHARACTERS]


def _custom(option: Option, text: str, pixels: tuple[int, int] | None, ratio: float | None) -> Json:
    if pixels:
        return {"width": pixels[0], "height": pixels[1]} if _bounds(option).hold(*pixels) else None
    shape = ratio or WORDS.get(text)
    if shape is None:
        return None
    within = [name for name in option.choices if name in PRESETS_PX and _bounds(option).hold(*PRESETS_PX[name])]
    fitting = [name for name in within if math.isclose(_shape(name) or 0, shape)]
    if fitting:
        return max(fitting, key=lambda name: PRESETS_PX[name])
    computed = _computed(_bounds(option), shape)
    return {"width": computed[0], "height": computed[1]} if computed else None


def _computed(bounds: _Bounds, shape: float) -> tuple[int, int] | None:
    """A size of that ratio and about a megapixel, in multiples of 16, within the bounds; None where there is none."""
    area = min(max(_USUAL_PIXELS, bounds.least), bounds.most)
    long_ratio = max(shape, 1 / shape)
    short = min(max(math.sqrt(area / long_ratio), bounds.low), bounds.high / long_ratio)
    short_px = round(short / _STEP_PX) * _STEP_PX
    short_px = short_px if short_px >= bounds.low else short_px + _STEP_PX
    long_px = min(round(short_px * long_ratio / _STEP_PX) * _STEP_PX, bounds.high)
    size = (long_px, short_px) if shape >= 1 else (short_px, long_px)
    close_enough = short_px > 0 and abs(long_px / short_px / long_ratio - 1) <= _TOLERANCE
    return size if close_enough and bounds.hold(*size) else None


def _listed(option: Option, text: str, pixels: tuple[int, int] | None, ratio: float | None) -> str | None:
    shapes = {choice: shape for choice in option.choices if (shape := _shape(choice))}
    if text in WORDS and shapes:
        return min(shapes, key=lambda choice: abs(math.log(shapes[choice] / WORDS[text])))
    if pixels:
        exact = next((choice for choice in shapes if read_pixels(choice) == pixels), None)
        if exact or not all(pixels) or not _bounds(option).hold(*pixels):
            return exact
        shapes = {choice: shape for choice, shape in shapes.items() if read_ratio(choice)}
        ratio = pixels[0] / pixels[1]
    if not ratio or not shapes:
        return None
    best = min(shapes, key=lambda choice: abs(math.log(shapes[choice] / ratio)))
    return best if abs(shapes[best] / ratio - 1) <= _TOLERANCE else None


def pixels_of(option: Option, value: Json) -> tuple[int, int] | None:
    """Width and height of a parsed size; None where fal decides.

    fal also decides for a preset outside the model's bounds (`square`, 512 × 512, on a model that paints no
    fewer than 1024 pixels a side).
    """
    match value:
        case {"width": int(width), "height": int(height)}:
            return width, height
        case str() if value in PRESETS_PX:
            return PRESETS_PX[value] if _bounds(option).hold(*PRESETS_PX[value]) else None
        case str():
            return read_pixels(value)
    return None


def most_pixels(option: Option) -> int:
    """The most pixels that a picture can have when fal decides its size."""
    return min(_bounds(option).most, _bounds(option).high ** 2)


def takes(option: Option) -> Phrase:
    """Describe what the size option takes."""
    if not option.custom_size:
        return phrase("takes_size_of", choices=option.choices)
    bounds, choices = _bounds(option), option.choices
    if bounds.most < bounds.high**2:
        return phrase("takes_size_within", choices=choices, low=bounds.low, high=bounds.high, pixels=bounds.most)
    return phrase("takes_size", choices=choices, low=bounds.low, high=bounds.high)
