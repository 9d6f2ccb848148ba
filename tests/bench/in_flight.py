"""Very many jobs in flight in one process: memory, and how a process that follows a killed one takes them up.

fal holds every painting. All jobs come in as interactions; when fal has them all, the bot is left alone for a while,
then killed with SIGKILL. While it is away a few paintings end. The second process is watched until it owns every job
(by the rows' leases) and fal has seen it look at each; then fal ends all.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.bench.children import FakeServers, environment, process
from tests.bench.start import peak_memory_mb

_READY_S = 60
_BOT = "tests.bench.easel"
#: How long the second process is given to look at every job.
_LOOK_S = 90.0


async def in_flight(
    folder: Path, *, jobs: int, rate: float, rest_s: float, meanwhile: int, tls: bool, callbacks: bool
) -> dict[str, Any]:
    """Measure.

    Args:
        jobs: how many are in flight.
        rate: interactions a second on the way there.
        rest_s: how long they stay in flight before the kill.
        meanwhile: paintings that end while no bot runs.
        tls: whether fal is spoken to as in earnest, over TLS.
        callbacks: whether fal can call back.
    """
    database = folder / "bot.db"
    first_lag, second_lag = folder / "first.lag", folder / "second.lag"
    figures: dict[str, Any] = {"jobs": jobs}
    safe = {"BENCH_TLS_FILE": str(folder / "fal.pem")} if tls else {}
    async with process("tests.bench.flight", safe) as fakes:
        servers = FakeServers(fakes)
        urls = await servers.read()
        environ = environment(urls, f"sqlite:///{database}", EASEL_LIMITS__MAX_WAITING_JOBS="100000")
        if callbacks:
            port = _free_port()
            environ |= {"EASEL_WEB__PORT": str(port), "EASEL_WEB__PUBLIC_URL": f"http://127.0.0.1:{port}"}
        if tls:
            environ["SSL_CERT_FILE"] = safe["BENCH_TLS_FILE"]
        async with process(_BOT, {**environ, "BENCH_LAG_FILE": str(first_lag)}) as first:
            await servers.request({"ready": _READY_S})
            asked = await servers.request({"do": "ask", "people": jobs, "rate": rate})
            figures |= {f"asked_{name}": value for name, value in asked.items()}
            _say("asked", memory_peak_mb=peak_memory_mb(psutil.Process(first.pid)), **asked)
            first.send_signal(signal.SIGUSR1)
            figures |= await _at_rest(psutil.Process(first.pid), rest_s)
            figures["loop_block_max_ms"] = json.loads(first_lag.read_text())["max_ms"]
            figures["in_flight"] = (await servers.request({"do": "flight"}))["held"]
            figures["memory_peak_mb"] = peak_memory_mb(psutil.Process(first.pid))
            _say("at rest", **figures, calls=await servers.request({"do": "calls"}))
            first.kill()
            await first.wait()
        await servers.request({"do": "finish", "count": meanwhile})
        await servers.request({"do": "mark"})
        began_s = time.monotonic()
        async with process(_BOT, {**environ, "BENCH_LAG_FILE": str(second_lag)}) as second:
            figures |= await _taken_up(servers, database, figures["in_flight"] - meanwhile, began_s)
            posted = await servers.request({"do": "posted", "wait_s": 60})
            figures |= {f"meanwhile_{name}": posted[name] for name in ("posted", "missing")}
            figures["after_kill_loop_block_max_ms"] = json.loads(second_lag.read_text())["max_ms"]
            figures["after_kill_memory_peak_mb"] = peak_memory_mb(psutil.Process(second.pid))
            _say("taken up", **figures, calls=await servers.request({"do": "calls"}))
            await servers.request({"do": "finish", "count": 0})
            posted = await servers.request({"do": "posted", "wait_s": 120 + jobs / 20})
            figures |= posted
            figures["memory_peak_at_the_end_mb"] = peak_memory_mb(psutil.Process(second.pid))
            figures["loop_block_max_at_the_end_ms"] = json.loads(second_lag.read_text())["max_ms"]
            calls = await servers.request({"do": "calls"})
            figures |= {f"calls_{kind}": count / figures["in_flight"] for kind, count in sorted(calls.items())}
            figures["fal_calls_per_job"] = sum(calls.values()) / figures["in_flight"]
    return figures


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say(words: str, **figures: Any) -> None:
    """What has happened so far; the whole takes minutes."""
    print(f"in-flight: {words}", json.dumps(figures), file=sys.stderr, flush=True)


async def _at_rest(bot: psutil.Process, seconds: float) -> dict[str, Any]:
    before, began_s = bot.cpu_times(), time.monotonic()
    await asyncio.sleep(seconds)
    after = bot.cpu_times()
    spent_s = after.user + after.system - before.user - before.system
    return {"rest_cpu_percent": 100 * spent_s / (time.monotonic() - began_s)}


async def _taken_up(servers: FakeServers, database: Path, held: int, began_s: float) -> dict[str, Any]:
    """Seconds from the start of the process until it owned all, and had looked at half and at all."""
    before = _owners(database)
    figures: dict[str, Any] = {"owned_after_s": None, "half_looked_at_after_s": None, "looked_at_after_s": None}
    while time.monotonic() - began_s < _LOOK_S and figures["looked_at_after_s"] is None:
        flight = await servers.request({"do": "flight"})
        now_s = time.monotonic() - began_s
        if figures["owned_after_s"] is None and not before & _owners(database):
            figures["owned_after_s"] = now_s
        if figures["half_looked_at_after_s"] is None and flight["looked_at"] >= held / 2:
            figures["half_looked_at_after_s"] = now_s
        if flight["looked_at"] >= held:
            figures["looked_at_after_s"] = now_s
        figures["looked_at"] = flight["looked_at"]
        await asyncio.sleep(0.2)
    return figures


def _owners(database: Path) -> set[str]:
    """Processes that hold jobs under way."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT lease_owner FROM jobs WHERE state IN ('submitting', 'running', 'finished')"
        )
        return {row[0] for row in rows}
