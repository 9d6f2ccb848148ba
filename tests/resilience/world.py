"""Discord and fal held by the proof, the bot as forked children between them, and what is true in the end.

The stand-ins know what really happened: which interactions were answered, which pictures stand in which channel, which
requests fal took. `World.verdict` compares that with what people were promised and with the ledger.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.store import Store
from sandbox.discord import FakeDiscord, InteractionRecord, Message, NotAnswered, NotOffered
from sandbox.discord.gateway import Session
from sandbox.fal import FakeFal
from tests.e2e.sandbox_driver import a_picture
from tests.resilience.databases import File, Rows, a_database
from tests.store.conftest import Postgres

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = 8
PATIENCE_S = 60.0
#: fal's word for a prompt it refuses.
REFUSED = "forbidden-content"
_CUSTOM_ID = re.compile(r"easel:\w+:([0-9a-z]{8,20})")
_FILE_NAME = re.compile(r"easel-([0-9a-z]{8,20})-\d+\.")
#: Pauses of the bot that are made for hours of outage.
BRISK: dict[str, Any] = {
    "bot.media.inputs:FETCH_PAUSES_S": [0.02, 0.02],
    "bot.discord.session:LOGIN_PAUSES_S": [0.05, 0.1, 0.2],
}
#: The same where they are values: fields of `JobTimings` and of `DiscordTimings`.
BRISK_JOBS: dict[str, Any] = {
    "unreachable_pauses_s": [0.02] * 100,
    "provider_pauses_s": [0.02] * 100,
    "response_wait_s": 3.0,
    "list_pauses_s": [0.05, 0.1, 0.2],
    "after_blind_s": 0.1,
}
BRISK_DISCORD: dict[str, Any] = {"delivery_pauses_s": [0.02, 0.05, 0.1] + [0.2] * 20}
#: Seconds until a request that has not turned up at fal is submitted again; far above what a look takes.
RECONCILE_S = 1.0

#: Leases where several processes may share the jobs: short, so that those of a killed one are soon taken over.
LEASE_S = 3.0
#: Changes that go with it, and with Discord's deadline for the first answer.
SHARED: dict[str, Any] = {
    "bot.store.transitions:TELLING_LEASE_S": LEASE_S,
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

#: A name and the how-manieth of that name; see tests.resilience.child.
Boundary = tuple[str, int]


class Forks:
    """The fork server, from outside."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._forked: asyncio.Queue[int] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._children: dict[int, Child] = {}
        self.ready = asyncio.Event()

    async def start(self) -> None:
        """Import everything, once."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.resilience.forkserver"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        self._reader = asyncio.create_task(self._read(self._process), name="forks")
        async with asyncio.timeout(PATIENCE_S):
            await self.ready.wait()

    async def stop(self) -> None:
        """The server ends with its input, and its children with it."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    async def fork(self, order: dict[str, Any]) -> Child:
        """One more bot."""
        async with self._turn:
            self.send({"fork": order})
            pid = await self._forked.get()
            return self._children[pid]

    def send(self, request: dict[str, Any]) -> None:
        """To the server."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            news = json.loads(line)
            if "ready" in news:
                self.ready.set()
            elif "forked" in news:
                self._children[news["forked"]] = Child(self, news["forked"])
                self._forked.put_nowait(news["forked"])
            elif "said" in news:
                self._children[news["from"]].hear(news["said"])
            else:
                self._children.pop(news["ended"]).bury(news["code"])


class Child:
    """One run of the bot."""

    def __init__(self, forks: Forks, pid: int) -> None:
        self._forks = forks
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        #: The first of the boundaries asked for that has come, and all that came since the counting began.
        self.reached: Boundary | None = None
        self.passed: list[Boundary] = []
        #: Its session with the gateway, once it has one.
        self.session: str | None = None
        self._armed = asyncio.Event()

    def signal(self, number: signal.Signals) -> None:
        """By the one process that knows whether it still lives."""
        self._forks.send({"signal": self.pid, "number": int(number)})

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.ended

    def step(self, seconds: float) -> None:
        """Let its clock be so far ahead of the true one."""
        self._forks.send({"to": self.pid, "say": {"step": seconds}})

    async def arm(self, **aim: Any) -> None:
        """Count boundaries from now on, and strike at one; returns once it does. See tests.resilience.child."""
        self._armed.clear()
        self._forks.send({"to": self.pid, "say": {"arm": aim}})
        async with asyncio.timeout(PATIENCE_S):
            hearing = asyncio.create_task(self._armed.wait())
            self.ended.add_done_callback(lambda _: self._armed.set())
            await hearing

    def hear(self, said: dict[str, Any]) -> None:
        """From the child."""
        if "passed" in said:
            self.passed.append((said["passed"][0], said["passed"][1]))
        elif "reached" in said:
            self.reached = (said["reached"][0], said["reached"][1])
        elif "session" in said:
            self.session = said["session"]
        else:
            self.reached, self.passed = None, []
            self._armed.set()

    def bury(self, code: int) -> None:
        """It is gone."""
        if not self.ended.done():
            self.ended.set_result(code)


@asynccontextmanager
async def fork_server() -> AsyncIterator[Forks]:
    forks = Forks()
    await forks.start()
    try:
        yield forks
    finally:
        await forks.stop()


@dataclass(eq=False)
class Ask:
    """Somebody wants pictures."""

    kind: str
    prompt: str
    record: InteractionRecord
    images: int = 1
    #: They pressed Cancel at least once.
    cancelled: bool = False
    #: They pressed Delete on the result.
    deleted: bool = False
    #: A card that names a job was shown.
    card: bool = False
    #: Where the bot was killed meanwhile.
    where: str = ""

    @property
    def seen(self) -> bool:
        """Whether the answer was a card with the job: from then on it must end well."""
        return self.record.state == "answered" and self.card


@dataclass(frozen=True)
class Verdict:
    """What a proof found. All of the first block must be nothing."""

    #: Promised, and neither delivered nor ended for a reason of the person's own, or still under way.
    lost: tuple[str, ...] = ()
    doubled_posts: tuple[str, ...] = ()
    #: fal was given the same order more often than the bot owns up to.
    doubled_submits: tuple[str, ...] = ()
    ledger_off: tuple[str, ...] = ()
    #: A picture came although the person had been told that the bot did not respond.
    uninvited: tuple[str, ...] = ()
    #: A reason that a person can't understand: the card still shows work, or says nothing.
    untold: tuple[str, ...] = ()

    asked: int = 0
    answered: int = 0
    pictures: int = 0
    submits: int = 0
    cancelled: int = 0
    refused: int = 0
    never_answered: int = 0
    #: Submitted again by the bot, which flagged each as a possible double; and how many really were.
    flagged: int = 0
    flagged_doubles: int = 0

    FAULTS = ("lost", "doubled_posts", "doubled_submits", "ledger_off", "uninvited", "untold")

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """What is wrong, by kind; empty when all is well."""
        return {name: getattr(self, name) for name in self.FAULTS if getattr(self, name)}

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})

    def __str__(self) -> str:
        figures = (
            f"{self.asked} asked, {self.answered} answered with a card, {self.never_answered} never answered, "
            f"{self.submits} submits, {self.pictures} pictures, {self.cancelled} cancelled, {self.refused} refused, "
            f"{self.flagged} flagged as possible doubles, of which {self.flagged_doubles} were"
        )
        bound = ", ".join(f"{len(getattr(self, name))} {name.replace('_', ' ')}" for name in self.FAULTS)
        details = [f"  {name}: {one}" for name, found in self.faults.items() for one in found[:12]]
        return "\n".join([f"{figures}; {bound} (bound: 0 of each)", *details])


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
        self.standin = FakeDiscord(answer_deadline_s=3.0 if isinstance(database, File) else SHARED_ANSWER_DEADLINE_S)
        self.standin.gateway.pick = self._pick
        self.fal = FakeFal(paint="flat", paint_s=paint_s)
        self.asks: list[Ask] = []
        self.starts = 0
        #: Settings by section, over the usual ones here.
        self.settings: dict[str, dict[str, Any]] = {}
        self.lease_s = LEASE_S
        #: Of several processes only this one hears of people; None for any.
        self.hearing: int | None = None
        #: How patient the bot is with fal; very little without it.
        self.pace: dict[str, float] | None = None
        shared = not isinstance(database, File)
        self.changed: dict[str, Any] = BRISK | (SHARED if shared else {})
        self.job_timings: dict[str, Any] = BRISK_JOBS | (SHARED_JOBS if shared else {})
        self.discord_timings: dict[str, Any] = dict(BRISK_DISCORD)
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
        self.fleet[slot] = child = await self.forks.fork(self._order(arm))
        if ready:
            await self.ready(slot)
        return child

    async def start_all(self) -> None:
        """Every process that does not run, ready for people."""
        await asyncio.gather(*(self.start(slot) for slot, child in enumerate(self.fleet) if child is None))

    async def kill_all(self) -> None:
        """SIGKILL to all."""
        await asyncio.gather(*(self.kill(slot) for slot, child in enumerate(self.fleet) if child is not None))

    def _order(self, arm: dict[str, Any] | None) -> dict[str, Any]:
        url = self.fal.url
        tier = {"images_per_hour": 1e6, "burst_images": 1_000_000, "images_per_day": 1_000_000}
        usual: dict[str, dict[str, Any]] = {
            "discord": {
                "token": self.standin.token,
                "api_url": self.standin.api_url,
                "gateway_url": self.standin.gateway_url,
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
        paced = {} if self.pace is None else {"pace": self.pace}
        return {
            **paced,
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
        return child.session is not None and sum(1 for _ in self.standin.commands.all()) >= COMMANDS

    @property
    def online(self) -> bool:
        """Whether events reach a bot now."""
        if self.hearing is not None and ((child := self.fleet[self.hearing]) is None or child.session is None):
            return False
        return self.standin.gateway.online and sum(1 for _ in self.standin.commands.all()) >= COMMANDS

    async def gone(self, slot: int = 0, *, within_s: float = PATIENCE_S) -> int:
        """Wait for the bot's end; its exit code."""
        child, self.fleet[slot] = self.fleet[slot], None
        assert child is not None
        async with asyncio.timeout(within_s):
            code = await child.ended
        sessions = self.standin.gateway.sessions
        if len(self.fleet) > 1:
            if child.session in sessions:
                ours = sessions[child.session]
                await self.until(lambda: ours.link is None)
                sessions.pop(ours.id, None)
            return code
        await self.until(lambda: not self.standin.gateway.online)
        sessions.clear()  # nobody resumes them, and they would keep every event
        await asyncio.sleep(0.01)
        for ask in self.asks[-200:]:
            # Nobody will answer any more, so the rest of the three seconds need not be waited for.
            if ask.record.state == "waiting" and ask.record._timer is not None:
                ask.record._timer.cancel()
                self.standin.interactions._too_late(ask.record)
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
        """Press enter; nothing is waited for."""
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
        record = await self.standin.command(who, "general", "imagine", options)
        return self._note(Ask(kind, prompt, record, images))

    def _inputs(self, who: str) -> dict[str, Any]:
        return {name: self.standin.upload(who, f"{name}.png", a_picture(256, 256))["id"] for name in ("image", "mask")}

    async def again(self, ask: Ask) -> Ask | None:
        """Press Again on the result, if it still is there."""
        try:
            record = await self.standin.press(ask.record.person, ask.record, "Again")
        except (NotOffered, NotAnswered, LookupError):
            return None
        return self._note(Ask("again", ask.prompt, record, ask.images))

    async def cancel(self, ask: Ask) -> bool:
        """Press Cancel, if it still is there."""
        with suppress(NotOffered, NotAnswered, LookupError):
            await self.standin.press(ask.record.person, ask.record, "Cancel")
            ask.cancelled = True
            return True
        return False

    def orphan(self, ask: Ask) -> bool:
        """The answer's token dies and a moderator deletes it: the picture must be posted anew."""
        original = ask.record.original
        if original is None or original.files or original.id not in original.channel.messages:
            return False
        self.standin.kill_token(ask.record)
        self.standin.delete_message(original)
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
        """Look again and again."""
        async with asyncio.timeout(timeout_s):
            while not (value := predicate()):
                await asyncio.sleep(0.003)
        return value

    def rows(self, statement: str) -> Sequence[Any]:
        """What stands in the database, read beside the bot."""
        return self.database.rows(statement)

    def under_way(self) -> int:
        """Jobs that are not over, or whose end nobody was told."""
        found = self.rows("SELECT count(*) FROM jobs WHERE ended_us IS NULL OR told = 0")
        return int(found[0][0]) if found else 0

    def settled(self, ask: Ask) -> bool:
        """Whether this question has its answer."""
        if ask.record.state == "waiting":
            return False
        found = self.rows(f"SELECT ended_us, told FROM jobs WHERE interaction_id = {int(ask.record.id)}")
        return all(row["ended_us"] is not None and row["told"] for row in found)

    async def drained(self, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until every question has its answer; False when time ran out or the bot died."""
        fleet = [child for child in self.fleet if child is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while any(ask.record.state == "waiting" for ask in self.asks[-200:]) or self.under_way():
                    if any(child.ended.done() for child in fleet):
                        return False
                    await asyncio.sleep(0.01)
                return True
        return False

    # ------------------------------------------------------------------ what is true

    async def verdict(self) -> Verdict:
        """Compare what people were promised with what happened. Call it when nothing is under way any more."""
        jobs = {row["id"]: row for row in self.rows("SELECT * FROM jobs")}
        ledger = {row["job_id"]: row for row in self.rows("SELECT * FROM ledger")}
        by_interaction: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in jobs.values():
            by_interaction[str(row["interaction_id"])].append(row)
        found: dict[str, list[str]] = defaultdict(list)
        counts: Counter[str] = Counter(asked=len(self.asks), submits=len(self.fal.accepted))
        for ask in self.asks:
            self._judge(ask, by_interaction[ask.record.id], found, counts)
        self._judge_posts(jobs, found)
        counts["flagged"] = sum(row["possible_doubles"] for row in jobs.values())
        counts["flagged_doubles"] = self._judge_submits(jobs, found)
        await self._judge_ledger(jobs, ledger, found)
        fields: dict[str, Any] = {**{name: tuple(lines) for name, lines in found.items()}, **counts}
        return Verdict(**fields)

    def _judge(
        self, ask: Ask, rows: list[Mapping[str, Any]], found: dict[str, list[str]], counts: Counter[str]
    ) -> None:
        job_ids = self._jobs_of[ask.record.id] | {row["id"] for row in rows}
        pictures = sum(self._shown.get(job_id, 0) for job_id in job_ids)
        row = rows[0] if rows else None
        state, code = (row["state"], _code(row)) if row is not None else ("no row", "")
        where = f", killed {ask.where}" if ask.where else ""
        what = f"{ask.prompt!r} ({ask.kind}{where}): {state} {code} jobs {sorted(job_ids)}".replace("  ", " ")
        counts["pictures"] += pictures
        if not ask.seen:
            counts["never_answered"] += ask.record.state != "answered"
            if pictures:
                found["uninvited"].append(what)
            return
        counts["answered"] += 1
        if state == "delivered" or (state == "no row" and ask.deleted):
            if pictures != ask.images:
                found["lost"].append(f"{what}, {pictures} pictures of {ask.images}")
        elif state == "cancelled" and ask.cancelled:
            counts["cancelled"] += 1
            if pictures:
                found["uninvited"].append(what)
        elif state == "failed" and (code == "content_refused" or ask.deleted) and "forbidden-content" in ask.prompt:
            counts["refused"] += 1
        else:
            found["lost"].append(what)
        original = ask.record.original
        if original is not None and original.id in original.channel.messages and "Cancel" in original.buttons():
            found["untold"].append(what)

    def _judge_posts(self, jobs: dict[str, Mapping[str, Any]], found: dict[str, list[str]]) -> None:
        for job_id, messages in self._posts.items():
            if len(messages) > 1:
                found["doubled_posts"].append(f"job {job_id} in {len(messages)} messages")
        for interaction, job_ids in self._jobs_of.items():
            if len(job_ids) > 1:
                found["doubled_posts"].append(f"interaction {interaction} shows jobs {sorted(job_ids)}")

    def _judge_submits(self, jobs: dict[str, Mapping[str, Any]], found: dict[str, list[str]]) -> int:
        """Equal orders at fal, against what was asked for; returns doubles that the bot has flagged itself."""
        asked = Counter(ask.prompt for ask in self.asks)
        flags: Counter[str] = Counter()
        for row in jobs.values():
            if row["order_json"]:
                flags[json.loads(row["order_json"])["prompt"]] += row["possible_doubles"]
        accepted = Counter(str(one.arguments.get("prompt")) for one in self.fal.accepted)
        seeds: Counter[tuple[str, Any]] = Counter()
        for one in self.fal.accepted:
            if "seed" in one.arguments:
                seeds[str(one.arguments.get("prompt")), one.arguments["seed"]] += 1
        flagged = 0
        for prompt, count in accepted.items():
            surplus = max(count - asked[prompt], sum(n - 1 for (of, _), n in seeds.items() if of == prompt and n > 1))
            if surplus > flags[prompt]:
                found["doubled_submits"].append(f"{prompt!r}: {count} at fal, asked {asked[prompt]} times")
            flagged += min(surplus, flags[prompt]) if surplus > 0 else 0
        return flagged

    async def _judge_ledger(
        self, jobs: dict[str, Mapping[str, Any]], ledger: dict[str, Mapping[str, Any]], found: dict[str, list[str]]
    ) -> None:
        for job_id, row in ledger.items():
            painted = self._shown.get(job_id, 0)
            state = jobs[job_id]["state"] if job_id in jobs else "gone"
            if row["state"] == "reserved":
                found["ledger_off"].append(f"job {job_id} ({state}): still reserved")
            elif row["counted"] != painted:
                found["ledger_off"].append(f"job {job_id} ({state}): {row['counted']} charged, {painted} shown")
        if isinstance(self.database, File) and not self.database.path.exists():
            return
        store = await Store.open(self.database.url, exclusive=False)
        try:
            found["ledger_off"] += await store.check()
        finally:
            await store.close()


def _code(row: Mapping[str, Any]) -> str:
    return str(json.loads(row["failure_json"] or "{}").get("code", ""))


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
    """Both stand-ins and a fresh database (SQLite without a server); whatever bot is left is killed at the end."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    database = await a_database(folder, server)
    world = World(forks, folder, database, processes=processes, without=without, paint_s=paint_s)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.drop)
        await world.standin.start()
        stack.push_async_callback(world.standin.stop)
        await world.fal.start()
        stack.push_async_callback(world.fal.stop)
        world.standin.board.on_change.append(world._watch)
        try:
            yield world
        finally:
            await world.kill_all()


__all__ = ["Ask", "Boundary", "Child", "Forks", "Verdict", "World", "a_world", "fork_server"]
