"""Money on record: reserved at its worst, settled as billed, exact over days, months, processes and second submits."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import Connection, select

from bot import metrics
from bot.domain.job import Actor, Failure, Job, JobState
from bot.domain.money import Charge
from bot.domain.settlement import Settlement
from bot.limits import Budgets, GuildLimits, Policy, Refused, Spent, decide, policy_for
from bot.phrase import phrase
from bot.settings import BudgetSettings, LimitSettings, Settings, Tier
from bot.store import Accepted, Store
from bot.store.tables import balances, ledger
from bot.store.times import day_of, month_of
from tests.store.conftest import OpenStore
from tests.store.makers import FAILURE, REQUEST, Clock, accepted, delivered, moved, new_job, policy, result, running

USD = 1_000_000
MAY_31 = datetime(2026, 5, 31, 23, 30, tzinfo=UTC)
WORST = Settlement(usd_micros=None, made=None, estimated=True)


async def spent(store: Store, user: int = 1, guild: int | None = 50) -> Spent:
    return (await store.usage.of(Actor(user, 70, guild))).spent


async def entries(store: Store) -> list[tuple[str, int, int, int, int]]:
    """State, micros reserved, micros that count, images that count, images forgiven; in the order of reserving."""
    columns = (ledger.c.state, ledger.c.usd_micros, ledger.c.counted_usd_micros, ledger.c.counted, ledger.c.forgiven)
    query = select(*columns).order_by(ledger.c.reserved_us, ledger.c.job_id)
    return await store._database.read(lambda connection: [tuple(row) for row in connection.execute(query)])


# ---------------------------------------------------------------------- reserving


@pytest.mark.parametrize(("images_per_day", "usd_per_day", "rule"), [(40, 25, "user_day"), (1000, 2, "person_usd_day")])
async def test_servers_with_paces_of_their_own_lend_a_person_bursts_but_no_pictures_and_no_money(
    store: Store, images_per_day: int, usd_per_day: int, rule: str
) -> None:
    """Each of an attacker's servers has another pace: their bursts add up, the day does not."""
    usual = Tier(images_per_day=images_per_day, concurrent_jobs=1000, burst_images=4)
    settings = Settings(
        limits=LimitSettings(default=usual), budget=BudgetSettings(person_usd_per_day=Decimal(usd_per_day))
    )

    async def ask(server: int | None) -> int | str:
        strict = GuildLimits(images_per_hour=10 - (server or 0) / 10)
        limits = policy_for(settings, strict, Actor(1, 70, server))
        new = new_job(user=1, guild=server, images=4, cost_usd=Decimal("0.2"))
        answer = await store.jobs.accept(new, limits, max_waiting=999)
        assert isinstance(answer, Accepted | Refused)
        return 4 if isinstance(answer, Accepted) else answer.rule

    assert [await ask(server) for server in (*range(1, 14), None)] == [4] * 10 + [rule] * 4
    assert (await spent(store)).person_day == 2 * USD


async def test_a_worst_case_is_reserved_in_all_five_balances_and_given_back(store: Store) -> None:
    job = await accepted(store, new_job(images=2, cost_usd=Decimal("0.3")))

    assert await spent(store) == Spent(*[300_000] * 5)
    assert await spent(store, guild=None) == Spent(300_000, 0, 0, 300_000, 300_000)
    assert await spent(store, user=2, guild=51) == Spent(0, 0, 0, 300_000, 300_000)
    await moved(store, job, JobState.CANCELLED)
    assert await spent(store) == Spent()


@pytest.mark.parametrize("name", ["person_day", "server_day", "server_month", "all_day", "all_month"])
async def test_what_many_ask_for_at_once_fills_a_budget_to_the_last_cent_and_no_further(
    store: Store, name: str
) -> None:
    limits = policy(budgets=Budgets(**{name: 730_000}))
    asks = [new_job(user=1, images=1, cost_usd=Decimal("0.01") * (number % 7 + 1)) for number in range(60)]

    answers = await asyncio.gather(*(store.jobs.accept(new, limits, max_waiting=999) for new in asks))

    taken = sum(answer.allowed.usd_micros for answer in answers if isinstance(answer, Accepted))
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert 720_000 < taken <= 730_000
    assert getattr(await spent(store), name) == taken
    assert refused
    assert min(refusal.cost_usd or 0 for refusal in refused) * USD > 730_000 - taken
    assert await store.check() == []


