"""Pillow's part of `bot.media.charts`, in the decoding process. Its own ground: it reads on light and dark screens."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from bot.media.decoding import Made
from bot.media.headers import CHART_SIZE_PX

_Fields: TypeAlias = Mapping[str, Any]

GROUND, INK, GRID = (30, 31, 36), (236, 238, 241), (66, 69, 77)
BAR, BAR_PALE = (118, 152, 250), (94, 110, 172)
MARKED, MARKED_PALE = (245, 184, 73), (156, 120, 58)
BOUND = (255, 129, 120)
_FONT_PX = 34
_MARGIN = 28
_TICK_GAP = 16
#: Between two bars, as a part of the place of one.
_GAP = 0.28
_DASH = 18


def draw(bars: Sequence[_Fields], scale: Sequence[_Fields], bound: _Fields | None) -> Made:
    """The chart; the arguments are the fields of `bot.media.charts.Chart`."""
    image = Image.new("RGB", CHART_SIZE_PX, GROUND)
    canvas = _Canvas(ImageDraw.Draw(image), scale, bound)
    canvas.draw_scale(scale)
    canvas.draw_bars(bars)
    if bound is not None:
        canvas.draw_bound(bound)
    made = io.BytesIO()
    image.save(made, "PNG", optimize=True)
    return Made(*CHART_SIZE_PX, made.getvalue())


class _Canvas:
    """Where things lie, in pixels."""

    def __init__(self, pen: ImageDraw.ImageDraw, scale: Sequence[_Fields], bound: _Fields | None) -> None:
        self._pen = pen
        self._font = ImageFont.load_default(_FONT_PX)
        labels = [tick["label"] for tick in scale] + ([bound["label"]] if bound is not None else [])
        self._left = _MARGIN + _TICK_GAP + max(int(self._font.getlength(label)) for label in labels)
        self._right = CHART_SIZE_PX[0] - _MARGIN
        self._top = _MARGIN + _FONT_PX // 2
        self._bottom = CHART_SIZE_PX[1] - _MARGIN - _FONT_PX - _TICK_GAP
        self._most: int = max(1, scale[-1]["amount"])
        self._bound_y = self._y(bound["amount"]) if bound is not None else None

    def _y(self, amount: int) -> float:
        return self._bottom - (self._bottom - self._top) * min(amount, self._most) / self._most

    def draw_scale(self, scale: Sequence[_Fields]) -> None:
        for tick in scale:
            y = self._y(tick["amount"])
            self._pen.line(((self._left, y), (self._right, y)), GRID, 2)
            if self._bound_y is None or abs(y - self._bound_y) > _FONT_PX:  # else one label would lie on the other
                self._pen.text((self._left - _TICK_GAP, y), tick["label"], INK, self._font, anchor="rm")

    def draw_bars(self, bars: Sequence[_Fields]) -> None:
        place = (self._right - self._left) / max(1, len(bars))
        for at, bar in enumerate(bars):
            left = self._left + place * (at + _GAP / 2)
            right = left + place * (1 - _GAP)
            colour, pale = (MARKED, MARKED_PALE) if bar["marked"] else (BAR, BAR_PALE)
            certain = bar["amount"] - bar["uncertain"]
            self._fill(left, right, 0, bar["amount"], pale)
            self._fill(left, right, 0, certain, colour)
            middle = (left + right) / 2
            self._pen.text((middle, self._bottom + _TICK_GAP), bar["label"], INK, self._font, anchor="mt")

    def _fill(self, left: float, right: float, low: int, high: int, colour: tuple[int, int, int]) -> None:
        if high > low:
            top = min(self._y(high), self._y(low) - 3)  # a cent is seen beside a hundred dollars
            self._pen.rectangle((left, top, right, self._y(low)), colour)

    def draw_bound(self, bound: _Fields) -> None:
        y = self._y(bound["amount"])
        for start in range(self._left, self._right, 2 * _DASH):
            self._pen.line(((start, y), (min(start + _DASH, self._right), y)), BOUND, 4)
        self._pen.text((self._left - _TICK_GAP, y), bound["label"], BOUND, self._font, anchor="rm")


__all__ = ["draw"]
