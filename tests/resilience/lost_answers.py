"""Lost answers: a fifth of all submits is taken by fal, and the answer never arrives.

Every picture that fal takes must belong to exactly one job, or to a job that is flagged as a possible double. The hard
ones are requests that nothing tells apart: no seed, the same words, at the same time.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.e2e.test_callbacks import a_free_port
from tests.resilience.world import Ask, Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

#: Share of answers that get lost, and how.
LOST = 0.2
HOW = ("drop", "half", "drop", "gateway", "drop", "error")
#: Doubles that are allowed, one in so many submits.
ONE_IN = 1000
#: Questions under way at once.
AT_ONCE = 60
#: What is asked for, by weight; `same` is always the same request.
KINDS = {"plain": 6, "same": 2, "seedless": 1, "two": 1}
SAME = "the same harbour at the same dusk"
#: How long a request is looked for before it is sent once more.
RECONCILE_S = 20.0
#: Where much waits at fal, it drops only later what has not started.
CROWDED_START_S = 30.0
#: The drain ends when nothing has ended for so long.
DRAIN_S = 120.0
#: Share of the cancels that wait until fal has the request, and how long they wait at most.
CANCELLED_AT_FAL = 0.7
TAKEN_S = 10.0
#: One in so many submits is answered with a 5xx and not taken.
NOT_TAKEN = 20

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
    #: Whether everything had ended in the end.
    drained: bool = False
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def doubles(self) -> int:
        """Submits that fal got twice, flagged or not."""
        return self.verdict.flagged_doubles + len(self.verdict.doubled_submits)

    @property
    def faultless(self) -> bool:
        """Within the bounds."""
        few = self.doubles * ONE_IN <= max(self.verdict.submits, ONE_IN - 1)
        return few and self.drained and not (self.unaccounted or self.shared or self.verdict.faults)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}, told by the {self.by}: {self.verdict.submits} submits of which {self.lost} lost their "
            f"answer in {self.took_s:.0f} s{'' if self.drained else ' (NOT ALL ENDED)'}, {self.list_calls} pages of "
            f"fal's list read; {len(self.unaccounted)} "
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
        world.fal_breaks = by == "list"
        if cancelled:
            world.fal.queue.concurrency = 1  # what waits at fal is not in its list yet
            world.settings["fal"] |= {"start_timeout_s": CROWDED_START_S, "reconcile_s": CROWDED_START_S + 5}
            world.job_timings = world.job_timings | {"refused_waits_s": [1.0]}  # so many are given up meanwhile
        await world.start()
        pressing, taken = list[asyncio.Task[None]](), _Taken(world)
        kinds = chance.choices(list(KINDS), list(KINDS.values()), k=count)
        for number, kind in enumerate(kinds):
            await _ask(world, kind)
            if cancelled and number % NOT_TAKEN == 0:
                world.fal.faults.set("server_error" if number % (2 * NOT_TAKEN) else "gateway_error", 1)
            if chance.random() < cancelled:
                until = taken if chance.random() < CANCELLED_AT_FAL else None
                pressing.append(asyncio.create_task(_cancel(world, world.asks[-1], chance.random(), until)))
            if number % 10 == 9:
                await world.until(lambda: _waiting(world) < AT_ONCE)
            if time.monotonic() - began_s > minutes * 60:
                break
        await asyncio.gather(*pressing)
        done.drained = await world.drained(DRAIN_S) and await world.settled_at_fal(DRAIN_S)
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


class _Taken:
    """The prompts that fal has taken."""

    def __init__(self, world: World) -> None:
        self._accepted = world.fal.accepted
        self._prompts: set[object] = set()
        self._seen = 0

    def __contains__(self, prompt: str) -> bool:
        new = list(itertools.islice(self._accepted, self._seen, None))
        self._seen += len(new)
        self._prompts.update(one.arguments.get("prompt") for one in new)
        return prompt in self._prompts


async def _cancel(world: World, ask: Ask, after_s: float, taken: _Taken | None) -> None:
    """Press Cancel so long after the answer; or, given `taken`, soon after fal has the request."""
    await world.until(lambda: ask.record.state != "waiting")
    if taken is not None:
        with suppress(TimeoutError):  # not every request is taken
            await world.until(lambda: ask.prompt in taken, TAKEN_S)
    await asyncio.sleep(after_s / 5 if taken is not None else after_s)
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
