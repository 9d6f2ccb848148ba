from __future__ import annotations

import sys
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ResultUnusable
from bot.media.picture import inspect
from tests.english import raises_saying
from tests.media.paint import bomb, noise, png_of, saved

KINDS = {
    "PNG": ("image/png", "png"),
    "JPEG": ("image/jpeg", "jpg"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (333, 7)])
def test_format_and_size_are_read_from_the_bytes(kind: str, size: tuple[int, int]) -> None:
    body = saved(noise(*size), kind)

    picture = inspect(body)

    assert (picture.content_type, picture.extension) == KINDS[kind]
    assert (picture.width, picture.height) == size
    assert picture.body is body


VARIANTS: dict[str, bytes] = {
    "progressive JPEG": saved(noise(40, 30), "JPEG", progressive=True),
    "grey JPEG": saved(noise(40, 30, "L"), "JPEG"),
    "JPEG with comment and EXIF": saved(noise(40, 30), "JPEG", comment=b"hello", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "JPEG with a camera's trailer": saved(noise(40, 30), "JPEG") + b"\0" * 5_000,
    "lossless WebP": saved(noise(40, 30), "WEBP", lossless=True),
    "WebP with alpha": saved(noise(40, 30, "RGBA"), "WEBP"),
    "animated WebP": saved(noise(40, 30), "WEBP", save_all=True, append_images=[noise(40, 30, seed=2)]),
    "animated GIF": saved(noise(40, 30), "GIF", save_all=True, append_images=[noise(40, 30, seed=2)]),
    "PNG with alpha": saved(noise(40, 30, "RGBA"), "PNG"),
    "palette PNG": saved(noise(40, 30).quantize(16), "PNG"),
    "PNG with something after it": saved(noise(40, 30), "PNG") + b"trailer",
}


@pytest.mark.parametrize("case", VARIANTS)
def test_variants_are_known(case: str) -> None:
    picture = inspect(VARIANTS[case])
    assert (picture.width, picture.height) == (40, 30)


SVGS: dict[bytes, tuple[int, int]] = {
    b'<svg width="100" height="50px" xmlns="http://www.w3.org/2000/svg"></svg>': (100, 50),
    b'<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC "x">\n<svg viewBox="0 0 24.4 12"><g/></svg>\n': (
        24,
        12,
    ),
    b'\xef\xbb\xbf  <SVG viewBox="0,0,8,9" width="100%" height="100%"></SVG>': (8, 9),
    b"<svg></svg>": (300, 150),
}


@pytest.mark.parametrize("body", SVGS)
def test_an_svg_is_known_by_its_root(body: bytes) -> None:
    picture = inspect(body)
    assert (picture.extension, picture.content_type) == ("svg", "image/svg+xml")
    assert (picture.width, picture.height) == SVGS[body]


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "a page": (b"<!DOCTYPE html><html><svg></svg></html>", "a web page"),
    "a page with a prologue": (b"  \n<html><body>502</body></html>", "a web page"),
    "JSON": (b'{"detail": "x"}', "a text file"),
    "text": (b"hello", "something else"),
    "a PDF": (b"%PDF-1.7 ...", "a PDF"),
    "an archive": (b"PK\x03\x04....", "an archive"),
    "a HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC file"),
    "a video": (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
    "an XML that is no SVG": (b"<?xml version='1.0'?><svgx></svgx>", "something else"),
    "a comment without end": (b"<!-- " * 5_000, "something else"),
    "an SVG cut off": (b"<svg width='4' height='4'><g>", "cut off"),
    "0 wide": (png_of(0, 5), "no size"),
    "0 high": (png_of(5, 0), "no size"),
    "a bomb by its header": (png_of(100_000, 100_000), "too large"),
    "a PNG without header": (b"\x89PNG\r\n\x1a\n" + b"x" * 40, "damaged"),
    "a JPEG without frame": (b"\xff\xd8\xff\xda" + b"\0" * 40, "damaged"),
    "a JPEG of rubbish": (b"\xff\xd8\xff\xe0\x00\x04ab" + b"rubbish", "damaged"),
    "a WebP of rubbish": (b"RIFF\x10\0\0\0WEBPjunk" + b"\0" * 20, "damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_said(case: str) -> None:
    body, words = REFUSED[case]
    with raises_saying(ResultUnusable, match=words):
        inspect(body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_picture_cut_off_anywhere_is_refused_without_decoding(kind: str, share: float) -> None:
    body = saved(noise(200, 200), kind)
    with raises_saying(ResultUnusable, match=r"cut off|damaged"):
        inspect(body[: int(len(body) * share)])


def test_the_end_of_a_thumbnail_is_not_taken_for_the_end_of_a_jpeg() -> None:
    thumbnail = saved(noise(16, 16), "JPEG")
    whole = saved(noise(100, 100), "JPEG", exif=b"Exif\0\0" + thumbnail)
    with raises_saying(ResultUnusable, match="cut off"):
        inspect(whole[:-2])


def test_a_picture_of_602_kb_that_decodes_to_814_mb_is_refused_without_decoding() -> None:
    body = bomb()
    assert len(body) < 1_000_000

    tracemalloc.start()
    started_at = time.process_time()
    with raises_saying(ResultUnusable, match="too large"):
        inspect(body)
    took_s = time.process_time() - started_at
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 100_000
    assert took_s < 0.05


def test_the_pixel_cap_is_the_callers() -> None:
    body = saved(noise(100, 100), "PNG")
    assert inspect(body, max_pixels=10_000).width == 100
    with raises_saying(ResultUnusable, match="too large"):
        inspect(body, max_pixels=9_999)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_hostile_bytes_lead_to_a_sentence_or_a_picture(data: st.DataObject) -> None:
    seeds = [*VARIANTS.values(), *SVGS, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF....WEBP", b"GIF89a"]
    body = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, max(0, len(body) - 1)))
        body[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        picture = inspect(bytes(body))
    except ResultUnusable:
        return
    assert picture.width * picture.height <= 64_000_000


def test_inspecting_does_not_even_load_the_decoder() -> None:
    import subprocess

    program = "import sys, bot.media.picture; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
