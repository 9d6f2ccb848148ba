"""The last known state of a job at fal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bot.domain.events import InProgress, Progress, ProviderQueued
from bot.domain.job import Job
from bot.jobs.log_progress import LogProgress


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
        left_s = self.expected_s - spent_s
        if self.logged is None:
            return InProgress(left_s=left_s if left_s > 0.5 else None)
        if self.logged.fraction:
            left_s = spent_s / self.logged.fraction - spent_s
        return InProgress(self.logged.fraction, self.logged.step, self.logged.steps, left_s if left_s > 0.5 else None)
