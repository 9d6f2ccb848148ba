"""Texts that a command keeps while a bot may have the database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.errors import StoreUnusable
from bot.store import Store
from bot.store.beside import read_beside, write_beside
from tests.store.conftest import Postgres


async def test_a_text_is_kept_and_replaced_while_the_bot_has_the_database(url: str) -> None:
    store = await Store.open(url)
    try:
        assert await read_beside(url, "prices") is None
        for text in ('{"first": 1}', '{"zweite": "zwei — ☺"}'):
            await write_beside(url, "prices", text)
            assert await read_beside(url, "prices") == text
        assert await store.check() == []
    finally:
        await store.close()


async def test_beside_sqlite_it_is_a_private_file_and_the_database_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/easel.db"
    umask = os.umask(0)
    try:
        await write_beside(url, "prices", "{}")
    finally:
        os.umask(umask)

    assert os.listdir(tmp_path / "new") == ["easel.db.prices.json"]
    assert (tmp_path / "new" / "easel.db.prices.json").stat().st_mode & 0o777 == 0o600


async def test_what_a_dead_process_left_unfinished_is_in_nobodys_way(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/easel.db"
    (tmp_path / f"easel.db.prices.json.{os.getpid()}").write_text("{")

    await write_beside(url, "prices", "{}")

    assert await read_beside(url, "prices") == "{}"
    assert os.listdir(tmp_path) == ["easel.db.prices.json"]


async def test_what_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "easel.db.prices.json").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(StoreUnusable):
        await read_beside(f"sqlite:///{tmp_path}/easel.db", "prices")


@pytest.mark.postgres
async def test_an_empty_postgresql_database_is_neither_filled_nor_read(postgres: Postgres) -> None:
    url = await postgres.create()
    try:
        with pytest.raises(StoreUnusable, match="Start the bot once"):
            await write_beside(url, "prices", "{}")
        with pytest.raises(StoreUnusable, match="Start the bot once"):
            await read_beside(url, "prices")
    finally:
        await postgres.drop(url)
