"""Pictures as people's phones and programs write them; what comes out is always alike."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from bot.domain.picture import InputNeeds, PreparedInput
from bot.media.inputs import prepare_input
from bot.media.workers import ImageWorkers
from tests.media.hostile import heic, motion_photo
from tests.media.paint import exif, noise, opened, saved

SIZE = (400, 300)


def drawing(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Four fields of colour: red and green above, blue and white below."""
    image = Image.new("RGB", size, (220, 30, 30))
    half_width, half_height = size[0] // 2, size[1] // 2
    image.paste((30, 200, 30), (half_width, 0, size[0], half_height))
    image.paste((30, 30, 220), (0, half_height, half_width, size[1]))
    image.paste((250, 250, 250), (half_width, half_height, *size))
    return image.convert(mode)


def wide_gamut() -> bytes:
    """A colour profile that is not sRGB: green and blue are swapped in it, so that using it shows."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[:] = profile.replace(b"sRGB built-in", b"Swapped wide!")
    profile[:] = profile.replace("sRGB built-in".encode("utf-16-be"), "Swapped wide!".encode("utf-16-be"))
    return bytes(profile).replace(b"gXYZ", b"XXXX").replace(b"bXYZ", b"gXYZ").replace(b"XXXX", b"bXYZ")


def deep_grey() -> bytes:
    """16 bits a pixel; the left half at 25 %, the right half at 75 %."""
    row = (16_384).to_bytes(2, "little") * 200 + (49_152).to_bytes(2, "little") * 200
    return saved(Image.frombytes("I;16", SIZE, row * SIZE[1]), "PNG")


def deep_colour() -> bytes:
    """A PNG of 16 bits a channel, by hand: Pillow writes none."""
    import struct
    import zlib

    from tests.media.paint import chunk

    row = b"\0" + struct.pack(">HHH", 0xDC00, 0x1E00, 0x1E00) * SIZE[0]
    header = struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    pixels = zlib.compress(row * SIZE[1])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def animated(kind: str) -> bytes:
    """The drawing, then black."""
    return saved(drawing(), kind, save_all=True, append_images=[Image.new("RGB", SIZE)], duration=100)


def turned(kind: str, orientation: int) -> bytes:
    """Stored lying, shown upright as the drawing, with the place where it was taken."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = drawing().transpose(undo[orientation]) if orientation in undo else drawing()
    return saved(image, kind, exif=exif(orientation))


#: Each shows the drawing (in colour or grey), and none may go to a model as it is.
ODD: dict[str, Callable[[], bytes]] = {
    "CMYK JPEG": lambda: saved(drawing("CMYK"), "JPEG", quality=95),
    "palette PNG": lambda: saved(drawing().quantize(8), "PNG"),
    "palette PNG with transparency": lambda: saved(drawing().quantize(8), "PNG", transparency=7),
    "one bit PNG": lambda: saved(Image.new("1", SIZE, 1), "PNG"),
    "LA PNG": lambda: saved(drawing("LA"), "PNG"),
    "RGBA PNG, opaque, with a note": lambda: with_note(drawing("RGBA")),
    "animated WebP": lambda: animated("WEBP"),
    "animated PNG": lambda: animated("PNG"),
    "animated GIF": lambda: animated("GIF"),
    "GIF": lambda: saved(drawing(), "GIF"),
    "BMP": lambda: saved(drawing(), "BMP"),
    "TIFF": lambda: saved(drawing(), "TIFF"),
    "TIFF in CMYK": lambda: saved(drawing("CMYK"), "TIFF"),
    "TIFF, packed": lambda: saved(drawing(), "TIFF", compression="tiff_lzw"),
    "AVIF": lambda: saved(drawing(), "AVIF", quality=90),
    "HEIC": lambda: heic(drawing()),
    "HEIC, brand mif1": lambda: heic(drawing(), b"mif1"),
    "HEIC, brand heim": lambda: heic(drawing(), b"heim"),
    "HEIC, brand msf1": lambda: heic(drawing(), b"msf1"),
    "motion photo": lambda: motion_photo(drawing()),
    "JPEG with a comment": lambda: saved(drawing(), "JPEG", comment=b"made by hand"),
    "JPEG with an archive behind it": lambda: saved(drawing(), "JPEG", quality=95) + b"PK\x03\x04" * 40_000,
    "several JPEGs in one file (MPO)": lambda: saved(
        drawing(), "MPO", save_all=True, append_images=[Image.new("RGB", SIZE)]
    ),
}