async def test_the_month_turns_at_midnight_and_what_is_in_flight_is_billed_where_it_was_reserved(
    open_store: OpenStore, clock: Clock
) -> None:
    clock.now = MAY_31
    store = await open_store()
    limits = policy(budgets=Budgets(server_month=USD, all_day=USD))
    job = await running(store, new_job(cost_usd=Decimal("0.9")), limits)
    assert isinstance(await store.jobs.accept(new_job(cost_usd=Decimal("0.2")), limits, max_waiting=9), Refused)

    clock.tick(hours=1)
    assert await spent(store) == Spent()
    june = await accepted(store, new_job(cost_usd=Decimal("0.95")), limits)
    finished = await moved(store, job, JobState.FINISHED, result=result(1, Decimal("0.7")))
    await moved(store, finished, JobState.DELIVERED)
    assert await spent(store) == Spent(*[950_000] * 5)
    await moved(store, june, JobState.CANCELLED)

    clock.now = MAY_31
    assert await spent(store) == Spent(*[700_000] * 5)
    assert await store.check() == []


async def test_a_clock_that_was_set_back_finds_the_day_as_it_was_left(open_store: OpenStore, clock: Clock) -> None:
    store = await open_store()
    limits = policy(budgets=Budgets(person_day=USD))
    await accepted(store, new_job(cost_usd=Decimal(1)), limits)
    clock.tick(days=1)
    await accepted(store, new_job(cost_usd=Decimal(1)), limits)

    clock.tick(days=-1)
    assert isinstance(await store.jobs.accept(new_job(cost_usd=Decimal("0.01")), limits, max_waiting=9), Refused)


# ---------------------------------------------------------------------- settling


async def test_what_fal_billed_counts_although_nobody_saw_it_and_the_failure_says_so(store: Store) -> None:
    job = await running(store, new_job(images=4, cost_usd=Decimal("0.4")))

    ended = await moved(
        store,
        job,
        JobState.FAILED,
        failure=FAILURE,
        settlement=Settlement(usd_micros=310_000, made=4),
        forgiven_per_day=3,
    )

    assert ended.failure is not None
    assert ended.failure.charge == Charge(counted=1, forgiven=3, usd_micros=310_000)
    assert await store.jobs.get(job.id) == ended
    assert await entries(store) == [("settled", 400_000, 310_000, 1, 3)]
    assert await spent(store) == Spent(*[310_000] * 5)
    assert await store.check() == []


BILLED, ESTIMATED = 'easel_settled_total{outcome="billed"}', 'easel_settled_total{outcome="estimated"}'
SPENT, RATIO, TOO_LOW = "easel_spent_usd_total", "easel_estimate_ratio_sum", 'easel_estimate_ratio_bucket{le="0.999"}'


def at_metrics() -> dict[str, float]:
    """Spending, how its price is known, and estimate over bill, as Prometheus reads them."""
    lines = [line.rsplit(" ", 1) for line in metrics.exposition().decode().splitlines()]
    return {name: float(value) for name, value in lines if name in {BILLED, ESTIMATED, SPENT, RATIO, TOO_LOW}}


@pytest.mark.parametrize(
    ("settlement", "grown"),
    [
        (Settlement(usd_micros=320_000, made=4, shown=4), {SPENT: 0.32, BILLED: 1, RATIO: 1.25}),
        (Settlement(usd_micros=500_000, made=4, shown=4), {SPENT: 0.5, BILLED: 1, RATIO: 0.8, TOO_LOW: 1}),
        (WORST, {SPENT: 0.4, ESTIMATED: 1}),
        (Settlement(usd_micros=0, made=0), {}),
    ],
)
async def test_what_was_settled_and_how_far_the_estimate_was_off_show_at_metrics(
    store: Store, settlement: Settlement, grown: dict[str, float]
) -> None:
    job = await running(store, new_job(images=4, cost_usd=Decimal("0.4")))
    before = at_metrics()

    await moved(store, job, JobState.FAILED, failure=FAILURE, settlement=settlement)

    more = {name: round(value - before[name], 6) for name, value in at_metrics().items()}
    assert more == dict.fromkeys(before, 0) | grown


