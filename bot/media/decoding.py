"""Pillow's work: decode, set right, encode. Everything here runs in the decoding process (`bot.media.worker`).

What comes out is always alike: sRGB with 8 bits a channel, the first frame, upright, without metadata.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import warnings
from dataclasses import dataclass, field
from typing import IO, Any

from PIL import Image, ImageChops, ImageCms, ImageOps

from bot.media.guards import Structure, check_structure
from bot.media.headers import MAX_JPEG_PIXELS, Header, Unsound, jpeg_scale, read_header
from bot.phrase import Phrase, phrase

#: Pillow's own check, which speaks when a file says one size in its header and another one later.
Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)

#: Side of the small grey copy by which pictures are compared.
LOOK_SIDE_PX = 32
#: Colours of a flat picture may differ by so much (JPEG's rounding).
FLAT_WITHIN = 8

_QUALITIES = (94, 88, 80)
#: Quality once a picture is being made smaller.
_SMALL_QUALITY = 85
_INPUT_QUALITY = 92
_MIN_SIDE_PX = 64
#: Larger pictures are made smaller in bands of so many rows.
_AT_ONCE_PIXELS = 16_800_000
_BAND_PX = 256
#: Colour profiles above this are not read (most have 3 KB; some cameras add half a megabyte).
_MAX_PROFILE_BYTES = 1024 * 1024
#: Formats that models read; the others are written as PNG or JPEG.
_KEPT_FORMATS = frozenset({"PNG", "JPEG", "WEBP"})
#: Opaque pictures of these formats are photos: JPEG, not PNG.
_PHOTO_FORMATS = frozenset({"JPEG", "HEIF", "AVIF", "TIFF"})
_PLAIN_MODES = {"PNG": ("L", "RGB", "RGBA"), "JPEG": ("L", "RGB"), "WEBP": ("RGB", "RGBA")}
#: Formats that Pillow itself shows upright, so that width and height may have changed places.
_TURNED_BY_DECODER = frozenset({"HEIF", "AVIF", "TIFF"})
#: A mask's pixels count as black or white within this, which JPEG's rounding stays in.
_NEARLY = 16
#: What is drawn on transparent ground is a light drawing from this mean grey on.
_LIGHT = 128


@dataclass(slots=True)
class Decoded:
    """A picture, its claim, and what was found on the way."""

    image: Image.Image
    header: Header
    structure: Structure
    #: Of the file, in bytes.
    length: int
    #: As the picture would be shown, before anything was made smaller.
    full_size: tuple[int, int]
    #: EXIF's number, 1 to 8.
    orientation: int
    #: Whether the file may go on as it is.
    is_clean: bool
    notices: list[Phrase] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Made:
    """What a task hands back. Without `body` the file that came in is right as it is."""

    width: int
    height: int
    body: bytes | None = None
    notices: tuple[Phrase, ...] = ()
    #: 32 × 32 grey values.
    look: bytes = b""
    #: The one colour of a flat picture.
    flat: tuple[int, int, int] | None = None


# ---------------------------------------------------------------------- tasks


def prepare(file: IO[bytes], *, max_pixels: int, max_side_px: int, max_bytes: int) -> Made:
    """A person's picture as a model takes it.

    Raises:
        Unsound: it is no picture, or can't be decoded.
    """
    decoded = decode(file)
    if decoded.is_clean and _fits(decoded.image.size, max_pixels, max_side_px) and decoded.length <= max_bytes:
        return Made(*decoded.image.size, look=_look(decoded.image))
    image = _upright(decoded, max_pixels, max_side_px)
    encoded = _encode_input(image, decoded, max_bytes)
    if encoded is None:  # only possible where a model takes next to nothing
        raise Unsound(phrase("file_too_large", mebibytes=max_bytes // 1_048_576))
    result, encoded_body = encoded
    notices = [*decoded.notices]
    if math.prod(result.size) < math.prod(decoded.full_size):
        notices.append(phrase("picture_shrunk", before=_size(decoded.full_size), after=_size(result.size)))
    return Made(*result.size, encoded_body, tuple(notices), _look(result))


def prepare_mask(file: IO[bytes], *, width: int, height: int, picture_look: bytes) -> Made:
    """A mask in black and white with exactly the picture's dimensions.

    Raises:
        Unsound: as above, or `mask_shape`, `mask_empty`, `mask_all_black`, `mask_all_white`, `mask_is_picture`.
    """
    decoded = decode(file)
    given = decoded.full_size
    if abs(given[0] / given[1] / (width / height) - 1) > MAX_SHAPE_DIFFERENCE:
        raise Unsound(phrase("mask_shape", mask=f"{given[0]}×{given[1]}", picture=f"{width}×{height}"))
    as_it_is = decoded.is_clean and decoded.image.mode in ("L", "RGB") and decoded.image.size == (width, height)
    image = _upright(decoded, width * height, max(width, height))
    grey, notices = _as_mask(image, picture_look)
    _check_mask(grey)
    if as_it_is and not notices:
        return Made(width, height, look=_look(grey))
    if grey.size != (width, height):
        grey = grey.resize((width, height), Image.Resampling.NEAREST)
    return Made(width, height, _saved(grey, "PNG", compress_level=3), (*decoded.notices, *notices), _look(grey))


def shrink(file: IO[bytes], *, limit_bytes: int) -> Made:
    """A result in at most `limit_bytes`: quality first, then size.

    Raises:
        Unsound: it does not decode, or `pictures_too_large`.
    """
    decoded = decode(file)
    image = _upright(decoded, decoded.header.pixels, max(decoded.full_size))
    found = _ladder(image, limit_bytes)
    if found is None:
        raise Unsound(phrase("pictures_too_large"))
    result, encoded = found
    if result.size != decoded.full_size:
        decoded.notices.append(phrase("result_made_smaller", before=_size(decoded.full_size), after=_size(result.size)))
    return Made(*result.size, encoded, tuple(decoded.notices))


def find_flat(file: IO[bytes]) -> Made:
    """Whether a result is one colour from edge to edge: what safety checkers put in a picture's place."""
    image = decode(file).image
    bands = _extrema(image)
    if any(highest - lowest > FLAT_WITHIN for lowest, highest in bands):
        return Made(*image.size)
    middle = [(lowest + highest) // 2 for lowest, highest in bands]
    return Made(*image.size, flat=(middle[0], middle[1], middle[2]) if len(bands) > 2 else (middle[0],) * 3)


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    """Lowest and highest value of red, green, blue and alpha, or of grey and alpha.

    Nothing is made of the picture meanwhile, where that can be helped: the largest ones just fit.
    """
    if image.mode == "P":
        return _extrema_of_palette(image)
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA") and not image.mode.startswith("I"):
        image = _plain(image)
    found = [(float(low), float(high)) for low, high in _pairs(image.getextrema())]
    step = _step(*found[0]) if image.mode == "I" else 257.0 if image.mode.startswith("I") else 1.0
    return [(int(low / step), int(high / step)) for low, high in found]


def _extrema_of_palette(image: Image.Image) -> list[tuple[int, int]]:
    """Those of the colours that are used."""
    palette, clear = image.getpalette("RGB") or [], image.info.get("transparency")
    colours = []
    for index, times in enumerate(image.histogram()):
        if times:
            is_clear = index == clear if isinstance(clear, int) else False
            alpha = clear[index] if isinstance(clear, bytes) and index < len(clear) else 255 * (not is_clear)
            colours.append((*palette[3 * index : 3 * index + 3], alpha))
    return [(min(band), max(band)) for band in zip(*colours, strict=True)]


def _pairs(extrema: Any) -> list[tuple[float, float]]:
    """Of one band Pillow tells a pair, of several a tuple of pairs."""
    return list(extrema) if isinstance(extrema[0], tuple) else [extrema]


# ---------------------------------------------------------------------- decoding


def decode(file: IO[bytes]) -> Decoded:
    """Decode the first frame, JPEG of many megapixels at a fraction of its size.

    Raises:
        Unsound: the file is no picture we name, lies about itself, or does not decode.
    """
    length = os.fstat(file.fileno()).st_size
    if not length:
        raise Unsound(phrase("picture_empty"))
    with mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ) as body:
        header = read_header(body)
        structure = check_structure(body, header)
    try:
        return _decode(file, length, header, structure)
    except MemoryError as error:
        raise Unsound(phrase("picture_takes_too_much_memory")) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unsound(phrase("picture_hostile")) from error
    except Unsound:
        raise
    except Exception as error:  # Pillow's decoders and EXIF reader raise whatever hostile bytes lead them to
        is_cut_off = isinstance(error, OSError) and "truncated" in str(error).lower()
        raise Unsound(phrase("picture_cut_off") if is_cut_off else phrase("picture_damaged")) from error


