"""What every step of a job uses: a store and a fal that may be away for a while, and whoever shows the job to people.

Every move of a job goes through here. Each is one compare-and-set in the store, and what has happened outside is tried
again until the store has it; what must not be interrupted between the two runs in tasks that a stop waits for.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from bot import metrics
from bot.catalogue import Catalogue
from bot.catalogue.model import Model
from bot.domain.events import Progress, ProviderUnavailable
from bot.domain.job import TERMINAL, Failure, Job, JobState
from bot.domain.ports import Delivery
from bot.errors import ModelGone, ProviderError, ProviderUnreachable, StoreUnusable
from bot.settings import FalSettings
from bot.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Pauses between tries to fetch what fal has finished, 15 minutes in all; short, so that an outage is soon made good.
FAL_PAUSES_S = (2, 4, 8, *(15,) * 59)
#: Pauses between tries to put on record what has happened, while the database is away; the last one repeats.
STORE_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)


class RunnerContext:
    """One process's jobs, and what is known of them beside their rows."""

    def __init__(
        self, *, store: Store, catalogue: Catalogue, settings: FalSettings, clock: Callable[[], datetime]
    ) -> None:
        self.store = store
        self.settings = settings
        self.clock = clock
        self._catalogue = catalogue
        self._delivery: Delivery | None = None
        self.stopping = asyncio.Event()
        #: Set when a claim may find something, or has room again.
        self.wake = asyncio.Event()
        #: Other processes may have queued something, or made room, that this one does not know of.
        self.recheck_queue = False
        #: Jobs that this process works on.
        self.tasks: dict[str, asyncio.Task[None]] = {}
        #: Where jobs are shown, until that is on record.
        self.messages: dict[str, int] = {}
        #: Jobs that nobody wants any more, maybe before that is on record.
        self.cancel_requested: set[str] = set()
        #: Jobs that fal may have, or not: its answer got lost, and they are looked for there.
        self.unconfirmed: set[str] = set()
        #: When others certainly no longer edit a job's card (time of the loop), by job.
        self.quiet_until_s: dict[str, float] = {}
        #: When this process submitted jobs, by the event loop's clock, which nobody sets.
        self.submitted_at_s: dict[str, float] = {}
        #: fal may have called back about these while nobody could listen.
        self.poll_first: set[str] = set()
        self._critical: set[asyncio.Task[Any]] = set()

    def attach(self, delivery: Delivery) -> None:
        """Name who shows the jobs."""
        self._delivery = delivery

    @property
    def delivery(self) -> Delivery:
        """Who shows the jobs."""
        if self._delivery is None:
            raise RuntimeError("attach a delivery first")
        return self._delivery

    def publish(self, job: Job, progress: Progress) -> None:
        """Show a newer state of a job under way."""
        self.delivery.progress(job, progress)

    def model(self, job: Job) -> Model:
        """What paints it. Raises ModelGone when the catalogue has it no more."""
        model = self._catalogue.known(job.request.endpoint)
        if model is None:
            raise ModelGone(job.request.endpoint, None)
        return model

    def model_of(self, endpoint: str) -> Model | None:
        """The model of that name."""
        return self._catalogue.known(endpoint)

    @property
    def capped(self) -> bool:
        """Whether a claim may pass over jobs that wait, until another one has come further."""
        settings = self.settings
        shared = self.store.shared and bool(settings.max_in_flight)
        return shared or bool(settings.guild_jobs_in_flight or settings.user_jobs_in_flight)

    def is_cancelled(self, job: Job) -> bool:
        """Whether it was cancelled, by its row or by what is not on record yet."""
        return job.cancel_requested or job.id in self.cancel_requested

    def age_s(self, job: Job) -> float:
        """Seconds since its submit; by a clock that may have been set meanwhile only where another process did that."""
        if job.id in self.submitted_at_s:
            return now_s() - self.submitted_at_s[job.id]
        since = job.submitted_at or job.created_at
        return max((self.clock() - since).total_seconds(), 0)

    def forget(self, job_id: str) -> None:
        """Nobody here works on it any more."""
        self.tasks.pop(job_id, None)
        self.messages.pop(job_id, None)
        self.submitted_at_s.pop(job_id, None)
        self.cancel_requested.discard(job_id)
        self.poll_first.discard(job_id)
        self.quiet_until_s.pop(job_id, None)

    # ------------------------------------------------------------------ patience

    async def pause(self, seconds: float) -> None:
        """Sleep. A stop ends it and the work that waits: the next start goes on with that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        if self.stopping.is_set():
            raise asyncio.CancelledError

    async def retry_store(self, work: Callable[[], Awaitable[T]]) -> T:
        """A call to the store that outlasts its outages; a stop ends the waiting."""
        for tries in itertools.count():
            try:
                return await work()
            except StoreUnusable as error:
                if self.stopping.is_set():
                    raise
                if tries == 0:
                    log.warning("the database is away; trying again", extra={"reason": error.sentence})
                pause_s = STORE_PAUSES_S[min(tries, len(STORE_PAUSES_S) - 1)]
                await self.pause(pause_s * random.uniform(0.8, 1.2))
        raise AssertionError("it counts for ever")

    async def retry_fal(self, job: Job, attempt: Callable[[], Awaitable[T]]) -> T:
        """A call to fal, tried again while fal can't be heard: what is there stays there for an hour.

        Raises:
            FalBroken: not heard for as long as `FAL_PAUSES_S` adds up to.
        """
        for pause_s in (*FAL_PAUSES_S, None):
            try:
                return await attempt()
            except ProviderUnreachable as error:
                if pause_s is None:
                    raise ProviderError from error
                wait_s = max(pause_s, error.retry_after_s or 0)
                log.info("fal is out of reach; trying again", extra={"job": job.id, "pause_s": wait_s})
                self.publish(job, ProviderUnavailable())
                await self.pause(wait_s * random.uniform(0.8, 1.2))
        raise ProviderError

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled; a stop waits for it."""
        return await asyncio.shield(self.spawn_critical(work))

    def spawn_critical(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The same as a task of its own."""
        task = asyncio.create_task(work)
        self._critical.add(task)
        task.add_done_callback(self._critical.discard)
        return task

    async def close(self, within_s: float) -> bool:
        """Wait so long for what must not be interrupted, and end all other work; whether there was any."""
        if self._critical:
            await asyncio.wait(set(self._critical), timeout=within_s)
        # What is still under way then is on record as such; the next start takes it up.
        left = [*self.tasks.values(), *self._critical]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return bool(left)

    # ------------------------------------------------------------------ moves

    async def transition(self, job: Job, to: JobState, **changes: Any) -> Job | None:
        """Move in the store; None when somebody else moved the job first (a cancel, an erasure)."""
        moved = await self._put_on_record(job, to, **{**self._known_message(job), **changes})
        if moved is None:
            log.info("job moved elsewhere", extra={"job": job.id, "wanted": to.value})
            return None
        _count_end(moved)
        if self.capped and moved.state is not JobState.RUNNING:
            # Room for somebody who waited at a cap, perhaps with another process.
            self.recheck_queue = self.recheck_queue or self.store.shared
            self.wake.set()
        return moved

    def _known_message(self, job: Job) -> dict[str, int]:
        """The message id for the next move, where it is not on record yet."""
        message_id = self.messages.pop(job.id, None)
        return {} if message_id is None or job.reply.message_id is not None else {"message_id": message_id}

    async def _put_on_record(self, job: Job, to: JobState, **changes: Any) -> Job | None:
        """The move, as soon as the database takes it: what has happened outside must not be forgotten."""
        unsure = False

        async def move() -> Job | None:
            nonlocal unsure
            before, unsure = unsure, True
            moved = await self.store.jobs.transition(job, to, **changes)
            if moved is None and before:
                # An earlier try may have been committed although its answer was lost.
                found = await self.store.jobs.get(job.id)
                return found if found is not None and (found.state, found.fence) == (to, job.fence) else None
            return moved

        return await self.retry_store(move)

    async def transition_to_cancelled(self, job: Job, sentence: str) -> Job | None:
        """The move to CANCELLED; None as above."""
        return await self.transition(job, JobState.CANCELLED, failure=Failure("cancelled", sentence))

    async def fail(self, job_id: str, failure: Failure) -> None:
        """Write the end and tell the person; the reservation is released with it."""
        job = await self.retry_store(lambda: self.store.jobs.get(job_id))
        if job is None or job.state in TERMINAL:
            return
        if job.cancel_requested:
            ended = await self.transition_to_cancelled(job, "Cancelled. Your quota was not used.")
        else:
            ended = await self.transition(job, JobState.FAILED, failure=failure)
            log.info("job failed", extra={"job": job.id, "model": job.request.endpoint, "failure": failure.code})
        if ended is not None:
            await self.notify_outcome(ended)

    async def notify_outcome(self, job: Job) -> None:
        """Say how it ended, unless that was said already."""
        if job.notified:
            self.delivery.forget(job.id)
            return
        await self.wait_until_quiet(job.id)
        await self.delivery.notify_outcome(job)
        await self.retry_store(lambda: self.store.jobs.annotate(job.id, notified=True))

    async def wait_until_quiet(self, job_id: str) -> None:
        """No edit by another process that thought the job still waits can land after what is shown next."""
        left_s = self.quiet_until_s.get(job_id, 0) - now_s()
        if left_s > 0:
            await self.pause(left_s)


def now_s() -> float:
    """By the event loop's clock, which nobody sets."""
    return asyncio.get_running_loop().time()


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
