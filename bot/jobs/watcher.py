"""Follow jobs at fal: by webhook callbacks where they arrive, else by polling their status."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing, suppress

from bot.catalogue.model import Model
from bot.domain.events import Progress, ProviderQueued, ProviderUnavailable
from bot.domain.job import FalRequest, Job
from bot.domain.ports import ImageBackend
from bot.domain.provider import CompletedStatus, InQueueStatus, Status
from bot.errors import EaselError, GenerationTimedOut
from bot.jobs.context import RunnerContext
from bot.jobs.log_progress import read_progress
from bot.jobs.model_durations import USUAL_S, ModelDurations
from bot.jobs.provider_state import ProviderState
from bot.jobs.queue_status import ProviderLoad
from bot.jobs.reconcile import Reconciler
from bot.jobs.webhook_monitor import WebhookMonitor


class Watcher:
    """Follows this process's jobs at fal until they are done.

    Args:
        calls_back: whether fal is asked to call back.
    """

    def __init__(
        self,
        context: RunnerContext,
        fal: ImageBackend,
        reconciler: Reconciler,
        durations: ModelDurations,
        *,
        calls_back: bool,
    ) -> None:
        self._context = context
        self._active = context.active
        self._timings = context.timings
        self._fal = fal
        self._reconciler = reconciler
        self._durations = durations
        self._calls_back = calls_back
        self._webhooks = WebhookMonitor(context.active, context.timings)

    def close(self) -> None:
        """Stop waiting for missed callbacks."""
        self._webhooks.close()

    # ------------------------------------------------------------------ one job

    async def watch(self, job: Job) -> None:
        """Return when fal is done with the job. The caller must call `forget` after that.

        Raises:
            GenerationTimedOut: the job took longer than `job_timeout_s`; it was cancelled at fal.
        """
        if job.fal_request is None:
            raise RuntimeError("a running job has a request")
        model = self._context.model(job)
        state = self._begin(job, job.fal_request, model)
        ended = False
        try:
            async with asyncio.timeout(self._time_left_s(job)):
                if not await self._called_back(state, model):
                    await self._follow_status(state, job.fal_request)
                ended = True
        except TimeoutError:
            with suppress(EaselError):
                await self._fal.cancel(job.fal_request)
            raise GenerationTimedOut(told_by_fal=False) from None
        finally:
            self._webhooks.probed(job.id, ended_unheard=ended and not state.called_back)
        self._durations.learn(model, job.request, state.started_at)

    def _begin(self, job: Job, request: FalRequest, model: Model) -> ProviderState:
        state = ProviderState(job, self._durations.expected_s(model, job.request))
        self._active.open(job.id).at_provider = state
        if self._reconciler.webhook_request(job.id, job.attempts) == request.request_id:
            state.call_back()  # the callback came before the answer to the submit
        return state

    def _time_left_s(self, job: Job) -> float:
        left_s = self._context.settings.job_timeout_s - self._context.age_s(job)
        return max(left_s, self._timings.least_watch_s)

    async def _called_back(self, state: ProviderState, model: Model) -> bool:
        """Wait for fal's callback; False when the job must be polled, because none is to be expected or it is overdue.

        A callback is only a hint: the result is read from fal in any case.
        """
        job = state.job
        if not self._calls_back or self._active.open(job.id).poll_first:
            return False
        state.started_at = self._context.clock()
        began_s = self._context.now_s()
        while not state.called_back:
            usual_s = self._durations.expected_s(model, job.request)
            patience_s = max(self._timings.callback_patience * usual_s, self._timings.least_callback_wait_s)
            left_s = began_s + patience_s - self._context.now_s()
            if left_s <= 0:
                if self._webhooks.may_probe(job.id):
                    return False
                left_s = self._timings.probe_again_s * random.uniform(0.8, 1.2)
            await state.callback_within(left_s)
        return True

    async def _follow_status(self, state: ProviderState, request: FalRequest) -> None:
        job = state.job
        age_s = self._context.age_s(job) if self._active.open(job.id).poll_first else None
        async with aclosing(self._fal.watch(request, expected_s=state.expected_s, age_s=age_s)) as statuses:
            async for status in statuses:
                if isinstance(status, CompletedStatus):
                    return
                self._note(state, status)

    def _note(self, state: ProviderState, status: Status) -> None:
        """Record one status and publish it."""
        if isinstance(status, CompletedStatus):
            return
        if isinstance(status, InQueueStatus):
            state.queued = ProviderQueued(status.position)
            self._context.publish(state.job, state.queued)
            return
        if state.started_at is None:
            state.started_at = self._context.clock()
        state.note_logged(read_progress(status.lines))
        self._context.publish(state.job, state.in_progress(self._context.clock()))

    def forget(self, job_id: str) -> None:
        """Drop the state of a job that is no longer at fal."""
        active = self._active.get(job_id)
        if active is not None:
            active.at_provider = None

    def on_webhook(self, job_id: str, request_id: str) -> bool:
        """Record a callback. False when the job is not watched here, so that the caller must keep the callback."""
        self._webhooks.received(job_id)
        state = self._state(job_id)
        if state is None:
            return False
        fal_request = state.job.fal_request
        if fal_request is not None and fal_request.request_id == request_id:
            state.call_back()
        return True

    # ------------------------------------------------------------------ the state of jobs at fal

    def _state(self, job_id: str) -> ProviderState | None:
        active = self._active.get(job_id)
        return active.at_provider if active is not None else None

    async def publish_all(self) -> None:
        """Publish the remaining time of all jobs at fal, which changes without any new status."""
        now, away = self._context.clock(), self._fal.unavailable
        for number, active in enumerate(list(self._active.at_provider.values()), 1):
            if number % self._timings.published_at_once == 0:
                await asyncio.sleep(0)
            state = active.at_provider  # None: the job has ended meanwhile, and its final message may be shown
            if state is not None:
                self._context.publish(state.job, ProviderUnavailable() if away else state.progress(now))

    def progress(self, job_id: str) -> Progress | None:
        """The last progress of a job at fal; None when it is not watched here."""
        state = self._state(job_id)
        return None if state is None else state.progress(self._context.clock())

    def has_begun(self, job_id: str) -> bool:
        """Whether fal has started the job."""
        state = self._state(job_id)
        return state is not None and state.started_at is not None

    def load(self, job: Job | None = None) -> ProviderLoad:
        """Count this process's jobs at fal and average their expected durations.

        Args:
            job: gives the duration by its model where no job is at fal.
        """
        states = [active.at_provider for active in self._active.at_provider.values() if active.at_provider is not None]
        in_progress = sum(state.started_at is not None for state in states)
        usual = [state.expected_s for state in states]
        if not usual:
            model = self._context.model_of(job.request.endpoint) if job is not None else None
            usual = [self._durations.expected_s(model) if model is not None else USUAL_S]
        return ProviderLoad(in_progress, len(states) - in_progress, sum(usual) / len(usual))
