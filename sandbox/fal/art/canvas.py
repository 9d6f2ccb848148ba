"""A sheet to paint on: gradients, glows and shapes in units of the picture, twice as large as needed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

from sandbox.fal.art.palette import Colour, Palette, mix

Point = tuple[float, float]
_SOFTER = 4
Box = tuple[float, float, float, float]


class Canvas:
    """An RGB sheet with two pens: `pen` covers, `glaze` lets shine through.

    `unit` is a hundredth of the shorter side: shapes given in units look alike in every format.
    """

    def __init__(
        self, width: int, height: int, palette: Palette, chance: random.Random, coat: Colour | None = None
    ) -> None:
        self.coat = coat
        self.width = width
        self.height = height
        self.palette = palette
        self.chance = chance
        self.unit = min(width, height) / 100
        self._cell = max(1, max(width, height) // 256)
        self.image = Image.new("RGB", (width, height), palette.sky[1])
        self.pen = ImageDraw.Draw(self.image)
        self.glaze = ImageDraw.Draw(self.image, "RGBA")

    def small(self) -> Canvas:
        """A quarter of this sheet, for what is soft anyway; put back with `lay`."""
        size = max(2, self.width // _SOFTER), max(2, self.height // _SOFTER)
        return Canvas(size[0], size[1], self.palette, self.chance, self.coat)

    def lay(self, soft: Canvas, bottom: float | None = None) -> None:
        """Cover this sheet, down to `bottom`, with what was painted on its `small` one."""
        low = self.height if bottom is None else min(self.height, round(bottom))
        share = low / self.height * soft.height
        self.image.paste(_enlarged(soft.image, (self.width, low), (0, 0, soft.width, share)), (0, 0))

    def gradient(self, stops: Sequence[Colour], top: float = 0, bottom: float | None = None) -> None:
        """Fill a band from `top` to `bottom` with colours that run into each other."""
        low = self.height if bottom is None else bottom
        box = (0, max(0, round(top)), self.width, min(self.height, round(low)))
        if box[3] > box[1]:
            self.image.paste(column(stops, self.width, box[3] - box[1]), box)

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """A soft round light."""
        left, top, right, bottom = around(centre, radius)
        box = (max(0, int(left)), max(0, int(top)), min(self.width, int(right) + 1), min(self.height, int(bottom) + 1))
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        scale = 256 / (radius * 2)
        seen = tuple(
            min(256.0, max(0.0, (edge - start) * scale))
            for edge, start in zip(box, (left, top, left, top), strict=True)
        )
        size = (box[2] - box[0], box[3] - box[1])
        mask = _enlarged(_radial(round(strength, 2)), size, (seen[0], seen[1], seen[2], seen[3]))
        self.image.paste(colour, box, mask)

    def disc(self, centre: Point, radius: float, colour: Colour, alpha: int = 255) -> None:
        """A filled circle."""
        box = around(centre, radius)
        if alpha >= 255:
            self.pen.ellipse(box, fill=colour)
        else:
            self.glaze.ellipse(box, fill=(*colour, alpha))

    def shape(self, points: Sequence[Point], colour: Colour, alpha: int = 255) -> None:
        """A filled polygon."""
        if alpha >= 255:
            self.pen.polygon(points, fill=colour)
        else:
            self.glaze.polygon(points, fill=(*colour, alpha))

    def ridge(
        self, base: float, swing: float, colour: Colour, *, waves: float = 1.6, rough: float = 0.0
    ) -> list[Point]:
        """A rolling outline filled down to the lower edge; returns the outline."""
        chance, steps = self.chance, 72
        tones = [
            (chance.uniform(0.6, 1.4) * waves * 2**octave, chance.uniform(0, math.tau), 0.5**octave)
            for octave in range(3)
        ]
        line: list[Point] = []
        for step in range(steps + 1):
            share = step / steps
            lift = sum(math.sin(share * math.tau * rate + phase) * size for rate, phase, size in tones) / 1.75
            line.append((share * self.width, base - swing * (lift + rough * chance.uniform(-1, 1))))
        self.pen.polygon([(0, self.height), *line, (self.width, self.height)], fill=colour)
        return line

    def cloudy(
        self, colour: Colour, strength: float, *, detail: int = 4, stretch: float = 2.0, box: Box | None = None
    ) -> None:
        """Drifting patches of `colour`: fractal noise laid over a part of the sheet."""
        left, top, right, bottom = (round(edge) for edge in (box or (0, 0, self.width, self.height)))
        size = (max(4, (right - left) // self._cell), max(4, (bottom - top) // self._cell))
        noise = fractal(self.chance, size, detail, stretch)
        low, high = 96, 190
        ramp = [round(255 * strength * min(1.0, max(0.0, (value - low) / (high - low)))) for value in range(256)]
        soft = ImageChops.multiply(noise.point(ramp), _feather(size, above=top > 0, below=bottom < self.height))
        mask = _enlarged(soft, (right - left, bottom - top), (0, 0, *size))
        self.image.paste(colour, (left, top, right, bottom), mask)

    def scattered(self, count: int, top: float, bottom: float) -> list[Point]:
        """Random places between two heights."""
        return [(self.chance.uniform(0, self.width), self.chance.uniform(top, bottom)) for _ in range(count)]


def column(stops: Sequence[Colour], width: int, height: int) -> Image.Image:
    """A vertical gradient."""
    rows = 128
    raw = bytearray()
    for row in range(rows):
        place = row / (rows - 1) * (len(stops) - 1)
        index = min(int(place), len(stops) - 2)
        share = place - index
        raw += bytes(mix(stops[index], stops[index + 1], share * share * (3 - 2 * share) * 0.4 + share * 0.6))
    narrow = Image.frombytes("RGB", (1, rows), bytes(raw)).resize((1, height), Image.Resampling.BICUBIC)
    return narrow.resize((width, height), Image.Resampling.NEAREST)


def _enlarged(image: Image.Image, size: tuple[int, int], part: Box) -> Image.Image:
    """A part of something soft, blown up: smoothly to half the size, then doubled, which is cheap and not seen."""
    if min(size) < 64:
        return image.resize(size, Image.Resampling.BILINEAR, box=part)
    half = image.resize((size[0] // 2, size[1] // 2), Image.Resampling.BILINEAR, box=part)
    return half.resize(size, Image.Resampling.NEAREST)


def fractal(chance: random.Random, size: tuple[int, int], detail: int, stretch: float) -> Image.Image:
    """Soft noise of several scales as an L picture; the same chance gives the same noise."""
    total: Image.Image | None = None
    for octave in range(3):
        cells = max(2, round(detail * 2**octave)), max(2, round(detail * 2**octave * size[1] / size[0] * stretch))
        layer = Image.frombytes("L", cells, chance.randbytes(cells[0] * cells[1]))
        layer = layer.resize(size, Image.Resampling.BICUBIC)
        total = layer if total is None else Image.blend(total, layer, 0.5 / (octave + 1))
    assert total is not None
    return total


def _feather(size: tuple[int, int], *, above: bool, below: bool) -> Image.Image:
    """White, fading out at the upper and lower edges where asked."""
    rows = size[1]
    rise = max(1.0, rows * 0.4)
    levels = [min(1.0, row / rise if above else 1.0, (rows - 1 - row) / rise if below else 1.0) for row in range(rows)]
    narrow = Image.frombytes("L", (1, rows), bytes(round(255 * level) for level in levels))
    return narrow.resize(size, Image.Resampling.NEAREST)


def around(centre: Point, radius: float, stretch: float = 1.0) -> Box:
    """The box of a circle (or of an ellipse `stretch` times as high as wide)."""
    x, y = centre
    return x - radius, y - radius * stretch, x + radius, y + radius * stretch


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A closed curve through `points` (Catmull-Rom)."""
    curve: list[Point] = []
    count = len(points)
    for index in range(count):
        p0, p1, p2, p3 = (points[(index + offset) % count] for offset in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            curve.append((_spline(p0[0], p1[0], p2[0], p3[0], t), _spline(p0[1], p1[1], p2[1], p3[1], t)))
    return curve


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


@lru_cache(maxsize=128)
def _radial(strength: float) -> Image.Image:
    """White in the middle, black at the rim, falling off smoothly."""
    ramp = [round(255 * strength * max(0.0, 1 - value / _RIM) ** 2) for value in range(256)]
    return Image.radial_gradient("L").point(ramp)


#: Value of Pillow's radial gradient where its circle touches the edge of the square.
_RIM = 178
