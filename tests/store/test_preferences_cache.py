"""Choices kept in memory: read once, and never older than what this process has written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.limits import GuildLimits
from bot.store import Preferences, Store, preferences_cache


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    yield store
    await store.close()


@pytest.fixture
def reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One entry a read of the database."""
    seen: list[object] = []
    read = store._database.read

    async def counted(work: Callable[[Any], Any]) -> Any:
        seen.append(work)
        return await read(work)

    monkeypatch.setattr(store._database, "read", counted)
    return seen


async def test_what_was_read_once_is_not_read_again(store: Store, reads: list[object]) -> None:
    await store.preferences.get(1, 50)
    once = len(reads)

    for _ in range(10):
        assert await store.preferences.get(1, 50) == Preferences()

    assert len(reads) == once


async def test_a_change_is_seen_at_once(store: Store) -> None:
    for model in ("a", "b", None, "c"):
        await store.preferences.get(1, 50)
        await store.preferences.set_user_model(1, model)
        await store.preferences.set_guild_model(50, model)
        assert await store.preferences.get(1, 50) == Preferences(model, model, None)

    await store.preferences.set_guild_limits(50, GuildLimits(images_per_day=3))
    assert (await store.preferences.get(1, 50)).guild_limits == GuildLimits(images_per_day=3)
    await store.preferences.set_guild_limits(50, None)
    assert (await store.preferences.get(1, 50)).guild_limits is None


async def test_an_erased_person_has_chosen_nothing(store: Store) -> None:
    await store.preferences.set_user_model(1, "a")
    assert (await store.preferences.get(1, None)).user_model == "a"

    await store.retention.erase_user(1)

    assert (await store.preferences.get(1, None)).user_model is None


async def test_many_are_read_together(store: Store, reads: list[object]) -> None:
    await asyncio.gather(*(store.preferences.get(user, 50) for user in range(400)))

    assert len(reads) <= 4


async def test_what_was_read_while_it_changed_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The read began before the change and ends after it: its answer is old, and must be nobody else's."""
    read, began, goes_on = store._database.read, asyncio.Event(), asyncio.Event()

    async def slow(work: Callable[[Any], Any]) -> Any:
        found = await read(work)
        began.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(store._database, "read", slow)
    early = asyncio.create_task(store.preferences.get(1, None))
    await began.wait()
    await store.preferences.set_user_model(1, "new")
    goes_on.set()

    assert (await early).user_model is None
    assert (await store.preferences.get(1, None)).user_model == "new"


async def test_a_write_whose_caller_left_is_not_hidden(store: Store) -> None:
    await store.preferences.get(1, None)
    change = asyncio.create_task(store.preferences.set_user_model(1, "a"))
    await asyncio.sleep(0)
    change.cancel()
    await asyncio.gather(change, return_exceptions=True)

    await store.kv.set("later", "1")  # the writer has come past it

    assert (await store.preferences.get(1, None)).user_model == "a"


async def test_a_failed_read_is_told_and_the_next_one_tries_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: object) -> Any:
        raise OSError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(store._database, "read", broken)
        with pytest.raises(OSError, match="on purpose"):
            await store.preferences.get(1, None)

    assert await store.preferences.get(1, None) == Preferences()


async def test_only_so_many_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch, reads: list[object]) -> None:
    monkeypatch.setattr(preferences_cache, "MOST_KEPT", 3)
    for user in range(5):
        await store.preferences.get(user, None)
    before = len(reads)

    await store.preferences.get(4, None)
    assert len(reads) == before
    await store.preferences.get(0, None)
    assert len(reads) == before + 1


async def test_beside_other_processes_nothing_is_trusted_for_long(
    store: Store, monkeypatch: pytest.MonkeyPatch, reads: list[object]
) -> None:
    monkeypatch.setattr(store._preferences_cache, "_trusted_s", 0.0)

    await store.preferences.get(1, None)
    await store.preferences.get(1, None)

    assert len(reads) == 2
