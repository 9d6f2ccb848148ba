from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.domain.job import Actor, JobState
from bot.errors import LimitReached, Overloaded
from bot.limits import Policy, Refused
from bot.store import Accepted, Duplicate, Store
from tests.english import english
from tests.store.conftest import OpenStore
from tests.store.makers import NOON, WIDE, Clock, accepted, delivered, moved, new_job, policy, running

pytestmark = pytest.mark.filterwarnings("error")


async def test_an_accepted_job_is_read_back_whole(store: Store) -> None:
    new = new_job(prompt="ünïcode 🎨 \ud83c half an emoji", images=2)

    answer = await store.jobs.accept(new, WIDE, max_waiting=10)

    assert isinstance(answer, Accepted)
    assert answer.ahead == 0
    job = answer.job
    assert (job.state, job.fence, job.attempts, job.created_at) == (JobState.QUEUED, 0, 0, NOON)
    assert (job.actor, job.reply, job.request, job.parent_id) == (new.actor, new.reply, new.request, new.parent_id)
    assert await store.jobs.get(job.id) == job
    assert await store.jobs.by_interaction(new.reply.interaction_id) == job
    assert await store.jobs.live() == [job]


async def test_acceptance_outlives_a_restart(open_store: OpenStore) -> None:
    store = await open_store()
    job = await accepted(store)
    before = await store.usage.of(job.actor)
    await store.close()

    again = await open_store()

    assert await again.jobs.get(job.id) == job
    assert await again.usage.of(job.actor) == before


async def test_a_replayed_interaction_starts_nothing(store: Store) -> None:
    jobs = [new_job(interaction=77) for _ in range(12)]

    answers = await asyncio.gather(*(store.jobs.accept(new, WIDE, max_waiting=99) for new in jobs))
    late = await store.jobs.accept(new_job(interaction=77), WIDE, max_waiting=99)

    winners = [answer.job for answer in answers if isinstance(answer, Accepted)]
    assert len(winners) == 1
    assert [answer.job for answer in [*answers, late] if isinstance(answer, Duplicate)] == winners * 12
    assert (await store.usage.of(Actor(1, 70, 50))).images_today == 1


async def test_an_interaction_of_a_job_that_is_over_is_still_a_duplicate(store: Store) -> None:
    job = await delivered(store, new_job(interaction=78))

    answer = await store.jobs.accept(new_job(interaction=78), WIDE, max_waiting=99)

    assert answer == Duplicate(job)


@pytest.mark.parametrize(
    ("limits", "admitted", "rule"),
    [
        (policy(burst_images=7), 7, "rate"),
        (policy(images_per_day=5), 5, "user_day"),
        (policy(guild_images_per_day=4), 4, "guild_day"),
        (policy(concurrent_jobs=3), 3, "concurrent"),
    ],
)
async def test_many_at_once_are_admitted_exactly_up_to_the_bound(
    store: Store, limits: Policy, admitted: int, rule: str
) -> None:
    answers = await asyncio.gather(*(store.jobs.accept(new_job(), limits, max_waiting=999) for _ in range(40)))

    refusals = [answer for answer in answers if isinstance(answer, Refused)]
    assert sum(isinstance(answer, Accepted) for answer in answers) == admitted
    assert {refused.rule for refused in refusals} == {rule}
    assert len(refusals) == 40 - admitted
    assert len(await store.jobs.live()) == admitted


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("limits", "admitted"),
    [
        (policy(burst_images=7), 7),
        (policy(images_per_day=5), 5),
        (policy(guild_images_per_day=4), 4),
        (policy(concurrent_jobs=3), 3),
    ],
)
async def test_processes_that_share_a_database_admit_exactly_up_to_the_bound_together(
    postgres_url: str, limits: Policy, admitted: int
) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(3)]
    # One person for each process where only the server's count is shared. Everybody is known: rows wait to be locked.
    people = 3 if limits.guild_images_per_day == 4 else 1
    for user in range(people):
        await delivered(stores[0], new_job(user=user), limits)

    answers = await asyncio.gather(
        *(stores[n % 3].jobs.accept(new_job(user=n % people), limits, max_waiting=999) for n in range(30))
    )

    spent = 0 if limits.concurrent_jobs == 3 else people
    assert sum(isinstance(answer, Accepted) for answer in answers) == admitted - spent
    for store in stores:
        await store.close()


@pytest.mark.postgres
async def test_an_interaction_that_two_processes_see_starts_one_job(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(3)]

    answers = await asyncio.gather(
        *(stores[n % 3].jobs.accept(new_job(interaction=5), WIDE, max_waiting=999) for n in range(12))
    )

    assert sum(isinstance(answer, Accepted) for answer in answers) == 1
    assert sum(isinstance(answer, Duplicate) for answer in answers) == 11
    for store in stores:
        await store.close()


