"""Jobs on Discord: progress edits, the finished pictures, and how a job ended.

Results are shown by editing the message that exists (safe to repeat) or, when its token has died and the message
is out of reach, by a channel message with a stable nonce. Two ways are left for the worst: a follow-up (it carries no
nonce) where the bot is no member and its message was deleted, and a direct message where it was shut out.
"""

from __future__ import annotations

import asyncio
import heapq
import io
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, cast

import aiohttp
import discord
from discord.ext import commands

from bot import metrics
from bot.discord import http
from bot.domain.events import Delivering, Progress
from bot.domain.job import Failure, Job, JobState
from bot.domain.ports import POSITION_EDIT_S, DeliverableImages
from bot.errors import Undeliverable
from bot.media import fit
from cogs.ui import cards

if TYPE_CHECKING:
    from bot.catalogue.model import Model
    from bot.discord.client import EaselBot

log = logging.getLogger(__name__)

#: discord.py repeats neither resets (errno 104 on Linux) nor 503.
#: An hour in all: what is painted must not be lost while Discord is away. Short, so that it is soon there afterwards.
RETRY_PAUSES_S = (0.3, 1, 2, 4, 8, *(15,) * 240)
#: The longest Retry-After that is honoured.
LONGEST_RETRY_S = 120.0
#: A token this close to its end is not used for uploads any more.
TOKEN_MARGIN_S = 10
#: An edit that took longer was held up by Discord's rate limits.
SLOW_EDIT_S = 1.0
#: An edit that ended so much later than it was given up had hung with its process.
HUNG_S = 0.1
#: How long an edit waits for first answers before it looks again.
BACKPRESSURE_PAUSE_S = 0.05
#: Largest wait between two edits of one message while Discord is slow.
SLOWEST_EDIT_S = 30.0

#: Discord keeps nonces for a few minutes; after this it is not relied on.
NONCE_LIFE_S = 120.0
#: Messages looked through for an earlier post.
LOOK_BACK_MESSAGES = 300

#: Discord's name for the first answer to an interaction, taken in place of a message id.
ORIGINAL = cast("int", "@original")

#: Discord's numeric error codes.
UNKNOWN_MESSAGE = 10008
UNKNOWN_WEBHOOK = 10015
UNKNOWN_INTERACTION = 10062
INVALID_TOKEN = 50027
TOO_LARGE = 40005
TOKEN_IS_DEAD = {UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION, INVALID_TOKEN}


@dataclass(slots=True)
class _ProgressMessage:
    """One message under way."""

    job: Job
    progress: Progress
    interval_s: float
    shown: str = ""
    editing: asyncio.Task[None] | None = None


