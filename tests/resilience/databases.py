"""The database of a proof's world: an SQLite file of its own, or a fresh database on a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Coroutine, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import make_url

from tests.store.conftest import Postgres

T = TypeVar("T")

Kind = Literal["sqlite", "postgresql"]


class Rows(Protocol):
    """A database, read beside the bot."""

    url: str

    def rows(self, statement: str) -> Sequence[Any]:
        """Rows by column name or number; none before the first migration."""

    async def drop(self) -> None:
        """Remove it."""


class File:
    """SQLite."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def rows(self, statement: str) -> Sequence[Any]:
        if not self.path.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)) as connection:
            connection.row_factory = sqlite3.Row
            with suppress(sqlite3.OperationalError):  # before the first migration
                return connection.execute(statement).fetchall()
            return []

    async def drop(self) -> None:
        """Nothing to do: the file is removed with its folder."""


class Server:
    """One of many databases of a PostgreSQL server. Its rows outlive it as JSON, in case a proof finds a fault."""

    def __init__(self, server: Postgres, url: str, folder: Path) -> None:
        self.url = url
        self._server = server
        self._folder = folder
        self._connection: Any = None

    def rows(self, statement: str) -> Sequence[Any]:
        return _aside(self._fetch(statement))

    async def _fetch(self, statement: str) -> Sequence[Any]:
        if self._connection is None:
            where = make_url(self.url).set(drivername="postgresql")
            self._connection = await asyncpg.connect(where.render_as_string(hide_password=False), timeout=30)
        found: Sequence[Any] = await self._connection.fetch(statement)
        return found

    async def drop(self) -> None:
        tables = {name: [dict(row) for row in self.rows(f"SELECT * FROM {name}")] for name in ("jobs", "ledger")}
        (self._folder / "rows.json").write_text(json.dumps(tables, indent=1, default=str))
        if self._connection is not None:
            _aside(self._connection.close())
        await self._server.drop(self.url)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="rows", daemon=True).start()
    return loop


def _aside(work: Coroutine[Any, Any, T]) -> T:
    """Wait in place, as SQLite makes its callers do."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(60)


async def a_database(folder: Path, server: Postgres | None) -> Rows:
    """A new one: on the server where there is one, otherwise a file."""
    return File(folder / "easel.db") if server is None else Server(server, await server.copy(), folder)


__all__ = ["File", "Kind", "Rows", "Server", "a_database"]
