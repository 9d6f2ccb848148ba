"""Following what fal has: by its callbacks where they come, else by its status; and how long it usually takes."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime

from bot.catalogue.model import Model
from bot.domain.events import InProgress, Progress, ProviderQueued, ProviderUnavailable
from bot.domain.job import Job
from bot.errors import EaselError, GenerationTimedOut
from bot.fal import CompletedStatus, Fal, InProgressStatus, InQueueStatus, read_progress
from bot.jobs.context import RunnerContext, now_s
from bot.jobs.queue_status import ProviderLoad
from bot.jobs.reconcile import Reconciler
from bot.jobs.webhook_monitor import WebhookMonitor

#: Weight of the newest painting in the expected time of its model.
LEARNING_RATE = 0.3
#: A callback is waited for this many times the usual duration before fal is watched, and at least so long.
CALLBACK_PATIENCE = 2.0
LEAST_CALLBACK_WAIT_S = 15.0
#: A job that others are watched for in its place asks again whether it shall be itself.
PROBE_AGAIN_S = 30.0
#: A job found after its deadline (a long stop) is still looked at for this long.
LEAST_WATCH_S = 60.0
#: Paintings whose time is written down at every tick, at most; enough to learn from.
DURATIONS_A_TICK = 10
#: Jobs under way whose progress is worked out in one go; the event loop turns in between.
TOLD_AT_ONCE = 200
#: Taken for the time of a picture while nothing is known.
USUAL_S = 5.0


class Watcher:
    """All jobs of this process that fal has."""

    def __init__(self, context: RunnerContext, fal: Fal, reconciler: Reconciler, *, calls_back: bool) -> None:
        self._context = context
        self._fal = fal
        self._reconciler = reconciler
        #: Whether fal is asked to call back.
        self._calls_back = calls_back
        self._webhooks = WebhookMonitor()
        self._running: dict[str, _UnderWay] = {}
        self._durations: dict[str, float] = {}
        self._fresh_durations: list[tuple[str, float]] = []

    def close(self) -> None:
        """Wait for no callback any more."""
        self._webhooks.close()

    async def watch(self, job: Job) -> None:
        """Follow fal until it is done; say `forget` after that.

        Raises:
            PaintingTimedOut: it took longer than a job may.
        """
        if job.fal_request is None:
            raise RuntimeError("a running job has a request")
        context, fal_request, model = self._context, job.fal_request, self._context.model(job)
        expected_s = self.expected_s(model, job.request.images)
        under_way = self._running[job.id] = _UnderWay(job, expected_s)
        if self._reconciler.webhook_request(job.id, job.attempts) == fal_request.request_id:
            under_way.call_back()  # quicker than the answer to the submit
        deadline_s = context.settings.job_timeout_s - context.age_s(job)
        ended_unheard = False
        try:
            async with asyncio.timeout(max(deadline_s, LEAST_WATCH_S)):
                if await self._called_back(under_way, model):
                    self._learn(model, under_way)
                    return
                age_s = context.age_s(job) if job.id in context.poll_first else None
                async with aclosing(self._fal.watch(fal_request, expected_s=expected_s, age_s=age_s)) as statuses:
                    async for status in statuses:
                        if isinstance(status, CompletedStatus):
                            break
                        self._show(under_way, status)
            ended_unheard = not under_way.called_back
        except TimeoutError:
            with suppress(EaselError):
                await self._fal.cancel(fal_request)
            raise GenerationTimedOut from None
        finally:
            self._webhooks.probed(job.id, ended_unheard=ended_unheard)
        self._learn(model, under_way)

    def forget(self, job_id: str) -> None:
        """Fal does not have it any more."""
        self._running.pop(job_id, None)

    def on_webhook(self, job_id: str, request_id: str) -> bool:
        """A callback came; whether this job is known to be at fal, so that the callback need not be kept."""
        self._webhooks.received(job_id)
        under_way = self._running.get(job_id)
        if under_way is None:
            return False
        fal_request = under_way.job.fal_request
        if fal_request is not None and fal_request.request_id == request_id:
            under_way.call_back()
        return True

    async def _called_back(self, under_way: _UnderWay, model: Model) -> bool:
        """Where fal calls back, it need not be watched for as long as this model usually takes; False: it must.

        The result is asked for next, so a callback is only ever a hint.
        """
        job = under_way.job
        if not self._calls_back or job.id in self._context.poll_first:
            return False
        under_way.started_at = self._context.clock()
        began_s = now_s()
        while not under_way.called_back:
            patience_s = max(CALLBACK_PATIENCE * self.expected_s(model, job.request.images), LEAST_CALLBACK_WAIT_S)
            left_s = began_s + patience_s - now_s()
            if left_s <= 0:
                if self._webhooks.may_probe(job.id):
                    return False
                left_s = PROBE_AGAIN_S * random.uniform(0.8, 1.2)
            await under_way.listen(left_s)
        return True

    def _show(self, under_way: _UnderWay, status: InQueueStatus | InProgressStatus) -> None:
        if isinstance(status, InQueueStatus):
            under_way.waiting = ProviderQueued(status.position)
            self._context.publish(under_way.job, under_way.waiting)
            return
        if under_way.started_at is None:
            under_way.started_at = self._context.clock()
        painted = read_progress(status.lines)
        if painted is not None and painted.fraction >= (under_way.fraction or 0):
            under_way.fraction, under_way.step, under_way.steps = painted.fraction, painted.step, painted.steps
        self._context.publish(under_way.job, under_way.painting(self._context.clock()))

    # ------------------------------------------------------------------ what is seen

    async def publish_all(self) -> None:
        """Show the time that is left, which passes without any news."""
        now, away = self._context.clock(), self._fal.unavailable
        for number, under_way in enumerate(list(self._running.values()), 1):
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
            # What has been painted meanwhile may be shown already.
            if self._running.get(under_way.job.id) is under_way:
                self._context.publish(under_way.job, ProviderUnavailable() if away else under_way.progress(now))

    def progress(self, job_id: str) -> Progress | None:
        """What fal said last; None when it does not have the job."""
        under_way = self._running.get(job_id)
        return None if under_way is None else under_way.progress(self._context.clock())

    def has_begun(self, job_id: str) -> bool:
        """Whether fal is known to be painting it."""
        under_way = self._running.get(job_id)
        return under_way is not None and under_way.started_at is not None

    def at_fal(self, job: Job | None = None) -> ProviderLoad:
        """What this process sees at fal, with the usual time of `job`'s model where there is nothing."""
        seen = list(self._running.values())
        painting = sum(one.started_at is not None for one in seen)
        usual = [one.expected_s for one in seen]
        if not usual:
            model = self._context.model_of(job.request.endpoint) if job is not None else None
            usual = [self.expected_s(model, 1) if model is not None else USUAL_S]
        return ProviderLoad(painting, len(seen) - painting, sum(usual) / len(usual))

    # ------------------------------------------------------------------ how long it takes

    async def recall(self) -> None:
        """What earlier processes learned."""
        self._durations = dict(await self._context.retry_store(self._context.store.durations.medians))

    def expected_s(self, model: Model, images: int) -> float:
        """Seconds from submit to finished, learned from past jobs of this model."""
        known = self._durations.get(model.endpoint)
        return known if known is not None else model.typical_s * (1 + 0.3 * (max(images, 1) - 1))

    def _learn(self, model: Model, under_way: _UnderWay) -> None:
        """Remember how long this model takes; written down with the next tick."""
        if under_way.started_at is None:
            return
        took_s = (self._context.clock() - under_way.started_at).total_seconds()
        known_s = self._durations.get(model.endpoint, took_s)
        self._durations[model.endpoint] = known_s + (took_s - known_s) * LEARNING_RATE
        self._fresh_durations.append((model.endpoint, took_s))

    async def write_durations(self) -> None:
        """What was learned since the last time."""
        fresh, self._fresh_durations = self._fresh_durations[-DURATIONS_A_TICK:], []
        for endpoint, took_s in fresh:
            await self._context.store.durations.record(endpoint, took_s)


@dataclass(slots=True)
class _UnderWay:
    """A job that fal has, as last seen."""

    job: Job
    expected_s: float
    started_at: datetime | None = None
    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    waiting: ProviderQueued | None = None
    #: fal has called back about this request.
    called_back: bool = False
    _listening: asyncio.Future[None] | None = None

    def call_back(self) -> None:
        """One has come."""
        self.called_back = True
        if self._listening is not None and not self._listening.done():
            self._listening.set_result(None)

    async def listen(self, seconds: float) -> None:
        """Wait until it has, for so long."""
        self._listening = asyncio.get_running_loop().create_future()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._listening
        finally:
            self._listening = None

    def progress(self, now: datetime) -> Progress:
        """The state as an event."""
        return (self.waiting or ProviderQueued(None)) if self.started_at is None else self.painting(now)

    def painting(self, now: datetime) -> InProgress:
        """The state as an event, with the time left by the clock and by the logs."""
        spent_s = (now - self.started_at).total_seconds() if self.started_at else 0.0
        left_s = self.expected_s - spent_s
        if self.fraction:
            left_s = spent_s / self.fraction - spent_s
        return InProgress(self.fraction, self.step, self.steps, left_s if left_s > 0.5 else None)
