"""Stopping a job for its owner: here, at fal, or at the process that has it."""

from __future__ import annotations

import asyncio
import logging

from bot.domain.job import Job, JobState
from bot.domain.ports import CancelOutcome
from bot.errors import EaselError, ProviderError, ProviderUnreachable
from bot.fal import CancelAnswer, Fal
from bot.jobs.context import RunnerContext, now_s
from bot.jobs.queue_positions import QueuePositions
from bot.jobs.reconcile import Reconciler
from bot.jobs.watcher import Watcher

log = logging.getLogger(__name__)

#: Where one process cares for a job.
CLAIMED = frozenset({JobState.SUBMITTING, JobState.RUNNING, JobState.FINISHED})
#: How often a process looks whether somebody cancelled its jobs at another one, and how long that one waits for it.
CANCEL_POLL_S = 1.0
CANCEL_ELSEWHERE_S = 5.0


class Canceller:
    """Every wish is on record before anything is done about it."""

    def __init__(
        self, context: RunnerContext, fal: Fal, reconciler: Reconciler, watcher: Watcher, places: QueuePositions
    ) -> None:
        self._context = context
        self._fal = fal
        self._reconciler = reconciler
        self._watcher = watcher
        self._positions = places

    async def cancel(self, job_id: str, patience_s: float) -> CancelOutcome:
        """See `Runner.cancel`."""
        context = self._context
        job = await context.store.jobs.annotate(job_id, cancel_requested=True)
        if job is None:
            return CancelOutcome(False, "I no longer have the record of this picture, so there is nothing to cancel.")
        if context.store.shared and job.state in CLAIMED and job_id not in context.tasks:
            job = await self._ended_elsewhere(job, patience_s)
            if job.state in CLAIMED - {JobState.FINISHED}:
                return CancelOutcome(
                    True, "Cancelling: it stops in a moment and costs no quota, unless fal.ai has painted it by then."
                )
            if job.state is JobState.CANCELLED and job.failure is not None:
                return CancelOutcome(True, job.failure.sentence)
        match job.state:
            case JobState.HELD | JobState.QUEUED:
                return await self._cancel_waiting(job)
            case JobState.SUBMITTING:
                self._cancel_submitting(job)
                if job.id in context.unconfirmed:
                    return CancelOutcome(
                        True,
                        "Cancelling: fal.ai never answered, so it may still charge for it; your quota is not used.",
                    )
                return CancelOutcome(True, "Cancelling: I stop it as soon as fal.ai has it. Your quota is not used.")
            case JobState.RUNNING:
                return await self.cancel_running(job)
            case JobState.FINISHED:
                return CancelOutcome(False, "Too late to cancel: the picture is finished and on its way.")
            case JobState.CANCELLED:
                return CancelOutcome(True, "This one is cancelled already. Your quota was not used.")
            case _:
                return CancelOutcome(False, "This one has ended already, so there is nothing to cancel.")

    async def _ended_elsewhere(self, job: Job, patience_s: float) -> Job:
        """The job, once the process that has it has heeded the wish (or time is up)."""
        until_s = now_s() + patience_s
        while job.state in CLAIMED and (left_s := until_s - now_s()) > 0:
            await self._context.pause(min(0.2, left_s))
            job = await self._context.store.jobs.get(job.id) or job
        return job

    async def poll_cancel_requests(self) -> None:
        """Stop what somebody cancelled at another process."""
        while True:
            await asyncio.sleep(CANCEL_POLL_S)
            try:
                for job_id in await self._context.store.leases.cancel_requests() if self._context.tasks else ():
                    await self._apply_cancel_request(job_id)
            except EaselError:
                log.exception("wishes to cancel not read")

    async def _apply_cancel_request(self, job_id: str) -> None:
        job = await self._context.store.jobs.get(job_id) if job_id in self._context.tasks else None
        if job is not None and job.state is JobState.SUBMITTING:
            self._cancel_submitting(job)
        elif job is not None and job.state is JobState.RUNNING:
            await self.cancel_running(job)  # again the next time, while fal can't be reached

    def _cancel_submitting(self, job: Job) -> None:
        """Whoever hands it over finds the wish."""
        self._context.cancel_requested.add(job.id)
        self._reconciler.give_up(job.id, job.attempts)

    async def _cancel_waiting(self, job: Job) -> CancelOutcome:
        ended = await self._context.transition_to_cancelled(
            job, "Cancelled before it was handed to fal.ai: nothing was charged."
        )
        if ended is None:  # whoever claimed it since found the wish in it
            return CancelOutcome(True, "Cancelling: it was just being handed to fal.ai. Your quota is not used.")
        self._positions.left(job.id)
        if self._context.store.shared:
            # At once, and again when an edit by a process that shows its place in the queue can no longer follow.
            await self._context.delivery.notify_outcome(ended)
            if not self._context.stopping.is_set():
                self._positions.keep_quiet(job.id)
                self._context.spawn_critical(self._notify_again(ended))
        else:
            await self._context.notify_outcome(ended)
        return CancelOutcome(
            True, "Cancelled before it was handed to fal.ai: nothing was charged, your quota was not used."
        )

    async def _notify_again(self, job: Job) -> None:
        try:
            await self._context.notify_outcome(job)
        except EaselError:
            log.exception("the end of a cancelled job is not on record")
        finally:
            self._context.quiet_until_s.pop(job.id, None)
            self._positions.forget(job.id)

    async def cancel_running(self, job: Job) -> CancelOutcome:
        """Stop what fal has; the wish is taken back when it comes too late, so that nobody heeds it later."""
        if job.fal_request is None:
            raise RuntimeError("a running job has a request")
        try:
            answer = await self._fal.cancel(job.fal_request)
        except ProviderUnreachable:
            return CancelOutcome(
                False, "fal.ai can't be reached just now, so it goes on. Please try again in a moment."
            )
        if answer is CancelAnswer.ALREADY_COMPLETED:
            if not job.notified:  # else nobody waits for a picture, see `Runner.unanswered`
                await self._context.store.jobs.annotate(job.id, cancel_requested=False)
            return CancelOutcome(False, "Too late to cancel: fal.ai has finished it, and the picture is on its way.")
        if self._watcher.has_begun(job.id):
            sentence = (
                "Cancelled while it was being painted: fal.ai may still charge for it, but your quota was not used."
            )
        else:
            sentence = "Cancelled before fal.ai began: nothing was charged, and your quota was not used."
        ended = await self._context.transition_to_cancelled(job, sentence)
        if ended is None:
            return CancelOutcome(False, "Too late to cancel: the picture is finished and on its way.")
        life = self._context.tasks.get(job.id)
        if life is not None and life is not asyncio.current_task():
            life.cancel()
        await self._context.notify_outcome(ended)
        return CancelOutcome(True, sentence)

    async def cancel_if_requested(self, running: Job | None) -> Job | None:
        """The running job, unless it was cancelled while it was handed over: whoever did was told that it ends."""
        if running is None or not self._context.is_cancelled(running):
            return running
        fal_request = running.fal_request
        if fal_request is None:
            raise RuntimeError("a running job has a request")
        try:
            answer = await self._context.retry_fal(running, lambda: self._fal.cancel(fal_request))
        except ProviderError:
            answer = CancelAnswer.UNKNOWN
        if answer is CancelAnswer.REMOVED_OR_REQUESTED:
            sentence = (
                "Cancelled as soon as fal.ai had it, most likely before anything was charged; your quota was not used."
            )
        else:
            sentence = "Cancelled. fal.ai may have painted it by then, and charge for it; your quota was not used."
        ended = await self._context.transition_to_cancelled(running, sentence)
        if ended is not None:
            await self._context.notify_outcome(ended)
        return None
