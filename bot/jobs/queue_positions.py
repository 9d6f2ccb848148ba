"""This process's copy of the queue, and the queue positions that it shows in progress messages."""

from __future__ import annotations

from collections.abc import Collection

from bot.domain.events import OutOfCredit, Queued
from bot.domain.job import Job
from bot.jobs.context import RunnerContext


class QueuePositions:
    """The queued jobs that this process knows of. A copy: the store decides what is queued."""

    def __init__(self, context: RunnerContext, *, tick_s: float) -> None:
        self._context = context
        self._active = context.active
        self._timings = context.timings
        self._tick_s = tick_s
        #: Round-robin offset into the jobs behind the first `positions_a_tick` (see `next_shown`).
        self._shown_so_far = 0
        self._reloaded_at_s = float("-inf")

    def __len__(self) -> int:
        return len(self._active.queued)

    @property
    def jobs(self) -> Collection[Job]:
        """The rows of all queued jobs, in queue order."""
        return [active.queued for active in self._active.queued.values() if active.queued is not None]

    def accepted(self, job: Job) -> None:
        """Add a job that this process has accepted."""
        active = self._active.open(job.id)
        active.queued = job
        active.position_from_s = self._context.now_s() + self._tick_s

    def accepted_here(self, job_id: str) -> bool:
        """Whether this process accepted the job."""
        active = self._active.get(job_id)
        return active is not None and bool(active.position_from_s)

    def claimed(self, job: Job) -> None:
        """Remove a job that this process has claimed.

        Where the database is shared, the process that accepted the job may be editing its position into the message at
        this moment, so the final message is delayed (see `RunnerContext.keep_quiet`).
        """
        active = self._active.open(job.id)
        active.queued = None
        if self._context.store.shared and self._context.now_s() >= (active.position_from_s or 0):
            self._context.keep_quiet(job.id)

    def left(self, job_id: str) -> None:
        """Remove a job that left the queue without a claim by this process (cancelled, erased, claimed elsewhere)."""
        active = self._active.get(job_id)
        if active is not None:
            active.queued = None
            self._active.release(job_id)

    async def reload(self) -> None:
        """Replace the copy by the store's queue, keeping jobs that were accepted while it was being read."""
        queued = self._active.queued
        before = set(queued)
        found = {job.id: job for job in await self._context.retry_store(self._context.store.jobs.queued)}
        newer = {job_id: active.queued for job_id, active in queued.items() if job_id not in before | found.keys()}
        for job_id in before - found.keys():
            self.left(job_id)
        for job_id, job in (found | newer).items():
            active = self._active.open(job_id)
            active.queued = None  # unset and set again, so that the registry lists them in the store's order
            active.queued = job

    async def reload_if_due(self) -> None:
        """Reload after a claim found nothing although jobs are queued here: they may be cancelled or erased.

        Where concurrency caps can explain an empty claim, at most every `reload_queue_s` seconds.
        """
        good_s = self._timings.reload_queue_s
        if not len(self) or (self._context.capped and self._context.now_s() - self._reloaded_at_s <= good_s):
            return
        self._reloaded_at_s = self._context.now_s()
        await self.reload()

    def adopt_all(self) -> None:
        """Show the positions of all jobs queued now too, which an earlier or another process accepted."""
        for active in self._active.queued.values():
            if active.position_from_s is None:
                active.position_from_s = 0.0

    # ------------------------------------------------------------------ positions

    async def show(self) -> None:
        """Publish the queue positions of the jobs that are due in this tick.

        Where the database is shared, another process may claim a job at any moment, so a position that was read is
        valid for `position_valid_s` only. Positions are then read in small batches, so that the message edits keep up.
        """
        shown = self.next_shown()
        if not self._context.store.shared:
            await self._show(shown)
            return
        for start in range(0, len(shown), self._timings.positions_at_once):
            if start:
                await self._context.pause(self._timings.position_pause_s)
            valid_until_s = self._context.now_s() + self._timings.position_valid_s
            await self._show(shown[start : start + self._timings.positions_at_once], valid_until_s=valid_until_s)

    def next_shown(self) -> list[str]:
        """Ids of the jobs whose position is read in this tick: the first `positions_a_tick`, and others in rotation."""
        most = self._timings.positions_a_tick
        shown = [job_id for job_id, active in self._active.queued.items() if active.position_from_s is not None]
        first, others = shown[:most], shown[most:]
        start = self._shown_so_far = self._shown_so_far if self._shown_so_far < len(others) else 0
        self._shown_so_far += most
        return first + others[start : start + most]

    async def _show(self, shown: list[str], *, valid_until_s: float | None = None) -> None:
        if not shown:
            return
        store, settings = self._context.store, self._context.settings
        full = await store.positions.reached_caps(settings.guild_jobs_in_flight, settings.user_jobs_in_flight)
        for job_id, ahead in (await store.positions.of(shown)).items():
            active = self._active.get(job_id)
            if active is not None and active.queued is not None:
                job = active.queued
                waits = OutOfCredit() if self._context.credit.active else Queued(ahead, full.caps(job.actor))
                self._context.publish(job, waits, valid_until_s=valid_until_s)
