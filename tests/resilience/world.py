"""A fake Discord, a fake fal and a database, the bot as forked children between them, and people who ask.

The fake servers know what really happened: which interactions were answered, which pictures were posted to which
channel, which requests fal took. `World.verdict` compares that with what people were promised and with the ledger.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bot.store import Store
from sandbox.discord import FakeDiscord, Message, NotAnswered, NotOffered
from sandbox.discord.gateway import Session
from sandbox.fal import FakeFal
from tests.e2e.sandbox_driver import a_mask, a_picture
from tests.resilience.databases import File, Rows, a_database
from tests.resilience.processes import PATIENCE_S, Boundary, Child, Forks, fork_server
from tests.resilience.verdict import Ask, Evidence, Verdict
from tests.store.conftest import Postgres

COMMANDS = 8
#: fal's word for a prompt it refuses.
REFUSED = "forbidden-content"
#: Names a job; buttons that name a draft stand under refusals, which promise no picture.
_CUSTOM_ID = re.compile(r"easel:(?!(?:fix|fixmore|goon|omit|usemodel):)\w+:([0-9a-z]{8,20})")
_FILE_NAME = re.compile(r"easel-([0-9a-z]{8,20})-\d+\.")
#: Pauses of the bot that are made for hours of outage.
BRISK: dict[str, Any] = {
    "bot.media.inputs:FETCH_PAUSES_S": [0.02, 0.02],
    "bot.discord.session:LOGIN_PAUSES_S": [0.05, 0.1, 0.2],
    # Killed every second, a process dies while it prepares an attachment that is not to blame more than five times.
    "bot.jobs.submitter:MOST_CRASHES": 1_000,
}
#: The same where they are values: fields of `JobTimings` and of `DiscordTimings`.
BRISK_JOBS: dict[str, Any] = {
    "unreachable_pauses_s": [0.02] * 100,
    "provider_pauses_s": [0.02] * 100,
    "response_wait_s": 3.0,
    "list_pauses_s": [0.05, 0.1, 0.2],
    "after_blind_s": 0.1,
    "doubts_poll_s": 0.2,
    "doubts_again_s": 0.5,
}
BRISK_DISCORD: dict[str, Any] = {"delivery_pauses_s": [0.02, 0.05, 0.1] + [0.2] * 20}
#: Seconds until a request that has not turned up at fal is submitted again; far above what a look takes.
RECONCILE_S = 1.0

#: Leases where several processes may share the jobs: short, so that those of a killed one are soon taken over.
LEASE_S = 3.0
#: Changes that go with it, and with Discord's deadline for the first answer.
SHARED: dict[str, Any] = {
    "bot.store.transitions:NOTIFY_LEASE_S": LEASE_S,
}
SHARED_JOBS: dict[str, Any] = {
    "response_elsewhere_s": 2.5,
    "cancel_poll_s": 0.2,
    "quiet_s": 0.8,
    "position_valid_s": 0.5,
}
SHARED_ANSWER_DEADLINE_S = 1.5
#: Share of the interactions that reach every process at once; the others reach one of them.
TO_ALL = 0.15


class World:
    """One server, one account at fal, one database, and one bot: a process at a time, or several that share it.

    Where several run at once, most interactions reach one of them and some reach all; `child` is the first of them.
    """

    def __init__(
        self,
        forks: Forks,
        folder: Path,
        database: Rows,
        *,
        processes: int = 1,
        without: Sequence[str] = (),
        paint_s: float = 0.02,
    ) -> None:
        self.forks = forks
        self.folder = folder
        self.database = database
        self.fleet: list[Child | None] = [None] * processes
        self.without = tuple(without)
        self.discord = FakeDiscord(answer_deadline_s=3.0 if isinstance(database, File) else SHARED_ANSWER_DEADLINE_S)
        self.discord.gateway.pick = self._pick
        self.fal = FakeFal(paint="flat", paint_s=paint_s)
        self.asks: list[Ask] = []
        self.starts = 0
        #: Settings by section, over the usual ones here.
        self.settings: dict[str, dict[str, Any]] = {}
        self.lease_s = LEASE_S
        #: Of several processes only this one gets interactions; None for any.
        self.hearing: int | None = None
        #: The bot's timings for fal; very short ones without it.
        self.timings: dict[str, float] | None = None
        shared = not isinstance(database, File)
        self.changed: dict[str, Any] = BRISK | (SHARED if shared else {})
        #: Fields of its `JobTimings` and `DiscordTimings`.
        self.job_timings: dict[str, Any] = BRISK_JOBS | (SHARED_JOBS if shared else {})
        self.discord_timings: dict[str, Any] = dict(BRISK_DISCORD)
        #: Whether fal answers submits with a 5xx, of which a job may end.
        self.fal_breaks = False
        self._counter = 0
        self._chance = random.Random(str(folder.name))
        self._free = asyncio.Event()
        self._by_record: dict[str, Ask] = {}
        #: Ids of the messages that showed a picture, by job.
        self._posts: defaultdict[str, set[str]] = defaultdict(set)
        self._shown: dict[str, int] = {}
        self._jobs_of: defaultdict[str, set[str]] = defaultdict(set)

    @property
    def child(self) -> Child | None:
        """The first process, which is the only one in most proofs."""
        return self.fleet[0]

    @child.setter
    def child(self, child: Child | None) -> None:
        self.fleet[0] = child

    @property
    def log(self) -> Path:
        return self.folder / "bot.log"

    # ------------------------------------------------------------------ the bot

    async def start(self, slot: int = 0, *, arm: dict[str, Any] | None = None, ready: bool = True) -> Child:
        """A new process, ready for people unless it is not waited for."""
        assert self.fleet[slot] is None
        self.starts += 1
        self.fleet[slot] = child = await self.forks.fork(self._spec(arm))
        if ready:
            await self.ready(slot)
        return child

    async def start_all(self) -> None:
        """Every process that does not run, ready for people."""
        await asyncio.gather(*(self.start(slot) for slot, child in enumerate(self.fleet) if child is None))

    async def kill_all(self) -> None:
        """SIGKILL to all."""
        await asyncio.gather(*(self.kill(slot) for slot, child in enumerate(self.fleet) if child is not None))

    def _spec(self, arm: dict[str, Any] | None) -> dict[str, Any]:
        url = self.fal.url
        tier = {"images_per_hour": 1e6, "burst_images": 1_000_000, "images_per_day": 1_000_000}
        usual: dict[str, dict[str, Any]] = {
            "discord": {
                "token": self.discord.token,
                "api_url": self.discord.api_url,
                "gateway_url": self.discord.gateway_url,
                "progress_interval_s": 3600.0,
                "progress_edits_per_s": 1000.0,
            },
            "fal": {
                "key": "a:b",
                "queue_url": url,
                "rest_url": url,
                "cdn_url": url,
                "api_url": url,
                "max_in_flight": 0,
                "reconcile_s": RECONCILE_S,
            },
            "limits": {
                "default": {**tier, "concurrent_jobs": 100_000},
                "guild_images_per_day": 10_000_000,
                "guild_concurrent_jobs": 0,
                # What fal billed although nobody saw it is held against its own bill instead.
                "forgiven_per_day": 10_000_000,
                "max_waiting_jobs": 100_000,
            },
        }
        if len(self.fleet) > 1:
            # Edits of several processes meet on one message.
            usual["discord"]["progress_interval_s"] = 0.5
        if not isinstance(self.database, File):
            # A submit that a dead process began is looked at when its lease has run out.
            usual["fal"]["reconcile_s"] = self.lease_s + RECONCILE_S
        sections = {name: {**usual.get(name, {}), **self.settings.get(name, {})} for name in usual | self.settings}
        alone = isinstance(self.database, File) and self.lease_s == LEASE_S
        lease = {} if alone else {"lease_s": self.lease_s}
        timings = {} if self.timings is None else {"timings": self.timings}
        return {
            **timings,
            "settings": {"database_url": self.database.url, **sections},
            "log": str(self.log),
            "changed": self.changed,
            "job_timings": self.job_timings | lease,
            "discord_timings": self.discord_timings,
            "without": self.without,
            "arm": arm,
        }

    async def ready(self, slot: int = 0) -> bool:
        """Wait until the bot listens; False when it died before."""
        child = self.fleet[slot]
        assert child is not None
        await self.until(lambda: child.ended.done() or self._listens(child))
        return not child.ended.done()

    def _listens(self, child: Child) -> bool:
        if len(self.fleet) == 1:
            return self.online
        return child.session is not None and sum(1 for _ in self.discord.commands.all()) >= COMMANDS

    @property
    def online(self) -> bool:
        """Whether events reach a bot now."""
        if self.hearing is not None and ((child := self.fleet[self.hearing]) is None or child.session is None):
            return False
        return self.discord.gateway.online and sum(1 for _ in self.discord.commands.all()) >= COMMANDS

    async def gone(self, slot: int = 0, *, within_s: float = PATIENCE_S) -> int:
        """Wait for the bot's end; its exit code."""
        child, self.fleet[slot] = self.fleet[slot], None
        assert child is not None
        async with asyncio.timeout(within_s):
            code = await child.ended
        sessions = self.discord.gateway.sessions
        if len(self.fleet) > 1:
            if child.session in sessions:
                ours = sessions[child.session]
                await self.until(lambda: ours.link is None)
                sessions.pop(ours.id, None)
            return code
        await self.until(lambda: not self.discord.gateway.online)
        sessions.clear()  # nobody resumes them, and they would keep every event
        await asyncio.sleep(0.01)
        for ask in self.asks[-200:]:
            # Nobody will answer any more, so the rest of the three seconds need not be waited for.
            if ask.record.state == "waiting" and ask.record._timer is not None:
                ask.record._timer.cancel()
                self.discord.interactions._too_late(ask.record)
        return code

    async def kill(self, slot: int = 0) -> int:
        """SIGKILL."""
        child = self.fleet[slot]
        assert child is not None
        child.signal(signal.SIGKILL)
        return await self.gone(slot)

    def _pick(self, event: str, sessions: Sequence[Session]) -> Collection[Session]:
        """Discord would send an event to every session of a shard; one gets it here, as if each were its own shard."""
        if event != "INTERACTION_CREATE" or len(self.fleet) == 1:
            return sessions
        if self.hearing is not None:
            child = self.fleet[self.hearing]
            return [one for one in sessions if child is not None and one.id == child.session]
        live = [one for one in sessions if one.link is not None]
        return sessions if not live or self._chance.random() < TO_ALL else [self._chance.choice(live)]

    # ------------------------------------------------------------------ people

    async def ask(self, kind: str = "plain", *, person: str | None = None) -> Ask:
        """Send /imagine; nothing is waited for."""
        self._counter += 1
        prompt = f"picture number {self._counter} of the {kind} kind"
        options: dict[str, Any] = {"prompt": prompt}
        images = 1
        who = person or ("ada", "mo", "nia", "pat")[self._counter % 4]
        match kind:
            case "two":
                options["count"] = images = 2
            case "refused":
                options["prompt"] = prompt = f"{prompt} {REFUSED}"
            case "input":
                options |= {"model": "z-image-inpaint", **self._inputs(who)}
            case "seedless":
                options["model"] = "recraft-v2"
        record = await self.discord.command(who, "general", "imagine", options)
        return self._note(Ask(kind, prompt, record, images))

    def _inputs(self, who: str) -> dict[str, Any]:
        bodies = {"image": a_picture(256, 256), "mask": a_mask(256, 256)}
        return {name: self.discord.upload(who, f"{name}.png", body)["id"] for name, body in bodies.items()}

    async def again(self, ask: Ask) -> Ask | None:
        """Press Again on the result, if it still is there."""
        try:
            record = await self.discord.press(ask.record.person, ask.record, "Again")
        except (NotOffered, NotAnswered, LookupError):
            return None
        return self._note(Ask("again", ask.prompt, record, ask.images))

    async def cancel(self, ask: Ask) -> bool:
        """Press Cancel, if it still is there."""
        with suppress(NotOffered, NotAnswered, LookupError):
            await self.discord.press(ask.record.person, ask.record, "Cancel")
            ask.cancelled = True
            return True
        return False

    def orphan(self, ask: Ask) -> bool:
        """The answer's token dies and its message takes no edit any more: the picture must be posted anew."""
        original = ask.record.original
        if original is None or original.files or original.id not in original.channel.messages:
            return False
        self.discord.kill_token(ask.record)
        self.discord.fail_next("PATCH", rf"/channels/\d+/messages/{original.id}$", status=400, code=50035, times=10**9)
        return True

    def hold(self) -> None:
        """From now on fal begins what it is given, and does not finish it."""
        self._free = asyncio.Event()

        async def wait(*_: Any) -> None:
            await self._free.wait()

        vars(self.fal.queue)["_log_progress"] = wait

    def let_go(self) -> None:
        """Undo `hold`."""
        vars(self.fal.queue).pop("_log_progress", None)
        self._free.set()

    def _note(self, ask: Ask) -> Ask:
        self.asks.append(ask)
        self._by_record[ask.record.id] = ask
        return ask

    def _watch(self, message: Message) -> None:
        for file in message.files:
            if (match := _FILE_NAME.search(str(file.object["filename"]))) is not None:
                self._posts[match[1]].add(message.id)
                self._shown[match[1]] = len(message.files)
        ask = self._by_record.get(message.interaction_id or "")
        if ask is not None and message.id not in {one.record.source.id for one in self.asks[-1:] if one.record.source}:
            for component in message.components():
                if (match := _CUSTOM_ID.fullmatch(str(component.get("custom_id")))) is not None:
                    ask.card = True
                    self._jobs_of[ask.record.id].add(match[1])

    # ------------------------------------------------------------------ waiting

    async def until(self, predicate: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
        """Check until it is true; returns its value."""
        async with asyncio.timeout(timeout_s):
            while not (value := predicate()):
                await asyncio.sleep(0.003)
        return value

    def rows(self, statement: str) -> Sequence[Any]:
        """Rows of the database, read beside the bot."""
        return self.database.rows(statement)

    def under_way(self) -> int:
        """Jobs that have not ended, or whose end was not shown yet."""
        found = self.rows("SELECT count(*) FROM jobs WHERE ended_us IS NULL OR told = 0")
        return int(found[0][0]) if found else 0

    def settled(self, ask: Ask) -> bool:
        """Whether this question has its answer."""
        if ask.record.state == "waiting":
            return False
        found = self.rows(f"SELECT ended_us, told FROM jobs WHERE interaction_id = {int(ask.record.id)}")
        return all(row["ended_us"] is not None and row["told"] for row in found)

    async def drained(self, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until every question has its answer; False when the bot died.

        Args:
            timeout_s: False also after this time without any progress, however long all of it takes.
        """
        return await self._dwindled(
            lambda: sum(ask.record.state == "waiting" for ask in self.asks[-200:]) + self.under_way(), timeout_s
        )

    async def settled_at_fal(self, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until fal's list has told all that is in doubt; as `drained`."""
        in_doubt = "SELECT count(*) FROM ledger WHERE told_us IS NOT NULL"
        return await self._dwindled(lambda: int(self.rows(in_doubt)[0][0]), timeout_s)

    async def _dwindled(self, left: Callable[[], int], timeout_s: float) -> bool:
        fleet = [child for child in self.fleet if child is not None]
        least, progress_s = left(), time.monotonic()
        while least:
            if any(child.ended.done() for child in fleet) or time.monotonic() - progress_s > timeout_s:
                return False
            await asyncio.sleep(0.02)
            if (now := left()) < least:
                least, progress_s = now, time.monotonic()
        return True

    # ------------------------------------------------------------------ what is true

    async def verdict(self) -> Verdict:
        """Compare what people were promised with what happened. Call it when nothing is under way any more."""
        evidence = Evidence(
            asks=self.asks,
            accepted=self.fal.accepted,
            jobs={row["id"]: row for row in self.rows("SELECT * FROM jobs")},
            ledger={row["job_id"]: row for row in self.rows("SELECT * FROM ledger")},
            posts=self._posts,
            shown=self._shown,
            jobs_of=self._jobs_of,
            billed=self._billed(),
            breaks=self.fal_breaks,
        )
        return evidence.verdict(await self._check_ledger())

    def _billed(self) -> dict[str, int]:
        """What fal billed, in millionths of a US dollar, by the prompt that it was for."""
        billed: defaultdict[str, int] = defaultdict(int)
        for line in self.fal.queue.bill.charges:
            prompt = str(self.fal.queue.jobs[line.request_id].arguments.get("prompt"))
            billed[prompt] += int(line.usd * 1_000_000)
        return dict(billed)

    async def _check_ledger(self) -> Sequence[str]:
        """What the store's own check finds."""
        if isinstance(self.database, File) and not self.database.path.exists():
            return ()
        store = await Store.open(self.database.url, exclusive=False)
        try:
            return await store.check()
        finally:
            await store.close()


@asynccontextmanager
async def a_world(
    forks: Forks,
    folder: Path,
    *,
    server: Postgres | None = None,
    processes: int = 1,
    without: Sequence[str] = (),
    paint_s: float = 0.02,
) -> AsyncIterator[World]:
    """Both fake servers and a fresh database (SQLite without a server); whatever bot is left is killed at the end."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    database = await a_database(folder, server)
    world = World(forks, folder, database, processes=processes, without=without, paint_s=paint_s)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.drop)
        await world.discord.start()
        stack.push_async_callback(world.discord.stop)
        await world.fal.start()
        stack.push_async_callback(world.fal.stop)
        world.discord.message_store.on_change.append(world._watch)
        try:
            yield world
        finally:
            await world.kill_all()


__all__ = ["Ask", "Boundary", "Child", "Forks", "Verdict", "World", "a_world", "fork_server"]
