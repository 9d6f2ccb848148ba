"""Overdue callbacks: a few jobs are watched for all, unless callbacks get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.job import FalRequest, Job, JobState
from bot.fal import Completed, Waiting, Working
from bot.jobs import watcher
from bot.jobs import webhook_monitor as callbacks_module
from bot.jobs.webhook_monitor import SCOUTS, Callbacks
from bot.settings import FalSettings
from bot.store import Store
from tests.jobs.test_runner import House, ScriptedFal


class WatchedFal(ScriptedFal):
    """Counts who is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[str] = []

    async def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncIterator[Waiting | Working | Completed]:
        self.watched.append(request.request_id)
        async for status in super().watch(request, expected_s=expected_s, age_s=age_s):
            yield status


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house that fal calls back, impatient, with two scouts."""
    monkeypatch.setattr(watcher, "LEAST_CALLBACK_WAIT_S", 0.05)
    monkeypatch.setattr(watcher, "CALLBACK_PATIENCE", 0.0)
    monkeypatch.setattr(watcher, "SCOUT_AGAIN_S", 0.05)
    monkeypatch.setattr(callbacks_module, "SCOUTS", 2)
    store = await Store.open(f"sqlite:///{tmp_path / 'easel.db'}")
    fal = WatchedFal()
    fal.hold.clear()
    house = House(store, fal, FalSettings(max_in_flight=0))
    vars(house.runner._watcher)["_calls_back"] = True
    vars(house.runner._submitter)["_callback_url"] = lambda job_id, attempt: (
        f"https://easel.example/fal/{job_id}/{attempt}"
    )
    vars(house.runner._watcher)["_callbacks"] = Callbacks(late_s=0.05)
    task = asyncio.create_task(house.runner.run())
    yield house
    await house.runner.stop()
    await task
    await store.close()


async def called_back(house: House, job: Job) -> None:
    found = await house.store.job(job.id)
    assert found is not None
    assert found.request is not None
    await house.runner.heard(job.id, 1, found.request.request_id)


async def test_of_many_overdue_jobs_a_few_are_watched_while_callbacks_come(house: House) -> None:
    jobs = [await house.ask(user=number) for number in range(30)]
    for job in jobs:
        await house.until(job, JobState.RUNNING)
    await asyncio.sleep(0.4)
    assert isinstance(house.fal, WatchedFal)
    assert len(house.fal.watched) == 2

    waiting = [job for job in jobs if (await running(house, job)) not in house.fal.watched]
    for job in waiting:
        await called_back(house, job)
    for job in waiting:
        await house.until(job, JobState.DELIVERED)
    assert len(house.fal.watched) == 2


async def test_when_a_scouts_callback_does_not_come_all_overdue_jobs_are_watched(house: House) -> None:
    jobs = [await house.ask(user=number) for number in range(12)]
    for job in jobs:
        await house.until(job, JobState.RUNNING)
    house.fal.hold.set()
    for job in jobs:
        await house.until(job, JobState.DELIVERED)
    assert isinstance(house.fal, WatchedFal)
    assert len(house.fal.watched) == 12


async def running(house: House, job: Job) -> str:
    found = await house.store.job(job.id)
    assert found is not None
    assert found.request is not None
    return found.request.request_id


async def test_callbacks_count_as_lost_until_the_next_is_heard() -> None:
    callbacks = Callbacks(late_s=0.01)
    assert all(callbacks.may_scout(f"job{number}") for number in range(SCOUTS))
    assert not callbacks.may_scout("one more")

    callbacks.scouted("job0", ended_unheard=True)
    await asyncio.sleep(0.05)
    assert callbacks.are_lost
    assert callbacks.may_scout("one more")
    assert callbacks.may_scout("and another")

    callbacks.heard("job7")
    assert not callbacks.may_scout("a third")


async def test_a_callback_that_comes_a_little_later_than_the_end_is_not_lost() -> None:
    callbacks = Callbacks(late_s=0.05)
    callbacks.may_scout("job1")
    callbacks.scouted("job1", ended_unheard=True)
    callbacks.heard("job1")
    await asyncio.sleep(0.1)
    assert not callbacks.are_lost
    callbacks.scouted("never a scout", ended_unheard=True)
    callbacks.close()
