"""Pictures in memory, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass

from bot.phrase import Phrase


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a picture, checked by the header and the end of the file only."""

    body: bytes
    content_type: str
    #: `png`, `jpg`, `webp`, `gif` or `svg`.
    extension: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class InputNeeds:
    """What a model takes as a picture. What is larger is made smaller, not refused."""

    max_pixels: int = 4096 * 4096
    max_side_px: int = 8192
    max_bytes: int = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PreparedInput:
    """A person's picture as a model takes it: PNG, JPEG or WebP in sRGB, 8 bits, one frame, upright, no metadata."""

    picture: Picture
    #: What was done to it that its owner may want to know: `picture_shrunk`, `picture_first_frame`, `mask_…`.
    notices: tuple[Phrase, ...] = ()
    #: A small grey copy, by which a mask that is the picture itself is recognised.
    look: bytes = b""


@dataclass(frozen=True, slots=True)
class ResultPicture:
    """A picture from a model, ready to be posted."""

    picture: Picture
    #: What differs from what the model made: `result_made_smaller`, `result_recompressed`, `result_converted`.
    notices: tuple[Phrase, ...] = ()
    #: What to show beside a file that Discord does not show.
    preview: Picture | None = None
    #: Black from edge to edge: what a safety checker puts in a picture's place.
    is_black: bool = False
