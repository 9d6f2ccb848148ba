"""A crowd that sends pictures made to hurt, and other people who send ordinary ones meanwhile.

The bot runs as ever, in a process of its own; what is measured of its decoding processes is the sum of what they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

from sandbox.discord import FakeDiscord
from sandbox.discord.interactions import InteractionRecord
from sandbox.fal import FakeFal
from tests.bench.children import environment, process
from tests.bench.crowd import quantile
from tests.media.hostile import HOSTILE, mutated
from tests.media.paint import noise, saved

_BOT = "tests.bench.easel"
_READY_S = 60
_MODEL = "omnigen-v2"
#: People who attack, each with the same share of the pictures.
_ATTACKERS = 20
#: Hostile pictures sent in a second.
_RATE = 25
#: An ordinary picture is sent this often, by one of so many others in turn.
_PLAIN_EVERY_S = 3.0
_OTHERS = 20
_WAIT_S = 60.0


@dataclass
class _Watch:
    """What the decoding processes of a bot take, looked at again and again."""

    bot: psutil.Process
    peak_mb: dict[int, float] = field(default_factory=dict)
    sum_peak_mb: float = 0.0

    async def forever(self) -> None:
        while True:
            now_mb = 0.0
            for child in self.bot.children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    now_mb += child.memory_info().rss / 1e6
                    self.peak_mb[child.pid] = max(self.peak_mb.get(child.pid, 0.0), _peak_mb(child.pid))
            self.sum_peak_mb = max(self.sum_peak_mb, now_mb)
            await asyncio.sleep(0.05)


def _peak_mb(process_id: int) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    return 0.0


@cache
def _bodies() -> tuple[bytes, ...]:
    """Those built by hand, and as many with bytes changed."""
    built = [make() for make in HOSTILE.values()]
    return (*built, *mutated(2 * len(built)))


def _attack(count: int) -> Iterator[bytes]:
    return islice(cycle(_bodies()), count)


async def hostile(folder: Path, *, pictures: int) -> dict[str, Any]:
    """So many hostile pictures; how late another person's are, and what it costs."""
    fal, discord = FakeFal(paint="flat", paint_s=0.2), FakeDiscord()
    await fal.start()
    await discord.start()
    database = folder / "bot.db"
    urls = {"token": discord.token, "api_url": discord.api_url, "gateway_url": discord.gateway_url, "fal_url": fal.url}
    lag_file = folder / "bot.lag"
    try:
        async with process(_BOT, environment(urls, f"sqlite:///{database}", BENCH_LAG_FILE=str(lag_file))) as child:
            await discord.wait_for(
                lambda: discord.gateway.online and any(one["name"] == "imagine" for one in discord.commands.all()),
                timeout_s=_READY_S,
            )
            crowd = _Attackers(discord, fal)
            usual_s = [await crowd.plain() for _ in range(5)]
            child.send_signal(signal.SIGUSR1)
            watch = _Watch(psutil.Process(child.pid))
            watching = asyncio.create_task(watch.forever())
            late_s = await crowd.attacked(pictures)
            ends = await _until_all_ended(database, pictures)
            watching.cancel()
            figures: dict[str, Any] = {
                "hostile": pictures,
                "hostile_ended": sum(ends.values()),
                "plain": len(late_s),
                "plain_missing": sum(one is None for one in late_s),
                "plain_usual_s": quantile([one for one in usual_s if one is not None], 0.5),
                "plain_p50_s": quantile([one for one in late_s if one is not None], 0.5),
                "plain_max_s": max((one for one in late_s if one is not None), default=None),
                "worker_peak_mb": max(watch.peak_mb.values(), default=0.0),
                "workers_sum_peak_mb": watch.sum_peak_mb,
                "workers_started": len(watch.peak_mb),
                "bot_peak_mb": _peak_mb(child.pid),
                "bot_alive": child.returncode is None,
            }
            await asyncio.sleep(1.2)
            lag = json.loads(lag_file.read_text())
            figures |= {"loop_block_max_ms": lag["max_ms"], "loop_worked_max_ms": lag["max_worked_ms"]}
            figures["sigterm_s"] = await crowd.stop_in_the_middle(child)
            return figures
    finally:
        await discord.stop()
        await fal.stop()


async def _until_all_ended(database: Path, pictures: int) -> Counter[str]:
    """How the attackers' jobs ended, once all have."""
    ends_s = time.monotonic() + _WAIT_S + pictures
    while True:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            states = Counter(dict(connection.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state").fetchall()))
        ended = Counter({state: states[state] for state in ("failed", "delivered", "cancelled")})
        if sum(ended.values()) == sum(states.values()) or time.monotonic() > ends_s:
            return ended
        await asyncio.sleep(1)


class _Attackers:
    """People on the fake Discord."""

    def __init__(self, discord: FakeDiscord, fal: FakeFal) -> None:
        self._discord = discord
        self._fal = fal
        self._asked = 0
        self._channel = discord.channel("general")
        self._attackers = discord.world.add_people(_ATTACKERS)
        self._others = cycle(discord.world.add_people(_OTHERS))
        self._photo = saved(noise(2000, 1500).resize((4000, 3000)), "JPEG", quality=80, comment=b"at home")

    async def plain(self) -> float | None:
        """Seconds until an ordinary photo, with a note to take out, is at fal; None: not in time."""
        self._asked += 1
        prompt = f"an ordinary photo, number {self._asked}"
        person = next(self._others)
        upload = self._discord.upload(person, "photo.jpg", self._photo)
        began_at = datetime.now(UTC)
        await self._ask(person, upload, prompt)
        until_s = time.monotonic() + _WAIT_S
        while time.monotonic() < until_s:
            for job in self._fal.queue.jobs.values():
                if job.arguments.get("prompt") == prompt:
                    return (job.created_at - began_at).total_seconds()
            await asyncio.sleep(0.1)
        return None

    async def attacked(self, pictures: int) -> list[float | None]:
        """The same, again and again, while the others attack."""
        attack = asyncio.create_task(self._attack(pictures))
        plain: list[asyncio.Task[float | None]] = []
        while not attack.done():
            plain.append(asyncio.create_task(self.plain()))
            await asyncio.sleep(_PLAIN_EVERY_S)
        await attack
        return await asyncio.gather(*plain)

    async def _attack(self, pictures: int) -> None:
        for number, body in enumerate(_attack(pictures)):
            attacker = self._attackers[number % len(self._attackers)]
            await self._ask(attacker, self._discord.upload(attacker, "cat.png", body))
            await asyncio.sleep(1 / _RATE)

    async def stop_in_the_middle(self, child: asyncio.subprocess.Process) -> float:
        """How long the bot takes to end while it decodes what takes long."""
        slow = HOSTILE["as many scans as are taken, on 24 megapixels"]()
        for attacker in self._attackers:
            await self._ask(attacker, self._discord.upload(attacker, "cat.png", slow))
        await asyncio.sleep(1)
        began_s = time.monotonic()
        child.terminate()
        await child.wait()
        return time.monotonic() - began_s

    async def _ask(self, person: Any, upload: Any, prompt: str = "a lighthouse") -> InteractionRecord:
        options = {"prompt": prompt, "model": _MODEL, "image": upload}
        return await self._discord.command(person, self._channel, "imagine", options)