async def test_no_more_is_forgiven_in_a_day_than_the_operator_allows_however_many_end_at_once(
    open_store: OpenStore, clock: Clock
) -> None:
    store = await open_store()
    jobs = [await running(store, new_job(images=2, cost_usd=Decimal("0.2"))) for _ in range(4)]
    other = await running(store, new_job(user=2, images=2, cost_usd=Decimal("0.2")))

    ends = await asyncio.gather(
        *(
            store.jobs.transition(job, JobState.FAILED, failure=FAILURE, settlement=WORST, forgiven_per_day=3)
            for job in (*jobs, other)
        )
    )

    charges = [one.failure.charge for one in ends if one is not None and one.failure is not None]
    own = [charge for charge in charges[:4] if charge is not None]
    assert (sum(one.forgiven for one in own), sum(one.counted for one in own)) == (3, 5)
    assert charges[4] == Charge(forgiven=2, usd_micros=200_000, uncertain=True)
    assert await store.check() == []
    clock.tick(days=1)
    tomorrow = await running(store, new_job(images=1, cost_usd=Decimal("0.1")))
    ended = await moved(store, tomorrow, JobState.FAILED, failure=FAILURE, settlement=WORST, forgiven_per_day=3)
    assert ended.failure is not None
    assert ended.failure.charge == Charge(forgiven=1, usd_micros=100_000, uncertain=True)


async def test_of_a_delivery_the_shown_pictures_count_and_the_withheld_ones_are_forgiven(store: Store) -> None:
    job = await running(store, new_job(images=4, cost_usd=Decimal("0.4")))
    finished = await moved(store, job, JobState.FINISHED, result=result(4, Decimal("0.4")))

    await moved(
        store,
        finished,
        JobState.DELIVERED,
        settlement=Settlement(usd_micros=400_000, made=4, shown=3),
        forgiven_per_day=3,
    )

    assert await entries(store) == [("settled", 400_000, 400_000, 3, 1)]


async def test_a_bill_above_what_was_reserved_is_on_record_as_it_is(store: Store) -> None:
    job = await running(store, new_job(cost_usd=Decimal("0.1")))
    await moved(store, job, JobState.FAILED, failure=FAILURE, settlement=Settlement(usd_micros=250_000, made=1))

    assert await entries(store) == [("settled", 100_000, 250_000, 1, 0)]
    assert await spent(store) == Spent(*[250_000] * 5)
    assert await store.check() == []


async def test_a_failure_of_before_charges_were_kept_is_read_as_one_that_cost_nothing(store: Store) -> None:
    plain = Failure("provider_error", phrase("provider_error"))
    job = await moved(store, await running(store), JobState.FAILED, failure=plain)
    assert job.failure is not None
    assert job.failure.charge == Charge()


# ---------------------------------------------------------------------- submitting again


async def submitting(store: Store, limits: Policy, usd: str = "0.4") -> Job:
    await accepted(store, new_job(images=2, cost_usd=Decimal(usd)), limits)
    (job,) = await store.jobs.claim(1)
    return job


async def test_another_submit_is_reserved_anew_and_an_answer_that_got_lost_reserves_nothing_twice(
    store: Store,
) -> None:
    limits = policy(budgets=Budgets(all_day=USD))
    job = await submitting(store, limits)

    again = await store.jobs.resubmit(job, limits)
    assert isinstance(again, Job)
    assert await store.jobs.resubmit(job, limits) == again
    assert (again.attempts, again.possible_doubles) == (2, 1)
    assert await entries(store) == [("reserved", 800_000, 800_000, 2, 0)]
    assert await spent(store) == Spent(*[800_000] * 5)
    assert await store.check() == []


async def test_where_a_budget_refuses_another_submit_nothing_is_changed(store: Store) -> None:
    limits = policy(budgets=Budgets(person_day=700_000))
    job = await submitting(store, limits)

    refused = await store.jobs.resubmit(job, limits)

    assert isinstance(refused, Refused)
    assert refused.rule == "person_usd_day"
    assert await store.jobs.get(job.id) == job
    assert await entries(store) == [("reserved", 400_000, 400_000, 2, 0)]
    free = policy(budgets=Budgets(person_day=1), enabled=False)
    assert isinstance(await store.jobs.resubmit(job, free), Job)


