"""From a painting's end at fal to its post in the channel, a bounded number at a time."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable

from bot.catalogue.model import Model
from bot.domain.job import TERMINAL, Failure, Job, JobState, RemotePicture, Result
from bot.domain.ports import DeliverableImages, ImageBackend
from bot.errors import EaselError, ResultUnusable, ResultWithheld
from bot.jobs.adaptive_semaphore import AdaptiveSemaphore
from bot.jobs.context import RunnerContext
from bot.jobs.initial_response import UNANSWERED
from bot.media import fit, inspect
from bot.phrase import phrase

log = logging.getLogger(__name__)

#: The largest single picture fetched from fal.
MAX_PICTURE_BYTES = 64 * 1024 * 1024


class ResultDeliverer:
    """Brings the pictures."""

    def __init__(self, context: RunnerContext, fal: ImageBackend, *, backpressure: Callable[[], bool]) -> None:
        self._context = context
        self._fal = fal
        timings = context.timings
        self._in_hand = asyncio.Semaphore(timings.in_hand_at_once)
        few = timings.few_deliveries
        self._results = AdaptiveSemaphore(few, timings.most_results, backpressure=backpressure, timings=timings)
        self._deliveries = AdaptiveSemaphore(few, timings.most_deliveries, backpressure=backpressure, timings=timings)

    async def run(self, painted: Job) -> None:
        """From its end at fal to the post, once it is this job's turn."""
        if not await self._turn_within(self._context.timings.unread_s):
            # fal does not keep it for ever: on record until then, and out of memory.
            result = await self._result(painted)
            await self._context.tasks.shielded(self._context.transition(painted, JobState.FINISHED, result=result))
            job_id = painted.id
            del painted, result
            await self._in_hand.acquire()
            try:
                kept = await self._context.retry_store(lambda: self._context.store.jobs.get(job_id))
                if kept is not None and kept.state is JobState.FINISHED:
                    await self.deliver(kept, kept.result or Result(()))
            finally:
                self._in_hand.release()
            return
        try:
            await self.deliver(painted, await self._result(painted))
        finally:
            self._in_hand.release()

    async def _turn_within(self, seconds: float) -> bool:
        """Whether it was this job's turn within that time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._in_hand.acquire()
        except TimeoutError:
            return False

    async def _result(self, job: Job) -> Result:
        fal_request = job.fal_request
        if fal_request is None:
            raise RuntimeError("a running job has a request")
        async with self._results:
            return await self._context.retry_fal(
                job, lambda: self._fal.result(fal_request, model=self._context.model(job))
            )

    async def deliver(self, job: Job, result: Result) -> None:
        """Fetch the pictures while the result goes on record, fit them, post them, settle."""
        result = asked_for(job, result)
        recording: asyncio.Task[Job | None] | None = None
        if job.state is JobState.RUNNING:
            recording = self._context.tasks.spawn_critical(
                self._context.transition(job, JobState.FINISHED, result=result)
            )
        try:
            await self._context.wait_until_quiet(job.id)
            async with self._deliveries:
                ready = await self._fetch(job, result)
                finished = job if recording is None else await asyncio.shield(recording)
                if finished is not None and finished.notified:  # nobody waits for it: the initial response never came
                    await self._context.end(finished, JobState.CANCELLED, Failure("cancelled", UNANSWERED))
                elif finished is not None:
                    await self._context.tasks.shielded(self._deliver_and_record(finished, ready))
        finally:
            if recording is not None:
                await asyncio.shield(recording)

    async def _deliver_and_record(self, job: Job, ready: DeliverableImages) -> Job | None:
        message_id = await self._context.delivery.deliver(job, ready)
        return await self._context.transition(job, JobState.DELIVERED, message_id=message_id, notified=True)

    async def repair(self, job_id: str) -> None:
        """Show once more how a job ended that another process has, as soon as that one has shown it."""
        context, timings = self._context, self._context.timings
        until_s = context.now_s() + timings.repair_within_s
        try:
            job = await context.retry_store(lambda: context.store.jobs.get(job_id))
            while job is not None and not (job.state in TERMINAL and job.notified):
                if (
                    job_id in context.active.working or context.now_s() > until_s
                ):  # what is shown next comes after, or nothing does
                    return
                await context.pause(timings.repair_pause_s)
                job = await context.retry_store(lambda: context.store.jobs.get(job_id))
            if job is not None:
                ready = await self._fetch(job, job.result or Result(())) if job.state is JobState.DELIVERED else None
                await context.delivery.repair_message(job, ready)
        except EaselError as error:
            log.warning("a card could not be set right", extra={"job": job_id, "reason": error.code})

    async def _fetch(self, job: Job, result: Result) -> DeliverableImages:
        """Download what may be shown here.

        Raises:
            ResultWithheld: the safety checker flagged every picture and the channel is not age-restricted.
        """
        result = asked_for(job, result)
        if not result.pictures:
            raise ResultUnusable(phrase("no_picture_held"))
        flags = nsfw_flags(self._context.model(job), result)
        shown = [
            (remote, flagged)
            for remote, flagged in zip(result.pictures, flags, strict=True)
            if job.reply.age_restricted or not flagged
        ]
        if not shown:
            raise ResultWithheld(flagged=any(result.nsfw or ()))
        bodies = await asyncio.gather(*(self._download(job, remote) for remote, _ in shown))
        pictures = await fit([inspect(body) for body in bodies], file_limit_bytes=job.reply.upload_limit_bytes)
        spoilers = tuple(flagged for _, flagged in shown)
        return DeliverableImages(tuple(pictures), spoilers, withheld=len(flags) - len(shown))

    async def _download(self, job: Job, remote: RemotePicture) -> bytes:
        return await self._context.retry_fal(job, lambda: self._fal.download(remote, max_bytes=MAX_PICTURE_BYTES))


def asked_for(job: Job, result: Result) -> Result:
    """The result without pictures beyond those that were asked for: nobody fetches, posts or is charged for more."""
    most = job.request.images
    if len(result.pictures) <= most:
        return result
    log.warning("more pictures came than were asked for", extra={"job": job.id, "came": len(result.pictures)})
    nsfw = result.nsfw[:most] if result.nsfw is not None else None
    return dataclasses.replace(result, pictures=result.pictures[:most], nsfw=nsfw)


def nsfw_flags(model: Model, result: Result) -> tuple[bool, ...]:
    """One flag a picture: True when flagged, or when the model should have said and did not."""
    count = len(result.pictures)
    if not model.output.has_nsfw_concepts:
        return (False,) * count
    told = result.nsfw or ()
    return tuple(told[:count]) + (True,) * (count - len(told))
