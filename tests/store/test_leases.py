from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot.domain.job import Actor, Job, JobState
from bot.store import Store, lease_queries, rows
from bot.store.tables import jobs
from tests.store.makers import (
    FAILURE,
    NOON,
    REQUEST,
    WIDE,
    Clock,
    accepted,
    delivered,
    moved,
    new_job,
    result,
    running,
)

HOUR = timedelta(hours=1)


async def columns(store: Store, job_id: str, *names: str) -> tuple[object, ...]:
    """What the row says."""
    statement = select(*(jobs.c[name] for name in names)).where(jobs.c.id == job_id)
    return tuple(await store._database.read(lambda connection: connection.execute(statement).one()))


@asynccontextmanager
async def another(store: Store, url: str, clock: Clock) -> AsyncIterator[Store]:
    """A process beside the first one (PostgreSQL), or after it (SQLite)."""
    if url.startswith("sqlite"):
        await store.close()
    second = await Store.open(url, clock=clock)
    yield second
    await second.close()


async def three_under_way(store: Store) -> list[Job]:
    """One job in each of the claimed states."""
    found = []
    for user, steps in enumerate((0, 1, 2)):
        job = await accepted(store, new_job(user=user))
        (job,) = await store.jobs.claim(1, lease_s=0)
        if steps > 0:
            job = await moved(store, job, JobState.RUNNING, fal_request=REQUEST)
        if steps > 1:
            job = await moved(store, job, JobState.FINISHED, result=result())
        found.append(job)
    return found


async def test_a_process_has_a_name_of_its_own_unless_it_is_given_one(url: str) -> None:
    named = await Store.open(url, process="painter-1")
    assert named.process == "painter-1"
    await named.close()
    random = await Store.open(url)
    assert len(random.process) == 16
    await random.close()
    with pytest.raises(ValueError, match="40 characters"):
        await Store.open(url, process="x" * 41)


async def test_what_a_dead_process_left_is_adopted_under_a_new_fence(store: Store, url: str, clock: Clock) -> None:
    done = await moved(store, await running(store), JobState.FAILED, failure=FAILURE, notified=True)
    left = await three_under_way(store)
    waiting = await accepted(store)

    async with another(store, url, clock) as second:
        adopted = await second.leases.adopt(lease_s=30)

        assert [job.id for job in adopted] == [job.id for job in left]
        assert [job.state for job in adopted] == [JobState.SUBMITTING, JobState.RUNNING, JobState.FINISHED]
        assert [(job.fence, job.attempts) for job in adopted] == [(2, 1)] * 3
        assert adopted == [await second.jobs.get(job.id) for job in adopted]
        assert await second.leases.adopt() == []
        assert await second.leases.keep(30) == {job.id for job in left}
        # The process that lost them can no longer move them; the new one can.
        assert await second.jobs.transition(left[1], JobState.FAILED, failure=FAILURE) is None
        assert await second.jobs.transition(adopted[1], JobState.FINISHED, result=result()) is not None
        assert await second.jobs.get(waiting.id) == waiting
        assert await second.jobs.get(done.id) == done


async def test_ends_without_a_notification_are_adopted_too(store: Store, url: str, clock: Clock) -> None:
    untold = await moved(store, await running(store), JobState.FAILED, failure=FAILURE)
    await delivered(store)
    assert await store.leases.keep(30) == {untold.id}
    await store.leases.release()

    async with another(store, url, clock) as second:
        (adopted,) = await second.leases.adopt()
        assert (adopted.id, adopted.state, adopted.notified) == (untold.id, JobState.FAILED, False)
        assert await second.leases.adopt() == []
        assert await second.leases.keep(30) == {untold.id}

        await second.jobs.annotate(untold.id, notified=True)

        assert await columns(second, untold.id, "lease_owner", "lease_until_us") == (None, 0)
        assert await second.leases.keep(30) == frozenset()


