"""The queue behind the HTTP API: waiting, starting under the account's cap, painting, ending."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import random
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from PIL import Image

from bot.catalogue.model import Model
from bot.domain.request import Json
from sandbox.fal import argument_checks, durations, painter, plan
from sandbox.fal.bill import Bill, Reason, Work, prompt_tokens
from sandbox.fal.fault_injection import InjectedFaults
from sandbox.fal.files import Files, FileUnavailable, StoredFile
from sandbox.fal.jobs import Counters, Job, Status, StoredResponse, error_detail

_log = logging.getLogger(__name__)

#: Plausible seconds in fal's queue with free capacity.
_QUEUE_S = 0.6
#: Seconds a refused job takes in its runner.
_REFUSAL_S = 0.15
#: Watchers hear about a new position in the queue at most this often.
_POSITIONS_EVERY_S = 0.5
_LARGE_RESULT_BYTES = 10_000
_UNSTORED_RESULT_BYTES = 1_000_000
_POLICY_MESSAGE = "The content could not be processed because it contained material flagged by a content checker."
#: error_type → HTTP status of the result, for failures on fal's side.
INFRASTRUCTURE_ERRORS: Mapping[str, int] = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
    "internal_error": 500,
}


@dataclass
class Queue:
    """All jobs of the one account.

    Args:
        concurrency: jobs painted at once; 0 is unlimited.
        speed: factor on every plausible duration (0.01: a hundred times as fast).
        paint_s: fixed seconds from acceptance to completion, instead of plausible ones.
        paint: `real` pictures, or `flat` ones that cost next to nothing.
        keep_jobs: the oldest finished jobs beyond this many are forgotten.
    """

    files: Files
    faults: InjectedFaults
    counters: Counters
    ended: Callable[[Job], None]
    concurrency: int = 0
    speed: float = 1.0
    paint_s: float | None = None
    paint: Literal["real", "flat"] = "real"
    result_life_s: float = 3600.0
    large_result_life_s: float = 360.0
    keep_jobs: int = 20_000
    bill: Bill = field(default_factory=Bill)
    rng: random.Random = field(default_factory=random.SystemRandom)
    jobs: OrderedDict[str, Job] = field(default_factory=OrderedDict)
    _waiting: OrderedDict[str, Job] = field(default_factory=OrderedDict)
    _running: dict[str, Job] = field(default_factory=dict)
    _positions_stale: bool = False
    _announcing: asyncio.TimerHandle | None = None
    _timers: set[asyncio.TimerHandle] = field(default_factory=set)
    _painters: ThreadPoolExecutor | None = None

    @property
    def running(self) -> int:
        """Jobs being painted now."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Jobs in the queue now."""
        return len(self._waiting)

    def accept(
        self,
        model: Model,
        arguments: Mapping[str, Json],
        *,
        base_url: str,
        webhook: str | None = None,
        start_timeout_s: float | None = None,
        store_io: bool = True,
    ) -> Job:
        """Take a job; it starts by itself."""
        loop = asyncio.get_running_loop()
        wait_s = 0.0 if self.paint_s is not None else _QUEUE_S * self.speed * self._slowness()
        job = Job(
            id=str(uuid.uuid4()),
            gateway_id=str(uuid.uuid4()),
            model=model,
            app="/".join(model.endpoint.split("/")[:2]),
            arguments=arguments,
            base_url=base_url,
            created_at=datetime.now(UTC),
            ready_at_s=loop.time() + wait_s,
            webhook=webhook,
            store_io=store_io,
            unknown_arguments=argument_checks.unknown(model, arguments),
        )
        self.jobs[job.id] = job
        job.position = len(self._waiting)
        self._waiting[job.id] = job
        if start_timeout_s is not None:
            job.start_deadline = loop.call_later(start_timeout_s, self._give_up, job)
        self._after(wait_s, self._start_ready)
        self._forget()
        return job

    def position_of(self, job: Job) -> int:
        """How many jobs are ahead of a waiting one."""
        if self._positions_stale:
            self._positions_stale = False
            for position, waiting in enumerate(self._waiting.values()):
                if waiting.position != position:
                    waiting.position = position
                    waiting.version += 1
        return job.position

    def cancel(self, job: Job) -> bool:
        """Ask a job to stop; False when it has ended already."""
        if job.done:
            return False
        if job.id in self._waiting:
            self._end_cancelled(job)
        elif not self.faults.late_cancel:
            self._after(0.05 * self.speed, lambda: None if job.done else self._end_cancelled(job))
        return True

    def expired(self, job: Job, now: datetime) -> bool:
        """Whether the result of an ended job can no longer be fetched."""
        if self.faults.result_expired:
            return True
        if job.ended_at is None or job.answer is None:
            return False
        size = len(job.answer.body)
        if job.store_io and size <= _UNSTORED_RESULT_BYTES:
            return False
        life_s = self.large_result_life_s if size >= _LARGE_RESULT_BYTES else self.result_life_s
        return (now - job.ended_at).total_seconds() > life_s

    def resume(self) -> None:
        """Start what can start; call it when a fault or the concurrency has changed."""
        self._start_ready()

    async def close(self) -> None:
        """Stop everything."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._announcing is not None:
            self._announcing.cancel()
        tasks = [job.task for job in self._running.values() if job.task is not None]
        for job in self.jobs.values():
            if job.start_deadline is not None:
                job.start_deadline.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._painters is not None:
            self._painters.shutdown(wait=False, cancel_futures=True)
            self._painters = None

    # ------------------------------------------------------------------ waiting

    def _start_ready(self) -> None:
        if self.faults.stuck_queue:
            return
        now_s = asyncio.get_running_loop().time() + 1e-4
        while self._waiting and (not self.concurrency or len(self._running) < self.concurrency):
            job = next(iter(self._waiting.values()))
            if job.ready_at_s > now_s:
                break
            self._leave_queue(job)
            self._start(job)

    def _leave_queue(self, job: Job) -> None:
        del self._waiting[job.id]
        if job.start_deadline is not None:
            job.start_deadline.cancel()
            job.start_deadline = None
        if self._waiting:
            self._positions_stale = True
            if self._announcing is None:
                self._announcing = asyncio.get_running_loop().call_later(_POSITIONS_EVERY_S, self._announce_positions)

    def _announce_positions(self) -> None:
        self._announcing = None
        for job in self._waiting.values():
            before = job.position
            if self.position_of(job) != before or job.watched:
                job.touch()

    def _give_up(self, job: Job) -> None:
        if job.id in self._waiting:
            self._leave_queue(job)
            answer = StoredResponse.of(
                504,
                {"detail": "Request timed out", "error_type": "request_timeout"},
                X_Fal_Error_Type="request_timeout",
                X_Fal_Request_Timeout_Type="user",
                X_Fal_Billable_Units="0",
            )
            self._end(job, answer, "Request timed out", "request_timeout")

    def _after(self, delay_s: float, action: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()

        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = loop.call_later(delay_s, act)
        self._timers.add(timer)

    # ------------------------------------------------------------------ painting

    def _start(self, job: Job) -> None:
        job.status = Status.IN_PROGRESS
        job.started_at = datetime.now(UTC)
        self._running[job.id] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job))
        job.touch()

    async def _run(self, job: Job) -> None:
        try:
            answer, error_type = await self._work(job)
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("fake fal failed to paint", extra={"endpoint": job.model.endpoint})
            answer, error_type = StoredResponse.of(500, {"detail": "Internal Server Error"}), None
        error = None if error_type is None else str(json.loads(answer.body)["detail"])
        self._end(job, answer, error, error_type)

    async def _work(self, job: Job) -> tuple[StoredResponse, str | None]:
        """Do what the model's runner would: validate, download, paint."""
        if self.faults.gone_at_result and job.model.endpoint in self.faults.gone_endpoints:
            return _gone(job.model.endpoint), None
        refusal = self._refusal(job)
        if refusal is not None:
            await asyncio.sleep(_REFUSAL_S * self.speed)
            return refusal, None
        made = plan.plan(job.model, job.arguments, seed=self.rng.randrange(2**31))
        inputs = await self._inputs(job)
        if isinstance(inputs, StoredResponse):
            return inputs, None
        made = await asyncio.to_thread(_sized, made, inputs)
        job.painting_px = made.sizes_px
        duration_s = self._duration_s(job, made)
        withheld, flagged = self._withheld(job), self._flagged(job)
        painting = self._paint(job, made, inputs, flagged)
        if self.faults.take("job_error"):
            painting.cancel()
            await asyncio.sleep(duration_s / 2)
            return _broken(self.faults.job_error_type), self.faults.job_error_type
        await self._log_progress(job, duration_s)
        pictures = await painting
        job.inference_s = duration_s
        if withheld:
            return _against_policy(job, billed=self._billed(job, Reason.REFUSED)), None
        return self._success(job, made, pictures, flagged), None

    def _billed(self, job: Job, reason: Reason) -> str:
        """Bill what the job's runner painted; returns the units."""
        work = Work.of(job.model, job.arguments, job.painting_px or ())
        return self.bill.charge(job.id, job.model, work, reason)

    def _slowness(self) -> float:
        return self.faults.slow_factor if self.faults.fal_slow else 1.0

    def _duration_s(self, job: Job, made: plan.Plan) -> float:
        if self.paint_s is not None:
            return self.paint_s * self._slowness()
        plausible_s = durations.painting_s(
            job.model,
            job.arguments,
            pixels=made.pixels,
            pictures=made.count,
            chance=plan.chance(job.model.endpoint, made.prompt, made.seed),
        )
        return plausible_s * self.speed * self._slowness()

    async def _log_progress(self, job: Job, duration_s: float) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        total = durations.steps(job.model, job.arguments)
        if total is not None:
            for at_s, line in durations.progress(total, duration_s):
                left_s = started_s + at_s - loop.time()
                if left_s > 0:
                    await asyncio.sleep(left_s)
                job.log(line, datetime.now(UTC))
        await asyncio.sleep(max(0.0, started_s + duration_s - loop.time()))

    def _refusal(self, job: Job) -> StoredResponse | None:
        found = argument_checks.problems(job.model, job.arguments)
        if found:
            return _unbilled(*found)
        if plan.POLICY_WORD in _prompt(job).lower() or self.faults.take("content_policy"):
            return _against_policy(job, billed="0")
        return None

    def _withheld(self, job: Job) -> bool:
        """Whether a model without safety flags refuses what it paints."""
        if job.model.output.has_nsfw_concepts:
            return False
        return plan.NSFW_WORD in _prompt(job).lower() or self.faults.take("nsfw")

    def _flagged(self, job: Job) -> bool:
        if not job.model.output.has_nsfw_concepts or job.arguments.get("enable_safety_checker") is False:
            return False
        return plan.NSFW_WORD in _prompt(job).lower() or self.faults.take("nsfw")

    async def _inputs(self, job: Job) -> dict[str, bytes] | StoredResponse:
        """The bytes of every input picture by the option's path, or the 422 that fal answers."""
        found: dict[str, bytes] = {}
        for loc, url in plan.picture_urls(job.model, job.arguments):
            try:
                body = self.files.read(url)
            except FileUnavailable:
                message = "Failed to download the file. Please check if the URL is accessible and try again."
                return _unbilled(error_detail(loc, message, "file_download_error", url))
            if not await asyncio.to_thread(_is_picture, body):
                message = "Failed to load the image. Please ensure the image file is not corrupted."
                return _unbilled(error_detail(loc, message, "image_load_error", url))
            found["/".join(map(str, loc))] = body
        return found

    def _paint(
        self, job: Job, made: plan.Plan, inputs: Mapping[str, bytes], flagged: bool
    ) -> asyncio.Future[list[tuple[bytes, int, int]]]:
        if self._painters is None:
            self._painters = ThreadPoolExecutor(2, thread_name_prefix="easel-painter")
        loop = asyncio.get_running_loop()
        if not inputs and (flagged or self.paint == "flat"):
            done: asyncio.Future[list[tuple[bytes, int, int]]] = loop.create_future()
            done.set_result(_cheap(made, black=flagged))
            return done
        spec = _picture_spec(job.model, made, inputs)
        return loop.run_in_executor(self._painters, _paint_all, spec, made, flagged)

    def _success(
        self, job: Job, made: plan.Plan, pictures: list[tuple[bytes, int, int]], flagged: bool
    ) -> StoredResponse:
        output = job.model.output
        inline = job.arguments.get("sync_mode") is True
        images: list[Json] = [self._image(job, made, index, picture, inline) for index, picture in enumerate(pictures)]
        content: dict[str, Json] = {"images": images}
        if output.timings:
            content["timings"] = {"inference": round(job.inference_s, 4)}
        if output.seed:
            content["seed"] = made.seed
        if output.has_nsfw_concepts:
            if not self.faults.take("no_flags"):
                content["has_nsfw_concepts"] = [flagged] * len(images)
            content["prompt"] = made.prompt
        if output.usage:
            content["usage"] = _usage(made)
        units = self._billed(job, Reason.FLAGGED if flagged else Reason.DELIVERED)
        return StoredResponse.of(200, content, X_Fal_Billable_Units=units)

    def _image(
        self, job: Job, made: plan.Plan, index: int, picture: tuple[bytes, int, int], inline: bool
    ) -> dict[str, Json]:
        body, width, height = picture
        content_type = plan.CONTENT_TYPES[made.format]
        name = f"{index}.{plan.EXTENSIONS[made.format]}"
        if inline:
            url = f"data:{content_type};base64,{base64.b64encode(body).decode()}"
        else:
            shared = self.paint == "flat"
            url = self.files.keep(StoredFile(body, content_type, job, counted=not shared), name)
        if job.model.output.has_nsfw_concepts:
            return {"url": url, "width": width, "height": height, "content_type": content_type}
        image: dict[str, Json] = {
            "url": url,
            "content_type": content_type,
            "file_name": name,
            "file_size": len(body),
        }
        if job.model.output.pictures == "image":
            image |= {"width": None, "height": None}
        return image

    # ------------------------------------------------------------------ ending

    def _end_cancelled(self, job: Job) -> None:
        if job.id in self._waiting:
            self._leave_queue(job)
        elif job.task is not None:
            job.task.cancel()
        units = "0" if job.painting_px is None else self._billed(job, Reason.CANCELLED)
        message = "Request was cancelled by the client"
        answer = StoredResponse.of(
            499,
            {"detail": message, "error_type": "client_cancelled"},
            X_Fal_Error_Type="client_cancelled",
            X_Fal_Billable_Units=units,
        )
        self.counters.cancelled += 1
        self._end(job, answer, message, "client_cancelled")

    def _end(self, job: Job, answer: StoredResponse, error: str | None, error_type: str | None) -> None:
        self._running.pop(job.id, None)
        job.task = None
        job.answer, job.error, job.error_type = answer, error, error_type
        job.status = Status.COMPLETED
        job.ended_at = datetime.now(UTC)
        if answer.status == 200:
            self.counters.finished += 1
        else:
            self.counters.failed += 1
        job.touch()
        self.ended(job)
        self._start_ready()

    def _forget(self) -> None:
        while len(self.jobs) > self.keep_jobs and next(iter(self.jobs.values())).done:
            self.jobs.popitem(last=False)


