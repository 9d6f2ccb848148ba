"""Who waits in our own queue, as far as this process knows, and the places it shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bot.domain.events import Queued
from bot.domain.job import Job
from bot.jobs.context import RunnerContext, now_s

#: Places in the queue looked up at every tick, of those in front and once more of the rest; more can't be shown anyway.
POSITIONS_A_TICK = 100
#: Only so long after a job was taken from the queue it is shown how it ended: until then another process, which shows
#: its place, may not know (see `POSITION_EDIT_S`).
QUIET_S = 2.0
#: How long the store's word on what waits is good while caps may be what keeps a claim from finding anything.
RELEARN_S = 10.0


class QueuePositions:
    """The queue as this process knows it; the store has the last word."""

    def __init__(self, context: RunnerContext, *, tick_s: float) -> None:
        self._context = context
        self._tick_s = tick_s
        self._waiting: dict[str, Job] = {}
        #: Jobs whose places this process shows, with the time (of the loop) from which somebody may have done so; 0
        #: for those that another one accepted.
        self._shown_here: dict[str, float] = {}
        #: Of those far back in the queue, how many had their place looked up in this round.
        self._shown_so_far = 0
        self._reloaded_at_s = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._waiting

    @property
    def jobs(self) -> Collection[Job]:
        """All of them."""
        return self._waiting.values()

    def accepted(self, job: Job) -> None:
        """One more, by this process."""
        self._waiting[job.id] = job
        self._shown_here[job.id] = now_s() + self._tick_s

    def accepted_here(self, job_id: str) -> bool:
        """Whether it was this process that accepted it."""
        return bool(self._shown_here.get(job_id))

    def claimed(self, job: Job) -> None:
        """It is here to be worked on; whoever accepted it may be showing its place just now."""
        self._waiting.pop(job.id, None)
        if self._context.store.shared and now_s() >= self._shown_here.get(job.id, 0):
            self.keep_quiet(job.id)

    def keep_quiet(self, job_id: str) -> None:
        """It has just been taken from the queue; another process may not know for a moment, and show its place."""
        self._context.quiet_until_s[job_id] = now_s() + QUIET_S

    def left(self, job_id: str) -> None:
        """It does not wait any more."""
        self._waiting.pop(job_id, None)

    def forget(self, job_id: str) -> None:
        """It has ended."""
        self._shown_here.pop(job_id, None)

    async def reload(self) -> None:
        """What really waits, by the store; what was accepted while it was being read waits too."""
        before = set(self._waiting)
        found = await self._context.retry_store(self._context.store.jobs.queued)
        queued = {job.id: job for job in found}
        self._waiting = queued | {job_id: job for job_id, job in self._waiting.items() if job_id not in before}

    async def reload_if_due(self) -> None:
        """The same where we think that jobs wait and the store knows better (cancelled, or erased)."""
        if not self._waiting or (self._context.capped and now_s() - self._reloaded_at_s <= RELEARN_S):
            return
        self._reloaded_at_s = now_s()
        await self.reload()

    def adopt_all(self) -> None:
        """All that waits now was accepted by an earlier process, or another one; its places are shown here too."""
        for job_id in self._waiting:
            self._shown_here.setdefault(job_id, 0.0)

    async def show(self, *, answering: Iterable[str], backpressure: bool) -> None:
        """Tell people where they are in the queue, as many as can be told.

        Args:
            answering: jobs whose first answers are under way.
            pressed: nothing is looked up now.
        """
        shown = [] if backpressure else self.next_shown()
        if shown:
            await self._show(shown)
        for job_id in self._shown_here.keys() - self._waiting.keys() - self._context.tasks.keys() - set(answering):
            # Another process has it.
            self._shown_here.pop(job_id)
            self._context.messages.pop(job_id, None)
            if self._context.store.shared:
                self._context.cancel_requested.discard(job_id)  # it finds the wish on record
            self._context.delivery.forget(job_id)

    def next_shown(self) -> list[str]:
        """Those whose place is looked up now: the first in line, and as many of the others in turn."""
        shown = [job_id for job_id in self._waiting if job_id in self._shown_here]
        first, others = shown[:POSITIONS_A_TICK], shown[POSITIONS_A_TICK:]
        start = self._shown_so_far = self._shown_so_far if self._shown_so_far < len(others) else 0
        self._shown_so_far += POSITIONS_A_TICK
        return first + others[start : start + POSITIONS_A_TICK]

    async def _show(self, shown: list[str]) -> None:
        store, settings = self._context.store, self._context.settings
        full = await store.positions.reached_caps(settings.guild_jobs_in_flight, settings.user_jobs_in_flight)
        for job_id, ahead in (await store.positions.of(shown)).items():
            if job_id in self._waiting:
                job = self._waiting[job_id]
                self._context.publish(job, Queued(ahead, full.caps(job.actor)))
