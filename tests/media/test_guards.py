"""Each guard by itself: in a whole picture the next one would catch what one lets through."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time

import pytest
from PIL import Image

from bot.media import decoding, guards
from bot.media.guards import check_structure
from bot.media.headers import Header, Unsound, read_header
from bot.media.workers import ImageWorkers, Task
from tests.media.hostile import HOSTILE, heic, motion_photo, scans_jpeg, two_headers_png
from tests.media.paint import noise, png_of, saved


def refusal(body: bytes) -> str | None:
    """The code with which the walk over the file refuses it."""
    try:
        check_structure(body, read_header(body))
    except Unsound as error:
        return error.phrase.code
    return None


def test_one_header_is_enough() -> None:
    assert refusal(two_headers_png()) == "picture_hostile"
    assert refusal(saved(noise(8, 8), "PNG")) is None


def test_scans_are_counted() -> None:
    assert refusal(scans_jpeg(guards.MAX_JPEG_SCANS)) is None
    assert refusal(scans_jpeg(guards.MAX_JPEG_SCANS + 1)) == "picture_hostile"


def test_what_lies_behind_a_picture_is_not_taken_for_its_scans() -> None:
    body = motion_photo(noise(64, 48), film_bytes=100) + b"\xff\xda\0\x0c" * 1_000
    structure = check_structure(body, read_header(body))
    assert structure.has_trailer
    assert structure.has_metadata


@pytest.mark.parametrize(("claimed", "real"), [((10, 10), (20, 20)), ((20, 20), (10, 10)), ((10, 20), (20, 10))])
def test_pillows_size_must_be_the_headers(claimed: tuple[int, int], real: tuple[int, int]) -> None:
    with pytest.raises(Unsound, match="hostile"):
        decoding._check_claim(Image.new("RGB", real), Header("PNG", *claimed, 1, 1, 0.1))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_header_is_read_from_anything(case: str) -> None:
    body = HOSTILE[case]()
    for length in (len(body), 1_000, 100, 30, 12, 3):
        try:
            header = read_header(body[:length])
        except Unsound:
            continue
        assert header.width * header.height > 0


LARGE = {
    "padding": scans_jpeg(4, 64, 48) + b"\xff" * (20 << 20),
    "stuffed": scans_jpeg(4, 64, 48) + b"\xff\0" * (10 << 20),
    "nothing but scans": scans_jpeg(4, 64, 48) + b"\xff\xda" * (10 << 20),
    "nothing but measures": b"\0\0\0\x18ftypheic" + b"ispe\0\0\0\0" * (2 << 20),
    "nothing but segments": b"\xff\xd8\xff" + b"\xe0\0\x02\xff" * (5 << 20),
    "a comment in a drawing": b"<!--" + b"<" * (20 << 20),
}


@pytest.mark.parametrize("case", LARGE)
def test_a_header_is_read_quickly_from_the_largest_file(case: str) -> None:
    """In processor time; it happens in the bot, not in the process that decodes."""
    began_s = time.thread_time()
    with contextlib.suppress(Unsound):
        read_header(LARGE[case])
    assert time.thread_time() - began_s < 0.04


def test_where_no_decoder_for_heic_is_installed_it_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    body = heic(noise(64, 48))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        with pytest.raises(Unsound, match="file_unreadable") as caught:
            decoding.decode(file)
    assert caught.value.phrase.params == {"format": "HEIC"}


async def test_what_needs_more_memory_than_a_process_may_have_starts_none(workers: ImageWorkers) -> None:
    header = bytearray(png_of(7_500, 8_000))
    header[25] = 6  # with alpha: 8 bytes a pixel
    with pytest.raises(Unsound, match="picture_huge") as caught:
        await workers.run(Task("find_flat", {}, 1), bytes(header), owner=1)

    assert caught.value.phrase.params["megapixels"] == 47
    assert workers.process_ids == []
