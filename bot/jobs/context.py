"""What all steps of a job share: retries of the store and of fal, state transitions, publishing, ending a job.

Every state transition of a job goes through here. Each is one compare-and-set in the store, retried while the database
is unavailable, because what it records (a submit, a post) has already happened. `end` is the only way in which a job
ends without its pictures.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from bot import metrics, retry
from bot.catalogue import Catalogue
from bot.catalogue.model import Model
from bot.domain.alerts import Scope
from bot.domain.events import Cancelling, Progress, ProgressEvent, ProviderUnavailable
from bot.domain.job import TERMINAL, Actor, Failure, Job, JobState
from bot.domain.ports import Delivery
from bot.domain.settlement import Others, Settlement
from bot.errors import Cancelled, CardDeleted, EaselError, ModelGone, ProviderError, ProviderUnreachable, StoreUnusable
from bot.jobs.active_jobs import ActiveJobs
from bot.jobs.credit_pause import CreditPause
from bot.jobs.owned_tasks import OwnedTasks
from bot.jobs.timings import JobTimings
from bot.limits import Policy
from bot.phrase import Phrase, phrase
from bot.settings import FalSettings
from bot.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Clocks:
    """The runner's clocks, injected so that tests need not wait."""

    #: Aware UTC now; the wall clock, which may be set.
    utcnow: Callable[[], datetime]
    #: Monotonic seconds, by the event loop's clock ("time of the loop").
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: retry.Sleep = asyncio.sleep


