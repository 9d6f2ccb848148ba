"""What becomes of jobs while fal's account is out of credit: they wait in the queue, for a day at most.

fal refuses a job before it has it, so its job goes back to the queue with its reservation. One that fal has already
is asked about again until fal answers. One job at a time is then
tried, after growing pauses; the first that fal accepts lets all others go on. Since when it lasts is kept in the store,
where it outlives a restart, and where other processes and the alerts find it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from bot import metrics
from bot.domain.events import OutOfCredit
from bot.domain.job import Failure, Job, JobState
from bot.domain.settlement import FREE
from bot.errors import BalanceExhausted
from bot.jobs.context import RunnerContext, cancelled_in_queue
from bot.jobs.queue_positions import QueuePositions

log = logging.getLogger(__name__)

#: The store's key for the moment when the credit ran out; there is none while fal paints.
OUT_SINCE = "fal_credit_out_since"


class CreditWatch:
    """Pauses the queue while fal has no credit, and ends what has waited too long."""

    def __init__(self, context: RunnerContext, positions: QueuePositions) -> None:
        self._context = context
        self._pause = context.credit
        self._positions = positions

    async def recall(self) -> None:
        """Pause, or go on, as another process or an earlier one has noted. Raises StoreUnusable."""
        if await self._context.store.kv.get(OUT_SINCE) is not None:
            self._pause.begin(probe_now=True)
        elif self._pause.end():
            self._context.wake.set()
        metrics.FAL_OUT_OF_CREDIT.set(self._pause.active)

    async def ran_out(self, job_id: str) -> None:
        """Pause the queue, because fal refused this job for lack of credit."""
        if not self._pause.refused(job_id):
            return
        log.error("fal.ai's account is out of credit; the queue is paused until it is topped up")
        metrics.FAL_OUT_OF_CREDIT.set(1)
        now = self._context.clock().isoformat()
        await self._context.retry_store(lambda: self._context.store.kv.set_default(OUT_SINCE, now))

    async def accepted(self) -> None:
        """Let the queue go on, because fal accepted a job."""
        if not self._pause.end():
            return
        log.warning("fal.ai's account has credit again; the queue goes on")
        metrics.FAL_OUT_OF_CREDIT.set(0)
        self._context.wake.set()
        await self._context.retry_store(lambda: self._context.store.kv.remove(OUT_SINCE))

    async def put_back(self, job: Job) -> None:
        """Let a claimed job, which fal certainly does not have, wait in the queue.

        Raises:
            BalanceExhausted: it has waited long enough.
        """
        self._check_patience(job)
        context, active = self._context, self._context.active.open(job.id)
        queued = await context.transition(job, JobState.QUEUED)
        active.unsent = active.submitted_at_s = None
        if queued is None:
            return
        if queued.cancel_requested or active.cancel_requested:
            await context.end(queued, JobState.CANCELLED, Failure("cancelled", cancelled_in_queue(queued)), FREE)
            return
        self._positions.accepted(queued)
        context.publish(queued, OutOfCredit())

    async def wait(self, job: Job) -> None:
        """Wait until this job may be tried: one that fal may have already keeps its place, so that it is not lost.

        It is a probe only where no other job can be, because each of its submissions is reserved anew.

        Raises:
            BalanceExhausted: it has waited long enough.
        """
        context = self._context
        while self._pause.holds_back(job.id) and not context.is_cancelled(job):
            self._check_patience(job)
            if self._pause.due and not len(self._positions):
                self._pause.probe(job.id)
                return
            context.publish(job, OutOfCredit())
            await context.pause(context.timings.credit_poll_s)

    async def outlast(self, job_id: str, pause_s: float) -> Job:
        """Pause, because fal says nothing of a job that it has for lack of credit; returns its row, to be followed on.

        Raises:
            BalanceExhausted: fal does not have it, or it has waited long enough.
        """
        context = self._context
        job = await context.retry_store(lambda: context.store.jobs.get(job_id))
        if job is None or job.state is not JobState.RUNNING:
            raise BalanceExhausted
        self._check_patience(job)
        await self.ran_out(job_id)
        context.publish(job, OutOfCredit())
        await context.pause(pause_s)
        context.active.open(job_id).poll_first = True
        return await context.retry_store(lambda: context.store.jobs.get(job_id)) or job

    def _check_patience(self, job: Job) -> None:
        if self._context.clock() - job.created_at > self._patience:
            raise BalanceExhausted

    async def tick(self) -> None:
        """Have a probe claimed when it is due, and end what has waited too long. Raises StoreUnusable."""
        if self._context.store.shared:
            await self.recall()
        if not self._pause.active:
            return
        if self._pause.due:
            self._context.wake.set()
        since = self._context.clock() - self._patience
        for job in [job for job in self._positions.jobs if job.created_at < since]:
            await self._context.end(job, JobState.FAILED, Failure.of(BalanceExhausted()), FREE)
            self._positions.left(job.id)

    @property
    def _patience(self) -> timedelta:
        return self._context.timings.credit_patience
