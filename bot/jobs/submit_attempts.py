"""The state of submits whose answers were lost or were errors."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from bot.errors import SubmitUnconfirmed
from bot.jobs.timings import JobTimings


@dataclass(slots=True)
class LostAttempt:
    """One submit without an answer, while the reconciler looks for its request."""

    #: Set to end the search at once: fal called back, or nothing can be heard of a job that was cancelled.
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    #: The request that fal's callback or list gave.
    request_id: str | None = None
    #: Whether neither a list nor a callback can tell what became of it.
    hopeless: bool = False

    async def heard_within(self, seconds: float) -> None:
        """Wait for `heard`, at most for this long; returns in either case."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.heard.wait()


@dataclass(slots=True)
class Losses:
    """Counts the failed submits of one job."""

    timings: JobTimings
    #: Submits without any answer.
    unheard: int = 0
    #: The latest submits in a row that fal answered with an error.
    refused: int = 0
    #: Whether as many as `JobTimings.outage_jobs` jobs were answered with errors at the same time.
    in_outage: bool = False
    _refused_at_s: float = 0.0

    def count(self, error: SubmitUnconfirmed, now_s: float) -> None:
        """Count one failed submit. `now_s` is the time of the loop."""
        self.unheard += not error.refused
        self.refused = self.refused + 1 if error.refused else 0
        self.in_outage = False
        self._refused_at_s = now_s

    @property
    def wait_s(self) -> float | None:
        """Seconds for which the request is looked for; None for the time in the settings."""
        waits_s = self.timings.refused_waits_s
        return waits_s[min(self.refused, len(waits_s)) - 1] if self.refused else None

    def outlasted(self, now_s: float) -> bool:
        """Whether the search exceeded `wait_s` by so much that fal's list was unavailable too: an outage of fal."""
        return self.wait_s is not None and now_s - self._refused_at_s > self.wait_s + self.timings.blind_s
