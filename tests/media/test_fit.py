from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.domain.picture import Picture, ResultPicture
from bot.errors import ResultUnusable
from bot.media.blank import DARK, may_be_black
from bot.media.fit import REQUEST_LIMIT_BYTES, fair_limit, fit, read_results
from bot.media.flat_webp import flat_colour
from bot.media.picture import inspect
from bot.media.workers import ImageWorkers
from tests.english import raises_saying
from tests.media.hostile import motion_photo
from tests.media.paint import exif, noise, opened, picture, png_of, saved
from tests.media.worker_samples import peak_mib

MIB = 1024 * 1024


async def fitted_to(workers: ImageWorkers, pictures: Sequence[Picture], **limits: int) -> list[Picture]:
    """The pictures, fitted."""
    results = [ResultPicture(one) for one in pictures]
    return [one.picture for one in await fit(workers, results, owner=1, **limits)]


async def test_what_fits_is_returned_as_it_is(workers: ImageWorkers) -> None:
    pictures = [picture(), picture(kind="WEBP"), inspect(b"<svg></svg>")]

    fitted = await fitted_to(workers, pictures, file_limit_bytes=10 * MIB)

    assert all(after is before for after, before in zip(fitted, pictures, strict=True))


async def test_a_picture_above_the_file_limit_becomes_a_jpeg_of_the_same_size(workers: ImageWorkers) -> None:
    big = picture(400, 300)
    limit = len(big.body) // 2

    (fitted,) = await fitted_to(workers, [big], file_limit_bytes=limit)

    assert fitted.extension == "jpg"
    assert len(fitted.body) <= limit
    assert (fitted.width, fitted.height) == (400, 300)
    assert opened(fitted.body).size == (400, 300)


