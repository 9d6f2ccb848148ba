"""Whose picture is decoded next: slow pictures and greedy people keep nobody waiting."""

from __future__ import annotations

import asyncio
import time

import pytest

from bot.media import workers as module
from bot.media.workers import Done, ImageWorkers
from tests.media.worker_samples import NOTED, SLOW, SLOWER, prepare, until


async def slowest_beside(workers: ImageWorkers, flood: list[asyncio.Task[Done | str]], *, people: int) -> float:
    """Seconds that the slowest of other people's small pictures took beside the flood, which is stopped then."""
    late_s = []
    for number in range(people):
        began_s = time.monotonic()
        assert isinstance(await prepare(workers, NOTED, f"person {number}"), Done)
        late_s.append(time.monotonic() - began_s)
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    return max(late_s)


async def test_one_persons_slow_pictures_keep_nobody_waiting(workers: ImageWorkers) -> None:
    await asyncio.gather(*(prepare(workers, NOTED, number) for number in range(2)))
    flood = [asyncio.create_task(prepare(workers, SLOW, "attacker")) for _ in range(10)]
    await asyncio.sleep(0.1)
    assert await slowest_beside(workers, flood, people=10) < 1


async def test_slow_pictures_of_many_people_keep_nobody_waiting(workers: ImageWorkers) -> None:
    flood = [asyncio.create_task(prepare(workers, SLOWER, f"attacker {number}")) for number in range(8)]
    assert await until(lambda: workers.process_ids)
    assert await slowest_beside(workers, flood, people=5) < 1


async def test_whoever_has_had_the_least_time_comes_first(workers: ImageWorkers) -> None:
    await prepare(workers, SLOWER, "a")
    order: list[str] = []

    async def ask(owner: str) -> None:
        await prepare(workers, SLOWER, owner)
        order.append(owner)

    await asyncio.gather(*(ask(owner) for owner in ("blocker", "a", "b")))

    assert order == ["blocker", "b", "a"]


async def test_nobody_has_two_pictures_decoded_at_once(workers: ImageWorkers) -> None:
    await asyncio.gather(*(prepare(workers, NOTED, "somebody") for _ in range(8)))
    assert len(workers.process_ids) == 1


async def test_people_take_turns(workers: ImageWorkers) -> None:
    order: list[str] = []

    async def ask(owner: str) -> None:
        await prepare(workers, NOTED, owner)
        order.append(owner)

    await asyncio.gather(*(prepare(workers, NOTED, number) for number in range(2)))  # both processes are there
    await asyncio.gather(*(ask(owner) for owner in ["a"] * 20 + ["b", "c"]))

    assert order[-1] == "a"  # nobody waits for all that somebody else has sent


async def test_who_had_a_picture_killed_shares_the_second_process(
    workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = module._cpu_s
    monkeypatch.setattr(module, "_cpu_s", lambda header: 0.05)
    assert await prepare(workers, SLOW, "attacker") == "picture_takes_too_long"
    monkeypatch.setattr(module, "_cpu_s", usual)

    assert isinstance(await prepare(workers, NOTED, "attacker"), Done)
    (second,) = workers.process_ids
    assert isinstance(await prepare(workers, NOTED, "another"), Done)

    assert workers.process_ids[1] == second


async def test_after_three_killed_pictures_nothing_more_of_that_person_is_decoded_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 0.0
    async with ImageWorkers(clock=lambda: now_s) as workers:
        usual = module._cpu_s
        monkeypatch.setattr(module, "_cpu_s", lambda header: 0.05)
        for _ in range(3):
            assert await prepare(workers, SLOW, "attacker") == "picture_takes_too_long"
        monkeypatch.setattr(module, "_cpu_s", usual)

        assert await prepare(workers, NOTED, "attacker") == "picture_sender_paused"
        assert isinstance(await prepare(workers, NOTED, "another"), Done)
        now_s = module.STRIKE_S
        assert isinstance(await prepare(workers, NOTED, "attacker"), Done)


async def test_a_picture_that_is_no_longer_wanted_frees_its_place(workers: ImageWorkers) -> None:
    slow = asyncio.create_task(prepare(workers, SLOW, "a"))
    assert await until(lambda: workers.process_ids)
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)

    assert isinstance(await prepare(workers, NOTED, "a"), Done)


async def test_a_picture_that_nobody_waits_for_is_not_decoded(workers: ImageWorkers) -> None:
    slow = asyncio.create_task(prepare(workers, SLOW, "a"))
    waiting = asyncio.create_task(prepare(workers, NOTED, "a"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert workers._waiting == {}
    assert isinstance(await slow, Done)