class RunnerContext:
    """The jobs of this process, and what all parts of the runner share."""

    def __init__(
        self,
        *,
        store: Store,
        catalogue: Catalogue,
        settings: FalSettings,
        timings: JobTimings,
        clocks: Clocks,
        admits: Callable[[Job], bool],
        policy_of: Callable[[Actor], Awaitable[Policy]],
        forgiven_per_day: int,
    ) -> None:
        self.store = store
        self.policy_of = policy_of
        self.forgiven_per_day = forgiven_per_day
        #: What fal billed for earlier submissions of a job (`Doubles.billed`).
        self.doubles_of: Callable[[Job], Awaitable[Others | None]] = _none_known
        #: Whether the operator still lets the bot paint for a job's place and person.
        self.admits = admits
        self.settings = settings
        self.timings = timings
        self.clock = clocks.utcnow
        self.now_s = clocks.monotonic_s
        self.sleep = clocks.sleep
        self.active = ActiveJobs(self._released)
        #: Budgets that refused somebody since the alerts last looked: scope, and the server's id or 0.
        self.budget_refusals: set[tuple[Scope, int]] = set()
        pauses_s = [min(pause_s, settings.credit_check_s) for pause_s in timings.credit_pauses_s]
        self.credit = CreditPause(pauses_s, clocks.monotonic_s)
        self._catalogue = catalogue
        self._delivery: Delivery | None = None
        self.stopping = asyncio.Event()
        #: Set when a claim may find a job, or there is room for another claim.
        self.wake = asyncio.Event()
        #: Whether to claim although no queued job is known here: another process may have queued one or made room.
        self.recheck_queue = False
        #: Time of the loop until which our leases are valid, so that no other process can have adopted our jobs.
        self.leased_until_s = float("inf")
        self.tasks = OwnedTasks()

    def attach(self, delivery: Delivery) -> None:
        """Set the delivery that shows jobs to people."""
        self._delivery = delivery

    @property
    def delivery(self) -> Delivery:
        """The delivery that shows jobs to people; RuntimeError before `attach`."""
        if self._delivery is None:
            raise RuntimeError("attach a delivery first")
        return self._delivery

    def _released(self, job_id: str) -> None:
        if self._delivery is not None:
            self._delivery.forget(job_id)

    def publish(self, job: Job, progress: Progress, *, valid_until_s: float | None = None) -> None:
        """Pass a newer state of a job to the delivery, unless its initial response is still under way.

        Once the person was told that it is being cancelled, that is all that is shown.

        Until then it has no card. Where Discord delivers an interaction again whose job was erased, the response is
        refused in the end, and what is edited by that interaction's token is the card of the job before, with its
        picture.

        Args:
            valid_until_s: time of the loop after which it must not be shown any more; by default the end of our leases.
        """
        active = self.active.get(job.id)
        if active is not None and active.response is not None:
            return
        if active is not None and active.cancelling and not isinstance(progress, Cancelling):
            return
        valid_until_s = self.leased_until_s if valid_until_s is None else valid_until_s
        resumed = active is not None and active.resumed
        self.delivery.progress(ProgressEvent(job, progress, valid_until_s=valid_until_s, resumed=resumed))

    def model(self, job: Job) -> Model:
        """The job's model. Raises ModelGone when the catalogue no longer has it."""
        model = self._catalogue.known(job.request.endpoint)
        if model is None:
            raise ModelGone(job.request.endpoint, job.request.endpoint)
        return model

    def model_of(self, endpoint: str) -> Model | None:
        """The model with this endpoint; None when the catalogue does not have it."""
        return self._catalogue.known(endpoint)

    @property
    def capped(self) -> bool:
        """Whether concurrency caps may keep a claim from queued jobs, until another job ends."""
        settings = self.settings
        shared = self.store.shared and bool(settings.max_in_flight)
        return shared or bool(settings.guild_jobs_in_flight or settings.user_jobs_in_flight)

    def is_cancelled(self, job: Job) -> bool:
        """Whether the job was cancelled, by its row or by a request that is not stored yet."""
        active = self.active.get(job.id)
        return job.cancel_requested or (active is not None and active.cancel_requested)

    def age_s(self, job: Job) -> float:
        """Seconds since the job's submit: monotonic if this process submitted it, else by the wall clock."""
        active = self.active.get(job.id)
        if active is not None and active.submitted_at_s is not None:
            return self.now_s() - active.submitted_at_s
        since = job.submitted_at or job.created_at
        return max((self.clock() - since).total_seconds(), 0)

    # ------------------------------------------------------------------ retries

    async def pause(self, seconds: float) -> None:
        """Sleep. Raises CancelledError when the runner stops; the next start then goes on with the job."""
        await retry.pause(seconds, stop=self.stopping, sleep=self.sleep)

    async def retry_store(self, work: Callable[[], Awaitable[T]]) -> T:
        """Retry `work` while the database is unavailable.

        Raises:
            StoreUnusable: the database is unavailable and the runner is stopping.
        """
        async for attempt in self.attempts(retry.repeat_last(self.timings.store_pauses_s)):
            try:
                return await work()
            except StoreUnusable as error:
                if self.stopping.is_set():
                    raise
                if attempt.number == 1:
                    log.warning("the database is away; trying again", extra={"reason": error.sentence})
        raise AssertionError("the pauses never end")

    async def retry_fal(self, job: Job, work: Callable[[], Awaitable[T]]) -> T:
        """Retry `work`, a call about a job at fal, while fal can't be reached; fal keeps results for an hour.

        Raises:
            ProviderError: fal was not reached for as long as `JobTimings.provider_pauses_s` adds up to.
        """
        async for attempt in self.attempts(self.timings.provider_pauses_s):
            try:
                return await work()
            except ProviderUnreachable as error:
                if attempt.is_last:
                    raise ProviderError(told_by_fal=False) from error
                attempt.wait_at_least(error.retry_after_s)
                log.info("fal is out of reach; trying again", extra={"job": job.id, "pause_s": attempt.pause_s})
                self.publish(job, ProviderUnavailable())
        raise AssertionError("the last attempt returns or raises")

    def attempts(self, pauses_s: Iterable[float]) -> retry.retry:
        """Iterate over attempts with these pauses between them; raises CancelledError when the runner stops."""
        return retry.retry(pauses_s, stop=self.stopping, sleep=self.sleep)

    # ------------------------------------------------------------------ state transitions

    async def transition(self, job: Job, to: JobState, **changes: Any) -> Job | None:
        """Move the job to state `to` in the store; None when a cancel, an erasure or an adoption came first."""
        moved = await self._put_on_record(job, to, **{**self._known_message(job), **changes})
        if moved is None:
            log.info("job moved elsewhere", extra={"job": job.id, "wanted": to.value})
            return None
        _count_end(moved)
        if self.capped and moved.state is not JobState.RUNNING:
            # A job that waited at a cap may now be claimed, possibly one that another process accepted.
            self.recheck_queue = self.recheck_queue or self.store.shared
            self.wake.set()
        return moved

    def _known_message(self, job: Job) -> dict[str, int]:
        """The message id as a change for the next transition, if it is not stored yet."""
        active = self.active.get(job.id)
        if active is None or active.message_id is None:
            return {}
        message_id, active.message_id = active.message_id, None
        return {} if job.reply.message_id is not None else {"message_id": message_id}

    async def _put_on_record(self, job: Job, to: JobState, **changes: Any) -> Job | None:
        """Store a transition, retrying while the database is unavailable; recognise one committed by a lost attempt."""
        unsure = False

        async def move() -> Job | None:
            nonlocal unsure
            before, unsure = unsure, True
            moved = await self.store.jobs.transition(job, to, **changes)
            if moved is None and before:
                # An earlier attempt may have been committed although its answer was lost.
                found = await self.store.jobs.get(job.id)
                return found if found is not None and (found.state, found.fence) == (to, job.fence) else None
            return moved

        return await self.retry_store(move)

    # ------------------------------------------------------------------ ending a job

    async def end(self, job: Job, state: JobState, failure: Failure, settlement: Settlement) -> Job | None:
        """End a job without its pictures: store it with what is settled, notify the person, remove it here.

        None when the job was moved first by somebody else.
        """
        settled = await with_doubles(self, job, settlement)
        ended = await self.transition(
            job, state, failure=failure, settlement=settled, forgiven_per_day=self.forgiven_per_day
        )
        if ended is None:
            return None
        if state is JobState.FAILED:
            log.info("job failed", extra={"job": job.id, "model": job.request.endpoint, "failure": failure.code})
        self._end_work(job.id)
        try:
            if self.store.shared and job.state in {JobState.HELD, JobState.QUEUED} and not ended.notified:
                await self._notify_twice(ended)
            else:
                await self.notify_outcome(ended)
        finally:
            self.active.release(job.id)
        return ended

    def _end_work(self, job_id: str) -> None:
        """Remove the job from the queue and cancel its task, unless that is the caller."""
        active = self.active.get(job_id)
        if active is None:
            return
        active.queued = None
        if active.task is not None and active.task is not asyncio.current_task():
            active.task.cancel()

    async def fail(self, job_id: str, failure: Failure, settlement_of: Callable[[Job], Awaitable[Settlement]]) -> None:
        """End a job whose work failed: as CANCELLED if a cancel was requested here or made at fal, else as FAILED.

        Args:
            settlement_of: what is settled for it, where its row stands.
        """
        job = await self.retry_store(lambda: self.store.jobs.get(job_id))
        if job is None or job.state in TERMINAL:
            return
        settlement = await settlement_of(job)
        if failure.code == CardDeleted.code:
            await self.retry_store(lambda: self.store.jobs.annotate(job_id, notified=True))  # nothing is shown of it
            await self.end(job, JobState.CANCELLED, failure, settlement)
        elif job.cancel_requested:
            await self.end(job, JobState.CANCELLED, Failure("cancelled", phrase("cancelled_unused")), settlement)
        elif failure.code == Cancelled.code:
            # fal cancelled it. The row may not say so: when the answer to a first cancel was lost, the second one is
            # answered "already completed", and the request in the row is cleared.
            await self.end(job, JobState.CANCELLED, failure, settlement)
        else:
            await self.end(job, JobState.FAILED, failure, settlement)

    async def notify_outcome(self, job: Job) -> None:
        """Show how the job ended and store that, unless it was shown before."""
        if job.notified:
            return
        await self.wait_until_quiet(job.id)
        await self.delivery.notify_outcome(job)
        await self.retry_store(lambda: self.store.jobs.annotate(job.id, notified=True))

    async def _notify_twice(self, job: Job) -> None:
        """Show how the job ended now, and again once no other process can edit a queue position into its message."""
        await self.delivery.notify_outcome(job)
        if not self.stopping.is_set():
            self.active.open(job.id).renotifying = True
            self.keep_quiet(job.id)
            self.tasks.spawn_critical(self._notify_again(job))

    async def _notify_again(self, job: Job) -> None:
        try:
            await self.notify_outcome(job)
        except EaselError:
            log.exception("the end of a cancelled job is not on record")
        finally:
            self.active.open(job.id).renotifying = False
            self.active.release(job.id)

    def keep_quiet(self, job_id: str) -> None:
        """Delay the final message of a job just taken from the queue, whose position another process may be showing."""
        self.active.open(job_id).quiet_until_s = self.now_s() + self.timings.quiet_s

    async def wait_until_quiet(self, job_id: str) -> None:
        """Wait until no edit by another process that believed the job queued can overwrite what is shown next."""
        active = self.active.get(job_id)
        left_s = active.quiet_until_s - self.now_s() if active is not None else 0
        if left_s > 0:
            await self.pause(left_s)


