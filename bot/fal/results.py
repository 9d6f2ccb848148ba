"""The result JSON of any model as a `Result`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from bot.domain.job import RemotePicture, Result
from bot.domain.request import Json
from bot.errors import ResultUnusable
from bot.phrase import phrase

#: No request yields more; a longer list is cut.
_MAX_PICTURES = 64
#: What no picture, bill or seed is beyond: such a number is left out, lest a sum or a card of ours break on it.
_MOST_SIDE_PX = 1_000_000
_MOST_UNITS = Decimal(1_000_000)
_SEED_BELOW = 10**40
#: A longer type is none, and more about tokens is not kept.
_MOST_TYPE_CHARACTERS = 200
_MOST_USAGE_CHARACTERS = 10_000


def read_result(body: Mapping[str, Json], headers: Mapping[str, str]) -> Result:
    """Parse a result body: `images` (Image or File objects), or a single `image`.

    Raises:
        ResultUnusable: no picture in it.
    """
    pictures = _with_seeds(_pictures(body), body.get("seeds"))
    if not pictures:
        raise ResultUnusable(phrase("no_picture_sent"))
    return Result(
        pictures=pictures,
        seed=_whole(body.get("seed")),
        nsfw=_flags(body.get("has_nsfw_concepts"), len(pictures)),
        inference_s=_inference_s(body.get("timings")),
        billable_units=billable_units(headers),
        usage=_usage(body.get("usage")),
    )


def _pictures(body: Mapping[str, Json]) -> tuple[RemotePicture, ...]:
    listed = body.get("images")
    found = listed if isinstance(listed, list) else [body.get("image")]
    return tuple(picture for entry in found[:_MAX_PICTURES] if (picture := _picture(entry)) is not None)


def _picture(entry: Json) -> RemotePicture | None:
    """An Image, a File, or (some partners) the bare address."""
    if isinstance(entry, str):
        entry = {"url": entry}
    if not isinstance(entry, dict) or not isinstance(url := entry.get("url"), str) or not url:
        return None
    content_type = entry.get("content_type")
    if not isinstance(content_type, str) or len(content_type) > _MOST_TYPE_CHARACTERS:
        content_type = None
    return RemotePicture(
        url=url,
        content_type=content_type,
        width=_side(entry.get("width")),
        height=_side(entry.get("height")),
        seed=_whole(entry.get("seed")),
    )


def _with_seeds(pictures: tuple[RemotePicture, ...], seeds: Json) -> tuple[RemotePicture, ...]:
    """The pictures with their own seeds, where a list of as many is sent beside them."""
    if not isinstance(seeds, list) or len(seeds) != len(pictures):
        return pictures
    return tuple(
        replace(picture, seed=_whole(seed) if picture.seed is None else picture.seed)
        for picture, seed in zip(pictures, seeds, strict=True)
    )


def _whole(value: Json) -> int | None:
    """An int of up to 40 digits (fal's seeds pass 64 bits), also where it was sent as a float or as digits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return value if abs(value) < _SEED_BELOW else None
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 40 else None


def _side(value: Json) -> int | None:
    side = _whole(value)
    return side if side is not None and 0 < side <= _MOST_SIDE_PX else None


def _usage(given: Json) -> dict[str, Json] | None:
    """Tokens as sent, where that is no more than a row should hold, and in numbers that every database takes."""
    if not isinstance(given, dict):
        return None
    try:
        return given if len(json.dumps(given, allow_nan=False)) <= _MOST_USAGE_CHARACTERS else None
    except (ValueError, RecursionError):
        return None


def _flags(value: Json, pictures: int) -> tuple[bool, ...] | None:
    """One flag a picture. A list that does not match is not trusted: one flag set flags them all, else unknown."""
    if isinstance(value, bool):
        return (value,) * pictures
    if not isinstance(value, list) or not value or not all(isinstance(flag, bool) for flag in value):
        return None
    if len(value) == pictures:
        return tuple(flag is True for flag in value)
    return (True,) * pictures if any(value) else None


def _inference_s(timings: Json) -> float | None:
    seconds = timings.get("inference") if isinstance(timings, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return float(seconds) if math.isfinite(seconds) else None
    except OverflowError:  # an integer beyond every float
        return None


def billable_units(headers: Mapping[str, str]) -> Decimal | None:
    """What fal says it billed, in units of its own; None where it does not say, or not as a number from 0."""
    given = headers.get("X-Fal-Billable-Units")
    try:
        units = Decimal(given) if given else None
    except InvalidOperation:
        return None
    return units if units is not None and units.is_finite() and 0 <= units <= _MOST_UNITS else None
