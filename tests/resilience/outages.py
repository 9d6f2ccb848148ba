"""Outages: Discord, fal, both, the database or the disk away, and clocks an hour wrong, with jobs in every state.

The bot runs with the pauses it has in production. Only the time after which a lost submit is sent again is shorter:
that one is stated in the settings and counts on purpose.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlalchemy import make_url

from tests.resilience.databases import File
from tests.resilience.proxy import State, TcpProxy
from tests.resilience.world import Ask, Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

#: Everything that was promised is there so many seconds after the end.
RECOVERY_S = 60.0
#: Discord's deadline for the first answer.
ANSWER_S = 3.0
JOBS_BEFORE = 10
#: So long after an outage began fal finishes what it had been given before.
BEGUN_S = 0.5
ASKS_PER_S = 3.0
PAINT_S = 0.8
#: So that some wait here, some at fal, and some are just being handed over.
IN_FLIGHT = 14
LOST_S = 5.0
#: So long that jobs which nobody here works on any more are not taken up again in time: none may become so.
LEASE_S = 600.0
#: Share of questions from servers in which the bot is not.
ELSEWHERE = 0.2
KINDS = {"plain": 10, "two": 3, "seedless": 2, "input": 2}
#: What a full disk leaves room for: nothing beyond the first page of any file.
FULL_BYTES = 4096
HOUR_S = 3600.0
#: fal takes so long to answer a submit while clocks step.
SLOW_S = 1.0
#: What people read while fal is away, and what they are told while the database is.
FAL_AWAY = "fal.ai is not answering"
REFUSED = "No quota was used"


@dataclass
class Outage:
    """One outage and what came of it."""

    kind: str
    seed: str
    lasted_s: float
    #: Seconds from its end until nothing was under way any more; None when that took too long.
    recovered_s: float | None = None
    #: Cards of jobs under way at the end, and how many of them said that fal is away.
    live: int = 0
    told: int = 0
    #: Questions while the database was away: refused with a sentence, and the slowest answer.
    asked: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    #: Questions without any answer in time, and refusals without a code.
    speechless: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def faults(self) -> dict[str, Any]:
        """What is wrong; empty when all is well."""
        found: dict[str, Any] = dict(self.verdict.faults)
        if self.recovered_s is None:
            found["not recovered"] = f"within {RECOVERY_S:.0f} s"
        if self.verdict.flagged_doubles:
            found["painted again"] = self.verdict.flagged_doubles
        if self.speechless:
            found["speechless"] = self.speechless
        if self.kind in SHOWN_ON_CARDS and self.live and not self.told:
            found["nobody told"] = f"{self.live} cards"
        return found

    def __str__(self) -> str:
        recovered = "NOT recovered" if self.recovered_s is None else f"recovered {self.recovered_s:.1f} s after its end"
        told = f", {self.told} of {self.live} cards said so" if self.kind in SHOWN_ON_CARDS else ""
        asked = f", {self.refused} of {self.asked} questions refused with a code, slowest answer {self.slowest_s:.1f} s"
        return (
            f"{self.kind}, seed {self.seed}: lasted {self.lasted_s:.0f} s, {recovered} (bound {RECOVERY_S:.0f})"
            f"{told}{asked if self.kind in ROWLESS else ''}, {len(self.speechless)} speechless; {self.verdict}"
        )


@dataclass
class OutageSetup:
    """What an outage can break."""

    world: World
    discord: TcpProxy
    fal: TcpProxy
    chance: random.Random
    lasting_s: float
    server: Postgres | None


Disturb = Callable[[OutageSetup], Coroutine[Any, Any, None]]


# ---------------------------------------------------------------------- the outages; each lasts `lasting_s`


def _proxies(which: str, state: State) -> Disturb:
    async def disturb(setup: OutageSetup) -> None:
        proxies = {"discord": [setup.discord], "fal": [setup.fal], "both": [setup.discord, setup.fal]}[which]
        await asyncio.gather(*(proxy.become(state) for proxy in proxies))
        await asyncio.sleep(setup.lasting_s)
        await asyncio.gather(*(proxy.become("sound") for proxy in proxies))

    return disturb


async def _results(setup: OutageSetup) -> None:
    """fal takes requests and paints; every request for a result gets a gateway's error page."""
    fal = setup.world.fal

    def result(job: Any) -> web.Response:
        return web.Response(status=(500, 404, 502)[job.requests["result"] % 3], text="<html>nginx</html>")

    vars(fal)["_result"] = result
    await asyncio.sleep(setup.lasting_s)
    vars(fal).pop("_result")


async def _locked(setup: OutageSetup) -> None:
    """Somebody else writes, and writes, and writes; now and then the bot gets a moment."""
    database = setup.world.database
    assert isinstance(database, File)
    path, until_s = database.path, time.monotonic() + setup.lasting_s
    held_s = 7.0  # SQLite waits five seconds for a lock
    while time.monotonic() < until_s:
        await asyncio.to_thread(_hold, path, held_s)
        await asyncio.sleep(0.05)
        held_s = setup.chance.choice((2.0, 7.0))


