from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import select, text

from bot import metrics
from bot.domain.costs import CostRow, CostsBy
from bot.domain.job import JobState
from bot.store import Store
from bot.store.tables import ledger
from tests.store.makers import FAILURE, Clock, accepted, moved, new_job, result, running

FLUX, IDEOGRAM = "fal-ai/flux-1/schnell", "fal-ai/ideogram/v3"
TODAY = date(2026, 5, 4)


async def painted(store: Store, usd: str, **fields: Any) -> None:
    """A job that cost this much."""
    job = await running(store, new_job(cost_usd=Decimal("0.50"), **fields))
    job = await moved(store, job, JobState.FINISHED, result=result(1, Decimal(usd)))
    await moved(store, job, JobState.DELIVERED)


async def test_sums_by_everything_the_dearest_first(store: Store) -> None:
    await painted(store, "0.10", user=1, guild=50, endpoint=FLUX)
    await painted(store, "0.20", user=2, guild=50, endpoint=FLUX)
    await painted(store, "0.05", user=1, guild=60, endpoint=IDEOGRAM)
    await painted(store, "0.01", user=3, guild=None, endpoint=IDEOGRAM)

    async def by(*columns: CostsBy, **more: Any) -> list[tuple[object, int, int]]:
        rows = await store.costs.sums(columns, TODAY, **more)
        return [(row.user_id or row.endpoint or row.guild_id or row.day, row.usd_micros, row.pictures) for row in rows]

    assert await by(CostsBy.PERSON) == [(2, 200_000, 1), (1, 150_000, 2), (3, 10_000, 1)]
    assert await by(CostsBy.MODEL) == [(FLUX, 300_000, 2), (IDEOGRAM, 60_000, 2)]
    assert await by(CostsBy.SERVER) == [(50, 300_000, 2), (60, 50_000, 1), (None, 10_000, 1)]
    assert await by(CostsBy.DAY) == [(TODAY, 360_000, 4)]
    assert await by() == [(None, 360_000, 4)]
    assert await by(CostsBy.PERSON, guild_id=50) == [(2, 200_000, 1), (1, 100_000, 1)]
    assert await by(CostsBy.PERSON, most=1) == [(2, 200_000, 1)]
    assert len(await by(CostsBy.DAY, CostsBy.SERVER, CostsBy.PERSON, CostsBy.MODEL)) == 4


async def test_what_is_under_way_counts_at_its_worst_case_and_is_told_apart(store: Store) -> None:
    await painted(store, "0.10")
    await accepted(store, new_job(cost_usd=Decimal("0.50"), images=2))
    (row,) = await store.costs.sums([], TODAY)
    assert (row.usd_micros, row.reserved_usd_micros, row.pictures) == (600_000, 500_000, 3)
    assert row.is_estimated


async def test_what_was_given_back_is_no_cost(store: Store) -> None:
    job = await running(store, new_job(cost_usd=Decimal("0.50")))
    await moved(store, job, JobState.FAILED, failure=FAILURE)
    assert await store.costs.sums([CostsBy.PERSON], TODAY) == []
    assert await store.costs.sums([], TODAY) == [CostRow(0, 0)]


async def test_days_are_those_of_the_reservation_and_in_their_order(store: Store, clock: Clock) -> None:
    clock.now = datetime(2026, 5, 31, 23, 59, tzinfo=UTC)
    job = await running(store, new_job(cost_usd=Decimal("0.50")))
    clock.tick(minutes=2)
    job = await moved(store, job, JobState.FINISHED, result=result(1, Decimal("0.30")))
    await moved(store, job, JobState.DELIVERED)
    await painted(store, "0.40")

    days = [(row.day, row.usd_micros) for row in await store.costs.sums([CostsBy.DAY], TODAY)]
    assert days == [(date(2026, 5, 31), 300_000), (date(2026, 6, 1), 400_000)]
    (june,) = await store.costs.sums([], date(2026, 6, 1))
    assert june.usd_micros == 400_000
    (may,) = await store.costs.sums([], TODAY, date(2026, 5, 31))
    assert may.usd_micros == 300_000
    assert await store.costs.first_day() == date(2026, 5, 31)


async def test_an_empty_ledger(store: Store) -> None:
    assert await store.costs.first_day() is None
    assert await store.costs.sums([CostsBy.DAY, CostsBy.PERSON], TODAY) == []


async def test_who_had_their_data_erased_is_a_sum_without_a_name(store: Store, clock: Clock) -> None:
    await painted(store, "0.10", user=1)
    clock.tick(days=2)
    await store.retention.erase_user(1)
    (row,) = await store.costs.sums([CostsBy.PERSON], TODAY)
    assert (row.user_id, row.usd_micros) == (None, 100_000)


@pytest.mark.parametrize("seed", range(3))
async def test_every_way_of_adding_up_comes_to_the_ledgers_own_sum(store: Store, clock: Clock, seed: int) -> None:
    chance = Random(seed)
    for _ in range(12):
        clock.tick(hours=chance.randrange(30))
        guild, endpoint = chance.choice([50, 60, None]), chance.choice([FLUX, IDEOGRAM])
        await painted(
            store, f"0.{chance.randrange(50):02}", user=chance.randrange(1, 4), guild=guild, endpoint=endpoint
        )
    whole = await store._database.read(lambda connection: connection.execute(_WHOLE).scalar_one())
    for columns in ([], *[[one] for one in CostsBy], [CostsBy.DAY, CostsBy.PERSON], list(CostsBy)):
        rows = await store.costs.sums(columns, TODAY)
        assert sum(row.usd_micros for row in rows) == int(whole)
        assert sum(row.pictures for row in rows) == 12


_WHOLE = select(text("sum(counted_usd_micros)")).select_from(ledger)


def figures() -> dict[str, float]:
    """What /metrics says about money."""
    names = ("spent_usd_total", "settled_total", "estimate_ratio_count", "estimate_ratio_sum")
    samples = [sample for family in metrics.REGISTRY.collect() for sample in family.samples]
    wanted = [one for one in samples if one.name.removeprefix("easel_") in names]
    return {f"{one.name.removeprefix('easel_')}{one.labels.get('outcome', '')}": one.value for one in wanted}


async def test_what_was_settled_is_counted_for_prometheus(store: Store) -> None:
    before = figures()
    await painted(store, "0.25")
    told = await running(store, new_job(cost_usd=Decimal("0.50")))
    bill = replace(result(1, Decimal("0.40")), billable_units=Decimal(4))
    await moved(store, await moved(store, told, JobState.FINISHED, result=bill), JobState.DELIVERED)
    free = await running(store, new_job(cost_usd=Decimal("0.50")))
    await moved(store, free, JobState.FAILED, failure=FAILURE)

    grown = {name: round(value - before[name], 6) for name, value in figures().items()}
    assert grown == {
        "spent_usd_total": 0.65,
        "settled_totalestimated": 1,
        "settled_totalbilled": 1,
        "estimate_ratio_count": 1,
        "estimate_ratio_sum": 1.25,
    }
