"""What a picture is, read from its header alone: no decoder touches bytes that were not checked here.

Pillow is deliberately not asked: opening an animated WebP already reserves its whole canvas (up to 2 GB) before
any pixel cap can speak, and its decompression-bomb check is a process-wide warning. The four headers are short.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.domain.picture import Picture
from bot.errors import ResultUnusable
from bot.phrase import Phrase, phrase

#: More than any model makes (4096 × 4096 is 17 million); a decoded picture takes 4 bytes a pixel.
MAX_PIXELS = 64_000_000

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
#: How much may follow the end marker (phones and cameras append trailers).
_TRAILER_BYTES = 65_536
#: JPEG markers without a length: TEM, RST0…RST7, SOI.
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
#: Start of frame markers; DHT (C4), JPG (C8) and DAC (CC) lie between them.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MAX_JPEG_SEGMENTS = 2_000
#: What an SVG without any measures is drawn at (CSS's default object size).
_SVG_DEFAULT = (300, 150)


def inspect(body: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read format and size from the header (microseconds; nothing is decoded).

    Raises:
        ResultUnusable: no PNG, JPEG, WebP, GIF or SVG, cut off, 0 × 0, or more than `max_pixels`.
    """
    if not body:
        raise ResultUnusable(phrase("picture_empty"))
    for recognises, content_type, extension, measure in _FORMATS:
        if recognises(body):
            try:
                width, height = measure(body)
            except (IndexError, ValueError) as error:
                raise ResultUnusable(phrase("picture_damaged")) from error
            _check_size(width, height, max_pixels)
            return Picture(body, content_type, extension, width, height)
    raise ResultUnusable(phrase("picture_none", kind=_guess(body)))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ResultUnusable(phrase("picture_sizeless", width=str(width), height=str(height)))
    if width * height > max_pixels:
        megapixels = max_pixels // 1_000_000
        why = phrase("picture_huge", width=str(width), height=str(height), megapixels=megapixels)
        raise ResultUnusable(why)


def _cut_off() -> ResultUnusable:
    return ResultUnusable(phrase("picture_cut_off"))


def _number(body: bytes, start: int, length: int, order: str = "big") -> int:
    piece = body[start : start + length]
    if len(piece) < length:
        raise _cut_off()
    return int.from_bytes(piece, "little" if order == "little" else "big")


# ---------------------------------------------------------------------- the formats


def _is_png(body: bytes) -> bool:
    return body.startswith(PNG_SIGNATURE)


def _measure_png(body: bytes) -> tuple[int, int]:
    if body[12:16] != b"IHDR":
        raise ValueError("IHDR is not first")
    size = _number(body, 16, 4), _number(body, 20, 4)
    if _PNG_END not in body[-_TRAILER_BYTES:]:
        raise _cut_off()
    return size


def _is_jpeg(body: bytes) -> bool:
    return body.startswith(b"\xff\xd8\xff")


