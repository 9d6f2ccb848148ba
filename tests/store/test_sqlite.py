"""aiosqlite's connection: what runs in its thread, how often the event loop is asked, and what outlives a caller."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import Connection, event, text

from bot.errors import StoreUnusable
from bot.store import Accepted, Store
from bot.store.database import Database, parse_url
from tests.store.makers import WIDE, new_job


def database(folder: Path) -> Database:
    """A file of its own."""
    return Database(*parse_url(f"sqlite:///{folder}/easel.db"), exclusive=True)


async def test_a_whole_transaction_is_one_call_in_its_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    handed_over: list[Any] = []
    statements: list[tuple[str, int]] = []
    execute: Any = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, function: Any, *given: Any, **options: Any) -> Any:
        handed_over.append(function)
        return await execute(self, function, *given, **options)

    def seen(_c: Any, _cursor: Any, statement: str, _p: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, threading.get_ident()))

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    event.listen(store._database._writing.engine, "before_cursor_execute", seen)
    answer = await store.jobs.accept(new_job(), WIDE, max_waiting=9)

    assert isinstance(answer, Accepted)
    assert len(handed_over) == 1
    assert statements[0][0] == "BEGIN IMMEDIATE"
    assert len(statements) > 5
    assert {thread for _, thread in statements} != {threading.get_ident()}
    assert len({thread for _, thread in statements}) == 1
    await store.close()


async def test_reads_share_two_connections_and_a_slow_one_holds_up_nobody(tmp_path: Path) -> None:
    held = threading.Event()
    base = database(tmp_path)

    def slow(_connection: Connection) -> str:
        assert held.wait(10)
        return threading.current_thread().name

    waiting = asyncio.create_task(base.read(slow))
    quick = await asyncio.gather(*(base.read(lambda _: threading.get_ident()) for _ in range(20)))
    assert not waiting.done()
    held.set()
    assert (await waiting) == "store-read"
    assert len(set(quick)) == 1
    await base.close()


async def test_work_whose_caller_was_cancelled_goes_on(tmp_path: Path) -> None:
    base = database(tmp_path)
    began, held = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE kept (n INTEGER)"))
        loop.call_soon_threadsafe(began.set)
        assert held.wait(10)

    caller = asyncio.create_task(base.write(work))
    await began.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    held.set()

    assert await base.write(lambda connection: connection.execute(text("SELECT count(*) FROM kept")).scalar()) == 0
    await base.close()


async def test_a_caller_cancelled_while_the_file_is_opened_leaves_no_connection_behind(tmp_path: Path) -> None:
    base = database(tmp_path)
    caller = asyncio.create_task(base.read(lambda connection: connection.execute(text("SELECT 1")).scalar()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)

    await base.close()

    assert [thread for thread in threading.enumerate() if thread.name.startswith("store-") and thread.is_alive()] == []
    with pytest.raises(StoreUnusable, match="closed"):
        await base.read(lambda _: None)


async def test_a_transaction_that_fails_leaves_the_connection_usable(tmp_path: Path) -> None:
    base = database(tmp_path)

    def broken(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE gone (n INTEGER)"))
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await base.write(broken)

    names = await base.write(lambda connection: connection.execute(text("SELECT name FROM sqlite_master")).all())
    assert names == []
    await base.close()


async def test_no_error_repeats_what_a_statement_held(tmp_path: Path) -> None:
    base = database(tmp_path)

    with pytest.raises(StoreUnusable) as raised:
        await base.write(
            lambda connection: connection.execute(text("SELECT :p FROM nowhere"), {"p": "a secret prompt"})
        )

    assert "a secret prompt" not in f"{raised.value} {raised.value.__cause__}"
    await base.close()


LEFT_OPEN = """
import asyncio, atexit, sys, threading
from sqlalchemy import text
from bot.store.database import Database, parse_url
kept = []
async def main():
    base = Database(*parse_url(sys.argv[1]), exclusive=True)
    kept.append(base)
    await base.write(lambda connection: connection.execute(text("CREATE TABLE t (n INTEGER)")))
    def slow(connection):
        connection.execute(text("INSERT INTO t VALUES (7)"))
        began.set()
        ending.wait(20)
    asyncio.create_task(base.write(slow))
    await asyncio.to_thread(began.wait, 20)
began, ending = threading.Event(), threading.Event()
atexit.register(ending.set)
asyncio.run(main())
print("over")
"""


def test_a_process_that_forgets_to_close_ends_with_its_last_transaction_committed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/easel.db"

    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN, url], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout == "over\n"
    assert done.stderr == ""

    async def count() -> object:
        base = database(tmp_path)
        try:
            return await base.read(lambda connection: connection.execute(text("SELECT n FROM t")).scalar())
        finally:
            await base.close()

    assert asyncio.run(count()) == 7
