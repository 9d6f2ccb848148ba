"""For how long nobody looked after the jobs: people hear of a restart only where they will have noticed one."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from bot.domain.job import TERMINAL, Job
from bot.jobs.context import RunnerContext, now_s

#: After a stop of this length people are told of the restart.
NOTICEABLE_S = 15.0
#: While jobs are under way it is noted this often that somebody looks after them.
ALIVE_EVERY_S = 5.0
#: Where the store keeps the latest such moment.
ALIVE_AT = "alive_at"
#: How long after a start that is a reason to wait.
JUST_STARTED = timedelta(seconds=60)


class Downtime:
    """The time before this start."""

    def __init__(self, context: RunnerContext, *, starting_s: float) -> None:
        self._context = context
        #: So long after a start jobs are still being taken up.
        self._starting = timedelta(seconds=starting_s)
        self._started_at: datetime | None = None
        #: When an earlier process last looked after jobs; loop time of our own last note of that.
        self._last_alive: datetime | None = None
        self._noted_s = 0.0

    def begin(self) -> None:
        """This process looks after the jobs from now on."""
        self._started_at = self._context.clock()
        self._noted_s = now_s()

    async def recall(self) -> None:
        """When an earlier process was last known to look after jobs."""
        known = await self._context.store.kv.get(ALIVE_AT)
        with suppress(TypeError, ValueError):
            self._last_alive = datetime.fromisoformat(known or "")

    async def note_alive(self) -> None:
        """So that the next start knows for how long nobody did; call often, while there are jobs."""
        if now_s() - self._noted_s > ALIVE_EVERY_S:
            self._noted_s = now_s()
            await self.note_now()

    async def note_now(self) -> None:
        """The same without delay."""
        await self._context.store.kv.set(ALIVE_AT, self._context.clock().isoformat())

    def announce_resume(self, job: Job) -> None:
        """Show that the job goes on, where nobody looked after it for long."""
        now = self._context.clock()
        starting = self._started_at is not None and now - self._started_at < self._starting
        moments = (self._last_alive, job.created_at, job.submitted_at, job.started_at, job.finished_at)
        seen = max(moment for moment in moments if moment is not None)
        if starting and job.state not in TERMINAL and (now - seen).total_seconds() > NOTICEABLE_S:
            self._context.delivery.resumed(job)

    def recently_restarted(self, job: Job) -> bool:
        """Whether the job was here before this process, which has just started."""
        started_at = self._started_at
        return (
            started_at is not None and job.created_at < started_at <= self._context.clock() < started_at + JUST_STARTED
        )
