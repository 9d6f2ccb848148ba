"""What falls, drifts and glows over a picture, and the finish that is laid on at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PIL import Image, ImageChops, ImageFilter, ImageOps

from sandbox.fal.art.canvas import Canvas
from sandbox.fal.art.palette import Scene, mix


def paint_weather(canvas: Canvas, scene: Scene) -> None:
    """Snow, rain, petals, sparks and fog."""
    for name in scene.weather:
        paint = _WEATHER.get(name)
        if paint is not None:
            paint(canvas)


def finished(image: Image.Image, scene: Scene) -> Image.Image:
    """The picture after its last treatment."""
    treat = _FINISHES.get(scene.finish)
    return image if treat is None else treat(image)


def _snow(canvas: Canvas) -> None:
    chance, unit = canvas.chance, canvas.unit
    for x, y in canvas.scattered(130, 0, canvas.height):
        canvas.disc(
            (x, y), unit * chance.choice((0.25, 0.35, 0.5, 0.8)), (250, 252, 255), chance.choice((255, 255, 190))
        )


def _rain(canvas: Canvas) -> None:
    chance, unit = canvas.chance, canvas.unit
    for x, y in canvas.scattered(110, -canvas.height * 0.1, canvas.height):
        length = unit * chance.uniform(3, 8)
        canvas.glaze.line(
            [(x, y), (x - length * 0.25, y + length)], fill=(225, 236, 250, 120), width=max(1, round(unit * 0.22))
        )


def _petals(canvas: Canvas) -> None:
    chance, unit = canvas.chance, canvas.unit
    tints = (canvas.palette.accent, mix(canvas.palette.accent, canvas.palette.light, 0.5))
    for x, y in canvas.scattered(46, 0, canvas.height):
        wide, high = unit * chance.uniform(0.6, 1.4), unit * chance.uniform(0.4, 0.9)
        canvas.pen.ellipse((x - wide, y - high, x + wide, y + high), fill=chance.choice(tints))


def _sparks(canvas: Canvas) -> None:
    chance, unit = canvas.chance, canvas.unit
    for x, y in canvas.scattered(38, canvas.height * 0.15, canvas.height):
        size = unit * chance.uniform(0.25, 0.6)
        canvas.glow((x, y), size * 6, canvas.palette.accent, 0.8)
        canvas.disc((x, y), size, canvas.palette.light)


def _fog(canvas: Canvas) -> None:
    canvas.cloudy(
        mix(canvas.palette.sky[2], canvas.palette.light, 0.4),
        0.75,
        detail=2,
        stretch=4.0,
        box=(0, canvas.height * 0.35, canvas.width, canvas.height),
    )


_WEATHER: Mapping[str, Callable[[Canvas], None]] = {
    "snow": _snow,
    "rain": _rain,
    "petals": _petals,
    "sparks": _sparks,
    "fog": _fog,
}


def _pixels(image: Image.Image) -> Image.Image:
    cell = max(2, round(min(image.size) / 96))
    small = image.resize((max(1, image.width // cell), max(1, image.height // cell)), Image.Resampling.BOX)
    return ImageOps.posterize(small, 4).resize(image.size, Image.Resampling.NEAREST)


def _mono(image: Image.Image) -> Image.Image:
    return ImageOps.autocontrast(image.convert("L"), cutoff=1).convert("RGB")


def _sepia(image: Image.Image) -> Image.Image:
    return ImageOps.colorize(image.convert("L"), (38, 22, 12), (255, 244, 218), mid=(170, 122, 78))


def _glow(image: Image.Image) -> Image.Image:
    small = image.reduce(6).filter(ImageFilter.GaussianBlur(3)).resize(image.size, Image.Resampling.BILINEAR)
    return Image.blend(image, ImageChops.screen(image, small), 0.38)


def _poster(image: Image.Image) -> Image.Image:
    return ImageOps.posterize(image, 3)


_FINISHES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "pixels": _pixels,
    "mono": _mono,
    "sepia": _sepia,
    "glow": _glow,
    "poster": _poster,
}
