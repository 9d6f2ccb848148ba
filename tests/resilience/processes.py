"""The bot as forked children, and the server that forks them, seen from the outside."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0

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

    async def fork(self, spec: dict[str, Any]) -> Child:
        """One more bot."""
        async with self._turn:
            self.send({"fork": spec})
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
