"""The few things SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = sqlite.Insert | postgresql.Insert


def is_sqlite(connection: Connection) -> bool:
    """Whether the single writer already keeps everybody else out, so that no row needs a lock."""
    return connection.dialect.name == "sqlite"


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
