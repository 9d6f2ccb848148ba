from __future__ import annotations

import asyncio

import pytest

from bot.domain.job import JobState
from bot.store import Accepted, Store
from tests.store.conftest import OpenStore
from tests.store.makers import Clock, accepted, moved, new_job, policy


async def claimed_users(store: Store, count: int) -> list[int]:
    """Who is next, one claim at a time."""
    users = []
    for _ in range(count):
        (job,) = await store.jobs.claim(1)
        users.append(job.actor.user_id)
    return users


async def test_jobs_of_one_person_are_claimed_in_the_order_of_asking(store: Store) -> None:
    asked = [(await accepted(store)).id for _ in range(5)]

    assert [job.id for job in await store.jobs.claim(3)] == asked[:3]
    assert [job.id for job in await store.jobs.claim(9)] == asked[3:]
    assert await store.jobs.claim(1) == []


async def test_newcomers_come_before_somebody_who_filled_the_queue(store: Store) -> None:
    await asyncio.gather(*(accepted(store, new_job(user=1)) for _ in range(100)))
    await claimed_users(store, 3)
    for user in range(10, 20):
        await accepted(store, new_job(user=user))

    order = await claimed_users(store, 14)

    assert [user for user in order if user != 1] == list(range(10, 20))
    # At most one of theirs comes in between.
    assert order.index(19) <= 10
    assert order[11:] == [1, 1, 1]


async def test_two_busy_people_take_turns(store: Store) -> None:
    for user in (1, 2):
        await asyncio.gather(*(accepted(store, new_job(user=user)) for _ in range(6)))

    assert await claimed_users(store, 12) == [1, 2] * 6


async def test_a_job_of_many_pictures_is_served_once_for_as_many(store: Store) -> None:
    for _ in range(3):
        await accepted(store, new_job(user=1, images=4))
    for _ in range(12):
        await accepted(store, new_job(user=2))

    order = await claimed_users(store, 10)

    assert order.count(1) == 2
    assert order.count(2) == 8


async def test_a_heavier_weight_gets_a_larger_share(store: Store) -> None:
    for _ in range(12):
        await accepted(store, new_job(user=1), policy(weight=3))
        await accepted(store, new_job(user=2), policy(weight=1))

    assert (await claimed_users(store, 12)).count(1) == 9


async def test_the_order_outlives_a_restart(open_store: OpenStore) -> None:
    store = await open_store()
    for _ in range(10):
        await accepted(store, new_job(user=1))
    assert await claimed_users(store, 4) == [1] * 4
    await store.close()

    again = await open_store()
    await accepted(again, new_job(user=2))
    await accepted(again, new_job(user=1))

    assert await claimed_users(again, 8) == [2, 1, 1, 1, 1, 1, 1, 1]


async def test_jobs_that_were_never_claimed_do_not_push_their_owner_back(store: Store) -> None:
    jobs = [await accepted(store, new_job(user=1)) for _ in range(20)]
    for job in jobs:
        await moved(store, job, JobState.CANCELLED)
    await accepted(store, new_job(user=1))
    await accepted(store, new_job(user=2))

    assert await claimed_users(store, 2) == [1, 2]


async def test_a_job_put_back_keeps_its_position(store: Store) -> None:
    first = await accepted(store, new_job(user=1))
    await accepted(store, new_job(user=2))
    (claimed,) = await store.jobs.claim(1)
    assert claimed.id == first.id

    await moved(store, claimed, JobState.QUEUED)

    (again,) = await store.jobs.claim(1)
    assert (again.id, again.fence, again.attempts) == (first.id, 2, 2)


async def test_positions_say_exactly_who_is_claimed_before(store: Store) -> None:
    ids = [(await accepted(store, new_job(user=n * n % 7, images=1 + n % 3))).id for n in range(30)]

    positions = await store.positions.of(ids)

    order = [job.id for job in await store.jobs.claim(30)]
    assert positions == {job_id: place for place, job_id in enumerate(order)}
    assert await store.positions.of(ids) == {}
    assert await store.positions.of([]) == {}


async def test_positions_are_known_for_more_jobs_than_fit_one_statement(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.positions._MOST_IDS", 3)
    monkeypatch.setattr("bot.store.positions.EXACT_POSITIONS", 2)
    ids = [(await accepted(store)).id for _ in range(8)]

    assert await store.positions.of(ids[1:]) == {job_id: n for n, job_id in enumerate(ids) if n}


async def test_everybody_accepted_together_gets_their_own_position(store: Store) -> None:
    answers = await asyncio.gather(*(store.jobs.accept(new_job(user=n), policy(), max_waiting=99) for n in range(9)))

    assert [getattr(answer, "ahead", None) for answer in answers] == list(range(9))


async def test_claims_at_once_take_different_jobs(store: Store) -> None:
    for n in range(10):
        await accepted(store, new_job(user=n))

    shares = await asyncio.gather(*(store.jobs.claim(3) for _ in range(5)), store.jobs.claim(0))

    assert [len(share) for share in shares] == [3, 3, 3, 1, 0, 0]
    assert len({job.id for share in shares for job in share}) == 10


@pytest.mark.postgres
async def test_processes_that_claim_at_once_take_different_jobs(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(3)]
    await asyncio.gather(*(accepted(stores[0], new_job(user=n)) for n in range(60)))

    shares = await asyncio.gather(*(store.jobs.claim(4) for _ in range(8) for store in stores))
    rest = await stores[0].jobs.claim(60)

    taken = [job.id for share in [*shares, rest] for job in share]
    assert len(taken) == len(set(taken)) == 60
    for store in stores:
        await store.close()


async def test_in_a_rush_each_newcomer_is_told_how_many_have_come_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.accepting.EXACT_POSITIONS", 10)
    monkeypatch.setattr("bot.store.positions.EXACT_POSITIONS", 10)
    told, ids = [], []
    for user in range(60):
        answer = await store.jobs.accept(new_job(user=user, guild=50), policy(), max_waiting=99)
        assert isinstance(answer, Accepted)
        told.append(answer.ahead)
        ids.append(answer.job.id)

    assert told == list(range(60))
    assert list((await store.positions.of(ids)).values()) == list(range(60))


async def test_in_a_rush_somebody_who_has_asked_before_waits_for_everybodys_earlier_ones(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.accepting.EXACT_POSITIONS", 10)
    for user in range(40):
        await accepted(store, new_job(user=user, guild=50))
    second = await store.jobs.accept(new_job(user=3, guild=50), policy(), max_waiting=99)
    newcomer = await store.jobs.accept(new_job(user=77, guild=51), policy(), max_waiting=99)

    assert isinstance(second, Accepted)
    assert isinstance(newcomer, Accepted)
    assert 38 <= second.ahead <= 40
    assert newcomer.ahead <= 1
