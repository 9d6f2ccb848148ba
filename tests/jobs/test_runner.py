"""The runner over a real store; fal and Discord are scripted values."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.catalogue import load, parse
from bot.catalogue.model import Json, Model
from bot.domain.events import AnswerMissing, FalAway, Painting, Progress, WaitingHere
from bot.domain.job import Actor, FalRequest, Job, JobState, NewJob, RemotePicture, Reply, Result
from bot.domain.ports import Ready
from bot.errors import AnswerLost, ContentRefused, FalBroken, FalUnreachable, PaintingFailed
from bot.fal import CancelAnswer, Completed, FoundRequest, Waiting, Working
from bot.jobs import delivery_pipeline, initial_response, queue_positions, runner, submitter, watcher
from bot.jobs.initial_response import MANY_ANSWERS
from bot.jobs.runner import Runner
from bot.limits import Policy, policy_for
from bot.media import Picture
from bot.settings import FalSettings, LimitSettings
from bot.store import Accepted, Store

CATALOGUE = load()
MODEL = CATALOGUE.get("flux-schnell")


def now() -> datetime:
    return datetime.now(UTC)


def a_png(colour: str = "red") -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(body, "PNG")
    return body.getvalue()


UNLIMITED: Policy = policy_for(LimitSettings(enabled=False), None, ())
TIGHT: Policy = policy_for(LimitSettings(), None, ())


class ScriptedFal:
    """Plays back what it is told and keeps what it was given."""

    away = False

    def __init__(self) -> None:
        self.submitted: list[tuple[str, Mapping[str, Json]]] = []
        self.submit_errors: list[Exception] = []
        self.cancelled: list[FalRequest] = []
        self.cancel_answer = CancelAnswer.REMOVED_OR_REQUESTED
        self.hold = asyncio.Event()
        self.hold.set()
        self.statuses: list[Waiting | Working] = [Waiting(0), Working(("50%|#####     | 2/4",))]
        self.result_error: PaintingFailed | None = None
        self.nsfw: tuple[bool, ...] | None = (False,)
        #: Whether fal's list shows the request whose answer was lost.
        self.keeps_lost = False
        self.looks = 0
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
        model: Model,
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
    ) -> AsyncIterator[Waiting | Working | Completed]:
        for status in self.statuses:
            yield status
        await self.hold.wait()
        yield Completed(None)

    async def result(self, request: FalRequest, *, model: Model) -> Result:
        if self.result_error is not None:
            raise self.result_error
        picture = RemotePicture("http://fal.test/a.png", "image/png", 8, 6)
        return Result((picture,) * len(self.nsfw or (False,)), seed=7, nsfw=self.nsfw, billable_units=Decimal(1))

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> list[FoundRequest] | None:
        self.looks += 1
        if not self.keeps_lost or not self.submitted:
            return []
        return [FoundRequest("lost1", endpoint, dict(self.submitted[0][1]), now(), None)]

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        url = f"http://fal.test/requests/{request_id}"
        return FalRequest(request_id, f"{url}/status", url, f"{url}/cancel")

    def wake(self, request_id: str) -> bool:
        return False

    async def cancel(self, request: FalRequest) -> CancelAnswer:
        self.cancelled.append(request)
        return self.cancel_answer

    async def upload(self, body: bytes, content_type: str, file_name: str) -> str:
        return "https://fal.test/uploaded"

    async def download(self, picture: RemotePicture, *, max_bytes: int) -> bytes:
        return a_png()


class ScriptedDelivery:
    """Keeps what people would have seen."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Progress]] = []
        self.delivered: list[tuple[Job, Ready]] = []
        self.told: list[Job] = []
        self.resumptions: list[str] = []
        self.mended: list[tuple[Job, Ready | None]] = []
        self.forgotten: list[str] = []
        self.answered: bool | None = True

    def progress(self, job: Job, progress: Progress) -> None:
        self.events.append((job.id, progress))

    async def mend(self, job: Job, ready: Ready | None) -> None:
        self.mended.append((job, ready))

    def resumed(self, job: Job) -> None:
        self.resumptions.append(job.id)

    def forget(self, job_id: str) -> None:
        self.forgotten.append(job_id)

    async def deliver(self, job: Job, ready: Ready) -> int | None:
        self.delivered.append((job, ready))
        return 4242

    async def was_answered(self, job: Job) -> bool | None:
        return self.answered

    async def tell(self, job: Job) -> None:
        self.told.append(job)


