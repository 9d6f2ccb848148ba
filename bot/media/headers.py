"""What a file says it is, read from its first bytes: format, size, and what decoding it would take.

A claim, not a fact. It is enough to refuse what is no picture by its right name, to refuse what is too large, and to
know how much time and memory a decoder may need; the decoder in its own process (`bot.media.decoding`) has the last
word. Nothing is decoded here and nothing heavy is imported.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import TypeAlias

from bot.phrase import Phrase, phrase

Buffer: TypeAlias = bytes | mmap

#: JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is enough; other formats only as a whole.
MAX_JPEG_PIXELS = 200_000_000
MAX_PIXELS = 64_000_000
#: A JPEG with more pixels than this is decoded at a fraction of its size.
JPEG_FULL_PIXELS = 32_000_000
#: Bytes a pixel while decoding, measured. libwebp's animation decoder, which Pillow uses for all WebP, keeps two
#: canvases, and two copies follow.
_WEBP_COST = 16.2
#: Planes, an interleaved copy, Pillow's own.
_AVIF_COST = 11.0
_HEIF_COST = 9.0
#: Seconds a megapixel while decoding, measured, with half as much again.
_SECONDS = {
    "PNG": 0.06,
    "JPEG": 0.015,
    "WEBP": 0.04,
    "GIF": 0.05,
    "BMP": 0.02,
    "TIFF": 0.05,
    "AVIF": 0.05,
    "HEIF": 0.05,
}
#: A progressive JPEG is gone over as a whole for every scan.
_SECONDS_A_SCAN = 0.002
#: By PNG's colour type: while decoding, and afterwards (a palette becomes RGB, alpha is multiplied in to resize).
_PNG_COSTS = {0: (2.0, 4.0), 2: (4.0, 4.0), 3: (1.0, 5.0), 4: (4.0, 8.0), 6: (4.0, 8.0)}

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: JPEG markers without a length: TEM, RST0…RST7, SOI.
BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
#: Start of frame; DHT (C4), JPG (C8) and DAC (CC) lie between them.
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_MARKERS = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_MAX_JPEG_SEGMENTS = 2_000
#: No more scans are counted, and those of so many bytes only: this runs in the bot, where nothing may take long.
_MANY_SCANS = 64
_SCANNED_BYTES = 8 * 1024 * 1024
#: Brands of HEIF files that hold HEVC pictures; mif1 and msf1 may hold AV1 as well.
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AV1_BRANDS = frozenset({b"avif", b"avis"})
_OPEN_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB", b"MiHE", b"MiHA"})
#: The longer side of an SVG's preview, in pixels.
PREVIEW_SIDE_PX = 1024
#: Width and height of a chart in pixels; on a phone it is read at a third of that.
CHART_SIZE_PX = (960, 600)
#: How far into a file its measures may stand.
_HEAD_BYTES = 256 * 1024


class Unsound(Exception):
    """A file that is not decoded, or did not decode; `phrase` says why."""

    def __init__(self, why: Phrase) -> None:
        self.phrase = why
        super().__init__(why.code)


@dataclass(frozen=True, slots=True)
class Header:
    """The claim of one file."""

    #: Pillow's name: PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF or HEIF.
    format: str
    width: int
    height: int
    #: What the decoder and Pillow keep at once while decoding.
    memory_bytes: int
    #: What the decoded picture and its first conversion take.
    decoded_bytes: int
    #: Roughly what decoding takes on one core of 2024.
    seconds: float

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def read_header(body: Buffer) -> Header:
    """The claim of a picture that can be decoded.

    Raises:
        Unsound: `picture_empty`, `picture_none` (with what it is instead), `picture_damaged`, `picture_sizeless` or
            `picture_huge`.
    """
    if not len(body):
        raise Unsound(phrase("picture_empty"))
    for recognises, read in _READERS:
        if recognises(body):
            try:
                header = read(body)
            except (IndexError, ValueError, struct.error) as error:
                raise Unsound(phrase("picture_damaged")) from error
            _check_size(header)
            return header
    raise _no_picture(body)


def preview_header(width: int, height: int, length: int) -> Header:
    """What rendering a preview takes, in place of a pixel format's own header: measured, and rounded up."""
    scale = PREVIEW_SIDE_PX / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels_bytes = 4 * size[0] * size[1]
    return Header("SVG", *size, 96 * 1024 * 1024 + 20 * length + 8 * pixels_bytes, 2 * pixels_bytes, 1.0)


def chart_header() -> Header:
    """What drawing a chart takes, in the same way: the canvas, a copy while it is encoded, and the font."""
    pixels = CHART_SIZE_PX[0] * CHART_SIZE_PX[1]
    return Header("PNG", *CHART_SIZE_PX, 16 * pixels, 4 * pixels, 0.2)


