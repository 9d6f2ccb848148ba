"""Claim queued jobs: how many this process takes, and when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bot.domain.job import Job
from bot.errors import EaselError
from bot.jobs.context import RunnerContext
from bot.jobs.initial_response import InitialResponses
from bot.jobs.queue_positions import QueuePositions

log = logging.getLogger(__name__)


class Claimer:
    """Claims queued jobs, as many as there is room for, in the store's fair order.

    Args:
        start: starts the task of a claimed job.
    """

    def __init__(
        self,
        context: RunnerContext,
        positions: QueuePositions,
        responses: InitialResponses,
        start: Callable[[Job], None],
    ) -> None:
        self._context = context
        self._positions = positions
        self._responses = responses
        self._start = start
        #: Held during a claim; a stop acquires it to be sure that claimed jobs are registered.
        self.claiming = asyncio.Lock()

    async def run(self) -> None:
        """Claim whenever there is room and a job is queued, until the runner stops."""
        while not self._context.stopping.is_set():
            self._context.wake.clear()
            try:
                claimed = await self._claim_some()
            except EaselError:
                log.exception("claim failed")
                await self._context.sleep(self._context.timings.claim_again_s)
                continue
            if not claimed:
                await self._context.wake.wait()

    async def _claim_some(self) -> bool:
        """Claim the next queued jobs; False when there is no room, or nothing was claimed."""
        room = self._room()
        if room <= 0 or not (len(self._positions) or self._context.recheck_queue):
            return False
        await self._make_room()
        async with self.claiming:
            if self._context.stopping.is_set():
                return False
            claimed = await self._claim(room)
        if not claimed:
            await self._positions.reload_if_due()
        return bool(claimed)

    def _room(self) -> int:
        """How many jobs may be claimed now.

        Nothing while more than half of `claimed_ahead` are unsent: one claim for each submit would cost too many
        transactions.
        """
        context, timings = self._context, self._context.timings
        limit, ahead = context.settings.max_in_flight, timings.claimed_ahead
        preparing = len(context.active.preparing.keys() & context.active.unsent.keys())
        unsent = len(context.active.unsent) - min(preparing, timings.most_preparing)
        room = ahead - unsent if 2 * unsent <= ahead else 0
        if context.credit.active:
            room = min(room, 1 if context.credit.due else 0)
        return room if limit == 0 else min(room, limit - len(context.active.in_flight))

    async def _claim(self, room: int) -> list[Job]:
        """Claim up to `room` jobs and start them."""
        context, settings = self._context, self._context.settings
        context.recheck_queue = False
        try:
            claimed = await context.store.jobs.claim(
                room,
                lease_s=context.timings.lease_s,
                in_flight=settings.max_in_flight if context.store.shared else 0,
                guild_in_flight=settings.guild_jobs_in_flight,
                user_in_flight=settings.user_jobs_in_flight,
            )
        except EaselError:
            context.recheck_queue = True  # the claim that it asked for has failed
            raise
        for job in claimed:
            context.credit.probe(job.id)
            self._positions.claimed(job)
            context.active.open(job.id).unsent = job  # set here: a stop may cancel the task before it has begun
            self._start(job)
        return claimed

    async def _make_room(self) -> None:
        """Wait under backpressure of initial responses, which are due within three seconds; half a second at most."""
        for _ in range(self._context.timings.backpressure_pauses):
            if not self._responses.backpressure or self._context.stopping.is_set():
                return
            await self._context.sleep(self._context.timings.backpressure_pause_s)
