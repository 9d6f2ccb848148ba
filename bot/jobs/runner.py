"""The life of a job: claim, submit once, watch, fetch, deliver; resumed after a restart.

Every step is written to the store before the next begins, so a killed process leaves rows that say where each
job stood. What cannot be interrupted without losing money or posting twice (a submit with the record of its
answer, a post with the record of its message) runs in tasks of its own that a shutdown waits for.

    answers    first answers to interactions       submitter   handing a job to fal, once
    places     who waits in our queue              watcher     following what fal has
    leases     holding jobs, taking over           courier     fetching and posting pictures
    canceller  stopping a job for its owner        desk        what all of these use
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from bot import metrics
from bot.catalogue import Catalogue
from bot.domain.job import Failure, Job, JobState, NewJob, Result
from bot.domain.ports import AttachmentSource, CancelOutcome, Delivery
from bot.errors import EaselError, GenerationFailed, Overloaded, Refusal, StoreUnusable
from bot.fal import Fal
from bot.jobs.canceller import CANCEL_ELSEWHERE_S, Canceller
from bot.jobs.context import RunnerContext
from bot.jobs.delivery_pipeline import ResultDeliverer
from bot.jobs.downtime import Downtime
from bot.jobs.initial_response import UNANSWERED, InitialResponses
from bot.jobs.leases import LEASE_S, Leases
from bot.jobs.queue_positions import QueuePositions
from bot.jobs.queue_status import ConcurrencyCaps, WaitReason
from bot.jobs.reconcile import Reconciler
from bot.jobs.submitter import Submitter
from bot.jobs.watcher import Watcher
from bot.limits import Policy, Refused
from bot.logs import incident
from bot.settings import FalSettings
from bot.store import Accepted, Duplicate, Store

log = logging.getLogger(__name__)

#: Most jobs claimed that have not been sent to fal yet; the others keep their places in the queue.
CLAIMED_AHEAD = 64
#: How often a claim that makes room for first answers looks again, and how often it does before it goes on anyway.
BACKPRESSURE_PAUSE_S = 0.02
BACKPRESSURE_PAUSES = 25
#: How soon a person is told that the database does not take their request; Discord waits for three seconds.
ACCEPT_WITHIN_S = 2.0
#: A person who is turned away because too much waits is told to come back after this long at least, and at most.
LEAST_RETRY_S = 30.0
MOST_RETRY_S = 900.0
#: How long a shutdown waits for submits and posts under way.
DRAIN_S = 4.0


class Runner:
    """Owns every job between acceptance and delivery."""

    def __init__(
        self,
        *,
        store: Store,
        fal: Fal,
        catalogue: Catalogue,
        settings: FalSettings,
        max_waiting: int,
        tick_s: float,
        clock: Callable[[], datetime],
        inputs: AttachmentSource,
        callback_url: Callable[[str, int], str] | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        self._store = store
        self._fal = fal
        self._settings = settings
        self._max_waiting = max_waiting
        self._tick_s = tick_s
        self._lease_s = lease_s
        self._reconciler = Reconciler(
            fal=fal,
            records=store.jobs,
            clock=clock,
            wait_s=settings.reconcile_s,
            give_up_s=settings.job_timeout_s,
            store_payloads=settings.store_payloads,
        )
        context = self._context = RunnerContext(store=store, catalogue=catalogue, settings=settings, clock=clock)
        self._positions = QueuePositions(context, tick_s=tick_s)
        self._responses = InitialResponses(context, self._positions)
        self._watcher = Watcher(context, fal, self._reconciler, calls_back=callback_url is not None)
        self._canceller = Canceller(context, fal, self._reconciler, self._watcher, self._positions)
        self._leases = Leases(context, lease_s, self._resume)
        self._submitter = Submitter(
            context,
            fal,
            self._reconciler,
            self._responses,
            self._canceller,
            leases=self._leases,
            inputs=inputs,
            callback_url=callback_url,
        )
        self._deliverer = ResultDeliverer(context, fal, backpressure=lambda: self.backpressure)
        self._downtime = Downtime(context, starting_s=2 * lease_s)
        #: Claimed, and not painted yet, by job; counted from the claim on, before work on them has begun.
        self._in_flight: set[str] = set()
        #: Whether all that an earlier process left is here; until then a callback may be about something of it.
        self._recovered = False
        #: Jobs that are no longer worked on, since the start.
        self.jobs_ended = 0
        self._claiming = asyncio.Lock()
        #: Cards that are being set right.
        self._repairs: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ used by the commands

    def attach(self, delivery: Delivery) -> None:
        """Name who shows the jobs; called once, before `run`."""
        self._context.attach(delivery)

    async def accept(self, new: NewJob, policy: Policy) -> Accepted | Refused | Duplicate:
        """Reserve and queue, in one transaction. The job starts once `answered` is called.

        Raises:
            Overloaded: too many jobs wait already.
        """
        self._responses.begin(new.id)
        accepted = False
        try:
            outcome = await self._store.jobs.accept(
                new, policy, max_waiting=self._max_waiting, within_s=ACCEPT_WITHIN_S
            )
            accepted = isinstance(outcome, Accepted)
        except Overloaded as error:
            metrics.JOBS_REFUSED.labels(error.code).inc()
            raise self._overloaded(error) from None
        except StoreUnusable:
            # Should its COMMIT have taken after all: the person was told that it did not.
            self._context.cancel_requested.add(new.id)
            raise
        finally:
            if not accepted:
                self._responses.end(new.id)
        if isinstance(outcome, Accepted):
            metrics.JOBS_ACCEPTED.inc()
            self._positions.accepted(outcome.job)
            self._context.wake.set()
        elif isinstance(outcome, Refused):
            metrics.JOBS_REFUSED.labels(outcome.rule).inc()
        return outcome

    def _overloaded(self, error: Overloaded) -> Overloaded:
        """With the time when a tenth of those that wait should be gone."""
        usual_s = self._watcher.at_fal().typical_s
        wait_s = error.waiting / 10 * usual_s / (self._settings.max_in_flight or error.waiting)
        retry_at = self._context.clock() + timedelta(seconds=min(max(wait_s, LEAST_RETRY_S), MOST_RETRY_S))
        return Overloaded(error.waiting, left_today=error.left_today, retry_at=retry_at)

    async def answered(self, job_id: str, message_id: int | None) -> None:
        """The person sees the job; it may start. `message_id` is where."""
        context = self._context
        if message_id is not None:
            context.messages[job_id] = message_id  # goes on record with the next move, unless the job has to wait
        self._responses.end(job_id)
        elsewhere = self._store.shared and job_id not in context.tasks
        if message_id is not None and (elsewhere or job_id in self._positions):
            try:
                await self._store.jobs.annotate(job_id, message_id=message_id)
            except StoreUnusable as error:  # the job goes on, and so does what we know of it
                log.warning("the first answer is not on record yet", extra={"job": job_id, "reason": error.sentence})
                return
            if job_id not in self._positions and job_id not in context.tasks:
                context.messages.pop(job_id, None)

    async def unanswered(self, job_id: str) -> None:
        """The first answer never reached the person: nothing is started, nothing is spent."""
        context = self._context
        # The wish first: a claim in this very moment then finds it before it submits.
        context.cancel_requested.add(job_id)
        try:
            job = await context.retry_store(
                lambda: self._store.jobs.annotate(job_id, cancel_requested=True, notified=True)
            )
            queued = job is not None and job.state is JobState.QUEUED
            if job is not None and queued and await context.transition_to_cancelled(job, UNANSWERED):
                context.cancel_requested.discard(job_id)
            self._positions.left(job_id)
        finally:
            self._responses.end(job_id)

    async def cancel(self, job_id: str, *, patience_s: float = CANCEL_ELSEWHERE_S) -> CancelOutcome:
        """Stop a job for its owner, here and at fal.

        Args:
            patience_s: how long to wait for another process that has the job; the wish is on record in any case.
        """
        return await self._canceller.cancel(job_id, patience_s)

    def lease_remaining_s(self, job_id: str) -> float | None:
        """For how many seconds nobody else shows this job's progress: it is ours; None when only `waits` can tell."""
        if not self._store.shared or job_id in self._context.tasks:
            return self._leases.left_s
        return None

    async def is_queued(self, job_id: str) -> bool:
        """Whether a job is in the queue, by the store."""
        job = await self._store.jobs.get(job_id)
        return job is not None and job.state is JobState.QUEUED

    def repair_message(self, job_id: str) -> None:
        """An edit of ours came too late, and may hide what another process has shown since: show that again."""
        if self.stopping:
            return
        task = asyncio.create_task(self._deliverer.repair(job_id), name=f"mend-{job_id}")
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)

    async def on_webhook(self, job_id: str, attempt: int, request_id: str) -> None:
        """Fal called back (verified): a hint to look now, and the name of a request whose answer was lost."""
        log.debug("callback", extra={"job": job_id, "attempt": attempt})
        known = self._watcher.on_webhook(job_id, request_id)
        if not known and (job_id in self._context.tasks or not self._recovered):
            self._reconciler.on_webhook(job_id, attempt, request_id)
        self._fal.wake(request_id)

    @property
    def jobs_alive(self) -> int:
        """How many are worked on."""
        return len(self._context.tasks)

    @property
    def stopping(self) -> bool:
        """Whether what is accepted now is left to the next start."""
        return self._context.stopping.is_set()

    @property
    def backpressure(self) -> bool:
        """Whether so many first answers are under way that everything else had better wait."""
        return self._responses.backpressure

    async def wait_reason(self, job_id: str) -> WaitReason | None:
        """Where a job stands and what it waits for; None when there is no such job."""
        job, settings = await self._store.jobs.get(job_id), self._settings
        if job is None:
            return None
        caps = ConcurrencyCaps(settings.max_in_flight, settings.guild_jobs_in_flight, settings.user_jobs_in_flight)
        place = None
        if job.state is JobState.QUEUED:
            place = await self._store.positions.queue_status(
                job_id, in_flight=caps.all, guild_in_flight=caps.guild, user_in_flight=caps.user
            )
        return WaitReason(
            job,
            caps,
            self._watcher.at_fal(job),
            place,
            progress=self._watcher.progress(job_id),
            provider_unavailable=self._fal.unavailable,
            submit_unconfirmed=job_id in self._context.unconfirmed,
            recently_restarted=self._downtime.recently_restarted(job),
        )

    # ------------------------------------------------------------------ main loop

    async def run(self) -> None:
        """Recover what an earlier process left, then claim and care for jobs until `stop`."""
        _ = self._context.delivery  # or nobody would be told anything
        self._downtime.begin()
        await self._watcher.recall()
        helpers = [
            asyncio.create_task(self._tick_forever(), name="runner-ticks"),
            asyncio.create_task(self._leases.renew_forever(), name="runner-leases"),
        ]
        if self._store.shared:
            helpers.append(asyncio.create_task(self._canceller.poll_cancel_requests(), name="runner-wishes"))
        try:
            await self._recover()
            self._recovered = True
            while not self.stopping:
                self._context.wake.clear()
                try:
                    claimed = await self._claim_some()
                except EaselError:
                    log.exception("claim failed")
                    await asyncio.sleep(1)
                    continue
                if not claimed:
                    await self._context.wake.wait()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def stop(self) -> None:
        """Stop claiming, let submits and posts under way end, leave everything else to the next start."""
        self._context.stopping.set()
        self._context.wake.set()
        self._watcher.close()
        for task in self._repairs:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S), self._claiming:
                pass  # what is just being claimed is known from now on
        left_some = await self._context.close(DRAIN_S)
        with suppress(EaselError):
            # Nothing of these left, so the next start need not look for it.
            unsent = self._submitter.unsent.values()
            await asyncio.gather(*(self._context.transition(job, JobState.QUEUED) for job in unsent))
            await self._watcher.write_durations()
            if left_some:
                await self._downtime.note_now()
            await self._store.leases.release()

    async def _claim_some(self) -> bool:
        """Take the fairest waiting jobs; False when there is no room or nothing waits."""
        limit, unsent = self._settings.max_in_flight, len(self._submitter.unsent)
        # In halves: a claim for every single submit would cost more than the submits.
        room = CLAIMED_AHEAD - unsent if 2 * unsent <= CLAIMED_AHEAD else 0
        room = room if limit == 0 else min(room, limit - len(self._in_flight))
        if room <= 0 or not (self._positions or self._context.recheck_queue):
            return False
        await self._make_room()
        async with self._claiming:
            if self.stopping:
                return False
            claimed = await self._claim(room)
        if not claimed:
            await self._positions.reload_if_due()
        return bool(claimed)

    async def _claim(self, room: int) -> list[Job]:
        """Claim and start."""
        settings = self._settings
        self._context.recheck_queue = False
        try:
            claimed = await self._store.jobs.claim(
                room,
                lease_s=self._lease_s,
                in_flight=settings.max_in_flight if self._store.shared else 0,
                guild_in_flight=settings.guild_jobs_in_flight,
                user_in_flight=settings.user_jobs_in_flight,
            )
        except EaselError:
            self._context.recheck_queue = True  # for what waited when it was set to False above
            raise
        for job in claimed:
            self._positions.claimed(job)
            self._submitter.unsent[job.id] = job  # at once: a stop may cancel its task before that has begun
            self._start(job)
        return claimed

    async def _make_room(self) -> None:
        """First answers go before new work, for a moment at a time: Discord waits three seconds for them."""
        for _ in range(BACKPRESSURE_PAUSES):
            if not self.backpressure or self.stopping:
                return
            await asyncio.sleep(BACKPRESSURE_PAUSE_S)

    async def _recover(self) -> None:
        """Take up every job that an earlier process left unfinished."""
        accepted_here = {job.id for job in self._positions.jobs}
        await self._positions.reload()
        self._positions.adopt_all()
        # What this process accepts meanwhile is about to be answered; only an earlier one's answers may be missing.
        # (Or other processes' answers, where they share the database: FirstAnswers looks for those.)
        answered_here = accepted_here.union(self._responses.under_way, self._context.messages)
        unseen = [
            job
            for job in self._positions.jobs
            if job.reply.message_id is None and not self._store.shared and job.id not in answered_here
        ]
        await self._downtime.recall()
        for job in self._positions.jobs:
            self._downtime.announce_resume(job)
        adopted = await self._leases.adopt()
        if self._positions or adopted:
            log.info("recovered", extra={"jobs": adopted, "waiting": len(self._positions)})
        # A process that was killed between acceptance and answer: the person saw a failure, so nothing is painted.
        await asyncio.gather(*(self._check_answer(job) for job in unseen))

    async def _check_answer(self, job: Job) -> None:
        async with self._submitter.semaphore:
            if await self._context.delivery.was_answered(job) is False:
                await self.unanswered(job.id)

    async def _tick_forever(self) -> None:
        """Keep places in the queue and remaining times current."""
        while True:
            await asyncio.sleep(self._tick_s)
            metrics.JOBS_IN_FLIGHT.set(len(self._in_flight))
            metrics.JOBS_WAITING.set(len(self._positions))
            await self._watcher.publish_all()
            try:
                if self._context.tasks or self._positions:
                    await self._downtime.note_alive()
                await self._watcher.write_durations()
                await self._positions.show(answering=self._responses.under_way, backpressure=self.backpressure)
            except EaselError:
                log.exception("tick failed")

    # ------------------------------------------------------------------ one job

    def _resume(self, job: Job) -> None:
        """What no other process cares for any more."""
        self._context.poll_first.add(job.id)
        self._downtime.announce_resume(job)
        self._start(job, left_over=job.state is JobState.SUBMITTING)

    def _start(self, job: Job, *, left_over: bool = False) -> None:
        if job.state in {JobState.SUBMITTING, JobState.RUNNING}:
            self._in_flight.add(job.id)
        task = asyncio.create_task(self._run_job(job, left_over=left_over), name=f"job-{job.id}")
        self._context.tasks[job.id] = task
        task.add_done_callback(partial(self._job_ended, job.id))

    def _job_ended(self, job_id: str, _task: asyncio.Task[None]) -> None:
        self.jobs_ended += 1
        self._in_flight.discard(job_id)
        self._context.forget(job_id)
        self._positions.forget(job_id)
        if not self.stopping:
            self._submitter.unsent.pop(job_id, None)

    async def _run_job(self, job: Job, *, left_over: bool) -> None:
        """Carry one job from where it stands to its end; the last line of defence for its errors."""
        job_id = job.id
        try:
            match job.state:
                case JobState.SUBMITTING | JobState.RUNNING:
                    painting = self._generate(job, left_over=left_over)
                    del job  # as it was before: thousands of jobs are kept for as long as fal takes
                    painted = await painting
                    if painted is not None:
                        await self._deliverer.run(painted)
                case JobState.FINISHED:
                    await self._deliverer.deliver(job, job.result or Result(()))
                case _:
                    await self._context.notify_outcome(job)
        except GenerationFailed as error:
            await self._context.fail(job_id, Failure(error.code, error.sentence, error.worth_retrying))
        except Refusal as error:  # an attachment that turned out to be no picture
            await self._context.fail(job_id, Failure(error.code, error.sentence, worth_retrying=False))
        except Exception:
            code = incident()
            log.exception("job broke", extra={"job": job_id, "incident": code})
            sentence = f"Something broke on my side (code {code}). Your quota was not used; you can try again."
            await self._context.fail(job_id, Failure("unexpected", sentence, incident=code))

    async def _generate(self, job: Job, *, left_over: bool) -> Job | None:
        """From claimed to painted, after which it is no longer in flight; None when it was cancelled."""
        job_id = job.id
        try:
            running: Job | None = job
            if job.state is JobState.SUBMITTING:
                running = await self._submitter.submit(job, left_over=left_over)
            elif job.cancel_requested:
                # Whoever promised it was killed before it asked fal; a wish that came too late is no longer on record.
                running = await self._canceller.cancel_if_requested(job)
            del job
            if running is not None:
                await self._watcher.watch(running)
            return running
        finally:
            self._in_flight.discard(job_id)
            self._watcher.forget(job_id)
            self._context.wake.set()