@pytest.mark.parametrize(("doubtful", "counts"), [(True, 400_000 + 110_000), (False, 110_000)])
async def test_a_submit_that_nobody_knows_of_counts_in_full_beside_the_one_that_was_billed(
    store: Store, doubtful: bool, counts: int
) -> None:
    limits = policy()
    again = await store.jobs.resubmit(await submitting(store, limits), limits, doubtful=doubtful)
    assert isinstance(again, Job)
    ran = await moved(store, again, JobState.RUNNING, fal_request=REQUEST)
    finished = await moved(store, ran, JobState.FINISHED, result=result(2, Decimal("0.11")))
    await moved(store, finished, JobState.DELIVERED)

    assert await entries(store) == [("settled", 800_000, counts, 2, 0)]
    assert await spent(store) == Spent(*[counts] * 5)


async def test_a_submit_after_midnight_counts_in_the_day_in_which_it_was_reserved(
    open_store: OpenStore, clock: Clock
) -> None:
    clock.now = MAY_31
    store = await open_store()
    limits = policy(budgets=Budgets(all_month=USD))
    job = await submitting(store, limits)
    clock.tick(hours=1)

    assert isinstance(await store.jobs.resubmit(job, limits), Job)
    assert await spent(store) == Spent()
    assert await store.check() == []


# ---------------------------------------------------------------------- random lives


@dataclass
class Kept:
    """One reservation as the model remembers it."""

    user: int
    guild: int | None
    day: int
    micros: int


@dataclass
class Model:
    """What must count, summed up afresh from everything that ever happened."""

    kept: dict[str, Kept] = field(default_factory=dict)

    def spent(self, user: int, guild: int | None, today: int) -> Spent:
        def total(*, day: bool, **own: int) -> int:
            return sum(
                one.micros
                for one in self.kept.values()
                if (one.day == today if day else month_of(one.day) == month_of(today))
                and all(getattr(one, name) == value for name, value in own.items())
            )

        server_day = 0 if guild is None else total(day=True, guild=guild)
        server_month = 0 if guild is None else total(day=False, guild=guild)
        return Spent(total(day=True, user=user), server_day, server_month, total(day=True), total(day=False))


BOUNDS = policy(budgets=Budgets(900_000, 1_500_000, 2_500_000, 2_000_000, 4_000_000), images_per_day=10**6)


@pytest.mark.parametrize("seed", range(2))
async def test_balances_are_exact_and_no_budget_is_exceeded_after_any_history(
    open_store: OpenStore, clock: Clock, seed: int
) -> None:
    chance, model, store = Random(seed), Model(), await open_store()
    clock.now = MAY_31 - timedelta(days=1)
    live: dict[str, Job] = {}
    outcomes: Counter[str] = Counter()
    for step in range(40):
        match chance.choices(("ask", "resubmit", "end", "wait", "restart", "erase"), (6, 2, 5, 3, 1, 1))[0]:
            case "ask":
                outcomes += await ask(store, clock, model, live, chance)
            case "resubmit":
                outcomes += await resubmit(store, model, live, chance)
            case "end":
                await end(store, model, live, chance)
            case "wait":
                clock.tick(minutes=chance.choice((1, 20, 300, -60)))
            case "restart":
                await store.close()
                store = await open_store()
                await store.retention.purge(clock() - timedelta(days=90))
            case "erase":
                await store.retention.erase_user(chance.choice((1, 2)))
        if step % 5 == 4:
            for user, guild in ((1, 50), (2, 51), (3, None)):
                assert await spent(store, user, guild) == model.spent(user, guild, day_of(clock()))
            assert await store.check() == []
    assert outcomes["accepted"] > 5
    assert outcomes["refused"] > 0


async def ask(store: Store, clock: Clock, model: Model, live: dict[str, Job], chance: Random) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    asks = [
        new_job(
            user=chance.choice((1, 2, 3)),
            guild=chance.choice((50, 51, None)),
            images=chance.randrange(1, 4),
            cost_usd=chance.choice((None, Decimal(chance.randrange(1, 40)) / 100)),
        )
        for _ in range(4)
    ]
    answers = await asyncio.gather(*(store.jobs.accept(new, BOUNDS, max_waiting=999) for new in asks))
    for new, answer in zip(asks, answers, strict=True):
        today, actor = day_of(clock()), new.actor
        usage = await store.usage.of(actor, BOUNDS)
        expected = decide(
            type(usage)(None, 0, 0, 0, spent=model.spent(actor.user_id, actor.guild_id, today)),
            BOUNDS,
            new.cost,
            clock(),
        )
        assert isinstance(answer, Refused) == isinstance(expected, Refused)
        outcomes["refused" if isinstance(answer, Refused) else "accepted"] += 1
        if isinstance(answer, Accepted):
            live[new.id] = answer.job
            model.kept[new.id] = Kept(actor.user_id, actor.guild_id, today, answer.allowed.usd_micros)
    return outcomes


