"""What a process knows of submits whose answers did not come."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from bot.errors import SubmitUnconfirmed
from bot.jobs.timings import JobTimings


@dataclass(slots=True)
class LostAttempt:
    """One attempt whose answer is missing, as the reconciler looks for it."""

    #: Set when there is nothing left to wait for: fal called back, or the job was cancelled.
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    #: What fal called back about, or what its list showed.
    request_id: str | None = None

    async def heard_within(self, seconds: float) -> None:
        """Wait for it, no longer than that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.heard.wait()


@dataclass(slots=True)
class Losses:
    """Answers to the submits of one job that did not come, or were errors."""

    timings: JobTimings
    #: Without any answer.
    unheard: int = 0
    #: Answered by fal itself with errors, the latest ones in a row.
    refused: int = 0
    #: Other jobs met the same at that time.
    in_outage: bool = False
    _refused_at_s: float = 0.0

    def count(self, error: SubmitUnconfirmed, now_s: float) -> None:
        """One more."""
        self.unheard += not error.refused
        self.refused = self.refused + 1 if error.refused else 0
        self.in_outage = False
        self._refused_at_s = now_s

    @property
    def wait_s(self) -> float | None:
        """How long the request is looked for; None: as long as the settings say."""
        waits_s = self.timings.refused_waits_s
        return waits_s[min(self.refused, len(waits_s)) - 1] if self.refused else None

    def outlasted(self, now_s: float) -> bool:
        """Whether fal's list could not be read for long either: an outage that has ended just now."""
        return self.wait_s is not None and now_s - self._refused_at_s > self.wait_s + self.timings.blind_s
