"""Jobs on Discord: progress edits, the finished pictures, and how a job ended.

Results are shown by editing the message that exists (safe to repeat) or, when its token has died and the message
is out of reach, by a channel message with a stable nonce. Two ways are left for the worst: a follow-up (it carries no
nonce) where the bot is no member and its message was deleted, and a direct message where it was shut out.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import discord
from discord.ext import commands

from bot.discord import http, refusals
from bot.discord.picture_file import PictureFile
from bot.domain.events import ProgressEvent
from bot.domain.job import Failure, Job, JobState
from bot.domain.ports import DeliverableImages
from bot.errors import CardDeleted, Undeliverable
from bot.media.fit import fit
from bot.phrase import phrase
from bot.retry import retry
from cogs.delivery_routes import ORIGINAL, Content, OutgoingCard, Route, Routes, Sent
from cogs.progress_editor import ProgressEditor
from cogs.ui import cards
from cogs.ui.cards import Wording

if TYPE_CHECKING:
    from bot.catalogue.model import Model
    from bot.discord.client import EaselBot

log = logging.getLogger(__name__)

#: An address that can stand in a link as it is.
_PLAIN_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:_/%?=&~+-]{1,280}")
#: Pictures are not made smaller than this to fit Discord's limit.
LEAST_UPLOAD_BYTES = 64 * 1024
#: How often it is tried to close an old card, once the end is shown elsewhere.
CLOSING_TRIES = 5


class DiscordDelivery:
    """Shows jobs on Discord; handed to the runner.

    Args:
        backpressure: whether initial responses are in a hurry, which go before progress.
        on_late_edit: told the id of a job whose progress may have been shown too late.
        on_card_deleted: told the id of a job whose message is seen to be deleted while it is under way.
    """

    def __init__(
        self,
        bot: EaselBot,
        *,
        backpressure: Callable[[], bool],
        on_late_edit: Callable[[str], None],
        on_card_deleted: Callable[[str], None],
    ) -> None:
        self._on_card_deleted = on_card_deleted
        #: How much the cards of a job may say, where a word filter has refused more; kept until `forget`.
        self._wordings: dict[str, Wording] = {}
        self._catalogue = bot.services.catalogue
        self._images = bot.services.images
        self._timings = bot.services.discord_timings
        self._routes = Routes(bot)
        self._assumed_usd = bot.services.settings.budget.assumed_usd_per_image
        settings = bot.services.settings.discord
        self.editor = ProgressEditor(
            self._edit_progress,
            self._routes.token_lives,
            interval_s=settings.progress_interval_s,
            pause_s=1 / settings.progress_edits_per_s,
            backpressure=backpressure,
            on_late_edit=on_late_edit,
            timings=self._timings,
        )

    # ------------------------------------------------------------------ progress

    def progress(self, event: ProgressEvent) -> None:
        """Take note of a newer state; the editor shows it when the message is due."""
        self.editor.update(event)

    def forget(self, job_id: str) -> None:
        """No more progress for this job."""
        self.editor.forget(job_id)
        self._wordings.pop(job_id, None)

    async def _edit_progress(self, event: ProgressEvent) -> None:
        job, wording = event.job, self._wordings.get(event.job.id, Wording.FULL)
        card = cards.progress_card(job, self._model(job), event.progress, resumed=event.resumed, wording=wording)
        try:
            await self._routes.edit_original(job, card)
        except discord.HTTPException as error:
            if refusals.is_deleted(error):
                self._on_card_deleted(job.id)
            elif refusals.is_text_filtered(error) and wording.less is not None:
                self._wordings[job.id] = wording.less  # the next edit says less
            raise

    # ------------------------------------------------------------------ what became of a job

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        """Post the pictures; returns the message id. Safe to repeat.

        Raises:
            CardDeleted: the message that showed its progress is gone. Undeliverable: every way is closed.
        """
        await self.editor.settle(job.id)
        limit_bytes = job.reply.upload_limit_bytes
        while True:
            # A flagged picture belongs in the age-restricted channel or nowhere.
            outgoing = OutgoingCard(job, partial(self._result, job, ready), may_go_private=not any(ready.spoilers))
            try:
                return await self._deliver_by_first_open_route(outgoing)
            except _UploadTooLarge:
                limit_bytes //= 2
                if limit_bytes < LEAST_UPLOAD_BYTES:
                    raise Undeliverable from None
                smaller = await fit(
                    self._images,
                    ready.as_results(),
                    file_limit_bytes=limit_bytes,
                    request_limit_bytes=limit_bytes * 2,
                    owner=f"results of {job.actor.user_id}",
                )
                ready = replace(
                    ready,
                    pictures=tuple(one.picture for one in smaller),
                    notices=tuple(one.notices for one in smaller),
                    previews=tuple(one.preview for one in smaller),
                )

    async def notify_outcome(self, job: Job) -> None:
        """Say how a FAILED or CANCELLED job ended. Safe to repeat."""
        await self.editor.settle(job.id)
        try:
            await self._deliver_by_first_open_route(OutgoingCard(job, partial(self._outcome_card, job)))
        except CardDeleted:
            log.info("a card was deleted; how its job ended is not shown", extra={"job": job.id})
        except Undeliverable:
            code = job.failure.code if job.failure is not None else ""
            log.warning("could not tell how a job ended", extra={"job": job.id, "failure": code})

    async def repair_message(self, job: Job, ready: DeliverableImages | None) -> None:
        """Show an end that was shown before once more, only where it stood."""
        content = partial(self._result, job, ready) if ready is not None else partial(self._outcome_card, job)
        outgoing = OutgoingCard(job, content)
        try:
            if self._routes.edit_by_token.is_open(outgoing):
                await self._attempt(job, lambda: self._routes.edit_by_token.send(outgoing))
            elif job.reply.message_id is not None and job.reply.bot_can_post:
                await self._attempt(job, lambda: self._routes.edit_as_bot.send(outgoing))
        except (_UploadTooLarge, _TextFiltered, _ChannelGone, CardDeleted) as error:
            log.warning("a card could not be set right", extra={"job": job.id, "reason": type(error).__name__})

    async def was_answered(self, job: Job) -> bool | None:
        """Whether the initial response to the interaction went out; None when that can't be found out."""
        if not self._routes.token_lives(job):
            return None
        async for _ in retry(self._timings.answered_pauses_s):
            try:
                await self._routes.webhook(job).fetch_message(ORIGINAL)
            except discord.NotFound:
                return False
            except discord.HTTPException as error:
                if error.status < 500 and error.status != 429:
                    return None
            except (discord.RateLimited, aiohttp.ClientError, OSError, TimeoutError):
                pass
            else:
                return True
        return None

    # ------------------------------------------------------------------ cards

    def _outcome_card(self, job: Job, wording: Wording) -> Content:
        failure, model = job.failure or Failure("cancelled", phrase("cancelled_unused")), self._model(job)
        if job.state is JobState.CANCELLED:
            return cards.cancelled_card(job, model, failure, wording=wording), []
        instead = failure.phrase.params.get("instead")
        successor = self._catalogue.successor(job.request.endpoint, instead if isinstance(instead, str) else None)
        return cards.failure_card(job, model, failure, successor=successor, wording=wording), []

    def _result(self, job: Job, ready: DeliverableImages, wording: Wording) -> Content:
        model, shown, files = self._model(job), [], []
        for index, picture in enumerate(ready.pictures):
            number, spoiler = ready.numbers[index], ready.spoilers[index]
            alt = cards.alt_text(
                job.request, number - 1, model, count=ready.made, locale=job.reply.locale, wording=wording
            )
            posted = {"": picture, "preview.": ready.previews[index] if ready.previews else None}
            names = {}
            for kind, one in posted.items():
                if one is not None:
                    names[kind] = cards.file_name(job.id, number - 1, f"{kind}{one.extension}", spoiler)
                    body = PictureFile(one.body)
                    files.append(discord.File(body, filename=names[kind], description=alt or None, spoiler=spoiler))
            is_shown = picture.extension not in cards.NOT_SHOWN
            about = ready.notices[index] if ready.notices else ()
            shown.append(
                cards.Shown(
                    names[""] if is_shown else names.get("preview.", ""),
                    alt,
                    spoiler,
                    (picture.width, picture.height),
                    number,
                    about,
                    _original(job, number) if about else None,
                    None if is_shown else names[""],
                )
            )
        card = cards.result_card(
            job,
            model,
            shown,
            made=ready.made,
            withheld=ready.withheld,
            assumed_usd=self._assumed_usd,
            wording=wording,
        )
        return card, files

    def _model(self, job: Job) -> Model:
        model = self._catalogue.known(job.request.endpoint)
        return model if model is not None else cards.unknown_model(job.request.endpoint)

    # ------------------------------------------------------------------ ways

    async def _deliver_by_first_open_route(self, outgoing: OutgoingCard) -> int | None:
        """Send a card by the first route that is open; where its words are refused, with fewer of them.

        Raises:
            CardDeleted: the message that showed progress is gone.
            Undeliverable: no way is open.
            _UploadTooLarge: Discord refuses the size.
        """
        outgoing = replace(outgoing, wording=self._wordings.get(outgoing.job.id, Wording.FULL))
        for route in self._routes.in_order:
            if not route.is_open(outgoing):
                continue
            outgoing, shown = await self._by(route, outgoing)
            if shown is not None:
                if shown.is_new:
                    await self._close_card(outgoing.job, shown)
                return shown.message_id
        raise Undeliverable

    async def _close_card(self, job: Job, shown: Sent) -> None:
        """Leave no dead card behind where the end is shown by another message."""
        async for close in self._routes.ways_to_close(job, shown):
            try:
                if await self._attempt(job, close, patient=False, tries=CLOSING_TRIES) is not None:
                    return
            except CardDeleted:
                return
            except (_ChannelGone, _TextFiltered, _UploadTooLarge):
                continue
        log.info("an old card could not be closed", extra={"job": job.id})

    async def _by(self, route: Route, outgoing: OutgoingCard) -> tuple[OutgoingCard, Sent | None]:
        """One route, with fewer and fewer words where they are refused; None when it is closed for good."""
        while True:
            try:
                return outgoing, await self._attempt(outgoing.job, _sending(route, outgoing), patient=route.waits)
            except _ChannelGone:
                return replace(outgoing, channel_gone=True), None
            except _TextFiltered:
                less = outgoing.wording.less
                log.info("a text filter refused a card", extra={"job": outgoing.job.id, "said": outgoing.wording.value})
                if less is None:
                    return outgoing, None
                outgoing = replace(outgoing, wording=less)

    async def _attempt(
        self, job: Job, send: Callable[[], Awaitable[Sent]], *, patient: bool = True, tries: int | None = None
    ) -> Sent | None:
        """One way, with our own retries (at most `tries`); None when it is closed for good.

        Raises:
            CardDeleted, _ChannelGone: so Discord says.
            _UploadTooLarge, _TextFiltered: Discord refuses the size, or the words.
        """
        pauses_s = self._timings.delivery_pauses_s
        async for attempt in retry(pauses_s if tries is None else pauses_s[: tries - 1], jitter=0):
            try:
                return await send()
            except discord.HTTPException as error:
                if error.status < 500 and error.status != 429:
                    log.info("delivery way closed", extra={"job": job.id, "status": error.status, "code": error.code})
                    _raise_what_it_means(error)
                    return None
                reason, asked_s = f"HTTP {error.status}", http.retry_after_s(error)
            except discord.RateLimited as error:  # longer than is waited for in place (see bot.discord.rate_limits)
                if not patient and not isinstance(error, http.GloballyRateLimited):
                    return None
                reason, asked_s = "rate limit", error.retry_after
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reason, asked_s = type(error).__name__, 0.0
            if attempt.is_last or not (job.reply.token or job.reply.bot_can_post):
                return None
            attempt.wait_at_least(min(asked_s, self._timings.longest_retry_s))
            log.info("delivery tried again", extra={"job": job.id, "reason": reason, "pause_s": attempt.pause_s})
        return None


