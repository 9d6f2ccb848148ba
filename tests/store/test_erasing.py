from __future__ import annotations

import asyncio
import os
import random
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from bot.domain.job import Actor, JobState
from bot.store import Duplicate, Erased, Store
from bot.store.tables import balances, flow_users, flows, jobs, ledger, rate_state
from tests.store.makers import FAILURE, NOON, WIDE, Clock, accepted, delivered, moved, new_job, result, running

HERE = Actor(1, 70, 50)


def bytes_on_disk(folder: Path) -> bytes:
    """Every byte of the database, its log and whatever lies beside it."""
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


def rows(connection: Connection) -> list[int]:
    return [
        connection.execute(select(func.count()).select_from(t)).scalar_one()
        for t in (jobs, ledger, balances, rate_state)
    ]


async def test_everything_of_a_person_goes_and_the_servers_count_stays(store: Store) -> None:
    await delivered(store, new_job(images=2))
    await moved(store, await running(store), JobState.FAILED, failure=FAILURE)
    await delivered(store, new_job(user=2, images=3))
    await store.preferences.set_user_model(1, "fal-ai/qwen-image")

    erased = await store.retention.erase_user(1)

    assert erased == Erased(jobs=2, live_jobs=0, other=1)
    assert await store.jobs.of_user(1, live_only=False) == []
    assert (await store.preferences.get(1, 50)).user_model is None
    usage = await store.usage.of(HERE)
    # What counts today goes on counting: erasing is no way to paint without limit.
    assert usage.tat is not None
    assert (usage.images_today, usage.guild_images_today) == (2, 5)
    assert len(await store.jobs.of_user(2, live_only=False)) == 1
    assert await store.check() == []
    assert await store.retention.erase_user(1) == Erased(0, 0, 0)


async def test_the_name_of_an_erased_person_leaves_the_accounts_once_the_day_is_over(
    store: Store, clock: Clock
) -> None:
    def named(connection: Connection) -> tuple[int, int]:
        theirs = select(func.count()).select_from(ledger).where(ledger.c.user_id == 1)
        their_balances = (
            select(func.count())
            .select_from(balances)
            .where(balances.c.scope.in_(("u", "f")), balances.c.subject_id == 1)
        )
        return connection.execute(theirs).scalar_one(), connection.execute(their_balances).scalar_one()

    await delivered(store, new_job(images=2))
    await delivered(store, new_job(user=2))
    await store.retention.erase_user(1)
    await store.retention.purge(clock() - timedelta(days=90))
    assert await store._database.read(named) == (1, 1)  # it still counts

    clock.tick(hours=14)
    await delivered(store, new_job())  # is here again, and stays
    under_way = await running(store)
    await store.retention.purge(clock() - timedelta(days=90))
    assert await store._database.read(named) == (3, 2)
    await moved(store, under_way, JobState.FAILED, failure=FAILURE)
    await store.retention.purge(clock() - timedelta(days=90))

    assert await store._database.read(named) == (2, 1)
    assert await store._database.read(lambda connection: connection.execute(_SUM).scalar_one()) == 4
    assert await store.check() == []
    assert await store.kv.get("forgetting:1") is None


async def test_erasing_while_the_clock_is_a_day_ahead_gives_no_budget_back(store: Store, clock: Clock) -> None:
    await delivered(store, new_job(images=2))
    clock.tick(days=1)
    await store.retention.erase_user(1)
    await store.retention.purge(clock() - timedelta(days=90))
    clock.tick(days=-1)

    usage = await store.usage.of(HERE)

    assert (usage.images_today, usage.spent.person_day) == (2, 200_000)
    clock.tick(days=2, hours=2)
    await store.retention.purge(clock() - timedelta(days=90))
    clock.tick(days=-2, hours=-2)
    assert (await store.usage.of(HERE)).images_today == 0
    assert await store.check() == []


_SUM = select(func.sum(ledger.c.counted))


async def test_a_persons_state_in_the_queue_goes_too(store: Store) -> None:
    await delivered(store, new_job())
    await delivered(store, new_job(guild=None))
    theirs = (
        select(func.count()).select_from(flow_users).where(flow_users.c.user_id == 1),
        select(func.count()).select_from(flows).where(flows.c.flow_id == -1),
    )

    def count(connection: Connection) -> list[int]:
        return [connection.execute(statement).scalar_one() for statement in theirs]

    assert await store._database.read(count) == [2, 1]

    await store.retention.erase_user(1)

    assert await store._database.read(count) == [0, 0]


async def test_a_job_under_way_stays_until_it_was_cancelled(store: Store) -> None:
    await delivered(store)
    job = await running(store)

    assert await store.retention.erase_user(1) == Erased(jobs=1, live_jobs=1, other=0)
    assert await store.jobs.live() == [job]
    assert await store.check() == []

    await moved(store, job, JobState.CANCELLED)
    assert (await store.retention.erase_user(1)).jobs == 1
    assert await store.check() == []


