"""Memory is given back while many jobs end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bot import gc_tuning


@dataclass
class Jobs:
    """As the runner tells."""

    jobs_ended: int = 0
    alive: int = 0
    #: How often it was asked.
    looks: int = 0

    @property
    def jobs_alive(self) -> int:
        self.looks += 1
        return self.alive


class Cycle:
    """Only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often it was given back."""
    made: list[int] = []

    def trim(pad: int) -> int:
        made.append(pad)
        return 1

    monkeypatch.setattr(gc_tuning, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(gc_tuning, "_malloc_trim", lambda: trim)
    gc.disable()
    yield made
    gc.enable()
    gc.unfreeze()


async def watched(jobs: Jobs, *steps: tuple[int, int]) -> None:
    """Let it look, twice after each step of (ended, alive)."""
    task = asyncio.create_task(gc_tuning.trim_forever(jobs))
    await asyncio.sleep(0)
    for jobs.jobs_ended, jobs.alive in steps:
        looks = jobs.looks
        while jobs.looks < looks + 3:
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_memory_is_given_back_while_many_jobs_end(calls: list[int]) -> None:
    left = weakref.ref(Cycle())
    await watched(Jobs(), (gc_tuning.COLLECT_AFTER_JOBS, 10), (2 * gc_tuning.COLLECT_AFTER_JOBS, 10))
    assert len(calls) == 2
    assert left() is None


async def test_an_idle_bot_gives_nothing_back(calls: list[int]) -> None:
    await watched(Jobs(), (gc_tuning.COLLECT_AFTER_JOBS - 1, 10))
    assert calls == []


async def test_where_the_c_library_can_not_give_back_garbage_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_tuning, "_malloc_trim", lambda: None)
    left = weakref.ref(Cycle())
    await watched(Jobs(), (gc_tuning.COLLECT_AFTER_JOBS, 10))
    assert left() is None


async def test_many_jobs_are_set_aside_until_they_have_ended() -> None:
    jobs, none = Jobs(), gc.get_freeze_count()
    await watched(jobs, (0, gc_tuning.FREEZE_EVERY_JOBS))
    assert gc.get_freeze_count() > none
    await watched(jobs, (0, gc_tuning.FREEZE_EVERY_JOBS), (0, gc_tuning.FREEZE_EVERY_JOBS // 2 - 1))
    assert gc.get_freeze_count() == 0
