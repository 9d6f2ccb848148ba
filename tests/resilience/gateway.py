"""Forced drops: the gateway breaks again and again, and what it replays overlaps what the bot has seen already."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.discord.gateway import Drop
from tests.resilience.kills import KINDS, _some
from tests.resilience.world import Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

#: How connections break, by weight.
HOW: dict[Drop, int] = {"abort": 4, "close": 3, "reconnect": 3, "away": 2, "resumable": 1}
#: After so many the session is over, too: the bot has to identify anew, of which a day has only so many.
INVALID_EVERY = 200
#: After so many the server closes as if all were well (1000); discord.py comes back a little later then.
GOODBYE_EVERY = 125
#: Questions and presses a second, while connected or not.
ACTIONS_PER_S = 25.0
#: Events before the one that the client named, which come once more with a RESUME.
OVERLAP = 6
#: The longest a connection holds.
LONGEST_S = 0.03
DRAIN_S = 60.0


@dataclass
class Drops:
    """What one world went through, and the verdict."""

    seed: str
    drops: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    resumes: int = 0
    identifies: int = 0
    #: Events that came to a bot that had seen them.
    overlapping: int = 0
    #: Presses that came while nobody was connected.
    unheard: int = 0
    took_s: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {how}" for how, count in sorted(self.kinds.items()))
        return (
            f"seed {self.seed}: {self.drops} drops ({kinds}) in {self.took_s:.0f} s, {self.resumes} resumes, "
            f"{self.identifies} identifies, {self.overlapping} events replayed although they had been received, "
            f"{self.unheard} actions while nobody was connected; {self.verdict}"
        )


async def drops(
    forks: Forks,
    folder: Path,
    *,
    seed: str,
    count: int,
    server: Postgres | None = None,
    without: Sequence[str] = (),
    drain_s: float = DRAIN_S,
    minutes: float = 10.0,
) -> Drops:
    """Break the connection `count` times while people go on; let everything finish; judge."""
    chance, done, began_s = random.Random(seed), Drops(seed), time.monotonic()
    async with a_world(forks, folder, server=server, without=without, paint_s=0.05) as world:
        gateway = world.discord.gateway
        gateway.overlap = OVERLAP
        await world.start()
        people = asyncio.create_task(_people(world, chance, done), name="people")
        try:
            while done.drops < count and time.monotonic() - began_s < minutes * 60:
                done.drops += 1
                how = _next(done.drops, chance)
                await _drop(world, how)
                done.kinds[how] += 1
                await asyncio.sleep(chance.uniform(0, LONGEST_S))
                assert not people.done(), people.exception()
        finally:
            people.cancel()
            with suppress(asyncio.CancelledError):
                await people
        gateway.overlap = 0
        await world.drained(drain_s)
        # A replayed event that is run twice is run immediately.
        await asyncio.sleep(0.3)
        await world.kill()
        done.verdict = await world.verdict()
        done.resumes, done.identifies = gateway.resumes, len(gateway.identifies)
        done.overlapping = gateway.replayed_again
    done.took_s = time.monotonic() - began_s
    return done


def _next(number: int, chance: random.Random) -> Drop:
    if number % INVALID_EVERY == 0:
        return "invalid"
    return "goodbye" if number % GOODBYE_EVERY == 0 else chance.choices(list(HOW), list(HOW.values()))[0]


async def _drop(world: World, how: Drop) -> None:
    """Break it, and wait until the bot is there again."""
    gateway = world.discord.gateway
    before = gateway.resumes + len(gateway.identifies)
    await world.discord.drop_gateway(how)
    await world.until(lambda: gateway.online and gateway.resumes + len(gateway.identifies) > before)


async def _people(world: World, chance: random.Random, done: Drops) -> None:
    while True:
        await asyncio.sleep(chance.expovariate(ACTIONS_PER_S))
        if not world.discord.gateway.sessions:
            continue  # between two sessions; no event is sent or replayed
        done.unheard += not world.discord.gateway.online
        what = chance.random()
        if what < 0.15:
            if (ask := _some(world, chance, "Cancel")) is not None:
                await world.cancel(ask)
        elif what < 0.3:
            if (ask := _some(world, chance, "Again")) is not None:
                await world.again(ask)
        else:
            await world.ask(chance.choices(list(KINDS), list(KINDS.values()))[0])