async def test_nothing_is_leased_that_waits_or_is_over(store: Store) -> None:
    over = [await delivered(store, new_job(user=7))]
    over.append(await moved(store, await running(store, new_job(user=8)), JobState.CANCELLED, notified=True))

    await accepted(store)
    (job,) = await store.jobs.claim(1)
    assert await columns(store, job.id, "lease_owner") == (store.process,)
    await moved(store, job, JobState.QUEUED)
    assert await columns(store, job.id, "lease_owner", "lease_until_us") == (None, 0)

    for ended in over:
        assert await columns(store, ended.id, "lease_owner", "lease_until_us") == (None, 0)


async def test_leases_are_kept_at_once_for_all_and_say_what_is_held(store: Store) -> None:
    await delivered(store, new_job(user=9, guild=9))
    held = await three_under_way(store)
    untold = await moved(store, await running(store, new_job(user=8)), JobState.FAILED)
    await accepted(store)

    assert await store.leases.keep(30) == {job.id for job in (*held, untold)}


async def test_an_orphan_under_our_own_lease_is_taken_up_when_it_is_named(store: Store) -> None:
    (job, *_) = await three_under_way(store)

    assert await store.leases.adopt() == []
    (again,) = await store.leases.adopt(orphans=[job.id])

    assert (again.id, again.fence, again.attempts) == (job.id, 2, 1)


async def test_adopting_goes_page_by_page_oldest_first(store: Store, url: str, clock: Clock) -> None:
    for _ in range(7):
        await accepted(store)
    claimed = await store.jobs.claim(7, lease_s=0)

    async with another(store, url, clock) as second:
        pages = [[job.id for job in await second.leases.adopt(limit=3)] for _ in range(4)]

    ids = [job.id for job in claimed]
    assert pages == [ids[:3], ids[3:6], ids[6:], []]


# ---------------------------------------------------------------------- PostgreSQL: processes side by side


@pytest.mark.postgres
async def test_a_job_that_another_process_holds_is_no_orphan_of_ours(postgres_url: str) -> None:
    first, second = [await Store.open(postgres_url, clock=Clock()) for _ in range(2)]
    job = await running(first)

    assert await second.leases.adopt(orphans=[job.id]) == []

    assert await first.leases.keep(30) == {job.id}
    for store in (first, second):
        await store.close()


@pytest.mark.postgres
async def test_more_leases_than_fit_a_transaction_are_all_kept(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_queries, "_PAGE", 3)
    first, second = [await Store.open(postgres_url, clock=Clock()) for _ in range(2)]
    for user in range(10):
        await accepted(first, new_job(user=user))
    claimed = await first.jobs.claim(10, lease_s=-1)

    assert await first.leases.keep(30) == {job.id for job in claimed}

    assert await second.leases.adopt() == []
    for store in (first, second):
        await store.close()


@pytest.mark.postgres
async def test_a_lease_that_is_kept_is_respected_and_one_that_ran_out_is_not(postgres_url: str) -> None:
    first, second = [await Store.open(postgres_url, clock=Clock()) for _ in range(2)]
    for _ in range(2):
        await accepted(first)
    kept, lost = await first.jobs.claim(2, lease_s=60)
    assert await second.leases.adopt() == []
    statement = update(jobs).where(jobs.c.id == lost.id).values(lease_until_us=jobs.c.lease_until_us - 61_000_000)
    await first._database.write(lambda connection: connection.execute(statement))

    assert [job.id for job in await second.leases.adopt(lease_s=60)] == [lost.id]

    assert await first.leases.keep(60) == {kept.id}
    assert await first.jobs.transition(lost, JobState.RUNNING, fal_request=REQUEST) is None
    for store in (first, second):
        await store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_no_clock_of_a_machine_makes_a_lease_run_out(postgres_url: str, step: timedelta) -> None:
    first, second = Clock(), Clock(NOON + step)
    stores = [await Store.open(postgres_url, clock=clock) for clock in (first, second)]
    for user in range(3):
        await accepted(stores[0], new_job(user=user))
    claimed = await stores[0].jobs.claim(2, lease_s=30)
    await moved(stores[0], claimed[0], JobState.FAILED, failure=FAILURE)

    first.now += step
    assert await stores[1].leases.adopt() == []
    second.now += 2 * step
    assert await stores[0].leases.keep(30) == {job.id for job in claimed}
    assert await stores[1].leases.adopt() == []
    assert await stores[0].leases.adopt() == []

    for store in stores:
        await store.close()