class DiscordDelivery:
    """Shows jobs on Discord; handed to the runner."""

    def __init__(self, bot: EaselBot) -> None:
        self._bot = bot
        settings = bot.services.settings.discord
        self._interval_s = settings.progress_interval_s
        self._pause_s = 1 / settings.progress_edits_per_s
        self._messages: dict[str, _ProgressMessage] = {}
        #: Jobs whose people will have noticed a restart.
        self._resumed: set[str] = set()
        #: (monotonic seconds, job id), one entry a live message.
        self._due: list[tuple[float, str]] = []
        self._changed = asyncio.Event()

    # ------------------------------------------------------------------ progress

    def progress(self, job: Job, progress: Progress) -> None:
        """Take note of a newer state; the editor shows it when the message is due."""
        live = self._messages.get(job.id)
        if live is None:
            # The first answer has just shown the state of acceptance.
            live = self._messages[job.id] = _ProgressMessage(job, progress, self._interval_s)
            self._schedule(live, time.monotonic() + self._interval_s)
        live.job, live.progress = job, progress

    def resumed(self, job: Job) -> None:
        """Taken up after a long stop: the next edits say so."""
        self._resumed.add(job.id)

    def forget(self, job_id: str) -> None:
        """No more progress for this job."""
        self._messages.pop(job_id, None)
        self._resumed.discard(job_id)

    def _schedule(self, live: _ProgressMessage, due_at: float) -> None:
        heapq.heappush(self._due, (due_at, live.job.id))
        self._changed.set()

    async def edit_forever(self) -> None:
        """Edit the messages that are due, most overdue first, never faster than the configured rate."""
        while True:
            if not self._due:
                self._changed.clear()
                await self._changed.wait()
            due_at, job_id = self._due[0]
            await asyncio.sleep(max(due_at - time.monotonic(), BACKPRESSURE_PAUSE_S if self._backpressure() else 0))
            if self._backpressure():
                continue
            heapq.heappop(self._due)
            live = self._messages.get(job_id)
            if live is None:
                continue
            if self._editable(live):
                live.editing = asyncio.create_task(self._edit(live))
                await asyncio.sleep(self._pause_s)
            self._schedule(live, time.monotonic() + live.interval_s)

    def _backpressure(self) -> bool:
        """First answers go before progress; the most overdue edit comes when they are out."""
        return self._bot.services.runner.backpressure

    def _editable(self, live: _ProgressMessage) -> bool:
        """Only what has changed, while a token lives, and not when the picture is about to replace it anyway."""
        if live.editing is not None or isinstance(live.progress, Delivering) or not self._token_lives(live.job):
            return False
        return cards.progress_text(live.progress) != live.shown

    async def _edit(self, live: _ProgressMessage) -> None:
        """One progress edit; slower next time if Discord made us wait."""
        text = cards.progress_text(live.progress)
        began = time.monotonic()
        try:
            if not await self._patch_progress(live):
                self.forget(live.job.id)
                return
            live.shown = text
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.debug("progress edit failed", extra={"job": live.job.id, "error": type(error).__name__})
            rather_not = http.is_rate_limit(error) or isinstance(error, (discord.NotFound, discord.Forbidden))
        else:
            rather_not = False
        live.editing = None
        took_s = time.monotonic() - began
        if rather_not or took_s > SLOW_EDIT_S:
            live.interval_s = min(max(live.interval_s * 2, took_s), SLOWEST_EDIT_S)
        else:
            live.interval_s = self._interval_s

    async def _patch_progress(self, live: _ProgressMessage) -> bool:
        """False when another process shows this job now.

        Nobody holds a queued job: another process may claim it, and show its end, at any moment. So its state is read
        first, and an edit that then takes longer than `POSITION_EDIT_S` is given up. One that lands later all the same,
        because the process hung in the instant of sending, is repaired.
        """
        runner, job, began, left = self._bot.services.runner, live.job, time.monotonic(), True
        ours_s = runner.lease_remaining_s(job.id)
        allowed_s = POSITION_EDIT_S if ours_s is None else ours_s
        try:
            async with asyncio.timeout(allowed_s if isfinite(allowed_s) else None):
                if not (allowed_s > 0 if ours_s is not None else await runner.is_queued(job.id)):
                    return False
                card = cards.progress_card(job, self._model(job), live.progress, resumed=job.id in self._resumed)
                with http.as_progress(until=began + allowed_s):
                    await self._patch_original(job, card)
        except http.DeadlineExceeded:
            left = False
            raise
        finally:
            if left and time.monotonic() - began > allowed_s + HUNG_S:
                runner.repair_message(job.id)
        return True

    async def _stop_progress(self, job_id: str) -> None:
        """Make sure that no progress edit can land after what comes now."""
        live = self._messages.pop(job_id, None)
        self._resumed.discard(job_id)
        if live is not None and live.editing is not None:
            await asyncio.wait({live.editing})

    # ------------------------------------------------------------------ results

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        """Post the pictures; returns the message id. Safe to repeat."""
        await self._stop_progress(job.id)
        limit_bytes = job.reply.upload_limit_bytes
        while True:
            try:
                # A flagged picture belongs in the age-restricted channel or nowhere.
                return await self._deliver_by_first_open_route(
                    job, partial(self._result, job, ready), may_go_private=not any(ready.spoilers)
                )
            except _UploadTooLarge:
                limit_bytes //= 2
                if limit_bytes < 64 * 1024:
                    raise Undeliverable from None
                smaller = await fit(ready.pictures, file_limit_bytes=limit_bytes, request_limit_bytes=limit_bytes * 2)
                ready = DeliverableImages(tuple(smaller), ready.spoilers, ready.withheld)

    async def was_answered(self, job: Job) -> bool | None:
        """Whether the first answer to the interaction went out; None when that can't be found out."""
        if not self._token_lives(job):
            return None
        webhook = discord.Webhook.partial(job.reply.application_id, job.reply.token, client=self._bot)
        for pause_s in (*RETRY_PAUSES_S[:6], None):
            try:
                await webhook.fetch_message(ORIGINAL)
            except discord.NotFound:
                return False
            except discord.HTTPException as error:
                if error.status < 500 and error.status != 429:
                    return None
            except (discord.RateLimited, aiohttp.ClientError, OSError, TimeoutError):
                pass
            else:
                return True
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        return None

    async def notify_outcome(self, job: Job) -> None:
        """Say how a FAILED or CANCELLED job ended. Safe to repeat."""
        await self._stop_progress(job.id)
        try:
            await self._deliver_by_first_open_route(job, partial(self._outcome_card, job))
        except Undeliverable:
            code = job.failure.code if job.failure is not None else ""
            log.warning("could not tell how a job ended", extra={"job": job.id, "failure": code})

    def _outcome_card(self, job: Job) -> _Content:
        failure, model = job.failure or Failure("cancelled", "Cancelled. Your quota was not used."), self._model(job)
        if job.state is JobState.CANCELLED:
            return cards.cancelled_card(job, model, failure.sentence), []
        return cards.failure_card(job, model, failure), []

    def _result(self, job: Job, ready: DeliverableImages) -> _Content:
        shown, files = [], []
        for index, (picture, spoiler) in enumerate(zip(ready.pictures, ready.spoilers, strict=True)):
            name = cards.file_name(job.id, index, picture.extension, spoiler)
            alt = cards.alt_text(job.request, index, self._model(job))
            shown.append(cards.Shown(name, alt, spoiler, (picture.width, picture.height)))
            files.append(discord.File(io.BytesIO(picture.body), filename=name, description=alt, spoiler=spoiler))
        return cards.result_card(job, self._model(job), shown, withheld=ready.withheld), files

    async def _deliver_by_first_open_route(
        self, job: Job, content: Callable[[], _Content], *, may_go_private: bool = True
    ) -> int | None:
        """Bring a card to the person by the first way that is open.

        Raises:
            Undeliverable: no way is open.
            _TooLarge: Discord refuses the size.
        """
        if self._token_lives(job):
            done, message_id = await self._attempt(job, lambda: self._patch_original(job, *content()))
            if done:
                return message_id
        if job.reply.bot_can_post and not job.reply.ephemeral:
            if job.reply.message_id is not None:
                # Discord lets a message older than an hour be edited rarely: rather post anew than wait for that.
                done, message_id = await self._attempt(job, lambda: self._patch_message(job, *content()), patient=False)
                if done:
                    return message_id
            done, message_id = await self._attempt(job, lambda: self._post(job, *content()))
            if done:
                return message_id
            if may_go_private and job.actor.guild_id is not None:
                done, message_id = await self._attempt(job, lambda: self._send_dm(job, *content()))
                if done:
                    return message_id
        elif self._token_lives(job):
            done, message_id = await self._attempt(job, lambda: self._send_followup(job, *content()))
            if done:
                return message_id
        if job.reply.token and not self._token_lives(job):
            # By our clock, which may be wrong; Discord has the last word.
            done, message_id = await self._attempt(job, lambda: self._patch_original(job, *content()))
            if done:
                return message_id
        raise Undeliverable

    async def _attempt(
        self, job: Job, attempt: Callable[[], Awaitable[int | None]], *, patient: bool = True
    ) -> tuple[bool, int | None]:
        """One way into the channel, with our own retries; False when the way is closed for good."""
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                return True, await attempt()
            except discord.HTTPException as error:
                if error.status == 413 or error.code == TOO_LARGE:
                    raise _UploadTooLarge from error
                if error.status < 500 and error.status != 429:
                    log.info("delivery way closed", extra={"job": job.id, "status": error.status, "code": error.code})
                    return False, None
                reason, asked_s = f"HTTP {error.status}", http.retry_after_s(error)
            except (
                discord.RateLimited
            ) as error:  # longer than is waited for in place (see bot.discord.client, bot.discord.rate_limits)
                if not patient and not isinstance(error, http.HeldBack):
                    return False, None
                reason, asked_s = "rate limit", error.retry_after
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reason, asked_s = type(error).__name__, 0.0
            if pause_s is None or not (job.reply.token or job.reply.bot_can_post):
                return False, None
            wait_s = max(pause_s, min(asked_s, LONGEST_RETRY_S))
            log.info("delivery tried again", extra={"job": job.id, "reason": reason, "pause_s": wait_s})
            await asyncio.sleep(wait_s)
        return False, None

    async def repair_message(self, job: Job, ready: DeliverableImages | None) -> None:
        """Show an end that was shown before once more, only where it stood."""
        content = partial(self._result, job, ready) if ready is not None else partial(self._outcome_card, job)
        try:
            if self._token_lives(job):
                await self._attempt(job, lambda: self._patch_original(job, *content()))
            elif job.reply.message_id is not None and job.reply.bot_can_post:
                await self._attempt(job, lambda: self._patch_message(job, *content()))
        except _UploadTooLarge:
            log.warning("a card could not be set right", extra={"job": job.id, "reason": "too large"})

    async def _patch_original(
        self, job: Job, view: discord.ui.LayoutView, files: list[discord.File] | None = None
    ) -> int | None:
        """Edit the answer to the interaction, by its token; without `files` it keeps what is attached."""
        webhook = discord.Webhook.partial(job.reply.application_id, job.reply.token, client=self._bot)
        attachments = discord.utils.MISSING if files is None else files
        message = await webhook.edit_message(ORIGINAL, view=view, attachments=attachments)
        metrics.DISCORD_EDITS.inc()
        return message.id

    async def _patch_message(self, job: Job, view: discord.ui.LayoutView, files: list[discord.File]) -> int | None:
        """Edit the same message as the bot, once the token is dead."""
        channel = self._bot.get_partial_messageable(job.actor.channel_id, guild_id=job.actor.guild_id)
        message = channel.get_partial_message(job.reply.message_id or 0)
        await message.edit(view=view, attachments=files)
        metrics.DISCORD_EDITS.inc()
        return message.id

    async def _post(self, job: Job, view: discord.ui.LayoutView, files: list[discord.File]) -> int | None:
        """A new message; the nonce makes a repeated POST return the first one, while Discord remembers it."""
        channel = self._bot.get_partial_messageable(job.actor.channel_id, guild_id=job.actor.guild_id)
        if self._nonce_forgotten(job):
            posted = await self._posted_before(channel, job, with_pictures=bool(files))
            if posted is not None:
                return posted
        message = await channel.send(view=view, files=files, nonce=f"{job.id}{job.state.value[:1]}")
        metrics.DISCORD_POSTS.inc()
        return message.id

    def _nonce_forgotten(self, job: Job) -> bool:
        """Whether an earlier process may have posted this so long ago that Discord no longer knows the nonce."""
        since = job.finished_at or job.ended_at
        return since is not None and abs((self._bot.services.clock() - since).total_seconds()) > NONCE_LIFE_S

    async def _posted_before(self, channel: discord.PartialMessageable, job: Job, *, with_pictures: bool) -> int | None:
        """The message that shows this end of the job already, found by its file name or its buttons."""
        after = discord.Object(job.reply.interaction_id)
        try:
            async for message in channel.history(after=after, limit=LOOK_BACK_MESSAGES, oldest_first=True):
                ours = self._bot.user is not None and message.author.id == self._bot.user.id
                if ours and cards.shows_end_of(message.components, job.id, with_pictures=with_pictures):
                    return message.id
        except discord.Forbidden:
            log.info("may not read the channel to look for an earlier post", extra={"job": job.id})
        return None

    async def _send_followup(self, job: Job, view: discord.ui.LayoutView, files: list[discord.File]) -> int | None:
        """One more message by the interaction's token."""
        webhook = discord.Webhook.partial(job.reply.application_id, job.reply.token, client=self._bot)
        webhook.type = discord.WebhookType.application  # `partial` can't know; only these may be ephemeral
        message = await webhook.send(view=view, files=files, wait=True, ephemeral=job.reply.ephemeral)
        return message.id

    async def _send_dm(self, job: Job, view: discord.ui.LayoutView, files: list[discord.File]) -> int | None:
        """To the person themselves, where the bot was shut out of the channel."""
        view.add_item(
            discord.ui.TextDisplay(f"-# I can no longer post in <#{job.actor.channel_id}>, so it comes here.")
        )
        channel = await self._bot.create_dm(discord.Object(job.actor.user_id))
        message = await channel.send(view=view, files=files, nonce=f"{job.id}{job.state.value[:1]}")
        return message.id

    def _token_lives(self, job: Job) -> bool:
        left = job.reply.token_expires_at - self._bot.services.clock()
        return bool(job.reply.token) and left.total_seconds() > TOKEN_MARGIN_S

    def _model(self, job: Job) -> Model:
        model = self._bot.services.catalogue.known(job.request.endpoint)
        return model if model is not None else cards.unknown_model(job.request.endpoint)


_Content = tuple[discord.ui.LayoutView, list[discord.File]]


class _UploadTooLarge(Exception):
    """Discord refuses the size of an upload."""


class DeliveryCog(commands.Cog):
    """Owns the editor task."""

    def __init__(self, bot: EaselBot) -> None:
        self._delivery = DiscordDelivery(bot)
        bot.services.runner.attach(self._delivery)
        self._editor: asyncio.Task[None] | None = None

    async def cog_load(self) -> None:
        """Start editing."""
        self._editor = asyncio.create_task(self._delivery.edit_forever(), name="progress-editor")
        self._editor.add_done_callback(_log_end)

    async def cog_unload(self) -> None:
        """Stop editing."""
        if self._editor is not None:
            self._editor.cancel()


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("progress editor ended", exc_info=task.exception())


async def setup(bot: EaselBot) -> None:
    """Called by discord.py's `load_extension`."""
    await bot.add_cog(DeliveryCog(bot))