def _check_size(header: Header) -> None:
    if header.width < 1 or header.height < 1:
        raise Unsound(phrase("picture_sizeless", width=str(header.width), height=str(header.height)))
    most = MAX_JPEG_PIXELS if header.format == "JPEG" else MAX_PIXELS
    if header.pixels > most:
        raise huge(header, most)


def huge(header: Header, most_pixels: float) -> Unsound:
    """Why a picture of that size is not decoded."""
    megapixels = int(most_pixels // 1_000_000)
    return Unsound(phrase("picture_huge", width=str(header.width), height=str(header.height), megapixels=megapixels))


def jpeg_scale(pixels: int) -> int:
    """1, 2, 4 or 8: the fraction at which a JPEG of so many pixels is decoded."""
    return next((scale for scale in (1, 2, 4) if pixels <= JPEG_FULL_PIXELS * scale * scale), 8)


# ---------------------------------------------------------------------- the formats


def _png(body: Buffer) -> Header:
    if body[12:16] != b"IHDR":
        raise ValueError("IHDR is not first")
    width, height, _, colour = struct.unpack(">IIBB", body[16:26])
    decoding, decoded = _PNG_COSTS.get(colour, (4.0, 8.0))
    return _header("PNG", width, height, decoding, decoded)


def jpeg_segments(body: Buffer) -> Iterator[tuple[int, int, int]]:
    """(marker, start of its content, end) up to the first scan (DA).

    Raises:
        ValueError, IndexError: no segment where one is due.
    """
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        if body[at] != 0xFF:
            raise ValueError("no marker where one is due")
        marker = body[at + 1]
        if marker == 0xFF or marker in BARE_MARKERS:
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + max(2, body[at + 2] << 8 | body[at + 3])
        yield marker, at + 4, end
        if marker == 0xDA:
            return
        at = end
    raise ValueError("too many segments")


def _count_scans(body: Buffer) -> int:
    """How often the decoder will go over the picture, up to what `bot.media.guards` refuses."""
    at = scans = 0
    while scans < _MANY_SCANS and (at := body.find(b"\xff\xda", at, _SCANNED_BYTES)) >= 0:
        scans, at = scans + 1, at + 2
    return scans


def _jpeg(body: Buffer) -> Header:
    for marker, start, _ in jpeg_segments(body):
        if marker in FRAME_MARKERS:
            height, width, components = struct.unpack(">HHB", body[start + 1 : start + 6])
            decoding = decoded = 4.0 / jpeg_scale(width * height) ** 2
            if marker in _PROGRESSIVE_MARKERS:
                factors = [body[start + 7 + 3 * index] for index in range(components)]
                areas = [(factor >> 4) * (factor & 15) for factor in factors]
                # All coefficients of all components are kept, at two bytes each.
                decoding += 2.0 * sum(areas) / max(max(areas, default=1), 1)
                return _header("JPEG", width, height, decoding, decoded, scans=_count_scans(body))
            return _header("JPEG", width, height, decoding, decoded)
    raise ValueError("no frame before the scan")


def _webp(body: Buffer) -> Header:
    kind = body[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(body[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", body[26:30]))
    else:
        raise ValueError("unknown first chunk")
    return _header("WEBP", width, height, _WEBP_COST)


def _gif(body: Buffer) -> Header:
    width, height = struct.unpack("<HH", body[6:10])
    return _header("GIF", width, height, 9.0, 5.0)


def _bmp(body: Buffer) -> Header:
    (length,) = struct.unpack("<I", body[14:18])
    if length == 12:
        width, height = struct.unpack("<HH", body[18:22])
    else:
        width, height = (abs(side) for side in struct.unpack("<ii", body[18:26]))
    return _header("BMP", width, height)


def _tiff(body: Buffer) -> Header:
    order = "<" if body[:2] == b"II" else ">"
    (at,) = struct.unpack(f"{order}I", body[4:8])
    (count,) = struct.unpack(f"{order}H", body[at : at + 2])
    sides: dict[int, int] = {}
    for index in range(min(count, 200)):
        entry = body[at + 2 + 12 * index : at + 14 + 12 * index]
        tag, kind = struct.unpack(f"{order}HH", entry[:4])
        if tag in (256, 257) and kind in (3, 4):
            (sides[tag],) = struct.unpack(f"{order}{'H' if kind == 3 else 'I'}", entry[8 : 10 if kind == 3 else 12])
    if len(sides) < 2:
        raise ValueError("no size")
    return _header("TIFF", sides[256], sides[257], decoded=8.0)


_ISPE = re.compile(rb"ispe\0\0\0\0(.{8})", re.S)


def _heif(body: Buffer) -> Header:
    """AVIF and HEIC. Every part has its measures (`ispe`); the largest are those of the picture."""
    sizes = [struct.unpack(">II", found[1]) for found in _ISPE.finditer(body, 0, min(len(body), _HEAD_BYTES))]
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    if _is_av1(body):
        return _header("AVIF", width, height, _AVIF_COST)
    return _header("HEIF", width, height, _HEIF_COST)


def _brands(body: Buffer) -> frozenset[bytes]:
    """Major and compatible brands of an ISO media file; empty for anything else."""
    if body[4:8] != b"ftyp":
        return frozenset()
    length = min(int.from_bytes(body[:4], "big"), 1024)
    return frozenset(body[at : at + 4] for at in (8, *range(16, length - 3, 4)))


def _is_av1(body: Buffer) -> bool:
    brands = _brands(body)
    if brands & _AV1_BRANDS:
        return not (brands & _HEVC_BRANDS) or body[8:12] in _AV1_BRANDS
    return not brands & _HEVC_BRANDS and body.find(b"av01", 0, _HEAD_BYTES) >= 0


def _is_heif(body: Buffer) -> bool:
    return body[8:12] in _HEVC_BRANDS | _AV1_BRANDS | _OPEN_BRANDS and body[4:8] == b"ftyp"


def _header(
    name: str, width: int, height: int, decoding: float = 4.0, decoded: float = 4.0, *, scans: int = 0
) -> Header:
    """The claim with what it costs, given in bytes a pixel."""
    pixels = width * height
    seconds = pixels / 1e6 * (_SECONDS[name] + _SECONDS_A_SCAN * scans)
    return Header(name, width, height, int(pixels * decoding), int(pixels * decoded), seconds)


_READERS: tuple[tuple[Callable[[Buffer], bool], Callable[[Buffer], Header]], ...] = (
    (lambda body: body[:8] == PNG_SIGNATURE, _png),
    (lambda body: body[:3] == b"\xff\xd8\xff", _jpeg),
    (lambda body: body[:4] == b"RIFF" and body[8:12] == b"WEBP", _webp),
    (lambda body: body[:6] in (b"GIF87a", b"GIF89a"), _gif),
    (lambda body: body[:2] == b"BM" and body[6:10] == b"\0\0\0\0", _bmp),
    (lambda body: body[:4] in (b"II*\0", b"MM\0*"), _tiff),
    (_is_heif, _heif),
)

# ---------------------------------------------------------------------- what is no picture


def _no_picture(body: Buffer) -> Unsound:
    """What a file is that no decoder here reads, by its right name."""
    start = body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Unsound(phrase("picture_none", kind=phrase("file_web_page")))
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in body[:16_384].lower():
        return Unsound(phrase("file_unreadable", format="SVG"))
    if start[:1] in (b"{", b"["):
        return Unsound(phrase("picture_none", kind=phrase("file_text")))
    for signature, at, name in _PICTURES:
        if body[at : at + len(signature)] == signature:
            return Unsound(phrase("file_unreadable", format=name))
    for signature, at, kind in _NO_PICTURES:
        if body[at : at + len(signature)] == signature:
            return Unsound(phrase("picture_none", kind=kind))
    return Unsound(phrase("picture_none", kind=phrase("file_unknown")))


#: (first bytes, where they stand, name) of pictures that are not read.
_PICTURES = (
    (b"\xff\x0a", 0, "JPEG XL"),
    (b"\0\0\0\x0cJXL ", 0, "JPEG XL"),
    (b"\0\0\0\x0cjP  ", 0, "JPEG 2000"),
    (b"\xff\x4f\xff\x51", 0, "JPEG 2000"),
    (b"8BPS", 0, "Photoshop"),
    (b"II+\0", 0, "BigTIFF"),
    (b"MM\0+", 0, "BigTIFF"),
    (b"ftypcrx", 4, "CR3 raw"),
    (b"\0\0\x01\0", 0, "ICO"),
)
#: The same of files that are no pictures.
_NO_PICTURES = (
    (b"%PDF", 0, phrase("file_pdf")),
    (b"PK\x03\x04", 0, phrase("file_archive")),
    (b"Rar!", 0, phrase("file_archive")),
    (b"\x1f\x8b", 0, phrase("file_archive")),
    (b"7z\xbc\xaf", 0, phrase("file_archive")),
    (b"ftyp", 4, phrase("file_video")),
    (b"\x1aE\xdf\xa3", 0, phrase("file_video")),
    (b"AVI ", 8, phrase("file_video")),
    (b"OggS", 0, phrase("file_sound")),
    (b"ID3", 0, phrase("file_sound")),
    (b"WAVE", 8, phrase("file_sound")),
)