@pytest.mark.postgres
async def test_a_clean_shutdown_lets_others_adopt_at_once(postgres_url: str) -> None:
    first, second = [await Store.open(postgres_url, clock=Clock()) for _ in range(2)]
    held = await three_under_way(first)
    await first.leases.keep(600)
    assert await second.leases.adopt() == []

    await first.leases.release()
    await first.close()

    assert {job.id for job in await second.leases.adopt()} == {job.id for job in held}
    await second.close()


@pytest.mark.postgres
async def test_processes_that_adopt_at_once_take_different_jobs(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(4)]
    await asyncio.gather(*(accepted(stores[0], new_job(user=n)) for n in range(60)))
    await stores[0].jobs.claim(60, lease_s=-1)
    await stores[0].close()

    shares = await asyncio.gather(*(store.leases.adopt(limit=9) for _ in range(4) for store in stores[1:]))

    taken = [job.id for share in shares for job in share]
    assert len(taken) == len(set(taken)) == 60
    for store in stores[1:]:
        await store.close()


@pytest.mark.postgres
async def test_whoever_ends_a_job_notifies_its_owner_and_nobody_else_does(postgres_url: str) -> None:
    first, second, third = [await Store.open(postgres_url, clock=Clock()) for _ in range(3)]
    job = await running(first)

    # Somebody pressed Cancel, and another process than the job's had to act on it.
    await moved(second, job, JobState.CANCELLED)

    assert await first.leases.keep(30) == frozenset()
    assert await second.leases.keep(30) == {job.id}
    assert await third.leases.adopt() == []
    for store in (first, second, third):
        await store.close()


# ---------------------------------------------------------------------- a submit whose answer was lost


async def test_another_attempt_is_counted_where_the_job_still_waits_for_its_answer(store: Store, clock: Clock) -> None:
    await accepted(store)
    (job,) = await store.jobs.claim(1)
    clock.tick(minutes=10)

    again = await store.jobs.resubmit(job, WIDE)

    assert isinstance(again, Job)
    assert (again.state, again.fence, again.attempts, again.possible_doubles) == (JobState.SUBMITTING, 1, 2, 1)
    assert again.submitted_at == clock()
    assert await store.jobs.get(job.id) == again
    ran = await moved(store, again, JobState.RUNNING, fal_request=REQUEST)
    assert (ran.attempts, ran.possible_doubles) == (2, 1)
    assert await store.jobs.resubmit(again, WIDE) is None
    with pytest.raises(ValueError, match="running can't be sent"):
        await store.jobs.resubmit(ran, WIDE)
    with pytest.raises(ValueError, match="running can't be sent"):
        await store.jobs.mark_submitting(ran)


async def test_that_a_job_is_being_sent_is_on_record_before_anything_leaves(store: Store, clock: Clock) -> None:
    await accepted(store)
    (job,) = await store.jobs.claim(1)
    assert job.submitted_at is None
    clock.tick(minutes=1)
    await store.jobs.annotate(job.id, cancel_requested=True)

    sending = await store.jobs.mark_submitting(job)

    assert sending is not None
    assert (sending.state, sending.fence, sending.attempts) == (JobState.SUBMITTING, 1, 1)
    assert (sending.submitted_at, sending.cancel_requested) == (clock(), True)
    assert await store.jobs.get(job.id) == sending
    assert await store.jobs.mark_submitting(job) == sending  # an answer that got lost changes nothing
    await moved(store, sending, JobState.QUEUED)
    (again,) = await store.jobs.claim(1)
    assert (again.attempts, again.submitted_at) == (2, None)
    assert await store.jobs.mark_submitting(sending) is None


