"""Many jobs at once: caps, positions in the queue, how many are claimed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.domain.events import Queued
from bot.domain.job import JobState
from tests.jobs.scripted import (
    Build,
    ScriptedFal,
    turns,
    until,
)


async def test_only_a_few_more_are_claimed_than_fal_has_been_sent(build: Build) -> None:
    """The others keep their positions in the queue: a newcomer of another server need not wait behind all of them."""
    runner_fixture = await build(max_in_flight=0, timings={"claimed_ahead": 8, "backpressure_from": 1000})
    jobs = [await runner_fixture.ask(user=100 + n, answered=False) for n in range(30)]
    await until(lambda: len(runner_fixture.runner._active.unsent) > 4)
    await turns(runner_fixture.store)

    states = [job.state for job in await runner_fixture.store.jobs.live()]
    assert states.count(JobState.SUBMITTING) <= 8
    assert states.count(JobState.QUEUED) >= 22

    for job in jobs:
        await runner_fixture.runner.answered(job.id, 99)
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)


async def test_no_more_jobs_are_in_flight_than_allowed_and_positions_are_shown(build: Build) -> None:
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
    await turns(runner_fixture.store)
    assert len(fal.submitted) == 4
    assert [(await runner_fixture.until(job, JobState.QUEUED)).id for job in capped[2:]] == [
        job.id for job in capped[2:]
    ]
    fal.hold.set()
    for job in (*capped, *others):
        await runner_fixture.until(job, JobState.DELIVERED)


async def test_positions_are_looked_up_for_the_first_in_line_and_for_the_others_in_turn(build: Build) -> None:
    runner_fixture = await build(run=False, timings={"positions_a_tick": 3})
    jobs = [(await runner_fixture.ask(user=100 + n)).id for n in range(10)]

    ticks = [runner_fixture.runner._positions.next_shown() for _ in range(4)]

    assert ticks == [jobs[:3] + jobs[3:6], jobs[:3] + jobs[6:9], jobs[:3] + jobs[9:], jobs[:3] + jobs[3:6]]


async def test_a_tick_skips_what_ended_under_its_hands(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, timings={"published_at_once": 1})
    jobs = [await runner_fixture.ask(user=number) for number in range(3)]
    for job in jobs:
        await runner_fixture.until(job, JobState.RUNNING)
    watching, active = runner_fixture.runner._watcher, runner_fixture.runner._active
    running = active.at_provider
    async with asyncio.timeout(60):
        while len(running) < 3:
            await asyncio.sleep(0.005)
    telling = asyncio.create_task(watching.publish_all())
    await asyncio.sleep(0)  # it has listed them, and is at the first
    watching.forget(jobs[2].id)
    runner_fixture.shown.events.clear()
    await telling
    assert jobs[2].id not in {job_id for job_id, _ in runner_fixture.shown.events}
    fal.hold.set()
