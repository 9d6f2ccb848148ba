"""Initial responses to interactions: no job is submitted before its person has seen that it was accepted."""

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

#: The failure phrase of a job that is cancelled because its initial response was never sent; stored, never shown.
UNANSWERED = phrase("cancelled_unshown")


class InitialResponses:
    """Tracks jobs whose initial response has not been sent yet, here or in another process."""

    def __init__(self, context: RunnerContext, positions: QueuePositions) -> None:
        self._context = context
        self._positions = positions

    def begin(self, job_id: str) -> None:
        """Record that a job is about to be accepted and its interaction to be responded to."""
        self._context.active.open(job_id).response = InitialResponse(self._context.now_s())

    def end(self, job_id: str) -> None:
        """Record that the initial response was sent or has failed; `was_sent` returns."""
        active = self._context.active.get(job_id)
        if active is not None and active.response is not None:
            active.response.set()
            active.response = None
            self._context.active.release(job_id)

    @property
    def backpressure(self) -> bool:
        """Whether so many initial responses are under way that other work should wait.

        True while more than `backpressure_from` of them have begun within the last `backpressure_window_s` seconds.
        """
        timings, responding = self._context.timings, self._context.active.responding
        if len(responding) <= timings.backpressure_from:
            return False
        active = next(islice(reversed(responding.values()), timings.backpressure_from, None))
        since_s = active.response.since_s if active.response is not None else float("-inf")
        return self._context.now_s() - since_s < timings.backpressure_window_s

    async def was_sent(self, job: Job, *, left_over: bool) -> bool:
        """Wait for the initial response of a job; False when it was never sent.

        Args:
            left_over: whether another process has claimed the job before, and may have died waiting.
        """
        active = self._context.active.open(job.id)
        if active.response is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._context.timings.response_wait_s):
                    await active.response.wait()
            return True
        if job.reply.message_id is not None or active.message_id is not None:
            return True
        if left_over:  # that process may have died before its response was sent
            return await self._context.delivery.was_answered(job) is not False
        here = not self._context.store.shared or self._positions.accepted_here(job.id)
        return here or await self._was_sent_elsewhere(job)

    async def _was_sent_elsewhere(self, job: Job) -> bool:
        """Wait for a response by the process that accepted the job; False when that died before it responded.

        Also returns True when the job was cancelled meanwhile, with `ActiveJob.cancel_requested` set.
        """
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