async def test_no_byte_of_an_erased_prompt_or_token_is_left_in_the_files(tmp_path: Path) -> None:
    """Rows grow, move between pages and go, in no order, as they do in life."""
    chance = random.Random(4)
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db", clock=Clock())
    for n in range(12):
        batch = [
            new_job(user=user, prompt=f"PROMPT-OF-{user} " + "x" * chance.randrange(20, 900)) for user in [1, 2, 3] * 12
        ]
        await asyncio.gather(*(accepted(store, new) for new in batch))
        claimed = await store.jobs.claim(len(batch))
        chance.shuffle(claimed)
        for job in claimed:
            started = await moved(store, job, JobState.RUNNING)
            finished = await moved(store, started, JobState.FINISHED, result=result(chance.randrange(1, 9)))
            await moved(store, finished, JobState.DELIVERED)
        if n == 6:
            await store.retention.erase_user(3)
    assert b"PROMPT-OF-1" in bytes_on_disk(tmp_path)

    erased = await store.retention.erase_user(1)

    left = bytes_on_disk(tmp_path)
    assert erased.jobs == 144
    assert b"PROMPT-OF-2" in left
    assert b"PROMPT-OF-1" not in left
    assert b"interaction-token" not in left
    await store.close()


async def test_a_large_file_is_scrubbed_at_the_next_purge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.retention._MOST_BYTES_AT_ONCE", 0)
    monkeypatch.setattr("bot.store.retention._QUIET_S", 0.05)
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db", clock=Clock())
    await delivered(store, new_job(prompt="PROMPT-TO-GO"))
    await store.retention.erase_user(1)
    assert await store.kv.get("scrub_due") == "1"

    await store.retention.purge(NOON - timedelta(days=1))

    assert await store.kv.get("scrub_due") == "0"
    assert b"PROMPT-TO-GO" not in bytes_on_disk(tmp_path)
    await store.close()


async def test_a_reader_does_not_keep_erased_content_alive(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db", clock=Clock())
    await delivered(store, new_job(prompt="PROMPT-TO-GO"))
    await asyncio.gather(store.retention.erase_user(1), *(store.jobs.live() for _ in range(50)))

    assert b"PROMPT-TO-GO" not in bytes_on_disk(tmp_path)
    assert os.stat(tmp_path / "easel.db-wal").st_size == 0
    await store.close()


async def test_the_content_of_one_job_can_be_deleted(store: Store, url: str, tmp_path: Path) -> None:
    job = await delivered(store, new_job(prompt="PROMPT-TO-GO", images=2, interaction=555))
    other = await delivered(store)

    assert await store.retention.delete_job(job.id)
    assert not await store.retention.delete_job(job.id)

    assert await store.jobs.get(job.id) is None
    assert await store.jobs.by_interaction(555) is None
    assert await store.jobs.of_user(1, live_only=False) == [other]
    assert (await store.usage.of(HERE)).images_today == 3
    assert await store.check() == []
    if url.startswith("sqlite"):
        assert b"PROMPT-TO-GO" not in bytes_on_disk(tmp_path)


async def test_a_replay_of_a_deleted_job_still_starts_nothing(store: Store) -> None:
    job = await delivered(store, new_job(interaction=555))
    await store.retention.delete_job(job.id)

    answer = await store.jobs.accept(new_job(interaction=555), WIDE, max_waiting=9)

    assert isinstance(answer, Duplicate)
    assert (answer.job.id, answer.job.request.prompt) == (job.id, "")


async def test_a_job_under_way_is_not_deleted(store: Store) -> None:
    job = await running(store)

    assert not await store.retention.delete_job(job.id)
    assert not await store.retention.delete_job("nosuchjob01")
    assert await store.jobs.get(job.id) == job


async def test_retention_removes_what_ended_long_ago_and_nothing_else(store: Store, clock: Clock) -> None:
    old = await delivered(store)
    slow = await running(store, new_job(user=9))
    clock.tick(days=91)
    recent = await delivered(store, new_job(user=2))

    assert await store.retention.purge(clock() - timedelta(days=90)) == 1

    assert await store.jobs.get(old.id) is None
    assert [job.id for job in await store.jobs.live()] == [slow.id]
    assert await store.jobs.of_user(2, live_only=False) == [recent]
    assert await store.check() == []

    await moved(store, slow, JobState.FAILED)
    clock.tick(days=91)
    assert await store.retention.purge(clock() - timedelta(days=90)) == 2
    # Accounts older than any rule reaches back are gone with their jobs.
    assert await store._database.read(rows) == [0, 0, 0, 0]
    assert await store.check() == []
