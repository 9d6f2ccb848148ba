"""What happens in a forked child: the bot as it is, with its boundaries numbered, or with one safeguard mutated away.

Nothing here is known to the bot. A *boundary* is a moment before or after something that outlives the process: a COMMIT
of the store, an HTTP request to Discord or fal. The child counts them once it is told to and kills itself at the
wanted one, or lets the answer of that request get lost and lives on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import signal
import socket
import ssl
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import aiohttp
import httpx
from discord.state import ConnectionState
from pydantic import BaseModel, SecretStr

from bot import app
from bot.cli.process import loop_factory
from bot.fal import Fal
from bot.fal.timings import Timings
from bot.jobs.runner import Runner
from bot.jobs.timings import JobTimings
from bot.services import DiscordTimings, Services
from bot.settings import BudgetSettings, DiscordSettings, FalSettings, LimitSettings, Settings, Tier, WebSettings
from bot.store import times
from bot.store.database import Database
from sandbox.discord import chaos
from tests.resilience import mutations

#: Nobody meets a budget here.
NO_BUDGETS = BudgetSettings(
    **{
        name: Decimal(0)
        for name in BudgetSettings.model_fields
        if name.startswith(("person", "server", "all", "confirm"))
    }
)
#: fal's retries and looks, many times as fast.
HASTY = Timings(
    poll_min_s=0.02,
    breaker_min_s=0.02,
    breaker_max_s=0.1,
    retry_s=0.02,
    retry_max_s=0.1,
    first_poll_s=0.2,
    margin_s=0.02,
    list_pause_s=0.02,
)

#: At which boundaries each kind can strike. Only a process that hangs makes a difference between about to send and
#: sending: there it has looked at the time for the last time.
STRIKES = {"kill": ("before ", "after "), "lose": ("after ",), "hang": ("before ", "sending ")}

#: Loading the authorities' certificates is half of a start, and nothing here speaks TLS.
_TLS = ssl.create_default_context()


class Boundaries:
    """Tells what the process does to the outside world, and ends it where it is told to.

    A boundary is known by its name and by how many of that name came before it since the counting began: so it is the
    same one in another run, however the steps of a job interleave there.
    """

    def __init__(self, talk: socket.socket) -> None:
        self._talk = talk
        self._counting = False
        self._strikes: Callable[[tuple[str, int]], bool] = lambda _: False
        self._how = "kill"
        self._counts: Counter[str] = Counter()

    def arm(
        self,
        how: str,
        wanted: Sequence[Sequence[Any]] = (),
        met: Sequence[Sequence[Any]] | None = None,
        share: tuple[int, int] = (0, 1),
        only: str | None = None,
    ) -> None:
        """Count from now on; `kill` the process, let it `hang` until somebody wakes it, or `lose` the answer.

        At the first of `wanted` that comes; or, where `met` is given, at the first that is not one of these, is of
        this `share`, and `only` of that name.
        """
        self._counting, self._how = True, how
        self._counts.clear()
        these = {(name, number) for name, number in (wanted if met is None else met)}

        def new(here: tuple[str, int]) -> bool:
            name, number = here
            if here in these or only not in {None, name}:
                return False
            if not name.startswith(STRIKES[how]) or (how == "lose" and name.endswith("COMMIT")):
                return False
            return crc32(f"{name} {number}".encode()) % share[1] == share[0]

        self._strikes = these.__contains__ if met is None else new

    def reach(self, name: str) -> bool:
        """Note that a boundary is reached; whether the answer that has just come is to get lost."""
        if not self._counting:
            return False
        self._counts[name] += 1
        here = (name, self._counts[name])
        self.say({"passed": here})
        if not self._strikes(here):
            return False
        self._counting = False
        self.say({"reached": here})
        if self._how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._how == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        return self._how == "lose"

    def say(self, said: dict[str, Any]) -> None:
        """Send to the proof."""
        self._talk.sendall(json.dumps(said).encode() + b"\n")


def live(spec: dict[str, Any], talk: socket.socket) -> int:
    """Run the bot once; returns its exit code."""
    _renew(spec["log"])
    boundaries = Boundaries(talk)
    _number_commits(boundaries)
    _number_requests(boundaries)
    _report_received_429s()
    _change(spec.get("changed", {}))
    for mutation in spec.get("without", ()):
        mutations.WITHOUT[mutation]()
    if spec.get("arm"):
        boundaries.arm(**spec["arm"])
    vars(ssl)["create_default_context"] = lambda *_, **__: _TLS
    vars(app)["Fal"] = partial(Fal, timings=Timings(**spec["timings"]) if "timings" in spec else HASTY)
    _let_clocks_step()
    job_timings = _values(spec.get("job_timings", {})) | mutations.JOB_TIMINGS
    vars(app)["Runner"] = partial(Runner, timings=JobTimings(**job_timings))
    discord_timings = DiscordTimings(**_values(spec.get("discord_timings", {})))
    vars(app)["Services"] = partial(Services, discord_timings=discord_timings)
    _tell_session(boundaries)

    async def run() -> int:
        asyncio.get_running_loop().add_reader(talk, _listen, boundaries, talk, bytearray())
        return await app.run(settings(spec["settings"]))

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(run())
    except Exception:
        logging.getLogger("tests.resilience").exception("the bot ended")
        return 1


def settings(given: dict[str, Any]) -> Settings:
    """Settings as given, unvalidated; names that this version of the bot does not have are ignored."""
    made = Settings(database_url=given["database_url"])
    limits = dict(given["limits"])
    limits["default"] = _section(Tier(), limits.get("default", {}))
    sections = {
        "limits": _section(LimitSettings(), limits),
        "budget": NO_BUDGETS,
        "discord": _section(DiscordSettings(), given["discord"]),
        "fal": _section(FalSettings(), given["fal"]),
        "web": _section(WebSettings(), given.get("web", {})),
    }
    return made.model_copy(update=sections)


def _section(usual: BaseModel, given: dict[str, Any]) -> BaseModel:
    known = {name: value for name, value in given.items() if name in type(usual).model_fields}
    for name in {"token", "key"} & known.keys():
        known[name] = SecretStr(known[name])
    return usual.model_copy(update=known)


def _renew(log: str) -> None:
    """Give the child its own log, random seed and signals, as a fresh process has."""
    random.seed()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("discord").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _listen(boundaries: Boundaries, talk: socket.socket, half: bytearray) -> None:
    half += talk.recv(65536)
    *lines, rest = bytes(half).split(b"\n")
    half[:] = rest
    for line in lines:
        said = json.loads(line)
        if "step" in said:
            _Stepped.off = timedelta(seconds=said["step"])
            continue
        boundaries.arm(**said["arm"])
        boundaries.say({"armed": True})


def _change(values: dict[str, Any]) -> None:
    """Set each `package.module:NAME`, where the module has it: shorter pauses for a shorter proof."""
    for name, value in _values(values).items():
        module, _, attribute = name.partition(":")
        found = sys.modules.get(module)
        if found is not None and hasattr(found, attribute):
            setattr(found, attribute, value)


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """As they were before they travelled as JSON."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