_NOT_RETRYABLE = {"X_Fal_Retryable": "false", "X_Fal_Needs_Retry": "0"}


def _unbilled(*problems: dict[str, Json]) -> StoredResponse:
    """A 422 that came before any painting."""
    return StoredResponse.of(422, {"detail": list(problems)}, X_Fal_Billable_Units="0", **_NOT_RETRYABLE)


def _against_policy(job: Job, *, billed: str) -> StoredResponse:
    entry = error_detail(["prompt"], _POLICY_MESSAGE, "content_policy_violation", _prompt(job))
    return StoredResponse.of(422, {"detail": [entry]}, X_Fal_Billable_Units=billed, **_NOT_RETRYABLE)


def _prompt(job: Job) -> str:
    return str(job.arguments.get("prompt") or "")


def _sized(made: plan.Plan, inputs: Mapping[str, bytes]) -> plan.Plan:
    """The plan in the size of the picture that is to be edited, where the request leaves it at that."""
    picture = inputs.get("image_url")
    if not made.size_of_input or picture is None:
        return made
    with Image.open(io.BytesIO(picture)) as given:
        return plan.sized_like(made, *given.size)


def _gone(endpoint: str) -> StoredResponse:
    path = "/" + "/".join(endpoint.split("/")[2:])
    return StoredResponse.of(404, {"detail": f"Path {path} not found"}, X_Fal_Billable_Units="0")


