"""Submit one job to fal: one POST, and no second one before the outcome of the first is known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bot import metrics
from bot.catalogue.model import Model
from bot.domain.events import ConfirmingSubmit, ProviderUnavailable
from bot.domain.job import Failure, FalRequest, Job, JobState
from bot.domain.money import usd_of
from bot.domain.ports import ImageBackend
from bot.domain.request import GenerationRequest, Json
from bot.domain.settlement import FREE
from bot.errors import (
    BalanceExhausted,
    Cancelled,
    DecoderBusy,
    NoLongerAdmitted,
    PreparationCrashed,
    ProviderError,
    ProviderUnreachable,
    ResubmitOverBudget,
    SubmitNeverConfirmed,
    SubmitUnconfirmed,
)
from bot.jobs.adaptive_semaphore import AdaptiveSemaphore
from bot.jobs.billing import Billing
from bot.jobs.canceller import Canceller
from bot.jobs.context import RunnerContext, show_cancelling
from bot.jobs.credit import CreditWatch
from bot.jobs.doubts import Doubts
from bot.jobs.initial_response import InitialResponses
from bot.jobs.input_upload import InputUploader
from bot.jobs.leases import Leases
from bot.jobs.preparation import MOST_CRASHES, PreparationGate
from bot.jobs.reconcile import Reconciler
from bot.jobs.sent_arguments import identifying_arguments, sent_arguments
from bot.jobs.submit_attempts import Losses
from bot.limits import Refused
from bot.phrase import Phrase, phrase

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Submission:
    """The state of one job's submit."""

    job: Job
    #: Whether a POST may have reached fal without its answer reaching us.
    unsure: bool
    losses: Losses
    #: Holds the semaphore while the job has entered it.
    turn: AsyncExitStack
    #: The id of a request that fal's answer to the last POST named, although it was an error.
    named: str | None = None


