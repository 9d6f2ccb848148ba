from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from bot.errors import StoreUnusable
from bot.store import Store, retention
from bot.store.tables import balances, drafts, jobs, kv, ledger, rate_state
from bot.store.times import to_us
from bot.store.usage import counts_of
from tests.store.makers import NOON, Clock, delivered, new_job

LONG_AGO = NOON - timedelta(days=100)


def age(connection: Connection, count: int, user: int = 1) -> None:
    """Copies of the one job that is there: ended long ago, with their reservations settled on that day."""
    job = dict(connection.execute(select(jobs)).mappings().first() or {})
    del job["seq"]
    entry = dict(connection.execute(select(ledger)).mappings().first() or {})
    old_us, day = to_us(LONG_AGO), int(to_us(LONG_AGO) // 86_400_000_000)
    connection.execute(
        insert(jobs),
        [
            {**job, "id": f"old{n}", "interaction_id": 1 + n - 10**9, "user_id": user, "token": "t"}
            | {"ended_us": old_us + n, "token_expires_us": old_us}
            for n in range(count)
        ],
    )
    connection.execute(
        insert(ledger),
        [{**entry, "job_id": f"old{n}", "user_id": user, "day": day, "images": 1, "counted": 1} for n in range(count)],
    )
    each = entry["counted_usd_micros"]
    connection.execute(
        insert(balances),
        [
            {"scope": scope, "subject_id": subject, "day": since, "images": count, "usd_micros": count * each}
            for scope, subject, since in counts_of(user, entry["guild_id"], day)
        ],
    )
    connection.execute(insert(rate_state), [{"user_id": 5000 + n, "tat_us": old_us} for n in range(count)])


def counts(connection: Connection) -> list[int]:
    return [
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (jobs, ledger, balances, rate_state)
    ]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows at a time."""
    for name in ("_FIRST_ROWS", "_LEAST_ROWS", "_MOST_ROWS"):
        monkeypatch.setattr(retention, name, 10)
    monkeypatch.setattr(retention, "_PAUSE_S", 0)
    monkeypatch.setattr(retention, "_PAUSE_SHARE", 0)


class Interruption:
    """Ends the database's work at the n-th transaction from now on, as a crash does."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.left, self.seen = at, 0
        apply = store._writer.apply

        async def counted(work: Any) -> Any:
            self.seen += 1
            if self.seen > self.left:
                raise StoreUnusable("gone")
            return await apply(work)

        monkeypatch.setattr(store._writer, "apply", counted)


@pytest.mark.usefixtures("small")
async def test_old_rows_go_in_small_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await delivered(store)
    before = await store._database.read(counts)
    await store._database.write(partial(age, count=95))
    log = Interruption(store, monkeypatch, 10**6)

    assert await store.retention.purge(NOON - timedelta(days=30)) == 95

    assert await store._database.read(counts) == before
    assert log.seen > 3 * 95 / 10
    assert await store.check() == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("at", [1, 4, 12, 17, 25, 33])
async def test_a_purge_that_was_cut_off_is_sound_and_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    await delivered(store)
    before = await store._database.read(counts)
    await store._database.write(partial(age, count=95))
    with monkeypatch.context() as patch:
        Interruption(store, patch, at)
        with pytest.raises(StoreUnusable):
            await store.retention.purge(NOON - timedelta(days=30))
    assert await store.check() == []

    await store.retention.purge(NOON - timedelta(days=30))

    assert await store._database.read(counts) == before
    assert await store.check() == []


@pytest.mark.usefixtures("small")
async def test_requests_are_written_between_the_transactions_of_a_purge(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PAUSE_S", 0.005)
    await delivered(store)
    await store._database.write(partial(age, count=200))
    purge = asyncio.create_task(store.retention.purge(NOON - timedelta(days=30)))
    for _ in range(5):
        await delivered(store, new_job())
    assert not purge.done()
    await purge


@pytest.mark.usefixtures("small")
async def test_an_erasure_of_very_many_jobs_that_was_cut_off_is_ended_by_the_next_purge(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await delivered(store, new_job(user=2))
    await store._database.write(partial(age, count=45, user=1))
    with monkeypatch.context() as patch:
        Interruption(store, patch, 2)
        with pytest.raises(StoreUnusable):
            await store.retention.erase_user(1)
    kept = await delivered(store, new_job(user=1))  # asked for after the erasure

    await store.retention.purge(LONG_AGO - timedelta(days=1))

    assert [job.id for job in await store.jobs.of_user(1, live_only=False)] == [kept.id]
    assert [job.id for job in await store.jobs.of_user(2, live_only=False)] == [other.id]
    assert await store._database.read(lambda one: one.execute(select(kv).where(kv.c.key.like("erasing%"))).all()) == []


@pytest.mark.usefixtures("small")
async def test_an_erasure_of_very_many_jobs_says_how_many(store: Store) -> None:
    await delivered(store, new_job(user=2))
    await store._database.write(partial(age, count=45, user=1))
    assert (await store.retention.erase_user(1)).jobs == 45
    assert await store.jobs.of_user(1, live_only=False) == []
    assert await store.check() == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # PostgreSQL rewrites beside other work
async def test_a_large_file_is_rewritten_only_when_nothing_else_is_written(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_MOST_BYTES_AT_ONCE", 0)
    monkeypatch.setattr(retention, "_QUIET_S", 0.3)
    await delivered(store)
    await store._database.write(partial(age, count=5))
    purge = asyncio.create_task(store.retention.purge(NOON - timedelta(days=30)))
    for _ in range(8):
        await asyncio.sleep(0.1)
        await store.kv.set("busy", "1")
    assert await store.kv.get(retention.SCRUB_DUE) == "1"
    await purge
    assert await store.kv.get(retention.SCRUB_DUE) == "0"


async def test_expired_drafts_go_some_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_FIRST_ROWS", 3)
    row = {"user_id": 1, "channel_id": 2, "kind": "k", "payload_json": "{}", "created_us": 0, "expires_us": 1}

    def make(connection: Connection) -> None:
        connection.execute(insert(drafts), [{**row, "id": f"d{n}"} for n in range(8)])

    await store._database.write(make)
    await store.retention.purge(LONG_AGO)
    left = await store._database.read(lambda one: one.execute(select(func.count()).select_from(drafts)).scalar_one())
    assert left == 0
