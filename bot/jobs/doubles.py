"""Other submissions of a job than the one on record: whether fal has them after all, and what it billed for them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from bot.domain.job import Job
from bot.domain.ports import ImageBackend
from bot.domain.provider import FoundRequest
from bot.domain.request import Json
from bot.domain.settlement import Others
from bot.errors import EaselError
from bot.jobs.billing import Billing
from bot.jobs.context import RunnerContext, is_listed
from bot.jobs.reconcile import EqualSubmits, Reconciler
from bot.jobs.request_match import matches
from bot.jobs.sent_arguments import identifying_arguments

log = logging.getLogger(__name__)

#: Requests whose jobs are remembered, so that no other job with equal arguments counts them too.
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What fal has of a job beside the request on record."""

    request_ids: tuple[str, ...]
    others: Others


class Doubles:
    """Looks for the doubles of a job when it ends, stops those under way, and asks what fal billed for them."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, billing: Billing, reconciler: Reconciler) -> None:
        self._context = context
        self._fal = fal
        self._billing = billing
        self._reconciler = reconciler
        #: The job of each request that was found, oldest first.
        self._job_of: OrderedDict[str, str] = OrderedDict()

    async def billed(self, job: Job) -> Others | None:
        """What fal billed for earlier requests of a job; None where it was sent once, or fal's list can't tell."""
        if not job.possible_doubles:
            return None
        found = await self.find(job, most=job.possible_doubles)
        return None if found is None else found.others

    async def find(self, job: Job, *, most: int) -> Found | None:
        """What fal has of a job beside the request on record; None where its list can't be read in full, or can't tell.

        Args:
            most: how many requests of it there may be.
        """
        model = self._context.model_of(job.request.endpoint)
        if model is None or not is_listed(self._context, job):
            return None
        request_ids = await self._find(job, identifying_arguments(model, job, self._context.settings), most)
        return None if request_ids is None else await self.told(job, request_ids)

    async def told(self, job: Job, request_ids: Collection[str]) -> Found:
        """What fal billed for these requests of a job; those under way are stopped."""
        others = Others(found=len(request_ids))
        for request_id in request_ids:
            log.warning("fal has another request of a job", extra={"job": job.id, "request": request_id})
            others = await self._add(others, job, request_id)
        return Found(tuple(request_ids), others)

    async def _find(self, job: Job, sent: Mapping[str, Json], most: int) -> Sequence[str] | None:
        """The requests like this job's that belong to no job; None where the list can't be read in full."""
        apart = self._context.timings.wrong_clock
        since, until = job.created_at - apart, self._context.clock() + apart
        listed: Sequence[FoundRequest] | None = None
        async for attempt in self._context.attempts(self._context.timings.doubles_pauses_s):
            try:
                listed = await self._fal.find_requests(job.request.endpoint, since=since, until=until)
                break
            except EaselError:
                if attempt.is_last:
                    return None
        if listed is None:
            return None
        own = job.fal_request.request_id if job.fal_request is not None else None
        fitting = [one.request_id for one in listed if one.request_id != own and matches(sent, one)]
        if not fitting:
            return ()
        try:
            await self._reconciler.wait_for_equal_submits(job.request.endpoint, sent)
        except EqualSubmits:
            return None
        taken = await self._context.retry_store(lambda: self._context.store.jobs.known_requests(fitting))
        taken |= {active.found_request_id for active in self._context.active.found.values() if active.found_request_id}
        free = [one for one in fitting if one not in taken and self._job_of.get(one, job.id) == job.id][:most]
        self.remember(job, free)
        return free

    def remember(self, job: Job, request_ids: Collection[str]) -> None:
        """Note that these requests are this job's."""
        self._job_of.update(dict.fromkeys(request_ids, job.id))
        while len(self._job_of) > _REMEMBERED:
            self._job_of.popitem(last=False)

    def is_remembered(self, request_id: str) -> bool:
        """Whether it was found before to be some job's."""
        return request_id in self._job_of

    async def _add(self, others: Others, job: Job, request_id: str) -> Others:
        request = self._fal.request_for(job.request.endpoint, request_id)
        with suppress(EaselError):
            await self._fal.cancel(request)
        settled = await self._billing.after_cancel(replace(job, fal_request=request))
        if settled.usd_micros is None:
            return replace(others, at_worst=others.at_worst + 1)
        estimated = others.estimated or settled.estimated
        return replace(others, usd_micros=others.usd_micros + settled.usd_micros, estimated=estimated)
