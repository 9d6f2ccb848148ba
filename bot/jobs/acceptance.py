"""Accept a request as a job, in one transaction; the job starts once its initial response was sent."""

from __future__ import annotations

import logging
from datetime import timedelta

from bot import metrics
from bot.domain.alerts import SCOPES
from bot.domain.job import Actor, Failure, JobState, NewJob
from bot.domain.money import usd_of
from bot.domain.settlement import FREE
from bot.errors import Overloaded, StoreUnusable
from bot.jobs.context import RunnerContext
from bot.jobs.initial_response import UNANSWERED, InitialResponses
from bot.jobs.queue_positions import QueuePositions
from bot.jobs.watcher import Watcher
from bot.limits import Policy, Refused
from bot.store import Accepted, Duplicate

log = logging.getLogger(__name__)


class Acceptance:
    """Accepts the requests of the commands, and cancels jobs whose initial response failed."""

    def __init__(
        self,
        context: RunnerContext,
        positions: QueuePositions,
        responses: InitialResponses,
        watcher: Watcher,
        *,
        max_waiting: int,
    ) -> None:
        self._context = context
        self._positions = positions
        self._responses = responses
        self._watcher = watcher
        self._max_waiting = max_waiting

    async def accept(self, new: NewJob, policy: Policy) -> Accepted | Refused | Duplicate:
        """See `Runner.accept`."""
        context, accepted = self._context, False
        self._responses.begin(new.id)
        try:
            outcome = await context.store.jobs.accept(
                new, policy, max_waiting=self._max_waiting, within_s=context.timings.accept_within_s
            )
            if isinstance(outcome, Accepted):
                accepted = True
                self._positions.accepted(outcome.job)
        except Overloaded as error:
            metrics.JOBS_REFUSED.labels(error.code).inc()
            raise self._overloaded(error) from None
        except StoreUnusable:
            self._doubt(new.id)
            raise
        finally:
            if not accepted:
                self._responses.end(new.id)
        if isinstance(outcome, Accepted):
            metrics.JOBS_ACCEPTED.inc()
            metrics.RESERVED_USD.inc(float(usd_of(outcome.allowed.usd_micros)))
            context.wake.set()
        elif isinstance(outcome, Refused):
            metrics.JOBS_REFUSED.labels(outcome.rule).inc()
            self._note_refusal(outcome.rule, new.actor)
        return outcome

    def _note_refusal(self, rule: str, actor: Actor) -> None:
        """Remember a budget that had no room left, for the alerts."""
        scope = SCOPES.get(rule)
        if scope is not None:
            is_servers = scope in {"g", "m"}
            self._context.budget_refusals.add((scope, (actor.guild_id or 0) if is_servers else 0))

    def _overloaded(self, error: Overloaded) -> Overloaded:
        """The error with a retry time: when a tenth of the queue is expected to be gone."""
        context, timings = self._context, self._context.timings
        wait_s = error.waiting / 10 * self._watcher.load().typical_s / (context.settings.max_in_flight or error.waiting)
        retry_at = context.clock() + timedelta(seconds=min(max(wait_s, timings.least_retry_s), timings.most_retry_s))
        return Overloaded(error.waiting, left_today=error.left_today, retry_at=retry_at)

    # ------------------------------------------------------------------ initial responses

    async def answered(self, job_id: str, message_id: int | None) -> None:
        """See `Runner.answered`."""
        context, active = self._context, self._context.active.open(job_id)
        active.message_id = message_id  # stored with the next transition, or below if the job is still queued
        elsewhere = context.store.shared and active.task is None
        write_now = message_id is not None and (elsewhere or active.queued is not None)
        self._responses.end(job_id)
        if write_now:
            try:
                await context.store.jobs.annotate(job_id, message_id=message_id)
            except StoreUnusable as error:  # the job goes on; the id is stored with its next transition
                log.warning(
                    "the initial response is not on record yet", extra={"job": job_id, "reason": error.sentence}
                )
        context.active.release(job_id)

    async def unanswered(self, job_id: str) -> None:
        """See `Runner.unanswered`."""
        context = self._context
        # Set before the write, so that a submit that starts meanwhile finds it.
        context.active.open(job_id).cancel_requested = True
        try:
            job = await context.retry_store(
                lambda: context.store.jobs.annotate(job_id, cancel_requested=True, notified=True)
            )
            if job is not None and job.state is JobState.QUEUED:
                await context.end(job, JobState.CANCELLED, Failure("cancelled", UNANSWERED), FREE)
            self._positions.left(job_id)
        finally:
            self._responses.end(job_id)
            context.active.release(job_id)

    # ------------------------------------------------------------------ acceptances with an unknown outcome

    def _doubt(self, job_id: str) -> None:
        """Schedule a look-up of a failed acceptance: its COMMIT may have succeeded, though the person was told not."""
        active = self._context.active.open(job_id)
        active.cancel_requested = True
        active.doubtful_until_s = self._context.now_s() + self._context.timings.doubtful_s

    async def settle_doubts(self) -> None:
        """Look up the failed acceptances that are due, at most `doubtful_a_tick`, and cancel the jobs that exist.

        Raises:
            StoreUnusable: the database is still unavailable.
        """
        context = self._context
        few = list(context.active.doubtful.values())[: context.timings.doubtful_a_tick]
        for active in few:
            if active.doubtful_until_s is None or context.now_s() < active.doubtful_until_s:
                return
            if await context.store.jobs.get(active.id) is not None:
                log.warning("a request that was refused is on record; it ends", extra={"job": active.id})
                await self.unanswered(active.id)
            active.doubtful_until_s = None
            context.active.release(active.id)
