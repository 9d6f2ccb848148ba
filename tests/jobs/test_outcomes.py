"""How jobs end: refused, flagged, kept until it is their turn."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.job import Job, JobState
from bot.domain.ports import DeliverableImages
from bot.errors import ContentRefused
from tests.bench.pictures import noise_png
from tests.jobs.scripted import (
    Build,
    ScriptedFal,
)


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


async def test_a_flagged_picture_is_withheld_outside_age_restricted_channels(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True,)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "result_withheld"
    assert runner_fixture.shown.delivered == []


async def test_a_flagged_picture_goes_behind_a_spoiler_inside(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, False)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(age_restricted=True, count=2)
    await runner_fixture.until(job, JobState.DELIVERED)
    assert runner_fixture.shown.delivered[0][1].spoilers == (True, False)


async def test_a_missing_flag_counts_as_flagged(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = None
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "result_withheld"


async def test_only_the_unflagged_pictures_of_several_are_shown(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, False, False)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(count=3)
    await runner_fixture.until(job, JobState.DELIVERED)
    ready = runner_fixture.shown.delivered[0][1]
    assert len(ready.pictures) == 2
    assert ready.withheld == 1


async def test_a_result_that_waits_long_for_its_turn_is_put_on_record(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fal does not keep it for ever, and Discord may be away for longer."""
    runner_fixture = await build(timings={"unread_s": 0.05}, pictures_in_hand_mib=1)
    away = asyncio.Event()
    runner_fixture.fal.picture = noise_png(700)
    deliver, in_hand = runner_fixture.shown.deliver, []

    async def slowly(job: Job, ready: DeliverableImages) -> int | None:
        in_hand.append(job.id)
        await away.wait()
        return await deliver(job, ready)

    monkeypatch.setattr(runner_fixture.shown, "deliver", slowly)
    runner_fixture.fal.hold.set()
    jobs = [await runner_fixture.ask(user=1)]
    async with asyncio.timeout(10):
        while not in_hand:
            await asyncio.sleep(0.01)
    jobs += [await runner_fixture.ask(user=number) for number in (2, 3)]
    for job in jobs:
        kept = await runner_fixture.until(job, JobState.FINISHED)
        assert kept.result is not None
    assert in_hand == [jobs[0].id]  # its picture fills the budget of 1 MiB
    away.set()
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)
    assert sorted(job.id for job, _ in runner_fixture.shown.delivered) == sorted(job.id for job in jobs)
