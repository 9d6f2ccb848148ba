"""The result JSON of any model as a `Result`."""

from __future__ import annotations

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
        usage=usage if isinstance(usage := body.get("usage"), dict) else None,
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
    return RemotePicture(
        url=url,
        content_type=content_type if isinstance(content_type, str) else None,
        width=_whole(entry.get("width")),
        height=_whole(entry.get("height")),
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
    """An int of any size (fal's seeds pass 64 bits), also where it was sent as a float or as digits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 40 else None


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
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return None
    return float(seconds)


def billable_units(headers: Mapping[str, str]) -> Decimal | None:
    """What fal says it billed, in units of its own; None where it does not say, or not as a number from 0."""
    given = headers.get("X-Fal-Billable-Units")
    try:
        units = Decimal(given) if given else None
    except InvalidOperation:
        return None
    return units if units is not None and units.is_finite() and units >= 0 else None
