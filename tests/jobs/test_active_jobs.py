"""The registry of active jobs: whatever becomes of a job, nothing of it is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.domain.events import ProgressEvent
from bot.domain.job import Job, JobState, NewJob, Reply, Result
from bot.errors import ContentRefused, StoreUnusable, SubmitUnconfirmed
from bot.jobs.active_jobs import LISTED, ActiveJobs
from bot.jobs.timings import JobTimings
from bot.limits import Refused
from bot.store import Duplicate
from tests.jobs.scripted import TIGHT, UNLIMITED, Build, RunnerFixture, ScriptedFal, turns, until


def kept(runner_fixture: RunnerFixture) -> dict[str, Any]:
    """All that the runner still knows of any job."""
    active = runner_fixture.runner._active
    listed = {name: list(jobs) for name, jobs in active._listed.items() if jobs}
    return {"jobs": [job.id for job in active], **listed}


async def nothing_kept(runner_fixture: RunnerFixture) -> bool:
    await until(lambda: kept(runner_fixture) == {"jobs": []})
    return True


async def test_what_was_delivered_failed_or_cancelled_is_kept_nowhere(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped"), SubmitUnconfirmed("500", refused=True)]
    fal.keeps_lost = True
    runner_fixture = await build(fal, max_in_flight=4, reconcile_s=0.02, timings={"refused_waits_s": (0.02,)})
    jobs = [await runner_fixture.ask(user=number) for number in range(20)]
    for job in jobs[::3]:
        await runner_fixture.runner.cancel(job.id)
    fal.result_error = ContentRefused()
    await turns(runner_fixture.store)
    fal.result_error = None
    for job in jobs:
        await runner_fixture.runner.on_webhook(job.id, 1, "r1")
    await until(lambda: not runner_fixture.runner.jobs_alive and not len(runner_fixture.runner._positions))
    ends = {job.state for job in await runner_fixture.store.jobs.live()}
    assert ends == set()
    assert await nothing_kept(runner_fixture)
    assert set(runner_fixture.shown.forgotten) == {job.id for job in jobs}


async def test_what_was_refused_replayed_or_never_answered_is_kept_nowhere(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, max_in_flight=1)
    first = await runner_fixture.ask()
    await runner_fixture.until(first, JobState.RUNNING)

    replayed = await runner_fixture.runner.accept(NewJob("job9000001", first.actor, first.reply, first.request), TIGHT)
    assert isinstance(replayed, Duplicate)
    waiting = [await runner_fixture.ask(answered=False) for _ in range(5)]
    for job in waiting:
        await runner_fixture.runner.unanswered(job.id)
    for number in range(30):
        new = NewJob(f"job8{number:06}", first.actor, _another(first, 5000 + number), first.request)
        if isinstance(await runner_fixture.runner.accept(new, TIGHT), Refused):
            break
    else:
        raise AssertionError("the limit is never reached")
    fal.hold.set()
    await runner_fixture.until(first, JobState.DELIVERED)
    for job in await runner_fixture.store.jobs.live():
        await runner_fixture.runner.answered(job.id, 7)
    await until(lambda: not runner_fixture.runner.jobs_alive and not len(runner_fixture.runner._positions))
    assert await nothing_kept(runner_fixture)


def _another(job: Job, interaction_id: int) -> Reply:
    return replace(job.reply, interaction_id=interaction_id)


async def test_requests_refused_in_an_outage_are_not_kept_for_ever(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner_fixture = await build(max_in_flight=0)
    first = await runner_fixture.ask()
    await runner_fixture.until(first, JobState.DELIVERED)
    accept = runner_fixture.store.jobs.accept

    async def away(*given: Any, **options: Any) -> Any:
        raise StoreUnusable("The database is away.")

    async def committed_without_saying(*given: Any, **options: Any) -> Any:
        await accept(*given, **options)
        raise StoreUnusable("The connection broke.")

    async def refused(number: int) -> None:
        new = NewJob(f"job7{number:06}", first.actor, _another(first, 7000 + number), first.request)
        with pytest.raises(StoreUnusable):
            await runner_fixture.runner.accept(new, UNLIMITED)

    monkeypatch.setattr(runner_fixture.store.jobs, "accept", away)
    for number in range(50):
        await refused(number)
    monkeypatch.setattr(runner_fixture.store.jobs, "accept", committed_without_saying)
    await refused(50)
    assert len(runner_fixture.runner._active) == 51  # they may be on record all the same

    runner_fixture.ahead_s += JobTimings().doubtful_s
    assert await nothing_kept(runner_fixture)
    taken = await runner_fixture.store.jobs.get("job7000050")
    assert taken is not None
    assert taken.state is JobState.CANCELLED
    assert len(runner_fixture.fal.submitted) == 1


async def test_callbacks_about_jobs_that_ended_long_ago_are_kept_nowhere(build: Build) -> None:
    before = await build(run=False)
    for number in range(20):
        await before.runner.on_webhook(f"job6{number:06}", 1, f"r{number}")
    running = asyncio.create_task(before.runner.run())
    assert await nothing_kept(before)
    for number in range(20):
        await before.runner.on_webhook(f"job6{number:06}", 2, f"r{number}")
    assert await nothing_kept(before)
    await before.runner.stop()
    await running


async def test_a_stop_lets_go_of_everything(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, max_in_flight=2)
    jobs = [await runner_fixture.ask(user=number) for number in range(5)]
    await runner_fixture.until(jobs[0], JobState.RUNNING)
    await runner_fixture.runner.stop()
    assert kept(runner_fixture) == {"jobs": []}


def test_a_job_in_use_is_not_let_go_and_one_let_go_is_listed_nowhere() -> None:
    released: list[str] = []
    active = ActiveJobs(released.append)
    job = active.open("job0000001")
    job.adopting = True
    active.release(job.id)
    assert active.get(job.id) is job

    job.adopting = False
    job.position_from_s, job.found_request_id, job.in_flight_since_s = 0.0, "r1", 1.0
    assert [list(active.shown_positions), list(active.found), list(active.in_flight)] == [[job.id]] * 3
    active.release(job.id)
    job.probing_since_s = 1.0  # whoever still holds it changes nothing
    assert (len(active), released) == (0, [job.id])
    assert all(not active._listed[name] for name in LISTED)
    active.release(job.id)
    assert released == [job.id]


async def test_progress_says_that_a_job_goes_on_after_a_long_stop(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.RUNNING)
    restarted = await build(fal, timings={"noticeable_stop_s": -1})
    await until(lambda: restarted.shown.latest.get(job.id))
    event: ProgressEvent = restarted.shown.latest[job.id]
    assert event.resumed
    fal.hold.set()
    await restarted.until(job, JobState.DELIVERED)


async def test_a_result_for_a_job_without_pictures_fails_it_once(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = ()
    runner_fixture = await build(fal)

    async def empty(*_: Any, **__: Any) -> Result:
        return Result(())

    vars(fal)["result"] = empty
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert await nothing_kept(runner_fixture)
    assert [one.id for one in runner_fixture.shown.notified] == [job.id]