async def resubmit(store: Store, model: Model, live: dict[str, Job], chance: Random) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    live.update({job.id: job for job in await store.jobs.claim(2)})
    waiting = [job for job in live.values() if job.state is JobState.SUBMITTING and job.possible_doubles < 3]
    for job in chance.sample(waiting, min(2, len(waiting))):
        kept, worst = model.kept[job.id], BOUNDS.usd_micros(job.request.cost)
        before = model.spent(kept.user, kept.guild, kept.day)
        again = await store.jobs.resubmit(job, BOUNDS, doubtful=chance.random() < 0.5)
        bounds = [BOUNDS.budgets.person_day, BOUNDS.budgets.all_day, BOUNDS.budgets.all_month]
        used = [before.person_day, before.all_day, before.all_month]
        if kept.guild is not None:
            bounds += [BOUNDS.budgets.server_day, BOUNDS.budgets.server_month]
            used += [before.server_day, before.server_month]
        fits = all(some + worst <= (bound or 0) for some, bound in zip(used, bounds, strict=True))
        assert isinstance(again, Job) == fits
        outcomes["resubmitted" if fits else "refused again"] += 1
        if isinstance(again, Job):
            live[job.id] = again
            kept.micros += worst
    return outcomes


async def end(store: Store, model: Model, live: dict[str, Job], chance: Random) -> None:
    """Several jobs end at once, some by two callers at odds."""
    picked = chance.sample(sorted(live.values(), key=lambda job: job.id), min(3, len(live)))
    settlements = {job.id: chance.choice((None, WORST, Settlement(chance.randrange(90_000), 1))) for job in picked}
    ends = await asyncio.gather(
        *(
            store.jobs.transition(
                job,
                chance.choice((JobState.FAILED, JobState.CANCELLED)),
                failure=FAILURE,
                settlement=settlements[job.id],
                forgiven_per_day=3,
            )
            for job in picked
            for _ in range(2)
        )
    )
    for job in ends:
        if job is not None and live.pop(job.id, None) is not None:
            assert job.failure is not None
            assert job.failure.charge is not None
            worst, settled = BOUNDS.usd_micros(job.request.cost), settlements[job.id]
            last = 0 if settled is None else worst if settled.usd_micros is None else settled.usd_micros
            doubtful = (job.failure.charge.usd_micros - last) / worst
            assert doubtful in range(job.possible_doubles + 1)
            model.kept[job.id].micros = job.failure.charge.usd_micros


# ---------------------------------------------------------------------- retention


async def test_the_ledger_keeps_this_month_and_the_one_before_with_their_sums(
    open_store: OpenStore, clock: Clock
) -> None:
    store = await open_store()
    clock.now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    for _ in range(3):  # March, April, May
        await delivered(store, new_job(cost_usd=Decimal("0.25")))
        clock.tick(days=30)
    clock.now = datetime(2026, 6, 10, tzinfo=UTC)
    await delivered(store, new_job(cost_usd=Decimal("0.5")))

    await store.retention.purge(clock() - timedelta(days=90))

    def kept(connection: Connection) -> list[tuple[int, int]]:
        months = select(balances.c.day, balances.c.usd_micros).where(balances.c.scope == "n").order_by(balances.c.day)
        return [tuple(row) for row in connection.execute(months)]

    may, june = (day_of(datetime(2026, month, 1, tzinfo=UTC)) for month in (5, 6))
    found = await store._database.read(kept)
    assert found[-2:] == [(may, 250_000), (june, 500_000)]
    assert await spent(store) == Spent(*[500_000] * 5)
    assert await store.check() == []


async def test_erasing_a_person_keeps_the_sums_of_servers_and_of_everybody(open_store: OpenStore, clock: Clock) -> None:
    store = await open_store()
    await delivered(store, new_job(cost_usd=Decimal("0.25")))
    clock.tick(days=1)

    await store.retention.erase_user(1)

    assert (await spent(store)).all_month == (await spent(store)).server_month == 250_000
    assert await store.check() == []
