"""What fal did for a job that ended without its pictures, and what is settled for that."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bot.catalogue.prices import billed_usd, is_billed_in_units, result_cost_usd
from bot.domain.job import Job, JobState, Result
from bot.domain.ports import ImageBackend
from bot.domain.settlement import FREE, Bill, End, Settlement, Told, bill_of, settlement
from bot.errors import (
    Cancelled,
    ContentRefused,
    GenerationFailed,
    GenerationTimedOut,
    ModelGone,
    OptionsRefused,
    PartnerAccountRefused,
    PartnerBusy,
    ProviderError,
    ProviderUnreachable,
    ResultUnusable,
    ResultWithheld,
    SubmitUnresolved,
    ToldError,
    Undeliverable,
)
from bot.jobs.context import RunnerContext

#: Codes of ends in which fal, or a model's maker, did not take the request, also where it first queued it.
_REFUSED = frozenset(one.code for one in (OptionsRefused, ModelGone, PartnerAccountRefused, PartnerBusy))
#: Nobody can know what fal billed for what it may have painted.
WORST_CASE = settlement(End.CANCELLED_PAINTING, Bill())
_UNSEEN = {ResultWithheld.code: End.WITHHELD, Undeliverable.code: End.UNDELIVERABLE}


class Billing:
    """Finds out what fal billed for jobs that end without their pictures."""

    def __init__(self, context: RunnerContext, fal: ImageBackend) -> None:
        self._context = context
        self._fal = fal

    async def of_failure(self, job: Job, error: ToldError | None) -> Settlement:
        """As `of_error`; of a running job that was cancelled at fal, once fal says what it billed."""
        gave_up = isinstance(error, GenerationTimedOut) and not error.told_by_fal
        if job.state is JobState.RUNNING and (gave_up or self._context.active.is_cancelled_at_fal(job.id)):
            return await self.after_cancel(job)
        return self.of_error(job, error)

    def of_error(self, job: Job, error: ToldError | None) -> Settlement:
        """What is settled for a job that ends where its row stands.

        Args:
            error: why; None for a fault of our own.
        """
        match job.state:
            case JobState.HELD | JobState.QUEUED:
                return FREE
            case JobState.SUBMITTING:
                return settlement(self._of_submit(job, error), Bill())
            case JobState.FINISHED:
                return settlement(_UNSEEN.get(error.code if error else "", End.UNUSABLE), _bill_on_record(job))
            case _:
                return settlement(_of_request(error), self._told(job, error))

    def _of_submit(self, job: Job, error: ToldError | None) -> End:
        """Where fal's request is not on record."""
        if job.submitted_at is None:
            return End.NEVER_SENT
        if error is None or error.code == SubmitUnresolved.code:
            return End.LOST
        active = self._context.active.get(job.id)
        if active is None or active.unsure_attempt != job.attempts:
            return End.NEVER_SENT
        return End.IN_DOUBT if active.answered_5xx else End.LOST

    def _told(self, job: Job, error: ToldError | None) -> Bill:
        units = error.billable_units if isinstance(error, GenerationFailed) else None
        return Bill() if units is None else self._of_units(job, units)

    def _of_units(self, job: Job, units: Decimal) -> Bill:
        if units == 0:
            return Bill(Told.NOTHING, Decimal(0), 0, is_fals=True)
        model = self._context.model_of(job.request.endpoint)
        if model is None:
            return Bill(Told.SOMETHING)
        usd = billed_usd(model, job.request, units)
        is_fals = is_billed_in_units(model, job.request, units)
        return Bill(Told.SOMETHING) if usd is None else Bill(Told.SUM, usd, is_fals=is_fals)

    # ------------------------------------------------------------------ after a cancel at fal

    async def told_soon(self, job: Job) -> Settlement | None:
        """What is settled for a running job that was cancelled at fal; None while fal does not say how it ended."""
        return await self._told_within(job, self._context.timings.cancel_bill_pauses_s)

    async def after_cancel(self, job: Job) -> Settlement:
        """The same, where nobody waits for it any more; its worst case where fal says nothing in the end."""
        settled = await self._told_within(job, self._context.timings.last_bill_pauses_s)
        return settled or WORST_CASE

    async def _told_within(self, job: Job, pauses_s: Sequence[float]) -> Settlement | None:
        ended = await self._ended(job, pauses_s)
        if ended is None:
            return None
        if isinstance(ended, Result):
            return settlement(End.CANCELLED_PAINTING, self._of_result(job, ended))
        told = self._told(job, ended)
        if _of_request(ended) in {End.REFUSED, End.PROVIDER_FAILED}:
            return settlement(_of_request(ended), told)
        # What fal has forgotten, or does not say a sum of, is what it was when it was cancelled.
        active = self._context.active.get(job.id)
        begun = active is None or active.begun_before_cancel
        return settlement(End.CANCELLED_PAINTING if begun else End.CANCELLED_IN_QUEUE, told)

    async def _ended(self, job: Job, pauses_s: Sequence[float]) -> Result | GenerationFailed | None:
        """How fal ended it; None where it does not say so in time."""
        context, model = self._context, self._context.model_of(job.request.endpoint)
        if job.fal_request is None or model is None:
            return None
        for pause_s in (*pauses_s, None):
            try:
                ended = await self._fal.outcome(job.fal_request, model=model)
            except (ProviderUnreachable, ProviderError):
                ended = None
            if ended is not None or pause_s is None or context.stopping.is_set():
                return ended
            await context.sleep(pause_s)
        return None

    def _of_result(self, job: Job, result: Result) -> Bill:
        model = self._context.model_of(job.request.endpoint)
        usd = result_cost_usd(model, job.request, result) if model is not None else None
        made = min(len(result.pictures), job.request.images)
        if usd is None:
            return Bill(Told.UNKNOWN, made=made)
        return Bill(Told.SUM, usd, made, is_fals=result.billable_units is not None)


def _bill_on_record(job: Job) -> Bill:
    return Bill() if job.result is None else bill_of(job.result)


def _of_request(error: ToldError | None) -> End:
    """How a request ended that fal has taken."""
    if not isinstance(error, GenerationFailed) or not error.told_by_fal:
        return End.LOST
    match error.code:
        case code if code in _REFUSED:
            return End.REFUSED
        case ContentRefused.code:
            return End.POLICY_REFUSED
        case ProviderError.code | GenerationTimedOut.code:
            return End.PROVIDER_FAILED
        case Cancelled.code:
            return End.CANCELLED_PAINTING
        case ResultUnusable.code:
            return End.UNUSABLE
    return End.LOST