class NoAttachments:
    def is_attachment(self, url: str) -> bool:
        return False

    async def fetch(self, url: str, *, option: str) -> Picture:
        raise AssertionError("no attachment expected")


class House:
    """A runner with its scripted neighbours."""

    def __init__(self, store: Store, fal: ScriptedFal, settings: FalSettings) -> None:
        self.store = store
        self.fal = fal
        self.shown = ScriptedDelivery()
        self.runner = Runner(
            store=store,
            fal=fal,  # type: ignore[arg-type]
            catalogue=CATALOGUE,
            settings=settings,
            max_waiting=1000,
            tick_s=0.01,
            clock=now,
            inputs=NoAttachments(),
        )
        self.runner.attach(self.shown)
        self.count = 0

    async def ask(
        self,
        *,
        user: int = 1,
        guild: int = 3,
        answered: bool = True,
        age_restricted: bool = False,
        policy: Policy = UNLIMITED,
    ) -> Job:
        self.count += 1
        reply = Reply(
            application_id=5,
            interaction_id=1000 + self.count,
            token="t",
            token_expires_at=now() + timedelta(minutes=15),
            age_restricted=age_restricted,
        )
        new = NewJob(f"job{self.count:07}", Actor(user, 2, guild), reply, parse(MODEL, {"prompt": "a fox", "seed": 7}))
        outcome = await self.runner.accept(new, policy)
        assert isinstance(outcome, Accepted)
        if answered:
            await self.runner.answered(new.id, 99)
        return outcome.job

    async def until(self, job: Job, state: JobState) -> Job:
        async with asyncio.timeout(60):
            while True:
                found = await self.store.job(job.id)
                assert found is not None
                if found.state is state:
                    return found
                await asyncio.sleep(0.005)


Build = Callable[..., Awaitable[House]]


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Build]:
    """Make running houses; all of one test share one database file, one after another."""
    houses: list[tuple[House, asyncio.Task[None]]] = []

    async def make(
        fal: ScriptedFal | None = None,
        *,
        run: bool = True,
        max_in_flight: int = 10,
        job_timeout_s: float = 60,
        reconcile_s: float = 60,
        answered: bool | None = True,
        **caps: Any,
    ) -> House:
        await leave()
        store = await Store.open(f"sqlite:///{tmp_path / 'easel.db'}")
        settings = FalSettings(
            max_in_flight=max_in_flight, job_timeout_s=job_timeout_s, reconcile_s=reconcile_s, **caps
        )
        house = House(store, fal or ScriptedFal(), settings)
        house.shown.answered = answered
        task = asyncio.create_task(house.runner.run() if run else asyncio.sleep(0))
        houses.append((house, task))
        return house

    async def leave() -> None:
        while houses:
            house, task = houses.pop()
            await house.runner.stop()
            await task
            await house.store.close()

    yield make
    await leave()


async def test_a_job_goes_from_queue_to_channel_with_one_submit(build: Build) -> None:
    house = await build()
    job = await house.ask()
    done = await house.until(job, JobState.DELIVERED)
    assert len(house.fal.submitted) == 1
    assert house.fal.submitted[0][1]["prompt"] == "a fox"
    assert [delivered.id for delivered, _ in house.shown.delivered] == [job.id]
    assert done.result is not None
    assert done.result.seed == 7
    assert any(isinstance(event, Painting) and event.fraction == 0.5 for _, event in house.shown.events)


async def test_nothing_is_spent_before_the_person_was_answered(build: Build) -> None:
    house = await build()
    job = await house.ask(answered=False)
    await house.until(job, JobState.SUBMITTING)
    await asyncio.sleep(0.05)
    assert house.fal.submitted == []
    await house.runner.answered(job.id, 5)
    await house.until(job, JobState.DELIVERED)


async def test_an_answer_that_never_reached_the_person_spends_nothing(build: Build) -> None:
    house = await build()
    job = await house.ask(answered=False)
    await house.runner.unanswered(job.id)
    await house.until(job, JobState.CANCELLED)
    assert house.fal.submitted == []
    assert (await house.store.usage(job.actor)).images_today == 0


async def test_a_refusal_by_fal_releases_the_quota_and_tells_the_person(build: Build) -> None:
    fal = ScriptedFal()
    fal.result_error = ContentRefused()
    house = await build(fal)
    job = await house.ask()
    failed = await house.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "content_refused"
    async with asyncio.timeout(60):
        while not house.shown.told:
            await asyncio.sleep(0.005)
    assert house.shown.told[0].id == job.id
    assert (await house.store.usage(job.actor)).images_today == 0


