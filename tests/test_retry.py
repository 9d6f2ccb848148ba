"""The one helper that tries again."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest

from bot.retry import pause, repeat_last, retry


class Sleeps:
    """Takes no time and remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked_s.append(seconds)


async def test_there_is_one_attempt_more_than_there_are_pauses() -> None:
    sleeps = Sleeps()
    seen = [
        (attempt.number, attempt.pause_s, attempt.is_last) async for attempt in retry((1, 2), jitter=0, sleep=sleeps)
    ]
    assert seen == [(1, 1, False), (2, 2, False), (3, None, True)]
    assert sleeps.asked_s == [1, 2]


async def test_leaving_the_loop_ends_it_without_another_pause() -> None:
    sleeps = Sleeps()
    async for attempt in retry((1, 2, 3), jitter=0, sleep=sleeps):
        if attempt.number == 2:
            break
    assert sleeps.asked_s == [1]


async def test_without_pauses_there_is_a_single_attempt() -> None:
    assert [attempt.is_last async for attempt in retry(())] == [True]


async def test_pauses_are_spread_to_either_side() -> None:
    sleeps = Sleeps()
    async for _ in retry([10] * 200, jitter=0.2, sleep=sleeps):
        pass
    assert all(8 <= asked <= 12 for asked in sleeps.asked_s)
    assert min(sleeps.asked_s) < 9.5
    assert max(sleeps.asked_s) > 10.5


async def test_a_retry_after_lengthens_a_pause_and_is_never_undercut() -> None:
    sleeps = Sleeps()
    async for attempt in retry([1] * 100, jitter=0.5, sleep=sleeps):
        attempt.wait_at_least(30)
    assert all(30 <= asked <= 45 for asked in sleeps.asked_s)


@pytest.mark.parametrize("asked", [None, 0, 0.5])
async def test_a_shorter_retry_after_changes_nothing(asked: float | None) -> None:
    sleeps = Sleeps()
    async for attempt in retry((2,), jitter=0, sleep=sleeps):
        attempt.wait_at_least(asked)
    assert sleeps.asked_s == [2]


async def test_a_stop_ends_the_waiting_and_the_task_with_it() -> None:
    stop, tries = asyncio.Event(), 0

    async def work() -> None:
        nonlocal tries
        async for _ in retry(repeat_last((600,)), stop=stop):
            tries += 1

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    stop.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert tries == 1


async def test_a_stop_that_never_comes_makes_no_difference() -> None:
    sleeps = Sleeps()
    assert [attempt.number async for attempt in retry((1, 2), stop=asyncio.Event(), sleep=sleeps)] == [1, 2, 3]
    assert len(sleeps.asked_s) == 2


async def test_after_a_stop_nothing_is_waited_for() -> None:
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(asyncio.CancelledError):
        await pause(600, stop=stop)


async def test_cancelling_a_pause_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(pause(600, stop=asyncio.Event()))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asyncio.all_tasks() == before


def test_the_last_pause_repeats_for_ever() -> None:
    assert list(islice(repeat_last((1, 2, 5)), 6)) == [1, 2, 5, 5, 5, 5]