def _hold(path: Path, seconds: float) -> None:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
    finally:
        connection.close()


async def _full(setup: OutageSetup) -> None:
    """No file of the bot can grow: every write beyond a page fails, as on a full disk; the log's too."""
    assert setup.world.child is not None
    pid = setup.world.child.pid
    usual = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_BYTES, usual[1]))
    await asyncio.sleep(setup.lasting_s)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)


async def _server_away(setup: OutageSetup) -> None:
    """PostgreSQL ends every connection of the bot and takes no new one."""
    assert setup.server is not None
    name = make_url(setup.world.database.url).database
    ours = setup.world.rows("SELECT pg_backend_pid()")[0][0]
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> {ours}"
    await setup.server._run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", end)
    await asyncio.sleep(setup.lasting_s)
    await setup.server._run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def _connections_end(setup: OutageSetup) -> None:
    """PostgreSQL ends every connection of the bot again and again, in the middle of whatever it is doing."""
    assert setup.server is not None
    name = make_url(setup.world.database.url).database
    ours = setup.world.rows("SELECT pg_backend_pid()")[0][0]
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> {ours}"
    until_s = time.monotonic() + setup.lasting_s
    while time.monotonic() < until_s:
        await setup.server._run(end)
        await asyncio.sleep(setup.chance.uniform(0.02, 0.3))


async def _tables_locked(setup: OutageSetup) -> None:
    """Somebody else holds PostgreSQL's tables, as a migration or a backup gone wrong does; now and then not."""
    assert setup.server is not None
    name, until_s = make_url(setup.world.database.url).database or "", time.monotonic() + setup.lasting_s
    while (left_s := until_s - time.monotonic()) > 0:
        held_s = min(setup.chance.choice((2.0, 8.0)), left_s)
        lock = f"DO $$ BEGIN LOCK TABLE jobs, ledger; PERFORM pg_sleep({held_s}); END $$"
        await setup.server._run(lock, database=name)
        await asyncio.sleep(0.05)


def _clock(*steps_s: float) -> Disturb:
    """The bot's clock steps; some answers to submits get lost, or are on their way while it does."""

    async def disturb(setup: OutageSetup) -> None:
        assert setup.world.child is not None
        faults = setup.world.fal.faults
        faults.lost_answers, faults.slow_submit_s = 0.3, SLOW_S
        for _ in range(3):
            await setup.world.ask()
        await asyncio.sleep(SLOW_S * 0.6)  # they are being handed over
        for step_s in steps_s:
            setup.world.child.step(step_s)
            await asyncio.sleep(setup.lasting_s / len(steps_s))
        faults.lost_answers, faults.slow_submit_s = 0.0, 0.0

    return disturb


DISTURB: Mapping[str, Disturb] = {
    **{f"discord {state}": _proxies("discord", state) for state in ("refused", "unavailable", "silent")},
    **{f"fal {state}": _proxies("fal", state) for state in ("refused", "unavailable", "broken", "silent", "frayed")},
    "fal without results": _results,
    "both refused": _proxies("both", "refused"),
    "database locked": _locked,
    "disk full": _full,
    "clock an hour ahead": _clock(HOUR_S),
    "clock an hour behind": _clock(-HOUR_S),
    "clock to and fro": _clock(HOUR_S, 0, -HOUR_S, HOUR_S, -HOUR_S, 0),
}
#: Only where there is a server.
DISTURB_SERVER: Mapping[str, Disturb] = {
    "server away": _server_away,
    "connections end": _connections_end,
    "tables locked": _tables_locked,
}
#: Those in which cards must say that fal is away.
SHOWN_ON_CARDS = frozenset({"fal refused", "fal unavailable", "fal broken"})
#: Those in which nothing can be written: every question is refused with a sentence and a code.
ROWLESS = frozenset({"database locked", "disk full", "server away", "connections end", "tables locked"})


# ---------------------------------------------------------------------- the run


async def outage(
    forks: Forks,
    folder: Path,
    kind: str,
    seed: str,
    *,
    lasting_s: float,
    server: Postgres | None = None,
    without: Sequence[str] = (),
    recovery_s: float = RECOVERY_S,
) -> Outage:
    """One bot, one outage; judged when all is over."""
    chance = random.Random(f"{seed}/{kind}")
    found = Outage(kind, seed, lasting_s)
    disturb = DISTURB.get(kind) or DISTURB_SERVER[kind]
    on_server = server if kind in DISTURB_SERVER else None
    async with _a_scene(forks, folder, chance=chance, lasting_s=lasting_s, server=on_server, without=without) as setup:
        world = setup.world
        await world.start()
        await _jobs_before(world, chance)
        before = len(world.asks)
        people = asyncio.create_task(_people(world, chance), name="people")
        try:
            disturbing = asyncio.create_task(disturb(setup))
            await asyncio.sleep(BEGUN_S)
            world.let_go()
            await asyncio.wait({disturbing}, timeout=lasting_s * 0.95 - BEGUN_S)
            _look_at_cards(world, found)
            await disturbing
        finally:
            people.cancel()
            with suppress(asyncio.CancelledError):
                await people
        began_s = time.monotonic()
        if await world.drained(recovery_s):
            found.recovered_s = time.monotonic() - began_s
        _look_at_answers(world.asks[before:], found)
        await world.kill_all()
        found.verdict = await world.verdict()
    return found


