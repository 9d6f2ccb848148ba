"""A bar chart as a PNG, drawn in the decoding process: the bot itself never loads Pillow."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass

from bot.errors import DecoderUnavailable
from bot.media.headers import Unsound, chart_header
from bot.media.workers import ImageWorkers, Task, WorkersUnavailable


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
    """A PNG of `CHART_SIZE_PX`.

    Args:
        owner: whose turn it is with the decoder.

    Raises:
        DecoderUnavailable: nothing can be drawn now.
    """
    try:
        header = chart_header()
        done = await workers.run(Task("chart", asdict(chart), header.pixels), b"", owner=owner, header=header)
    except (Unsound, WorkersUnavailable) as error:
        raise DecoderUnavailable from error
    if done.body is None:
        raise DecoderUnavailable
    return done.body


__all__ = ["Bar", "Chart", "Line", "draw_chart"]
