"""What counts at its worst because fal may have taken a request that it answered with a 5xx: settled once fal tells.

fal's list has only what has started, and a request that has not started by `fal.start_timeout_s` never does. So from
`fal.reconcile_s` after the last submission on, a list without the request shows that there is none. The person was
told of the end long before; only the money waits.

Also what fal took after somebody else had ended the job, because this process hung in the middle of its POST: it is
stopped, and its bill counts beside what was settled (`Doubts.came_late`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from bot.domain.job import TERMINAL, FalRequest, Job, JobState
from bot.domain.ports import ImageBackend
from bot.errors import EaselError
from bot.jobs.billing import Billing
from bot.jobs.context import RunnerContext, is_listed
from bot.jobs.doubles import Doubles, Found
from bot.store.doubts import Doubt

log = logging.getLogger(__name__)


class Doubts:
    """Settles the doubts of jobs that have ended, of whatever process."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, doubles: Doubles, billing: Billing) -> None:
        self._context = context
        self._fal = fal
        self._doubles = doubles
        self._billing = billing

    async def settle_forever(self) -> None:
        """Look at what is due, every few seconds."""
        while True:
            await self._context.sleep(self._context.timings.doubts_poll_s)
            try:
                await self.settle_due()
            except EaselError:
                log.exception("what is in doubt is not settled")

    async def settle_due(self) -> None:
        """Settle every doubt of which fal's list tells by now; those of one model share its reading."""
        store = self._context.store
        due = await store.doubts.due(self._context.clock(), self._context.timings.doubts_at_once)
        ended = await asyncio.gather(*(self._settle(doubt) for doubt in due), return_exceptions=True)
        for doubt, error in zip(due, ended, strict=True):
            # One that the stop of this process has cancelled is left to the next one.
            if isinstance(error, Exception):
                log.error("a doubt is not settled", extra={"job": doubt.job_id}, exc_info=error)

    async def _settle(self, doubt: Doubt) -> None:
        job = await self._context.store.jobs.get(doubt.job_id)
        found = None if job is None else await self._find(job)
        if found is not None and job is not None:
            told = replace(doubt, request_ids=found.request_ids)
            if await self._context.store.doubts.settle(told, found.others):
                await self._show(job)
            return
        again_at = self._context.clock() + timedelta(seconds=self._context.timings.doubts_again_s)
        given_up = job is None or again_at > doubt.ended_at + self._context.timings.doubts_patience
        await self._context.store.doubts.postpone(doubt, None if given_up else again_at)

    async def _find(self, job: Job) -> Found | None:
        """What fal has of it beside the request on record: earlier ones, and the last one if that is not known."""
        return await self._doubles.find(job, most=job.possible_doubles + int(job.fal_request is None))

    async def called_back(self, job_id: str, request_id: str) -> None:
        """Settle one doubt of a job by fal's callback about a request, where its list does not tell."""
        context = self._context
        try:
            job = await context.store.jobs.get(job_id)
            if job is None or job.state not in TERMINAL or is_listed(context, job):
                return
            own = job.fal_request.request_id if job.fal_request is not None else None
            if request_id == own or self._doubles.is_remembered(request_id):  # fal calls until it is answered
                return
            doubt = await context.store.doubts.of(job_id)
            if doubt is None:
                return
            self._doubles.remember(job, [request_id])
            found = await self._doubles.told(job, [request_id])
            if await context.store.doubts.settle(replace(doubt, request_ids=found.request_ids), found.others, one=True):
                await self._show(job)
        except (EaselError, ValueError) as error:
            log.warning("a callback about an ended job is lost", extra={"job": job_id, "reason": str(error)})

    async def came_late(self, job: Job, request: FalRequest) -> None:
        """Settle what fal took after the job had moved elsewhere, where the end of the job can't have seen it.

        That is so when this process hung in the middle of its POST until others had ended the job.
        """
        context = self._context
        try:
            row = await context.store.jobs.get(job.id)
            if row is not None and row.state not in TERMINAL:
                return  # whoever ends it looks for doubles
            if await context.store.jobs.known_requests([request.request_id]):
                return  # it was found before its answer came
            with suppress(EaselError):
                await self._fal.cancel(request)
            billed = await self._billing.after_cancel(replace(job, fal_request=request))
            if not await context.store.doubts.add(job.id, billed.usd_micros, estimated=billed.estimated):
                return
            log.warning("fal took a request of a job that had ended", extra={"job": job.id})
            if row is not None:
                await self._show(row)
        except EaselError as error:
            log.warning("what came late is not settled", extra={"job": job.id, "reason": error.code})

    async def _show(self, job: Job) -> None:
        """Say on the card of a job without pictures what counts now."""
        if job.state is JobState.DELIVERED or not job.notified:
            return
        settled = await self._context.store.jobs.get(job.id)
        if settled is not None:
            with suppress(EaselError):
                await self._context.delivery.repair_message(settled, None)
