"""Previews of SVG files: drawn in the decoding process, with nothing loaded, in bounded time."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path

import pytest
from PIL import Image

from bot.domain.picture import Picture
from bot.media.fit import PREVIEW_WITHIN_S, read_results
from bot.media.workers import ImageWorkers
from tests.media.paint import picture

OPEN = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 200 100">'
RED = b'<rect width="200" height="100" fill="#f00"/>'


def svg(*inside: bytes) -> bytes:
    return OPEN + b"".join(inside) + b"</svg>"


async def preview(workers: ImageWorkers, body: bytes) -> Picture | None:
    (result,) = await read_results(workers, [body], owner=1)
    assert (result.picture.extension, result.picture.body) == ("svg", body)
    return result.preview


def pixel(made: Picture | None, x: float, y: float) -> tuple[int, ...]:
    assert made is not None
    with Image.open(io.BytesIO(made.body)) as image:
        found = image.convert("RGBA").getpixel((int(x * image.width), int(y * image.height)))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (svg(RED), (1024, 512)),
        (svg(RED).replace(b"0 0 200 100", b"0 0 100 200"), (512, 1024)),
        (b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd">' + svg(RED), (1024, 512)),
    ],
)
async def test_an_svg_has_a_preview(workers: ImageWorkers, body: bytes, size: tuple[int, int]) -> None:
    made = await preview(workers, body)
    assert made is not None
    assert (made.extension, made.width, made.height) == ("png", *size)
    assert pixel(made, 0.2, 0.2) == (255, 0, 0, 255)


@pytest.mark.parametrize("name", [b"href", b"xlink:href"])
@pytest.mark.parametrize("scheme", ["", "file://"])
async def test_nothing_of_the_machine_is_drawn_into_it(
    workers: ImageWorkers, tmp_path: Path, name: bytes, scheme: str
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(64, 64).body)
    link = b'<image %s="%s" width="200" height="100" preserveAspectRatio="none"/>'
    made = await preview(workers, svg(RED, link % (name, f"{scheme}{secret}".encode())))
    assert pixel(made, 0.5, 0.5) == (255, 0, 0, 255)


async def test_pictures_inside_are_drawn(workers: ImageWorkers) -> None:
    inside = io.BytesIO()
    Image.new("RGB", (8, 8), (0, 0, 255)).save(inside, "PNG")
    link = b'<image href="data:image/png;base64,%s" width="200" height="100" preserveAspectRatio="none"/>'
    made = await preview(workers, svg(RED, link % base64.b64encode(inside.getvalue())))
    assert pixel(made, 0.5, 0.5) == (0, 0, 255, 255)


HOSTILE = {
    "an entity": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">' + b" " * 20 + svg(b"<text>&a;</text>"),
    "deep": svg(b"<g>" * 5_000, b"</g>" * 5_000),
    "not closed": OPEN + b"<g></svg>",
    "many": svg(b"<g/>" * 250_000),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_what_is_hostile_has_no_preview_and_harms_nobody(workers: ImageWorkers, case: str) -> None:
    assert await preview(workers, HOSTILE[case]) is None
    assert await preview(workers, svg(RED)) is not None


def _nested() -> bytes:
    uses = [b'<g id="a0"><circle r="40" filter="url(#f)"/></g>']
    uses += [b'<g id="a%d">' % n + b'<use href="#a%d"/>' % (n - 1) * 10 + b"</g>" for n in range(1, 9)]
    blur = b'<filter id="f"><feGaussianBlur stdDeviation="90"/></filter>'
    return svg(blur, *uses, b'<use href="#a8"/>')


def _filtered(effect: bytes, times: int) -> bytes:
    return svg(b'<filter id="f">', effect, b"</filter>", b'<rect width="200" height="100" filter="url(#f)"/>' * times)


ENDLESS = {
    "uses of uses": _nested(),
    "blurs": _filtered(b'<feGaussianBlur stdDeviation="200"/>' * 200, 20),
    "noise": _filtered(b'<feTurbulence baseFrequency="0.01" numOctaves="255"/>', 200),
    "layers": svg(b'<circle cx="100" cy="50" r="90" opacity=".5"/>' * 150_000),
}


@pytest.mark.parametrize("case", ENDLESS)
async def test_one_that_takes_for_ever_is_given_up_after_some_seconds(workers: ImageWorkers, case: str) -> None:
    assert await preview(workers, svg(RED)) is not None  # the process is there
    began_s = time.monotonic()

    assert await preview(workers, ENDLESS[case]) is None

    assert time.monotonic() - began_s < PREVIEW_WITHIN_S + 1.5
    assert await preview(workers, svg(RED)) is not None