async def test_a_request_whose_answer_was_lost_is_found_and_not_sent_again(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("dropped")]
    fal.keeps_lost = True
    house = await build(fal)
    job = await house.ask()
    done = await house.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1
    assert done.request is not None
    assert done.request.request_id == "lost1"
    assert done.possible_doubles == 0


async def test_a_request_that_does_not_turn_up_is_sent_again_and_flagged(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("dropped")]
    house = await build(fal, reconcile_s=0.02)
    job = await house.ask()
    done = await house.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 2
    assert (done.attempts, done.possible_doubles) == (2, 1)


async def test_after_enough_lost_answers_the_person_is_told(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("dropped")] * 9
    house = await build(fal, reconcile_s=0.0)
    job = await house.ask()
    failed = await house.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "answer_lost"
    assert len(fal.submitted) == submitter.MOST_LOSSES
    assert (await house.store.usage(job.actor)).images_today == 0


async def test_a_single_job_that_fal_answers_with_an_error_ends_with_a_sentence(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "REFUSED_WAITS_S", (0.05,))
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("500", refused=True)] * 9
    house = await build(fal)
    failed = await house.until(await house.ask(), JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == FalBroken.code
    assert len(fal.submitted) == 1
    assert fal.looks > 0
    assert not any(isinstance(event, FalAway | AnswerMissing) for _, event in house.shown.events)


async def test_while_fal_answers_everybody_with_errors_nobody_fails_and_the_queue_is_kept(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "REFUSED_WAITS_S", (0.3,))
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("500", refused=True)] * 10**6
    house = await build(fal, max_in_flight=0)
    jobs = [await house.ask(user=number) for number in range(150)]
    async with asyncio.timeout(60):
        while len(fal.submitted) < 2 * submitter.SUBMITS_AT_ONCE:  # the first ones come round again
            await asyncio.sleep(0.01)
    found = [await house.store.job(job.id) for job in jobs]
    states = Counter(job.state for job in found if job is not None)
    assert states[JobState.QUEUED] >= len(jobs) - runner.CLAIMED_AHEAD - submitter.SUBMITS_AT_ONCE
    assert not states[JobState.FAILED]
    fal.submit_errors.clear()
    for job in jobs:
        done = await house.until(job, JobState.DELIVERED)
        assert done.possible_doubles == done.attempts - 1
    assert len(house.shown.delivered) == len(jobs)


async def test_an_error_of_fal_that_its_list_outlasts_is_an_outage(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "REFUSED_WAITS_S", (0.0,))
    monkeypatch.setattr(submitter, "BLIND_S", 0.2)
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("500", refused=True)]
    house = await build(fal)
    find = fal.find_requests

    async def late(*given: Any, **options: Any) -> Any:
        await asyncio.sleep(0.3)
        return await find(*given, **options)

    vars(fal)["find_requests"] = late
    await house.until(await house.ask(), JobState.DELIVERED)
    assert len(fal.submitted) == 2


async def test_cancelling_while_an_answer_is_missing_says_that_it_may_cost(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("dropped")]
    house = await build(fal, reconcile_s=600)
    job = await house.ask()
    async with asyncio.timeout(60):
        while not fal.looks:
            await asyncio.sleep(0.005)
    (until,) = [event.until for _, event in house.shown.events if isinstance(event, AnswerMissing)]
    assert 590 < (until - now()).total_seconds() <= 600
    assert not any(isinstance(event, FalAway) for _, event in house.shown.events)
    outcome = await house.runner.cancel(job.id)
    assert "may still charge" in outcome.sentence
    ended = await house.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert "may still charge" in ended.failure.sentence
    assert len(fal.submitted) == 1


async def test_a_job_found_in_the_middle_of_its_submit_is_reconciled_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    house = await build(fal)
    job = await house.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    house.runner._desk._critical.clear()  # as a kill would: nobody waits for the POST
    fal.keeps_lost = True
    restarted = await build(fal)
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_a_job_found_before_its_submit_is_sent_at_once_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    house = await build(fal, run=False)
    job = await house.ask()
    (claimed,) = await house.store.claim(1)  # and killed, before anything was sent
    assert claimed.id == job.id
    restarted = await build(fal, reconcile_s=600)
    done = await restarted.until(job, JobState.DELIVERED)
    assert (len(fal.submitted), fal.looks, done.possible_doubles) == (1, 0, 0)


