"""Rate limits: half of all of Discord's answers are 429, of all four kinds, from the first request of the start on.

Everything that was promised must be delivered once. No request may come before a 429 that the bot has heard allows it:
one of a bucket holds that bucket back, a global one everything that carries the bot's token (or, met by a webhook,
everything), Cloudflare's everything. And next to no request may be invalid by the bot's own fault.

"Invalid" are 401, 403 and 429 without scope shared. The fake Discord refuses half of all requests at random, which
nobody can avoid, and what was on its way when a 429 came can't be called back. So the share that is bound to 1 % is of
what the bot could have known: early requests, 401 and 403. The sum of all invalid ones is bound, too: within any ten
minutes it must stay far below the 10,000 at which Discord bans an address.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.discord import InteractionRecord, NotAnswered, NotOffered
from sandbox.discord.chaos import RateLimitChaos
from tests.resilience.kills import KINDS, _some
from tests.resilience.world import Ask, Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

#: Questions, presses and completions a second.
ACTIONS_PER_S = 10.0
#: Of all requests.
MOST_OWN_FAULTS = 0.01
#: Discord bans at 10,000.
MOST_INVALID = 5000
DRAIN_S = 120.0
#: The bot's bounds for a run whose ten minutes are three seconds.
TIGHT: dict[str, Any] = {
    "bot.discord.rate_limits:WINDOW_S": 3.0,
    "bot.discord.rate_limits:SLICE_S": 0.1,
    "bot.discord.rate_limits:NO_PROGRESS_FROM": 8,
    "bot.discord.rate_limits:SLOW_FROM": 12,
    "bot.discord.rate_limits:RESPONSES_ONLY_FROM": 24,
    "bot.discord.rate_limits:NOTHING_FROM": 32,
    "bot.discord.rate_limits:MAX_SPACING_S": 0.1,
}
TIGHT_WINDOW_S = 3.0
#: Then nothing is sent any more, but for what is under way already.
MOST_TIGHT = 36


@dataclass
class Limited:
    """What became of it."""

    seed: str
    chaos: RateLimitChaos
    identifies: int = 0
    starts: int = 0
    completions: int = 0
    completed: int = 0
    deletes: int = 0
    #: Deletes and cancels that were acknowledged, and did not happen.
    undone: list[str] = field(default_factory=list)
    #: Requests of the bot that edited a message, and what it sent in all.
    edits: int = 0
    took_s: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)

    #: Bound of the invalid requests within the window.
    most: int = MOST_INVALID

    @property
    def own_share(self) -> float:
        """Invalid requests by the bot's own fault, of all requests."""
        return self.chaos.own_faults / max(self.chaos.requests, 1)

    @property
    def faults(self) -> dict[str, object]:
        """What is wrong, by kind; empty when all is well."""
        found: dict[str, object] = {
            **self.verdict.faults,
            "early": self.chaos.examples if self.chaos.early.total() else None,
            "own share": self.own_share if self.own_share >= MOST_OWN_FAULTS else None,
            "invalid": self.chaos.most_invalid_in_window if self.chaos.most_invalid_in_window > self.most else None,
            "identifies": self.identifies if self.identifies > self.starts else None,
            "undone": self.undone,
        }
        return {name: one for name, one in found.items() if one}

    def __str__(self) -> str:
        chaos = self.chaos
        lines = [
            f"seed {self.seed}: {chaos.requests} requests in {self.took_s:.0f} s, refused at random "
            f"{chaos.forced.total()} ({_by(chaos.forced)}), on their way when a limit came {chaos.crossed.total()}; "
            f"{chaos.early.total()} early ({_by(chaos.early)}; bound: 0), {chaos.denied} times 401 or 403, own invalid "
            f"requests {self.own_share:.2%} (bound: {MOST_OWN_FAULTS:.0%}), {chaos.most_invalid_in_window} invalid of "
            f"all kinds within {chaos.window_s:g} s (bound: {self.most}, ban at 10,000 in 600 s); {self.identifies} "
            f"identifies in {self.starts} starts; {self.completed} of {self.completions} completions answered, "
            f"{self.deletes} deletes, {len(self.undone)} acknowledged and not done (bound: 0); {self.edits} edits; "
            f"{self.verdict}",
            *(f"  early: {one}" for one in chaos.examples[:12]),
            *(f"  not done: {one}" for one in self.undone[:12]),
        ]
        return "\n".join(lines)


