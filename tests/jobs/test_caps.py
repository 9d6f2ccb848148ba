"""Caps with several processes on one database: two runners that share PostgreSQL and one fal."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator

import pytest

from bot.domain.job import FalRequest, JobState
from bot.domain.provider import CompletedStatus, Status
from bot.domain.request import Json
from bot.settings import FalSettings
from bot.store import Store
from tests.jobs.scripted import RunnerFixture, ScriptedFal
from tests.store.conftest import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]

pytestmark = pytest.mark.postgres

PAINTING_S = 0.05
JOBS = 12


class CountingFal(ScriptedFal):
    """Remembers how many requests it ever had at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.painted = 0

    async def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncGenerator[Status, None]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(PAINTING_S)
        self.now -= 1
        self.painted += 1
        yield CompletedStatus(None)


@pytest.mark.parametrize(
    ("caps", "most"),
    [({"max_in_flight": 3}, 3), ({"guild_jobs_in_flight": 2}, 4), ({"user_jobs_in_flight": 1}, 4)],
    ids=["all", "server", "person"],
)
async def test_two_processes_keep_a_cap_together_and_leave_nobody_waiting(
    postgres_url: str, caps: dict[str, Json], most: int
) -> None:
    fal = CountingFal()
    stores = [await Store.open(postgres_url) for _ in range(2)]
    settings = FalSettings.model_validate({"max_in_flight": 0, **caps})
    fixtures = [RunnerFixture(store, fal, settings) for store in stores]
    fixtures[1].count = 500  # ids of its own
    tasks = [asyncio.create_task(runner_fixture.runner.run()) for runner_fixture in fixtures]
    try:
        asked = []
        for number in range(JOBS):
            runner_fixture = fixtures[number % 2]
            asked.append((runner_fixture, await runner_fixture.ask(user=number % 4, guild=50 + number % 2)))
        async with asyncio.timeout(20):
            for runner_fixture, job in asked:
                await runner_fixture.until(job, JobState.DELIVERED)
    finally:
        for runner_fixture in fixtures:
            await runner_fixture.runner.stop()
        await asyncio.gather(*tasks)
        for store in stores:
            await store.close()
    assert fal.painted == len(fal.submitted) == JOBS
    assert fal.most <= most
    delivered = Counter(job.id for runner_fixture in fixtures for job, _ in runner_fixture.shown.delivered)
    assert set(delivered.values()) == {1}