async def test_a_refusal_leaves_nothing_behind(store: Store) -> None:
    limits = policy(burst_images=2)
    await accepted(store, new_job(images=2), limits)
    before = await store.usage.of(Actor(1, 70, 50))

    answer = await store.jobs.accept(new_job(), limits, max_waiting=99)

    assert isinstance(answer, Refused)
    assert isinstance(answer.error(), LimitReached)
    assert await store.usage.of(Actor(1, 70, 50)) == before
    assert (await store.jobs.counts()).waiting == 1
    assert await store.check() == []


async def test_the_refused_moment_is_the_first_that_admits(store: Store, clock: Clock) -> None:
    limits = policy(interval=timedelta(seconds=90), burst_images=3)
    await accepted(store, new_job(images=3), limits)
    refused = await store.jobs.accept(new_job(images=2), limits, max_waiting=99)
    assert isinstance(refused, Refused)
    assert refused.retry_at is not None

    clock.now = refused.retry_at - timedelta(microseconds=1)
    assert isinstance(await store.jobs.accept(new_job(images=2), limits, max_waiting=99), Refused)
    clock.now = refused.retry_at
    assert isinstance(await store.jobs.accept(new_job(images=2), limits, max_waiting=99), Accepted)


async def test_a_new_day_brings_a_new_count(store: Store, clock: Clock) -> None:
    limits = policy(images_per_day=2, guild_images_per_day=3)
    await accepted(store, new_job(images=2), limits)
    assert isinstance(await store.jobs.accept(new_job(), limits, max_waiting=99), Refused)

    clock.tick(hours=12)

    assert isinstance(await store.jobs.accept(new_job(), limits, max_waiting=99), Accepted)


async def test_what_counts_for_a_person_in_one_server_counts_in_the_other_and_in_messages(store: Store) -> None:
    await accepted(store, new_job(guild=50, images=2))
    await accepted(store, new_job(guild=None, images=3))
    await accepted(store, new_job(user=2, guild=50, images=4))

    here, there, alone = [await store.usage.of(Actor(1, 70, guild)) for guild in (50, 51, None)]

    assert [usage.images_today for usage in (here, there, alone)] == [5, 5, 5]
    assert [usage.guild_images_today for usage in (here, there, alone)] == [6, 0, 0]
    assert [usage.active_jobs for usage in (here, there, alone)] == [2, 2, 2]
    assert [usage.in_guild for usage in (here, there, alone)] == [True, True, False]


async def test_lifted_limits_let_everything_in_and_still_count(store: Store) -> None:
    lifted = policy(enabled=False, burst_images=1, images_per_day=0, concurrent_jobs=1)

    for _ in range(3):
        await accepted(store, new_job(images=4), lifted)

    usage = await store.usage.of(Actor(1, 70, 50))
    assert (usage.tat, usage.images_today, usage.active_jobs) == (None, 12, 3)


async def test_too_many_waiting_jobs_are_refused_with_their_number(store: Store) -> None:
    answers: Any = await asyncio.gather(
        *(store.jobs.accept(new_job(user=n), WIDE, max_waiting=3) for n in range(8)), return_exceptions=True
    )

    assert sum(isinstance(answer, Accepted) for answer in answers) == 3
    refusals = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert len(refusals) == 5
    assert "3 requests are already waiting" in english(refusals[0])
    assert "You still have 1,000,000 pictures today" in english(refusals[0])


async def test_a_job_that_is_claimed_no_longer_waits(store: Store) -> None:
    await running(store)

    assert isinstance(await store.jobs.accept(new_job(), WIDE, max_waiting=1), Accepted)


