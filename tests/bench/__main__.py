"""`python -m tests.bench [names…]`: crowds on Easel and, where a ratio is asked for, on the naive bot.

Every figure is printed beside the bound of the requirement and the naive bot's figure of the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.budgets import budgets
from tests.bench.children import FakeServers, environment, process
from tests.bench.hostile import hostile
from tests.bench.in_flight import in_flight
from tests.bench.memory import TreeMemory
from tests.bench.retention import retention
from tests.bench.start import starts
from tests.bench.throughput import RUSHES, rush
from tests.catalogue.orders import estimates

READY_S = 30


@dataclass(frozen=True)
class Scenario:
    """One crowd."""

    name: str
    people: int
    over_s: float
    fal_s: float
    wait_s: float
    naive: bool
    #: Bytes of each picture; 0: a few hundred.
    picture_bytes: int = 0
    #: Whether it takes so long that it only runs when it is named.
    is_long: bool = False


PICTURE_BYTES = 1_750_000
SCENARIOS = (
    Scenario("solo", 1, 0, 5, 60, True),
    Scenario("fifty", 50, 0, 10, 120, True),
    Scenario("two-hundred", 200, 0, 5, 120, True),
    Scenario("thousand", 1000, 4, 10, 240, True),
    Scenario("two-hundred-large", 200, 0, 5, 240, True, PICTURE_BYTES),
    Scenario("thousand-large", 1000, 4, 10, 480, False, PICTURE_BYTES),
)
#: The first minute of `steady` is not judged: connections and caches.
WARM_UP_S = 60


@contextlib.asynccontextmanager
async def bot_over_crowd(
    module: str, folder: Path, picture_bytes: int = 0
) -> AsyncIterator[tuple[FakeServers, psutil.Process, Path]]:
    """Fake servers and one bot, ready to be asked."""
    lag_file = folder / f"{module}.lag"
    async with process("tests.bench.crowd", {"BENCH_PICTURE_BYTES": str(picture_bytes)}) as fakes:
        servers = FakeServers(fakes)
        urls = await servers.read()
        database_url = f"sqlite:///{folder / (module + '.db')}"
        environ = environment(urls, database_url, BENCH_LAG_FILE=str(lag_file))
        async with process(module, environ) as bot:
            await servers.request({"ready": READY_S})
            yield servers, psutil.Process(bot.pid), lag_file


async def measure(module: str, scenario: Scenario, folder: Path) -> dict[str, Any]:
    """One scenario on one bot, freshly started."""
    async with bot_over_crowd(module, folder, scenario.picture_bytes) as (servers, bot, lag_file):
        await servers.request({"people": 2, "over_s": 0, "fal_s": 0.1, "wait_s": 20})  # connections and caches
        bot.send_signal(signal.SIGUSR1)
        before = bot.cpu_times()
        async with TreeMemory(bot) as memory:
            figures = await servers.request(
                {
                    "people": scenario.people,
                    "over_s": scenario.over_s,
                    "fal_s": scenario.fal_s,
                    "wait_s": scenario.wait_s,
                }
            )
            after = bot.cpu_times()
            await asyncio.sleep(1.2)
        spent_s = after.user + after.system - before.user - before.system
        figures["cpu_per_picture_s"] = spent_s / max(figures["people"] - figures["missing"], 1)
        figures["loop_block_max_ms"] = json.loads(lag_file.read_text())["max_ms"]
        figures["memory_peak_mb"] = memory.peak_mb
        if judged := memory.after(WARM_UP_S):
            figures |= {"memory_lowest_mb": min(judged), "memory_highest_mb": max(judged)}
            figures["memory_highest_over_lowest"] = max(judged) / min(judged)
        return figures


async def idle(folder: Path, seconds: float) -> dict[str, Any]:
    """CPU share and peak memory of a bot that nobody asks for anything."""
    async with bot_over_crowd("bot", folder) as (_, bot, _lag_file):
        await asyncio.sleep(3)
        peak_mb = TreeMemory(bot).peak_mb
        before, began_s = bot.cpu_times(), time.monotonic()
        await asyncio.sleep(seconds)
        after = bot.cpu_times()
        spent_s = after.user + after.system - before.user - before.system
        return {"cpu_percent": 100 * spent_s / (time.monotonic() - began_s), "memory_peak_mb": peak_mb}


def show(title: str, easel: dict[str, Any], naive: dict[str, Any] | None) -> None:
    """One table a scenario."""
    print(f"\n{title}\n{'measure':<32}{'easel':>12}{'naive':>12}{'ratio':>9}")
    reasons = {
        who: figures.pop("refused_because", {}) for who, figures in (("easel", easel), ("naive", naive)) if figures
    }
    for name, value in easel.items():
        other = naive.get(name) if naive else None
        ratio = f"{value / other:.2f}" if isinstance(value, (int, float)) and other else ""
        print(f"{name:<32}{number(value):>12}{number(other):>12}{ratio:>9}")
    for who, counts in reasons.items():
        for reason, count in counts.items():
            print(f"{who} refused {count}: {reason}")


def number(value: float | None) -> str:
    """Three significant places, or nothing."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


