"""The life cycle of a job: claim, submit once, watch, fetch, deliver; resumed after a restart.

Every step is written to the store before the next begins, so a killed process leaves rows that say where each
job stood. What cannot be interrupted without losing money or posting twice (a submit and storing its answer, a
post and storing its message id) runs in critical tasks, which a stop waits for.

    acceptance        turns a request into a job      submitter          submits a job to fal, once
    initial_response  responses to interactions       watcher            follows a job at fal
    queue_positions   positions in our own queue      delivery_pipeline  fetches and posts pictures
    claimer           claims queued jobs              canceller          cancels a job for its owner
    leases            renews leases, adopts jobs      context            what all of these share
    active_jobs       the jobs' state in memory       reconcile          finds lost submits at fal
    credit            what waits for fal's credit     doubles            finds what was painted twice
    doubts            settles what fal tells late
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from bot import metrics
from bot.catalogue import Catalogue
from bot.domain.job import Actor, Failure, Job, JobState, NewJob
from bot.domain.ports import AttachmentSource, CancelOutcome, Delivery, ImageBackend
from bot.errors import BalanceExhausted, Cancelled, EaselError, GenerationFailed, Refusal, StoreUnusable
from bot.jobs.acceptance import Acceptance
from bot.jobs.active_jobs import ActiveJob
from bot.jobs.billing import Billing
from bot.jobs.canceller import Canceller
from bot.jobs.claimer import Claimer
from bot.jobs.context import Clocks, RunnerContext
from bot.jobs.credit import CreditWatch
from bot.jobs.delivery_pipeline import ResultDeliverer
from bot.jobs.doubles import Doubles
from bot.jobs.doubts import Doubts
from bot.jobs.downtime import Downtime
from bot.jobs.initial_response import InitialResponses
from bot.jobs.input_upload import InputUploader
from bot.jobs.leases import Leases
from bot.jobs.model_durations import ModelDurations
from bot.jobs.queue_positions import QueuePositions
from bot.jobs.queue_status import ConcurrencyCaps, WaitReason
from bot.jobs.reconcile import Reconciler
from bot.jobs.submitter import Submitter
from bot.jobs.timings import JobTimings
from bot.jobs.watcher import Watcher
from bot.limits import Policy, Refused
from bot.logs import incident
from bot.media.workers import ImageWorkers
from bot.phrase import phrase
from bot.retry import repeat_last
from bot.settings import FalSettings
from bot.store import Accepted, Duplicate, Store
from bot.supervisor import Supervisor

log = logging.getLogger(__name__)


class Runner:
    """Owns every job between acceptance and delivery.

    Args:
        max_waiting: most jobs that may wait in the queue.
        tick_s: how often positions in the queue and remaining times are published.
        callback_url: the webhook URL for a job id and an attempt number; None: fal's status is polled instead.
        supervisor: owns the tasks that run beside `run`.
        policy_of: the limits and budgets that hold for somebody now; asked before a job is submitted again.
        forgiven_per_day: pictures a person and day that don't count although fal painted them, if nobody saw them.
        admits: whether the operator still lets the bot paint for a job's place and person; asked before each submit.
    """

    def __init__(
        self,
        *,
        store: Store,
        fal: ImageBackend,
        catalogue: Catalogue,
        settings: FalSettings,
        max_waiting: int,
        tick_s: float,
        clocks: Clocks,
        inputs: AttachmentSource,
        images: ImageWorkers,
        supervisor: Supervisor,
        policy_of: Callable[[Actor], Awaitable[Policy]],
        forgiven_per_day: int,
        callback_url: Callable[[str, int], str] | None = None,
        admits: Callable[[Job], bool] = lambda job: True,
        timings: JobTimings = JobTimings(),  # noqa: B008 - frozen
    ) -> None:
        self._store = store
        self._fal = fal
        self._settings = settings
        self._tick_s = tick_s
        self._timings = timings
        self._supervisor = supervisor
        context = self._context = RunnerContext(
            store=store,
            catalogue=catalogue,
            settings=settings,
            timings=timings,
            clocks=clocks,
            admits=admits,
            policy_of=policy_of,
            forgiven_per_day=forgiven_per_day,
        )
        self._active = context.active
        #: Budgets that refused somebody; the alerts take them out.
        self.budget_refusals = context.budget_refusals
        #: Whether fal's account is out of credit, so that jobs wait.
        self.credit = context.credit
        self._reconciler = Reconciler(
            active=context.active,
            fal=fal,
            records=store.jobs,
            clock=clocks.utcnow,
            wait_s=settings.reconcile_s,
            give_up_s=settings.job_timeout_s,
            store_payloads=settings.store_payloads,
            calls_back=callback_url is not None,
            timings=timings,
            timer=clocks.monotonic_s,
        )
        self._positions = QueuePositions(context, tick_s=tick_s)
        self._responses = InitialResponses(context, self._positions)
        self._durations = ModelDurations(context)
        self._watcher = Watcher(context, fal, self._reconciler, self._durations, calls_back=callback_url is not None)
        self._acceptance = Acceptance(context, self._positions, self._responses, self._watcher, max_waiting=max_waiting)
        self._billing = Billing(context, fal)
        doubles = Doubles(context, fal, self._billing, self._reconciler)
        context.doubles_of = doubles.billed
        self._doubts = Doubts(context, fal, doubles, self._billing)
        self._canceller = Canceller(context, fal, self._reconciler, self._watcher, self._billing)
        self._leases = Leases(context, self._resume)
        self._credit = CreditWatch(context, self._positions)
        self._submitter = Submitter(
            context,
            fal,
            self._reconciler,
            self._responses,
            self._canceller,
            billing=self._billing,
            leases=self._leases,
            inputs=InputUploader(context, fal, inputs),
            credit=self._credit,
            doubts=self._doubts,
            callback_url=callback_url,
        )
        self._deliverer = ResultDeliverer(context, fal, images, backpressure=lambda: self.backpressure)
        self._downtime = Downtime(context)
        self._claimer = Claimer(context, self._positions, self._responses, self._start)
        #: Whether the jobs of an earlier process have been adopted. Until then a callback for a job that is unknown
        #: here may belong to one of those, and is kept.
        self._recovered = False

    # ------------------------------------------------------------------ used by the commands

    def attach(self, delivery: Delivery) -> None:
        """Set the delivery that shows jobs to people; call once, before `run`."""
        self._context.attach(delivery)

    async def accept(self, new: NewJob, policy: Policy) -> Accepted | Refused | Duplicate:
        """Reserve the cost and queue the job, in one transaction. The job starts once `answered` is called.

        Raises:
            Overloaded: `max_waiting` jobs are queued already.
            StoreUnusable: the database is unavailable, or the transaction took too long.
        """
        return await self._acceptance.accept(new, policy)

    async def answered(self, job_id: str, message_id: int | None) -> None:
        """Record that the initial response was sent: the job may start. `message_id` is the message that shows it."""
        await self._acceptance.answered(job_id, message_id)

    async def unanswered(self, job_id: str) -> None:
        """Cancel a job whose initial response could not be sent; nothing is submitted or charged."""
        await self._acceptance.unanswered(job_id)

    async def cancel(self, job_id: str, *, patience_s: float | None = None) -> CancelOutcome:
        """Cancel a job for its owner, here and at fal.

        Args:
            patience_s: seconds to wait until another process that has claimed the job has cancelled it, by default
                `cancel_elsewhere_s`; the cancel request is stored in any case.
        """
        return await self._canceller.cancel(job_id, patience_s)

    def card_deleted(self, job_id: str) -> None:
        """Cancel a job whose message was deleted, here and at fal; nothing of it is shown any more."""
        if not self.stopping:
            self._context.tasks.spawn_background(self._canceller.withdraw(job_id), name=f"withdraw-{job_id}")

    def repair_message(self, job_id: str) -> None:
        """Show how a job ended once more, after a late edit by this process may have overwritten another process's."""
        if not self.stopping:
            self._context.tasks.spawn_background(self._deliverer.repair(job_id), name=f"repair-{job_id}")

    async def on_webhook(self, job_id: str, attempt: int, request_id: str) -> None:
        """Handle a verified callback of fal: it makes a watch poll now, and gives the request id of a lost submit.

        Of a job that has ended, it may settle what is in doubt.
        """
        log.debug("callback", extra={"job": job_id, "attempt": attempt})
        known = self._watcher.on_webhook(job_id, request_id)
        if not known and (job_id in self._active.working or not self._recovered):
            self._reconciler.on_webhook(job_id, attempt, request_id)
        elif not known and not self.stopping:
            settling = self._doubts.called_back(job_id, request_id)
            self._context.tasks.spawn_background(settling, name=f"doubt-{job_id}")
        self._fal.wake(request_id)

    @property
    def jobs_alive(self) -> int:
        """Number of jobs that have a task in this process."""
        return len(self._active.working)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: jobs accepted from now on are started by the next process."""
        return self._context.stopping.is_set()

    @property
    def backpressure(self) -> bool:
        """Whether so many initial responses are under way that other work should wait."""
        return self._responses.backpressure

    async def wait_reason(self, job_id: str) -> WaitReason | None:
        """Collect where a job stands and what it waits for; None when there is no such job."""
        job, settings = await self._store.jobs.get(job_id), self._settings
        if job is None:
            return None
        active = self._active.get(job_id)
        caps = ConcurrencyCaps(settings.max_in_flight, settings.guild_jobs_in_flight, settings.user_jobs_in_flight)
        queue_status = None
        if job.state is JobState.QUEUED:
            queue_status = await self._store.positions.queue_status(
                job_id, in_flight=caps.all, guild_in_flight=caps.guild, user_in_flight=caps.user
            )
        return WaitReason(
            job,
            caps,
            self._watcher.load(job),
            queue_status,
            progress=self._watcher.progress(job_id),
            provider_unavailable=self._fal.unavailable,
            out_of_credit=self.credit.active,
            submit_unconfirmed=active is not None and active.unconfirmed,
            search_ends_at=active.search_ends_at if active is not None else None,
            recently_restarted=self._downtime.recently_restarted(job),
        )

    # ------------------------------------------------------------------ main loop

    async def run(self) -> None:
        """Recover the jobs that an earlier process left, then claim and run jobs until `stop`."""
        _ = self._context.delivery  # raises unless `attach` was called
        self._downtime.begin()
        await self._durations.recall()
        await self._context.retry_store(self._credit.recall)
        start = self._supervisor.start
        helpers = [
            start(self._tick_forever(), name="runner-ticks"),
            start(self._show_positions_forever(), name="runner-positions"),
            start(self._leases.renew_forever(), name="runner-leases"),
            start(self._doubts.settle_forever(), name="runner-doubts"),
        ]
        if self._store.shared:
            helpers.append(start(self._canceller.poll_cancel_requests(), name="runner-cancel-requests"))
        try:
            await self._recover()
            await self._claimer.run()
        finally:
            await self._supervisor.stop(*helpers)

    async def stop(self) -> None:
        """Stop claiming, wait for submits and posts under way, and leave all other jobs to the next start."""
        self._context.stopping.set()
        self._context.wake.set()
        self._watcher.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timings.drain_s), self._claimer.claiming:
                pass  # a claim that was under way has registered its jobs
        left_some = await self._context.tasks.close(self._timings.drain_s, self._active.tasks)
        with suppress(EaselError):
            # These were never sent, so they go back to the queue and the next start need not reconcile them.
            unsent = [active.unsent for active in self._active.unsent.values() if active.unsent is not None]
            await asyncio.gather(*(self._context.transition(job, JobState.QUEUED) for job in unsent))
            await self._durations.write()
            if left_some:
                await self._downtime.note_now()
            await self._store.leases.release()
        self._active.clear()

    async def _recover(self) -> None:
        """Resume every job that an earlier process left unfinished."""
        accepted_here = set(self._active.queued)
        await self._positions.reload()
        self._positions.adopt_all()
        # Jobs that this process accepts meanwhile are about to be responded to; only those of an earlier process may
        # lack a response. (Where processes share the database, InitialResponses handles the other processes' jobs.)
        jobs = () if self._store.shared else self._positions.jobs
        unseen = [job for job in jobs if job.id not in accepted_here and _is_unseen(job, self._active.get(job.id))]
        await self._downtime.recall()
        for job in self._positions.jobs:
            self._downtime.announce_resume(job)
        adopted = await self._leases.adopt()
        self._recovered = True
        if len(self._positions) or adopted:
            log.info("recovered", extra={"jobs": adopted, "waiting": len(self._positions)})
        # If a process was killed between acceptance and response, the person saw a failure: the job is cancelled.
        await asyncio.gather(*(self._check_answer(job) for job in unseen))
        for active in list(self._active):  # entries made by callbacks for jobs that had ended
            self._active.release(active.id)

    async def _check_answer(self, job: Job) -> None:
        async with self._submitter.semaphore:
            if await self._context.delivery.was_answered(job) is False:
                await self.unanswered(job.id)

    async def _tick_forever(self) -> None:
        """Publish remaining times, update gauges, and write what is stored once a tick."""
        while True:
            await self._context.sleep(self._tick_s)
            metrics.JOBS_IN_FLIGHT.set(len(self._active.in_flight))
            metrics.JOBS_WAITING.set(len(self._positions))
            await self._watcher.publish_all()
            try:
                if self._active.working or len(self._positions):
                    await self._downtime.note_alive()
                await self._durations.write()
                await self._acceptance.settle_doubts()
                await self._credit.tick()
            except EaselError:
                log.exception("tick failed")

    async def _show_positions_forever(self) -> None:
        """Publish queue positions every tick, except under backpressure of initial responses."""
        while True:
            await self._context.sleep(self._tick_s)
            if self.backpressure:
                continue
            try:
                await self._positions.show()
            except EaselError:
                log.exception("positions not shown")

    # ------------------------------------------------------------------ one job

    def _resume(self, job: Job) -> None:
        """Start the task of an adopted job."""
        self._active.open(job.id).poll_first = True
        self._downtime.announce_resume(job)
        self._start(job, left_over=job.state is JobState.SUBMITTING)

    def _start(self, job: Job, *, left_over: bool = False) -> None:
        if self.stopping:  # `stop` ends the tasks that it finds; what this one needs is closed after it
            return
        active = self._active.open(job.id)
        if job.state in {JobState.SUBMITTING, JobState.RUNNING}:
            active.in_flight_since_s = self._context.now_s()
        active.task = asyncio.create_task(self._run_job(job, left_over=left_over), name=f"job-{job.id}")
        active.task.add_done_callback(partial(self._job_ended, job.id))

    def _job_ended(self, job_id: str, task: asyncio.Task[None]) -> None:
        active = self._active.get(job_id)
        if active is None or active.task is not task:  # back in the queue, and claimed again meanwhile
            return
        active.task = active.in_flight_since_s = None
        if not self.stopping:  # else `stop` still needs `unsent`
            self._active.release(job_id)

    async def _run_job(self, job: Job, *, left_over: bool) -> None:
        """Run one job from its current state to its end; every error of it is handled here."""
        job_id, pauses_s = job.id, repeat_last(self._timings.credit_pauses_s)
        try:
            while True:
                try:
                    going_on = self._go_on(job, left_over=left_over)
                    del job  # frees the outdated row: there may be thousands of them for as long as fal takes
                    return await going_on
                except BalanceExhausted:
                    job, left_over = await self._credit.outlast(job_id, next(pauses_s)), False
        except (GenerationFailed, Refusal) as error:  # a Refusal: an attachment is no usable picture
            if not self._active.is_left_to_canceller(job_id):
                settlement_of = partial(self._billing.of_failure, error=error)
                await self._context.fail(job_id, Failure.of(error), settlement_of)
        except StoreUnusable as error:
            # Retries of the store end only when the runner stops; the next start resumes the job from its row.
            log.warning("a job is left as it stands on record", extra={"job": job_id, "reason": error.sentence})
        except Exception:
            code = incident()
            log.exception("job broke", extra={"job": job_id, "incident": code})
            broke = phrase("unexpected", incident=code)
            settlement_of = partial(self._billing.of_failure, error=None)
            await self._context.fail(job_id, Failure("unexpected", broke, incident=code), settlement_of)

    async def _go_on(self, job: Job, *, left_over: bool) -> None:
        """Do what is left to do of a job.

        Raises:
            GenerationFailed, Refusal: it ends without its pictures.
        """
        job_id = job.id
        match job.state:
            case JobState.SUBMITTING | JobState.RUNNING:
                painting = self._generate(job, left_over=left_over)
                del job
                finished = await painting
                if finished is not None and not self._active.is_left_to_canceller(job_id):
                    if self._active.is_cancelled_at_fal(job_id):
                        raise Cancelled
                    delivering = self._deliverer.run(finished)
                    del finished, painting
                    await delivering
            case JobState.FINISHED:
                delivering = self._deliverer.run(job)
                del job
                await delivering
            case _:
                await self._context.notify_outcome(job)

    async def _generate(self, job: Job, *, left_over: bool) -> Job | None:
        """Submit the job and watch it until fal is done; None when it was cancelled."""
        job_id = job.id
        try:
            running: Job | None = job
            if job.state is JobState.SUBMITTING:
                running = await self._submitter.submit(job, left_over=left_over)
            elif job.cancel_requested:
                # The process that acknowledged the cancel died before it called fal. (A cancel that fal refused as too
                # late has been cleared from the row.)
                running = await self._canceller.cancel_if_requested(job)
            del job
            if running is not None:
                await self._watcher.watch(running)
            return running
        finally:
            active = self._active.get(job_id)
            if active is not None:
                active.in_flight_since_s = None
            self._watcher.forget(job_id)
            self._context.wake.set()


def _is_unseen(job: Job, active: ActiveJob | None) -> bool:
    """Whether a job of an earlier process may lack its initial response."""
    answered_here = active is not None and (active.response is not None or active.message_id is not None)
    return job.reply.message_id is None and not answered_here
