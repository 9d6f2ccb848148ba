"""What is looked at before a decoder sees a file: tricks with which a small file keeps it busy, or fools the header.

Runs in the decoding process, over the whole file.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from bot.media.headers import PNG_SIGNATURE, Buffer, Header, Unsound, jpeg_segments
from bot.phrase import phrase

#: Cameras and editors write ten to twenty; a decoder goes over the whole picture for each.
MAX_JPEG_SCANS = 40
MAX_PNG_CHUNKS = 100_000
#: A marker inside compressed data: FF, but neither a stuffed FF (00), nor padding, nor a restart (D0…D7).
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.S)
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
#: APP1 (EXIF, XMP), APP13 (IPTC), COM.
_JPEG_NOTES = frozenset({0xE1, 0xED, 0xFE})
_PNG_NOTES = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_WEBP_NOTES = frozenset({b"EXIF", b"XMP "})


@dataclass(frozen=True, slots=True)
class Structure:
    """What a walk over the file found."""

    #: EXIF with the place, XMP, text, comments.
    has_metadata: bool = False
    #: Whether the end marker is there.
    is_whole: bool = True
    #: More than the picture: the film of a motion photo, a camera's trailer, a hidden archive.
    has_trailer: bool = False
    #: More than 8 bits a channel.
    is_deep: bool = False
    #: WebP without loss.
    is_lossless: bool = False


def check_structure(body: Buffer, header: Header) -> Structure:
    """Walk over the file's parts.

    Raises:
        Unsound: `picture_hostile` (two headers, thousands of scans or chunks), or `picture_damaged`.
    """
    walk = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}.get(header.format)
    try:
        return walk(body) if walk is not None else Structure(has_metadata=True)
    except (IndexError, struct.error) as error:
        raise Unsound(phrase("picture_damaged")) from error


def _png(body: Buffer) -> Structure:
    names: set[bytes] = set()
    at = len(PNG_SIGNATURE)
    for _ in range(MAX_PNG_CHUNKS):
        length, name = struct.unpack(">I4s", body[at : at + 8])
        if name == b"IHDR" and name in names:
            raise Unsound(phrase("picture_hostile"))
        names.add(name)
        at += 12 + length
        if name == b"IEND" or at + 8 > len(body):
            return Structure(
                has_metadata=bool(names & _PNG_NOTES),
                is_whole=name == b"IEND",
                has_trailer=len(body) > at,
                is_deep=body[24] == 16,
            )
    raise Unsound(phrase("picture_hostile"))


def _jpeg(body: Buffer) -> Structure:
    notes = False
    at = 0
    try:
        for marker, _, end in jpeg_segments(body):
            notes |= marker in _JPEG_NOTES
            at = end
    except ValueError as error:
        raise Unsound(phrase("picture_damaged")) from error
    scans = 1
    while found := _MARKER.search(body, at):
        marker = found[1][0]
        if marker == _END_OF_IMAGE:
            return Structure(notes, has_trailer=len(body) > found.end())
        scans += marker == _START_OF_SCAN
        notes |= marker in _JPEG_NOTES
        if scans > MAX_JPEG_SCANS:
            raise Unsound(phrase("picture_hostile"))
        at = found.end() + max(2, int.from_bytes(body[found.end() : found.end() + 2], "big"))
    return Structure(notes, is_whole=False)  # the decoder says whether that matters


def _webp(body: Buffer) -> Structure:
    end = min(8 + int.from_bytes(body[4:8], "little"), len(body))
    names: set[bytes] = set()
    at = 12
    for _ in range(MAX_PNG_CHUNKS):
        if at + 8 > end:
            return Structure(bool(names & _WEBP_NOTES), has_trailer=len(body) > end + 1, is_lossless=b"VP8L" in names)
        name, length = struct.unpack("<4sI", body[at : at + 8])
        names.add(name)
        at += 8 + length + length % 2
    raise Unsound(phrase("picture_hostile"))
