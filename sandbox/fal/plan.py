"""From a job's arguments to a plan: how many pictures, how large, in which format, from which inputs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bot.catalogue.model import Model, OptionKind
from bot.domain.request import Json
from sandbox.fal.argument_checks import PRESETS

Format = Literal["png", "jpeg", "webp", "svg"]
CONTENT_TYPES: Mapping[Format, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "svg": "image/svg+xml",
}
EXTENSIONS: Mapping[Format, str] = {"png": "png", "jpeg": "jpg", "webp": "webp", "svg": "svg"}

#: Words that stand for what a checker would find, so that no fault need be injected by hand.
NSFW_WORD = "nsfw"
POLICY_WORD = "forbidden-content"

_LARGEST_SIDE_PX = 4096
#: z-image paints up to four megapixels.
_MOST_PIXELS_OF_INPUT = 2048 * 2048
_IDEOGRAM_SIZES: Mapping[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "10:16": (800, 1280),
    "16:10": (1280, 800),
    "9:16": (736, 1312),
    "16:9": (1312, 736),
    "4:3": (1152, 864),
    "3:4": (864, 1152),
    "1:3": (512, 1536),
    "3:1": (1536, 512),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
}
_IMAGEN_SIZES: Mapping[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "16:9": (1408, 768),
    "9:16": (768, 1408),
    "3:4": (896, 1280),
    "4:3": (1280, 896),
}
_AUTO_SIZES: Mapping[str, tuple[int, int]] = {"auto_2K": (2048, 2048), "auto_4K": (4096, 4096)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one job yields."""

    prompt: str
    seed: int
    count: int
    width: int
    height: int
    #: True: the size is that of the picture to be edited (`auto`).
    size_of_input: bool
    format: Format
    transparent: bool

    @property
    def sizes_px(self) -> tuple[tuple[int, int], ...]:
        """Width and height of every picture."""
        return ((self.width, self.height),) * self.count

    @property
    def pixels(self) -> int:
        """Pixels of one picture."""
        return self.width * self.height


def plan(model: Model, arguments: Mapping[str, Json], *, seed: int) -> Plan:
    """Read valid arguments. `seed` is used where none was given."""
    given = arguments.get("seed")
    if isinstance(given, int) and not isinstance(given, bool):
        seed = given
    size = size_px(model, arguments)
    return Plan(
        prompt=str(arguments.get("prompt") or ""),
        seed=seed,
        count=_count(model, arguments, seed),
        width=size[0],
        height=size[1],
        size_of_input=_value(model, arguments, "image_size") == "auto" and model.option("mask_image_url") is not None,
        format=_format(model, arguments),
        transparent=arguments.get("background") == "transparent",
    )


def sized_like(made: Plan, width: int, height: int) -> Plan:
    """The plan in the size of a picture that was given, made smaller to what the model can paint."""
    shrink = min(1.0, math.sqrt(_MOST_PIXELS_OF_INPUT / (width * height)))
    return replace(made, width=max(1, int(width * shrink)), height=max(1, int(height * shrink)))


def size_px(model: Model, arguments: Mapping[str, Json]) -> tuple[int, int]:
    """(width, height) of the pictures; 4096 px a side at most, keeping the shape."""
    ratio = _value(model, arguments, "aspect_ratio")
    if isinstance(ratio, str):
        return (_IMAGEN_SIZES if "imagen" in model.endpoint else _IDEOGRAM_SIZES).get(ratio, (1024, 1024))
    value = _value(model, arguments, "image_size")
    if isinstance(value, dict):
        sides = [value.get(name, 512) for name in ("width", "height")]
        width, height = (int(side) if isinstance(side, int | float) else 512 for side in sides)
        shrink = min(1.0, _LARGEST_SIDE_PX / max(width, height))
        return max(1, round(width * shrink)), max(1, round(height * shrink))
    if not isinstance(value, str):
        return 1024, 1024
    first, cross, second = value.partition("x")
    if cross and first.isdigit() and second.isdigit():
        return int(first), int(second)
    return PRESETS.get(value) or _AUTO_SIZES.get(value, (1024, 1024))


def picture_urls(model: Model, arguments: Mapping[str, Json]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(location, URL) of every picture fal would download before painting."""
    for option in model.options:
        value = arguments.get(option.name)
        if option.kind is OptionKind.PICTURE and isinstance(value, str) and value:
            yield (option.name,), value
        elif option.kind is OptionKind.PICTURES and isinstance(value, list):
            yield from (((option.name, index), url) for index, url in enumerate(value) if isinstance(url, str))
        elif option.kind in (OptionKind.CONTROLNET, OptionKind.IP_ADAPTER) and isinstance(value, dict):
            for name in ("control_image_url", "image_url", "mask_image_url"):
                url = value.get(name)
                if isinstance(url, str) and url:
                    yield (option.name, name), url


def chance(*parts: object) -> float:
    """A number in 0..1 that depends on `parts` alone."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _value(model: Model, arguments: Mapping[str, Json], name: str) -> Json:
    option = model.option(name)
    if option is None:
        return None
    given = arguments.get(name)
    return option.default if given is None else given


def _count(model: Model, arguments: Mapping[str, Json], seed: int) -> int:
    count = _value(model, arguments, "num_images")
    most = _value(model, arguments, "max_images")
    count = count if isinstance(count, int) else 1
    if isinstance(most, int) and most > 1:
        count += int(chance(model.endpoint, seed, "sequence") * (count * most - count + 1))
    return max(1, min(count, 32))


def _format(model: Model, arguments: Mapping[str, Json]) -> Format:
    wanted = _value(model, arguments, "output_format")
    for format_ in CONTENT_TYPES:
        if wanted == format_:
            return format_
    if "recraft" in model.endpoint:
        style = str(_value(model, arguments, "style") or "")
        return "svg" if style.startswith(("vector_illustration", "icon")) else "webp"
    return "jpeg" if model.output.has_nsfw_concepts else "png"
