"""Discord on loopback, and people who ask at a steady rate or all at once, however fast the bot answers.

Reads one JSON object a line from stdin, writes one a line to stdout; `do` names what to do:

- `flood` (requests, rate): so many ask, so many a second (0: all at once); the figures of the first answers.
- `pictures` (wait_s): wait until everybody has a picture; what became of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from bot.cli.process import loop_factory
from sandbox.discord import FakeDiscord
from sandbox.discord.interactions import InteractionRecord
from tests.bench.crowd import quantile, say

#: People who share the requests of a flood.
_PEOPLE = 1000


class Flood:
    """The fake Discord, and what is measured on it."""

    def __init__(self) -> None:
        self._discord = FakeDiscord()
        self._records: list[InteractionRecord] = []
        self._began_s = 0.0
        self._asked = 0

    async def serve(self) -> None:
        """Start, tell where, and do what stdin says until it ends."""
        await self._discord.start()
        discord = self._discord
        say({"api_url": discord.api_url, "gateway_url": discord.gateway_url, "token": discord.token})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command = json.loads(line)
            answer: dict[str, Any] = await getattr(self, command.pop("do"))(**command)
            say(answer)
        await discord.stop()

    async def ready(self, wait_s: float) -> dict[str, Any]:
        """Wait for the bot and its commands."""
        discord = self._discord
        await discord.wait_for(
            lambda: discord.gateway.online and any(one["name"] == "imagine" for one in discord.commands.all()),
            timeout_s=wait_s,
        )
        return {}

    async def flood(self, requests: int, rate: float, deadline_s: float = 3.0) -> dict[str, Any]:
        """Ask, and look at the first answers.

        A longer deadline than Discord's shows what they cost on a machine that is busy with other things.
        `asked_late_max_s` is the generator's own lateness: what it was behind its plan at worst.
        """
        loop = asyncio.get_running_loop()
        self._discord.interactions.answer_deadline_s = deadline_s
        channel = self._discord.channel("general")
        people = self._discord.world.add_people(min(requests, _PEOPLE))
        self._records = []
        self._began_s = began_s = loop.time()
        late_s = 0.0
        spent_s = time.process_time()
        for number in range(requests):
            due_s = began_s + (number / rate if rate else 0.0)
            if rate:
                await asyncio.sleep(max(due_s - loop.time(), 0))
                late_s = max(late_s, loop.time() - due_s)
            self._asked += 1
            options = {"prompt": f"a lighthouse, number {self._asked}"}
            record = await self._discord.command(people[number % len(people)], channel, "imagine", options)
            self._records.append(record)
        asked_s = loop.time() - began_s
        ends_s = loop.time() + deadline_s + 0.5
        while loop.time() < ends_s and any(one.state == "waiting" for one in reversed(self._records)):
            await asyncio.sleep(0.1)
        first_s = [one.first_answer_s for one in self._records if one.first_answer_s is not None]
        return {
            "requests": requests,
            "asked_within_s": asked_s,
            "asked_late_max_s": late_s,
            "failed": sum(one.state == "failed" for one in self._records),
            "over_3_s": sum(one.first_answer_s is None or one.first_answer_s > 3 for one in self._records),
            "first_answer_p50_s": quantile(first_s, 0.5),
            "first_answer_p99_s": quantile(first_s, 0.99),
            "first_answer_max_s": max(first_s, default=None),
            "discord_cpu_s": time.process_time() - spent_s,
            "pictures_meanwhile": sum(one.picture_s is not None for one in self._records),
        }

    async def pictures(self, wait_s: float) -> dict[str, Any]:
        """Wait until everybody who was answered has a picture."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + wait_s
        while loop.time() < ends_s and any(one.picture_s is None and one.state != "failed" for one in self._records):
            await asyncio.sleep(0.5)
        got = [one for one in self._records if one.picture_s is not None]
        last_s = max((one.started_s + one.picture_s for one in got if one.picture_s is not None), default=None)
        return {
            "missing": len(self._records) - len(got),
            "last_picture_after_s": None if last_s is None else last_s - self._began_s,
            "refusals": len(self._discord.refusals),
        }


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(Flood().serve())
