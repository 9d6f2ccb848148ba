"""Random lives of many jobs against a plain model of what must be counted."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select

from bot.domain.job import MOVES, Actor, Job, JobState
from bot.limits import Policy, Refused, Usage, decide
from bot.store import Accepted, Store
from bot.store.tables import ledger
from bot.store.times import day_of, from_us, to_us
from tests.store.conftest import OpenStore
from tests.store.makers import FAILURE, Clock, delivered, moved, new_job, policy, result, running

USERS = (1, 2, 3)
GUILDS = (50, 51, None)
LIMITS = policy(
    interval=timedelta(seconds=40), burst_images=7, images_per_day=25, guild_images_per_day=30, concurrent_jobs=4
)


@dataclass
class Entry:
    """One reservation as the model remembers it."""

    user: int
    guild: int | None
    at_us: int
    images: int
    live: bool = True


@dataclass
class ModelLedger:
    """What must be true, computed afresh from everything that ever happened."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def usage(self, actor: Actor, clock: Clock) -> Usage:
        today = day_of(clock())
        own = [entry for entry in self.entries.values() if entry.user == actor.user_id and entry.images]
        tat_us = 0
        for entry in sorted(own, key=lambda entry: entry.at_us):
            tat_us = max(tat_us, entry.at_us) + entry.images * (LIMITS.interval // timedelta(microseconds=1))
        here = [
            entry for entry in self.entries.values() if entry.guild == actor.guild_id and actor.guild_id is not None
        ]
        return Usage(
            tat=from_us(tat_us) if tat_us else None,
            images_today=sum(entry.images for entry in own if day_of(from_us(entry.at_us)) == today),
            guild_images_today=sum(entry.images for entry in here if day_of(from_us(entry.at_us)) == today),
            active_jobs=sum(entry.live for entry in self.entries.values() if entry.user == actor.user_id),
            in_guild=actor.guild_id is not None,
        )


def same(actual: Usage, expected: Usage, clock: Clock) -> bool:
    """Equal in all that can matter: arrival times in the past are all the same."""
    now = clock()

    def settled(usage: Usage) -> tuple[object, ...]:
        ahead = usage.tat if usage.tat is not None and usage.tat > now else None
        return (ahead, usage.images_today, usage.guild_images_today, usage.active_jobs, usage.in_guild)

    return settled(actual) == settled(expected)


@pytest.mark.parametrize("seed", range(3))
async def test_counts_are_exact_after_any_history_and_across_restarts(
    open_store: OpenStore, clock: Clock, seed: int
) -> None:
    chance = Random(seed)
    model = ModelLedger()
    jobs: dict[str, Job] = {}
    store = await open_store()
    outcomes: Counter[str] = Counter()
    for step in range(50):
        match chance.choices(("ask", "claim", "move", "wait", "restart"), (7, 4, 6, 3, 1))[0]:
            case "ask":
                outcomes += await ask(store, clock, model, jobs, chance)
            case "claim":
                jobs.update({job.id: job for job in await store.jobs.claim(chance.randrange(1, 5))})
            case "move":
                await move(store, model, jobs, chance)
            case "wait":
                clock.tick(seconds=chance.choice((1, 40, 400, 4000, 30_000)))
            case "restart":
                await store.close()
                store = await open_store()
        if step % 10 == 9:
            await agree(store, clock, model)
    await agree(store, clock, model)
    assert outcomes["accepted"] > 10
    assert outcomes["refused"] > 0


async def ask(store: Store, clock: Clock, model: ModelLedger, jobs: dict[str, Job], chance: Random) -> Counter[str]:
    """Several people ask at once; each answer must be the one the model gives, in order."""
    asks = [
        new_job(user=chance.choice(USERS), guild=chance.choice(GUILDS), images=chance.randrange(1, 4)) for _ in range(7)
    ]
    outcomes: Counter[str] = Counter()
    answers = await asyncio.gather(*(store.jobs.accept(new, LIMITS, max_waiting=999) for new in asks))
    for new, answer in zip(asks, answers, strict=True):
        verdict = decide(model.usage(new.actor, clock), LIMITS, new.cost, clock())
        if isinstance(verdict, Refused):
            assert answer == verdict
            outcomes["refused"] += 1
            continue
        assert isinstance(answer, Accepted)
        outcomes["accepted"] += 1
        jobs[new.id] = answer.job
        model.entries[new.id] = Entry(new.actor.user_id, new.actor.guild_id, to_us(clock()), new.request.images)
    return outcomes


async def move(store: Store, model: ModelLedger, jobs: dict[str, Job], chance: Random) -> None:
    """Several jobs move on at once, some by two callers at odds."""
    picked = chance.sample(sorted(jobs.values(), key=lambda job: job.id), min(4, len(jobs)))
    moves = []
    for job in picked:
        for _ in range(chance.choice((1, 1, 2))):
            choices = sorted(MOVES[job.state] - {JobState.SUBMITTING})
            if choices:
                to = chance.choice(choices)
                moves.append((job, to, result(chance.randrange(1, job.request.images + 1))))
    answers = await asyncio.gather(
        *(
            store.jobs.transition(job, to, result=made)
            if to is JobState.FINISHED
            else store.jobs.transition(job, to, failure=FAILURE if to is JobState.FAILED else None)
            for job, to, made in moves
        )
    )
    took: defaultdict[str, int] = defaultdict(int)
    for after in answers:
        if after is None:
            continue
        took[after.id] += 1
        jobs[after.id] = after
        if after.state in {JobState.DELIVERED, JobState.FAILED, JobState.CANCELLED}:
            del jobs[after.id]
            entry = model.entries[after.id]
            entry.live = False
            delivered = after.state is JobState.DELIVERED
            entry.images = len(after.result.pictures) if delivered and after.result is not None else 0
    assert all(count == 1 for count in took.values())


async def agree(store: Store, clock: Clock, model: ModelLedger) -> None:
    for user in USERS:
        for guild in GUILDS:
            actor = Actor(user, 70, guild)
            actual, expected = await store.usage.of(actor), model.usage(actor, clock)
            assert same(actual, expected, clock), (actor, actual, expected)
    assert await store.check() == []


async def test_a_wrong_balance_is_found_by_check(store: Store) -> None:
    from bot.store.tables import balances, ledger

    answer = await store.jobs.accept(new_job(images=2), LIMITS, max_waiting=9)
    assert isinstance(answer, Accepted)
    await store._database.write(lambda connection: connection.execute(balances.update().values(images=5)))

    assert await store.check() == [
        "The day counts of 1 people differ from the ledger.",
        "The day counts of 1 servers differ from the ledger.",
        "The month counts of 1 servers differ from the ledger.",
        "The day counts of everybody differ from the ledger.",
        "The month counts of everybody differ from the ledger.",
    ]

    await store._database.write(lambda connection: connection.execute(balances.update().values(images=2)))
    await store._database.write(lambda connection: connection.execute(ledger.update().values(state="settled")))
    assert await store.check() == ["1 unfinished jobs have no open reservation."]


def bound(limits: Policy, window: timedelta) -> int:
    """Most images the rate can admit in any window."""
    return limits.burst_images + window // limits.interval


@pytest.mark.parametrize("seed", range(3))
async def test_no_window_of_time_holds_more_pictures_than_the_rate_allows(
    store: Store, clock: Clock, seed: int
) -> None:
    """Failures, releases and waiting in any order; what counts in the end never exceeds the bound."""
    chance = Random(100 + seed)
    limits = policy(interval=timedelta(seconds=10), burst_images=4)
    live: list[Job] = []
    for _ in range(80):
        answers = await asyncio.gather(
            *(store.jobs.accept(new_job(images=chance.randrange(1, 3)), limits, max_waiting=9999) for _ in range(3))
        )
        live += [answer.job for answer in answers if isinstance(answer, Accepted)]
        chance.shuffle(live)
        while len(live) > 1 and chance.random() < 0.3:
            job = live.pop()
            assert await store.jobs.transition(job, JobState.FAILED, failure=FAILURE) is not None
        clock.tick(seconds=chance.choice((0, 0, 3, 10, 60)))
    kept = sorted((to_us(job.created_at), job.request.images) for job in live)
    assert len(kept) > 20
    for first in range(len(kept)):
        images = 0
        for at_us, count in kept[first:]:
            images += count
            assert images <= bound(limits, timedelta(microseconds=at_us - kept[first][0]))


async def money(store: Store) -> list[tuple[str, int | None, int | None]]:
    """State, micro-dollars reserved, and those that count, of each reservation."""
    columns = select(ledger.c.state, ledger.c.usd_micros, ledger.c.counted_usd_micros).order_by(ledger.c.job_id)
    return await store._database.read(lambda connection: [tuple(row) for row in connection.execute(columns)])


async def test_a_reservation_holds_its_worst_price_and_settles_the_share_that_was_made(store: Store) -> None:
    price = Decimal("0.1500004")
    await delivered(store, new_job(images=3, cost_usd=price), pictures=2)

    assert await money(store) == [("settled", 150_001, 100_001)]


async def test_a_reservation_settles_what_the_pictures_cost_where_that_is_known(store: Store) -> None:
    job = await running(store, new_job(images=3, cost_usd=Decimal("0.15")))
    finished = await moved(store, job, JobState.FINISHED, result=result(2, Decimal("0.0312")))
    assert (await moved(store, finished, JobState.DELIVERED)).result == finished.result

    assert await money(store) == [("settled", 150_000, 31_200)]


async def test_a_released_reservation_counts_no_money(store: Store) -> None:
    job = await running(store, new_job(images=3, cost_usd=Decimal("0.15")))
    assert await money(store) == [("reserved", 150_000, 150_000)]

    await moved(store, job, JobState.FAILED)

    assert await money(store) == [("released", 150_000, 0)]


async def test_a_price_that_is_not_known_is_reserved_and_settled_as_assumed(store: Store) -> None:
    limits = policy(assumed_usd_micros_per_image=70_000)
    await delivered(store, new_job(images=2), limits, pictures=1)
    job = await running(store, new_job(images=3), limits)
    await moved(store, job, JobState.FAILED)

    assert await money(store) == [("settled", 140_000, 70_000), ("released", 210_000, 0)]
    marked = select(ledger.c.estimated, ledger.c.endpoint).order_by(ledger.c.job_id)
    found = await store._database.read(lambda connection: [tuple(row) for row in connection.execute(marked)])
    assert found == [(1, "fal-ai/z-image/turbo"), (0, "fal-ai/z-image/turbo")]
