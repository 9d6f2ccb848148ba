"""The runner's neighbours as scripted values: a fal that plays back its part, a Discord that keeps what it is shown."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from PIL import Image

from bot.catalogue import load, parse
from bot.catalogue.kinds import Attachment
from bot.domain.events import Progress, ProgressEvent
from bot.domain.job import Actor, FalRequest, Job, JobState, NewJob, RemotePicture, Reply, Result
from bot.domain.picture import InputNeeds, PreparedInput
from bot.domain.ports import AttachmentSource, DeliverableImages, ServedModel
from bot.domain.provider import CancelAnswer, CompletedStatus, FoundRequest, InProgressStatus, InQueueStatus, Status
from bot.domain.request import Json
from bot.errors import Cancelled, GenerationFailed, RequestNotFound
from bot.jobs.context import Clocks
from bot.jobs.runner import Runner
from bot.jobs.timings import JobTimings
from bot.limits import Policy, policy_for
from bot.media.workers import ImageWorkers
from bot.settings import FalSettings, LimitSettings, Settings
from bot.store import Accepted, Store
from bot.supervisor import Supervisor

CATALOGUE = load()
MODEL = CATALOGUE.get("flux-schnell")


def now() -> datetime:
    return datetime.now(UTC)


def a_png(colour: str = "red") -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(body, "PNG")
    return body.getvalue()


UNLIMITED: Policy = policy_for(Settings(limits=LimitSettings(enabled=False)), None, Actor(0, 0))
TIGHT: Policy = policy_for(Settings(), None, Actor(0, 0))


class ScriptedFal:
    """Plays back what it is told and keeps what it was given."""

    unavailable = False

    def __init__(self) -> None:
        self.submitted: list[tuple[str, Mapping[str, Json]]] = []
        self.submit_errors: list[Exception] = []
        self.cancelled: list[FalRequest] = []
        self.cancel_answer = CancelAnswer.REMOVED_OR_REQUESTED
        #: What fal says it billed for a request that was cancelled; None: it does not say.
        self.cancelled_units: Decimal | None = Decimal(0)
        #: Whether fal has ended a request as soon as it has taken a cancel.
        self.cancel_takes_effect = True
        #: Whether fal no longer knows a request that was cancelled.
        self.forgets_cancelled = False
        #: Whether fal shows us its list of requests.
        self.lists = True
        #: Requests of which fal tells the status, although it answered their submits with errors.
        self.known: set[str] = set()
        #: More requests in that list.
        self.listed: list[FoundRequest] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.statuses: list[InQueueStatus | InProgressStatus] = [
            InQueueStatus(0),
            InProgressStatus(("50%|#####     | 2/4",)),
        ]
        self.result_error: GenerationFailed | None = None
        self.nsfw: tuple[bool, ...] | None = (False,)
        self.picture = a_png()
        #: Whether fal's list shows the request whose answer was lost.
        self.keeps_lost = False
        self.looks = 0
        self.downloads = 0
        self.posts_begun = asyncio.Event()
        self.submit_gate = asyncio.Event()
        self.submit_gate.set()

    async def submit(
        self,
        endpoint: str,
        arguments: Mapping[str, Json],
        *,
        start_timeout_s: float,
        store_payload: bool,
        model: ServedModel,
        webhook_url: str | None = None,
    ) -> FalRequest:
        self.submitted.append((endpoint, arguments))
        self.posts_begun.set()
        await self.submit_gate.wait()
        if self.submit_errors:
            raise self.submit_errors.pop(0)
        number = len(self.submitted)
        url = f"http://fal.test/requests/r{number}"
        return FalRequest(f"r{number}", f"{url}/status", url, f"{url}/cancel")

    async def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncGenerator[Status, None]:
        for status in self.statuses:
            yield status
        await self.hold.wait()
        yield CompletedStatus(None)

    async def result(self, request: FalRequest, *, model: ServedModel) -> Result:
        if self.result_error is not None:
            raise self.result_error
        picture = RemotePicture("http://fal.test/a.png", "image/png", 8, 6)
        return Result((picture,) * len(self.nsfw or (False,)), seed=7, nsfw=self.nsfw, billable_units=Decimal(1))

    async def outcome(self, request: FalRequest, *, model: ServedModel) -> Result | GenerationFailed | None:
        if self.forgets_cancelled:
            return RequestNotFound()
        if not self.cancel_takes_effect:
            return None
        if self.cancel_answer is CancelAnswer.ALREADY_COMPLETED:
            return await self.result(request, model=model)
        error = Cancelled()
        error.billable_units = self.cancelled_units
        return error

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> list[FoundRequest] | None:
        self.looks += 1
        if not self.lists:
            return None
        if not self.keeps_lost or not self.submitted:
            return self.listed
        return [FoundRequest("lost1", endpoint, dict(self.submitted[0][1]), now(), None)]

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        url = f"http://fal.test/requests/{request_id}"
        return FalRequest(request_id, f"{url}/status", url, f"{url}/cancel")

    async def knows(self, request: FalRequest) -> bool | None:
        return request.request_id in self.known

    def wake(self, request_id: str) -> bool:
        return False

    async def cancel(self, request: FalRequest) -> CancelAnswer:
        self.cancelled.append(request)
        return self.cancel_answer

    async def upload(self, body: bytes, content_type: str, file_name: str) -> str:
        return "https://fal.test/uploaded"

    async def download(
        self, picture: RemotePicture, *, max_bytes: int, reserve: Callable[[int], None] | None = None
    ) -> bytes:
        self.downloads += 1
        if reserve is not None:
            reserve(len(self.picture))
        return self.picture


class ScriptedDelivery:
    """Keeps what people would have seen."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Progress]] = []
        self.latest: dict[str, ProgressEvent] = {}
        self.delivered: list[tuple[Job, DeliverableImages]] = []
        self.notified: list[Job] = []
        self.repaired: list[tuple[Job, DeliverableImages | None]] = []
        self.forgotten: list[str] = []
        self.answered: bool | None = True

    def progress(self, event: ProgressEvent) -> None:
        self.events.append((event.job.id, event.progress))
        self.latest[event.job.id] = event

    async def repair_message(self, job: Job, ready: DeliverableImages | None) -> None:
        self.repaired.append((job, ready))

    def forget(self, job_id: str) -> None:
        self.forgotten.append(job_id)

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        self.delivered.append((job, ready))
        return 4242

    async def was_answered(self, job: Job) -> bool | None:
        return self.answered

    async def notify_outcome(self, job: Job) -> None:
        self.notified.append(job)


