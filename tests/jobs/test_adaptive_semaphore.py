"""The semaphore in front of work that shares one processor."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from bot.jobs.adaptive_semaphore import AdaptiveSemaphore

#: How busy the event loop is, is measured.
pytestmark = pytest.mark.timing


class Work:
    """Jobs inside a semaphore; all end when they may."""

    def __init__(self, semaphore: AdaptiveSemaphore) -> None:
        self.semaphore = semaphore
        self.inside: list[int] = []
        self.ended: list[int] = []
        self.most = 0
        self.may_end = asyncio.Event()

    async def do(self, number: int) -> None:
        async with self.semaphore:
            self.inside.append(number)
            self.most = max(self.most, len(self.inside))
            await self.may_end.wait()
            self.inside.remove(number)
            self.ended.append(number)


async def test_an_idle_loop_lets_in_up_to_the_wide_limit() -> None:
    work = Work(AdaptiveSemaphore(minimum=2, maximum=5))
    tasks = [asyncio.create_task(work.do(number)) for number in range(9)]
    async with asyncio.timeout(5):
        while len(work.inside) < 5:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)
    assert work.inside == [0, 1, 2, 3, 4]
    work.may_end.set()
    await asyncio.gather(*tasks)
    assert sorted(work.ended) == list(range(9))
    assert work.most == 5


async def test_a_busy_loop_keeps_it_narrow_and_in_order() -> None:
    semaphore = AdaptiveSemaphore(minimum=2, maximum=50)
    done: list[int] = []
    most = inside = 0

    async def toil(number: int) -> None:
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            for _ in range(4):
                until = time.perf_counter() + 0.003
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)
            inside -= 1
            done.append(number)

    await asyncio.gather(*(toil(number) for number in range(20)))
    assert most <= 4
    assert done == sorted(done)


async def test_who_gives_up_waiting_takes_no_place() -> None:
    work = Work(AdaptiveSemaphore(minimum=1, maximum=1))
    first = asyncio.create_task(work.do(0))
    second = asyncio.create_task(work.do(1))
    third = asyncio.create_task(work.do(2))
    await asyncio.sleep(0.01)
    second.cancel()
    with suppress(asyncio.CancelledError):
        await second
    work.may_end.set()
    await asyncio.wait_for(asyncio.gather(first, third), 5)
    assert work.ended == [0, 2]


async def test_who_is_cancelled_in_the_moment_of_entering_gives_the_place_back() -> None:
    semaphore = AdaptiveSemaphore(minimum=1, maximum=1)
    entered = asyncio.Event()

    async def enter() -> None:
        async with semaphore:
            entered.set()

    await semaphore.__aenter__()
    waiting = asyncio.create_task(enter())
    await asyncio.sleep(0.01)
    await semaphore.__aexit__(None, None, None)  # admits it …
    waiting.cancel()  # … in the same moment
    with suppress(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(enter(), 5)
    assert entered.is_set()


async def test_an_error_inside_frees_the_place() -> None:
    semaphore = AdaptiveSemaphore(minimum=1, maximum=1)
    with suppress(ValueError):
        async with semaphore:
            raise ValueError
    async with asyncio.timeout(5):
        async with semaphore:
            pass


async def test_while_something_more_urgent_is_under_way_one_at_a_time_goes_in() -> None:
    urgent = True
    work = Work(AdaptiveSemaphore(minimum=3, maximum=9, backpressure=lambda: urgent))
    tasks = [asyncio.create_task(work.do(number)) for number in range(12)]
    await asyncio.sleep(0.05)
    assert work.inside == [0]

    urgent = False
    async with asyncio.timeout(5):
        while len(work.inside) < 9:
            await asyncio.sleep(0.001)
    work.may_end.set()
    await asyncio.gather(*tasks)
    assert sorted(work.ended) == list(range(12))