def _measure_jpeg(body: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        if _number(body, at, 1) != 0xFF:
            raise ValueError("no marker where one is due")
        marker = _number(body, at + 1, 1)
        if marker == 0xFF or marker in _BARE_MARKERS:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_MARKERS:
            size = _number(body, at + 7, 2), _number(body, at + 5, 2)
        if marker == 0xDA:  # the scan: what follows is compressed data up to the end marker
            break
        at += 2 + max(2, _number(body, at + 2, 2))
    if size is None:
        raise ValueError("no frame before the scan")
    if body.rfind(b"\xff\xd9", max(at, len(body) - _TRAILER_BYTES)) < 0:
        raise _cut_off()
    return size


def _is_webp(body: bytes) -> bool:
    return body[:4] == b"RIFF" and body[8:12] == b"WEBP"


def _measure_webp(body: bytes) -> tuple[int, int]:
    if _number(body, 4, 4, "little") + 8 > len(body):
        raise _cut_off()
    kind = body[12:16]
    if kind == b"VP8X":
        return _number(body, 24, 3, "little") + 1, _number(body, 27, 3, "little") + 1
    if kind == b"VP8L":
        bits = _number(body, 21, 4, "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _number(body, 26, 2, "little") & 0x3FFF, _number(body, 28, 2, "little") & 0x3FFF
    raise ValueError("unknown first chunk")


def _is_gif(body: bytes) -> bool:
    return body[:6] in (b"GIF87a", b"GIF89a")


def _measure_gif(body: bytes) -> tuple[int, int]:
    size = _number(body, 6, 2, "little"), _number(body, 8, 2, "little")
    if not body[-_TRAILER_BYTES:].rstrip(b"\0").endswith(b"\x3b"):
        raise _cut_off()
    return size


#: What may stand before the root element of an SVG: (opening, closing).
_SVG_PROLOGUE = ((b"<?xml", b"?>"), (b"<!--", b"-->"), (b"<!doctype svg", b">"))
_SVG_TAG = re.compile(rb"<svg[\s>][^>]{0,4096}", re.I)
_SVG_BOX = re.compile(rb"viewBox\s*=\s*[\"']\s*[\d.eE+-]+[\s,]+[\d.eE+-]+[\s,]+([\d.]{1,12})[\s,]+([\d.]{1,12})")


def _is_svg(body: bytes) -> bool:
    rest = body[:16_384].removeprefix(b"\xef\xbb\xbf").lstrip()
    while not rest.lower().startswith(b"<svg"):
        closing = next((end for start, end in _SVG_PROLOGUE if rest[: len(start)].lower() == start), None)
        if closing is None or (end_at := rest.find(closing)) < 0:
            return False
        rest = rest[end_at + len(closing) :].lstrip()
    return rest[4:5] in (b" ", b"\t", b"\n", b"\r", b">")


def _measure_svg(body: bytes) -> tuple[int, int]:
    if b"</svg" not in body[-4_096:].lower():
        raise _cut_off()
    tag = _SVG_TAG.search(body[:32_768])
    if tag is None:
        raise ValueError("no root element")
    sides = [_svg_length(tag[0], side) for side in (b"width", b"height")]
    if sides[0] and sides[1]:
        return sides[0], sides[1]
    if box := _SVG_BOX.search(tag[0]):
        return max(1, round(float(box[1]))), max(1, round(float(box[2])))
    return _SVG_DEFAULT


def _svg_length(tag: bytes, name: bytes) -> int | None:
    found = re.search(rb"\s" + name + rb"\s*=\s*[\"']\s*(\d{1,6}(?:\.\d{1,6})?)\s*(?:px|pt)?\s*[\"']", tag)
    return round(float(found[1])) if found else None


_FORMATS: tuple[tuple[Callable[[bytes], bool], str, str, Callable[[bytes], tuple[int, int]]], ...] = (
    (_is_png, "image/png", "png", _measure_png),
    (_is_jpeg, "image/jpeg", "jpg", _measure_jpeg),
    (_is_webp, "image/webp", "webp", _measure_webp),
    (_is_gif, "image/gif", "gif", _measure_gif),
    (_is_svg, "image/svg+xml", "svg", _measure_svg),
)


def _guess(body: bytes) -> Phrase:
    """What it is instead."""
    start = body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return phrase("file_web_page")
    if start[:1] in (b"{", b"["):
        return phrase("file_text")
    for signature, name in _SIGNATURES:
        if body[:32].find(signature, 0, 32) >= 0:
            return Phrase(f"file_{name}")
    return phrase("file_unknown")


_SIGNATURES = (
    (b"%PDF", "pdf"),
    (b"PK\x03\x04", "archive"),
    (b"ftypavif", "avif"),
    (b"ftypheic", "heic"),
    (b"ftypheix", "heic"),
    (b"ftyp", "video"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)
