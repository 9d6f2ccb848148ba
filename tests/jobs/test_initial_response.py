"""Nothing is spent before the person was answered, and answers go before everything else."""

from __future__ import annotations

import asyncio

from bot.domain.job import Job, JobState
from bot.jobs.timings import JobTimings
from tests.jobs.scripted import (
    Build,
    RunnerFixture,
    ScriptedFal,
    turns,
    until,
)


async def test_nothing_is_spent_before_the_person_was_answered(build: Build) -> None:
    runner_fixture = await build()
    job = await runner_fixture.ask(answered=False)
    await runner_fixture.until(job, JobState.SUBMITTING)
    await turns(runner_fixture.store)
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


async def test_a_job_whose_person_never_saw_an_answer_is_not_painted_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture = await build(fal, run=False)
    job = await runner_fixture.ask(answered=False)
    restarted = await build(fal, answered=False)
    await restarted.until(job, JobState.CANCELLED)
    assert fal.submitted == []
    assert (await restarted.store.usage.of(job.actor)).images_today == 0


async def test_nothing_is_shown_of_a_job_before_its_person_was_answered(build: Build) -> None:
    # What is edited by the token of an interaction that Discord delivered again is the card of the job before.
    runner_fixture = await build(max_in_flight=1)
    runner_fixture.fal.hold.clear()
    await runner_fixture.until(await runner_fixture.ask(), JobState.RUNNING)
    shown = await runner_fixture.ask(user=2)
    unanswered = await runner_fixture.ask(user=3, answered=False)
    for _ in range(3):  # positions are shown again and again
        runner_fixture.shown.latest.clear()
        await until(lambda: shown.id in runner_fixture.shown.latest)
    assert unanswered.id not in dict(runner_fixture.shown.events)

    await runner_fixture.runner.answered(unanswered.id, 99)
    await until(lambda: unanswered.id in runner_fixture.shown.latest)
    runner_fixture.fal.hold.set()


async def unanswered_crowd(runner_fixture: RunnerFixture) -> list[Job]:
    """So many initial responses under way that everything else is held back."""
    jobs = [await runner_fixture.ask(user=100 + n, answered=False) for n in range(JobTimings().backpressure_from + 1)]
    assert runner_fixture.runner.backpressure
    return jobs


async def test_claims_make_room_for_initial_responses(build: Build) -> None:
    runner_fixture = await build(run=False, max_in_flight=0, timings={"backpressure_pauses": 10**6})
    crowd = await unanswered_crowd(runner_fixture)
    running = asyncio.create_task(runner_fixture.runner.run())
    await turns(runner_fixture.store)
    assert {job.state for job in await runner_fixture.store.jobs.live()} == {JobState.QUEUED}

    for job in crowd:
        await runner_fixture.runner.answered(job.id, 99)
    assert not runner_fixture.runner.backpressure
    for job in crowd:
        await runner_fixture.until(job, JobState.DELIVERED)
    await runner_fixture.runner.stop()
    await running


async def test_initial_responses_that_do_not_come_hold_nobody_up_for_long(build: Build) -> None:
    runner_fixture = await build(max_in_flight=0)
    await unanswered_crowd(runner_fixture)
    assert runner_fixture.runner.backpressure
    early = await runner_fixture.ask()
    await runner_fixture.until(early, JobState.DELIVERED)

    runner_fixture.ahead_s += JobTimings().backpressure_window_s
    assert not runner_fixture.runner.backpressure
