"""The whole bot between both fake servers, in this process or as a child, and shorthands for what people do."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import discord
import pytest
from PIL import Image
from pydantic import SecretStr

from bot.app import run
from bot.domain.job import Actor, Job, JobState
from bot.fal import Fal
from bot.fal.timings import Timings
from bot.limits import Usage
from bot.settings import BudgetSettings, DiscordSettings, FalSettings, LimitSettings, Settings, Tier
from bot.store import Store
from sandbox.discord import FakeDiscord, InteractionRecord, Message
from sandbox.fal import FakeFal
from sandbox.fal.jobs import Job as FalJob
from sandbox.fal.jobs import Status

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = 9
#: Long enough for a machine that is busy with other things; nothing waits for its end.
PATIENCE_S = 120
GENEROUS = LimitSettings(
    default=Tier(images_per_hour=10_000, burst_images=1000, images_per_day=10_000, concurrent_jobs=50),
    guild_images_per_day=100_000,
    forgiven_per_day=10_000,
)
NO_BUDGETS = BudgetSettings(
    person_usd_per_day=Decimal(0),
    server_usd_per_day=Decimal(0),
    server_usd_per_month=Decimal(0),
    all_usd_per_day=Decimal(0),
    all_usd_per_month=Decimal(0),
    confirm_above_usd=Decimal(0),
)
#: fal's retries and polls, a hundred times as fast.
HASTY = Timings(
    poll_min_s=0.01, breaker_min_s=0.01, breaker_max_s=0.05, retry_s=0.01, retry_max_s=0.05, first_poll_s=0.2
)
PROMPT = "a lighthouse in a storm"


class SandboxDriver:
    """Both fake servers and the database's address."""

    def __init__(self, fake: FakeDiscord, fal: FakeFal, database_url: str) -> None:
        self.discord = fake
        self.fal = fal
        self.database_url = database_url
        #: Discord's codes that a test provokes on purpose.
        self.expected: set[int] = set()

    # ------------------------------------------------------------------ people

    async def imagine(
        self, person: Any = "ada", channel: Any = "general", *, own_app: bool = False, **options: Any
    ) -> InteractionRecord:
        """`/imagine`, waited for until the first answer."""
        record = await self.discord.command(person, channel, "imagine", {"prompt": PROMPT, **options}, own_app=own_app)
        return await record.answered(PATIENCE_S)

    async def run(self, person: Any, channel: Any, name: str, options: Any = None) -> InteractionRecord:
        record = await self.discord.command(person, channel, name, options)
        return await record.answered(PATIENCE_S)

    async def press(
        self, person: Any, message: Message, which: str, values: Sequence[str] | None = None
    ) -> InteractionRecord:
        """A click on a button by its label, or a choice of `values` from a menu by its custom_id."""
        record = await self.discord.press(person, message, which, values)
        return await record.answered(PATIENCE_S)

    async def delete(self, person: Any, message: Message) -> InteractionRecord:
        """Press Delete and confirm it."""
        record = await self.discord.submit_modal(await self.press(person, message, "Delete"))
        return await record.answered(PATIENCE_S)

    async def paint(self, person: Any = "ada", channel: Any = "general", **options: Any) -> Message:
        return await self.picture(await self.imagine(person, channel, **options))

    async def ended(self, record: InteractionRecord) -> Message:
        """The answer once it is no longer about something under way."""
        await self.until(lambda: record.original is not None and "Cancel" not in record.message.buttons())
        return record.message

    async def picture(self, record: InteractionRecord) -> Message:
        message = await self.ended(record)
        assert message.files, message.text()
        return message

    async def until(self, predicate: Callable[[], Any]) -> Any:
        """Wait for either fake server to get there."""
        async with asyncio.timeout(PATIENCE_S):
            while not (value := predicate()):
                await asyncio.sleep(0.005)
        return value

    # ------------------------------------------------------------------ what is on record

    def actor(self, person: Any = "ada", channel: Any = "general") -> Actor:
        who = self.discord.person(person)
        where = self.discord.channel(channel, who)
        return Actor(int(who.id), int(where.id), None if where.guild_id is None else int(where.guild_id))

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The bot's database, beside the bot."""
        store = await Store.open(self.database_url, exclusive=False)
        try:
            yield store
        finally:
            await store.close()

    async def usage(self, person: Any = "ada", channel: Any = "general") -> Usage:
        """What the person has used, once nothing of theirs is under way any more."""
        actor = self.actor(person, channel)
        async with self.store() as store, asyncio.timeout(PATIENCE_S):
            while True:
                used = await store.usage.of(actor)
                if not used.active_jobs:
                    return used
                await asyncio.sleep(0.005)

    async def counted(self, person: Any = "ada", channel: Any = "general") -> tuple[int, int]:
        """Images that count today for the person and for the server, once nothing is under way."""
        used = await self.usage(person, channel)
        return used.images_today, used.guild_images_today

    async def jobs(self, person: Any = "ada") -> list[Job]:
        """Somebody's jobs, newest first."""
        async with self.store() as store:
            return await store.jobs.of_user(int(self.discord.person(person).id), live_only=False, limit=1000)

    async def state(self, record: InteractionRecord, wanted: JobState, *, notified: bool | None = None) -> Job:
        """The interaction's job, once it stands there."""
        async with self.store() as store, asyncio.timeout(PATIENCE_S):
            while True:
                job = await store.jobs.by_interaction(int(record.id))
                if job is not None and job.state is wanted and notified in (None, job.notified):
                    return job
                await asyncio.sleep(0.005)

    def at_fal(self, prompt: str = PROMPT) -> list[FalJob]:
        """fal's jobs with this prompt."""
        return [job for job in self.fal.queue.jobs.values() if job.arguments.get("prompt") == prompt]

    def pictures(self, prompt: str, *, channel: Any = "general", person: Any = "ada") -> list[Message]:
        """Messages there that show a picture of this prompt."""
        return [
            one
            for one in self.discord.messages(self.discord.channel(channel, self.discord.person(person)))
            if one.files and prompt in one.text()
        ]

    async def painting(self, prompt: str = PROMPT) -> FalJob:
        """fal's job, once it is being painted."""
        await self.until(lambda: any(job.status is Status.IN_PROGRESS for job in self.at_fal(prompt)))
        return next(job for job in self.at_fal(prompt) if job.status is Status.IN_PROGRESS)

    def check_refusals(self) -> None:
        """Discord refused nothing that the bot sent, but for what was provoked."""
        unexpected = [one for one in self.discord.refusals if one.code not in self.expected]
        assert unexpected == [], "Discord refused a payload"
        assert not self.discord.unseen_files


