"""How long the bot was down before this start, to tell people about a restart only if it was noticeable."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from bot.domain.job import TERMINAL, Job
from bot.jobs.context import RunnerContext

#: Key under which the store keeps the latest time at which a process served jobs (ISO 8601).
ALIVE_AT = "alive_at"


class Downtime:
    """How long no process served jobs before this one started."""

    def __init__(self, context: RunnerContext) -> None:
        self._context = context
        #: How long after the start jobs of the previous process are still being adopted.
        self._starting = timedelta(seconds=2 * context.timings.lease_s)
        self._started_at: datetime | None = None
        #: When an earlier process last served jobs; None when unknown.
        self._last_alive: datetime | None = None
        #: Time of the loop when `alive_at` was last stored.
        self._noted_s = 0.0

    def begin(self) -> None:
        """Record the start of this process."""
        self._started_at = self._context.clock()
        self._noted_s = self._context.now_s()

    async def recall(self) -> None:
        """Load when an earlier process last served jobs."""
        known = await self._context.store.kv.get(ALIVE_AT)
        with suppress(TypeError, ValueError):
            self._last_alive = datetime.fromisoformat(known or "")

    async def note_alive(self) -> None:
        """Store that this process is serving jobs, at most every `note_alive_s` seconds; to be called often."""
        if self._context.now_s() - self._noted_s > self._context.timings.note_alive_s:
            self._noted_s = self._context.now_s()
            await self.note_now()

    async def note_now(self) -> None:
        """Store now that this process is serving jobs."""
        await self._context.store.kv.set(ALIVE_AT, self._context.clock().isoformat())

    def announce_resume(self, job: Job) -> None:
        """Mark the job as resumed, for its progress messages, if a noticeable downtime interrupted it."""
        now = self._context.clock()
        starting = self._started_at is not None and now - self._started_at < self._starting
        moments = (self._last_alive, job.created_at, job.submitted_at, job.started_at, job.finished_at)
        seen = max(moment for moment in moments if moment is not None)
        noticeable = (now - seen).total_seconds() > self._context.timings.noticeable_stop_s
        if starting and noticeable and job.state not in TERMINAL:
            self._context.active.open(job.id).resumed = True

    def recently_restarted(self, job: Job) -> bool:
        """Whether this process has just started and the job was accepted before that."""
        started_at, just_started = self._started_at, self._context.timings.just_started
        return (
            started_at is not None and job.created_at < started_at <= self._context.clock() < started_at + just_started
        )
