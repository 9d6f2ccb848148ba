"""SQLite files after a crash, and versions of SQLite with a known fault."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bot.errors import StoreUnusable
from bot.store import Accepted, Store, integrity
from tests.store.makers import WIDE, Clock, accepted, new_job

CRASHES = """
import asyncio, os, signal, sys
from bot.store import Store
from tests.store.makers import accepted, new_job
async def main():
    store = await Store.open(sys.argv[1])
    for user in range(60):
        await accepted(store, new_job(user=user, prompt="x" * 900))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def said(caplog: pytest.LogCaptureFixture, words: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if words in record.getMessage()]


async def crashed(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASHES, f"sqlite:///{path}")
    assert await process.wait() == -signal.SIGKILL


async def test_a_file_is_checked_after_a_crash_and_not_after_a_close(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "easel.db"
    await crashed(path)

    store = await Store.open(f"sqlite:///{path}", clock=Clock())
    assert len(said(caplog, "the file is sound")) == 1
    assert (await store.jobs.counts()).waiting == 60
    await store.close()
    await (await Store.open(f"sqlite:///{path}", clock=Clock())).close()

    assert len(said(caplog, "did not close")) == 1


async def test_a_file_damaged_in_a_crash_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    await crashed(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_jobs_user'").fetchone()
    connection.close()
    body = bytearray(path.read_bytes())
    body[4096 * (root - 1) + 200 : 4096 * root - 200] = os.urandom(4096 - 400)
    path.write_bytes(body)

    with pytest.raises(
        StoreUnusable, match=r"easel\.db is damaged.*`python -m bot db check`.*restore a backup"
    ) as raised:
        await Store.open(f"sqlite:///{path}")

    assert "xxxx" not in str(raised.value)
    assert path.read_bytes() == bytes(body)


async def test_a_large_file_is_not_checked_at_every_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "MOST_BYTES_CHECKED", 1000)
    await crashed(tmp_path / "easel.db")

    await (await Store.open(f"sqlite:///{tmp_path}/easel.db")).close()

    assert len(said(caplog, "too large to check at every start")) == 1


@pytest.mark.parametrize(("version", "warned"), [((3, 51, 2), 1), ((3, 51, 3), 0), ((3, 52, 0), 0)])
async def test_a_version_of_sqlite_with_the_fault_is_named(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, int, int],
    warned: int,
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)

    await (await Store.open(f"sqlite:///{tmp_path}/easel.db")).close()

    assert len(said(caplog, "Easel writes through a single one, which is safe")) == warned


def driver_id(connection: Connection) -> int:
    """Which of SQLite's connections carries this one."""
    return id(connection.connection.driver_connection)


async def test_only_one_connection_can_write(tmp_path: Path) -> None:
    """What keeps the fault away: everything is written through one connection, the reading ones refuse to write."""
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    writers = await asyncio.gather(*(store._database.write(driver_id) for _ in range(30)))
    readers = await asyncio.gather(*(store._database.read(driver_id) for _ in range(30)))
    assert len(set(writers)) == 1
    assert set(writers).isdisjoint(readers)

    with pytest.raises(StoreUnusable, match="read-only"):
        await store._database.read(lambda connection: connection.exec_driver_sql("DELETE FROM jobs"))
    await store.close()


async def test_a_close_that_cannot_be_noted_still_closes(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    await store._database.outside_transaction("PRAGMA query_only=ON")

    await store.close()

    await (await Store.open(f"sqlite:///{tmp_path}/easel.db")).close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 8 MiB; None where none can be mounted (only root may)."""
    mount = shutil.which("mount") or "/bin/false"
    command = [mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.close(descriptor)


async def test_a_disk_that_fills_up_is_told_and_writing_goes_on_when_there_is_room(
    small_disk: Path | None, tmp_path: Path
) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db", clock=Clock())
    job = await accepted(store)
    ballast = tmp_path / "ballast"
    if small_disk is not None:
        fill(ballast)
    else:  # SQLite's own bound answers with the same error
        row = await store._database.outside_transaction("PRAGMA page_count")
        assert row is not None
        await store._database.outside_transaction(f"PRAGMA max_page_count={row[0]}")

    for _ in range(3):
        answers = await asyncio.gather(
            *(store.jobs.accept(new_job(user=user, prompt="p" * 9000), WIDE, max_waiting=99) for user in range(9)),
            return_exceptions=True,
        )
        assert {type(answer) for answer in answers} == {StoreUnusable}
        assert all("the disk is full" in str(answer) for answer in answers)
    assert await store.jobs.get(job.id) == job

    ballast.unlink(missing_ok=True)
    if small_disk is None:
        await store._database.outside_transaction("PRAGMA max_page_count=1000000")
    for user in range(9):
        answer = await store.jobs.accept(new_job(user=user, prompt="p" * 9000), WIDE, max_waiting=99)
        assert isinstance(answer, Accepted)
    assert await store.check() == []
    await store.close()
