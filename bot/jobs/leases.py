"""Holding on to this process's jobs, and taking over those that nobody holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from bot import metrics
from bot.domain.job import TERMINAL, Job
from bot.errors import EaselError
from bot.jobs.context import RunnerContext, now_s

log = logging.getLogger(__name__)

#: How long a process that hangs or dies keeps its jobs from others that share the database. They look every third of
#: it, so that all it held is taken up again after at most 16 s.
LEASE_S = 12.0
#: Jobs taken over from another process in one go.
ADOPTED_AT_ONCE = 100


class Leases:
    """This process's, in the store.

    Args:
        take_up: begins work on a job that was taken over.
    """

    def __init__(self, context: RunnerContext, lease_s: float, take_up: Callable[[Job], None]) -> None:
        self._context = context
        self._lease_s = lease_s
        self._resume = take_up
        #: Until when nobody can have taken our jobs over (time of the loop).
        self._held_until_s = float("inf")
        #: Leased to us, but nobody here worked on them when last looked at.
        self._idle: frozenset[str] = frozenset()
        #: Taken over from another process; work on them is about to begin.
        self._taken_over: set[str] = set()

    @property
    def left_s(self) -> float:
        """For how long nobody else can take our jobs over; endless where nobody shares the database."""
        return max(self._held_until_s - now_s(), 0.0)

    async def adopt(self, orphans: Collection[str] = ()) -> int:
        """Take over what no living process cares for, all of it before work on it begins; how many."""
        adopted: list[Job] = []
        store = self._context.store
        while jobs := await self._context.retry_store(
            partial(store.leases.adopt, lease_s=self._lease_s, limit=ADOPTED_AT_ONCE, orphans=orphans)
        ):
            orphans = ()
            adopted += jobs
            self._taken_over.update(job.id for job in jobs)
        for number, job in enumerate(adopted, 1):
            self._taken_over.discard(job.id)
            self._resume(job)
            if number % ADOPTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return len(adopted)

    async def renew_forever(self) -> None:
        """Hold on to our jobs; stop working on one that another process has taken over."""
        pause_s = self._lease_s / 3
        if self._context.store.shared:
            self._held_until_s = now_s() + self._lease_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._renew()
            except EaselError:
                log.exception("leases not kept")
                pause_s = min(1.0, self._lease_s / 3)  # they may have run out when the database is back
            else:
                pause_s = self._lease_s / 3

    async def _renew(self) -> None:
        context = self._context
        before, began_s = set(context.tasks), now_s()
        held = await context.store.leases.keep(self._lease_s)
        if context.store.shared:
            self._held_until_s = began_s + self._lease_s
        for job_id in before - held:
            await self._drop_if_lost(job_id)
        # Twice in a row: a claim whose answer is just on its way is no orphan.
        idle = held - context.tasks.keys() - self._taken_over
        orphans, self._idle = idle & self._idle, idle
        if orphans or context.store.shared:
            await self.adopt(orphans)
        if context.store.shared:
            context.recheck_queue = True
            context.wake.set()

    async def _drop_if_lost(self, job_id: str) -> None:
        """Not held any more: it ended meanwhile, or another process thought us dead."""
        job = await self._context.store.jobs.get(job_id)
        life = self._context.tasks.get(job_id)
        if life is None or job is None or job.state in TERMINAL:
            return
        if job_id not in await self._context.store.leases.keep(self._lease_s):
            log.warning("another process took this job over", extra={"job": job_id})
            metrics.LEASES_LOST.inc()
            self._context.delivery.forget(job_id)
            life.cancel()
