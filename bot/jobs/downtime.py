"""For how long nobody looked after the jobs: people hear of a restart only where they will have noticed one."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from bot.domain.job import TERMINAL, Job
from bot.jobs.context import RunnerContext

#: Where the store keeps the latest such moment.
ALIVE_AT = "alive_at"


class Downtime:
    """How long no process served jobs before this one started."""

    def __init__(self, context: RunnerContext) -> None:
        self._context = context
        #: So long after a start jobs are still being taken up.
        self._starting = timedelta(seconds=2 * context.timings.lease_s)
        self._started_at: datetime | None = None
        #: When an earlier process last looked after jobs; loop time of our own last note of that.
        self._last_alive: datetime | None = None
        self._noted_s = 0.0

    def begin(self) -> None:
        """This process looks after the jobs from now on."""
        self._started_at = self._context.clock()
        self._noted_s = self._context.now_s()

    async def recall(self) -> None:
        """When an earlier process was last known to look after jobs."""
        known = await self._context.store.kv.get(ALIVE_AT)
        with suppress(TypeError, ValueError):
            self._last_alive = datetime.fromisoformat(known or "")

    async def note_alive(self) -> None:
        """So that the next start knows for how long nobody did; call often, while there are jobs."""
        if self._context.now_s() - self._noted_s > self._context.timings.note_alive_s:
            self._noted_s = self._context.now_s()
            await self.note_now()

    async def note_now(self) -> None:
        """The same without delay."""
        await self._context.store.kv.set(ALIVE_AT, self._context.clock().isoformat())

    def announce_resume(self, job: Job) -> None:
        """Have its progress say that the job goes on, where nobody looked after it for long."""
        now = self._context.clock()
        starting = self._started_at is not None and now - self._started_at < self._starting
        moments = (self._last_alive, job.created_at, job.submitted_at, job.started_at, job.finished_at)
        seen = max(moment for moment in moments if moment is not None)
        noticeable = (now - seen).total_seconds() > self._context.timings.noticeable_stop_s
        if starting and noticeable and job.state not in TERMINAL:
            self._context.active.open(job.id).resumed = True

    def recently_restarted(self, job: Job) -> bool:
        """Whether the job was here before this process, which has just started."""
        started_at, just_started = self._started_at, self._context.timings.just_started
        return (
            started_at is not None and job.created_at < started_at <= self._context.clock() < started_at + just_started
        )