def with_note(image: Image.Image) -> bytes:
    """A PNG with a line of text."""
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("Comment", "taken at home")
    return saved(image, "PNG", pnginfo=notes)


async def prepared(workers: ImageWorkers, body: bytes, needs: InputNeeds | None = None) -> PreparedInput:
    """As a model gets it."""
    return await prepare_input(workers, body, option="image", owner=1, needs=needs)


def differs_from_drawing(image: Image.Image) -> float:
    """Mean difference of the channels, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(image.convert("RGB"), drawing(size=image.size))).mean)


@pytest.mark.parametrize("case", ODD)
async def test_every_odd_picture_becomes_a_plain_one(workers: ImageWorkers, case: str) -> None:
    body = ODD[case]()

    picture = (await prepared(workers, body)).picture

    image = opened(picture.body)
    assert image.format in ("PNG", "JPEG", "WEBP")
    assert image.mode in ("L", "RGB", "RGBA")
    assert (picture.width, picture.height) == image.size == SIZE
    assert not getattr(image, "is_animated", False)
    assert not image.getexif()
    assert not set(image.info) & {"icc_profile", "comment", "Comment", "xmp", "transparency", "exif"}
    assert len(picture.body) < 400_000
    if "LA" not in case and "one bit" not in case:
        assert differs_from_drawing(image) < 20


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
async def test_a_turned_picture_is_upright_without_its_place(
    workers: ImageWorkers, kind: str, orientation: int
) -> None:
    body = turned(kind, orientation)

    picture = (await prepared(workers, body)).picture

    image = opened(picture.body)
    assert image.size == SIZE
    assert differs_from_drawing(image) < 6
    assert not image.getexif()
    assert b"Camera & Co" not in picture.body


async def test_a_turned_heic_is_upright(workers: ImageWorkers) -> None:
    lying = drawing().transpose(Image.Transpose.ROTATE_90)
    picture = (await prepared(workers, heic(lying, exif=exif(6).tobytes()))).picture
    assert (picture.width, picture.height) == SIZE
    assert differs_from_drawing(opened(picture.body)) < 6


async def test_16_bits_become_8_with_the_same_brightness(workers: ImageWorkers) -> None:
    image = opened((await prepared(workers, deep_grey())).picture.body)
    assert image.mode == "L"
    assert (image.getpixel((50, 50)), image.getpixel((350, 50))) == (63, 191)


async def test_16_bits_a_channel_become_8(workers: ImageWorkers) -> None:
    body = deep_colour()
    picture = (await prepared(workers, body)).picture
    assert picture.body[24] == 8  # the depth in a PNG's header
    assert opened(picture.body).getpixel((50, 50)) == (0xDC, 0x1E, 0x1E)


async def test_colours_of_another_profile_become_srgb(workers: ImageWorkers) -> None:
    body = saved(Image.new("RGB", SIZE, (30, 220, 30)), "JPEG", quality=95, icc_profile=wide_gamut())

    image = opened((await prepared(workers, body)).picture.body)

    red, green, blue = image.getpixel((50, 50))  # type: ignore[misc]
    assert "icc_profile" not in image.info
    assert blue > 150 > green, (red, green, blue)


async def test_a_profile_that_is_rubbish_is_passed_over(workers: ImageWorkers) -> None:
    body = saved(drawing(), "JPEG", quality=95, icc_profile=b"rubbish" * 500)
    image = opened((await prepared(workers, body)).picture.body)
    assert differs_from_drawing(image) < 6
    assert "icc_profile" not in image.info


PLAIN = {
    "PNG": saved(drawing(), "PNG"),
    "PNG with alpha": saved(noise(64, 48, "RGBA"), "PNG"),
    "grey PNG": saved(noise(64, 48, "L"), "PNG"),
    "JPEG": saved(drawing(), "JPEG"),
    "progressive JPEG": saved(drawing(), "JPEG", progressive=True),
    "grey JPEG": saved(drawing("L"), "JPEG"),
    "WebP": saved(drawing(), "WEBP"),
    "JPEG with sRGB's own profile": saved(
        drawing(), "JPEG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    ),
}


@pytest.mark.parametrize("case", PLAIN)
async def test_a_plain_picture_is_taken_as_it_is(workers: ImageWorkers, case: str) -> None:
    taken = await prepared(workers, PLAIN[case])
    assert taken.picture.body == PLAIN[case]
    assert taken.notices == ()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
async def test_the_first_frame_counts_and_that_is_said(workers: ImageWorkers, kind: str) -> None:
    taken = await prepared(workers, animated(kind))
    assert [notice.code for notice in taken.notices] == ["picture_first_frame"]
    assert differs_from_drawing(opened(taken.picture.body)) < 20


async def test_transparency_is_kept(workers: ImageWorkers) -> None:
    image = drawing("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 50, 50))
    taken = opened((await prepared(workers, with_note(image))).picture.body)
    assert taken.mode == "RGBA"
    assert taken.getchannel("A").getextrema() == (0, 255)


# ---------------------------------------------------------------------- larger than a model takes


HUGE: dict[str, tuple[tuple[int, int], str, dict[str, int]]] = {
    "a photo of 50 megapixels": ((8160, 6144), "JPEG", {"quality": 60}),
    "a panorama": ((12_000, 3_000), "JPEG", {"quality": 60}),
    "a PNG of 20 megapixels": ((5_000, 4_000), "PNG", {"compress_level": 1}),
    "a WebP of 18 megapixels": ((4_500, 4_000), "WEBP", {"method": 0, "quality": 50}),
    "a photo of 192 megapixels": ((16_000, 12_000), "JPEG", {"quality": 20}),
}


@pytest.mark.parametrize("case", HUGE)
async def test_a_huge_picture_is_shrunk_with_a_notice(workers: ImageWorkers, case: str) -> None:
    size, kind, options = HUGE[case]
    body = saved(drawing(size=size), kind, **options)
    needs = InputNeeds()

    taken = await prepared(workers, body, needs)

    picture = taken.picture
    (notice,) = taken.notices
    assert notice.code == "picture_shrunk"
    assert notice.params == {"before": f"{size[0]}×{size[1]}", "after": f"{picture.width}×{picture.height}"}
    assert picture.width * picture.height <= needs.max_pixels
    assert max(picture.width, picture.height) <= needs.max_side_px
    assert picture.width * picture.height > needs.max_pixels / 4
    assert abs(picture.width / picture.height / (size[0] / size[1]) - 1) < 0.01
    assert differs_from_drawing(opened(picture.body)) < 8


@pytest.mark.parametrize(
    ("needs", "is_met"),
    [
        (InputNeeds(max_pixels=10_000), lambda one: one.width * one.height <= 10_000),
        (InputNeeds(max_side_px=100), lambda one: (one.width, one.height) == (100, 75)),
        (InputNeeds(max_bytes=30_000), lambda one: len(one.body) <= 30_000),
    ],
    ids=["pixels", "side", "bytes"],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_a_models_own_limits_are_met(
    workers: ImageWorkers, needs: InputNeeds, is_met: Callable[[object], bool], mode: str
) -> None:
    taken = await prepared(workers, saved(noise(*SIZE, mode), "PNG"), needs)
    assert is_met(taken.picture)


async def test_a_seam_is_not_seen_where_a_picture_was_made_smaller_in_bands(workers: ImageWorkers) -> None:
    slope = Image.linear_gradient("L").resize((5_000, 5_000)).convert("RGB")
    body = saved(slope, "PNG", compress_level=1)

    image = opened((await prepared(workers, body)).picture.body).convert("L")

    at_once = slope.convert("L").resize(image.size, Image.Resampling.LANCZOS)
    assert max(ImageChops.difference(image, at_once).histogram()[3:]) == 0


def test_what_is_compared_can_tell_a_swap() -> None:
    body = io.BytesIO(saved(drawing().transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG")).getvalue()
    assert differs_from_drawing(opened(body)) > 50
