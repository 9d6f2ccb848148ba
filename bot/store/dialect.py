"""The few things SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite

from bot.store.times import to_us, utcnow

Insert = sqlite.Insert | postgresql.Insert


def is_sqlite(connection: Connection) -> bool:
    """Whether the single writer already keeps everybody else out, so that no row needs a lock."""
    return connection.dialect.name == "sqlite"


def now_in(connection: Connection, clock: Callable[[], datetime]) -> datetime:
    """The moment limits are reckoned at: on PostgreSQL the server's, the same for every process that shares it.

    A clock that was handed in goes before.
    """
    if clock is not utcnow or is_sqlite(connection):
        return clock()
    found: datetime = connection.execute(_NOW).scalar_one()
    return found


def lease_now_us(connection: Connection, clock: Callable[[], datetime]) -> int:
    """The moment leases are compared with: on PostgreSQL always the server's."""
    return to_us(clock() if is_sqlite(connection) else connection.execute(_NOW).scalar_one())


_NOW = text("SELECT now()")


def insert_into(connection: Connection, table: Table) -> Insert:
    """An INSERT that knows ON CONFLICT."""
    return sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)


def upsert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]], replace: Sequence[str]) -> None:
    """Insert rows; where the key exists, take the new values of the columns in `replace`."""
    many = list(rows)
    if many:
        connection.execute(_upsert(connection.dialect.name, table, tuple(replace)), many)


@cache
def _upsert(dialect: str, table: Table, replace: tuple[str, ...]) -> Insert:
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    keys = [column.name for column in table.primary_key]
    new = statement.excluded
    return statement.on_conflict_do_update(index_elements=keys, set_={name: new[name] for name in replace})