class PausedPainting:
    """Pauses every picture that fal paints at half, until it is let go."""

    def __init__(self, fal: FakeFal) -> None:
        self._fal = fal
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        vars(fal.queue)["_log_progress"] = self._paint

    async def _paint(self, job: FalJob, _duration_s: float) -> None:
        job.log(" 50%|█████     | 2/4 [00:01<00:01,  2.00it/s]", job.created_at)
        await self._gates[str(job.arguments["prompt"])].wait()

    def finish(self, prompt: str = PROMPT) -> None:
        """Let one be finished."""
        self._gates[prompt].set()

    def free(self) -> None:
        """Let everything go, now and later."""
        vars(self._fal.queue).pop("_log_progress", None)
        for gate in self._gates.values():
            gate.set()


def a_picture(width: int = 64, height: int = 64, kind: str = "PNG", *, noise: bool = False) -> bytes:
    body = io.BytesIO()
    if noise:
        Image.frombytes("RGB", (width, height), os.urandom(width * height * 3)).save(body, kind)
    else:
        Image.new("RGB", (width, height), (200, 90, 40)).save(body, kind)
    return body.getvalue()


def a_mask(width: int = 64, height: int = 64) -> bytes:
    """A PNG whose right half may be painted anew."""
    mask, body = Image.new("L", (width, height)), io.BytesIO()
    mask.paste(255, (width // 2, 0, width, height))
    mask.save(body, "PNG")
    return body.getvalue()


# ---------------------------------------------------------------------- in this process


def settings(fake: FakeDiscord, fal: FakeFal, database_url: str, /, **sections: Mapping[str, Any]) -> Settings:
    """Without limits that a test does not ask for; `sections` change single values, unchecked."""
    made = {
        "discord": DiscordSettings(
            token=SecretStr(fake.token), api_url=fake.api_url, gateway_url=fake.gateway_url
        ).model_copy(update={"progress_interval_s": 0.1, "progress_edits_per_s": 1000}),
        "fal": FalSettings(
            key=SecretStr("a:b"),
            queue_url=fal.url,
            rest_url=fal.url,
            cdn_url=fal.url,
            api_url=fal.url,
            max_in_flight=0,
        ),
        "limits": GENEROUS,
        "budget": NO_BUDGETS,
    }
    usual = Settings(database_url=database_url).__dict__
    changed = {
        name: section.model_copy(update=dict(sections.get(name, {})))
        for name, section in {**{name: usual[name] for name in sections}, **made}.items()
    }
    return Settings.model_construct(**{**usual, **changed})


@asynccontextmanager
async def in_process_bot(
    folder: Path, *, timings: Timings = HASTY, **sections: Mapping[str, Any]
) -> AsyncIterator[SandboxDriver]:
    """The bot in this process. Afterwards nothing may have been refused or painted twice."""
    fake, fal = FakeDiscord(), FakeFal(speed=0.01)
    await fake.start()
    await fal.start()
    sandbox = SandboxDriver(fake, fal, f"sqlite:///{folder / 'easel.db'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
        patch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", None)
        patch.setattr("bot.app.Fal", partial(Fal, timings=timings))
        bot = asyncio.create_task(run(settings(fake, fal, sandbox.database_url, **sections)))
        try:
            ready = asyncio.create_task(fake.wait_ready(PATIENCE_S, commands=COMMANDS))
            await asyncio.wait({bot, ready}, return_when=asyncio.FIRST_COMPLETED)
            await ready
            yield sandbox
            sandbox.check_refusals()
            assert not bot.done()
        finally:
            # discord.py tells of every command's end, and can't any more once it is closed.
            ending = [one for one in asyncio.all_tasks() if one.get_name().startswith(("CommandTree", "discord.py: "))]
            if ending:
                await asyncio.wait(ending, timeout=PATIENCE_S)
            bot.cancel()
            with suppress(asyncio.CancelledError):
                await bot
            await fake.stop()
            await fal.stop()


# ---------------------------------------------------------------------- as a child


class Child:
    """`python -m bot run` between the fake servers of a driver; killed by its own id only."""

    def __init__(self, sandbox: SandboxDriver, folder: Path, **variables: str) -> None:
        self._sandbox = sandbox
        self._folder = folder
        #: Settings of its next start, as environment variables.
        self.variables = variables
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self.log = ""

    async def start(self) -> None:
        """Wait until it is ready."""
        fake, url = self._sandbox.discord, self._sandbox.fal.url
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run"),
            cwd=self._folder,
            env={
                **kept,
                "PYTHONPATH": str(ROOT),
                "DISCORD_TOKEN": fake.token,
                "FAL_KEY": "a:b",
                "EASEL_DATABASE_URL": self._sandbox.database_url,
                "EASEL_DISCORD__API_URL": fake.api_url,
                "EASEL_DISCORD__GATEWAY_URL": fake.gateway_url,
                "EASEL_FAL__QUEUE_URL": url,
                "EASEL_FAL__REST_URL": url,
                "EASEL_FAL__CDN_URL": url,
                "EASEL_FAL__API_URL": url,
                **self.variables,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._drain = asyncio.create_task(self._read(process))
        await self._sandbox.until(lambda: "ready" in self.log or process.returncode is not None)
        assert process.returncode is None, self.log

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self.log += line.decode()

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            code = await process.wait()
            if self._drain is not None:
                await self._drain
        await self._sandbox.until(lambda: not self._sandbox.discord.gateway.online)
        self.log = ""
        return code


@asynccontextmanager
async def child_bot(folder: Path, **variables: str) -> AsyncIterator[tuple[SandboxDriver, Child]]:
    """Fake servers in this process, the bot as a child (not started yet)."""
    fake, fal = FakeDiscord(), FakeFal(speed=0.01)
    await fake.start()
    await fal.start()
    sandbox = SandboxDriver(fake, fal, f"sqlite:///{folder / 'easel.db'}")
    child = Child(sandbox, folder, **variables)
    try:
        yield sandbox, child
        sandbox.check_refusals()
    finally:
        await child.end(signal.SIGKILL)
        await fake.stop()
        await fal.stop()