async def test_another_attempt_under_an_old_fence_is_lost(store: Store) -> None:
    await accepted(store)
    (first,) = await store.jobs.claim(1)
    await moved(store, first, JobState.QUEUED)
    (second,) = await store.jobs.claim(1)

    assert await store.jobs.resubmit(first, WIDE) is None
    assert await store.jobs.get(second.id) == second


async def test_requests_on_record_are_known_also_of_deleted_jobs(store: Store) -> None:
    job = await delivered(store)
    assert await store.jobs.known_requests(["req-1", "req-2"]) == {"req-1"}

    await store.retention.delete_job(job.id)

    assert await store.jobs.known_requests({"req-1"}) == {"req-1"}
    assert await store.jobs.known_requests([]) == set()
    assert await store.jobs.known_requests([f"other-{n}" for n in range(1200)] + ["req-1"]) == {"req-1"}


# ---------------------------------------------------------------------- rows of a newer version


async def spoil(store: Store, job: Job, **values: object) -> dict[str, object]:
    """Make a row what only a newer version can read; the whole row."""

    def work(connection: object) -> dict[str, object]:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))  # type: ignore[attr-defined]
        return dict(connection.execute(select(jobs).where(jobs.c.id == job.id)).mappings().one())  # type: ignore[attr-defined]

    return await store._database.write(work)


NEWER = [
    {"state": "upscaling"},
    {"reply_json": '"by pigeon"'},
    {"reply_json": "{}"},
    {"order_json": '{"prompt": 5}'},
    {"request_json": "[1]"},
    {"result_json": '{"pictures": 3}'},
    {"role_ids": "7"},
]


@pytest.mark.parametrize("values", NEWER, ids=lambda values: next(iter(values.items())))
@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "under way"])
async def test_a_row_only_a_newer_version_understands_is_left_alone_with_one_line(  # noqa: PLR0917 - fixtures
    store: Store, url: str, clock: Clock, values: dict[str, object], waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rows._reported.clear()
    strange, plain = await accepted(store), await accepted(store)
    if not waits:
        strange, plain = await store.jobs.claim(2, lease_s=-1)
    before = await spoil(store, strange, **values)

    async with another(store, url, clock) as second:
        assert [job.id for job in await second.jobs.live()] == [plain.id]
        assert await second.jobs.get(strange.id) is None
        assert [job.id for job in await second.jobs.of_user(1, live_only=False)] == [plain.id]
        taken = await (second.jobs.claim(5) if waits else second.leases.adopt())
        assert [job.id for job in taken] == [plain.id]
        assert await second.jobs.claim(5) == []
        assert await second.jobs.annotate(strange.id, notified=True) is None
        assert await second.jobs.unnotified() == []
        assert await spoil(second, strange, told=0) == before
        await accepted(second)
        assert len(await second.jobs.claim(5)) == 1

    lines = [record for record in caplog.records if "not understood" in record.message]
    assert [(record.levelno, vars(record)["job"]) for record in lines] == [(logging.WARNING, strange.id)]


async def test_many_rows_of_a_newer_version_do_not_hide_those_behind_them(store: Store, url: str, clock: Clock) -> None:
    for _ in range(8):
        await accepted(store)
    claimed = await store.jobs.claim(8, lease_s=-1)
    for job in claimed[:6]:
        await spoil(store, job, request_json="[1]")

    async with another(store, url, clock) as second:
        assert [job.id for job in await second.leases.adopt(limit=2)] == [job.id for job in claimed[6:]]


async def test_the_day_counts_stay_exact_through_adoption(store: Store, url: str, clock: Clock) -> None:
    left = await three_under_way(store)

    async with another(store, url, clock) as second:
        for job in await second.leases.adopt():
            await moved(second, job, JobState.CANCELLED)
        assert (await second.usage.of(Actor(0, 70, 50))).guild_images_today == 0
        assert len(left) == 3
        assert await second.check() == []