def _decode(file: IO[bytes], length: int, header: Header, structure: Structure) -> Decoded:
    if header.format == "HEIF":
        _register_heif()
    image: Image.Image = Image.open(file, formats=(header.format,))
    _check_claim(image, header)
    full_size = image.size
    if header.format == "JPEG" and (scale := jpeg_scale(header.pixels)) > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    if math.prod(image.size) > header.pixels:
        raise Unsound(phrase("picture_hostile"))
    orientation = _orientation(image)
    is_animated = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    is_clean = (
        image.format in _KEPT_FORMATS
        and image.mode in _PLAIN_MODES[image.format]
        and image.size == full_size
        and structure.is_whole
        and not (is_animated or structure.has_metadata or structure.has_trailer or structure.is_deep)
        and "transparency" not in image.info
        and orientation == 1
        and _is_srgb(image)
    )
    if header.format == "WEBP":
        image = image.copy()  # its decoder keeps two canvases
    return Decoded(
        image,
        header,
        structure,
        length,
        full_size[::-1] if orientation >= 5 else full_size,
        orientation,
        is_clean,
        [phrase("picture_first_frame")] if is_animated else [],
    )


def _register_heif() -> None:
    """Raises Unsound where the operator left pillow-heif out (see NOTICE)."""
    try:
        import pillow_heif
    except ImportError as error:
        raise Unsound(phrase("file_unreadable", format="HEIC")) from error

    # One thread: their stacks would count as memory.
    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def _check_claim(image: Image.Image, header: Header) -> None:
    """What Pillow is about to decode must be what the header said, on which time and memory were measured."""
    claimed = (header.width, header.height)
    matches = math.prod(image.size) <= header.pixels if header.format in _TURNED_BY_DECODER else image.size == claimed
    if not matches:
        raise Unsound(phrase("picture_hostile"))


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(0x0112, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_srgb(image: Image.Image) -> bool:
    """Whether the colours are sRGB: no profile, or one of that name."""
    profile = image.info.get("icc_profile")
    if not profile:
        return True
    try:
        described = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return described.strip().lower().startswith("srgb")


# ---------------------------------------------------------------------- setting right


def _fits(size: tuple[int, int], max_pixels: int, max_side_px: int) -> bool:
    return math.prod(size) <= max_pixels and max(size) <= max_side_px


def _upright(decoded: Decoded, max_pixels: int, max_side_px: int) -> Image.Image:
    """L, RGB or RGBA with 8 bits in sRGB, upright, at most so large."""
    image, decoded.image = decoded.image, _NOTHING
    try:
        factor = min(1.0, math.sqrt(max_pixels / math.prod(image.size)), max_side_px / max(image.size))
        if factor < 1.0 and image.mode not in ("P", "1"):  # first of all: the rest needs less memory then
            image = _scaled(image, factor)
        image = _plain(_as_srgb(image))
        if factor < 1.0 and not _fits(image.size, max_pixels, max_side_px):
            image = _scaled(image, factor)
        turn = _TURNS.get(decoded.orientation)
        return image.transpose(turn) if turn is not None else image
    except MemoryError as error:
        raise Unsound(phrase("picture_takes_too_much_memory")) from error
    except Exception as error:  # as in `decode`
        raise Unsound(phrase("picture_damaged")) from error


#: In place of an image that is not needed any more.
_NOTHING = Image.new("1", (1, 1))
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _as_srgb(image: Image.Image) -> Image.Image:
    """The same colours in sRGB; a profile that can't be used is passed over."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > _MAX_PROFILE_BYTES or _is_srgb(image):
        return image
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode=mode,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted if converted is not None else image


def _plain(image: Image.Image) -> Image.Image:
    """L, RGB or RGBA with 8 bits a channel; alpha only where something is transparent."""
    if image.mode.startswith("I;16"):
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    elif image.mode in ("I", "F"):
        lowest, highest = image.getextrema()
        image = image.point(lambda value: value / _step(lowest, highest)).convert("L")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        lowest, _ = rgba.getchannel("A").getextrema()
        return rgba if isinstance(lowest, int | float) and lowest < 255 else rgba.convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _step(lowest: object, highest: object) -> float:
    """By what the values of an integer or float picture are divided: nothing, 16 bits or 32."""
    top = highest if isinstance(highest, int | float) else 0
    return 1.0 if top <= 255 else 257.0 if top <= 65_535 else float(top) / 255


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(1, int(side * factor)) for side in image.size)
    if image.mode.startswith("I;16"):
        return image.resize((width, height), Image.Resampling.BOX)
    if math.prod(image.size) <= _AT_ONCE_PIXELS or image.mode not in ("L", "RGB"):
        return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    # In bands: the picture made narrow but not yet low would take as much again.
    scaled = Image.new(image.mode, (width, height))
    for top in range(0, height, _BAND_PX):
        bottom = min(top + _BAND_PX, height)
        box = (0.0, top * image.height / height, float(image.width), bottom * image.height / height)
        scaled.paste(image.resize((width, bottom - top), Image.Resampling.LANCZOS, box=box), (0, top))
    scaled.info = image.info
    return scaled


def _size(size: tuple[int, int]) -> str:
    """As people read it."""
    return f"{size[0]}×{size[1]}"


# ---------------------------------------------------------------------- masks

#: Alpha, 0 to 255, that hides nothing.
_OPAQUE = 248
#: How far a pixel's channels lie apart at least, in a colour that is no grey; JPEG's rounding stays below.
_COLOURED = 64
#: A mask whose shape differs by more than this was made for another picture.
MAX_SHAPE_DIFFERENCE = 0.03


def _as_mask(image: Image.Image, picture_look: bytes) -> tuple[Image.Image, tuple[Phrase, ...]]:
    """The mask in grey; of the picture itself with a hole in it, the hole."""
    seen = _opaque(image)
    if not (picture_look and _alike(_look(image), picture_look, seen)):
        return _without_alpha(image)
    if seen is None or image.getchannel("A").getextrema()[0] >= 128:  # type: ignore[operator]  # one band
        raise Unsound(phrase("mask_is_picture"))
    return ImageOps.invert(image.getchannel("A")), (phrase("mask_erased_is_white"),)


def _opaque(image: Image.Image) -> bytes | None:
    """How opaque each place of its small copy is, 0 to 255; None for an image without transparency."""
    if image.mode != "RGBA":
        return None
    return image.getchannel("A").resize((LOOK_SIDE_PX, LOOK_SIDE_PX), Image.Resampling.BOX).tobytes()


def _without_alpha(image: Image.Image) -> tuple[Image.Image, tuple[Phrase, ...]]:
    """A mask in grey, its transparency flattened by this rule.

    A light drawing: what is drawn stays, the ground is black. Otherwise, where most is drawn: what was erased is
    white, what is left is black. Otherwise: what is drawn is white, the ground is black.
    """
    if image.mode != "RGBA":
        painted = _painted_in_colour(image)
        return (image.convert("L"), ()) if painted is None else (painted, (phrase("mask_colour_is_white"),))
    alpha = image.getchannel("A")
    drawn = alpha.point(lambda value: 255 if value >= 128 else 0)
    count = drawn.histogram()[255]
    if count == 0:
        raise Unsound(phrase("mask_empty"))
    grey = image.convert("L")
    histogram = grey.histogram(drawn)
    mean = sum(value * times for value, times in enumerate(histogram)) / count
    if mean >= _LIGHT:
        ground = Image.new("L", image.size, 0)
        ground.paste(grey, mask=alpha)
        return ground, (phrase("mask_light_is_drawn"),)
    if count * 2 >= math.prod(image.size):
        return ImageOps.invert(alpha), (phrase("mask_erased_is_white"),)
    return alpha, (phrase("mask_drawn_is_white"),)


def _painted_in_colour(image: Image.Image) -> Image.Image | None:
    """What is painted in a colour on a ground of one white, grey or black, as white on black; None for other masks.

    In grey, blue on white would be dark on light: the ground would change, and what was painted would stay.
    """
    if image.mode != "RGB":
        return None
    red, green, blue = image.split()
    lightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    coloured = ImageChops.subtract(lightest, darkest).point(lambda value: 255 if value >= _COLOURED else 0)
    ground = image.convert("L").histogram(ImageChops.invert(coloured))
    neutral, total = sum(ground), math.prod(image.size)
    if (total - neutral) * 1000 < total or neutral * 100 < total:
        return None
    usual = max(range(256), key=ground.__getitem__)
    alike = sum(ground[max(0, usual - _COLOURED) : usual + _COLOURED])
    return coloured if alike * 50 >= neutral * 49 else None  # edges of strokes are in between


def _check_mask(grey: Image.Image) -> None:
    lowest, highest = (int(value) for value in grey.getextrema())  # type: ignore[arg-type]
    if highest < _NEARLY:
        raise Unsound(phrase("mask_all_black"))
    if lowest > 255 - _NEARLY:
        raise Unsound(phrase("mask_all_white"))
    if highest - lowest < _NEARLY:
        raise Unsound(phrase("mask_one_grey"))


def _look(image: Image.Image) -> bytes:
    """A small grey copy."""
    small = image.convert("RGB") if image.mode == "RGBA" else image
    return small.resize((LOOK_SIDE_PX, LOOK_SIDE_PX), Image.Resampling.BOX).convert("L").tobytes()


def _alike(look: bytes, other: bytes, seen: bytes | None) -> bool:
    """Whether two pictures look the same, and like a picture at all: a mask of black and white is none.

    Args:
        seen: `_OPAQUE` or more at each place of `look` that counts; None where all do. One in twenty must.
    """
    if len(look) != len(other):
        return False
    pairs = [pair for at, pair in enumerate(zip(look, other, strict=True)) if seen is None or seen[at] >= _OPAQUE]
    middle = sum(32 <= two < 224 for _, two in pairs)
    difference = sum(abs(one - two) for one, two in pairs)
    return len(pairs) * 20 >= len(look) and middle * 10 >= len(pairs) and difference < 4 * len(pairs)


# ---------------------------------------------------------------------- encoding


def _encode_input(image: Image.Image, decoded: Decoded, max_bytes: int) -> tuple[Image.Image, bytes] | None:
    kind = decoded.header.format
    if kind == "WEBP" and not decoded.structure.is_lossless:
        body = _saved(image, "WEBP", quality=_INPUT_QUALITY, method=1)
    elif kind in _PHOTO_FORMATS and image.mode != "RGBA":
        body = _saved(image, "JPEG", quality=_INPUT_QUALITY)
    else:
        body = _saved(image, "PNG", compress_level=3)
    return (image, body) if len(body) <= max_bytes else _ladder(image, max_bytes)


def _ladder(image: Image.Image, limit_bytes: int) -> tuple[Image.Image, bytes] | None:
    """The best encoding of at most `limit_bytes`; None when there is none. Never enlarged, always the same bytes."""
    body = b""
    for quality in _QUALITIES:
        body = _encode(image, quality)
        if len(body) <= limit_bytes:
            return image, body
    while min(image.size) >= 2 * _MIN_SIDE_PX or max(image.size) > 512:
        # Bytes go with the area; aim a little below and never take smaller steps than a tenth.
        factor = min(0.9, math.sqrt(limit_bytes / len(body)) * 0.97)
        image = _scaled(image, max(0.25, factor))
        body = _encode(image, _SMALL_QUALITY)
        if len(body) <= limit_bytes:
            return image, body
    return None


def _encode(image: Image.Image, quality: int) -> bytes:
    if image.mode == "RGBA":
        # method 2: half the time of the default for some 5 % more bytes.
        return _saved(image, "WEBP", quality=quality, method=2)
    return _saved(image, "JPEG", quality=quality, optimize=False)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Without anything that Pillow would carry over from the file that it came from."""
    image.info = {}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
