"""A bar chart as a PNG, drawn in the decoding process: the bot itself never loads Pillow."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass

from bot.errors import DecoderUnavailable
from bot.media.headers import Header, Unsound
from bot.media.workers import ImageWorkers, Task, WorkersUnavailable

#: Read at a third of its size on a phone that is 390 px wide.
WIDTH_PX, HEIGHT_PX = 960, 600
_PIXELS = WIDTH_PX * HEIGHT_PX
#: Measured, and rounded up: the canvas, a copy while it is encoded, and the font.
_COST = Header("PNG", WIDTH_PX, HEIGHT_PX, 16 * _PIXELS, 4 * _PIXELS, 0.2)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; amounts are whole numbers of any unit."""

    amount: int
    #: Of `amount`, what is not certain yet; drawn paler, on top.
    uncertain: int = 0
    #: Under the bar; only some bars need one.
    label: str = ""
    #: The one that is spoken of now, in another colour.
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line at an amount."""

    amount: int
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that is drawn. Texts are short, and in Latin letters, figures and signs: the font has no others."""

    bars: tuple[Bar, ...]
    #: From the lowest to the highest, which is the top of the chart.
    scale: tuple[Line, ...]
    #: A bound, drawn dashed over the bars, if it lies within the scale.
    bound: Line | None = None


async def draw_chart(workers: ImageWorkers, chart: Chart, *, owner: Hashable) -> bytes:
    """A PNG of `WIDTH_PX` × `HEIGHT_PX`.

    Args:
        owner: whose turn it is with the decoder.

    Raises:
        DecoderUnavailable: nothing can be drawn now.
    """
    try:
        done = await workers.run(Task("chart", asdict(chart), _PIXELS), b"", owner=owner, header=_COST)
    except (Unsound, WorkersUnavailable) as error:
        raise DecoderUnavailable from error
    if done.body is None:
        raise DecoderUnavailable
    return done.body


__all__ = ["HEIGHT_PX", "WIDTH_PX", "Bar", "Chart", "Line", "draw_chart"]
