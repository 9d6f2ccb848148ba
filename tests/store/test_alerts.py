"""Alerts are raised once, by whichever process, and sent by another one where that process ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bot.domain.alerts import Alert
from bot.limits import Budgets, GuildLimits
from bot.store import Store
from tests.store.makers import NOON, Clock, accepted, new_job, policy

DAY = (NOON - datetime(1970, 1, 1, tzinfo=UTC)).days
MONTH = DAY - NOON.day + 1
HALF = Alert("g", 50, DAY, 50)
MOST = Alert("g", 50, DAY, 80)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def open_store(url: str, clock: Clock) -> Store:
    return await Store.open(url, clock=clock)


async def test_an_alert_is_new_once(url: str, clock: Clock) -> None:
    store = await open_store(url, clock)
    assert await store.alerts.raise_new([HALF]) == [HALF]
    assert await store.alerts.raise_new([HALF, MOST]) == [MOST]
    assert await store.alerts.raise_new([HALF, MOST]) == []
    await store.close()


async def test_of_many_who_raise_it_at_once_one_has_to_send_it(url: str, clock: Clock) -> None:
    store = await open_store(url, clock)
    raised = await asyncio.gather(*(store.alerts.raise_new([HALF, MOST]) for _ in range(20)))
    assert Counter(alert for some in raised for alert in some) == {HALF: 1, MOST: 1}
    await store.close()


async def test_what_was_not_sent_is_taken_over_once_and_what_was_sent_never(url: str, clock: Clock) -> None:
    store = await open_store(url, clock)
    await store.alerts.raise_new([HALF, MOST])
    await store.alerts.mark_sent(MOST)
    clock.tick(seconds=59)
    assert await store.alerts.take_unsent() == []
    clock.tick(seconds=2)
    assert await store.alerts.take_unsent() == [HALF]
    assert await store.alerts.take_unsent() == []
    clock.tick(seconds=61)
    assert await store.alerts.take_unsent() == [HALF]
    await store.alerts.mark_sent(HALF)
    clock.tick(days=1)
    assert await store.alerts.take_unsent() == []
    await store.close()


async def test_alerts_are_remembered_for_longer_than_their_month(url: str, clock: Clock) -> None:
    store = await open_store(url, clock)
    await store.alerts.raise_new([HALF])
    clock.tick(days=40)
    await store.alerts.raise_new([Alert("g", 50, DAY + 40, 50)])
    assert await store.alerts.raise_new([HALF]) == []
    clock.tick(days=60)
    await store.alerts.raise_new([Alert("g", 50, DAY + 100, 50)])
    assert await store.alerts.raise_new([HALF]) == [HALF]
    await store.close()


async def test_the_balances_of_the_day_and_the_month_are_watched(url: str, clock: Clock) -> None:
    store = await open_store(url, clock)
    rules = policy(budgets=Budgets())
    await store.alerts.set_channel(50, 777)
    await store.preferences.set_guild_limits(50, GuildLimits(server_usd_day=Decimal("0.5")))
    await accepted(store, new_job(user=1, guild=50, cost_usd=Decimal("0.25")), rules)
    await accepted(store, new_job(user=2, guild=None, cost_usd=Decimal("0.125")), rules)
    found = {(one.scope, one.subject_id): one for one in await store.alerts.balances()}
    assert {key: one.usd_micros for key, one in found.items()} == {
        ("g", 50): 250_000,
        ("m", 50): 250_000,
        ("a", 0): 375_000,
        ("n", 0): 375_000,
    }
    assert {one.day for key, one in found.items() if key[0] in "ga"} == {DAY}
    assert {one.day for key, one in found.items() if key[0] in "mn"} == {MONTH}
    assert found["g", 50].channel_id == found["m", 50].channel_id == 777
    assert found["g", 50].limits == GuildLimits(server_usd_day=Decimal("0.5"))
    assert found["a", 0].channel_id is None
    clock.tick(days=1)
    assert {one.scope for one in await store.alerts.balances()} == {"m", "n"}
    clock.tick(days=31)
    assert await store.alerts.balances() == []
    await store.close()


async def test_a_channel_is_set_and_forgotten_and_leaves_the_servers_other_choices(url: str, clock: Clock) -> None:
    store = await open_store(url, clock)
    assert await store.alerts.channel_of(50) is None
    await store.preferences.set_guild_model(50, "e")
    await store.alerts.set_channel(50, 7)
    assert await store.alerts.channel_of(50) == 7
    assert (await store.preferences.get(1, 50)).guild_model == "e"
    await store.alerts.set_channel(50, None)
    assert await store.alerts.channel_of(50) is None
    assert (await store.preferences.get(1, 50)).guild_model == "e"
    await store.close()
