"""Copy a person's attachments to fal's storage before a submit, because Discord's signed URLs expire."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from bot.catalogue import picture_options, with_pictures
from bot.domain.job import Job
from bot.domain.picture import Picture, PreparedInput
from bot.domain.ports import AttachmentSource, ImageBackend
from bot.domain.request import GenerationRequest
from bot.errors import BadPicture
from bot.jobs.context import RunnerContext
from bot.phrase import phrase

#: Jobs whose attachments are in memory at once.
_AT_ONCE = 32


class InputUploader:
    """Copies them: one job a person at a time, so that nobody's pictures fill the places of all."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, attachments: AttachmentSource) -> None:
        self._context = context
        self._fal = fal
        self._attachments = attachments
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        #: By person.
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def has_attachments(self, job: Job) -> bool:
        """Whether anything has to be fetched and decoded for the job."""
        pictures = picture_options(self._context.model(job), job.request)
        return any(self._attachments.is_attachment(url) for urls in pictures.values() for url in urls)

    async def uploaded(self, job: Job) -> GenerationRequest:
        """Return the job's request with its Discord attachment URLs replaced by those of copies at fal.

        Raises:
            BadPicture: an attachment is no picture, or a mask does not fit its picture.
            DecoderUnavailable: no attachment can be decoded now.
        """
        given = picture_options(self._context.model(job), job.request)
        if not any(self._attachments.is_attachment(url) for urls in given.values() for url in urls):
            return job.request
        turn = self._turns.setdefault(job.actor.user_id, asyncio.Lock())
        async with turn, self._at_once:
            prepared = await self._prepared(job, given)
            copies = {url: await self._upload(job, one.picture, option) for url, (option, one) in prepared.items()}
        return with_pictures(job.request, copies)

    async def _prepared(self, job: Job, given: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, PreparedInput]]:
        """Attachments by their address, set right for the model; masks after the picture that they belong to."""
        prepared: dict[str, tuple[str, PreparedInput]] = {}
        for option in sorted(given, key="mask".__eq__):
            for url in filter(self._attachments.is_attachment, given[option]):
                image = next((one for name, one in prepared.values() if name == "image"), None)
                if option == "mask" and image is not None:
                    if url in prepared:
                        raise BadPicture(option, phrase("mask_is_picture"))
                    one = await self._attachments.fetch_mask(url, picture=image, option=option, owner=job.actor.user_id)
                elif url not in prepared:
                    one = await self._attachments.fetch(url, option=option, owner=job.actor.user_id)
                else:
                    continue
                prepared[url] = (option, one)
        return prepared

    async def _upload(self, job: Job, picture: Picture, option: str) -> str:
        name = f"{option}.{picture.extension}"
        return await self._context.retry_fal(job, lambda: self._fal.upload(picture.body, picture.content_type, name))
