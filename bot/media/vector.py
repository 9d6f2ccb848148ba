"""SVG as pixels, in the decoding process: Discord shows no SVG, so a picture of it is posted beside the file.

Whoever made the SVG is not trusted. What would load anything (a link to another file or address, a document type with
entities, a font) is taken out before the renderer sees it; its time and memory are limited by the kernel.
"""

from __future__ import annotations

import io
import struct
from typing import IO
from xml.etree import ElementTree

from bot.media.decoding import Made
from bot.media.headers import PREVIEW_SIDE_PX, Unsound
from bot.phrase import phrase

#: More is drawn by nobody, and the renderer walks all of it.
_MAX_ELEMENTS, _MAX_DEPTH = 200_000, 128
#: Pictures that may stand inside as data.
_DATA = ("data:image/png", "data:image/jpeg", "data:image/jpg", "data:image/gif", "data:image/webp")
_LINKS = frozenset({"href", "src"})


def rasterise(file: IO[bytes], *, is_wide: bool) -> Made:
    """A PNG of the SVG, `PREVIEW_SIDE_PX` on its longer side.

    Raises:
        Unsound: it is no SVG, refers to entities, or is not rendered.
    """
    from resvg_py import svg_to_bytes

    file.seek(0)
    harmless = _harmless(file.read())
    width, height = (PREVIEW_SIDE_PX, None) if is_wide else (None, PREVIEW_SIDE_PX)
    try:
        body = bytes(svg_to_bytes(svg_string=harmless, width=width, height=height, skip_system_fonts=True))
        size: tuple[int, int] = struct.unpack(">II", body[16:24])
    except MemoryError:
        raise
    except BaseException as error:  # the renderer's panics are no Exception
        raise Unsound(phrase("picture_damaged")) from error
    return Made(*size, body)


def _harmless(body: bytes) -> str:
    """The same document without anything that loads something."""
    start = body[: body.lower().find(b"<svg")].lower()
    if b"<!entity" in start or (b"<!doctype" in start and b"[" in start):
        raise Unsound(phrase("picture_hostile"))
    root = _parsed(body)
    for element in root.iter():
        for name in [name for name in element.attrib if name.rpartition("}")[2] in _LINKS]:
            if not element.attrib[name].strip().lower().startswith(("#", *_DATA)):
                del element.attrib[name]
    return ElementTree.tostring(root, encoding="unicode")


def _parsed(body: bytes) -> ElementTree.Element:
    """The tree, as long as it is no deeper and no larger than anybody draws."""
    depth = count = 0
    root: ElementTree.Element | None = None
    try:
        # expat loads nothing, and entities were refused
        for event, element in ElementTree.iterparse(io.BytesIO(body), ("start", "end")):  # noqa: S314
            root = element if root is None else root
            depth += 1 if event == "start" else -1
            count += event == "start"
            if depth > _MAX_DEPTH or count > _MAX_ELEMENTS:
                raise Unsound(phrase("picture_hostile"))
    except (ElementTree.ParseError, ValueError) as error:
        raise Unsound(phrase("picture_damaged")) from error
    if root is None:
        raise Unsound(phrase("picture_damaged"))
    return root