async def test_nothing_is_sent_that_another_process_has_taken_over(build: Build) -> None:
    fal = ScriptedFal()
    house = await build(fal)
    job = await house.ask(answered=False)
    claimed = await house.until(job, JobState.SUBMITTING)
    await house.store.advance(claimed, JobState.QUEUED)
    house.runner._desk.look_around = False  # the other one claims it
    await house.runner.answered(job.id, 5)
    async with asyncio.timeout(60):
        while house.runner.jobs_alive:
            await asyncio.sleep(0.005)
    assert fal.submitted == []


async def test_a_job_whose_person_never_saw_an_answer_is_not_painted_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    house = await build(fal, run=False)
    job = await house.ask(answered=False)
    restarted = await build(fal, answered=False)
    await restarted.until(job, JobState.CANCELLED)
    assert fal.submitted == []
    assert (await restarted.store.usage(job.actor)).images_today == 0


async def test_a_callback_names_a_request_whose_answer_was_lost(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [AnswerLost("dropped")]
    house = await build(fal, reconcile_s=600)
    job = await house.ask()
    async with asyncio.timeout(60):
        while not fal.looks:
            await asyncio.sleep(0.005)
    await house.runner.heard(job.id, 1, "called1")
    done = await house.until(job, JobState.DELIVERED)
    assert done.request is not None
    assert done.request.request_id == "called1"


async def test_a_submit_that_never_left_is_tried_again(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitter, "UNREACHABLE_PAUSES_S", (0.0, 0.0))
    fal = ScriptedFal()
    fal.submit_errors = [FalUnreachable("refused"), FalUnreachable("refused")]
    house = await build(fal)
    job = await house.ask()
    await house.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 3


async def test_a_flagged_picture_is_withheld_outside_age_restricted_channels(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True,)
    house = await build(fal)
    job = await house.ask()
    failed = await house.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "withheld"
    assert house.shown.delivered == []


async def test_a_flagged_picture_goes_behind_a_spoiler_inside(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, False)
    house = await build(fal)
    job = await house.ask(age_restricted=True)
    await house.until(job, JobState.DELIVERED)
    assert house.shown.delivered[0][1].spoilers == (True, False)


async def test_a_missing_flag_counts_as_flagged(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = None
    house = await build(fal)
    job = await house.ask()
    failed = await house.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "withheld"


async def test_only_the_unflagged_pictures_of_several_are_shown(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, False, False)
    house = await build(fal)
    job = await house.ask()
    await house.until(job, JobState.DELIVERED)
    ready = house.shown.delivered[0][1]
    assert len(ready.pictures) == 2
    assert ready.withheld == 1


async def test_cancelling_a_waiting_job_costs_nothing(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal, max_in_flight=1)
    first = await house.ask()
    await house.until(first, JobState.RUNNING)
    second = await house.ask()
    outcome = await house.runner.cancel(second.id)
    assert outcome.cancelled
    assert "nothing was charged" in outcome.sentence
    await house.until(second, JobState.CANCELLED)
    fal.hold.set()
    await house.until(first, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_cancelling_a_running_job_tells_fal_and_says_that_it_may_cost(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal)
    job = await house.ask()
    async with asyncio.timeout(60):
        while not any(isinstance(event, Painting) for _, event in house.shown.events):
            await asyncio.sleep(0.005)
    outcome = await house.runner.cancel(job.id)
    assert outcome.cancelled
    assert "may still charge" in outcome.sentence
    assert [request.request_id for request in fal.cancelled] == ["r1"]
    ended = await house.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert house.shown.told[0].id == job.id
    assert (await house.store.usage(job.actor)).images_today == 0


async def painted_at_fal(build: Build) -> tuple[ScriptedFal, House, Job]:
    """A running job that fal has painted, which the bot hears once `hold` is set."""
    fal = ScriptedFal()
    fal.hold.clear()
    fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    house = await build(fal)
    job = await house.ask()
    return fal, house, await house.until(job, JobState.RUNNING)


async def test_a_cancel_that_comes_too_late_still_delivers(build: Build) -> None:
    fal, house, job = await painted_at_fal(build)
    outcome = await house.runner.cancel(job.id)
    assert not outcome.cancelled
    fal.hold.set()
    await house.until(job, JobState.DELIVERED)


async def test_a_cancel_during_the_submit_is_carried_out_at_fal(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.hold.clear()
    house = await build(fal)
    job = await house.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    outcome = await house.runner.cancel(job.id)
    assert outcome.cancelled
    fal.submit_gate.set()
    await house.until(job, JobState.CANCELLED)
    assert len(fal.cancelled) == 1


async def test_a_cancel_during_the_submit_holds_even_if_fal_has_painted_it_by_then(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    house = await build(fal)
    job = await house.ask(policy=TIGHT)
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    assert "quota is not used" in (await house.runner.cancel(job.id)).sentence
    fal.submit_gate.set()
    ended = await house.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert "may have painted it" in ended.failure.sentence
    assert (await house.store.usage(job.actor)).images_today == 0
    assert house.shown.delivered == []


async def test_a_cancel_that_crosses_the_claim_holds(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal, max_in_flight=1)
    first = await house.ask()
    await house.until(first, JobState.RUNNING)
    second = await house.ask()
    really = house.runner._desk.cancelled

    async def after_the_claim(job: Job, sentence: str) -> Job | None:
        monkeypatch.undo()
        fal.hold.set()
        await house.until(first, JobState.DELIVERED)
        await house.until(second, JobState.CANCELLED)
        return await really(job, sentence)

    monkeypatch.setattr(house.runner._desk, "cancelled", after_the_claim)
    outcome = await house.runner.cancel(second.id)
    assert outcome.cancelled
    assert "just being handed" in outcome.sentence
    assert len(fal.submitted) == 1


async def test_a_cancel_that_a_kill_left_undone_is_carried_out_by_the_next_start(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal)
    job = await house.ask()
    await house.until(job, JobState.RUNNING)
    await house.store.note(job.id, cancel_requested=True)
    restarted = await build(fal)
    await restarted.until(job, JobState.CANCELLED)
    assert len(fal.cancelled) == 1


async def test_what_a_kill_left_undone_holds_even_if_fal_has_painted_it_by_then(build: Build) -> None:
    """Who presses Cancel during the submit is promised that it costs no quota; then the process is killed."""
    fal, house, job = await painted_at_fal(build)
    await house.store.note(job.id, cancel_requested=True)
    restarted = await build(fal)
    await restarted.until(job, JobState.CANCELLED)
    fal.hold.set()
    assert restarted.shown.delivered == []
    assert (await restarted.store.usage(job.actor)).images_today == 0


async def test_who_was_told_that_a_cancel_is_too_late_gets_the_picture_from_the_next_start_too(build: Build) -> None:
    fal, house, job = await painted_at_fal(build)
    assert "Too late" in (await house.runner.cancel(job.id)).sentence
    restarted = await build(fal)
    fal.hold.set()
    await restarted.until(job, JobState.DELIVERED)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.FINISHED])
async def test_a_picture_is_not_posted_to_whom_the_first_answer_never_reached(build: Build, state: JobState) -> None:
    """Who saw "did not respond" gets nothing, not even when fal has painted it; see `Runner.unanswered`."""
    fal, house, job = await painted_at_fal(build)
    if state is JobState.FINISHED:
        await house.runner.stop()
        assert job.request is not None
        result = await fal.result(job.request, model=CATALOGUE.get("flux-schnell"))
        assert await house.store.advance(job, JobState.FINISHED, result=result)
    await house.store.note(job.id, cancel_requested=True, told=True)
    fal.hold.set()
    if state is JobState.FINISHED:
        house = await build(fal)
    await house.until(job, JobState.CANCELLED)
    async with asyncio.timeout(60):
        while house.shown.forgotten != [job.id]:  # no progress is shown any more
            await asyncio.sleep(0.005)
    assert (house.shown.delivered, house.shown.told) == ([], [])
    assert (await house.store.usage(job.actor)).images_today == 0


async def test_no_more_jobs_are_in_flight_than_allowed_and_places_are_shown(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal, max_in_flight=2)
    jobs = [await house.ask(user=number) for number in range(5)]
    async with asyncio.timeout(60):
        while not any(job_id == jobs[4].id and event == WaitingHere(2) for job_id, event in house.shown.events):
            await asyncio.sleep(0.005)
    assert len(fal.submitted) == 2
    fal.hold.set()
    for job in jobs:
        await house.until(job, JobState.DELIVERED)


async def test_never_more_jobs_are_in_flight_than_allowed_however_many_wait(build: Build) -> None:
    fal = ScriptedFal()
    most = under_way = 0
    watch = fal.watch

    async def counted(*given: Any, **options: Any) -> AsyncIterator[Any]:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        try:
            async for status in watch(*given, **options):
                await asyncio.sleep(0.002)
                yield status
        finally:
            under_way -= 1

    vars(fal)["watch"] = counted
    before = await build(fal, run=False)
    jobs = [await before.ask(user=number) for number in range(40)]
    house = await build(fal, max_in_flight=3)
    for job in jobs:
        await house.until(job, JobState.DELIVERED)
    assert most == 3


@pytest.mark.parametrize("cap", ["guild_jobs_in_flight", "user_jobs_in_flight"])
async def test_who_is_at_a_cap_waits_while_others_go_on_and_then_goes_on_too(build: Build, cap: str) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal, **{cap: 2})
    capped = [await house.ask(user=1, guild=50) for _ in range(6)]
    others = [await house.ask(user=2, guild=60) for _ in range(2)]
    for job in (*capped[:2], *others):
        await house.until(job, JobState.RUNNING)
    await asyncio.sleep(0.05)
    assert len(fal.submitted) == 4
    assert [(await house.until(job, JobState.QUEUED)).id for job in capped[2:]] == [job.id for job in capped[2:]]
    fal.hold.set()
    for job in (*capped, *others):
        await house.until(job, JobState.DELIVERED)


async def test_a_running_job_is_taken_up_after_a_restart_without_a_second_submit(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal)
    job = await house.ask()
    await house.until(job, JobState.RUNNING)
    restarted = await build(fal)
    fal.hold.set()
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_a_shutdown_waits_for_the_submit_under_way(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.hold.clear()
    house = await build(fal)
    job = await house.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    stopping = asyncio.create_task(house.runner.stop())
    await asyncio.sleep(0.02)
    fal.submit_gate.set()
    await stopping
    stored = await house.store.job(job.id)
    assert stored is not None
    assert stored.state is JobState.RUNNING
    assert stored.request is not None


async def test_waiting_jobs_start_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    house = await build(fal, run=False)
    job = await house.ask()
    restarted = await build(fal)
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_the_second_of_two_identical_events_starts_nothing(build: Build) -> None:
    house = await build()
    job = await house.ask()
    again = NewJob("anotherid1", job.actor, job.reply, job.order)
    outcome = await house.runner.accept(again, UNLIMITED)
    assert type(outcome).__name__ == "Duplicate"
    await house.until(job, JobState.DELIVERED)
    assert len(house.fal.submitted) == 1


async def test_a_job_that_fal_never_finishes_is_given_up_and_cancelled_there(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "LEAST_WATCH_S", 0.05)
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal, job_timeout_s=1.01)
    job = await house.ask()
    failed = await house.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "timed_out"
    assert len(fal.cancelled) == 1


async def test_a_shutdown_leaves_no_post_running_that_discord_keeps_waiting(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "DRAIN_S", 0.01)
    house = await build()
    began, ended = asyncio.Event(), asyncio.Event()

    async def deliver(job: Job, ready: Ready) -> int | None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    monkeypatch.setattr(house.shown, "deliver", deliver)
    await house.ask()
    async with asyncio.timeout(60):
        await began.wait()
    await house.runner.stop()
    assert ended.is_set()


# ---------------------------------------------------------------------- first answers before anything else


async def unanswered_crowd(house: House) -> list[Job]:
    """So many first answers under way that they press."""
    jobs = [await house.ask(user=100 + n, answered=False) for n in range(MANY_ANSWERS + 1)]
    assert house.runner.pressed
    return jobs


async def test_claims_make_room_for_first_answers(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PRESSED_PAUSES", 10**6)
    house = await build(run=False, max_in_flight=0)
    crowd = await unanswered_crowd(house)
    running = asyncio.create_task(house.runner.run())
    await asyncio.sleep(0.1)
    assert {job.state for job in await house.store.live_jobs()} == {JobState.QUEUED}

    for job in crowd:
        await house.runner.answered(job.id, 99)
    assert not house.runner.pressed
    for job in crowd:
        await house.until(job, JobState.DELIVERED)
    await house.runner.stop()
    await running


async def test_first_answers_that_do_not_come_hold_nobody_up_for_long(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await build(max_in_flight=0)
    await unanswered_crowd(house)
    assert house.runner.pressed
    early = await house.ask()
    await house.until(early, JobState.DELIVERED)

    monkeypatch.setattr(initial_response, "PRESSING_S", 0.0)
    assert not house.runner.pressed


async def test_only_a_few_more_are_claimed_than_fal_has_been_sent(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others keep their places in the queue: a newcomer of another server need not wait behind all of them."""
    monkeypatch.setattr(runner, "CLAIMED_AHEAD", 8)
    monkeypatch.setattr(initial_response, "MANY_ANSWERS", 1000)
    house = await build(max_in_flight=0)
    jobs = [await house.ask(user=100 + n, answered=False) for n in range(30)]
    await asyncio.sleep(0.2)

    states = [job.state for job in await house.store.live_jobs()]
    assert states.count(JobState.SUBMITTING) <= 8
    assert states.count(JobState.QUEUED) >= 22

    for job in jobs:
        await house.runner.answered(job.id, 99)
    for job in jobs:
        await house.until(job, JobState.DELIVERED)


async def test_places_are_looked_up_for_the_first_in_line_and_for_the_others_in_turn(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_positions, "PLACES_A_TICK", 3)
    house = await build(run=False)
    jobs = [(await house.ask(user=100 + n)).id for n in range(10)]

    ticks = [house.runner._places.next_shown() for _ in range(4)]

    assert ticks == [jobs[:3] + jobs[3:6], jobs[:3] + jobs[6:9], jobs[:3] + jobs[9:], jobs[:3] + jobs[3:6]]


async def test_a_tick_skips_what_ended_under_its_hands(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "TOLD_AT_ONCE", 1)
    fal = ScriptedFal()
    fal.hold.clear()
    house = await build(fal)
    jobs = [await house.ask(user=number) for number in range(3)]
    for job in jobs:
        await house.until(job, JobState.RUNNING)
    watching = vars(house.runner)["_watcher"]
    running = watching._running
    async with asyncio.timeout(60):
        while len(running) < 3:
            await asyncio.sleep(0.005)
    telling = asyncio.create_task(watching.publish_all())
    await asyncio.sleep(0)  # it has listed them, and is at the first
    running.pop(jobs[2].id)
    house.shown.events.clear()
    await telling
    assert jobs[2].id not in {job_id for job_id, _ in house.shown.events}
    fal.hold.set()


# ---------------------------------------------------------------------- many end at once


async def test_a_result_that_waits_long_for_its_turn_is_put_on_record(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fal does not keep it for ever, and Discord may be away for longer."""
    monkeypatch.setattr(delivery_pipeline, "IN_HAND_AT_ONCE", 1)
    monkeypatch.setattr(delivery_pipeline, "UNREAD_S", 0.05)
    house = await build()
    away = asyncio.Event()
    deliver = house.shown.deliver

    async def slowly(job: Job, ready: Ready) -> int | None:
        await away.wait()
        return await deliver(job, ready)

    monkeypatch.setattr(house.shown, "deliver", slowly)
    house.fal.hold.set()
    jobs = [await house.ask(user=number) for number in (1, 2, 3)]
    for job in jobs:
        kept = await house.until(job, JobState.FINISHED)
        assert kept.result is not None
    away.set()
    for job in jobs:
        await house.until(job, JobState.DELIVERED)
    assert sorted(job.id for job, _ in house.shown.delivered) == sorted(job.id for job in jobs)


async def test_what_is_being_claimed_at_a_stop_goes_back_to_the_queue(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it left, so the next start need not look for it at fal."""
    house = await build()
    claim, claiming = house.store.claim, asyncio.Event()

    async def slowly(*given: Any, **options: Any) -> list[Job]:
        claimed = await claim(*given, **options)
        if claimed:
            claiming.set()
            await asyncio.sleep(0.1)
        return claimed

    monkeypatch.setattr(house.store, "claim", slowly)
    job = await house.ask()
    await asyncio.wait_for(claiming.wait(), 5)
    await house.runner.stop()
    kept = await house.store.job(job.id)
    assert kept is not None
    assert kept.state is JobState.QUEUED
    assert house.fal.submitted == []


async def test_a_callback_before_everything_is_taken_up_is_kept(build: Build) -> None:
    """It may be about a submit of the process before, whose answer was lost; fal does not call twice."""
    house = await build(run=False)
    await house.runner.heard("job0000009", 1, "r5")
    assert house.runner._reconciler.heard_of("job0000009", 1) == "r5"
