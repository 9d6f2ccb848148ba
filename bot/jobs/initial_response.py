"""Initial responses to interactions: nothing is spent before the person has seen that their job was taken."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice

from bot.domain.job import Job
from bot.jobs.active_jobs import InitialResponse
from bot.jobs.context import RunnerContext
from bot.jobs.queue_positions import QueuePositions
from bot.phrase import phrase
from bot.retry import repeat_last

#: Why such a job is cancelled; nobody but the record sees it.
UNANSWERED = phrase("cancelled_unshown")


class InitialResponses:
    """Tracks jobs whose initial response has not been sent yet, here or in another process."""

    def __init__(self, context: RunnerContext, positions: QueuePositions) -> None:
        self._context = context
        self._positions = positions

    def begin(self, job_id: str) -> None:
        """A job is about to be accepted, and its person to be answered."""
        self._context.active.open(job_id).response = InitialResponse(self._context.now_s())

    def end(self, job_id: str) -> None:
        """The person sees it, or never will; the job need not wait any longer."""
        active = self._context.active.get(job_id)
        if active is not None and active.response is not None:
            active.response.set()
            active.response = None
            self._context.active.release(job_id)

    @property
    def backpressure(self) -> bool:
        """Whether so many are under way that everything else had better wait."""
        timings, responding = self._context.timings, self._context.active.responding
        if len(responding) <= timings.backpressure_from:
            return False
        active = next(islice(reversed(responding.values()), timings.backpressure_from, None))
        since_s = active.response.since_s if active.response is not None else float("-inf")
        return self._context.now_s() - since_s < timings.backpressure_window_s

    async def was_sent(self, job: Job, *, left_over: bool) -> bool:
        """Wait for it; False when it will never be.

        Args:
            left_over: an earlier process has begun with the job.
        """
        active = self._context.active.open(job.id)
        if active.response is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._context.timings.response_wait_s):
                    await active.response.wait()
            return True
        if job.reply.message_id is not None or active.message_id is not None:
            return True
        if left_over:  # it may have waited for a response that never went out
            return await self._context.delivery.was_answered(job) is not False
        here = not self._context.store.shared or self._positions.accepted_here(job.id)
        return here or await self._was_sent_elsewhere(job)

    async def _was_sent_elsewhere(self, job: Job) -> bool:
        """False when the process that accepted it died before its response; a cancel meanwhile is noted."""
        context, timings = self._context, self._context.timings
        until_s = context.now_s() + timings.response_elsewhere_s
        async for _ in context.attempts(repeat_last(timings.response_looks_s)):
            now = await context.retry_store(lambda: context.store.jobs.get(job.id))
            if now is not None and now.cancel_requested:
                context.active.open(job.id).cancel_requested = True
            if now is None or now.cancel_requested or now.reply.message_id is not None:
                return True
            if context.now_s() > until_s:
                break
        return await context.delivery.was_answered(job) is not False
