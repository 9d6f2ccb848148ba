"""Paints the stand-in's pictures: deterministic per model, prompt, seed, index and size."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from bot.sandbox.fal.order import Format


@dataclass(frozen=True, slots=True)
class Commission:
    """One picture to paint."""

    endpoint: str
    title: str
    prompt: str
    seed: int
    index: int
    width: int
    height: int
    format: Format
    transparent: bool = False
    #: The picture to be edited and its mask (white: paint here), encoded.
    picture: bytes | None = None
    mask: bytes | None = None
    #: Pictures that only influence the result.
    references: tuple[bytes, ...] = ()


def paint(commission: Commission) -> bytes:
    """The encoded picture. Slow (tens of milliseconds): call it from a worker thread."""
    return flat(commission.width, commission.height, commission.format, commission.seed % 8)


@lru_cache(maxsize=256)
def flat(width: int, height: int, format_: Format, shade: int) -> bytes:
    """A single-coloured picture that costs nothing the second time."""
    if format_ == "svg":
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"/>'.encode()
    colour = (30 + 25 * shade, 90 + 10 * shade, 220 - 22 * shade) if shade >= 0 else (0, 0, 0)
    return encode(Image.new("RGB", (width, height), colour), format_)


def black(width: int, height: int, format_: Format) -> bytes:
    """What fal's safety checker puts in place of a picture."""
    return flat(width, height, format_, -1)


def encode(picture: Image.Image, format_: Format) -> bytes:
    """Encode quickly rather than tightly."""
    out = io.BytesIO()
    if format_ == "png":
        picture.save(out, "PNG", compress_level=1)
    elif format_ == "webp":
        picture.save(out, "WEBP", quality=85, method=0)
    else:
        picture.convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()
