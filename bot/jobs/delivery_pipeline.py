"""From a job's end at fal to its post in the channel, within a budget of bytes for all pictures in hand."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Sequence
from functools import partial

from bot.catalogue.model import Model
from bot.catalogue.prices import result_cost_usd
from bot.domain.job import TERMINAL, Failure, Job, JobState, RemotePicture, Result
from bot.domain.ports import DeliverableImages, ImageBackend
from bot.domain.settlement import End, Settlement, bill_of, settlement
from bot.errors import EaselError, ResultUnusable, ResultWithheld
from bot.jobs.adaptive_semaphore import AdaptiveSemaphore
from bot.jobs.byte_budget import ByteBudget, Grant, OutOfRoom, Room, SizeGuess
from bot.jobs.context import RunnerContext, with_doubles
from bot.jobs.initial_response import UNANSWERED
from bot.media.fit import fit, read_results
from bot.media.workers import ImageWorkers
from bot.phrase import phrase

log = logging.getLogger(__name__)

#: The largest single picture fetched from fal.
MAX_PICTURE_BYTES = 64 * 1024 * 1024


class ResultDeliverer:
    """Fetches results and posts them."""

    def __init__(
        self, context: RunnerContext, fal: ImageBackend, images: ImageWorkers, *, backpressure: Callable[[], bool]
    ) -> None:
        self._context = context
        self._fal = fal
        self._images = images
        timings = context.timings
        budget_bytes = context.settings.pictures_in_hand_mib * 1024 * 1024
        self._budget = ByteBudget(budget_bytes)
        self._sizes = SizeGuess(most_bytes=budget_bytes // 4)
        few = timings.few_deliveries
        self._results = AdaptiveSemaphore(few, timings.most_results, backpressure=backpressure, timings=timings)
        self._deliveries = AdaptiveSemaphore(few, timings.most_deliveries, backpressure=backpressure, timings=timings)

    async def run(self, job: Job) -> None:
        """From its end at fal, or from where its row stands, to the post, once there is room for its pictures."""
        turn = self._budget.request(self._sizes.picture_bytes * job.request.images)
        if turn.done():
            await self._deliver_within(turn.result(), job)
            return
        job_id, kept = job.id, job if self._may_wait_in_memory(job) else None
        del job
        try:
            await asyncio.wait({turn}, timeout=self._context.timings.unread_s)
            if not turn.done():
                kept = None
                await self._record_result(job_id)  # fal does not keep it for ever
            grant = await asyncio.shield(turn)
        except BaseException:
            self._budget.withdraw(turn)
            raise
        try:
            if kept is None:
                kept = await self._reload(job_id)
            if kept is not None:
                await self._deliver_within(grant, kept)
        finally:
            grant.release()

    def _may_wait_in_memory(self, job: Job) -> bool:
        """Whether a job is kept while it waits, which saves reading it again; of any other its row is all there is.

        Only a RUNNING one: before its pictures are posted, it is moved on, and so whoever moved it first is noticed.
        """
        return job.state is JobState.RUNNING and self._budget.waiting <= self._context.timings.waiting_in_memory

    async def _deliver_within(self, grant: Grant, job: Job) -> None:
        try:
            result = job.result if job.state is JobState.FINISHED else await self._result(job)
            await self._deliver(job, result or Result(()), grant)
        finally:
            grant.release()

    async def _record_result(self, job_id: str) -> None:
        job = await self._reload(job_id)
        if job is not None and job.state is JobState.RUNNING:
            result = await self._result(job)
            await self._context.tasks.shielded(self._context.transition(job, JobState.FINISHED, result=result))

    async def _reload(self, job_id: str) -> Job | None:
        """The job as it stands on record; None when it has ended."""
        job = await self._context.retry_store(lambda: self._context.store.jobs.get(job_id))
        return job if job is not None and job.state in {JobState.RUNNING, JobState.FINISHED} else None

    async def _result(self, job: Job) -> Result:
        fal_request = job.fal_request
        if fal_request is None:
            raise RuntimeError("a running job has a request")
        async with self._results:
            result = await self._context.retry_fal(
                job, lambda: self._fal.result(fal_request, model=self._context.model(job))
            )
        return self._priced(job, asked_for(job, result))

    def _priced(self, job: Job, result: Result) -> Result:
        """With the cost of what came, which is settled and shown."""
        model = self._context.model_of(job.request.endpoint)
        cost_usd = result_cost_usd(model, job.request, result) if model is not None else None
        return dataclasses.replace(result, cost_usd=cost_usd)

    async def _deliver(self, job: Job, result: Result, grant: Grant) -> None:
        """Fetch the pictures while the result goes on record, fit them, post them, settle."""
        result = asked_for(job, result)
        recording: asyncio.Task[Job | None] | None = None
        if job.state is JobState.RUNNING:
            recording = self._context.tasks.spawn_critical(
                self._context.transition(job, JobState.FINISHED, result=result)
            )
        try:
            await self._context.wait_until_quiet(job.id)
            while (needed_bytes := await self._try_deliver(job, result, grant, recording)) is not None:
                grant.release()
                grant = await self._budget.granted(needed_bytes)
        finally:
            grant.release()
            if recording is not None:
                await asyncio.shield(recording)

    async def _try_deliver(
        self, job: Job, result: Result, grant: Grant, recording: asyncio.Task[Job | None] | None
    ) -> int | None:
        """None once it is posted; else how many bytes its pictures take, which the grant has no room for."""
        async with self._deliveries:
            room = Room(grant, self._sizes.picture_bytes)
            try:
                ready = await self._fetch(job, result, room)
            except OutOfRoom:
                return room.needed_bytes
            finished = job if recording is None else await asyncio.shield(recording)
            if finished is not None and finished.notified:  # nobody waits for it: the initial response never came
                unseen = settlement(End.UNDELIVERABLE, bill_of(result))
                await self._context.end(finished, JobState.CANCELLED, Failure("cancelled", UNANSWERED), unseen)
            elif finished is not None:
                settled = settlement(End.DELIVERED, bill_of(result), shown=len(ready.pictures))
                settled = await with_doubles(self._context, finished, settled)
                await self._context.tasks.shielded(self._deliver_and_record(finished, ready, settled))
        return None

    async def _deliver_and_record(self, job: Job, ready: DeliverableImages, settled: Settlement) -> Job | None:
        message_id = await self._context.delivery.deliver(job, ready)
        return await self._context.transition(
            job,
            JobState.DELIVERED,
            message_id=message_id,
            notified=True,
            settlement=settled,
            forgiven_per_day=self._context.forgiven_per_day,
        )

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
                await self._show_again(job)
        except EaselError as error:
            log.warning("a card could not be set right", extra={"job": job_id, "reason": error.code})

    async def _show_again(self, job: Job) -> None:
        if job.state is not JobState.DELIVERED:
            await self._context.delivery.repair_message(job, None)
            return
        needed_bytes: int | None = self._sizes.picture_bytes * job.request.images
        while needed_bytes is not None:
            grant = await self._budget.granted(needed_bytes)
            room, needed_bytes = Room(grant, self._sizes.picture_bytes), None
            try:
                await self._context.delivery.repair_message(job, await self._fetch(job, job.result or Result(()), room))
            except OutOfRoom:
                needed_bytes = room.needed_bytes
            finally:
                grant.release()

    async def _fetch(self, job: Job, result: Result, room: Room) -> DeliverableImages:
        """Download what may be shown here.

        Raises:
            OutOfRoom: it takes more bytes than are granted.
            ResultWithheld: the safety checker flagged every picture and the channel is not age-restricted, or it
                painted them black.
        """
        result = asked_for(job, result)
        if not result.pictures:
            raise ResultUnusable(phrase("no_picture_held"))
        model = self._context.model(job)
        flags = nsfw_flags(model, result)
        wanted = [index for index, flagged in enumerate(flags) if job.reply.age_restricted or not flagged]
        if not wanted:
            raise ResultWithheld(flagged=any(result.nsfw or ()))
        bodies = await self._download_all(job, [result.pictures[index] for index in wanted], room)
        owner = f"results of {job.actor.user_id}"
        read = dict(zip(wanted, await read_results(self._images, bodies, owner=owner), strict=True))
        del bodies
        shown = [index for index in wanted if not (read[index].is_black and may_be_blanked(model, result, index))]
        if not shown:
            raise ResultWithheld(blanked=True)
        pictures = await fit(
            self._images,
            [read.pop(index) for index in shown],
            file_limit_bytes=job.reply.upload_limit_bytes,
            owner=owner,
        )
        return DeliverableImages(
            tuple(one.picture for one in pictures),
            tuple(flags[index] for index in shown),
            withheld=len(flags) - len(shown),
            notices=tuple(one.notices for one in pictures),
            previews=tuple(one.preview for one in pictures),
            numbers=tuple(index + 1 for index in shown),
            made=len(flags),
        )

    async def _download_all(self, job: Job, pictures: Sequence[RemotePicture], room: Room) -> list[bytes]:
        """All of them. An error is raised once no download is under way any more."""
        if len(pictures) == 1:
            bodies = [await self._download(job, pictures[0], room, 0)]
        else:
            tasks = [
                asyncio.create_task(self._download(job, remote, room, index)) for index, remote in enumerate(pictures)
            ]
            try:
                await asyncio.wait(tasks)
                _raise_first(tasks)
                bodies = [task.result() for task in tasks]
            finally:
                for task in tasks:
                    task.cancel()
                del tasks  # a failed one holds this frame by its traceback
        for body in bodies:
            self._sizes.learn(len(body))
        room.settle(sum(map(len, bodies)))
        return bodies

    async def _download(self, job: Job, remote: RemotePicture, room: Room, index: int) -> bytes:
        return await self._context.retry_fal(
            job,
            lambda: self._fal.download(remote, max_bytes=MAX_PICTURE_BYTES, reserve=partial(room.reserve, index)),
        )


def _raise_first(tasks: Sequence[asyncio.Task[bytes]]) -> None:
    """Raise what went wrong, and only where nothing else did OutOfRoom: that can be mended."""
    errors = [error for task in tasks if (error := task.exception()) is not None]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, OutOfRoom))


def asked_for(job: Job, result: Result) -> Result:
    """The result without pictures beyond those that were asked for: nobody fetches, posts or is charged for more."""
    most = job.request.images
    if len(result.pictures) <= most:
        return result
    log.warning("more pictures came than were asked for", extra={"job": job.id, "came": len(result.pictures)})
    nsfw = result.nsfw[:most] if result.nsfw is not None else None
    return dataclasses.replace(result, pictures=result.pictures[:most], nsfw=nsfw)


def may_be_blanked(model: Model, result: Result, index: int) -> bool:
    """Whether a picture that is black all over is what a safety checker put in another one's place."""
    if model.output.has_nsfw_concepts and result.nsfw is not None and index < len(result.nsfw):
        return result.nsfw[index]
    return model.output.has_nsfw_concepts or model.option("enable_safety_checker") is not None


def nsfw_flags(model: Model, result: Result) -> tuple[bool, ...]:
    """One flag a picture: True when flagged, or when the model should have said and did not."""
    count = len(result.pictures)
    if not model.output.has_nsfw_concepts:
        return (False,) * count
    told = result.nsfw or ()
    return tuple(told[:count]) + (True,) * (count - len(told))