async def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        help=f"of: start idle budgets estimates in-flight hostile retention steady "
        f"{' '.join(one.name for one in (*SCENARIOS, *RUSHES))}; "
        "default all but in-flight, hostile, retention and steady",
    )
    parser.add_argument("--no-naive", action="store_true", help="leave the baseline out")
    parser.add_argument("--idle-s", type=float, default=20, help="how long the idle bot is watched")
    parser.add_argument("--jobs", type=int, default=20_000, help="in-flight: how many jobs")
    parser.add_argument("--callbacks", action="store_true", help="in-flight: fal calls back")
    parser.add_argument("--plain", action="store_true", help="in-flight: speak to fal without TLS")
    parser.add_argument("--rate", type=float, default=150, help="in-flight: interactions a second on the way there")
    parser.add_argument("--pictures", type=int, default=1_000, help="hostile: how many pictures")
    parser.add_argument("--steady-s", type=float, default=600, help="steady: seconds of 15 pictures a second")
    parser.add_argument("--picture-bytes", type=int, default=PICTURE_BYTES, help="steady: bytes of each picture")
    parser.add_argument("--due", type=int, default=500_000, help="retention: how many jobs are to be deleted")
    parser.add_argument("--orders", type=int, default=500, help="estimates: by chance, of each model")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="estimates: of an earlier run")
    options = parser.parse_args()
    seconds = options.steady_s
    steady = Scenario("steady", int(15 * seconds), seconds, 5, seconds + 240, False, options.picture_bytes, True)
    with tempfile.TemporaryDirectory() as name:
        for scenario in (*SCENARIOS, steady):
            if scenario.name not in options.names and (options.names or scenario.is_long):
                continue
            naive = None
            if scenario.naive and not options.no_naive:
                naive = await measure("tests.bench.naive", scenario, folder_for(name, scenario.name + "-naive"))
            easel = await measure("tests.bench.easel", scenario, folder_for(name, scenario.name))
            title = (
                f"{scenario.name}: {scenario.people} people within {scenario.over_s} s, fal takes {scenario.fal_s} s"
            )
            show(title, easel, naive)
        for one in RUSHES:
            if not options.names or one.name in options.names:
                show(one.title, await rush(folder_for(name, one.name), one), None)
        if not options.names or "start" in options.names:
            show(
                "start: the sandbox until its commands are registered", await starts(folder_for(name, "start"), 5), None
            )
        if not options.names or "idle" in options.names:
            show("idle", await idle(folder_for(name, "idle"), options.idle_s), None)
        if not options.names or "budgets" in options.names:
            figures = await budgets(folder_for(name, "budgets"))
            show(
                "budgets: CPU of an accepted order with budgets, over lifted ones and over none (bound: 1.10)",
                figures,
                None,
            )
        if not options.names or "estimates" in options.names:
            figures = estimates(options.orders, options.seed)
            show("estimates: estimate over bill for all models (bounds: none below; median 1.10)", figures, None)
        if "hostile" in options.names:
            figures = await hostile(folder_for(name, "hostile"), pictures=options.pictures)
            show(f"hostile: {options.pictures} pictures made to hurt, and another person's meanwhile", figures, None)
        if "retention" in options.names:
            figures = await retention(folder_for(name, "retention"), due=options.due)
            show(
                f"retention: {options.due:,} jobs due at a start, and 20 requests a second from then on", figures, None
            )
        if "in-flight" in options.names:
            figures = await in_flight(
                folder_for(name, "in-flight"),
                jobs=options.jobs,
                rate=options.rate,
                rest_s=options.idle_s,
                meanwhile=200,
                tls=not options.plain,
                callbacks=options.callbacks,
            )
            show(f"in-flight: {options.jobs} jobs at fal, the bot killed and started again", figures, None)


def folder_for(base: str, name: str) -> Path:
    """A fresh folder for one bot's database and figures."""
    folder = Path(base, name)
    folder.mkdir()
    return folder


if __name__ == "__main__":
    asyncio.run(main())
