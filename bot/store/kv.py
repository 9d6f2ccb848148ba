"""Single values by key that outlive a restart."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, delete, select

from bot.store.database import Database
from bot.store.dialect import insert_into, upsert
from bot.store.tables import kv
from bot.store.writer import Writer


class KeyValueStore:
    """Strings by key (at most 64 characters); `store.kv`."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def get(self, key: str) -> str | None:
        """The value; None when there is none."""
        return await self._database.read(partial(read_kv, key=key))

    async def set(self, key: str, value: str) -> None:
        """Write the value, in place of one that is there."""
        await self._writer.apply(partial(write_kv, key=key, value=value))

    async def set_default(self, key: str, value: str) -> str:
        """Write the value unless there is one; returns the one that holds now, whichever process was first."""
        return await self._writer.apply(partial(write_kv_default, key=key, value=value))

    async def remove(self, key: str) -> None:
        """Forget the value, if there is one."""
        await self._writer.apply(partial(remove_kv, key=key))


def read_kv(connection: Connection, key: str) -> str | None:
    """One value."""
    return connection.execute(select(kv.c.value).where(kv.c.key == key)).scalar()


def remove_kv(connection: Connection, key: str) -> None:
    """Forget one value."""
    connection.execute(delete(kv).where(kv.c.key == key))


def write_kv(connection: Connection, key: str, value: str) -> None:
    """Set one value."""
    upsert(connection, kv, [{"key": key, "value": value}], replace=("value",))


def write_kv_default(connection: Connection, key: str, value: str) -> str:
    """Set one value unless there is one; the value that holds now."""
    connection.execute(insert_into(connection, kv).on_conflict_do_nothing(), [{"key": key, "value": value}])
    found: str = connection.execute(select(kv.c.value).where(kv.c.key == key)).scalar_one()
    return found


__all__ = ["KeyValueStore", "read_kv", "write_kv"]
