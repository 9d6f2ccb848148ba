"""A picture in memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a picture, checked by the header and the end of the file only."""

    body: bytes
    content_type: str
    #: `png`, `jpg`, `webp`, `gif` or `svg`.
    extension: str
    width: int
    height: int
