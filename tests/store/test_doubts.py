"""What is in doubt on record: due in its time, settled once, with the day's and month's balances, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.domain.job import Actor, Failure, Job, JobState
from bot.domain.money import Charge
from bot.domain.settlement import Bill, End, Others, settlement
from bot.limits import Spent
from bot.phrase import phrase
from bot.store import Store
from bot.store.doubts import Doubt
from tests.store.makers import Clock, accepted, moved, new_job, policy

WORST = 400_000
LATER = timedelta(minutes=11)


async def in_doubt(store: Store, clock: Clock, *, resubmits: int = 0) -> Job:
    """A job that failed after so many tries more, each of which fal answered with a 5xx."""
    await accepted(store, new_job(images=2, cost_usd=Decimal("0.4")))
    (job,) = await store.jobs.claim(1)
    again: object = await store.jobs.mark_submitting(job)
    for _ in range(resubmits):
        assert isinstance(again, Job)
        again = await store.jobs.resubmit(again, policy())
    assert isinstance(again, Job)
    settled = replace(settlement(End.IN_DOUBT, Bill()), told_at=clock() + LATER)
    failure = Failure("provider_error", phrase("provider_error"))
    return await moved(store, again, JobState.FAILED, failure=failure, settlement=settled)


async def spent(store: Store) -> Spent:
    assert await store.check() == []
    return (await store.usage.of(Actor(1, 70, 50))).spent


async def due(store: Store, clock: Clock) -> Doubt:
    assert await store.doubts.due(clock(), 9) == []
    (doubt,) = await store.doubts.due(clock() + LATER, 9)
    return doubt


@pytest.mark.parametrize("resubmits", [0, 1, 2])
async def test_every_try_in_doubt_counts_at_its_worst_until_it_is_settled(
    store: Store, clock: Clock, resubmits: int
) -> None:
    job = await in_doubt(store, clock, resubmits=resubmits)
    assert job.failure is not None
    assert job.failure.charge == Charge(usd_micros=(1 + resubmits) * WORST, uncertain=True)
    assert await spent(store) == Spent(*[(1 + resubmits) * WORST] * 5)

    others = Others(usd_micros=150_000, found=1)
    assert await store.doubts.settle(replace(await due(store, clock), request_ids=("r-9",)), others)

    settled = await store.jobs.get(job.id)
    assert settled is not None
    assert settled.failure is not None
    assert settled.failure.charge == Charge(usd_micros=150_000)
    assert await spent(store) == Spent(*[150_000] * 5)
    assert await store.jobs.known_requests(["r-9"]) == {"r-9"}
    assert await store.doubts.of(job.id) is None


async def test_a_doubt_is_settled_once_whoever_settles_it(store: Store, clock: Clock) -> None:
    await in_doubt(store, clock)
    doubt = await due(store, clock)
    took = await asyncio.gather(*(store.doubts.settle(doubt, Others()) for _ in range(3)))
    assert sorted(took) == [False, False, True]
    assert await spent(store) == Spent()


async def test_a_doubt_that_was_postponed_is_not_settled_by_who_read_it_before(store: Store, clock: Clock) -> None:
    await in_doubt(store, clock)
    doubt = await due(store, clock)
    await store.doubts.postpone(doubt, clock() + 2 * LATER)
    assert not await store.doubts.settle(doubt, Others())
    assert await store.doubts.due(clock() + LATER, 9) == []
    (again,) = await store.doubts.due(clock() + 2 * LATER, 9)
    await store.doubts.postpone(again, None)
    assert await store.doubts.due(clock() + 9 * LATER, 9) == []
    assert await spent(store) == Spent(*[WORST] * 5)


@pytest.mark.parametrize(("billed", "counts"), [(None, WORST), (250_000, 250_000), (0, 0)])
async def test_what_fal_took_after_the_end_counts_beside_what_was_settled(
    store: Store, clock: Clock, billed: int | None, counts: int
) -> None:
    job = await in_doubt(store, clock)
    assert not await store.doubts.add(job.id, billed, estimated=False)  # the list is yet to be read
    assert await store.doubts.settle(await due(store, clock), Others())
    assert await spent(store) == Spent()

    assert await store.doubts.add(job.id, billed, estimated=billed is None)
    assert await spent(store) == Spent(*[counts] * 5)
    assert await store.doubts.add(job.id, 5, estimated=False)
    assert await spent(store) == Spent(*[counts + 5] * 5)
    settled = await store.jobs.get(job.id)
    assert settled is not None
    assert settled.failure is not None
    assert settled.failure.charge == Charge(usd_micros=counts + 5)


async def test_what_fal_took_of_a_job_under_way_is_left_to_its_end(store: Store, clock: Clock) -> None:
    await accepted(store, new_job(images=2, cost_usd=Decimal("0.4")))
    (job,) = await store.jobs.claim(1)
    assert not await store.doubts.add(job.id, None, estimated=True)
    assert await spent(store) == Spent(*[WORST] * 5)


async def test_one_callback_settles_one_try_and_the_others_stay_in_doubt(store: Store, clock: Clock) -> None:
    job = await in_doubt(store, clock, resubmits=2)
    doubt = await store.doubts.of(job.id)
    assert doubt is not None
    assert await store.doubts.settle(doubt, Others(usd_micros=1000, found=1), one=True)
    assert await spent(store) == Spent(*[1000 + 2 * WORST] * 5)
    assert await store.doubts.settle(doubt, Others(at_worst=1, found=1), one=True)
    assert await spent(store) == Spent(*[1000 + 2 * WORST] * 5)
    assert await store.doubts.settle(await due(store, clock), Others(usd_micros=7, found=1))
    assert await spent(store) == Spent(*[7] * 5)
