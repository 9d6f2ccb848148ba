"""Earlier submissions of a job that was sent again: whether fal has them after all, and what it billed for them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from bot.domain.job import Job
from bot.domain.ports import ImageBackend
from bot.domain.provider import FoundRequest
from bot.domain.request import Json
from bot.domain.settlement import Others
from bot.errors import EaselError
from bot.jobs.billing import Billing
from bot.jobs.context import RunnerContext
from bot.jobs.request_match import matches
from bot.jobs.sent_arguments import identifying_arguments

log = logging.getLogger(__name__)


class Doubles:
    """Looks for the doubles of a job when it ends, stops those under way, and asks what fal billed for them."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, billing: Billing) -> None:
        self._context = context
        self._fal = fal
        self._billing = billing

    async def billed(self, job: Job) -> Others | None:
        """What fal billed for the other requests of a job; None where it was sent once, or fal's list can't tell."""
        context, model = self._context, self._context.model_of(job.request.endpoint)
        listed = model is not None and model.store_payload and context.settings.store_payloads
        if not job.possible_doubles or model is None or not listed:
            return None
        found = await self._find(job, identifying_arguments(model, job, context.settings))
        if found is None:
            return None
        others = Others()
        for request_id in found:
            log.warning("a request was painted twice", extra={"job": job.id, "request": request_id})
            others = await self._add(others, job, request_id)
        return others

    async def _find(self, job: Job, sent: Mapping[str, Json]) -> Sequence[str] | None:
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
        taken = await self._context.retry_store(lambda: self._context.store.jobs.known_requests(fitting))
        taken |= {active.found_request_id for active in self._context.active.found.values() if active.found_request_id}
        return [request_id for request_id in fitting if request_id not in taken][: job.possible_doubles]

    async def _add(self, others: Others, job: Job, request_id: str) -> Others:
        request = self._fal.request_for(job.request.endpoint, request_id)
        with suppress(EaselError):
            await self._fal.cancel(request)
        settled = await self._billing.after_cancel(replace(job, fal_request=request))
        if settled.usd_micros is None:
            return replace(others, at_worst=others.at_worst + 1)
        estimated = others.estimated or settled.estimated
        return replace(others, usd_micros=others.usd_micros + settled.usd_micros, estimated=estimated)
