"""Random SIGKILL: people ask, cancel and ask again while the bot is killed at any moment and started at once."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.resilience.databases import Kind
from tests.resilience.world import Ask, Child, Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

#: Where the rows are, and how many processes share them.
SHAPES: Sequence[tuple[Kind, int]] = (("sqlite", 1), ("postgresql", 1), ("postgresql", 4))
#: Kills of one world. The bot slows its starts down from the 500th of a day on.
KILLS_A_ROUND = 60
#: Questions a second while somebody listens.
ASKS_PER_S = 12.0
#: Where several processes share the jobs, somebody always listens.
SHARED_ASKS_PER_S = 6.0
#: Share of kills that strike while the bot is still starting.
EARLY = 0.25
#: Share of the other ends that are SIGTERM, which should end the bot within `STOP_S`. They do not count as kills.
STOPS = 0.1
STOP_S = 5.0
#: The longest a bot lives after it is ready (early kills: after its start).
LONGEST_LIFE_S = 0.35
#: The same where others live on; now and then one must live long enough to take over what a dead one left.
LONGEST_SHARED_LIFE_S = 3.0
#: Share of lives that hang (SIGSTOP) for longer than a lease where others live on, who then take over.
HANGS = 0.08
DRAIN_S = 60.0
#: What is asked for, by weight.
KINDS = {"plain": 10, "two": 3, "refused": 2, "seedless": 2, "input": 1}


@dataclass
class Round:
    """The kills of one world, and the verdict."""

    seed: str
    kind: Kind = "sqlite"
    processes: int = 1
    kills: int = 0
    #: Kills before the bot was ready.
    early: int = 0
    stops: int = 0
    #: Processes that hung, and went on when others had their jobs.
    hangs: int = 0
    #: Of these, not within `STOP_S`: only a machine that does much else at the time excuses them.
    slow_stops: int = 0
    replayed: int = 0
    orphaned: int = 0
    took_s: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)

    def __str__(self) -> str:
        shape = f"{self.kind}, {self.processes} at once"
        return (
            f"seed {self.seed}, {shape}: {self.kills} kills ({self.early} while starting), {self.hangs} hangs and "
            f"{self.stops} stops "
            f"({self.slow_stops} over {STOP_S:.0f} s) in "
            f"{self.took_s:.0f} s, {self.replayed} replayed, {self.orphaned} posted anew; {self.verdict}"
        )


async def one_round(
    forks: Forks,
    folder: Path,
    seed: str,
    kills: int,
    *,
    server: Postgres | None = None,
    processes: int = 1,
    without: Sequence[str] = (),
    drain_s: float = DRAIN_S,
    replays: float = 0.1,
) -> Round:
    """Kill the bot `kills` times, let it finish, judge. `replays`: the share of questions that come twice.

    With several processes each of them is killed and started again by itself.
    """
    chance = random.Random(seed)
    done = Round(seed, "sqlite" if server is None else "postgresql", processes)
    began_s = time.monotonic()
    paint_s = chance.choice((0.01, 0.1, 0.5))
    async with a_world(forks, folder, server=server, processes=processes, without=without, paint_s=paint_s) as world:
        if processes > 1:
            # Now and then people wait, and several processes know of it.
            world.settings["fal"] = {"max_in_flight": chance.choice((0, 0, 8))}
        people = asyncio.create_task(_people(world, chance, done, replays), name="people")
        try:

            async def lives(slot: int) -> None:
                while done.kills < kills and not people.done():
                    await _one_life(world, slot, chance, done, kills)

            async with asyncio.TaskGroup() as group:
                for slot in range(processes):
                    group.create_task(lives(slot))
        finally:
            people.cancel()
            with suppress(asyncio.CancelledError):
                await people
        await world.start_all()
        await world.drained(drain_s)
        await world.kill_all()
        done.verdict = await world.verdict()
    done.took_s = time.monotonic() - began_s
    return done


async def _one_life(world: World, slot: int, chance: random.Random, done: Round, kills: int) -> None:
    """From a start to its end, unless the others are quicker."""
    child = await world.start(slot, ready=False)
    early = chance.random() < EARLY
    if not early:
        await world.ready(slot)
    longest_s = LONGEST_LIFE_S if early or len(world.fleet) == 1 else LONGEST_SHARED_LIFE_S
    if len(world.fleet) > 1 and not early and chance.random() < HANGS:
        await asyncio.sleep(chance.uniform(0, longest_s))
        await _hang(world, child, chance, done)
    await asyncio.wait({child.ended}, timeout=chance.uniform(0, longest_s))
    if child.ended.done():
        await world.gone(slot)
        raise AssertionError(f"the bot ended by itself; see {world.log}")
    if not early and chance.random() < STOPS:
        await _stop(world, slot, done)
        return
    if done.kills >= kills:
        return
    done.early += child.session is None
    done.kills += 1
    await world.kill(slot)


async def _hang(world: World, child: Child, chance: random.Random, done: Round) -> None:
    """Stop the process (SIGSTOP) until its lease has run out, then let it go on."""
    child.signal(signal.SIGSTOP)
    done.hangs += 1
    await asyncio.sleep(world.lease_s * chance.uniform(1.1, 2.2))
    child.signal(signal.SIGCONT)


async def _stop(world: World, slot: int, done: Round) -> None:
    """An orderly end between the kills, in time whatever is under way."""
    child = world.fleet[slot]
    assert child is not None
    child.signal(signal.SIGTERM)
    began_s = time.monotonic()
    code = await world.gone(slot)
    assert code == 0, f"a stop ended with {code}; see {world.log}"
    done.stops += 1
    done.slow_stops += time.monotonic() - began_s > STOP_S


async def _people(world: World, chance: random.Random, done: Round, replays: float) -> None:
    """People who ask, cancel and press Again all the time."""
    while True:
        await asyncio.sleep(chance.expovariate(ASKS_PER_S if len(world.fleet) == 1 else SHARED_ASKS_PER_S))
        if not world.online:
            continue
        what = chance.random()
        if what < 0.12:
            if (ask := _some(world, chance, "Cancel")) is not None:
                await world.cancel(ask)
        elif what < 0.22:
            if (ask := _some(world, chance, "Again")) is not None:
                await world.again(ask)
        elif what < 0.3:
            if (ask := _some(world, chance, "Cancel")) is not None:
                done.orphaned += world.orphan(ask)
        else:
            ask = await world.ask(chance.choices(list(KINDS), list(KINDS.values()))[0])
            if chance.random() < replays:
                world.discord.deliver_twice(ask.record)
                done.replayed += 1


def _some(world: World, chance: random.Random, button: str) -> Ask | None:
    """One of the latest cards that has this button."""
    found = [ask for ask in world.asks[-30:] if (one := ask.record.original) is not None and button in one.buttons()]
    return chance.choice(found) if found else None


async def rounds(
    forks: Forks,
    folder: Path,
    *,
    seed: str,
    kills: int,
    minutes: float,
    first: int = 0,
    worlds: int = 2,
    server: Postgres | None = None,
    shapes: Sequence[tuple[Kind, int]] = (("sqlite", 1),),
    without: Sequence[str] = (),
) -> AsyncIterator[Round]:
    """Rounds, `worlds` at a time, until so many kills are done or so many minutes have passed.

    They take turns among the `shapes`; `server` is needed for those on PostgreSQL.
    """
    until_s = time.monotonic() + minutes * 60
    planned, numbers = 0, itertools.count(first)
    running: set[asyncio.Task[Round]] = set()
    try:
        while True:
            while planned < kills and len(running) < worlds and time.monotonic() < until_s:
                number, share = next(numbers), min(KILLS_A_ROUND, kills - planned)
                planned += share
                kind, processes = shapes[number % len(shapes)]
                work = one_round(
                    forks,
                    folder / f"round-{number}",
                    f"{seed}/{number}",
                    share,
                    server=server if kind == "postgresql" else None,
                    processes=processes,
                    without=without,
                )
                running.add(asyncio.create_task(work))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


__all__ = ["KILLS_A_ROUND", "SHAPES", "Ask", "Round", "one_round", "rounds"]