class _Stepped(datetime):
    """A clock that is ahead of the machine's by a number of seconds."""

    off = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return datetime.now(tz) + cls.off


def _let_clocks_step() -> None:
    true = time.time
    for module in (app, times):
        vars(module)["datetime"] = _Stepped
    vars(time)["time"] = lambda: true() + _Stepped.off.total_seconds()


def _tell_session(boundaries: Boundaries) -> None:
    """Name the gateway session, by which the proof knows which process events go to."""
    parse_ready = ConnectionState.parse_ready

    def parse_and_tell(self: Any, data: Any) -> None:
        parse_ready(self, data)
        boundaries.say({"session": data["session_id"]})

    vars_of(ConnectionState)["parse_ready"] = parse_and_tell


# ---------------------------------------------------------------------- numbering


def _number_commits(boundaries: Boundaries) -> None:
    write = Database.write

    async def numbered(self: Database, work: Callable[[Any], Any]) -> Any:
        def counted(connection: Any) -> Any:
            result = work(connection)
            boundaries.reach("before COMMIT")
            return result

        result = await write(self, counted)
        boundaries.reach("after COMMIT")
        return result

    vars_of(Database)["write"] = numbered


def _number_requests(boundaries: Boundaries) -> None:
    request, send, leave = aiohttp.ClientSession._request, httpx.AsyncClient.send, aiohttp.ClientRequest.send

    async def numbered(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        name = named(method, str(url))
        boundaries.reach(f"before {name}")
        response = await request(self, method, url, **options)
        if boundaries.reach(f"after {name}"):
            response.close()
            raise aiohttp.ServerDisconnectedError
        return response

    async def numbered_httpx(self: httpx.AsyncClient, asked: httpx.Request, **options: Any) -> httpx.Response:
        name = named(asked.method, str(asked.url))
        boundaries.reach(f"before {name}")
        response = await send(self, asked, **options)
        if boundaries.reach(f"after {name}"):
            raise httpx.ReadError("lost on purpose", request=asked)
        return response

    async def leaving(self: aiohttp.ClientRequest, connection: Any) -> Any:
        boundaries.reach(f"sending {named(self.method, str(self.url))}")
        return await leave(self, connection)

    vars_of(aiohttp.ClientRequest)["send"] = leaving
    vars_of(aiohttp.ClientSession)["_request"] = numbered
    vars_of(httpx.AsyncClient)["send"] = numbered_httpx


def _report_received_429s() -> None:
    """Number each 429 that has come with every request to Discord, so that who could not know of it is not blamed."""
    heard: deque[str] = deque(maxlen=400)
    start, send = aiohttp.ClientResponse.start, aiohttp.ClientRequest.send

    async def hearing(self: aiohttp.ClientResponse, connection: Any) -> Any:
        response = await start(self, connection)
        if (number := self.headers.get(chaos.NUMBER)) is not None:
            heard.append(number)
        return response

    async def saying(self: aiohttp.ClientRequest, connection: Any) -> Any:
        if self.url.path.startswith("/api/v10/"):
            self.headers[chaos.HEARD] = ",".join(heard)
        return await send(self, connection)

    vars_of(aiohttp.ClientResponse)["start"] = hearing
    vars_of(aiohttp.ClientRequest)["send"] = saying


class vars_of:
    """Assign attributes of a class by name, past its type."""

    def __init__(self, owner: type) -> None:
        self._owner = owner

    def __setitem__(self, name: str, value: object) -> None:
        setattr(self._owner, name, value)


_IDS = re.compile(r"(?<=/files/b/).+|[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d{5,}(?=/|$)|(?<=/)[\w.~-]{40,}")


def named(method: str, url: str) -> str:
    """A request without what differs between two of its kind."""
    return f"{method} {_IDS.sub('…', urlsplit(url).path.removeprefix('/api/v10'))}"
