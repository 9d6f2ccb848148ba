from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from bot.domain.job import JobState
from bot.errors import StoreUnusable
from bot.store import Accepted, Store
from bot.store.kv import read_kv, write_kv
from tests.store.makers import WIDE, accepted, new_job

Work = tuple[str, str]


async def commits_during(store: Store, *calls: Any) -> int:
    """How many transactions it took to serve all calls made at once."""
    commits = 0

    def count(_connection: Connection) -> None:
        nonlocal commits
        commits += 1

    engine = store._database._writing.engine
    event.listen(engine, "commit", count)
    await asyncio.gather(*calls)
    event.remove(engine, "commit", count)
    return commits


async def test_calls_made_at_once_share_a_transaction(store: Store) -> None:
    accepts = [store.jobs.accept(new_job(user=n), WIDE, max_waiting=999) for n in range(100)]
    assert await commits_during(store, *accepts) <= 2

    jobs = await store.jobs.claim(100)
    moves = [store.jobs.transition(job, JobState.RUNNING) for job in jobs]
    notes = [store.jobs.annotate(job.id, message_id=n) for n, job in enumerate(jobs)]
    assert await commits_during(store, *moves, *notes) <= 3


async def test_replays_that_come_at_once_cost_no_extra_transaction(store: Store) -> None:
    replays = [store.jobs.accept(new_job(interaction=7), WIDE, max_waiting=999) for _ in range(30)]

    assert await commits_during(store, *replays) <= 2


async def test_nobody_waits_for_a_writer_that_is_torn_down(file_store: Store) -> None:
    calls = [asyncio.create_task(file_store.kv.set(f"k{n}", "v")) for n in range(300)]
    task = file_store._writer._task
    assert task is not None
    await asyncio.sleep(0)

    task.cancel()

    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(answer, StoreUnusable) for answer in answers)
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(StoreUnusable, match="closed"):
        await file_store.kv.set("a", "b")


async def test_on_sqlite_calls_of_different_kinds_share_a_transaction_too(file_store: Store) -> None:
    job = await accepted(file_store)

    calls = [
        file_store.jobs.accept(new_job(), WIDE, max_waiting=9),
        file_store.jobs.transition(job, JobState.CANCELLED),
        file_store.kv.set("a", "b"),
        file_store.jobs.claim(1),
    ]
    assert await commits_during(file_store, *calls) <= 2


async def test_a_call_that_breaks_does_not_break_those_of_another_kind(file_store: Store) -> None:
    job = await accepted(file_store)
    broken = new_job(options={"seed": object()})

    answers = await asyncio.gather(
        file_store.jobs.transition(job, JobState.CANCELLED),
        file_store.jobs.accept(broken, WIDE, max_waiting=9),
        file_store.kv.set("a", "b"),
        return_exceptions=True,
    )

    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert await file_store.jobs.live() == []
    assert await file_store.kv.get("a") == "b"


async def test_no_transaction_grows_without_bound(store: Store) -> None:
    accepts = [store.jobs.accept(new_job(user=n), WIDE, max_waiting=9999) for n in range(300)]

    assert 3 <= await commits_during(store, *accepts) <= 4


async def test_an_answer_is_only_given_once_the_write_is_durable(store: Store) -> None:
    seen: list[tuple[str, str | None]] = []

    async def write(n: int) -> None:
        await store.kv.set(f"k{n}", "v")
        seen.append((f"k{n}", await store._database.read(lambda connection: read_kv(connection, f"k{n}"))))

    await asyncio.gather(*(write(n) for n in range(20)))

    assert sorted(seen) == sorted((f"k{n}", "v") for n in range(20))


async def test_what_waits_is_written_before_the_store_closes(url: str) -> None:
    store = await Store.open(url)
    calls = [asyncio.create_task(store.kv.set(f"k{n}", "v")) for n in range(5)]
    await asyncio.sleep(0)

    await store.close()
    await asyncio.gather(*calls)

    again = await Store.open(url)
    assert [await again.kv.get(f"k{n}") for n in range(5)] == ["v"] * 5
    await again.close()


async def test_a_batch_that_breaks_is_repeated_member_by_member(store: Store) -> None:
    def batch(connection: Connection, works: Sequence[Work]) -> list[str]:
        for key, value in works:
            write_kv(connection, key, value)
            if value == "broken":
                raise RuntimeError("on purpose")
        return [key for key, _ in works]

    works = [("a", "1"), ("b", "broken"), ("c", "3")]
    answers = await asyncio.gather(*(store._writer.run(batch, work) for work in works), return_exceptions=True)

    assert [str(answer) for answer in answers] == ["a", "on purpose", "c"]
    assert [await store.kv.get(key) for key in "abc"] == ["1", None, "3"]