def show_cancelling(context: RunnerContext, job: Job, until: datetime | None = None) -> None:
    """Show that a job is being cancelled, and no other progress from then on."""
    context.active.open(job.id).cancelling = True
    context.publish(job, Cancelling(until))


async def with_doubles(context: RunnerContext, job: Job, settlement: Settlement) -> Settlement:
    """The settlement with what fal billed for earlier submissions of a job that was sent again.

    Where fal's list can't tell yet of what is in doubt, also with the time from which on it can.
    """
    if not (job.possible_doubles or settlement.in_doubt):
        return settlement
    others = await context.doubles_of(job) if job.possible_doubles else None
    left_s = max(context.settings.reconcile_s - context.age_s(job), 0.0)
    tells_now = others is not None and not left_s and not settlement.in_doubt
    tells_later = is_listed(context, job) and not tells_now
    told_at = context.clock() + timedelta(seconds=left_s) if tells_later else None
    return replace(settlement, others=others, told_at=told_at)


def is_listed(context: RunnerContext, job: Job) -> bool:
    """Whether fal keeps the payloads of this job's requests, so that its list of requests can tell of them."""
    model = context.model_of(job.request.endpoint)
    return model is not None and model.store_payload and context.settings.store_payloads


def cancelled_in_queue(job: Job) -> Phrase:
    """What is said of a job that was cancelled in our own queue; fal may have had it before, where it was put back."""
    return phrase("cancelled_unused") if job.possible_doubles else phrase("cancelled_early")


async def _none_known(_: Job) -> None:
    """Before the runner says who looks for doubles."""


def _count_end(job: Job) -> None:
    match job.state:
        case JobState.DELIVERED:
            metrics.JOBS_DELIVERED.inc()
            if job.finished_at is not None and job.ended_at is not None:
                metrics.FAL_DONE_TO_POSTED_SECONDS.observe((job.ended_at - job.finished_at).total_seconds())
        case JobState.CANCELLED:
            metrics.JOBS_CANCELLED.inc()
        case JobState.FAILED:
            metrics.JOBS_FAILED.labels(job.failure.code if job.failure is not None else "unknown").inc()
        case _:
            pass
