"""First answers to interactions: nothing is spent before the person has seen that their job was taken."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from itertools import chain, islice, repeat

from bot.domain.job import Job
from bot.jobs.context import RunnerContext, now_s
from bot.jobs.queue_positions import QueuePositions

#: So many first answers under way make everything else wait, and for how long each may.
BACKPRESSURE_FROM = 12
BACKPRESSURE_WINDOW_S = 3.0
#: How long a job waits for the first answer to the interaction before it starts anyway.
ANSWER_WAIT_S = 900.0
#: How long after another process accepted a job its answer may still be on the way: Discord takes it for 3 s.
ANSWERED_WITHIN_S = 5.0
#: Pauses between looks whether that answer is on record; the last one repeats.
ANSWER_LOOKS_S = (0.02, 0.05, 0.1, 0.2, 0.4)
#: Why such a job is cancelled; nobody but the record sees it.
UNANSWERED = "The first answer did not reach Discord."


class InitialResponses:
    """Those under way in this process, and what became of all others."""

    def __init__(self, context: RunnerContext, places: QueuePositions) -> None:
        self._context = context
        self._positions = places
        self._under_way: dict[str, _Answer] = {}

    def begin(self, job_id: str) -> None:
        """A job is about to be accepted, and its person to be answered."""
        self._under_way[job_id] = _Answer()

    def end(self, job_id: str) -> None:
        """The person sees it, or never will; the job need not wait any longer."""
        answer = self._under_way.pop(job_id, None)
        if answer is not None:
            answer.set()

    @property
    def under_way(self) -> Collection[str]:
        """The jobs."""
        return self._under_way.keys()

    @property
    def backpressure(self) -> bool:
        """Whether so many are under way that everything else had better wait."""
        newest = next(islice(reversed(self._under_way.values()), BACKPRESSURE_FROM, None), None)
        return newest is not None and now_s() - newest.since_s < BACKPRESSURE_WINDOW_S

    async def was_sent(self, job: Job, *, left_over: bool) -> bool:
        """Wait for it; False when it will never be.

        Args:
            left_over: an earlier process has begun with the job.
        """
        answer = self._under_way.get(job.id)
        if answer is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_WAIT_S):
                    await answer.wait()
            return True
        if job.reply.message_id is not None or job.id in self._context.messages:
            return True
        if left_over:  # it may have waited for an answer that never went out
            return await self._context.delivery.was_answered(job) is not False
        here = not self._context.store.shared or self._positions.accepted_here(job.id)
        return here or await self._was_sent_elsewhere(job)

    async def _was_sent_elsewhere(self, job: Job) -> bool:
        """False when the process that accepted it has died before its answer; what is cancelled meanwhile is noted."""
        context, until_s = self._context, now_s() + ANSWERED_WITHIN_S
        for pause_s in chain(ANSWER_LOOKS_S, repeat(ANSWER_LOOKS_S[-1])):
            now = await context.retry_store(lambda: context.store.jobs.get(job.id))
            if now is not None and now.cancel_requested:
                context.cancel_requested.add(job.id)
            if now is None or now.cancel_requested or now.reply.message_id is not None:
                return True
            if now_s() > until_s:
                break
            await context.pause(pause_s)
        return await context.delivery.was_answered(job) is not False


class _Answer(asyncio.Event):
    """Set once the person has seen that their job was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.since_s = now_s()
