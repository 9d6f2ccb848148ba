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
from bot.catalogue.model import Model
from bot.domain.events import ConfirmingSubmit, InProgress, Progress, ProviderUnavailable, Queued
from bot.domain.job import Actor, FalRequest, Job, JobState, NewJob, RemotePicture, Reply, Result
from bot.domain.picture import Picture
from bot.domain.ports import DeliverableImages
from bot.domain.request import Json
from bot.errors import ContentRefused, GenerationFailed, ProviderError, ProviderUnreachable, SubmitUnconfirmed
from bot.fal import CancelAnswer, CompletedStatus, FoundRequest, InProgressStatus, InQueueStatus
from bot.jobs import delivery_pipeline, initial_response, queue_positions, runner, submitter, watcher
from bot.jobs.initial_response import BACKPRESSURE_FROM
from bot.jobs.runner import Runner
from bot.limits import Policy, policy_for
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

    unavailable = False

    def __init__(self) -> None:
        self.submitted: list[tuple[str, Mapping[str, Json]]] = []
        self.submit_errors: list[Exception] = []
        self.cancelled: list[FalRequest] = []
        self.cancel_answer = CancelAnswer.REMOVED_OR_REQUESTED
        self.hold = asyncio.Event()
        self.hold.set()
        self.statuses: list[InQueueStatus | InProgressStatus] = [
            InQueueStatus(0),
            InProgressStatus(("50%|#####     | 2/4",)),
        ]
        self.result_error: GenerationFailed | None = None
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
    ) -> AsyncIterator[InQueueStatus | InProgressStatus | CompletedStatus]:
        for status in self.statuses:
            yield status
        await self.hold.wait()
        yield CompletedStatus(None)

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
        self.delivered: list[tuple[Job, DeliverableImages]] = []
        self.notified: list[Job] = []
        self.resumptions: list[str] = []
        self.repaired: list[tuple[Job, DeliverableImages | None]] = []
        self.forgotten: list[str] = []
        self.answered: bool | None = True

    def progress(self, job: Job, progress: Progress) -> None:
        self.events.append((job.id, progress))

    async def repair_message(self, job: Job, ready: DeliverableImages | None) -> None:
        self.repaired.append((job, ready))

    def resumed(self, job: Job) -> None:
        self.resumptions.append(job.id)

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

    async def fetch(self, url: str, *, option: str) -> Picture:
        raise AssertionError("no attachment expected")


class RunnerFixture:
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
                found = await self.store.jobs.get(job.id)
                assert found is not None
                if found.state is state:
                    return found
                await asyncio.sleep(0.005)


Build = Callable[..., Awaitable[RunnerFixture]]


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Build]:
    """Make running houses; all of one test share one database file, one after another."""
    houses: list[tuple[RunnerFixture, asyncio.Task[None]]] = []

    async def make(
        fal: ScriptedFal | None = None,
        *,
        run: bool = True,
        max_in_flight: int = 10,
        job_timeout_s: float = 60,
        reconcile_s: float = 60,
        answered: bool | None = True,
        **caps: Any,
    ) -> RunnerFixture:
        await leave()
        store = await Store.open(f"sqlite:///{tmp_path / 'easel.db'}")
        settings = FalSettings(
            max_in_flight=max_in_flight, job_timeout_s=job_timeout_s, reconcile_s=reconcile_s, **caps
        )
        runner_fixture = RunnerFixture(store, fal or ScriptedFal(), settings)
        runner_fixture.shown.answered = answered
        task = asyncio.create_task(runner_fixture.runner.run() if run else asyncio.sleep(0))
        houses.append((runner_fixture, task))
        return runner_fixture

    async def leave() -> None:
        while houses:
            runner_fixture, task = houses.pop()
            await runner_fixture.runner.stop()
            await task
            await runner_fixture.store.close()

    yield make
    await leave()


async def test_a_job_goes_from_queue_to_channel_with_one_submit(build: Build) -> None:
    runner_fixture = await build()
    job = await runner_fixture.ask()
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert len(runner_fixture.fal.submitted) == 1
    assert runner_fixture.fal.submitted[0][1]["prompt"] == "a fox"
    assert [delivered.id for delivered, _ in runner_fixture.shown.delivered] == [job.id]
    assert done.result is not None
    assert done.result.seed == 7
    assert any(isinstance(event, InProgress) and event.fraction == 0.5 for _, event in runner_fixture.shown.events)


