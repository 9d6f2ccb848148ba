"""Jobs on Discord: progress edits, the finished pictures, and how a job ended.

Results are shown by editing the message that exists (safe to repeat) or, when its token has died and the message
is out of reach, by a channel message with a stable nonce. Two ways are left for the worst: a follow-up (it carries no
nonce) where the bot is no member and its message was deleted, and a direct message where it was shut out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import discord
from discord.ext import commands

from bot.discord import http
from bot.discord.picture_file import PictureFile
from bot.domain.events import ProgressEvent
from bot.domain.job import Failure, Job, JobState
from bot.domain.ports import DeliverableImages
from bot.errors import Undeliverable
from bot.media.fit import fit
from bot.phrase import phrase
from bot.retry import retry
from cogs.delivery_routes import ORIGINAL, Content, OutgoingCard, Route, Routes
from cogs.progress_editor import ProgressEditor
from cogs.ui import cards

if TYPE_CHECKING:
    from bot.catalogue.model import Model
    from bot.discord.client import EaselBot

log = logging.getLogger(__name__)

#: Discord's numeric error code.
TOO_LARGE = 40005
#: Pictures are not made smaller than this to fit Discord's limit.
LEAST_UPLOAD_BYTES = 64 * 1024


class DiscordDelivery:
    """Shows jobs on Discord; handed to the runner.

    Args:
        backpressure: whether initial responses are in a hurry, which go before progress.
        on_late_edit: told the id of a job whose progress may have been shown too late.
    """

    def __init__(self, bot: EaselBot, *, backpressure: Callable[[], bool], on_late_edit: Callable[[str], None]) -> None:
        self._catalogue = bot.services.catalogue
        self._images = bot.services.images
        self._timings = bot.services.discord_timings
        self._routes = Routes(bot)
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

    async def _edit_progress(self, event: ProgressEvent) -> None:
        card = cards.progress_card(event.job, self._model(event.job), event.progress, resumed=event.resumed)
        await self._routes.edit_original(event.job, card)

    # ------------------------------------------------------------------ what became of a job

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        """Post the pictures; returns the message id. Safe to repeat."""
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
                )

    async def notify_outcome(self, job: Job) -> None:
        """Say how a FAILED or CANCELLED job ended. Safe to repeat."""
        await self.editor.settle(job.id)
        try:
            await self._deliver_by_first_open_route(OutgoingCard(job, partial(self._outcome_card, job)))
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
        except _UploadTooLarge:
            log.warning("a card could not be set right", extra={"job": job.id, "reason": "too large"})

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

    def _outcome_card(self, job: Job) -> Content:
        failure, model = job.failure or Failure("cancelled", phrase("cancelled_unused")), self._model(job)
        if job.state is JobState.CANCELLED:
            return cards.cancelled_card(job, model, failure.phrase), []
        instead = failure.phrase.params.get("instead")
        successor = self._catalogue.successor(job.request.endpoint, instead if isinstance(instead, str) else None)
        return cards.failure_card(job, model, failure, successor=successor), []

    def _result(self, job: Job, ready: DeliverableImages) -> Content:
        shown, files = [], []
        for index, (picture, spoiler) in enumerate(zip(ready.pictures, ready.spoilers, strict=True)):
            name = cards.file_name(job.id, index, picture.extension, spoiler)
            alt = cards.alt_text(job.request, index, self._model(job), locale=job.reply.locale)
            shown.append(cards.Shown(name, alt, spoiler, (picture.width, picture.height)))
            files.append(discord.File(PictureFile(picture.body), filename=name, description=alt, spoiler=spoiler))
        return cards.result_card(job, self._model(job), shown, withheld=ready.withheld), files

    def _model(self, job: Job) -> Model:
        model = self._catalogue.known(job.request.endpoint)
        return model if model is not None else cards.unknown_model(job.request.endpoint)

    # ------------------------------------------------------------------ ways

    async def _deliver_by_first_open_route(self, outgoing: OutgoingCard) -> int | None:
        """Send a card by the first route that is open.

        Raises:
            Undeliverable: no way is open.
            _UploadTooLarge: Discord refuses the size.
        """
        for route in self._routes.in_order:
            if route.is_open(outgoing):
                done, message_id = await self._attempt(outgoing.job, _sending(route, outgoing), patient=route.waits)
                if done:
                    return message_id
        raise Undeliverable

    async def _attempt(
        self, job: Job, send: Callable[[], Awaitable[int | None]], *, patient: bool = True
    ) -> tuple[bool, int | None]:
        """One way, with our own retries; False when it is closed for good.

        Raises:
            _UploadTooLarge: Discord refuses the size.
        """
        async for attempt in retry(self._timings.delivery_pauses_s, jitter=0):
            try:
                return True, await send()
            except discord.HTTPException as error:
                if error.status == 413 or error.code == TOO_LARGE:
                    raise _UploadTooLarge from error
                if error.status < 500 and error.status != 429:
                    log.info("delivery way closed", extra={"job": job.id, "status": error.status, "code": error.code})
                    return False, None
                reason, asked_s = f"HTTP {error.status}", http.retry_after_s(error)
            except discord.RateLimited as error:  # longer than is waited for in place (see bot.discord.rate_limits)
                if not patient and not isinstance(error, http.GloballyRateLimited):
                    return False, None
                reason, asked_s = "rate limit", error.retry_after
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reason, asked_s = type(error).__name__, 0.0
            if attempt.is_last or not (job.reply.token or job.reply.bot_can_post):
                return False, None
            attempt.wait_at_least(min(asked_s, self._timings.longest_retry_s))
            log.info("delivery tried again", extra={"job": job.id, "reason": reason, "pause_s": attempt.pause_s})
        return False, None


def _sending(route: Route, outgoing: OutgoingCard) -> Callable[[], Awaitable[int | None]]:
    return lambda: route.send(outgoing)


class _UploadTooLarge(Exception):
    """Discord refuses the size of an upload."""


class DeliveryCog(commands.Cog):
    """Owns the task that edits progress."""

    def __init__(self, bot: EaselBot) -> None:
        runner = bot.services.runner
        self._supervisor = bot.services.supervisor
        self._delivery = DiscordDelivery(
            bot, backpressure=lambda: runner.backpressure, on_late_edit=runner.repair_message
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
