"""Copy a person's attachments to fal's storage before a submit, because Discord's signed URLs expire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from bot.catalogue import picture_options, with_pictures
from bot.domain.job import Job
from bot.domain.picture import Picture, PreparedInput
from bot.domain.ports import AttachmentSource, ImageBackend
from bot.domain.request import GenerationRequest
from bot.errors import BadPicture
from bot.jobs.context import RunnerContext
from bot.media.turns import FairTurns
from bot.phrase import phrase

#: Jobs whose attachments are in memory at once: of all, of these for people who took little time lately, and of those
#: with pictures that take long to decode.
_PLACES = 8
_FOR_NEWCOMERS = 3
_PLACES_OF_SLOW = 2


class InputUploader:
    """Copies them: one job a person at a time, and slow pictures beside the others, so that nobody waits for them."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, attachments: AttachmentSource) -> None:
        self._context = context
        self._fal = fal
        self._attachments = attachments
        self._quick = FairTurns(_PLACES, for_newcomers=_FOR_NEWCOMERS)
        self._slow = FairTurns(_PLACES_OF_SLOW)

    def has_attachments(self, job: Job) -> bool:
        """Whether anything has to be fetched and decoded for the job."""
        pictures = picture_options(self._context.model(job), job.request)
        return any(self._attachments.is_attachment(url) for urls in pictures.values() for url in urls)

    @asynccontextmanager
    async def turn(self, job: Job, *, slow: bool) -> AsyncIterator[None]:
        """Wait until it is the person's turn; `slow`: with a picture that takes long to decode."""
        turns = self._slow if slow else self._quick
        async with turns.turn(job.actor.user_id):
            yield

    async def uploaded(self, job: Job, *, slow: bool) -> GenerationRequest:
        """Return the job's request with its Discord attachment URLs replaced by those of copies at fal.

        Its notices tell what was set right about the pictures as well.

        Raises:
            BadPicture: an attachment is no picture, or a mask does not fit its picture.
            DecoderUnavailable: no attachment can be decoded now.
            DecoderBusy: one takes long to decode and would have to wait; it should come again when it is a slow one's
                turn.
        """
        prepared = await self._prepared(job, slow=slow)
        copies = {url: await self._upload(job, one.picture, option) for url, (option, one) in prepared.items()}
        notices = list(job.request.notices)  # some may be of an attempt before, or of the job that this one repeats
        for notice in (notice for _, one in prepared.values() for notice in one.notices):
            if notice not in notices:
                notices.append(notice)
        return replace(with_pictures(job.request, copies), notices=tuple(notices))

    async def _prepared(self, job: Job, *, slow: bool) -> dict[str, tuple[str, PreparedInput]]:
        """Attachments by their address, set right for the model; masks after the picture that they belong to."""
        given = picture_options(self._context.model(job), job.request)
        fetch = partial(self._attachments.fetch, owner=job.actor.user_id, may_take_long=slow)
        fetch_mask = partial(self._attachments.fetch_mask, owner=job.actor.user_id, may_take_long=slow)
        prepared: dict[str, tuple[str, PreparedInput]] = {}
        for option in sorted(given, key="mask".__eq__):
            for url in filter(self._attachments.is_attachment, given[option]):
                image = next((one for name, one in prepared.values() if name == "image"), None)
                if option == "mask" and image is not None:
                    if url in prepared:
                        raise BadPicture(option, phrase("mask_is_picture"))
                    one = await fetch_mask(url, picture=image, option=option)
                elif url not in prepared:
                    one = await fetch(url, option=option)
                else:
                    continue
                prepared[url] = (option, one)
        return prepared

    async def _upload(self, job: Job, picture: Picture, option: str) -> str:
        name = f"{option}.{picture.extension}"
        return await self._context.retry_fal(job, lambda: self._fal.upload(picture.body, picture.content_type, name))