async def test_nothing_is_spent_before_the_person_was_answered(build: Build) -> None:
    runner_fixture = await build()
    job = await runner_fixture.ask(answered=False)
    await runner_fixture.until(job, JobState.SUBMITTING)
    await asyncio.sleep(0.05)
    assert runner_fixture.fal.submitted == []
    await runner_fixture.runner.answered(job.id, 5)
    await runner_fixture.until(job, JobState.DELIVERED)


async def test_an_answer_that_never_reached_the_person_spends_nothing(build: Build) -> None:
    runner_fixture = await build()
    job = await runner_fixture.ask(answered=False)
    await runner_fixture.runner.unanswered(job.id)
    await runner_fixture.until(job, JobState.CANCELLED)
    assert runner_fixture.fal.submitted == []
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


async def test_a_refusal_by_fal_releases_the_quota_and_tells_the_person(build: Build) -> None:
    fal = ScriptedFal()
    fal.result_error = ContentRefused()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "content_refused"
    async with asyncio.timeout(60):
        while not runner_fixture.shown.notified:
            await asyncio.sleep(0.005)
    assert runner_fixture.shown.notified[0].id == job.id
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


async def test_a_request_whose_answer_was_lost_is_found_and_not_sent_again(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    fal.keeps_lost = True
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1
    assert done.fal_request is not None
    assert done.fal_request.request_id == "lost1"
    assert done.possible_doubles == 0


async def test_a_request_that_does_not_turn_up_is_sent_again_and_flagged(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, reconcile_s=0.02)
    job = await runner_fixture.ask()
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 2
    assert (done.attempts, done.possible_doubles) == (2, 1)


async def test_after_enough_lost_answers_the_person_is_told(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")] * 9
    runner_fixture = await build(fal, reconcile_s=0.0)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "answer_lost"
    assert len(fal.submitted) == submitter.MOST_LOSSES
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


async def test_a_single_job_that_fal_answers_with_an_error_ends_with_a_sentence(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "REFUSED_WAITS_S", (0.05,))
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("500", refused=True)] * 9
    runner_fixture = await build(fal)
    failed = await runner_fixture.until(await runner_fixture.ask(), JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == ProviderError.code
    assert len(fal.submitted) == 1
    assert fal.looks > 0
    assert not any(
        isinstance(event, ProviderUnavailable | ConfirmingSubmit) for _, event in runner_fixture.shown.events
    )


async def test_while_fal_answers_everybody_with_errors_nobody_fails_and_the_queue_is_kept(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "REFUSED_WAITS_S", (0.3,))
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("500", refused=True)] * 10**6
    runner_fixture = await build(fal, max_in_flight=0)
    jobs = [await runner_fixture.ask(user=number) for number in range(150)]
    async with asyncio.timeout(60):
        while len(fal.submitted) < 2 * submitter.SUBMITS_AT_ONCE:  # the first ones come round again
            await asyncio.sleep(0.01)
    found = [await runner_fixture.store.jobs.get(job.id) for job in jobs]
    states = Counter(job.state for job in found if job is not None)
    assert states[JobState.QUEUED] >= len(jobs) - runner.CLAIMED_AHEAD - submitter.SUBMITS_AT_ONCE
    assert not states[JobState.FAILED]
    fal.submit_errors.clear()
    for job in jobs:
        done = await runner_fixture.until(job, JobState.DELIVERED)
        assert done.possible_doubles == done.attempts - 1
    assert len(runner_fixture.shown.delivered) == len(jobs)


async def test_an_error_of_fal_that_its_list_outlasts_is_an_outage(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "REFUSED_WAITS_S", (0.0,))
    monkeypatch.setattr(submitter, "BLIND_S", 0.2)
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("500", refused=True)]
    runner_fixture = await build(fal)
    find = fal.find_requests

    async def late(*given: Any, **options: Any) -> Any:
        await asyncio.sleep(0.3)
        return await find(*given, **options)

    vars(fal)["find_requests"] = late
    await runner_fixture.until(await runner_fixture.ask(), JobState.DELIVERED)
    assert len(fal.submitted) == 2


async def test_cancelling_while_an_answer_is_missing_says_that_it_may_cost(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, reconcile_s=600)
    job = await runner_fixture.ask()
    async with asyncio.timeout(60):
        while not fal.looks:
            await asyncio.sleep(0.005)
    (until,) = [event.until for _, event in runner_fixture.shown.events if isinstance(event, ConfirmingSubmit)]
    assert 590 < (until - now()).total_seconds() <= 600
    assert not any(isinstance(event, ProviderUnavailable) for _, event in runner_fixture.shown.events)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert "may still charge" in outcome.sentence
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert "may still charge" in ended.failure.sentence
    assert len(fal.submitted) == 1


