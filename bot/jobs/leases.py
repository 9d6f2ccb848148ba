"""Leases: renew those on this process's jobs, and adopt jobs whose lease has expired."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from bot import metrics
from bot.domain.job import TERMINAL, Job
from bot.errors import EaselError
from bot.jobs.context import RunnerContext

log = logging.getLogger(__name__)


class Leases:
    """The leases that this process holds in the store.

    Args:
        resume: starts the task of an adopted job.
    """

    def __init__(self, context: RunnerContext, resume: Callable[[Job], None]) -> None:
        self._context = context
        self._lease_s = context.timings.lease_s
        self._resume = resume
        #: Jobs that were leased to this process at the last renewal although no task here worked on them.
        self._idle: frozenset[str] = frozenset()

    @property
    def left_s(self) -> float:
        """Seconds until another process may adopt our jobs; infinite where the database is not shared."""
        return max(self._context.leased_until_s - self._context.now_s(), 0.0)

    async def adopt(self, orphans: Collection[str] = ()) -> int:
        """Adopt every job without a valid lease, then start work on them. Return how many.

        Args:
            orphans: jobs leased to this process that no task here works on; they are adopted as well.
        """
        adopted: list[Job] = []
        context, at_once = self._context, self._context.timings.adopted_at_once
        adopt_some = context.store.leases.adopt
        while not context.stopping.is_set() and (
            jobs := await context.retry_store(
                partial(adopt_some, lease_s=self._lease_s, limit=at_once, orphans=orphans)
            )
        ):
            orphans = ()
            adopted += jobs
            for job in jobs:
                context.active.open(job.id).adopting = True
        for number, job in enumerate(adopted, 1):
            self._resume(job)
            context.active.open(job.id).adopting = False
            if number % at_once == 0:
                await asyncio.sleep(0)
        return len(adopted)

    async def renew_forever(self) -> None:
        """Renew our leases every third of their duration; stop work on jobs that another process has adopted."""
        pause_s = self._lease_s / 3
        if self._context.store.shared:
            self._context.leased_until_s = self._context.now_s() + self._lease_s
        while True:
            await self._context.sleep(pause_s)
            try:
                await self._renew()
            except EaselError:
                log.exception("leases not kept")
                pause_s = min(1.0, self._lease_s / 3)  # retry soon: they expire while the database is unavailable
            else:
                pause_s = self._lease_s / 3

    async def _renew(self) -> None:
        context = self._context
        before, began_s = set(context.active.working), context.now_s()
        held = await context.store.leases.keep(self._lease_s)
        if context.store.shared:
            context.leased_until_s = began_s + self._lease_s
        for job_id in before - held:
            await self._drop_if_lost(job_id)
        # Only jobs idle at two renewals in a row are orphans: a claim may just be committed, its task not started yet.
        idle = frozenset(job_id for job_id in held if not self._is_in_hand(job_id))
        orphans, self._idle = idle & self._idle, idle
        if orphans or context.store.shared:
            await self.adopt(orphans)
        if context.store.shared:
            context.recheck_queue = True
            context.wake.set()

    def _is_in_hand(self, job_id: str) -> bool:
        active = self._context.active.get(job_id)
        return active is not None and (active.task is not None or active.adopting)

    async def _drop_if_lost(self, job_id: str) -> None:
        """Cancel the task of a job that another process has adopted; do nothing if the job has merely ended."""
        job = await self._context.store.jobs.get(job_id)
        active = self._context.active.get(job_id)
        if active is None or active.task is None or job is None or job.state in TERMINAL:
            return
        if job_id not in await self._context.store.leases.keep(self._lease_s):
            log.warning("another process took this job over", extra={"job": job_id})
            metrics.LEASES_LOST.inc()
            self._context.delivery.forget(job_id)  # at once, so that this process edits its message no more
            if active.task is not None:  # it may have ended while the store was asked
                active.task.cancel()
