"""Fit pictures under Discord's limits, touching only those that do not fit.

The usual case returns the very objects given and costs nothing. Otherwise opaque pictures become JPEG (fast to
encode, and every Discord client shows it), pictures with transparency WebP: first down a ladder of qualities, then
smaller. Nothing is ever enlarged, and the same input gives the same bytes. An SVG is never rasterised here; one that
does not fit is refused.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.domain.picture import Picture
from bot.errors import ResultUnusable
from bot.media.image_thread import run_in_image_thread
from bot.media.picture import inspect
from bot.phrase import phrase

if TYPE_CHECKING:
    from PIL import Image

#: Discord refuses a message request above 25 MiB; the rest of the request (JSON, multipart borders) fits in this.
REQUEST_OVERHEAD_BYTES = 256 * 1024
REQUEST_LIMIT_BYTES = 25 * 1024 * 1024 - REQUEST_OVERHEAD_BYTES

_QUALITIES = (94, 88, 80)
#: Quality once the picture is being made smaller.
_SMALL_QUALITY = 85
_MIN_SIDE_PX = 64
_ENCODABLE = frozenset({"png", "jpg", "webp", "gif"})
#: Colour profiles above this are left out (most are 3 KB; some cameras add half a megabyte).
_MAX_PROFILE_BYTES = 64 * 1024


async def fit(
    pictures: Sequence[Picture], *, file_limit_bytes: int, request_limit_bytes: int = REQUEST_LIMIT_BYTES
) -> list[Picture]:
    """Every picture at most `file_limit_bytes`, all together at most `request_limit_bytes`.

    Raises:
        ResultUnusable: one can't be made small enough (an SVG, or a limit of a few bytes), or does not decode.
    """
    limit = fair_limit(pictures, file_limit_bytes, request_limit_bytes)
    fitted: list[Picture] = []
    for picture in pictures:
        if len(picture.body) <= limit or (
            picture.extension not in _ENCODABLE and len(picture.body) <= file_limit_bytes
        ):
            fitted.append(picture)
        elif picture.extension not in _ENCODABLE:
            raise _too_large(picture)
        else:
            fitted.append(await run_in_image_thread(shrink, picture, limit))
    return fitted


def fair_limit(pictures: Sequence[Picture], file_limit_bytes: int, request_limit_bytes: int) -> int:
    """The bytes one picture may have, so that all fit: small ones keep their size, the large share what is left.

    Raises:
        ResultUnusable: those that can't be re-encoded fill the request alone.
    """
    fixed = sum(len(picture.body) for picture in pictures if picture.extension not in _ENCODABLE)
    sizes = sorted(len(picture.body) for picture in pictures if picture.extension in _ENCODABLE)
    left = request_limit_bytes - fixed
    limit = file_limit_bytes
    for index, size in enumerate(sizes):
        share = left // (len(sizes) - index)
        if size > share:
            limit = min(file_limit_bytes, share)
            break
        left -= min(size, file_limit_bytes)
    if left < 0 or limit < 1:
        raise ResultUnusable(phrase("pictures_too_large"))
    return limit


def _too_large(picture: Picture) -> ResultUnusable:
    mebibytes = round(len(picture.body) / 1_048_576, 1)
    return ResultUnusable(phrase("picture_too_large", format=picture.extension.upper(), mebibytes=mebibytes))


# ---------------------------------------------------------------------- in the workshop (blocking)


def shrink(picture: Picture, limit_bytes: int) -> Picture:
    """The best re-encoding of at most `limit_bytes`: quality first, then size. Blocking."""
    image = open_upright(picture)
    body = picture.body
    for quality in _QUALITIES:
        body = _encode(image, quality)
        if len(body) <= limit_bytes:
            return inspect(body)
    while min(image.size) >= 2 * _MIN_SIDE_PX or max(image.size) > 512:
        # Bytes go with the area; aim a little below and never take smaller steps than a tenth.
        factor = min(0.9, math.sqrt(limit_bytes / len(body)) * 0.97)
        image = _scaled(image, max(0.25, factor))
        body = _encode(image, _SMALL_QUALITY)
        if len(body) <= limit_bytes:
            return inspect(body)
    raise _too_large(picture)


def open_upright(picture: Picture) -> Image.Image:
    """Decode (the first frame), turned as its EXIF says, as L, RGB or RGBA. Blocking.

    Raises:
        ResultUnusable: the bytes do not decode.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(picture.body), formats=("PNG", "JPEG", "WEBP", "GIF")) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
    except Exception as error:  # Pillow's decoders and EXIF reader raise whatever hostile bytes lead them to
        raise ResultUnusable(phrase("picture_damaged")) from error
    return _plain(upright)


def _plain(image: Image.Image) -> Image.Image:
    """The same picture as L, RGB or RGBA with 8 bits a channel; alpha only where something is transparent."""
    if image.mode.startswith("I;16"):
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        lowest, _ = rgba.getchannel("A").getextrema()
        return rgba if isinstance(lowest, int | float) and lowest < 255 else rgba.convert("RGB")
    if image.mode in ("L", "RGB"):
        return image
    rgb = image.convert("RGB")
    if image.mode not in ("P", "RGBA", "LA"):
        rgb.info.pop("icc_profile", None)  # it described other channels (CMYK, Lab)
    return rgb


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    from PIL import Image

    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _encode(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) > _MAX_PROFILE_BYTES:
        profile = None
    if image.mode == "RGBA":
        # method 2: half the time of the default for some 5 % more bytes.
        image.save(buffer, "WEBP", quality=quality, method=2, icc_profile=profile or b"", exif=b"", xmp=b"")
    else:
        image.save(buffer, "JPEG", quality=quality, optimize=False, icc_profile=profile, exif=b"")
    return buffer.getvalue()
