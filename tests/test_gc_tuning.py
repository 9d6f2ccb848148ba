"""The garbage collector is kept from the objects of very many jobs, and of what was imported."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot import gc_tuning

ROOT = Path(__file__).parents[1]


@dataclass
class Jobs:
    """As the runner tells."""

    alive: int = 0
    #: How often it was asked.
    looks: int = 0

    @property
    def jobs_alive(self) -> int:
        self.looks += 1
        return self.alive


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Quick looks; afterwards the collector is as it was."""
    monkeypatch.setattr(gc_tuning, "CHECK_EVERY_S", 0.01)
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def watched(jobs: Jobs, *alive: int) -> None:
    """Let it look at each number of jobs under way, twice."""
    task = asyncio.create_task(gc_tuning.freeze_jobs_forever(jobs))
    await asyncio.sleep(0)
    for jobs.alive in alive:
        looks = jobs.looks
        while jobs.looks < looks + 3:
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_many_jobs_are_set_aside_until_they_have_ended() -> None:
    none = gc.get_freeze_count()
    await watched(Jobs(), gc_tuning.FREEZE_EVERY_JOBS)
    assert gc.get_freeze_count() > none
    await watched(Jobs(), gc_tuning.FREEZE_EVERY_JOBS, gc_tuning.FREEZE_EVERY_JOBS // 2 - 1)
    assert gc.get_freeze_count() == 0


async def test_a_few_jobs_are_not() -> None:
    none = gc.get_freeze_count()
    await watched(Jobs(), gc_tuning.FREEZE_EVERY_JOBS - 1, 0)
    assert gc.get_freeze_count() == none


async def test_each_further_thousand_is_set_aside_too() -> None:
    jobs = Jobs()
    await watched(jobs, gc_tuning.FREEZE_EVERY_JOBS)
    first = gc.get_freeze_count()
    made = [[number] for number in range(1000)]
    await watched(jobs, gc_tuning.FREEZE_EVERY_JOBS, 2 * gc_tuning.FREEZE_EVERY_JOBS)
    assert gc.get_freeze_count() >= first + len(made)


#: In a process of its own: what other tests left would count as imported, and their garbage as ours.
FREEZING = """
import gc, weakref
from bot import gc_tuning

class Cycle:
    def __init__(self):
        self.me = self

gc_tuning.freeze_imports()
assert gc.get_freeze_count() > 0
assert gc.get_threshold() == gc_tuning.THRESHOLDS
left = weakref.ref(Cycle())
assert left() is not None
gc.collect()
assert left() is None
"""


def test_what_was_imported_is_left_out_and_garbage_still_found() -> None:
    subprocess.run([sys.executable, "-c", FREEZING], check=True, cwd=ROOT, timeout=60)
