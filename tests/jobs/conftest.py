"""A runner over a real store, one after another on the same database file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.domain.job import Job
from bot.domain.ports import AttachmentSource
from bot.settings import FalSettings
from bot.store import Store
from tests.jobs.scripted import PATIENT, Build, RunnerFixture, ScriptedFal


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Build]:
    """Make running runners; all of one test share one database file, one after another."""
    fixtures: list[tuple[RunnerFixture, asyncio.Task[None]]] = []

    async def make(
        fal: ScriptedFal | None = None,
        *,
        run: bool = True,
        max_in_flight: int = 10,
        job_timeout_s: float = 60,
        reconcile_s: float = 60,
        answered: bool | None = True,
        timings: Mapping[str, Any] | None = None,
        inputs: AttachmentSource | None = None,
        admits: Callable[[Job], bool] = lambda job: True,
        **caps: Any,
    ) -> RunnerFixture:
        await leave()
        store = await Store.open(f"sqlite:///{tmp_path / 'easel.db'}")
        settings = FalSettings(
            max_in_flight=max_in_flight, job_timeout_s=job_timeout_s, reconcile_s=reconcile_s, **caps
        )
        patient = replace(PATIENT, **(timings or {}))
        runner_fixture = RunnerFixture(store, fal or ScriptedFal(), settings, patient, inputs=inputs, admits=admits)
        runner_fixture.shown.answered = answered
        task = asyncio.create_task(runner_fixture.runner.run() if run else asyncio.sleep(0))
        fixtures.append((runner_fixture, task))
        return runner_fixture

    async def leave() -> None:
        while fixtures:
            runner_fixture, task = fixtures.pop()
            await runner_fixture.runner.stop()
            await task
            await runner_fixture.store.close()

    yield make
    await leave()