async def test_transparency_is_kept(workers: ImageWorkers) -> None:
    big = picture(300, 300, mode="RGBA")

    (fitted,) = await fitted_to(workers, [big], file_limit_bytes=len(big.body) // 3)

    assert fitted.extension == "webp"
    assert opened(fitted.body).getchannel("A").getextrema() != (255, 255)


async def test_an_alpha_channel_without_transparency_is_dropped(workers: ImageWorkers) -> None:
    image = noise(300, 300)
    image.putalpha(255)
    big = inspect(saved(image, "PNG"))

    (fitted,) = await fitted_to(workers, [big], file_limit_bytes=len(big.body) // 2)

    assert fitted.extension == "jpg"


async def test_only_when_quality_is_used_up_the_picture_gets_smaller(workers: ImageWorkers) -> None:
    big = picture(400, 300)

    (fitted,) = await fitted_to(workers, [big], file_limit_bytes=8_000)

    assert len(fitted.body) <= 8_000
    assert fitted.width < 400
    assert abs(fitted.width / fitted.height - 4 / 3) < 0.05


async def test_four_big_pictures_fit_one_request_together(workers: ImageWorkers) -> None:
    pictures = [picture(1700, 1700, compress_level=0)] * 4
    assert sum(len(one.body) for one in pictures) > REQUEST_LIMIT_BYTES
    assert all(len(one.body) < 10 * MIB for one in pictures)

    fitted = await fitted_to(workers, pictures, file_limit_bytes=10 * MIB)

    assert sum(len(one.body) for one in fitted) <= REQUEST_LIMIT_BYTES
    assert all(len(one.body) <= 10 * MIB for one in fitted)
    assert all((one.width, one.height) == (1700, 1700) for one in fitted)


async def test_small_pictures_beside_big_ones_are_left_alone(workers: ImageWorkers) -> None:
    small, big = picture(40, 40), picture(500, 500)

    fitted = await fitted_to(
        workers,
        [small, big, small],
        file_limit_bytes=10 * MIB,
        request_limit_bytes=2 * len(small.body) + len(big.body) // 2,
    )

    assert fitted[0] is small
    assert fitted[2] is small
    assert len(fitted[1].body) <= len(big.body) // 2


async def test_the_same_picture_gives_the_same_bytes(workers: ImageWorkers) -> None:
    big = picture(300, 300)
    first, second = [await fitted_to(workers, [big], file_limit_bytes=20_000) for _ in range(2)]
    assert first == second


async def test_a_turned_photo_is_turned_upright_once(workers: ImageWorkers) -> None:
    photo = inspect(saved(noise(300, 200), "JPEG", quality=100, exif=exif(orientation=6)))

    (fitted,) = await fitted_to(workers, [photo], file_limit_bytes=len(photo.body) // 2)

    assert (fitted.width, fitted.height) == (200, 300)
    assert not opened(fitted.body).getexif()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK"])
async def test_every_mode_a_picture_may_have_is_re_encoded(mode: str, workers: ImageWorkers) -> None:
    image = noise(200, 200, "L").convert("I;16") if mode == "I;16" else noise(200, 200).convert(mode)
    big = inspect(saved(image, "JPEG", quality=100) if mode == "CMYK" else saved(image, "PNG", compress_level=0))

    (fitted,) = await fitted_to(workers, [big], file_limit_bytes=len(big.body) - 1)

    assert len(fitted.body) < len(big.body)


async def test_an_svg_is_never_rasterised(workers: ImageWorkers) -> None:
    svg = inspect(b"<svg>" + b" " * 5000 + b"</svg>")

    with raises_saying(ResultUnusable, match="SVG file it made is too large"):
        await fitted_to(workers, [svg], file_limit_bytes=1000)


async def test_svgs_that_fill_the_request_alone_are_refused(workers: ImageWorkers) -> None:
    svg = inspect(b"<svg>" + b" " * 5000 + b"</svg>")

    with raises_saying(ResultUnusable, match="together"):
        await fitted_to(workers, [svg, svg, picture()], file_limit_bytes=10 * MIB, request_limit_bytes=9000)


async def test_a_limit_nothing_can_meet_is_refused(workers: ImageWorkers) -> None:
    with raises_saying(ResultUnusable, match="too large"):
        await fitted_to(workers, [picture(200, 200)], file_limit_bytes=100)


async def test_a_picture_that_does_not_decode_is_said_to_be_damaged(workers: ImageWorkers) -> None:
    broken = inspect(png_of(200, 200, b"not compressed at all" * 100))

    with raises_saying(ResultUnusable, match="damaged"):
        await fitted_to(workers, [broken], file_limit_bytes=100)


async def test_pictures_are_decoded_one_at_a_time(workers: ImageWorkers) -> None:
    big = picture(300, 300)

    fitted = await asyncio.gather(*(fitted_to(workers, [big], file_limit_bytes=50_000) for _ in range(6)))

    assert len(fitted) == 6
    assert len(workers.process_ids) == 1


def test_shares_are_fair() -> None:
    def sized(*sizes: int) -> list[Picture]:
        return [Picture(b"x" * size, "image/png", "png", 1, 1) for size in sizes]

    assert fair_limit(sized(10, 20, 30), 100, 60) == 100
    assert fair_limit(sized(10, 100, 100), 100, 100) == 45
    assert fair_limit(sized(100, 100, 100), 100, 90) == 30
    assert fair_limit(sized(500, 500), 100, 200) == 100
    assert fair_limit([], 100, 10) == 100


# ---------------------------------------------------------------------- what the card has to tell


async def test_a_picture_made_smaller_says_from_what_to_what(workers: ImageWorkers) -> None:
    (result,) = await fit(workers, [ResultPicture(picture(400, 300))], file_limit_bytes=8_000, owner=1)

    (notice,) = result.notices
    assert notice.code == "result_made_smaller"
    assert notice.params == {"before": "400×300", "after": f"{result.picture.width}×{result.picture.height}"}


async def test_a_picture_of_the_same_size_in_another_format_says_that(workers: ImageWorkers) -> None:
    big = picture(400, 300)
    (result,) = await fit(workers, [ResultPicture(big)], file_limit_bytes=len(big.body) // 2, owner=1)

    (notice,) = result.notices
    assert notice.code == "result_recompressed"
    assert notice.params == {"before": "PNG", "after": "JPG"}


# ---------------------------------------------------------------------- results as they come


async def test_the_usual_result_is_never_decoded(workers: ImageWorkers) -> None:
    bodies = [picture(300, 200, kind=kind).body for kind in ("PNG", "JPEG", "WEBP", "GIF")]

    results = await read_results(workers, bodies, owner=1)

    assert [one.picture.body for one in results] == bodies
    assert all(one == ResultPicture(one.picture) for one in results)
    assert workers.process_ids == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(64, 64), (1024, 768)])
async def test_a_blanked_picture_is_recognised(workers: ImageWorkers, kind: str, size: tuple[int, int]) -> None:
    black = saved(Image.new("RGB", size), kind)

    (result,) = await read_results(workers, [black], owner=1)

    assert result.picture.body == black
    assert result.is_black


async def test_a_blanked_picture_is_recognised_with_metadata_too(workers: ImageWorkers) -> None:
    black = saved(Image.new("RGB", (512, 512)), "JPEG", quality=95, subsampling=0, comment=b"c2pa" * 10_000)
    (result,) = await read_results(workers, [black], owner=1)
    assert result.is_black


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("colour", [(200, 40, 40), (40, 40, 40), (255, 255, 255)])
async def test_a_flat_picture_of_another_colour_is_not_black_and_not_even_decoded(
    workers: ImageWorkers, kind: str, colour: tuple[int, int, int]
) -> None:
    flat = saved(Image.new("RGB", (512, 512), colour), kind)

    (result,) = await read_results(workers, [flat], owner=1)

    assert not result.is_black
    assert workers.process_ids == []


ENCODINGS: dict[str, tuple[str, dict[str, object]]] = {
    "RGB": ("PNG", {}),
    "RGBA": ("PNG", {}),
    "L": ("PNG", {}),
    "P": ("PNG", {}),
    "1": ("PNG", {}),
    "RGB, progressive": ("JPEG", {"progressive": True}),
    "RGB, best": ("JPEG", {"quality": 100, "subsampling": 0}),
    "RGB, worst": ("JPEG", {"quality": 5}),
    "RGB, own tables": ("JPEG", {"optimize": True}),
    "L, JPEG": ("JPEG", {}),
    "RGB, lossless": ("WEBP", {"lossless": True}),
}


@pytest.mark.parametrize("case", ENCODINGS)
async def test_black_is_recognised_however_it_is_written(workers: ImageWorkers, case: str) -> None:
    kind, options = ENCODINGS[case]
    black = saved(Image.new("RGB", (256, 256)).convert(case.split(",", maxsplit=1)[0]), kind, **options)
    (result,) = await read_results(workers, [black], owner=1)
    assert result.is_black


LARGE: dict[str, tuple[str, str, dict[str, object]]] = {
    "lossless WebP": ("RGB", "WEBP", {"lossless": True}),
    "lossless WebP, in a hurry": ("RGB", "WEBP", {"lossless": True, "method": 0}),
    "lossless WebP, clear": ("RGBA", "WEBP", {"lossless": True, "exact": True}),
    "PNG": ("RGB", "PNG", {}),
    "PNG with alpha": ("RGBA", "PNG", {}),
    "PNG in grey with alpha": ("LA", "PNG", {}),
    "PNG with a palette": ("P", "PNG", {}),
    "PNG of 16 bits": ("I;16", "PNG", {}),
    "GIF": ("P", "GIF", {}),
    "JPEG": ("RGB", "JPEG", {}),
    "progressive JPEG": ("RGB", "JPEG", {"progressive": True}),
}


@pytest.mark.parametrize("case", LARGE)
async def test_black_is_recognised_however_large_it_is(workers: ImageWorkers, case: str) -> None:
    mode, kind, options = LARGE[case]
    (result,) = await read_results(workers, [saved(Image.new(mode, (8000, 8000)), kind, **options)], owner=1)
    assert result.is_black
    assert all(peak_mib(process_id) <= 400 for process_id in workers.process_ids)


@pytest.mark.parametrize("kind", ["AVIF", "TIFF", "BMP", "GIF"])
async def test_black_is_recognised_in_formats_that_are_converted_too(workers: ImageWorkers, kind: str) -> None:
    (result,) = await read_results(workers, [saved(Image.new("RGB", (640, 480)), kind)], owner=1)
    assert result.is_black


def _silhouette(width: int, height: int) -> Image.Image:
    alpha = Image.new("L", (width, height))
    alpha.paste(255, (width // 3, height // 3, width // 2, height // 2))
    shape = Image.new("RGBA", (width, height))
    shape.putalpha(alpha)
    return shape


NOT_BLACK: dict[str, Callable[[], bytes]] = {
    "a black shape on nothing": lambda: saved(_silhouette(400, 400), "PNG"),
    "a black shape on nothing, WebP": lambda: saved(_silhouette(400, 400), "WEBP", lossless=True, exact=True),
    "a black shape on nothing, GIF": lambda: saved(_silhouette(400, 400), "GIF"),
    "a palette of two": lambda: saved(drawing((255, 255, 255)).quantize(2), "PNG"),
    "a white spot in 64 megapixels, WebP": lambda: saved(drawing((9, 9, 99), 8000), "WEBP", lossless=True, method=0),
    "one other colour in 64 megapixels, WebP": lambda: saved(
        Image.new("RGB", (8000, 8000), (10, 90, 10)), "WEBP", lossless=True
    ),
}


def drawing(colour: tuple[int, int, int], side: int = 400) -> Image.Image:
    made = Image.new("RGB", (side, side))
    made.paste(colour, (side // 2, side // 2, side // 2 + side // 10, side // 2 + side // 10))
    return made


@pytest.mark.parametrize("case", NOT_BLACK)
async def test_what_shows_anything_is_not_black(workers: ImageWorkers, case: str) -> None:
    (result,) = await read_results(workers, [NOT_BLACK[case]()], owner=1)
    assert not result.is_black


@given(
    colour=st.tuples(*[st.integers(0, 255)] * 4),
    mode=st.sampled_from(["RGB", "RGBA"]),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    method=st.integers(0, 6),
    spot=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_colour_read_from_a_webp_without_decoding_is_the_only_one(
    colour: tuple[int, int, int, int], mode: str, size: tuple[int, int], method: int, spot: bool
) -> None:
    made = Image.new(mode, size, colour[: len(mode)])
    if spot:
        made.putpixel((size[0] - 1, size[1] - 1), (1, 2, 3, 255)[: len(mode)])
    body = saved(made, "WEBP", lossless=True, exact=True, method=method)
    read = flat_colour(inspect(body))
    if read is not None:
        assert opened(body).convert("RGB").getcolors() == [(size[0] * size[1], read)]


@given(grey=st.integers(0, 255), quality=st.integers(5, 100), progressive=st.booleans())
def test_the_first_block_of_a_jpeg_is_read_right(grey: int, quality: int, progressive: bool) -> None:
    body = saved(Image.new("L", (256, 256), grey), "JPEG", quality=quality, progressive=progressive)
    decoded = opened(body).tobytes()[0]
    # A suspicion only, which a decoder checks: every black picture is suspected, and none that is clearly brighter.
    if decoded < DARK:
        assert may_be_black(inspect(body))
    elif decoded > DARK + 12:
        assert not may_be_black(inspect(body))


async def test_a_simple_drawing_is_not_black(workers: ImageWorkers) -> None:
    drawing = Image.new("RGB", (1024, 1024))
    drawing.paste((60, 60, 60), (500, 500, 540, 540))
    (result,) = await read_results(workers, [saved(drawing, "PNG")], owner=1)
    assert not result.is_black


@pytest.mark.parametrize("kind", ["AVIF", "TIFF", "BMP"])
async def test_what_discord_does_not_show_is_converted(workers: ImageWorkers, kind: str) -> None:
    (result,) = await read_results(workers, [saved(noise(200, 150), kind)], owner=1)

    assert result.picture.extension in ("jpg", "png")
    assert (result.picture.width, result.picture.height) == (200, 150)
    assert result.notices[0].code == "result_converted"


async def test_the_decoder_has_the_last_word_about_a_result(workers: ImageWorkers) -> None:
    body = motion_photo(noise(200, 150))
    with pytest.raises(ResultUnusable):
        inspect(body)

    (result,) = await read_results(workers, [body], owner=1)

    assert (result.picture.extension, result.picture.width) == ("jpg", 200)


async def test_what_is_no_picture_keeps_its_reason(workers: ImageWorkers) -> None:
    with raises_saying(ResultUnusable, match="what it sent is a web page"):
        await read_results(workers, [b"<html></html>"], owner=1)


# ---------------------------------------------------------------------- results that were made to keep us busy


def _thousands_of_chunks() -> bytes:
    begin, empty = saved(Image.new("RGB", (4_000, 4_000)), "PNG"), b"\0\0\0\0tEXt\0\0\0\0"
    return begin[:33] + empty * 1_000_000 + begin[33:]


def _thousands_of_parts() -> bytes:
    parts = b"VP8X\x0a\0\0\0\0\0\0\0" + (3_999).to_bytes(3, "little") * 2 + b"XXXX\0\0\0\0" * 1_500_000
    return b"RIFF" + (len(parts) + 4).to_bytes(4, "little") + b"WEBP" + parts


def _thousands_of_tables() -> bytes:
    plain = saved(Image.new("L", (4_000, 4_000)), "JPEG")
    tables = b"\xff\xc4\xff\xff" + b"\0" * 65_533
    return plain[:2] + tables * 600 + plain[2:]


@pytest.mark.parametrize("made", [_thousands_of_chunks, _thousands_of_parts, _thousands_of_tables])
def test_the_look_for_black_is_short_whatever_the_file(made: Callable[[], bytes]) -> None:
    picture = inspect(made())
    began_s = time.process_time()
    may_be_black(picture)
    assert time.process_time() - began_s < 0.1
