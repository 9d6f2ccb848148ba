"""The last known state of a job at fal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bot.domain.events import InProgress, Progress, ProviderQueued
from bot.domain.job import Job
from bot.jobs.log_progress import LogProgress

#: A job that has taken so many times as long as expected, and so many seconds more, is said to take longer than usual.
OVERDUE_FACTOR, OVERDUE_S = 1.5, 3.0


@dataclass(slots=True)
class ProviderState:
    """What fal has reported about a job so far, by status and by callback."""

    job: Job
    #: Seconds that the job is expected to take at fal.
    expected_s: float
    started_at: datetime | None = None
    logged: LogProgress | None = None
    queued: ProviderQueued | None = None
    #: Whether fal has called back about this request.
    called_back: bool = False
    _waiter: asyncio.Future[None] | None = None

    def call_back(self) -> None:
        """Record a callback and wake `callback_within`."""
        self.called_back = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def callback_within(self, seconds: float) -> None:
        """Wait for a callback, at most for this long; returns in either case."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._waiter
        finally:
            self._waiter = None

    def note_logged(self, logged: LogProgress | None) -> None:
        """Record progress read from the logs; progress that goes backwards is ignored."""
        if logged is not None and (self.logged is None or logged.fraction >= self.logged.fraction):
            self.logged = logged

    def progress(self, now: datetime) -> Progress:
        """The state as a progress event."""
        return (self.queued or ProviderQueued(None)) if self.started_at is None else self.in_progress(now)

    def in_progress(self, now: datetime) -> InProgress:
        """The state as an event, with the remaining time by the logs' fraction or by the expected duration."""
        spent_s = (now - self.started_at).total_seconds() if self.started_at else 0.0
        logged = self.logged
        if logged is None:
            overdue = spent_s > self.expected_s * OVERDUE_FACTOR + OVERDUE_S
            return InProgress(left_s=None if overdue else max(0.0, self.expected_s - spent_s), overdue=overdue)
        left_s = spent_s / logged.fraction - spent_s if logged.fraction else self.expected_s - spent_s
        return InProgress(logged.fraction, logged.step, logged.steps, max(0.0, left_s))
