from __future__ import annotations

import asyncio

import pytest

from bot.limits import GuildLimits
from bot.store import Preferences, Store
from bot.store.durations import PastGeneration
from tests.store.conftest import OpenStore


async def test_nobody_has_chosen_anything_at_first(store: Store) -> None:
    assert await store.preferences.get(1, 50) == Preferences()
    assert await store.preferences.get(1, None) == Preferences()
    assert await store.durations.recent() == []
    assert await store.kv.get("nothing") is None


async def test_choices_of_people_and_servers_do_not_mix(store: Store) -> None:
    await store.preferences.set_user_model(1, "a")
    await store.preferences.set_guild_model(1, "b")
    await store.preferences.set_guild_limits(1, GuildLimits(images_per_day=3))
    await store.preferences.set_guild_limits(2, GuildLimits(burst_images=2, images_per_hour=1.5))

    assert await store.preferences.get(1, 1) == Preferences("a", "b", GuildLimits(images_per_day=3))
    assert await store.preferences.get(1, None) == Preferences("a", None, None)
    assert await store.preferences.get(2, 1) == Preferences(None, "b", GuildLimits(images_per_day=3))
    assert await store.preferences.get(2, 2) == Preferences(
        None, None, GuildLimits(burst_images=2, images_per_hour=1.5)
    )


async def test_choices_can_be_changed_and_forgotten_one_by_one(store: Store) -> None:
    await store.preferences.set_user_model(1, "a")
    await store.preferences.set_user_model(1, "a2")
    await store.preferences.set_guild_model(1, "b")
    await store.preferences.set_guild_limits(1, GuildLimits(images_per_day=3))
    await store.preferences.set_guild_model(1, None)
    assert await store.preferences.get(1, 1) == Preferences("a2", None, GuildLimits(images_per_day=3))

    await store.preferences.set_user_model(1, None)
    await store.preferences.set_guild_limits(1, None)

    assert await store.preferences.get(1, 1) == Preferences()


async def test_choices_outlive_a_restart(open_store: OpenStore) -> None:
    store = await open_store()
    await store.preferences.set_user_model(1, "a")
    await store.kv.set("tree_hash", "abc")
    await store.close()

    again = await open_store()

    assert (await again.preferences.get(1, None)).user_model == "a"
    assert await again.kv.get("tree_hash") == "abc"


async def test_the_last_fifty_generations_of_each_model_are_remembered_in_order(store: Store) -> None:
    for number in range(60):
        await store.durations.record(PastGeneration("slow", float(number), images=number % 4, pixels=2**40))
    await store.durations.record(PastGeneration("other", 4.0))

    recent = await store.durations.recent()
    assert [one.seconds for one in recent if one.endpoint == "slow"] == [float(number) for number in range(10, 60)]
    assert recent[-2:] == [PastGeneration("slow", 59.0, 3, 2**40), PastGeneration("other", 4.0, None, None)]


@pytest.mark.parametrize("value", ["", "x" * 10_000, "ü\n🎨"])
async def test_values_by_key_come_back_as_they_were(store: Store, value: str) -> None:
    await store.kv.set("key", "before")
    await store.kv.set("key", value)

    assert await store.kv.get("key") == value


async def test_the_first_of_several_values_holds(store: Store) -> None:
    found = await asyncio.gather(*(store.kv.set_default("secret", str(n)) for n in range(5)))
    assert len(set(found)) == 1
    assert await store.kv.get("secret") == found[0]


@pytest.mark.postgres
async def test_processes_that_start_at_once_agree_on_a_secret(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url) for _ in range(4)]
    found = await asyncio.gather(*(store.kv.set_default("secret", str(n)) for n, store in enumerate(stores)))
    for store in stores:
        await store.close()
    assert len(set(found)) == 1
