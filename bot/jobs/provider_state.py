"""A job that fal has, as this process last saw it."""

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
    """What fal said of it so far, by its status and by its callback."""

    job: Job
    #: Seconds that are usual for it.
    expected_s: float
    started_at: datetime | None = None
    logged: LogProgress | None = None
    queued: ProviderQueued | None = None
    #: fal has called back about this request.
    called_back: bool = False
    _waiter: asyncio.Future[None] | None = None

    def call_back(self) -> None:
        """A callback has come."""
        self.called_back = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def callback_within(self, seconds: float) -> None:
        """Wait for a callback, no longer than that."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._waiter
        finally:
            self._waiter = None

    def note_logged(self, logged: LogProgress | None) -> None:
        """Progress read from the logs; it never goes backwards."""
        if logged is not None and (self.logged is None or logged.fraction >= self.logged.fraction):
            self.logged = logged

    def progress(self, now: datetime) -> Progress:
        """The state as an event."""
        return (self.queued or ProviderQueued(None)) if self.started_at is None else self.in_progress(now)

    def in_progress(self, now: datetime) -> InProgress:
        """The state as an event, with the time left by the clock and by the logs."""
        spent_s = (now - self.started_at).total_seconds() if self.started_at else 0.0
        left_s = self.expected_s - spent_s
        if self.logged is None:
            return InProgress(left_s=left_s if left_s > 0.5 else None)
        if self.logged.fraction:
            left_s = spent_s / self.logged.fraction - spent_s
        return InProgress(self.logged.fraction, self.logged.step, self.logged.steps, left_s if left_s > 0.5 else None)
