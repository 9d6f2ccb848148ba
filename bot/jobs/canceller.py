"""Cancel a job for its owner: here, at fal, or in the process that has claimed it."""

from __future__ import annotations

import logging

from bot.domain.job import Failure, Job, JobState
from bot.domain.ports import CancelOutcome, ImageBackend
from bot.domain.provider import CancelAnswer
from bot.domain.settlement import FREE
from bot.errors import EaselError, ProviderError, ProviderUnreachable
from bot.jobs.billing import WORST_CASE, Billing
from bot.jobs.context import RunnerContext, cancelled_in_queue, show_cancelling
from bot.jobs.reconcile import Reconciler
from bot.jobs.watcher import Watcher
from bot.phrase import Phrase, phrase

log = logging.getLogger(__name__)

#: States in which a process has claimed the job.
CLAIMED = frozenset({JobState.SUBMITTING, JobState.RUNNING, JobState.FINISHED})


class Canceller:
    """Cancels jobs. The cancel request is stored before any side effect."""

    def __init__(
        self, context: RunnerContext, fal: ImageBackend, reconciler: Reconciler, watcher: Watcher, billing: Billing
    ) -> None:
        self._context = context
        self._fal = fal
        self._reconciler = reconciler
        self._watcher = watcher
        self._billing = billing

    async def cancel(self, job_id: str, patience_s: float | None) -> CancelOutcome:
        """See `Runner.cancel`."""
        context = self._context
        job = await context.store.jobs.annotate(job_id, cancel_requested=True)
        if job is None:
            return CancelOutcome(False, phrase("cancel_unknown"))
        if context.store.shared and job.state in CLAIMED and job_id not in context.active.working:
            wait_s = context.timings.cancel_elsewhere_s if patience_s is None else patience_s
            job = await self._ended_elsewhere(job, wait_s)
            if job.state in CLAIMED - {JobState.FINISHED}:
                return CancelOutcome(True, phrase("cancelling_elsewhere"))
            if job.state is JobState.CANCELLED and job.failure is not None:
                return CancelOutcome(True, job.failure.phrase, job.failure.charge)
        match job.state:
            case JobState.HELD | JobState.QUEUED:
                return await self._cancel_waiting(job)
            case JobState.SUBMITTING:
                return CancelOutcome(True, self._cancel_submitting(job))
            case JobState.RUNNING:
                return await self.cancel_running(job)
            case JobState.FINISHED:
                return CancelOutcome(False, phrase("cancel_too_late"))
            case JobState.CANCELLED:
                return CancelOutcome(True, phrase("cancelled_already"))
            case _:
                return CancelOutcome(False, phrase("cancel_ended"))

    async def withdraw(self, job_id: str) -> None:
        """See `Runner.card_deleted`. What fal can't cancel any more is not shown when it comes."""
        log.info("a card was deleted; its job is cancelled", extra={"job": job_id})
        try:
            await self._context.store.jobs.annotate(job_id, cancel_requested=True, notified=True)
            await self.cancel(job_id, None)
        except EaselError as error:
            log.warning("a job whose card was deleted goes on for now", extra={"job": job_id, "reason": error.code})

    async def _ended_elsewhere(self, job: Job, patience_s: float) -> Job:
        """Wait until the process that has claimed the job has ended it, or `patience_s` seconds; return the row."""
        context, until_s = self._context, self._context.now_s() + patience_s
        while job.state in CLAIMED and (left_s := until_s - context.now_s()) > 0:
            await context.pause(min(context.timings.cancel_look_s, left_s))
            job = await self._context.store.jobs.get(job.id) or job
        return job

    async def poll_cancel_requests(self) -> None:
        """Apply the cancel requests that other processes stored for jobs of this one."""
        while True:
            await self._context.sleep(self._context.timings.cancel_poll_s)
            if not self._context.active.working:
                continue
            try:
                for job_id in await self._context.store.leases.cancel_requests():
                    await self._apply_cancel_request(job_id)
            except EaselError:
                log.exception("cancel requests not read")

    async def _apply_cancel_request(self, job_id: str) -> None:
        if job_id not in self._context.active.working:
            return
        job = await self._context.store.jobs.get(job_id)
        if job is not None and job.state is JobState.SUBMITTING:
            self._cancel_submitting(job)
        elif job is not None and job.state is JobState.RUNNING:
            await self.cancel_running(job)  # repeated by the next poll, while fal can't be reached

    def _cancel_submitting(self, job: Job) -> Phrase:
        """Request a cancel of a job being submitted; the submitter applies it before or right after the POST.

        Where its request is looked for at fal, that goes on: it may still be stopped there, and it decides the bill.

        Returns:
            what the person is told.
        """
        active = self._context.active.get(job.id)
        if active is not None:
            active.cancel_requested = True
        if active is None or not active.unconfirmed:
            return phrase("cancelling_submit")
        if self._reconciler.give_up(job.id, job.attempts):
            return phrase("cancelling_unanswered")
        show_cancelling(self._context, job, active.search_ends_at)
        return phrase("cancelling_lost")

    async def _cancel_waiting(self, job: Job) -> CancelOutcome:
        message = cancelled_in_queue(job)
        ended = await self._context.end(job, JobState.CANCELLED, Failure("cancelled", message), FREE)
        if ended is None:  # claimed meanwhile: the submitter finds the request in the row
            return CancelOutcome(True, phrase("cancelling_handed"))
        if job.possible_doubles:
            return CancelOutcome(True, message, ended.failure.charge if ended.failure is not None else None)
        return CancelOutcome(True, phrase("cancelled_early_unused"))

    async def cancel_running(self, job: Job) -> CancelOutcome:
        """Cancel a job at fal and end it; when it is too late, clear the stored request so that nobody applies it."""
        if job.fal_request is None:
            raise RuntimeError("a running job has a request")
        if self._context.active.is_cancelled_at_fal(job.id):
            return CancelOutcome(True, phrase("cancelling_painted"))
        try:
            answer = await self._fal.cancel(job.fal_request)
        except ProviderUnreachable:
            return CancelOutcome(False, phrase("cancel_unreachable"))
        if answer is CancelAnswer.ALREADY_COMPLETED:
            if not job.notified:  # else its initial response failed and it must not be delivered (`Runner.unanswered`)
                await self._context.store.jobs.annotate(job.id, cancel_requested=False)
            return CancelOutcome(False, phrase("cancel_painted"))
        begun, active = self._watcher.has_begun(job.id), self._context.active.open(job.id)
        active.cancelled_at_fal, active.begun_before_cancel, active.left_to_canceller = True, begun, True
        settlement = await self._billing.told_soon(job)
        if settlement is None and active.task is not None:
            active.left_to_canceller = False
            show_cancelling(self._context, job)
            return CancelOutcome(True, phrase("cancelling_painted"))
        settlement = settlement or WORST_CASE
        unpainted = settlement == FREE and not begun
        message = phrase("cancelled_before_fal_began") if unpainted else phrase("cancelled_midway")
        ended = await self._context.end(job, JobState.CANCELLED, Failure("cancelled", message), settlement)
        if ended is None:
            return CancelOutcome(False, phrase("cancel_too_late"))
        return CancelOutcome(True, message, ended.failure.charge if ended.failure is not None else None)

    async def cancel_if_requested(self, running: Job | None) -> Job | None:
        """Return the running job, or cancel it at fal and return None if that was requested during its submit.

        The person was told that it is being cancelled, so it ends even when fal can't be reached or has finished it.
        Where fal goes on painting, it is returned, to be watched until fal tells what it billed.
        """
        if running is None or not self._context.is_cancelled(running):
            return running
        fal_request = running.fal_request
        if fal_request is None:
            raise RuntimeError("a running job has a request")
        try:
            answer = await self._context.retry_fal(running, lambda: self._fal.cancel(fal_request))
        except ProviderError:
            answer = CancelAnswer.UNKNOWN
        removed = answer is CancelAnswer.REMOVED_OR_REQUESTED
        message = phrase("cancelled_at_once") if removed else phrase("cancelled_maybe_painted")
        active = self._context.active.open(running.id)
        active.cancelled_at_fal = removed
        active.begun_before_cancel = not removed or active.submitted_at_s is None
        settlement = await self._billing.told_soon(running)
        if settlement is None and removed:
            show_cancelling(self._context, running)
            return running
        settlement = settlement or await self._billing.after_cancel(running)
        await self._context.end(running, JobState.CANCELLED, Failure("cancelled", message), settlement)
        return None
