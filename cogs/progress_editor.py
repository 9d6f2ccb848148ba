"""Progress on Discord: each job's message is edited when it is due, never faster than the configured rate."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite

import aiohttp
import discord

from bot.discord import http
from bot.domain.events import Delivering, ProgressEvent
from bot.domain.job import Job
from bot.services import DiscordTimings
from cogs.ui import cards

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _ProgressMessage:
    """One message under way."""

    event: ProgressEvent
    interval_s: float
    #: When it is to be edited next (monotonic seconds).
    due_at_s: float
    #: It is due, and its newest state may not be shown any more: the next one is shown at once.
    expired: bool = False
    shown: str = ""
    editing: asyncio.Task[None] | None = None


class ProgressEditor:
    """The messages of all jobs under way.

    Args:
        edit: shows the newest state of a job, by the interaction's token.
        may_edit: whether that token lives.
        interval_s: least time between two edits of one message.
        pause_s: least time between two edits of any.
        backpressure: whether initial responses are in a hurry, which go first.
        on_late_edit: told the id of a job whose edit may have landed after it was no longer valid.
    """

    def __init__(
        self,
        edit: Callable[[ProgressEvent], Awaitable[object]],
        may_edit: Callable[[Job], bool],
        *,
        interval_s: float,
        pause_s: float,
        backpressure: Callable[[], bool],
        on_late_edit: Callable[[str], None],
        timings: DiscordTimings,
    ) -> None:
        self._edit = edit
        self._may_edit = may_edit
        self._interval_s = interval_s
        self._pause_s = pause_s
        self._backpressure = backpressure
        self._on_late_edit = on_late_edit
        self._timings = timings
        self._messages: dict[str, _ProgressMessage] = {}
        #: By time; at most one entry a message, and none for an expired one.
        self._due: list[tuple[float, int, _ProgressMessage]] = []
        self._count = itertools.count()
        #: Set when another message is due first.
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._messages)

    def update(self, event: ProgressEvent) -> None:
        """Take note of a newer state; it is shown when the message is due."""
        message = self._messages.get(event.job.id)
        if message is None:
            # The initial response has just shown the state of acceptance.
            message = _ProgressMessage(event, self._interval_s, time.monotonic() + self._interval_s)
            self._messages[event.job.id] = message
            self._schedule(message)
            return
        message.event = event
        if message.expired:
            message.expired = False
            self._schedule(message)

    def forget(self, job_id: str) -> None:
        """No more progress for this job."""
        self._messages.pop(job_id, None)

    async def settle(self, job_id: str) -> None:
        """The same, once no edit can land after what comes now."""
        message = self._messages.pop(job_id, None)
        if message is not None and message.editing is not None:
            await asyncio.wait({message.editing})

    async def run(self) -> None:
        """Edit what is due, most overdue first."""
        while True:
            message = await self._next_due()
            if self._messages.get(message.event.job.id) is not message:
                continue
            if message.event.valid_until_s <= time.monotonic():
                message.expired = True
                continue
            if self._is_editable(message):
                message.editing = asyncio.create_task(self._edit_one(message))
                await asyncio.sleep(self._pause_s)
            message.due_at_s = time.monotonic() + message.interval_s
            self._schedule(message)

    def _schedule(self, message: _ProgressMessage) -> None:
        entry = (message.due_at_s, next(self._count), message)
        heapq.heappush(self._due, entry)
        if self._due[0] is entry:
            self._changed.set()

    async def _next_due(self) -> _ProgressMessage:
        while True:
            self._changed.clear()
            wait_s = self._due[0][0] - time.monotonic() if self._due else None
            if wait_s is not None and self._backpressure():
                await asyncio.sleep(max(wait_s, self._timings.backpressure_pause_s))
            elif wait_s is not None and wait_s <= 0:
                return heapq.heappop(self._due)[2]
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._changed.wait()

    def _is_editable(self, message: _ProgressMessage) -> bool:
        """Only what has changed, while a token lives, and not when the picture is about to replace it anyway."""
        event = message.event
        if message.editing is not None or isinstance(event.progress, Delivering) or not self._may_edit(event.job):
            return False
        return _text(event) != message.shown

    async def _edit_one(self, message: _ProgressMessage) -> None:
        """One edit; the next one comes later if Discord made us wait."""
        event, began, refused = message.event, time.monotonic(), False
        try:
            await self._edit_in_time(event)
            message.shown = _text(event)
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.debug("progress edit failed", extra={"job": event.job.id, "error": type(error).__name__})
            refused = http.is_rate_limit(error) or isinstance(error, (discord.NotFound, discord.Forbidden))
        except Exception:
            log.exception("progress edit broke", extra={"job": event.job.id})
            refused = True
        finally:
            message.editing = None
        took_s = time.monotonic() - began
        if refused or took_s > self._timings.slow_edit_s:
            message.interval_s = min(max(message.interval_s * 2, took_s), self._timings.slowest_edit_s)
        else:
            message.interval_s = self._interval_s

    async def _edit_in_time(self, event: ProgressEvent) -> None:
        """Give up when the state is no longer valid: another process may have the job then, and show its end.

        An edit that lands later all the same, because the process hung in the instant of sending, is repaired.
        """
        sent, until_s = True, event.valid_until_s
        try:
            async with asyncio.timeout_at(until_s if isfinite(until_s) else None):
                with http.as_progress(until=until_s):
                    await self._edit(event)
        except http.DeadlineExceeded:
            sent = False
            raise
        finally:
            if sent and time.monotonic() > until_s + self._timings.hung_s:
                self._on_late_edit(event.job.id)


def _text(event: ProgressEvent) -> str:
    """What its person would read."""
    return cards.progress_text(event.progress, event.job.reply.locale)
