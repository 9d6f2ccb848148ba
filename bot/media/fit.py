"""Results: checked by their header, and re-encoded only where Discord's limits or the format demand it.

The usual case returns the very objects given and costs nothing: no decoder sees them. Otherwise opaque pictures become
JPEG (fast to encode, and every Discord client shows it), pictures with transparency WebP: first down a ladder of
qualities, then smaller. Nothing is ever enlarged, and the same input gives the same bytes. An SVG stays as it is, with
a preview beside it; one that does not fit is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from dataclasses import replace

from bot.domain.picture import Picture, ResultPicture
from bot.errors import DecoderUnavailable, ResultUnusable
from bot.media.blank import DARK, may_be_black
from bot.media.flat_webp import flat_colour
from bot.media.headers import Unsound, preview_header, read_header
from bot.media.picture import MAX_PIXELS, inspect
from bot.media.workers import Done, ImageWorkers, Task, WorkersUnavailable
from bot.phrase import phrase

log = logging.getLogger(__name__)

#: A preview of an SVG that takes more is not posted.
MAX_PREVIEW_BYTES = 2 * 1024 * 1024
#: Nor one that takes longer than this from its turn on: a drawing takes some hundredths of a second, its file waits for
#: the preview, and a renderer that breaks on it would do so again and again.
PREVIEW_WITHIN_S = 5.0
#: Discord refuses a message request above 25 MiB; the rest of the request (JSON, multipart borders) fits in this.
REQUEST_OVERHEAD_BYTES = 256 * 1024
REQUEST_LIMIT_BYTES = 25 * 1024 * 1024 - REQUEST_OVERHEAD_BYTES

_ENCODABLE = frozenset({"png", "jpg", "webp", "gif"})
#: The largest file that a converted result may be, before it is fitted to its channel.
_MAX_CONVERTED_BYTES = 50 * 1024 * 1024


async def read_results(workers: ImageWorkers, bodies: Sequence[bytes], *, owner: Hashable) -> list[ResultPicture]:
    """What a model made, in the order given. Blanked pictures are recognised, other formats converted.

    Args:
        owner: whose turn it is with the decoder.

    Raises:
        ResultUnusable: one is no picture, or can't be decoded.
        DecoderUnavailable: nothing can be decoded now.
    """
    return list(await asyncio.gather(*(_read(workers, body, owner) for body in bodies)))


async def _read(workers: ImageWorkers, body: bytes, owner: Hashable) -> ResultPicture:
    try:
        picture = inspect(body)
    except ResultUnusable:
        return await _decoders_word(workers, body, owner)
    if picture.extension == "svg":
        return ResultPicture(picture, preview=await _preview(workers, picture, owner))
    return ResultPicture(picture, is_black=await _is_black(workers, picture, owner))


async def _is_black(workers: ImageWorkers, picture: Picture, owner: Hashable) -> bool:
    """Whether it is black from edge to edge. Where that can't be found out it is not: this is only a look."""
    if not may_be_black(picture):
        return False
    if (colour := flat_colour(picture)) is not None:
        return max(colour) <= DARK
    try:
        done = await workers.run(Task("find_flat", is_look=True), picture.body, owner=owner)
    except (Unsound, WorkersUnavailable):
        return False
    return done.flat is not None and max(done.flat) <= DARK


async def _preview(workers: ImageWorkers, picture: Picture, owner: Hashable) -> Picture | None:
    """A small PNG of an SVG; None where it can't be made, and only the file is posted."""
    header = preview_header(picture.width, picture.height, len(picture.body))
    args = {"is_wide": picture.width >= picture.height}
    task = Task("rasterise", args, header.pixels, within_s=PREVIEW_WITHIN_S)
    try:
        done = await workers.run(task, picture.body, owner=owner, header=header)
    except (Unsound, WorkersUnavailable) as error:
        log.info("no preview of an SVG", extra={"reason": type(error).__name__})
        return None
    return inspect(done.body) if done.body is not None and len(done.body) <= MAX_PREVIEW_BYTES else None