def _broken(error_type: str) -> StoredResponse:
    status = INFRASTRUCTURE_ERRORS.get(error_type, 500)
    detail = error_type.replace("_", " ").capitalize()
    return StoredResponse.of(status, {"detail": detail, "error_type": error_type}, X_Fal_Error_Type=error_type)


def _is_picture(body: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(body)) as picture:
            picture.load()
    except Exception:
        return False
    return True


def _usage(made: plan.Plan) -> dict[str, Json]:
    text = prompt_tokens(made.prompt)
    output = 1056 * made.count
    return {
        "input_tokens": text,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": text},
        "output_tokens": output,
        "total_tokens": text + output,
    }


def _cheap(made: plan.Plan, *, black: bool) -> list[tuple[bytes, int, int]]:
    pictures = []
    for index in range(made.count):
        shade = -1 if black else (made.seed + index) % 8
        pictures.append((painter.flat(made.width, made.height, made.format, shade), made.width, made.height))
    return pictures


def _picture_spec(model: Model, made: plan.Plan, inputs: Mapping[str, bytes]) -> painter.PictureSpec:
    picture, mask = inputs.get("image_url"), inputs.get("mask_image_url")
    edited = picture is not None and mask is not None
    return painter.PictureSpec(
        endpoint=model.endpoint,
        title=model.title,
        prompt=made.prompt,
        seed=made.seed,
        index=0,
        width=made.width,
        height=made.height,
        format=made.format,
        transparent=made.transparent,
        picture=picture if edited else None,
        mask=mask if edited else None,
        references=() if edited else tuple(inputs.values()),
    )


def _paint_all(spec: painter.PictureSpec, made: plan.Plan, flagged: bool) -> list[tuple[bytes, int, int]]:
    width, height = spec.width, spec.height
    if flagged:
        return [(painter.black(width, height, made.format), width, height)] * made.count
    return [(painter.paint(replace(spec, index=index)), width, height) for index in range(made.count)]
