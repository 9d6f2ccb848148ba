"""fal on loopback in a process of its own, so that its work does not slow the fake Discord down.

Reads one JSON object a line from stdin, writes one a line to stdout; `do` names what to do:

- `paint` (seconds): how long a painting takes from now on.
- `seen`: what the bot has sent so far.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bot.cli.process import loop_factory
from sandbox.fal import FakeFal
from tests.bench.crowd import say

#: More jobs than any bench submits.
_KEPT = 200_000


class Fal:
    """The fake fal, and what is asked about it."""

    def __init__(self) -> None:
        self._fal = FakeFal(paint="flat")
        self._fal.queue.keep_jobs = _KEPT

    async def serve(self) -> None:
        """Start, tell where, and do what stdin says until it ends."""
        say({"fal_url": await self._fal.start()})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command = json.loads(line)
            say(getattr(self, command.pop("do"))(**command))
        await self._fal.stop()

    def paint(self, seconds: float) -> dict[str, Any]:
        """Paint no faster and no slower than this."""
        self._fal.queue.paint_s = seconds
        return {}

    def seen(self) -> dict[str, Any]:
        """Pictures asked for, and how often the same was asked for again."""
        counters = self._fal.counters
        return {"jobs": counters.jobs, "duplicates": counters.duplicates, "calls": counters.calls}


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(Fal().serve())
