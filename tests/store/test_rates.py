"""Painting where a server is strict or generous never changes a person's pace elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.job import Actor, JobState
from bot.limits import GuildLimits, Policy, Refused, policy_for, standing
from bot.settings import LimitSettings, ServerLimits, Settings, Tier
from bot.store import Accepted, Store
from tests.store.makers import FAILURE, Clock, accepted, moved, new_job

HOME, STRICT, OTHER = 50, 51, 52
USUAL = Settings(
    limits=LimitSettings(
        default=Tier(images_per_hour=30, burst_images=8, concurrent_jobs=99),
        tiers={"11": Tier(images_per_hour=240)},
        servers={str(HOME): ServerLimits(images_per_hour=120)},
    )
)
OWN = {STRICT: GuildLimits(images_per_hour=2, burst_images=2)}
PLACES = (HOME, STRICT, OTHER, None)


def rules(guild: int | None, *roles: int) -> Policy:
    return policy_for(USUAL, OWN.get(guild or 0), Actor(1, 2, guild, tuple(roles)))


async def now_possible(store: Store, clock: Clock, guild: int | None, *roles: int) -> int:
    limits = rules(guild, *roles)
    left = standing(await store.usage.of(Actor(1, 70, guild, roles), limits), limits, clock())
    assert left is not None
    return left.burst_left


async def paint(store: Store, guild: int | None, images: int = 1) -> Accepted | Refused:
    answer = await store.jobs.accept(new_job(guild=guild, images=images), rules(guild), max_waiting=99)
    assert isinstance(answer, Accepted | Refused)
    return answer


async def test_painting_in_direct_messages_leaves_a_generous_server_its_pace(store: Store, clock: Clock) -> None:
    """The operator allows 120 an hour at home, a member paints in a DM: at home everything is still possible."""
    assert isinstance(await paint(store, None, 2), Accepted)

    assert await now_possible(store, clock, HOME) == 8
    assert isinstance(await paint(store, HOME, 8), Accepted)
    assert await now_possible(store, clock, None) == 6


@pytest.mark.parametrize("here", PLACES)
@pytest.mark.parametrize("there", PLACES)
async def test_one_pace_never_changes_another(store: Store, clock: Clock, here: int | None, there: int | None) -> None:
    before = await now_possible(store, clock, there)
    while isinstance(await paint(store, here), Accepted):
        pass
    assert isinstance(await paint(store, here, 2), Refused)  # a refusal stores the time it was decided by

    shared = rules(here).rate_key(here) == rules(there).rate_key(there)
    assert await now_possible(store, clock, there) == (0 if shared else before)
    clock.tick(minutes=2)  # a picture returns at home and in direct messages, none in the strict server
    grown = {HOME: 4, STRICT: 0, OTHER: 1, None: 1}
    assert await now_possible(store, clock, here) == grown[here]


async def test_ordinary_servers_and_direct_messages_share_one_pace(store: Store, clock: Clock) -> None:
    await paint(store, None, 3)
    await paint(store, OTHER, 2)

    assert [await now_possible(store, clock, guild) for guild in (None, OTHER, 53)] == [3, 3, 3]


async def test_a_tiers_pace_is_the_same_in_all_servers_and_apart_from_the_usual_one(store: Store, clock: Clock) -> None:
    await store.jobs.accept(new_job(guild=OTHER, images=5), rules(OTHER, 11), max_waiting=9)

    assert await now_possible(store, clock, 53, 11) == 3
    assert await now_possible(store, clock, None) == 8


async def test_what_fails_comes_back_to_the_pace_that_it_was_taken_from(store: Store, clock: Clock) -> None:
    first = await accepted(store, new_job(guild=HOME, images=8), rules(HOME))
    await accepted(store, new_job(guild=None, images=8), rules(None))
    assert [await now_possible(store, clock, guild) for guild in (HOME, None)] == [0, 0]

    await moved(store, first, JobState.FAILED, failure=FAILURE)

    assert [await now_possible(store, clock, guild) for guild in (HOME, None)] == [8, 0]
    clock.tick(hours=5)
    await accepted(store, new_job(guild=HOME), rules(HOME))
    assert (await store.usage.of(Actor(1, 70, HOME), rules(HOME))).tat == clock() + timedelta(seconds=30)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=47), timedelta(hours=49), timedelta(days=31)])
async def test_a_clock_that_is_wrong_while_a_job_ends_gives_back_no_more_than_was_taken(
    store: Store, clock: Clock, ahead: timedelta
) -> None:
    """What passed since has paid for the first picture already, so its end makes no room in the burst after it."""
    early = await accepted(store, new_job(guild=OTHER), rules(OTHER))
    clock.tick(hours=1)
    assert isinstance(await paint(store, OTHER, 8), Accepted)

    clock.now += ahead
    await moved(store, early, JobState.FAILED, failure=FAILURE)
    clock.now -= ahead

    assert isinstance(await paint(store, OTHER), Refused)
