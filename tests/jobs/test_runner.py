"""The runner over a real store: from queue to channel, starts and stops; fal and Discord are scripted values."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.domain.events import InProgress
from bot.domain.job import Job, JobState, NewJob
from bot.domain.ports import DeliverableImages
from bot.errors import StoreUnusable
from tests.jobs.scripted import (
    MODEL,
    UNLIMITED,
    Build,
    ScriptedFal,
    turns,
    until,
)


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
    await turns(runner_fixture.store)
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
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, job_timeout_s=1.01, timings={"least_watch_s": 0.05})
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "generation_timed_out"
    assert len(fal.cancelled) == 1


async def test_a_shutdown_leaves_no_post_running_that_discord_keeps_waiting(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner_fixture = await build(timings={"drain_s": 0.01})
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


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.FINISHED])
async def test_what_is_being_taken_up_at_a_stop_is_left_to_the_next_start(
    build: Build, monkeypatch: pytest.MonkeyPatch, state: JobState
) -> None:
    """Connections and decoders are closed after a stop: what would begin then could only fail."""
    fal = ScriptedFal()
    fal.hold.clear()
    before = await build(fal)
    job = await before.ask()
    running = await before.until(job, JobState.RUNNING)
    assert running.fal_request is not None
    if state is JobState.FINISHED:
        await before.runner.stop()
        await before.store.jobs.transition(running, state, result=await fal.result(running.fal_request, model=MODEL))
    restarted = await build(fal, run=False)
    adopt, adopted, go_on = restarted.store.leases.adopt, asyncio.Event(), asyncio.Event()

    async def slowly(**given: Any) -> list[Job]:
        jobs = await adopt(**given)
        adopted.set()
        await go_on.wait()
        return jobs

    monkeypatch.setattr(restarted.store.leases, "adopt", slowly)
    starting = asyncio.create_task(restarted.runner.run())
    async with asyncio.timeout(60):
        await adopted.wait()
    await restarted.runner.stop()
    go_on.set()
    await starting

    assert restarted.runner.jobs_alive == 0
    kept = await restarted.store.jobs.get(job.id)
    assert kept is not None
    assert kept.state is state
    fal.hold.set()
    await (await build(fal)).until(job, JobState.DELIVERED)


@pytest.mark.parametrize("came", [2, 64])
async def test_pictures_that_nobody_asked_for_are_neither_fetched_nor_posted(build: Build, came: int) -> None:
    fal = ScriptedFal()
    fal.nsfw = (False,) * came
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()

    done = await runner_fixture.until(job, JobState.DELIVERED)

    assert fal.downloads == 1
    assert [len(ready.pictures) for _, ready in runner_fixture.shown.delivered] == [1]
    assert done.result is not None
    assert len(done.result.pictures) == len(done.result.nsfw or ()) == 1


async def test_a_stop_while_the_database_is_away_fails_no_job(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.RUNNING)

    async def away(*_: Any, **__: Any) -> Any:
        raise StoreUnusable("The database does not answer in time.")

    with monkeypatch.context() as patch:
        patch.setattr(runner_fixture.store.jobs, "transition", away)
        runner_fixture.runner._context.stopping.set()
        fal.hold.set()
        await until(lambda: not runner_fixture.runner.jobs_alive)
    left = await runner_fixture.store.jobs.get(job.id)
    assert left is not None
    assert left.state is JobState.RUNNING
    restarted = await build(fal)
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1