async def test_a_job_found_in_the_middle_of_its_submit_is_reconciled_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    runner_fixture.runner._context._critical.clear()  # as a kill would: nobody waits for the POST
    fal.keeps_lost = True
    restarted = await build(fal)
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_a_job_found_before_its_submit_is_sent_at_once_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture = await build(fal, run=False)
    job = await runner_fixture.ask()
    (claimed,) = await runner_fixture.store.jobs.claim(1)  # and killed, before anything was sent
    assert claimed.id == job.id
    restarted = await build(fal, reconcile_s=600)
    done = await restarted.until(job, JobState.DELIVERED)
    assert (len(fal.submitted), fal.looks, done.possible_doubles) == (1, 0, 0)


async def test_nothing_is_sent_that_another_process_has_taken_over(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(answered=False)
    claimed = await runner_fixture.until(job, JobState.SUBMITTING)
    await runner_fixture.store.jobs.transition(claimed, JobState.QUEUED)
    runner_fixture.runner._context.recheck_queue = False  # the other one claims it
    await runner_fixture.runner.answered(job.id, 5)
    async with asyncio.timeout(60):
        while runner_fixture.runner.jobs_alive:
            await asyncio.sleep(0.005)
    assert fal.submitted == []


async def test_a_job_whose_person_never_saw_an_answer_is_not_painted_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture = await build(fal, run=False)
    job = await runner_fixture.ask(answered=False)
    restarted = await build(fal, answered=False)
    await restarted.until(job, JobState.CANCELLED)
    assert fal.submitted == []
    assert (await restarted.store.usage.of(job.actor)).images_today == 0


async def test_a_callback_names_a_request_whose_answer_was_lost(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, reconcile_s=600)
    job = await runner_fixture.ask()
    async with asyncio.timeout(60):
        while not fal.looks:
            await asyncio.sleep(0.005)
    await runner_fixture.runner.on_webhook(job.id, 1, "called1")
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert done.fal_request is not None
    assert done.fal_request.request_id == "called1"


async def test_a_submit_that_never_left_is_tried_again(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitter, "UNREACHABLE_PAUSES_S", (0.0, 0.0))
    fal = ScriptedFal()
    fal.submit_errors = [ProviderUnreachable("refused"), ProviderUnreachable("refused")]
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 3


async def test_a_flagged_picture_is_withheld_outside_age_restricted_channels(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True,)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "withheld"
    assert runner_fixture.shown.delivered == []


async def test_a_flagged_picture_goes_behind_a_spoiler_inside(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, False)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(age_restricted=True)
    await runner_fixture.until(job, JobState.DELIVERED)
    assert runner_fixture.shown.delivered[0][1].spoilers == (True, False)


async def test_a_missing_flag_counts_as_flagged(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = None
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "withheld"


async def test_only_the_unflagged_pictures_of_several_are_shown(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, False, False)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.DELIVERED)
    ready = runner_fixture.shown.delivered[0][1]
    assert len(ready.pictures) == 2
    assert ready.withheld == 1


async def test_cancelling_a_waiting_job_costs_nothing(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, max_in_flight=1)
    first = await runner_fixture.ask()
    await runner_fixture.until(first, JobState.RUNNING)
    second = await runner_fixture.ask()
    outcome = await runner_fixture.runner.cancel(second.id)
    assert outcome.cancelled
    assert "nothing was charged" in outcome.sentence
    await runner_fixture.until(second, JobState.CANCELLED)
    fal.hold.set()
    await runner_fixture.until(first, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_cancelling_a_running_job_tells_fal_and_says_that_it_may_cost(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    async with asyncio.timeout(60):
        while not any(isinstance(event, InProgress) for _, event in runner_fixture.shown.events):
            await asyncio.sleep(0.005)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert outcome.cancelled
    assert "may still charge" in outcome.sentence
    assert [request.request_id for request in fal.cancelled] == ["r1"]
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert runner_fixture.shown.notified[0].id == job.id
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


async def painted_at_fal(build: Build) -> tuple[ScriptedFal, RunnerFixture, Job]:
    """A running job that fal has painted, which the bot hears once `hold` is set."""
    fal = ScriptedFal()
    fal.hold.clear()
    fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    return fal, runner_fixture, await runner_fixture.until(job, JobState.RUNNING)


async def test_a_cancel_that_comes_too_late_still_delivers(build: Build) -> None:
    fal, runner_fixture, job = await painted_at_fal(build)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert not outcome.cancelled
    fal.hold.set()
    await runner_fixture.until(job, JobState.DELIVERED)


async def test_a_cancel_during_the_submit_is_carried_out_at_fal(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert outcome.cancelled
    fal.submit_gate.set()
    await runner_fixture.until(job, JobState.CANCELLED)
    assert len(fal.cancelled) == 1


async def test_a_cancel_during_the_submit_holds_even_if_fal_has_painted_it_by_then(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(policy=TIGHT)
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    assert "quota is not used" in (await runner_fixture.runner.cancel(job.id)).sentence
    fal.submit_gate.set()
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert "may have painted it" in ended.failure.sentence
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0
    assert runner_fixture.shown.delivered == []


async def test_a_cancel_that_crosses_the_claim_holds(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, max_in_flight=1)
    first = await runner_fixture.ask()
    await runner_fixture.until(first, JobState.RUNNING)
    second = await runner_fixture.ask()
    really = runner_fixture.runner._context.transition_to_cancelled

    async def after_the_claim(job: Job, sentence: str) -> Job | None:
        monkeypatch.undo()
        fal.hold.set()
        await runner_fixture.until(first, JobState.DELIVERED)
        await runner_fixture.until(second, JobState.CANCELLED)
        return await really(job, sentence)

    monkeypatch.setattr(runner_fixture.runner._context, "transition_to_cancelled", after_the_claim)
    outcome = await runner_fixture.runner.cancel(second.id)
    assert outcome.cancelled
    assert "just being handed" in outcome.sentence
    assert len(fal.submitted) == 1


async def test_a_cancel_that_a_kill_left_undone_is_carried_out_by_the_next_start(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.RUNNING)
    await runner_fixture.store.jobs.annotate(job.id, cancel_requested=True)
    restarted = await build(fal)
    await restarted.until(job, JobState.CANCELLED)
    assert len(fal.cancelled) == 1


async def test_what_a_kill_left_undone_holds_even_if_fal_has_painted_it_by_then(build: Build) -> None:
    """Who presses Cancel during the submit is promised that it costs no quota; then the process is killed."""
    fal, runner_fixture, job = await painted_at_fal(build)
    await runner_fixture.store.jobs.annotate(job.id, cancel_requested=True)
    restarted = await build(fal)
    await restarted.until(job, JobState.CANCELLED)
    fal.hold.set()
    assert restarted.shown.delivered == []
    assert (await restarted.store.usage.of(job.actor)).images_today == 0


async def test_who_was_told_that_a_cancel_is_too_late_gets_the_picture_from_the_next_start_too(build: Build) -> None:
    fal, runner_fixture, job = await painted_at_fal(build)
    assert "Too late" in (await runner_fixture.runner.cancel(job.id)).sentence
    restarted = await build(fal)
    fal.hold.set()
    await restarted.until(job, JobState.DELIVERED)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.FINISHED])
async def test_a_picture_is_not_posted_to_whom_the_first_answer_never_reached(build: Build, state: JobState) -> None:
    """Who saw "did not respond" gets nothing, not even when fal has painted it; see `Runner.unanswered`."""
    fal, runner_fixture, job = await painted_at_fal(build)
    if state is JobState.FINISHED:
        await runner_fixture.runner.stop()
        assert job.fal_request is not None
        result = await fal.result(job.fal_request, model=CATALOGUE.get("flux-schnell"))
        assert await runner_fixture.store.jobs.transition(job, JobState.FINISHED, result=result)
    await runner_fixture.store.jobs.annotate(job.id, cancel_requested=True, notified=True)
    fal.hold.set()
    if state is JobState.FINISHED:
        runner_fixture = await build(fal)
    await runner_fixture.until(job, JobState.CANCELLED)
    async with asyncio.timeout(60):
        while runner_fixture.shown.forgotten != [job.id]:  # no progress is shown any more
            await asyncio.sleep(0.005)
    assert (runner_fixture.shown.delivered, runner_fixture.shown.notified) == ([], [])
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


async def test_no_more_jobs_are_in_flight_than_allowed_and_places_are_shown(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, max_in_flight=2)
    jobs = [await runner_fixture.ask(user=number) for number in range(5)]
    async with asyncio.timeout(60):
        while not any(job_id == jobs[4].id and event == Queued(2) for job_id, event in runner_fixture.shown.events):
            await asyncio.sleep(0.005)
    assert len(fal.submitted) == 2
    fal.hold.set()
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)


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
    runner_fixture = await build(fal, max_in_flight=3)
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)
    assert most == 3


@pytest.mark.parametrize("cap", ["guild_jobs_in_flight", "user_jobs_in_flight"])
async def test_who_is_at_a_cap_waits_while_others_go_on_and_then_goes_on_too(build: Build, cap: str) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, **{cap: 2})
    capped = [await runner_fixture.ask(user=1, guild=50) for _ in range(6)]
    others = [await runner_fixture.ask(user=2, guild=60) for _ in range(2)]
    for job in (*capped[:2], *others):
        await runner_fixture.until(job, JobState.RUNNING)
    await asyncio.sleep(0.05)
    assert len(fal.submitted) == 4
    assert [(await runner_fixture.until(job, JobState.QUEUED)).id for job in capped[2:]] == [
        job.id for job in capped[2:]
    ]
    fal.hold.set()
    for job in (*capped, *others):
        await runner_fixture.until(job, JobState.DELIVERED)


