from __future__ import annotations

import asyncio

import pytest

from bot.media.turns import HALVES_S, NEWCOMER_S, FairTurns, TimeTaken


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Crowd:
    """People who hold a place until they are told to leave."""

    def __init__(self, turns: FairTurns, clock: Clock) -> None:
        self._turns = turns
        self._clock = clock
        self.inside: list[str] = []
        self._leaving: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *people: str) -> None:
        """`name` or `name/visit`."""
        for one in people:
            self._leaving[one] = asyncio.Event()
            self.tasks[one] = asyncio.create_task(self._visit(one))
        await asyncio.sleep(0.001)

    async def _visit(self, one: str) -> None:
        async with self._turns.turn(one.partition("/")[0]):
            self.inside.append(one)
            await self._leaving[one].wait()
            self.inside.remove(one)

    async def leave(self, one: str, after_s: float = 0.0) -> None:
        self._clock.now_s += after_s
        self._leaving[one].set()
        await self.tasks[one]
        await asyncio.sleep(0.001)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_places_are_taken_in_order_and_by_nobody_twice(clock: Clock) -> None:
    crowd = Crowd(FairTurns(2, clock=clock), clock)
    await crowd.come("a", "a/2", "b", "c")
    assert crowd.inside == ["a", "b"]
    await crowd.leave("b")
    assert crowd.inside == ["a", "c"]
    await crowd.leave("a")
    assert crowd.inside == ["c", "a/2"]


async def test_who_has_held_a_place_for_the_least_time_comes_first(clock: Clock) -> None:
    crowd = Crowd(FairTurns(1, clock=clock), clock)
    await crowd.come("slow", "slow/2", "slow/3", "quick", "quick/2", "new")
    await crowd.leave("slow", after_s=10)
    assert crowd.inside == ["quick"]
    await crowd.leave("quick", after_s=1)
    assert crowd.inside == ["new"]
    await crowd.leave("new")
    assert crowd.inside == ["quick/2"]


async def test_people_whose_turns_take_long_never_hold_all_places(clock: Clock) -> None:
    crowd = Crowd(FairTurns(3, for_newcomers=1, clock=clock), clock)
    await crowd.come("a", "b", "c")
    assert crowd.inside == ["a", "b", "c"]  # new as well
    for one in ("a", "b", "c"):
        await crowd.leave(one, after_s=NEWCOMER_S)
    await crowd.come("a/2", "b/2", "c/2")
    assert crowd.inside == ["a/2", "b/2"]
    await crowd.come("new")
    assert crowd.inside == ["a/2", "b/2", "new"]
    await crowd.leave("a/2")
    assert crowd.inside == ["b/2", "new"]  # the place that is left is for newcomers
    await crowd.leave("new")
    assert crowd.inside == ["b/2", "c/2"]


async def test_who_no_longer_waits_or_fails_leaves_no_place_behind(clock: Clock) -> None:
    turns = FairTurns(1, clock=clock)
    crowd = Crowd(turns, clock)
    await crowd.come("a", "b", "c")
    crowd.tasks["b"].cancel()
    await asyncio.sleep(0.001)
    crowd._leaving["a"].set()
    await asyncio.sleep(0)
    crowd.tasks["c"].cancel()  # at the moment at which it comes in
    await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)

    with pytest.raises(ZeroDivisionError):
        async with turns.turn("d"):
            raise ZeroDivisionError
    async with asyncio.timeout(1), turns.turn("e"):
        pass
    assert turns._waiting == {}


def test_what_was_had_long_ago_counts_less(clock: Clock) -> None:
    taken = TimeTaken(clock)
    taken.add("a", 8.0)
    clock.now_s += HALVES_S
    assert taken.of("a") == pytest.approx(4.0)
    taken.add("a", 1.0)
    assert taken.of("a") == pytest.approx(5.0)
    clock.now_s += 20 * HALVES_S
    taken.add("b", 1.0)
    assert list(taken._taken) == ["b"]  # nothing is kept of those who stay away
