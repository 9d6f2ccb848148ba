"""Pictures of a given size for the fake fal: one PNG of noise, made once and served for every job."""

from __future__ import annotations

import asyncio
import math
import os
import struct
import zlib
from functools import cache
from typing import Any

from sandbox.fal import FakeFal

#: More than all pictures of a scenario: they share their bytes, so nothing is gained by forgetting some.
_KEPT_BYTES = 1 << 40


def serve_pictures_of(fal: FakeFal, size_bytes: int) -> None:
    """From now on every painting is one picture of about this many bytes, and costs nothing to make."""
    side_px = math.isqrt(size_bytes // 3)
    picture = noise_png(side_px)
    fal.files.limit_bytes = _KEPT_BYTES

    def paint(*_: Any) -> asyncio.Future[list[tuple[bytes, int, int]]]:
        done = asyncio.get_running_loop().create_future()
        done.set_result([(picture, side_px, side_px)])
        return done

    vars(fal.queue)["_paint"] = paint


@cache
def noise_png(side_px: int) -> bytes:
    """A square PNG that no compression makes smaller."""
    rows = b"".join(b"\0" + os.urandom(3 * side_px) for _ in range(side_px))
    head = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