async def test_a_running_job_is_taken_up_after_a_restart_without_a_second_submit(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.RUNNING)
    restarted = await build(fal)
    fal.hold.set()
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_a_shutdown_waits_for_the_submit_under_way(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    stopping = asyncio.create_task(runner_fixture.runner.stop())
    await asyncio.sleep(0.02)
    fal.submit_gate.set()
    await stopping
    stored = await runner_fixture.store.jobs.get(job.id)
    assert stored is not None
    assert stored.state is JobState.RUNNING
    assert stored.fal_request is not None


async def test_waiting_jobs_start_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture = await build(fal, run=False)
    job = await runner_fixture.ask()
    restarted = await build(fal)
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_the_second_of_two_identical_events_starts_nothing(build: Build) -> None:
    runner_fixture = await build()
    job = await runner_fixture.ask()
    again = NewJob("anotherid1", job.actor, job.reply, job.request)
    outcome = await runner_fixture.runner.accept(again, UNLIMITED)
    assert type(outcome).__name__ == "Duplicate"
    await runner_fixture.until(job, JobState.DELIVERED)
    assert len(runner_fixture.fal.submitted) == 1


async def test_a_job_that_fal_never_finishes_is_given_up_and_cancelled_there(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "LEAST_WATCH_S", 0.05)
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, job_timeout_s=1.01)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "timed_out"
    assert len(fal.cancelled) == 1


