from __future__ import annotations

import asyncio
import importlib
import threading

import pytest

from bot.domain.picture import Picture
from bot.errors import ResultUnusable
from bot.media import fit, inspect
from bot.media.fit import REQUEST_LIMIT_BYTES, fair_limit
from bot.media.fit import shrink as real_shrink
from tests.english import raises_saying
from tests.media.paint import exif, noise, opened, picture, png_of, saved

MIB = 1024 * 1024


async def test_what_fits_is_returned_as_it_is() -> None:
    pictures = [picture(), picture(kind="WEBP"), inspect(b"<svg></svg>")]

    fitted = await fit(pictures, file_limit_bytes=10 * MIB)

    assert all(after is before for after, before in zip(fitted, pictures, strict=True))


async def test_a_picture_above_the_file_limit_becomes_a_jpeg_of_the_same_size() -> None:
    big = picture(400, 300)
    limit = len(big.body) // 2

    (fitted,) = await fit([big], file_limit_bytes=limit)

    assert fitted.extension == "jpg"
    assert len(fitted.body) <= limit
    assert (fitted.width, fitted.height) == (400, 300)
    assert opened(fitted.body).size == (400, 300)


async def test_transparency_is_kept() -> None:
    big = picture(300, 300, mode="RGBA")

    (fitted,) = await fit([big], file_limit_bytes=len(big.body) // 3)

    assert fitted.extension == "webp"
    assert opened(fitted.body).getchannel("A").getextrema() != (255, 255)


async def test_an_alpha_channel_without_transparency_is_dropped() -> None:
    image = noise(300, 300)
    image.putalpha(255)
    big = inspect(saved(image, "PNG"))

    (fitted,) = await fit([big], file_limit_bytes=len(big.body) // 2)

    assert fitted.extension == "jpg"


async def test_only_when_quality_is_used_up_the_picture_gets_smaller() -> None:
    big = picture(400, 300)

    (fitted,) = await fit([big], file_limit_bytes=8_000)

    assert len(fitted.body) <= 8_000
    assert fitted.width < 400
    assert abs(fitted.width / fitted.height - 4 / 3) < 0.05


async def test_four_big_pictures_fit_one_request_together() -> None:
    pictures = [picture(1700, 1700, compress_level=0)] * 4
    assert sum(len(one.body) for one in pictures) > REQUEST_LIMIT_BYTES
    assert all(len(one.body) < 10 * MIB for one in pictures)

    fitted = await fit(pictures, file_limit_bytes=10 * MIB)

    assert sum(len(one.body) for one in fitted) <= REQUEST_LIMIT_BYTES
    assert all(len(one.body) <= 10 * MIB for one in fitted)
    assert all((one.width, one.height) == (1700, 1700) for one in fitted)


async def test_small_pictures_beside_big_ones_are_left_alone() -> None:
    small, big = picture(40, 40), picture(500, 500)

    fitted = await fit(
        [small, big, small], file_limit_bytes=10 * MIB, request_limit_bytes=2 * len(small.body) + len(big.body) // 2
    )

    assert fitted[0] is small
    assert fitted[2] is small
    assert len(fitted[1].body) <= len(big.body) // 2


async def test_the_same_picture_gives_the_same_bytes() -> None:
    big = picture(300, 300)
    first, second = [await fit([big], file_limit_bytes=20_000) for _ in range(2)]
    assert first == second


async def test_a_turned_photo_is_turned_upright_once() -> None:
    photo = inspect(saved(noise(300, 200), "JPEG", quality=100, exif=exif(orientation=6)))

    (fitted,) = await fit([photo], file_limit_bytes=len(photo.body) // 2)

    assert (fitted.width, fitted.height) == (200, 300)
    assert not opened(fitted.body).getexif()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK"])
async def test_every_mode_a_picture_may_have_is_re_encoded(mode: str) -> None:
    image = noise(200, 200, "L").convert("I;16") if mode == "I;16" else noise(200, 200).convert(mode)
    big = inspect(saved(image, "JPEG", quality=100) if mode == "CMYK" else saved(image, "PNG", compress_level=0))

    (fitted,) = await fit([big], file_limit_bytes=len(big.body) - 1)

    assert len(fitted.body) < len(big.body)


async def test_an_svg_is_never_rasterised() -> None:
    svg = inspect(b"<svg>" + b" " * 5000 + b"</svg>")

    with raises_saying(ResultUnusable, match="SVG file it made is too large"):
        await fit([svg], file_limit_bytes=1000)


async def test_svgs_that_fill_the_request_alone_are_refused() -> None:
    svg = inspect(b"<svg>" + b" " * 5000 + b"</svg>")

    with raises_saying(ResultUnusable, match="together"):
        await fit([svg, svg, picture()], file_limit_bytes=10 * MIB, request_limit_bytes=9000)


async def test_a_limit_nothing_can_meet_is_refused() -> None:
    with raises_saying(ResultUnusable, match="too large"):
        await fit([picture(200, 200)], file_limit_bytes=100)


async def test_a_picture_that_does_not_decode_is_said_to_be_damaged() -> None:
    broken = inspect(png_of(200, 200, b"not compressed at all" * 100))

    with raises_saying(ResultUnusable, match="damaged"):
        await fit([broken], file_limit_bytes=100)


async def test_decoding_happens_beside_the_loop_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    working = most = 0

    def shrink(given: Picture, limit_bytes: int) -> Picture:
        nonlocal working, most
        working += 1
        most = max(most, working)
        threads.append(threading.get_ident())
        try:
            return real_shrink(given, limit_bytes)
        finally:
            working -= 1

    monkeypatch.setattr(importlib.import_module("bot.media.fit"), "shrink", shrink)
    big = picture(300, 300)

    await asyncio.gather(*(fit([big], file_limit_bytes=50_000) for _ in range(6)))

    assert len(threads) == 6
    assert threading.get_ident() not in threads
    assert most == 1


def test_shares_are_fair() -> None:
    def sized(*sizes: int) -> list[Picture]:
        return [Picture(b"x" * size, "image/png", "png", 1, 1) for size in sizes]

    assert fair_limit(sized(10, 20, 30), 100, 60) == 100
    assert fair_limit(sized(10, 100, 100), 100, 100) == 45
    assert fair_limit(sized(100, 100, 100), 100, 90) == 30
    assert fair_limit(sized(500, 500), 100, 200) == 100
    assert fair_limit([], 100, 10) == 100