class Submitter:
    """Submits this process's claimed jobs, and resolves submits whose answer was lost.

    Args:
        callback_url: the webhook URL for a job id and an attempt number; None where fal can't reach this process.
    """

    def __init__(
        self,
        context: RunnerContext,
        fal: ImageBackend,
        reconciler: Reconciler,
        responses: InitialResponses,
        canceller: Canceller,
        *,
        billing: Billing,
        leases: Leases,
        inputs: InputUploader,
        credit: CreditWatch,
        doubts: Doubts,
        callback_url: Callable[[str, int], str] | None,
    ) -> None:
        self._context = context
        self._active = context.active
        self._timings = context.timings
        self._fal = fal
        self._reconciler = reconciler
        self._responses = responses
        self._canceller = canceller
        self._billing = billing
        self._leases = leases
        self._inputs = inputs
        self._credit = credit
        self._doubts = doubts
        self._callback_url = callback_url
        self._gate = PreparationGate()
        #: Bounds concurrent submits; the runner also uses it for its calls to Discord during recovery.
        self.semaphore = AdaptiveSemaphore(
            self._timings.few_submits,
            self._timings.most_submits,
            backpressure=lambda: responses.backpressure,
            timings=self._timings,
        )

    async def submit(self, job: Job, *, left_over: bool) -> Job | None:
        """Submit a claimed job and store fal's request. None when it was cancelled, or another process moved it.

        Args:
            left_over: whether another process claimed it before, and may have submitted it.

        Raises:
            GenerationFailed: fal refused it, or never answered.
        """
        async with AsyncExitStack() as turn:
            unsure = left_over and job.submitted_at is not None
            submission = _Submission(job, unsure, Losses(self._timings), turn)
            await self._wait_for_response(submission, left_over=left_over)
            while True:
                if submission.unsure and (found := await self._find_lost(submission)) is not None:
                    return await self._resume_found(submission.job, found)
                try:
                    request = await self._prepare(submission)
                    return await self._send(submission.job, request) if request is not None else None
                except SubmitUnconfirmed as error:
                    await self._note_loss(submission, error)
                except BalanceExhausted:
                    await self._credit.ran_out(submission.job.id)
                    if not submission.unsure:
                        await self._credit.put_back(submission.job)
                        return None
                    if not submission.losses.refused:  # else it keeps the semaphore, as in `_note_loss`
                        await turn.aclose()

    # ------------------------------------------------------------------ before the POST

    async def _wait_for_response(self, submission: _Submission, *, left_over: bool) -> None:
        """Wait for the initial response; request a cancel of the job when it was never sent."""
        job, active = submission.job, self._active.open(submission.job.id)
        if submission.unsure:
            active.unsure_attempt = job.attempts
        else:
            active.unsent = job
        if not await self._responses.was_sent(job, left_over=left_over):
            active.cancel_requested = True
            await self._context.retry_store(
                lambda: self._context.store.jobs.annotate(job.id, cancel_requested=True, notified=True)
            )

    async def _prepare(self, submission: _Submission) -> GenerationRequest | None:
        """Do all that comes before a POST, and return the request with uploaded inputs.

        None when the job was cancelled, or another process moved it.

        Raises:
            GenerationFailed: the job has used up its attempts, or the bot is closed to its place or person by now.
            BalanceExhausted: jobs wait for fal's credit.
        """
        if submission.unsure:
            await self._credit.wait(submission.job)
        if self._context.is_cancelled(submission.job):
            await self._end_cancelled(submission.job, unsure=submission.unsure)
            return None
        if not self._context.admits(submission.job):
            raise NoLongerAdmitted
        if self._context.credit.holds_back(submission.job.id):
            raise BalanceExhausted
        if submission.unsure and not await self._begin_next_attempt(submission):
            return None
        request = await self._uploaded(submission)  # before the semaphore: decoding may have to wait
        if request is None:
            return None
        if not submission.losses.refused:  # else it still holds the semaphore
            await self._take_turn(submission)
        if submission.job.submitted_at is None and not await self._mark_submitting(submission):
            return None
        return request

    async def _uploaded(self, submission: _Submission) -> GenerationRequest | None:
        """The request with uploaded inputs, prepared alone where that has ended a process before; None when it moved.

        Raises:
            PreparationCrashed: that has happened too often.
        """
        job, active = submission.job, self._active.open(submission.job.id)
        if not self._inputs.has_attachments(job):
            return job.request
        if job.prepare_crashes >= MOST_CRASHES:
            raise PreparationCrashed
        active.preparing = True
        self._context.wake.set()  # there is room for another claim
        try:
            with suppress(DecoderBusy):
                return await self._prepared_inputs(submission, slow=False)
            return await self._prepared_inputs(submission, slow=True)
        finally:
            active.preparing = None

    async def _prepared_inputs(self, submission: _Submission, *, slow: bool) -> GenerationRequest | None:
        alone = submission.job.prepare_crashes > 0
        async with self._inputs.turn(submission.job, slow=slow), self._gate.enter(alone=alone):
            if not await self._mark_preparing(submission, preparing=True):
                return None
            try:
                request = await self._inputs.uploaded(submission.job, slow=slow)
            except DecoderBusy:
                await self._mark_preparing(submission, preparing=False)
                raise
            told = request.notices if request.notices != submission.job.request.notices else None
            return request if await self._mark_preparing(submission, preparing=False, notices=told) else None

    async def _mark_preparing(
        self, submission: _Submission, *, preparing: bool, notices: tuple[Phrase, ...] | None = None
    ) -> bool:
        """Store it; False when the job moved."""
        mark = partial(self._context.store.jobs.mark_preparing, submission.job, preparing=preparing, notices=notices)
        marked = await self._context.retry_store(mark)
        if marked is not None:
            submission.job = marked
        return marked is not None

    async def _end_cancelled(self, job: Job, *, unsure: bool) -> None:
        """End a job that was cancelled before fal's request was known."""
        settlement = self._billing.of_error(job, Cancelled())
        message = phrase("cancelled_early")
        if unsure:
            message = phrase("cancelled_never_arrived") if settlement == FREE else phrase("cancelled_unanswered")
        await self._context.end(job, JobState.CANCELLED, Failure("cancelled", message), settlement)

    async def _begin_next_attempt(self, submission: _Submission) -> bool:
        """Store that the next POST may be a double of the one before; False when another process moved the job.

        Raises:
            GenerationFailed: it has used up its attempts, or a budget has no room for another one.
        """
        context, job = self._context, submission.job
        self._check_patience(job, submission.losses)
        active = self._active.open(job.id)
        policy = await context.retry_store(lambda: context.policy_of(job.actor))
        doubtful = active.unsure_attempt == job.attempts
        again = await context.retry_store(lambda: context.store.jobs.resubmit(job, policy, doubtful=doubtful))
        if again is None:
            return False
        if isinstance(again, Refused):
            log.warning("no budget has room for another attempt", extra={"job": job.id, "rule": again.rule})
            raise ResubmitOverBudget
        # Nothing is unsure about this one yet, and it is reserved: should fal have no credit, it waits in the queue.
        active.unsure_attempt, submission.unsure = None, False
        metrics.POSSIBLE_DOUBLES.inc()
        metrics.RESERVED_USD.inc(float(usd_of(policy.usd_micros(job.request.cost))))
        log.warning("submitting again, possibly a double", extra={"job": again.id, "attempt": again.attempts})
        submission.job = again
        return True

    def _check_patience(self, job: Job, losses: Losses) -> None:
        """Raise ProviderError or SubmitNeverConfirmed when the job has used up its attempts."""
        tired = job.attempts >= self._timings.most_attempts
        outage = losses.in_outage or losses.outlasted(self._context.now_s())
        if losses.refused and (tired or not outage):
            raise ProviderError
        if tired or losses.unheard >= self._timings.most_lost_submits:
            raise SubmitNeverConfirmed

    async def _take_turn(self, submission: _Submission) -> None:
        await submission.turn.enter_async_context(self.semaphore)
        active = self._active.open(submission.job.id)

        def no_longer_refused() -> None:
            active.losses = None

        submission.turn.callback(no_longer_refused)

    async def _mark_submitting(self, submission: _Submission) -> bool:
        """Store that the POST is about to be sent; False when the job was cancelled, or another process moved it."""
        marked = await self._context.retry_store(lambda: self._context.store.jobs.mark_submitting(submission.job))
        if marked is None:
            return False
        if self._context.is_cancelled(marked):
            await self._end_cancelled(marked, unsure=False)
            return False
        submission.job = marked
        return True

    # ------------------------------------------------------------------ the POST

    async def _send(self, job: Job, request: GenerationRequest) -> Job | None:
        """Send the POST and store its answer, shielded from cancellation; then apply a cancel requested meanwhile."""
        running = await self._context.tasks.shielded(self._post_and_record(job, request))
        return await self._canceller.cancel_if_requested(running)

    async def _post_and_record(self, job: Job, request: GenerationRequest) -> Job | None:
        model = self._context.model(job)
        with self._reconciler.under_way(model.endpoint, identifying_arguments(model, job, self._context.settings)):
            fal_request = await self._post(job, model, sent_arguments(model, job, request, self._context.settings))
            for refused in list(self._active.refused.values()):
                refused.losses = None
            running = await self._context.transition(job, JobState.RUNNING, fal_request=fal_request)
        if running is None:
            self._context.tasks.spawn_critical(self._doubts.came_late(job, fal_request))
        await self._credit.accepted()
        return running

    async def _post(self, job: Job, model: Model, payload: dict[str, Json]) -> FalRequest:
        """Submit; repeat only while it is certain that no request reached fal.

        Raises:
            SubmitUnconfirmed: fal may have the request.
            GenerationFailed: fal refused it, or could not be reached.
            asyncio.CancelledError: nothing was sent, because the runner is stopping or our lease has expired.
        """
        context, active = self._context, self._active.open(job.id)
        if context.stopping.is_set():
            raise asyncio.CancelledError  # the next start submits it
        certain = active.unsent is not None
        active.unsent = None
        context.wake.set()  # there is room for another claim
        async for attempt in context.attempts(self._timings.unreachable_pauses_s):
            if self._leases.left_s == 0:
                raise asyncio.CancelledError  # this process hung, and another one may have adopted the job
            active.unsent = None
            active.submitted_at_s = context.now_s()
            try:
                return await self._fal.submit(
                    model.endpoint,
                    payload,
                    start_timeout_s=context.settings.start_timeout_s,
                    store_payload=model.store_payload,
                    model=model,
                    webhook_url=self._callback_url(job.id, job.attempts) if self._callback_url else None,
                )
            except ProviderUnreachable:
                if attempt.is_last:
                    raise ProviderError from None
                active.unsent = job if certain else None
                context.publish(job, ProviderUnavailable())
            except BalanceExhausted:
                active.unsent = job if certain else None  # a stop that comes now puts it back into the queue
                raise
        raise AssertionError("the last attempt returns or raises")

    # ------------------------------------------------------------------ after a POST whose answer is missing

    async def _note_loss(self, submission: _Submission, error: SubmitUnconfirmed) -> None:
        submission.unsure, submission.named = True, error.request_id
        submission.losses.count(error, self._context.now_s())
        active = self._active.open(submission.job.id)
        active.unsure_attempt, active.answered_5xx = submission.job.attempts, error.refused
        if not submission.losses.refused:
            await submission.turn.aclose()
            return
        # It keeps the semaphore: in an outage the other jobs wait for it instead of failing one after another.
        self._active.open(submission.job.id).losses = submission.losses
        refused = [active.losses for active in self._active.refused.values() if active.losses is not None]
        if len(refused) >= self._timings.outage_jobs:
            for losses in refused:
                losses.in_outage = True

    async def _find_lost(self, submission: _Submission) -> FalRequest | None:
        """Look for the request of an attempt whose answer is missing; None when fal does not have it."""
        job, losses = submission.job, submission.losses
        model, age_s = self._context.model(job), self._context.age_s(job)
        self._publish_search(job, losses, age_s)
        listed, cancelled = model.store_payload, self._context.is_cancelled(job)
        wait_s = 0.0 if cancelled and self._reconciler.is_hopeless(listed=listed) else losses.wait_s
        active = self._active.open(job.id)
        active.unconfirmed = True
        try:
            return await self._reconciler.find(
                job,
                identifying_arguments(model, job, self._context.settings),
                listed=listed,
                age_s=age_s,
                wait_s=wait_s,
                named=submission.named,
            )
        finally:
            active.unconfirmed, active.search_ends_at = False, None

    def _publish_search(self, job: Job, losses: Losses, age_s: float) -> None:
        context, cancelled = self._context, self._context.is_cancelled(job)
        if losses.in_outage and not cancelled:
            context.publish(job, ProviderUnavailable())
        elif cancelled or not losses.refused:
            left_s = max(context.settings.reconcile_s - age_s, 0.0) if losses.wait_s is None else losses.wait_s
            ends_at = context.clock() + timedelta(seconds=left_s)
            self._active.open(job.id).search_ends_at = ends_at
            if cancelled:
                show_cancelling(context, job, ends_at)
            else:
                context.publish(job, ConfirmingSubmit(ends_at))

    async def _resume_found(self, job: Job, fal_request: FalRequest) -> Job | None:
        """Store the request that was found and go on as if the submit had been answered."""
        self._active.open(job.id).poll_first = True
        running = await self._context.transition(job, JobState.RUNNING, fal_request=fal_request)
        return await self._canceller.cancel_if_requested(running)
