"""Real pictures for tests, and the hostile ones."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

from PIL import Image

from bot.domain.picture import Picture
from bot.media.picture import inspect


def noise(width: int, height: int, mode: str = "RGB", seed: int = 1) -> Image.Image:
    """A picture that hardly compresses."""
    bands = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    return Image.frombytes(mode, (width, height), random.Random(seed).randbytes(width * height * bands))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Its bytes in this format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(width: int = 64, height: int = 48, kind: str = "PNG", mode: str = "RGB", **options: Any) -> Picture:
    """A checked picture."""
    return inspect(saved(noise(width, height, mode), kind, **options))


def opened(body: bytes) -> Image.Image:
    """Decoded by Pillow, to the last pixel."""
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG that claims these dimensions, with these compressed bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """A PNG of some 600 KB whose 203 million pixels take 814 MB once decoded."""
    side, rows_a_block = 14_265, 317
    squeezer = zlib.compressobj(9, wbits=-15)
    block = squeezer.compress(bytes((1 + side * 3) * rows_a_block)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    length = (1 + side * 3) * side
    checksum = (length % 65_521) << 16 | 1  # Adler-32 of so many zeros
    return png_of(side, side, b"\x78\xda" + block * (side // rows_a_block) + b"\x03\x00" + struct.pack(">I", checksum))


def exif(orientation: int = 1) -> Image.Exif:
    """A camera's notes, with the place."""
    notes = Image.Exif()
    notes[0x010F] = "Camera & Co"
    notes[0x0112] = orientation
    notes.get_ifd(0x8825)[1] = "N"
    notes.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return notes
