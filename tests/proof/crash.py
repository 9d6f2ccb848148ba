"""Crash points: the bot is killed before and after every COMMIT and every HTTP request of a story, one by one.

A story is one question and what people do about it. It is told again and again; the n-th time the bot is killed at the
n-th boundary (or the answer of the n-th request gets lost, and the bot lives on), until a telling has no n-th boundary.
So every boundary is met, whatever the story looks like, and the story itself says how many there are.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.proof.known import shows
from tests.proof.world import Ask, Forks, Verdict, World, a_world

How = Literal["kill", "lose"]
Story = Callable[[World], Awaitable[Ask | None]]

#: A story has fewer boundaries than this.
MOST = 400
#: A request that left is at fal at once here, or never; a good many looks fit in.
RECONCILE_S = 0.4
#: How long one telling may take before it counts as lost.
TELLING_S = 20.0


@dataclass
class Points:
    """What one story was put through."""

    story: str
    how: How
    #: Names of the boundaries in order; the n-th telling ended at the n-th.
    reached: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    def __str__(self) -> str:
        return f"{self.story}: {len(self.reached)} points ({self.how}); {self.verdict}"


async def crash_points(
    forks: Forks,
    folder: Path,
    story: str,
    how: How = "kill",
    *,
    without: Sequence[str] = (),
    until: str | None = None,
    telling_s: float = TELLING_S,
) -> Points:
    """Tell one story until every boundary was met, or until there is a fault of the kind `until`."""
    points = Points(story, how)
    async with a_world(forks, folder, without=without) as world:
        world.settings["fal"] = {"reconcile_s": RECONCILE_S}
        await world.start()
        await BEFORE.get(story, _nothing)(world)
        for number in itertools.count(1):
            assert number < MOST, "the story has no end"
            assert world.child is not None
            await world.child.arm(number, how)
            reached = await _tell(world, STORIES[story], telling_s)
            if reached is None:
                break
            points.reached.append(reached)
            if until is not None and shows(await world.verdict(), until):
                break
        if world.child is not None:
            await world.kill()
        points.verdict = await world.verdict()
    return points


async def start_points(forks: Forks, folder: Path, *, telling_s: float = TELLING_S) -> Points:
    """Killed at every boundary of a start that finds jobs in every state; the next start finds what that one left."""
    points = Points("starting again", "kill")
    async with a_world(forks, folder) as world:
        world.settings["fal"] = {"reconcile_s": RECONCILE_S, "max_in_flight": 2}
        for number in itertools.count(1):
            assert number < MOST, "the start has no end"
            before = len(world.asks)
            await _leave_all_states(world)
            child = await world.start(arm={"wanted": number, "how": "kill"}, ready=False)
            await _settle(world, world.asks[before:], telling_s)
            if world.child is None:
                await world.start(ready=False)
                await _settle(world, world.asks[before:], telling_s)
            if world.child is not None:
                await world.kill()
            if not child.reached:
                break
            for ask in world.asks[before:]:
                ask.where = f"at the start {child.reached[0]}"
            points.reached += child.reached
        points.verdict = await world.verdict()
    return points


async def _leave_all_states(world: World) -> None:
    """A bot that is killed while one job is finished, failed, running, submitting (and at fal) and queued each."""
    await world.start()
    world.standin.slow_rest(3600.0, "/webhooks/")  # answers go out, results hang
    for kind, state in (("plain", "finished"), ("refused", "failed")):
        await _stands(world, await world.ask(kind), state)
    world.hold()
    await _stands(world, await world.ask("two"), "running")
    world.fal.troubles.slow_submit_s = 3600.0
    taken = len(world.fal.accepted)
    await _stands(world, await world.ask("plain"), "submitting")
    await world.until(lambda: len(world.fal.accepted) > taken)
    await _stands(world, await world.ask("plain"), "queued")
    await world.kill()
    world.standin.fine_weather()
    world.fal.troubles.clear()
    world.let_go()


async def _stands(world: World, ask: Ask, state: str) -> None:
    statement = f"SELECT state FROM jobs WHERE interaction_id = {int(ask.record.id)}"
    await world.until(lambda: ask.seen and any(row["state"] == state for row in world.rows(statement)))


async def _settle(world: World, asks: Sequence[Ask], telling_s: float) -> None:
    """Until all have their answers, or the bot is dead (then there is none), or time is up."""
    child = world.child
    assert child is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(telling_s):
            while not all(world.settled(ask) for ask in asks):
                if child.ended.done():
                    break
                await asyncio.sleep(0.005)
    if child.ended.done():
        await world.gone()


async def _tell(world: World, story: Story, telling_s: float) -> str | None:
    """One telling; the boundary that was met, None when there was no such boundary."""
    first = world.child
    assert first is not None
    before = len(world.asks)
    telling = asyncio.ensure_future(story(world))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(telling_s):
                # Without the interactions' ids in the records only the whole can be waited for.
                while (
                    not telling.done()
                    or not all(world.settled(ask) for ask in world.asks[before:])
                    or (world.without and world.under_way())
                ):
                    if world.child is not None and world.child.ended.done():
                        await world.gone()
                        await world.start()
                    await asyncio.sleep(0.003)
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
    world.let_go()
    if not first.reached:
        return None
    for ask in world.asks[before:]:
        ask.where = first.reached[-1]
    return first.reached.pop()


# ---------------------------------------------------------------------- stories


async def _nothing(_: World) -> None:
    pass


def _just(kind: str) -> Story:
    async def story(world: World) -> Ask:
        return await world.ask(kind)

    return story


async def _replayed(world: World) -> Ask:
    ask = await world.ask("plain")
    world.standin.deliver_twice(ask.record)
    return ask


async def _at_fal(world: World, kind: str) -> Ask:
    """Asked, and being painted without an end, unless the person never got an answer."""
    world.hold()
    taken = len(world.fal.accepted)
    ask = await world.ask(kind)
    await world.until(lambda: ask.record.state == "failed" or (ask.seen and len(world.fal.accepted) > taken))
    return ask


async def _cancelled(world: World) -> Ask:
    ask = await _at_fal(world, "plain")
    # Somebody who sees nothing happen presses again.
    while ask.seen and not world.settled(ask):
        if world.online:
            await world.cancel(ask)
        await asyncio.sleep(0.4)
    return ask


async def _posted_anew(world: World) -> Ask:
    ask = await _at_fal(world, "plain")
    if ask.seen:
        world.orphan(ask)
    world.let_go()
    return ask


async def _finished_one(world: World) -> None:
    ask = await world.ask("plain")
    await world.until(lambda: world.settled(ask))


async def _again(world: World) -> Ask | None:
    return await world.again(world.asks[0])


STORIES: Mapping[str, Story] = {
    "plain": _just("plain"),
    "two pictures": _just("two"),
    "refused by fal": _just("refused"),
    "no seed": _just("seedless"),
    "attachments": _just("input"),
    "replayed": _replayed,
    "cancelled": _cancelled,
    "posted anew": _posted_anew,
    "again": _again,
}
#: What must have happened once before the first telling.
BEFORE: Mapping[str, Callable[[World], Awaitable[None]]] = {"again": _finished_one}

__all__ = ["STORIES", "How", "Points", "crash_points", "start_points"]