def _by(counts: Counter[Any]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"


async def limited(
    forks: Forks,
    folder: Path,
    *,
    seed: str,
    seconds: float,
    chaos: RateLimitChaos | None = None,
    tight: bool = False,
    server: Postgres | None = None,
    without: Sequence[str] = (),
    drain_s: float = DRAIN_S,
) -> Limited:
    """Start the bot under rate limit chaos, let people go on for so long, wait for what is under way, judge."""
    chance, began_s = random.Random(seed), time.monotonic()
    chaos = chaos or RateLimitChaos(seed=seed, whole=False)
    done = Limited(seed, chaos)
    async with a_world(forks, folder, server=server, without=without, paint_s=0.4) as world:
        world.discord.rate_limit_chaos(chaos)
        world.settings["discord"] = {"progress_interval_s": 0.3}
        # Not shorter than an answer may take: nothing is spent before it is out.
        world.job_timings["response_wait_s"] = 60.0
        if tight:
            chaos.window_s = TIGHT_WINDOW_S
            done.most = MOST_TIGHT
            world.changed = world.changed | TIGHT
        await world.start()
        people = _People(world, chance, done)
        await people.go_on(seconds)
        await world.drained(drain_s)
        await people.finish()
        await world.kill()
        done.verdict = await world.verdict()
        done.identifies, done.starts = len(world.discord.gateway.identifies), world.starts
        done.edits = world.discord.counters.route("PATCH", "/messages/")
    done.took_s = time.monotonic() - began_s
    return done


async def refused_results(forks: Forks, folder: Path, *, seed: str, count: int, without: Sequence[str] = ()) -> Limited:
    """Cards are sent without any fault; then Cloudflare refuses most requests while all the results are delivered."""
    began_s = time.monotonic()
    chaos = RateLimitChaos(share=0.0, seed=seed, longest_s=0.1, weights={"cloudflare": 1}, whole=False)
    done = Limited(seed, chaos)
    async with a_world(forks, folder, without=without) as world:
        world.discord.rate_limit_chaos(chaos)
        await world.start()
        world.hold()
        for _ in range(count):
            await world.ask()
        await world.until(lambda: all(ask.seen for ask in world.asks) and len(world.fal.accepted) == count)
        chaos.share = 0.7
        world.let_go()
        await world.drained()
        await world.kill()
        done.verdict = await world.verdict()
        done.identifies, done.starts = len(world.discord.gateway.identifies), world.starts
    done.took_s = time.monotonic() - began_s
    return done


class _People:
    """They ask, cancel, repeat, delete and complete."""

    def __init__(self, world: World, chance: random.Random, done: Limited) -> None:
        self._world, self._chance, self._done = world, chance, done
        self._completing: set[asyncio.Task[None]] = set()
        self._deletes: list[tuple[Ask, InteractionRecord]] = []

    async def go_on(self, seconds: float) -> None:
        """For so long."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            await asyncio.sleep(self._chance.expovariate(ACTIONS_PER_S))
            await self._act()

    async def _act(self) -> None:
        world, what = self._world, self._chance.random()
        if what < 0.1:
            if (ask := _some(world, self._chance, "Cancel")) is not None:
                await world.cancel(ask)
        elif what < 0.2:
            if (ask := _some(world, self._chance, "Again")) is not None:
                await world.again(ask)
        elif what < 0.4:
            task = asyncio.create_task(self._delete() if what < 0.3 else self._complete())
            self._completing.add(task)
            task.add_done_callback(self._completing.discard)
        else:
            await world.ask(self._chance.choices(list(KINDS), list(KINDS.values()))[0])

    async def _delete(self) -> None:
        ask = _some(self._world, self._chance, "Delete")
        if ask is None or ask.deleted:
            return
        with suppress(NotOffered, NotAnswered, LookupError):
            question = await self._world.discord.press(ask.record.person, ask.record, "Delete")
            await question.answered()
            record = await self._world.discord.submit_modal(question)
            ask.deleted = True
            self._done.deletes += 1
            self._deletes.append((ask, record))

    async def _complete(self) -> None:
        self._done.completions += 1
        with suppress(NotAnswered):
            await self._world.discord.autocomplete("ada", "general", "imagine", "model", {"prompt": "x"})
            self._done.completed += 1

    async def finish(self) -> None:
        """Wait for answers and deletions."""
        if self._completing:
            await asyncio.wait(self._completing)
        with suppress(TimeoutError):
            await self._world.until(lambda: not self._left(), 10.0)
        self._done.undone += self._left()

    def _left(self) -> list[str]:
        """Who was told that it would be deleted, and sees it still."""
        return [
            ask.prompt
            for ask, record in self._deletes
            if record.state == "answered"
            and (original := ask.record.original) is not None
            and original.id in original.channel.messages
        ]


__all__ = ["DRAIN_S", "Limited", "limited", "refused_results"]