class NoAttachments:
    def is_attachment(self, url: str) -> bool:
        return False

    async def fetch(
        self,
        url: str,
        *,
        option: str,
        owner: Hashable,
        needs: InputNeeds | None = None,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        raise AssertionError("no attachment expected")

    async def fetch_mask(
        self,
        url: str,
        *,
        picture: PreparedInput,
        option: str,
        owner: Hashable,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        raise AssertionError("no attachment expected")


#: A busy machine may take its time.
PATIENT = JobTimings(accept_within_s=30)


class RunnerFixture:
    """A runner with its scripted neighbours."""

    def __init__(
        self,
        store: Store,
        fal: ScriptedFal,
        settings: FalSettings,
        timings: JobTimings = PATIENT,
        callback_url: Callable[[str, int], str] | None = None,
        *,
        inputs: AttachmentSource | None = None,
        admits: Callable[[Job], bool] = lambda job: True,
    ) -> None:
        #: So much more time has passed than really has.
        self.ahead_s = 0.0
        #: Under which a job is submitted again.
        self.policy = UNLIMITED
        self.supervisor = Supervisor()
        self.store = store
        self.fal = fal
        self.shown = ScriptedDelivery()
        self.runner = Runner(
            store=store,
            fal=fal,
            catalogue=CATALOGUE,
            settings=settings,
            max_waiting=1000,
            tick_s=0.01,
            clocks=Clocks(now, monotonic_s=lambda: time.monotonic() + self.ahead_s),
            inputs=inputs or NoAttachments(),
            images=ImageWorkers(),
            supervisor=self.supervisor,
            policy_of=self._policy_of,
            forgiven_per_day=3,
            callback_url=callback_url,
            admits=admits,
            timings=timings,
        )
        self.runner.attach(self.shown)
        self.count = 0

    async def _policy_of(self, _actor: Actor) -> Policy:
        return self.policy

    async def ask(
        self,
        *,
        user: int = 1,
        guild: int = 3,
        answered: bool = True,
        age_restricted: bool = False,
        policy: Policy = UNLIMITED,
        count: int = 1,
        image: str | None = None,
        model: str = MODEL.key,
    ) -> Job:
        self.count += 1
        reply = Reply(
            application_id=5,
            interaction_id=1000 + self.count,
            token="t",
            token_expires_at=now() + timedelta(minutes=15),
            age_restricted=age_restricted,
        )
        asked = parse(CATALOGUE.get(model), {"prompt": "a fox", "seed": 7, "count": count})
        if image is not None:
            asked = parse(CATALOGUE.get("omnigen-v2"), {"prompt": "a fox", "image": Attachment(image)})
        new = NewJob(f"job{self.count:07}", Actor(user, 2, guild), reply, asked)
        outcome = await self.runner.accept(new, policy)
        assert isinstance(outcome, Accepted)
        if answered:
            await self.runner.answered(new.id, 99)
        return outcome.job

    async def until(self, job: Job, state: JobState) -> Job:
        async with asyncio.timeout(60):
            while True:
                found = await self.store.jobs.get(job.id)
                assert found is not None
                if found.state is state:
                    return found
                await asyncio.sleep(0.005)


async def turns(store: Store) -> None:
    """Let everything go on that needs no time to pass: its steps wait for the loop and for the database."""
    for _ in range(25):
        await store.jobs.get("nobody's")
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the tested code is about to do."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


Build = Callable[..., Awaitable[RunnerFixture]]
