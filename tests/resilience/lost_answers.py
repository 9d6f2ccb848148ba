"""Lost answers: a fifth of all submits is taken by fal, and the answer never arrives.

Every picture that fal takes must belong to exactly one job, or to a job that is flagged as a possible double. The hard
ones are requests that nothing tells apart: no seed, the same words, at the same time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.e2e.test_callbacks import a_free_port
from tests.resilience.world import Ask, Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

#: Share of answers that get lost, and how.
LOST = 0.2
HOW = ("drop", "half", "drop", "gateway", "drop", "error")
#: Ways that are answers, of a kind that fal does not bill for.
REFUSED = ("gateway", "error")
#: Doubles that are allowed, one in so many submits.
ONE_IN = 1000
#: Questions under way at once.
AT_ONCE = 60
#: What is asked for, by weight; `same` is always the same request.
KINDS = {"plain": 6, "same": 2, "seedless": 1, "two": 1}
SAME = "the same harbour at the same dusk"
#: How long a request is looked for before it is sent once more.
RECONCILE_S = 20.0
DRAIN_S = 120.0

#: What tells of a lost request: fal's list, or its callback alone (payloads are not kept, so the list is blind).
By = Literal["list", "callback"]


@dataclass
class Losses:
    """What became of them."""

    seed: str
    by: By = "list"
    lost: int = 0
    #: Accepted by fal and on record with no job.
    unaccounted: tuple[str, ...] = ()
    #: On record with several.
    shared: tuple[str, ...] = ()
    list_calls: int = 0
    took_s: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def doubles(self) -> int:
        """Submits that fal got twice, flagged or not."""
        return self.verdict.flagged_doubles + len(self.verdict.doubled_submits)

    @property
    def faultless(self) -> bool:
        """Within the bounds."""
        few = self.doubles * ONE_IN <= max(self.verdict.submits, ONE_IN - 1)
        return few and not (self.unaccounted or self.shared or self.verdict.faults)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}, told by the {self.by}: {self.verdict.submits} submits of which {self.lost} lost their "
            f"answer in {self.took_s:.0f} s, {self.list_calls} pages of fal's list read; {len(self.unaccounted)} "
            f"pictures unaccounted for, {len(self.shared)} with several jobs (bound: 0), {self.doubles} doubles "
            f"(bound: 1 in {ONE_IN}, all flagged); {self.verdict}"
        )


async def losses(
    forks: Forks,
    folder: Path,
    *,
    seed: str,
    count: int,
    by: By = "list",
    server: Postgres | None = None,
    without: Sequence[str] = (),
    minutes: float = 10.0,
    cancelled: float = 0.0,
) -> Losses:
    """Ask `count` times, as fast as it is answered; let everything finish; judge.

    Args:
        cancelled: share of the requests that are cancelled soon after, many of them while their answer is missing.
    """
    chance, done, began_s = random.Random(seed), Losses(seed, by), time.monotonic()
    async with a_world(forks, folder, server=server, without=without, paint_s=0.05) as world:
        world.settings["fal"] = {"reconcile_s": RECONCILE_S, "start_timeout_s": 10.0}
        if by == "callback":
            port = a_free_port()
            world.settings["web"] = {"port": port, "public_url": f"http://127.0.0.1:{port}"}
            world.settings["fal"]["store_payloads"] = False
        world.fal.queue.keep_jobs = 2 * count
        world.fal.faults.lost_answers = LOST
        world.fal.lost_how = HOW if by == "list" else HOW[:1]
        if cancelled:
            world.fal.queue.concurrency = 1  # what waits at fal is not in its list yet
            world.fal.lost_how = tuple(way for way in HOW if way not in REFUSED)  # those are not looked for that long
        await world.start()
        pressing: list[asyncio.Task[None]] = []
        kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count)
        for number, kind in enumerate(kinds):
            await _ask(world, kind)
            if chance.random() < cancelled:
                pressing.append(asyncio.create_task(_cancel(world, world.asks[-1], chance.random())))
            if number % 10 == 9:
                await world.until(lambda: _waiting(world) < AT_ONCE)
            if time.monotonic() - began_s > minutes * 60:
                break
        await asyncio.gather(*pressing)
        await world.drained(DRAIN_S)
        await world.kill()
        done.verdict = await world.verdict()
        done.lost = world.fal.lost
        done.list_calls = world.fal.counters.requests["list"]
        _account(world, done)
    done.took_s = time.monotonic() - began_s
    return done


async def _ask(world: World, kind: str) -> None:
    if kind != "same":
        await world.ask(kind)
        return
    record = await world.discord.command("mo", "general", "imagine", {"prompt": SAME, "model": "recraft-v2"})
    world._note(Ask(kind, SAME, record))


async def _cancel(world: World, ask: Ask, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await world.until(lambda: ask.record.state != "waiting")
    await world.cancel(ask)


def _waiting(world: World) -> int:
    return sum(ask.record.state == "waiting" for ask in world.asks[-2 * AT_ONCE :])


def _account(world: World, done: Losses) -> None:
    """Every request at fal against the jobs' records."""
    rows = world.rows("SELECT request_id FROM jobs WHERE request_id IS NOT NULL")
    holders = Counter(str(row["request_id"]) for row in rows)
    at_fal = [one.request_id for one in world.fal.accepted]
    done.shared = tuple(request_id for request_id in at_fal if holders[request_id] > 1)
    nobodys = [request_id for request_id in at_fal if not holders[request_id]]
    # A job that was sent twice is flagged: the first request is the one it could not find.
    done.unaccounted = tuple(nobodys[done.verdict.flagged :])
