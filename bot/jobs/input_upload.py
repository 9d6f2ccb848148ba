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
from bot.jobs.byte_budget import ByteBudget, OutOfRoom, Room, SizeGuess
from bot.jobs.context import RunnerContext
from bot.media.turns import FairTurns
from bot.phrase import phrase

#: Jobs whose attachments are fetched and decoded at once, so that people take turns with the decoder: of all, of these
#: for people who took little time lately, and of those with pictures that take long to decode.
_PLACES = 8
_FOR_NEWCOMERS = 3
_PLACES_OF_SLOW = 2
#: What their attachments take in memory at once; those of a larger job pass alone. The slow have bytes of their own, as
#: they have places: they hold them for as long as the decoder takes.
IN_HAND_BYTES = 48 * 1024 * 1024
IN_HAND_BYTES_OF_SLOW = 16 * 1024 * 1024


class InputUploader:
    """Copies them: one job a person at a time, and slow pictures beside the others, so that nobody waits for them."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, attachments: AttachmentSource) -> None:
        self._context = context
        self._fal = fal
        self._attachments = attachments
        self._quick = FairTurns(_PLACES, for_newcomers=_FOR_NEWCOMERS)
        self._slow = FairTurns(_PLACES_OF_SLOW)
        self._budgets = {False: ByteBudget(IN_HAND_BYTES), True: ByteBudget(IN_HAND_BYTES_OF_SLOW)}
        self._sizes = SizeGuess(most_bytes=IN_HAND_BYTES // _PLACES)

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
        given = picture_options(self._context.model(job), job.request)
        attached = {url for urls in given.values() for url in urls if self._attachments.is_attachment(url)}
        needed_bytes = self._sizes.picture_bytes * len(attached)
        while True:
            grant = await self._budgets[slow].granted(needed_bytes)
            room = Room(grant, self._sizes.picture_bytes)
            try:
                return await self._uploaded_within(room, job, slow=slow)
            except OutOfRoom:
                known = room.sizes_bytes
                needed_bytes = sum(known) + self._sizes.picture_bytes * (len(attached) - len(known))
            finally:
                grant.release()

    async def _uploaded_within(self, room: Room, job: Job, *, slow: bool) -> GenerationRequest:
        """The same in the bytes that were granted. Raises OutOfRoom besides."""
        prepared = await self._prepared(job, room, slow=slow)
        for size_bytes in room.sizes_bytes:
            self._sizes.learn(size_bytes)
        room.settle(sum(len(one.picture.body) for _, one in prepared.values()))
        copies = {url: await self._upload(job, one.picture, option) for url, (option, one) in prepared.items()}
        notices = list(job.request.notices)  # some may be of an attempt before, or of the job that this one repeats
        for notice in (notice for _, one in prepared.values() for notice in one.notices):
            if notice not in notices:
                notices.append(notice)
        return replace(with_pictures(job.request, copies), notices=tuple(notices))

    async def _prepared(self, job: Job, room: Room, *, slow: bool) -> dict[str, tuple[str, PreparedInput]]:
        """Attachments by their address, set right for the model; masks after the picture that they belong to."""
        given = picture_options(self._context.model(job), job.request)
        fetch = partial(self._attachments.fetch, owner=job.actor.user_id, may_take_long=slow)
        fetch_mask = partial(self._attachments.fetch_mask, owner=job.actor.user_id, may_take_long=slow)
        prepared: dict[str, tuple[str, PreparedInput]] = {}
        for option in sorted(given, key="mask".__eq__):
            for url in filter(self._attachments.is_attachment, given[option]):
                reserve = partial(room.reserve, len(prepared))
                image = next((one for name, one in prepared.values() if name == "image"), None)
                if option == "mask" and image is not None:
                    if url in prepared:
                        raise BadPicture(option, phrase("mask_is_picture"))
                    one = await fetch_mask(url, picture=image, option=option, reserve=reserve)
                elif url not in prepared:
                    one = await fetch(url, option=option, reserve=reserve)
                else:
                    continue
                prepared[url] = (option, one)
        return prepared

    async def _upload(self, job: Job, picture: Picture, option: str) -> str:
        name = f"{option}.{picture.extension}"
        return await self._context.retry_fal(job, lambda: self._fal.upload(picture.body, picture.content_type, name))
