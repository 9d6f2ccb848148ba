"""Crash points: the bot is killed before and after every COMMIT and every HTTP request of a scenario, one by one.

A scenario is one question and what people do about it. It is run again and again, and each attempt strikes at the first
boundary that none before it struck at: there the bot is killed; or the answer gets lost, and the bot lives on; or it
hangs until another process has taken over its jobs, and goes on knowing nothing of that. So every boundary that shows
itself is met, also one that comes only by a rare interleaving. It is over when so many attempts in a row came to their
end and showed none that is new.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.resilience.world import Ask, Boundary, Child, Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

START = "starting again"
How = Literal["kill", "lose", "hang"]
Scenario = Callable[[World], Awaitable[Ask | None]]

#: So many attempts in a row have to show no new boundary: steps of a job may interleave otherwise the next time.
QUIET = 2
#: The bot slows its starts down from the 500th of a day on.
MOST_STARTS = 450
#: A scenario has fewer boundaries than this.
MOST = 400
#: A request that left is at fal at once here, or never; a good many looks fit in.
RECONCILE_S = 0.4
#: On PostgreSQL: after this time the others, or the next start, take over what the killed one held.
LEASE_S = 1.5
#: After this time somebody presses Cancel again.
PRESSED_AGAIN_S = 2.0
#: Where several processes share the jobs, progress is shown every half second.
LONG_S = 1.2
#: How long one attempt may take before it counts as lost.
ATTEMPT_S = 20.0


@dataclass
class Points:
    """What one scenario was put through."""

    scenario: str
    how: How
    #: Boundaries where the bot was killed or hung, or that lost their answer; each once.
    met: list[Boundary] = field(default_factory=list)
    #: Attempts in a row, the last ones, that showed no other.
    quiet: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    def note(self, reached: Boundary | None) -> None:
        """Where an attempt struck, if it did."""
        if reached is None:
            self.quiet += 1
            return
        assert reached not in self.met
        self.met.append(reached)
        assert len(self.met) < MOST, "the scenario has no end"
        self.quiet = 0

    def __str__(self) -> str:
        points = f"{len(self.met)} points ({self.how}), {self.quiet} attempts showed no other"
        return f"{self.scenario}: {points}; {self.verdict}"


def _aim(points: Points, share: tuple[int, int], only: str | None = None) -> dict[str, Any]:
    """At the first boundary that is new; with `share` (number, of how many) only every so manieth one, with `only`
    those of that name.
    """
    return {"met": points.met, "how": points.how, "share": share, "only": only}


async def crash_points(
    forks: Forks,
    folder: Path,
    scenario: str,
    how: How = "kill",
    *,
    server: Postgres | None = None,
    processes: int = 1,
    share: tuple[int, int] = (0, 1),
    only: str | None = None,
    without: Sequence[str] = (),
    until: str | None = None,
    quiet: int = QUIET,
    attempt_s: float = ATTEMPT_S,
) -> Points:
    """Run one scenario until `quiet` attempts show no new boundary, or until there is a fault of the kind `until`.

    With several processes the first one gets the interactions, and is killed; the others take over what it leaves, and
    may be quicker with anything that is not an answer.
    """
    points = Points(_where(scenario, server, processes), how)
    async with a_world(forks, folder, server=server, processes=processes, without=without) as world:
        world.lease_s = LEASE_S
        if server is None:
            world.settings["fal"] = {"reconcile_s": RECONCILE_S}
        world.hearing = 0
        await world.start_all()
        await BEFORE.get(scenario, _nothing)(world)
        while points.quiet < quiet:
            child = await _attempt(world, SCENARIOS[scenario], _aim(points, share, only), attempt_s)
            if child is world.child and (child.reached is None or how == "kill"):
                # Some things are done only once by a process; and it may yet reach one after everybody has been told.
                await world.kill()
                await world.start()
            points.note(child.reached)
            if until is not None and (await world.verdict()).shows(until):
                break
        await world.kill_all()
        points.verdict = await world.verdict()
    return points


def _where(scenario: str, server: Postgres | None, processes: int) -> str:
    return scenario if server is None else f"{scenario}, PostgreSQL, {processes} at once"


async def start_points(
    forks: Forks,
    folder: Path,
    *,
    server: Postgres | None = None,
    share: tuple[int, int] = (0, 1),
    quiet: int = QUIET,
    attempt_s: float = ATTEMPT_S,
) -> Points:
    """Killed at every boundary of a start that finds jobs in every state; the next start finds what that one left."""
    points = Points(_where(START, server, 1), "kill")
    async with a_world(forks, folder, server=server) as world:
        world.lease_s = LEASE_S
        world.settings["fal"] = {"max_in_flight": 2, **({"reconcile_s": RECONCILE_S} if server is None else {})}
        while points.quiet < quiet:
            assert world.starts < MOST_STARTS, "a smaller share is needed"
            points.note((await _start(world, _aim(points, share), attempt_s)).reached)
        points.verdict = await world.verdict()
    return points


async def _start(world: World, aim: dict[str, Any], attempt_s: float) -> Child:
    """Leave jobs in every state, start, end at that boundary, start again; the child of the first start."""
    before = len(world.asks)
    await _leave_all_states(world)
    child = await world.start(arm=aim, ready=False)
    await _settle(world, world.asks[before:], attempt_s)
    if world.child is None:
        await world.start(ready=False)
        await _settle(world, world.asks[before:], attempt_s)
    if world.child is not None:
        await world.kill()
    if child.reached:
        for ask in world.asks[before:]:
            ask.where = f"at the start {child.reached[0]} ({child.reached[1]})"
    return child


async def _leave_all_states(world: World) -> None:
    """A bot that is killed while one job is finished, failed, running, submitting (and at fal) and queued each."""
    await world.start()
    world.discord.slow_rest(3600.0, "/webhooks/")  # answers go out, results hang
    for kind, state in (("plain", "finished"), ("refused", "failed")):
        await _stands(world, await world.ask(kind), state)
    world.hold()
    await _stands(world, await world.ask("two"), "running")
    world.fal.faults.slow_submit_s = 3600.0
    taken = len(world.fal.accepted)
    await _stands(world, await world.ask("plain"), "submitting")
    await world.until(lambda: len(world.fal.accepted) > taken)
    await _stands(world, await world.ask("plain"), "queued")
    await world.kill()
    world.discord.clear_faults()
    world.fal.faults.clear()
    world.let_go()


async def _stands(world: World, ask: Ask, state: str) -> None:
    statement = f"SELECT state FROM jobs WHERE interaction_id = {int(ask.record.id)}"
    await world.until(lambda: ask.seen and any(row["state"] == state for row in world.rows(statement)))


async def _settle(world: World, asks: Sequence[Ask], attempt_s: float) -> None:
    """Until all have their answers, or the bot is dead (then there is none), or time is up."""
    child = world.child
    assert child is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(attempt_s):
            while not all(world.settled(ask) for ask in asks):
                if child.ended.done():
                    break
                await asyncio.sleep(0.005)
    if child.ended.done():
        await world.gone()


async def _attempt(world: World, scenario: Scenario, aim: dict[str, Any], attempt_s: float) -> Child:
    """Run the scenario once; returns the child it began with."""
    first = world.child
    assert first is not None
    await first.arm(**aim)
    before = len(world.asks)
    attempt = asyncio.ensure_future(scenario(world))
    hangs: asyncio.Task[None] | None = None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(attempt_s):
                # Without the interactions' ids in the records only the whole can be waited for.
                while (
                    not attempt.done()
                    or not all(world.settled(ask) for ask in world.asks[before:])
                    or (world.without and world.under_way())
                ):
                    if world.child is not None and world.child.ended.done():
                        await world.gone()
                        await world.start()
                    await asyncio.sleep(0.003)
                    if hangs is None and aim["how"] == "hang" and first.reached:
                        hangs = asyncio.create_task(_wake_late(world, first), name="hangs")
        if aim["how"] == "hang" and first.reached:
            await (hangs or _wake_late(world, first))
    finally:
        attempt.cancel()
        with suppress(asyncio.CancelledError):
            await attempt
    world.let_go()
    if first.reached:
        for ask in world.asks[before:]:
            ask.where = f"{first.reached[0]} ({first.reached[1]})"
    return first


async def _wake_late(world: World, child: Child) -> None:
    """When others have had the time to take its jobs over."""
    await asyncio.sleep(world.lease_s * 2)
    child.signal(signal.SIGCONT)


# ---------------------------------------------------------------------- scenarios


async def _nothing(_: World) -> None:
    pass


def _just(kind: str) -> Scenario:
    async def scenario(world: World) -> Ask:
        return await world.ask(kind)

    return scenario


async def _replayed(world: World) -> Ask:
    ask = await world.ask("plain")
    world.discord.deliver_twice(ask.record)
    return ask


async def _at_fal(world: World, kind: str) -> Ask:
    """Asked, and being painted without an end, unless the person never got an answer."""
    world.hold()
    taken = len(world.fal.accepted)
    ask = await world.ask(kind)
    await world.until(lambda: ask.record.state == "failed" or (ask.seen and len(world.fal.accepted) > taken))
    return ask


async def _long(world: World) -> Ask:
    """Painted for so long that the progress is shown more than once."""
    ask = await _at_fal(world, "plain")
    await asyncio.sleep(LONG_S)
    world.let_go()
    return ask


async def _cancelled(world: World) -> Ask:
    ask = await _at_fal(world, "plain")
    pressed_in, again_at_s = 0, 0.0
    while ask.seen and not world.settled(ask):
        # Pressed once, and again when the button is still there although the bot has come back, or fal has.
        due = pressed_in != world.starts or time.monotonic() > again_at_s
        if world.online and due and await world.cancel(ask):
            pressed_in, again_at_s = world.starts, time.monotonic() + PRESSED_AGAIN_S
        await asyncio.sleep(0.01)
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


SCENARIOS: Mapping[str, Scenario] = {
    "plain": _just("plain"),
    "long": _long,
    "two pictures": _just("two"),
    "refused by fal": _just("refused"),
    "no seed": _just("seedless"),
    "attachments": _just("input"),
    "replayed": _replayed,
    "cancelled": _cancelled,
    "posted anew": _posted_anew,
    "again": _again,
}
#: What must have happened once before the first attempt.
BEFORE: Mapping[str, Callable[[World], Awaitable[None]]] = {"again": _finished_one}

__all__ = ["SCENARIOS", "START", "How", "Points", "crash_points", "start_points"]