def _original(job: Job, number: int) -> str | None:
    """Where fal keeps a picture as it made it; None where that is no address that people can open."""
    pictures = job.result.pictures if job.result is not None else ()
    url = pictures[number - 1].url if number <= len(pictures) else ""
    return url if _PLAIN_ADDRESS.fullmatch(url) else None


def _sending(route: Route, outgoing: OutgoingCard) -> Callable[[], Awaitable[Sent]]:
    return lambda: route.send(outgoing)


def _raise_what_it_means(error: discord.HTTPException) -> None:
    """Raise where another card, or no further way, is the answer to a refusal."""
    if refusals.is_too_large(error):
        raise _UploadTooLarge from error
    if refusals.is_text_filtered(error):
        raise _TextFiltered from error
    if refusals.is_deleted(error):
        raise CardDeleted from error
    if refusals.is_channel_gone(error):
        raise _ChannelGone from error


class _TextFiltered(Exception):
    """A text filter refuses the words."""


class _ChannelGone(Exception):
    """The channel or thread was deleted."""


class _UploadTooLarge(Exception):
    """Discord refuses the size of an upload."""


class DeliveryCog(commands.Cog):
    """Owns the task that edits progress."""

    def __init__(self, bot: EaselBot) -> None:
        runner = bot.services.runner
        self._supervisor = bot.services.supervisor
        self._delivery = DiscordDelivery(
            bot,
            backpressure=lambda: runner.backpressure,
            on_late_edit=runner.repair_message,
            on_card_deleted=runner.card_deleted,
        )
        runner.attach(self._delivery)
        self._editor: asyncio.Task[None] | None = None

    async def cog_load(self) -> None:
        """Start editing."""
        self._editor = self._supervisor.start(self._delivery.editor.run(), name="progress-editor")

    async def cog_unload(self) -> None:
        """Stop editing."""
        if self._editor is not None:
            await self._supervisor.stop(self._editor)


async def setup(bot: EaselBot) -> None:
    """Called by discord.py's `load_extension`."""
    await bot.add_cog(DeliveryCog(bot))
