"""How long the sandbox takes from the start of its process until its commands are registered."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil

_ROOT = Path(__file__).resolve().parents[2]
#: The sandbox's own sentence.
_READY = b"commands registered"
_PATIENCE_S = 60
_SETTLE_S = 2


async def starts(folder: Path, runs: int) -> dict[str, Any]:
    """Start and end the sandbox `runs` times; the first run also writes what Python compiles."""
    await _once(folder, settle=False)
    figures = [await _once(folder, settle=True) for _ in range(runs)]
    seconds = [one["ready_s"] for one in figures]
    return {
        "runs": runs,
        "ready_s_median": statistics.median(seconds),
        "ready_s_worst": max(seconds),
        "memory_peak_mb": max(one["memory_peak_mb"] for one in figures),
    }


async def _once(folder: Path, *, settle: bool) -> dict[str, float]:
    environ = {name: value for name, value in os.environ.items() if name not in {"DISCORD_TOKEN", "FAL_KEY"}}
    began_s = time.monotonic()
    sandbox = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "sandbox", "--port", "0"),
        cwd=folder,
        env={**environ, "PYTHONPATH": str(_ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await _line_with(_READY, sandbox)
        ready_s = time.monotonic() - began_s
        if settle:
            await asyncio.sleep(_SETTLE_S)
        (bot,) = psutil.Process(sandbox.pid).children()
        return {"ready_s": ready_s, "memory_peak_mb": peak_memory_mb(bot)}
    finally:
        sandbox.terminate()
        await sandbox.communicate()


async def _line_with(words: bytes, process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        if words in line:
            return
    raise SystemExit("the sandbox ended before its commands were registered")


def peak_memory_mb(bot: psutil.Process) -> float:
    """Largest resident size so far, in MB (Linux; elsewhere the present one)."""
    status = Path(f"/proc/{bot.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
    resident: int = bot.memory_info().rss
    return resident / 1e6
