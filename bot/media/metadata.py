"""Whether a picture carries notes of the camera or the editor: EXIF with the place, XMP, IPTC, comments."""

from __future__ import annotations

from collections.abc import Iterator

from bot.domain.picture import Picture
from bot.media.picture import PNG_SIGNATURE

#: A picture in more pieces than this is re-encoded without looking further.
_MAX_PIECES = 5_000
_PNG_NOTES = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_WEBP_NOTES = frozenset({b"EXIF", b"XMP "})
#: APP1 (EXIF, XMP), APP13 (IPTC), COM.
_JPEG_NOTES = frozenset({0xE1, 0xED, 0xFE})


def has_metadata(picture: Picture) -> bool:
    """Walk the pieces (no decoding). Anything that can't be walked to the end counts as a note."""
    pieces, wanted = _WALKS[picture.extension]
    try:
        for count, name in enumerate(pieces(picture.body)):
            if name in wanted or count > _MAX_PIECES:
                return True
    except IndexError:
        return True
    return False


def _png_pieces(body: bytes) -> Iterator[bytes | int]:
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(body):
        name = body[at + 4 : at + 8]
        yield name
        if name == b"IEND":
            return
        at += 12 + int.from_bytes(body[at : at + 4], "big")
    raise IndexError


def _webp_pieces(body: bytes) -> Iterator[bytes | int]:
    at = 12
    while at + 8 <= len(body):
        yield body[at : at + 4]
        length = int.from_bytes(body[at + 4 : at + 8], "little")
        at += 8 + length + length % 2


def _jpeg_pieces(body: bytes) -> Iterator[bytes | int]:
    at = 2
    while True:
        if body[at] != 0xFF:
            raise IndexError
        marker = body[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        yield marker
        if marker == 0xDA:
            return
        bare = marker == 0x01 or 0xD0 <= marker <= 0xD8
        at += 2 if bare else 2 + max(2, int.from_bytes(body[at + 2 : at + 4], "big"))


_WALKS = {
    "png": (_png_pieces, _PNG_NOTES),
    "webp": (_webp_pieces, _WEBP_NOTES),
    "jpg": (_jpeg_pieces, _JPEG_NOTES),
}
