"""The bench's child processes: bots, and fake servers that take one command a line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any


class FakeServers:
    """The fake servers in their process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def request(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self.read()

    async def read(self) -> dict[str, Any]:
        """The next line from the fake servers."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise SystemExit("the fake servers ended early")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.asynccontextmanager
async def process(module: str, environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child of ours, ended with SIGTERM."""
    pipes = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=pipes, stdout=pipes, env={**os.environ, **environ}, limit=1 << 20
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 15)
            except TimeoutError:
                child.kill()


def environment(urls: dict[str, Any], database_url: str, **more: str) -> dict[str, str]:
    """A bot between these fake servers, without limits."""
    return {
        "DISCORD_TOKEN": urls["token"],
        "FAL_KEY": "bench:bench",
        "EASEL_DISCORD__API_URL": urls["api_url"],
        "EASEL_DISCORD__GATEWAY_URL": urls["gateway_url"],
        "EASEL_FAL__QUEUE_URL": urls["fal_url"],
        "EASEL_FAL__REST_URL": urls["fal_url"],
        "EASEL_FAL__CDN_URL": urls["fal_url"],
        "EASEL_FAL__MAX_IN_FLIGHT": "0",
        "EASEL_LIMITS__ENABLED": "false",
        "EASEL_DATABASE_URL": database_url,
        "EASEL_LOG__LEVEL": "WARNING",
        **more,
    }