async def test_a_shutdown_leaves_no_post_running_that_discord_keeps_waiting(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "DRAIN_S", 0.01)
    runner_fixture = await build()
    began, ended = asyncio.Event(), asyncio.Event()

    async def deliver(job: Job, ready: DeliverableImages) -> int | None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    monkeypatch.setattr(runner_fixture.shown, "deliver", deliver)
    await runner_fixture.ask()
    async with asyncio.timeout(60):
        await began.wait()
    await runner_fixture.runner.stop()
    assert ended.is_set()


# ---------------------------------------------------------------------- first answers before anything else


async def unanswered_crowd(runner_fixture: RunnerFixture) -> list[Job]:
    """So many first answers under way that they press."""
    jobs = [await runner_fixture.ask(user=100 + n, answered=False) for n in range(BACKPRESSURE_FROM + 1)]
    assert runner_fixture.runner.backpressure
    return jobs


async def test_claims_make_room_for_first_answers(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BACKPRESSURE_PAUSES", 10**6)
    runner_fixture = await build(run=False, max_in_flight=0)
    crowd = await unanswered_crowd(runner_fixture)
    running = asyncio.create_task(runner_fixture.runner.run())
    await asyncio.sleep(0.1)
    assert {job.state for job in await runner_fixture.store.jobs.live()} == {JobState.QUEUED}

    for job in crowd:
        await runner_fixture.runner.answered(job.id, 99)
    assert not runner_fixture.runner.backpressure
    for job in crowd:
        await runner_fixture.until(job, JobState.DELIVERED)
    await runner_fixture.runner.stop()
    await running


async def test_first_answers_that_do_not_come_hold_nobody_up_for_long(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner_fixture = await build(max_in_flight=0)
    await unanswered_crowd(runner_fixture)
    assert runner_fixture.runner.backpressure
    early = await runner_fixture.ask()
    await runner_fixture.until(early, JobState.DELIVERED)

    monkeypatch.setattr(initial_response, "BACKPRESSURE_WINDOW_S", 0.0)
    assert not runner_fixture.runner.backpressure


async def test_only_a_few_more_are_claimed_than_fal_has_been_sent(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others keep their places in the queue: a newcomer of another server need not wait behind all of them."""
    monkeypatch.setattr(runner, "CLAIMED_AHEAD", 8)
    monkeypatch.setattr(initial_response, "BACKPRESSURE_FROM", 1000)
    runner_fixture = await build(max_in_flight=0)
    jobs = [await runner_fixture.ask(user=100 + n, answered=False) for n in range(30)]
    await asyncio.sleep(0.2)

    states = [job.state for job in await runner_fixture.store.jobs.live()]
    assert states.count(JobState.SUBMITTING) <= 8
    assert states.count(JobState.QUEUED) >= 22

    for job in jobs:
        await runner_fixture.runner.answered(job.id, 99)
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)


async def test_places_are_looked_up_for_the_first_in_line_and_for_the_others_in_turn(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_positions, "POSITIONS_A_TICK", 3)
    runner_fixture = await build(run=False)
    jobs = [(await runner_fixture.ask(user=100 + n)).id for n in range(10)]

    ticks = [runner_fixture.runner._positions.next_shown() for _ in range(4)]

    assert ticks == [jobs[:3] + jobs[3:6], jobs[:3] + jobs[6:9], jobs[:3] + jobs[9:], jobs[:3] + jobs[3:6]]


async def test_a_tick_skips_what_ended_under_its_hands(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "TOLD_AT_ONCE", 1)
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal)
    jobs = [await runner_fixture.ask(user=number) for number in range(3)]
    for job in jobs:
        await runner_fixture.until(job, JobState.RUNNING)
    watching = vars(runner_fixture.runner)["_watcher"]
    running = watching._running
    async with asyncio.timeout(60):
        while len(running) < 3:
            await asyncio.sleep(0.005)
    telling = asyncio.create_task(watching.publish_all())
    await asyncio.sleep(0)  # it has listed them, and is at the first
    running.pop(jobs[2].id)
    runner_fixture.shown.events.clear()
    await telling
    assert jobs[2].id not in {job_id for job_id, _ in runner_fixture.shown.events}
    fal.hold.set()


# ---------------------------------------------------------------------- many end at once


async def test_a_result_that_waits_long_for_its_turn_is_put_on_record(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fal does not keep it for ever, and Discord may be away for longer."""
    monkeypatch.setattr(delivery_pipeline, "IN_HAND_AT_ONCE", 1)
    monkeypatch.setattr(delivery_pipeline, "UNREAD_S", 0.05)
    runner_fixture = await build()
    away = asyncio.Event()
    deliver = runner_fixture.shown.deliver

    async def slowly(job: Job, ready: DeliverableImages) -> int | None:
        await away.wait()
        return await deliver(job, ready)

    monkeypatch.setattr(runner_fixture.shown, "deliver", slowly)
    runner_fixture.fal.hold.set()
    jobs = [await runner_fixture.ask(user=number) for number in (1, 2, 3)]
    for job in jobs:
        kept = await runner_fixture.until(job, JobState.FINISHED)
        assert kept.result is not None
    away.set()
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)
    assert sorted(job.id for job, _ in runner_fixture.shown.delivered) == sorted(job.id for job in jobs)


async def test_what_is_being_claimed_at_a_stop_goes_back_to_the_queue(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it left, so the next start need not look for it at fal."""
    runner_fixture = await build()
    claim, claiming = runner_fixture.store.jobs.claim, asyncio.Event()

    async def slowly(*given: Any, **options: Any) -> list[Job]:
        claimed = await claim(*given, **options)
        if claimed:
            claiming.set()
            await asyncio.sleep(0.1)
        return claimed

    monkeypatch.setattr(runner_fixture.store.jobs, "claim", slowly)
    job = await runner_fixture.ask()
    await asyncio.wait_for(claiming.wait(), 5)
    await runner_fixture.runner.stop()
    kept = await runner_fixture.store.jobs.get(job.id)
    assert kept is not None
    assert kept.state is JobState.QUEUED
    assert runner_fixture.fal.submitted == []


async def test_a_callback_before_everything_is_taken_up_is_kept(build: Build) -> None:
    """It may be about a submit of the process before, whose answer was lost; fal does not call twice."""
    runner_fixture = await build(run=False)
    await runner_fixture.runner.on_webhook("job0000009", 1, "r5")
    assert runner_fixture.runner._reconciler.webhook_request("job0000009", 1) == "r5"
