"""Overdue callbacks: a few jobs are watched for all, unless callbacks get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.job import FalRequest, Job, JobState
from bot.domain.provider import Status
from bot.jobs.active_jobs import ActiveJobs
from bot.jobs.timings import JobTimings
from bot.jobs.webhook_monitor import WebhookMonitor
from bot.settings import FalSettings
from bot.store import Store
from tests.jobs.scripted import PATIENT, RunnerFixture, ScriptedFal, until

#: Two probes, and nothing is waited for.
IMPATIENT = replace(
    PATIENT, least_callback_wait_s=0.05, callback_patience=0.0, probe_again_s=0.05, probes=2, callback_late_s=0.05
)


class WatchedFal(ScriptedFal):
    """Counts who is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[str] = []

    async def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncGenerator[Status, None]:
        self.watched.append(request.request_id)
        async for status in super().watch(request, expected_s=expected_s, age_s=age_s):
            yield status


@pytest.fixture
async def runner_fixture(tmp_path: Path) -> AsyncIterator[RunnerFixture]:
    """A runner that fal calls back, impatient, with two probes."""
    store = await Store.open(f"sqlite:///{tmp_path / 'easel.db'}")
    fal = WatchedFal()
    fal.hold.clear()
    runner_fixture = RunnerFixture(
        store,
        fal,
        FalSettings(max_in_flight=0),
        IMPATIENT,
        callback_url=lambda job_id, attempt: f"https://easel.example/fal/{job_id}/{attempt}",
    )
    task = asyncio.create_task(runner_fixture.runner.run())
    yield runner_fixture
    await runner_fixture.runner.stop()
    await task
    await store.close()


async def called_back(runner_fixture: RunnerFixture, job: Job) -> None:
    found = await runner_fixture.store.jobs.get(job.id)
    assert found is not None
    assert found.fal_request is not None
    await runner_fixture.runner.on_webhook(job.id, 1, found.fal_request.request_id)


async def test_of_many_overdue_jobs_a_few_are_watched_while_callbacks_come(runner_fixture: RunnerFixture) -> None:
    jobs = [await runner_fixture.ask(user=number) for number in range(30)]
    for job in jobs:
        await runner_fixture.until(job, JobState.RUNNING)
    await asyncio.sleep(0.4)
    assert isinstance(runner_fixture.fal, WatchedFal)
    assert len(runner_fixture.fal.watched) == 2

    waiting = [job for job in jobs if (await running(runner_fixture, job)) not in runner_fixture.fal.watched]
    for job in waiting:
        await called_back(runner_fixture, job)
    for job in waiting:
        await runner_fixture.until(job, JobState.DELIVERED)
    assert len(runner_fixture.fal.watched) == 2


async def test_when_a_probes_callback_does_not_come_all_overdue_jobs_are_watched(runner_fixture: RunnerFixture) -> None:
    jobs = [await runner_fixture.ask(user=number) for number in range(12)]
    for job in jobs:
        await runner_fixture.until(job, JobState.RUNNING)
    runner_fixture.fal.hold.set()
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)
    assert isinstance(runner_fixture.fal, WatchedFal)
    assert len(runner_fixture.fal.watched) == 12


async def running(runner_fixture: RunnerFixture, job: Job) -> str:
    found = await runner_fixture.store.jobs.get(job.id)
    assert found is not None
    assert found.fal_request is not None
    return found.fal_request.request_id


async def test_callbacks_count_as_lost_until_the_next_is_heard() -> None:
    active, timings = ActiveJobs(), JobTimings(callback_late_s=0.01)
    callbacks = WebhookMonitor(active, timings)
    assert all(callbacks.may_probe(f"job{number}") for number in range(timings.probes))
    assert not callbacks.may_probe("one more")

    callbacks.probed("job0", ended_unheard=True)
    await until(lambda: callbacks.failing)
    assert callbacks.may_probe("one more")
    assert callbacks.may_probe("and another")

    callbacks.received("job7")
    assert not callbacks.may_probe("a third")


async def test_a_callback_that_comes_a_little_later_than_the_end_is_not_lost() -> None:
    callbacks = WebhookMonitor(ActiveJobs(), JobTimings(callback_late_s=0.05))
    callbacks.may_probe("job1")
    callbacks.probed("job1", ended_unheard=True)
    callbacks.received("job1")
    await asyncio.sleep(0.1)
    assert not callbacks.failing
    callbacks.probed("never a probe", ended_unheard=True)
    callbacks.close()
