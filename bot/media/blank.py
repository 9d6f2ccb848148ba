"""Whether a result may be black from edge to edge, which is what safety checkers put in a picture's place.

Told from a few bytes, without a decoder: one colour takes next to no bytes, and the first pixel is dark. Only what
passes both is worth a decoder's look.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from bot.domain.picture import Picture
from bot.media.headers import FRAME_MARKERS, PNG_SIGNATURE, jpeg_segments

#: The most bytes that one colour takes, after compression: 0.028 a pixel in JPEG without subsampling, and tables.
_FLAT_BYTES_PER_PIXEL = 0.03
_FLAT_BYTES = 1_500
#: More parts than this, and longer tables, are in no flat picture; a hostile one would keep the event loop busy.
_MOST_CHUNKS, _MOST_TABLE_BYTES = 10_000, 4_096
#: Up to this a channel counts as black.
DARK = 24


def may_be_black(picture: Picture) -> bool:
    """Whether a decoder's look is worth it. False is certain, as far as the file is sound."""
    most = _FLAT_BYTES + _FLAT_BYTES_PER_PIXEL * picture.width * picture.height
    try:
        match picture.extension:
            case "png":
                return _png_pixel_bytes(picture.body, most) <= most and _is_png_dark(picture.body)
            case "jpg":
                return _jpeg_pixel_bytes(picture.body) <= most and _is_jpeg_dark(picture.body)
            case "webp":
                return _webp_pixel_bytes(picture.body, most) <= most
            case "gif":
                return len(picture.body) <= most
    except (IndexError, KeyError, ValueError, struct.error, zlib.error):
        return len(picture.body) <= most
    return False


# ---------------------------------------------------------------------- how many bytes hold the pixels


def _png_chunks(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start of the content, its length)."""
    at = len(PNG_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(body):
            return
        length, name = struct.unpack(">I4s", body[at : at + 8])
        yield name, at + 8, length
        at += 12 + length
    raise ValueError("too many chunks")


def _png_pixel_bytes(body: bytes, enough: float) -> int:
    total = 0
    for name, _, length in _png_chunks(body):
        total += length if name == b"IDAT" else 0
        if total > enough:
            break
    return total


def _jpeg_pixel_bytes(body: bytes) -> int:
    """From the first scan to the end of the file."""
    return len(body) - next(end for marker, _, end in jpeg_segments(body) if marker == 0xDA)


def _webp_pixel_bytes(body: bytes, enough: float) -> int:
    total, at = 0, 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(body) or total > enough:
            return total
        name, length = struct.unpack("<4sI", body[at : at + 8])
        total += length if name in (b"VP8 ", b"VP8L", b"ANMF") else 0
        at += 8 + length + length % 2
    raise ValueError("too many chunks")


# ---------------------------------------------------------------------- the first pixel


def _is_png_dark(body: bytes) -> bool:
    """The first pixel stands as it is behind the first row's filter, whichever that is: nothing lies before it."""
    depth, colour = body[24], body[25]
    palette = b""
    for name, at, length in _png_chunks(body):
        if name == b"PLTE":
            palette = body[at : at + length]
        if name == b"IDAT" and length:
            head = zlib.decompressobj().decompress(body[at : at + min(length, 4_096)], 16)[1:]
            if colour == 3:
                index = head[0] >> (8 - depth)
                return max(palette[3 * index : 3 * index + 3]) <= DARK
            if depth < 8:
                return head[0] >> (8 - depth) == 0
            channels = head[: depth // 8 * (3 if colour in (2, 6) else 1) : depth // 8]
            return max(channels) <= DARK
    raise ValueError("no pixels")


def _is_jpeg_dark(body: bytes) -> bool:
    """The mean of the first block: its only value that stands by itself."""
    steps: dict[int, int] = {}
    codes: dict[int, bytes] = {}
    step_of: dict[int, int] = {}
    for marker, start, end in jpeg_segments(body):
        if marker in (0xDB, 0xC4) and end - start > _MOST_TABLE_BYTES:
            raise ValueError("too many tables")
        if marker == 0xDB:
            steps |= _quantisation_steps(body[start:end])
        elif marker == 0xC4:
            codes |= _dc_codes(body[start:end])
        elif marker in FRAME_MARKERS:
            count = body[start + 5]
            step_of = {body[start + 6 + 3 * one]: body[start + 8 + 3 * one] for one in range(count)}
        elif marker == 0xDA:
            component, table, shift = body[start + 1], body[start + 2] >> 4, body[end - 1] & 15
            difference = _first_difference(body[end : end + 32].replace(b"\xff\0", b"\xff"), codes[table])
            return (difference << shift) * steps[step_of[component]] / 8 + 128 <= DARK
    raise ValueError("no scan")


def _quantisation_steps(tables: bytes) -> dict[int, int]:
    """By table, the step of the mean."""
    steps, at = {}, 0
    while at < len(tables):
        is_wide = tables[at] >> 4
        steps[tables[at] & 15] = int.from_bytes(tables[at + 1 : at + 2 + is_wide], "big")
        at += 1 + 64 * (1 + is_wide)
    return steps


def _dc_codes(tables: bytes) -> dict[int, bytes]:
    """By table of means, the counts of codes of each length and what they stand for."""
    codes, at = {}, 0
    while at < len(tables):
        end = at + 17 + sum(tables[at + 1 : at + 17])
        if tables[at] >> 4 == 0:
            codes[tables[at] & 15] = tables[at + 1 : end]
        at = end
    return codes


def _first_difference(scan: bytes, table: bytes) -> int:
    """The first number of a scan, by its Huffman code."""
    bits = int.from_bytes(scan, "big")
    left, code, first, taken = 8 * len(scan), 0, 0, 0
    for length in range(1, 17):
        code = bits >> (left - length)
        count = table[length - 1]
        if code - first < count:
            size = table[16 + taken + code - first]
            value = bits >> (left - length - size) & ((1 << size) - 1)
            return value if size == 0 or value >> (size - 1) else value - (1 << size) + 1
        first, taken = (first + count) << 1, taken + count
    raise ValueError("no such code")