@asynccontextmanager
async def _a_scene(
    forks: Forks,
    folder: Path,
    *,
    chance: random.Random,
    lasting_s: float,
    server: Postgres | None,
    without: Sequence[str],
) -> AsyncIterator[OutageSetup]:
    """A world whose fake servers are reached through proxies, and a bot with its usual patience."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(a_world(forks, folder, server=server, without=without, paint_s=PAINT_S))
        discord, fal = TcpProxy(world.discord.base_url), TcpProxy(world.fal.url)
        for proxy in (discord, fal):
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        stack.push_async_callback(world.kill_all)
        fake = world.discord
        fake.base_url = fake.files.base_url = discord.url
        fake.gateway.url = fake.gateway_url
        world.fal.url = fal.url
        world.changed, world.job_timings, world.discord_timings = {}, {}, {}
        world.timings = {}
        fake.interactions.answer_deadline_s = ANSWER_S
        world.lease_s = LEASE_S
        world.settings = {
            "discord": {"progress_interval_s": 0.4},
            "fal": {"max_in_flight": IN_FLIGHT, "reconcile_s": LOST_S},
        }
        yield OutageSetup(world, discord, fal, chance, lasting_s, server)


async def _jobs_before(world: World, chance: random.Random) -> None:
    """Some are finished or nearly so when the outage begins; fal has others, and finishes them meanwhile."""
    for number in range(JOBS_BEFORE):
        if number == JOBS_BEFORE // 2:
            await asyncio.sleep(chance.uniform(0, PAINT_S))
            world.hold()
        await world.ask(_some_kind(chance))
        await asyncio.sleep(chance.uniform(0, 0.1))
    with suppress(TimeoutError):
        await world.until(lambda: len(world.fal.accepted) >= JOBS_BEFORE - chance.randrange(3), 5.0)


def _some_kind(chance: random.Random) -> str:
    return chance.choices(list(KINDS), list(KINDS.values()))[0]


async def _people(world: World, chance: random.Random) -> None:
    """They go on asking, as long as Discord lets them."""
    while True:
        await asyncio.sleep(chance.expovariate(ASKS_PER_S))
        if not world.online:
            continue
        if chance.random() < ELSEWHERE:
            await _ask_elsewhere(world, len(world.asks))
        else:
            await world.ask(_some_kind(chance))


async def _ask_elsewhere(world: World, number: int) -> None:
    """Where the bot is no member: only the interaction's token leads there."""
    prompt = f"picture number {number} of another server"
    record = await world.discord.command("pat", "elsewhere", "imagine", {"prompt": prompt}, own_app=True)
    world._note(Ask("elsewhere", prompt, record))


def _look_at_cards(world: World, found: Outage) -> None:
    for ask in world.asks:
        original = ask.record.original
        if ask.seen and original is not None and "Cancel" in original.buttons():
            found.live += 1
            found.told += FAL_AWAY in original.text()


def _look_at_answers(asks: Sequence[Ask], found: Outage) -> None:
    """While only the database is away, nobody may be left without an answer."""
    if found.kind not in ROWLESS:
        return
    found.asked = len(asks)
    for ask in asks:
        said = "" if ask.record.original is None else ask.record.original.text()
        found.slowest_s = max(found.slowest_s, ask.record.first_answer_s or 0.0)
        if ask.record.state != "answered":
            found.speechless.append(f"{ask.prompt!r}: {ask.record.state} {ask.record.failed_reason or ''}")
        elif not ask.card:
            found.refused += 1
            if "(code " not in said or REFUSED not in said:
                found.speechless.append(f"{ask.prompt!r}: {said!r}")


async def outages(
    forks: Forks,
    folder: Path,
    kinds: Sequence[str],
    seed: str,
    *,
    lasting_s: float,
    at_once: int,
    server: Postgres | None = None,
    without: Sequence[str] = (),
) -> AsyncIterator[Outage]:
    """Many, some at a time: mostly they wait."""
    turn = asyncio.Semaphore(at_once)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))

    async def one(kind: str) -> Outage:
        async with turn:
            own = folder / kind.replace(" ", "-")
            return await outage(forks, own, kind, seed, lasting_s=lasting_s, server=server, without=without)

    for done in asyncio.as_completed([one(kind) for kind in kinds]):
        yield await done


__all__ = ["DISTURB", "DISTURB_SERVER", "Outage", "outage", "outages"]