async def _decoders_word(workers: ImageWorkers, body: bytes, owner: Hashable) -> ResultPicture:
    """What our header rules refuse is converted where a decoder reads it: AVIF, TIFF, a trailer of megabytes."""
    inspected = _refusal(body)
    try:
        header = read_header(body)
    except Unsound:
        raise inspected from None
    args = {"max_pixels": MAX_PIXELS, "max_side_px": 65_535, "max_bytes": _MAX_CONVERTED_BYTES}
    done = await _run(workers, Task("prepare", args, header.pixels), body, owner)
    made = inspect(body if done.body is None else done.body)
    notice = phrase("result_converted", before=header.format, after=made.extension.upper())
    return ResultPicture(made, (notice,), is_black=await _is_black(workers, made, owner))


def _refusal(body: bytes) -> ResultUnusable:
    try:
        inspect(body)
    except ResultUnusable as error:
        return error
    raise AssertionError("only called for what was refused")


async def fit(
    workers: ImageWorkers,
    pictures: Sequence[ResultPicture],
    *,
    file_limit_bytes: int,
    request_limit_bytes: int = REQUEST_LIMIT_BYTES,
    owner: Hashable,
) -> list[ResultPicture]:
    """Every picture at most `file_limit_bytes`, all together at most `request_limit_bytes`.

    Raises:
        ResultUnusable: one can't be made small enough (an SVG, or a limit of a few bytes), or does not decode.
        DecoderUnavailable: nothing can be decoded now.
    """
    request_limit_bytes -= sum(len(one.preview.body) for one in pictures if one.preview is not None)
    limit = fair_limit([one.picture for one in pictures], file_limit_bytes, request_limit_bytes)
    fitted: list[ResultPicture] = []
    for result in pictures:
        picture = result.picture
        if len(picture.body) <= limit or (
            picture.extension not in _ENCODABLE and len(picture.body) <= file_limit_bytes
        ):
            fitted.append(result)
        elif picture.extension not in _ENCODABLE:
            raise _too_large(picture)
        else:
            fitted.append(await _shrunk(workers, result, limit, owner))
    return fitted


async def _shrunk(workers: ImageWorkers, result: ResultPicture, limit_bytes: int, owner: Hashable) -> ResultPicture:
    picture = result.picture
    task = Task("shrink", {"limit_bytes": limit_bytes}, picture.width * picture.height)
    try:
        done = await _run(workers, task, picture.body, owner)
    except ResultUnusable as error:
        raise (_too_large(picture) if error.why.code == "pictures_too_large" else error) from None
    made = _made(done, picture)
    notices = done.notices or (
        phrase("result_recompressed", before=picture.extension.upper(), after=made.extension.upper()),
    )
    return replace(result, picture=made, notices=(*result.notices, *notices))


def _made(done: Done, given: Picture) -> Picture:
    return given if done.body is None else inspect(done.body)


async def _run(workers: ImageWorkers, task: Task, body: bytes, owner: Hashable) -> Done:
    try:
        return await workers.run(task, body, owner=owner)
    except Unsound as error:
        raise ResultUnusable(error.phrase) from error
    except WorkersUnavailable as error:
        raise DecoderUnavailable from error


def fair_limit(pictures: Sequence[Picture], file_limit_bytes: int, request_limit_bytes: int) -> int:
    """The bytes one picture may have, so that all fit: small ones keep their size, the large share what is left.

    Raises:
        ResultUnusable: those that can't be re-encoded fill the request alone.
    """
    fixed = sum(len(picture.body) for picture in pictures if picture.extension not in _ENCODABLE)
    sizes = sorted(len(picture.body) for picture in pictures if picture.extension in _ENCODABLE)
    left = request_limit_bytes - fixed
    limit = file_limit_bytes
    for index, size in enumerate(sizes):
        share = left // (len(sizes) - index)
        if size > share:
            limit = min(file_limit_bytes, share)
            break
        left -= min(size, file_limit_bytes)
    if left < 0 or limit < 1:
        raise ResultUnusable(phrase("pictures_too_large"))
    return limit


def _too_large(picture: Picture) -> ResultUnusable:
    mebibytes = round(len(picture.body) / 1_048_576, 1)
    return ResultUnusable(phrase("picture_too_large", format=picture.extension.upper(), mebibytes=mebibytes))
