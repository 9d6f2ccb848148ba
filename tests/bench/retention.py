"""A start with very many jobs to delete, and requests from the moment it is online."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from bot.store import Store
from tests.bench.children import FakeServers, environment, process
from tests.bench.memory import TreeMemory
from tests.store.makers import delivered, new_job

_READY_S = 60
_RATE = 20
_ASK_FOR_S = 60
_PURGED_WITHIN_S = 600
#: Longer ago than any job is kept.
_AGE = timedelta(days=400)


async def retention(folder: Path, *, due: int) -> dict[str, Any]:
    """Measure with so many jobs that are over and due."""
    database = folder / "bot.db"
    await _fill(database, due)
    async with process("tests.bench.crowd", {}) as fakes:
        servers = FakeServers(fakes)
        environ = environment(await servers.read(), f"sqlite:///{database}", BENCH_LAG_FILE=str(folder / "bot.lag"))
        began_s = time.monotonic()
        async with process("tests.bench.easel", environ) as bot, TreeMemory(psutil.Process(bot.pid)) as memory:
            await servers.request({"ready": _READY_S})
            figures: dict[str, Any] = {"online_after_s": time.monotonic() - began_s}
            asked = asyncio.create_task(
                servers.request({"people": _RATE * _ASK_FOR_S, "over_s": _ASK_FOR_S, "fal_s": 5, "wait_s": 60})
            )
            figures["purged_after_s"] = await _purged(database, began_s)
            figures |= await asked
            figures["memory_peak_mb"] = memory.peak_mb
    return figures


async def _purged(database: Path, began_s: float) -> float | None:
    """Seconds until none of the old jobs was left."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        while time.monotonic() - began_s < _PURGED_WITHIN_S:
            if connection.execute("SELECT 1 FROM jobs WHERE id LIKE 'old%' LIMIT 1").fetchone() is None:
                return time.monotonic() - began_s
            await asyncio.sleep(0.5)
    return None


async def _fill(database: Path, due: int) -> None:
    """One job delivered as in life, and copies of it that are old."""
    store = await Store.open(f"sqlite:///{database}")
    job = await delivered(store, new_job())
    await store.close()
    old_us = int((datetime.now(UTC) - _AGE).timestamp() * 1e6)
    with sqlite3.connect(database) as connection:
        for table, fresh in (
            ("jobs", {"seq": "seq + n", "id": "'old' || n", "interaction_id": "interaction_id + n", "ended_us": "OLD"}),
            ("ledger", {"job_id": "'old' || n", "day": "OLD / 86400000000"}),
        ):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(fresh.get(name, name).replace("OLD", str(old_us)) for name in columns)
            key = "id" if table == "jobs" else "job_id"
            connection.execute(
                f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {due}) "
                f"INSERT INTO {table} SELECT {values} FROM {table}, numbers WHERE {key} = ?",
                (job.id,),
            )
        for scope, subject in (("u", "user_id"), ("g", "guild_id")):
            connection.execute(
                f"INSERT INTO balances (scope, subject_id, day, images) SELECT ?, {subject}, day, sum(counted) "
                f"FROM ledger WHERE {subject} IS NOT NULL AND day < ? GROUP BY {subject}, day",
                (scope, old_us // 86_400_000_000 + 1),
            )