async def test_a_taken_job_id_is_refused_alone(store: Store) -> None:
    first = new_job()

    answers: Any = await asyncio.gather(
        store.jobs.accept(first, WIDE, max_waiting=9),
        store.jobs.accept(new_job(job_id=first.id), WIDE, max_waiting=9),
        store.jobs.accept(new_job(), WIDE, max_waiting=9),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [Accepted, ValueError, Accepted]


async def test_a_request_that_cannot_be_stored_fails_alone(store: Store) -> None:
    broken = new_job(options={"seed": object()})

    answers: Any = await asyncio.gather(
        store.jobs.accept(new_job(), WIDE, max_waiting=9),
        store.jobs.accept(broken, WIDE, max_waiting=9),
        store.jobs.accept(new_job(), WIDE, max_waiting=9),
        return_exceptions=True,
    )

    assert [isinstance(answer, Accepted) for answer in answers] == [True, False, True]
    assert await store.jobs.get(broken.id) is None
    assert (await store.usage.of(Actor(1, 70, 50))).images_today == 2
    assert await store.check() == []


async def test_a_request_the_database_refuses_fails_alone(store: Store) -> None:
    # Too large for a 64-bit column: only the database notices.
    broken = new_job(guild=2**70)

    answers: Any = await asyncio.gather(
        store.jobs.accept(new_job(), WIDE, max_waiting=9),
        store.jobs.accept(broken, WIDE, max_waiting=9),
        store.jobs.accept(new_job(), WIDE, max_waiting=9),
        return_exceptions=True,
    )

    assert [isinstance(answer, Accepted) for answer in answers] == [True, False, True]


@pytest.mark.parametrize("images", [0, -1])
async def test_a_job_without_pictures_is_a_mistake(store: Store, images: int) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        await store.jobs.accept(new_job(images=images), WIDE, max_waiting=9)


async def test_a_caller_that_gives_up_loses_the_answer_and_not_the_job(store: Store) -> None:
    new = new_job(interaction=99)
    call = asyncio.create_task(store.jobs.accept(new, WIDE, max_waiting=9))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    answer = await store.jobs.accept(new_job(interaction=99), WIDE, max_waiting=9)

    assert isinstance(answer, Duplicate)
    assert answer.job.id == new.id
    assert (await store.usage.of(new.actor)).images_today == 1


async def test_a_job_that_ends_makes_room_for_another(store: Store) -> None:
    limits = policy(concurrent_jobs=1)
    job = await running(store, limits=limits)
    assert isinstance(await store.jobs.accept(new_job(), limits, max_waiting=9), Refused)

    await moved(store, job, JobState.FAILED)

    assert isinstance(await store.jobs.accept(new_job(), limits, max_waiting=9), Accepted)


async def test_after_a_strict_limit_is_loosened_a_refusals_retry_time_stays_true(store: Store, clock: Clock) -> None:
    strict = policy(interval=timedelta(hours=1), burst_images=1)
    loose = policy(interval=timedelta(minutes=2), burst_images=8)
    assert isinstance(await store.jobs.accept(new_job(), strict, max_waiting=10), Accepted)
    refused = await store.jobs.accept(new_job(images=2), loose, max_waiting=10)
    assert isinstance(refused, Refused)
    assert refused.retry_at is not None
    clock.now = refused.retry_at
    assert isinstance(await store.jobs.accept(new_job(images=2), loose, max_waiting=10), Accepted)


async def test_a_servers_unfinished_jobs_are_bounded_together_waiting_and_under_way(store: Store) -> None:
    limits = policy(guild_concurrent_jobs=3)
    jobs = [await accepted(store, new_job(user=user), limits) for user in range(3)]
    (claimed,) = await store.jobs.claim(1)

    refused = await store.jobs.accept(new_job(user=9), limits, max_waiting=99)

    assert isinstance(refused, Refused)
    assert (refused.rule, refused.bound) == ("guild_concurrent", 3)
    assert (await store.usage.of(Actor(9, 70, 50))).guild_active_jobs == 3
    for other in (new_job(user=9, guild=51), new_job(user=9, guild=None)):
        assert isinstance(await store.jobs.accept(other, limits, max_waiting=99), Accepted)
    await moved(store, claimed, JobState.FAILED)
    assert isinstance(await store.jobs.accept(new_job(user=9), limits, max_waiting=99), Accepted)
    await moved(store, jobs[2], JobState.CANCELLED)
    answers = await asyncio.gather(*(store.jobs.accept(new_job(user=n), limits, max_waiting=99) for n in range(20, 26)))
    assert sum(isinstance(answer, Accepted) for answer in answers) == 1


async def test_jobs_held_for_a_review_count_among_a_servers_unfinished_ones(store: Store) -> None:
    limits = policy(guild_concurrent_jobs=2)
    for user in range(2):
        await accepted(store, new_job(user=user), limits)
    # Nothing holds jobs yet: as a later version would have left it.
    held = await store.jobs.claim(2)
    await store._database.write(
        lambda connection: connection.execute(text(f"UPDATE jobs SET state = 'held' WHERE id = '{held[0].id}'"))
    )

    assert (await store.usage.of(Actor(9, 70, 50))).guild_active_jobs == 2
    assert isinstance(await store.jobs.accept(new_job(user=9), limits, max_waiting=99), Refused)


async def test_a_clock_set_back_and_forth_gives_no_second_burst(store: Store, clock: Clock) -> None:
    limits = policy(interval=timedelta(minutes=1), burst_images=4)
    await accepted(store, new_job(images=4), limits)

    clock.tick(hours=-1)
    early = await store.jobs.accept(new_job(), limits, max_waiting=9)
    clock.tick(hours=1)
    refused = await store.jobs.accept(new_job(), limits, max_waiting=9)

    assert isinstance(early, Refused)
    assert isinstance(refused, Refused)
    assert early.retry_at == refused.retry_at == clock() + timedelta(minutes=1)