@pytest.mark.postgres
async def test_a_lost_connection_is_replaced_and_the_work_repeated(postgres_url: str) -> None:
    store = await Store.open(postgres_url)
    other = await Store.open(postgres_url)
    hang_up = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    await store.jobs.counts()

    await other._database.write(lambda connection: connection.execute(text(hang_up)))

    assert (await accepted(store)).state is JobState.QUEUED
    await other._database.write(lambda connection: connection.execute(text(hang_up)))
    assert (await store.jobs.counts()).waiting == 1
    await other.close()
    await store.close()


# ---------------------------------------------------------------------- SQLite's troubles at run time


@pytest.fixture
async def file_store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    yield store
    await store.close()


async def pragma(store: Store, setting: str) -> Any:
    return await store._database.outside_transaction(f"PRAGMA {setting}")


async def test_a_full_disk_is_told_and_writing_goes_on_when_there_is_room_again(file_store: Store) -> None:
    job = await accepted(file_store)
    (pages,) = await pragma(file_store, "page_count")
    await pragma(file_store, f"max_page_count={pages}")
    large = [new_job(user=n, prompt="p" * 3000) for n in range(20)]

    answers = await asyncio.gather(
        *(file_store.jobs.accept(new, WIDE, max_waiting=99) for new in large), return_exceptions=True
    )
    full = [answer for answer in answers if isinstance(answer, StoreUnusable)]
    assert len(full) == 20
    assert "the disk is full" in str(full[0])
    assert "pppp" not in str(full[0])
    assert await file_store.jobs.live() == [job]

    await pragma(file_store, "max_page_count=1000000")
    answers = await asyncio.gather(*(file_store.jobs.accept(new, WIDE, max_waiting=99) for new in large))
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert await file_store.check() == []


async def test_a_file_locked_by_another_program_is_told_and_writing_goes_on_afterwards(
    file_store: Store, tmp_path: Path
) -> None:
    await pragma(file_store, "busy_timeout=20")
    intruder = sqlite3.connect(tmp_path / "easel.db", isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnusable, match="locked by another program"):
        await file_store.kv.set("a", "1")
    assert await file_store.kv.get("a") is None

    intruder.execute("ROLLBACK")
    intruder.close()
    await file_store.kv.set("a", "2")
    assert await file_store.kv.get("a") == "2"


async def test_a_job_that_a_locked_database_does_not_take_in_time_is_not_taken_later_either(
    file_store: Store, tmp_path: Path
) -> None:
    intruder = sqlite3.connect(tmp_path / "easel.db", isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    hasty, patient = new_job(), new_job()
    waiting = asyncio.create_task(file_store.jobs.accept(patient, WIDE, max_waiting=99))

    with pytest.raises(StoreUnusable, match="in time"):
        await file_store.jobs.accept(hasty, WIDE, max_waiting=99, within_s=0.05)
    intruder.execute("ROLLBACK")
    intruder.close()

    assert isinstance(await waiting, Accepted)
    await file_store.kv.set("a", "1")
    assert await file_store.jobs.get(hasty.id) is None


@pytest.mark.timing
async def test_a_transaction_that_has_just_begun_is_not_undone_for_a_caller_whose_time_is_up(
    file_store: Store, tmp_path: Path
) -> None:
    tries: list[str] = []
    go = threading.Event()

    def slow(connection: Connection, works: Sequence[str]) -> list[str]:
        tries.extend(works)  # in the writer's own thread
        if works == ["first"]:
            go.wait(20)
        else:
            time.sleep(0.4)
        write_kv(connection, works[0], "written")
        return list(works)

    first = asyncio.create_task(file_store._writer.run(slow, "first"))
    while not tries:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(file_store._writer.run(slow, "second", within_s=2.0))
    await asyncio.sleep(1.75)
    go.set()  # the second one begins shortly before its time is up
    assert await second == "second"
    assert await first == "first"
    assert tries == ["first", "second"]
    assert await file_store.kv.get("second") == "written"


async def test_writes_that_fail_leave_no_transaction_open(file_store: Store, tmp_path: Path) -> None:
    def breaks(connection: Connection, works: Sequence[str]) -> list[str]:
        write_kv(connection, "a", "half")
        raise RuntimeError(works[0])

    with pytest.raises(RuntimeError):
        await file_store._writer.run(breaks, "on purpose")

    other = sqlite3.connect(tmp_path / "easel.db", isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    assert other.execute("SELECT count(*) FROM kv WHERE key = 'a'").fetchone() == (0,)
    other.close()
