"""Many requests in a short time: how long the first answers take while painting falls behind, and that it catches up.

Discord with the people, fal, and the bot run in three processes; on two cores the fake servers share one with whatever
else the machine does. Every request is durable before its answer, as always.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.children import FakeServers, environment, process
from tests.bench.start import peak_memory_mb

_READY_S = 60
_BOT = "tests.bench.easel"
#: A flood's pictures are waited for as long as this many a second would take, and a minute.
_PICTURES_A_S = 40


@dataclass(frozen=True)
class Rush:
    """One flood."""

    name: str
    requests: int
    #: A second; 0: all at once.
    rate: float
    fal_s: float

    @property
    def title(self) -> str:
        """What happens, in a line."""
        how = f"{self.rate:g} a second" if self.rate else "at once"
        return f"{self.name}: {self.requests:,} requests, {how}, fal takes {self.fal_s} s"


RUSHES = (
    Rush("sustained", 12_000, 200, 5),
    Rush("burst", 2000, 0, 5),
)


async def rush(folder: Path, one: Rush, **environ: str) -> dict[str, Any]:
    """Measure one; `environ` goes to the bot."""
    lag_file = folder / "bot.lag"
    async with process("tests.bench.fal", {}) as fal_process, process("tests.bench.flood", {}) as discord_process:
        fal, discord = FakeServers(fal_process), FakeServers(discord_process)
        urls = {**await fal.read(), **await discord.read()}
        settings = environment(urls, f"sqlite:///{folder / 'bot.db'}", BENCH_LAG_FILE=str(lag_file), **environ)
        async with process(_BOT, settings) as child:
            bot = psutil.Process(child.pid)
            await discord.request({"do": "ready", "wait_s": _READY_S})
            await fal.request({"do": "paint", "seconds": 0.1})
            await discord.request({"do": "flood", "requests": 2, "rate": 0})  # connections and caches
            await discord.request({"do": "pictures", "wait_s": 20})
            await fal.request({"do": "paint", "seconds": one.fal_s})
            child.send_signal(signal.SIGUSR1)
            idle_s = cpu_s(bot)
            figures = await discord.request({"do": "flood", "requests": one.requests, "rate": one.rate})
            figures["bot_cpu_meanwhile_s"] = cpu_s(bot) - idle_s
            figures["loop_block_max_ms"] = json.loads(lag_file.read_text())["max_ms"]
            patience_s = 60 + one.requests / _PICTURES_A_S
            figures |= await discord.request({"do": "pictures", "wait_s": patience_s})
            figures["bot_cpu_per_picture_ms"] = 1000 * (cpu_s(bot) - idle_s) / one.requests
            figures["memory_peak_mb"] = peak_memory_mb(bot)
            seen = await fal.request({"do": "seen"})
            figures |= {"submitted_twice": seen["duplicates"], "fal_jobs": seen["jobs"] - 2}
    return figures


def cpu_s(process_: psutil.Process) -> float:
    """Seconds of processor time so far."""
    times = process_.cpu_times()
    return float(times.user + times.system)
