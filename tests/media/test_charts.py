"""Charts: drawn in the decoding process, and every part of them is where it should be."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.errors import DecoderUnavailable
from bot.media.chart_drawing import BAR, BAR_PALE, BOUND, GROUND, INK, MARKED, MARKED_PALE
from bot.media.charts import Bar, Chart, Line, draw_chart
from bot.media.headers import CHART_SIZE_PX
from bot.media.workers import ImageWorkers, Pauses

SCALE = (Line(0, "$0.00"), Line(50, "$0.50"), Line(100, "$1.00"))


async def drawn(workers: ImageWorkers, chart: Chart) -> Image.Image:
    body = await draw_chart(workers, chart, owner=1)
    assert len(body) < 100_000
    return Image.open(io.BytesIO(body)).convert("RGB")


def rows_of(image: Image.Image, colour: tuple[int, int, int]) -> list[int]:
    """The rows in which the colour occurs, from the top."""
    rows = (image.crop((0, y, image.width, y + 1)).getcolors(image.width) or [] for y in range(image.height))
    return [y for y, colours in enumerate(rows) if colour in {one for _, one in colours}]


async def test_a_bar_is_as_high_as_its_amount(workers: ImageWorkers) -> None:
    heights = []
    for amount in (25, 50, 100):
        image = await drawn(workers, Chart((Bar(amount),), SCALE))
        assert image.size == CHART_SIZE_PX
        heights.append(len(rows_of(image, BAR)))
    assert heights[1:] == pytest.approx([2 * heights[0], 4 * heights[0]], rel=0.02)


async def test_what_is_not_certain_is_paler_and_on_top(workers: ImageWorkers) -> None:
    image = await drawn(workers, Chart((Bar(80, uncertain=40), Bar(80, uncertain=40, marked=True)), SCALE))
    for full, pale in ((BAR, BAR_PALE), (MARKED, MARKED_PALE)):
        assert rows_of(image, pale)[0] < rows_of(image, full)[0]
        assert len(rows_of(image, full)) == pytest.approx(len(rows_of(image, pale)), abs=5)


async def test_a_cent_beside_a_hundred_dollars_is_seen_and_nothing_is_not(workers: ImageWorkers) -> None:
    scale = (Line(0, "$0"), Line(10_000, "$100"))
    assert len(rows_of(await drawn(workers, Chart((Bar(1),), scale)), BAR)) >= 3
    assert rows_of(await drawn(workers, Chart((Bar(0),), scale)), BAR) == []


async def test_the_bound_is_a_line_at_its_amount(workers: ImageWorkers) -> None:
    image = await drawn(workers, Chart((Bar(50),), SCALE, Line(50, "$0.50")))
    line = rows_of(image.crop((image.width // 2, 0, image.width, image.height)), BOUND)
    assert len(line) in range(3, 7)
    assert rows_of(image, BAR)[0] == pytest.approx(line[-1], abs=5)


async def test_it_has_its_own_ground_with_contrast_to_everything_on_it(workers: ImageWorkers) -> None:
    image = await drawn(workers, Chart((Bar(50, label="1"),), SCALE))
    assert image.getpixel((0, 0)) == image.getpixel((image.width - 1, image.height - 1)) == GROUND
    assert contrast(INK, GROUND) > 7  # text
    assert all(contrast(colour, GROUND) > 4.5 for colour in (BAR, MARKED, BOUND))
    assert all(contrast(colour, GROUND) > 3 for colour in (BAR_PALE, MARKED_PALE))


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """WCAG's contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: tuple[int, int, int]) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("bars", [(), (Bar(0),) * 31, (Bar(100, 100, "31"),) * 31])
async def test_any_number_of_bars_fits(workers: ImageWorkers, bars: tuple[Bar, ...]) -> None:
    assert (await drawn(workers, Chart(bars, SCALE))).size == CHART_SIZE_PX


async def test_without_a_process_nothing_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.media.workers.sys.executable", "/nowhere/python")
    async with ImageWorkers(pauses_s=Pauses(starts=(0.01,))) as workers:
        with pytest.raises(DecoderUnavailable):
            await draw_chart(workers, Chart((Bar(1),), SCALE), owner=1)
