"""A look at an SQLite file before it is used: a version with a known fault, damage after a crash."""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy import Connection, inspect

from bot.errors import StoreDamaged
from bot.store.database import Database
from bot.store.preferences import read_kv

log = logging.getLogger(__name__)

#: Key of `meta`: "1" while a process has the database open, "0" once it closed it in good order.
IN_USE = "in_use"
#: From here on SQLite no longer loses its way when several connections write and checkpoint a WAL file at once.
SOUND_SQLITE = (3, 51, 3)
#: Files up to this size are checked in about a second.
MOST_BYTES_CHECKED = 200 * 1024 * 1024


async def preflight(database: Database) -> None:
    """Warn, check where the last process ended in a crash, and refuse a damaged file.

    Raises:
        StoreDamaged: with what to do about it.
    """
    path = database.path
    if path is None:
        return
    if sqlite3.sqlite_version_info < SOUND_SQLITE:
        log.warning(
            "this SQLite can damage a file that several connections write at once (mended in 3.51.3); "
            "Easel writes through a single one, which is safe: keep other programs from writing the file",
            extra={"sqlite": sqlite3.sqlite_version},
        )
    if not await database.read(_was_in_use):
        return
    size_bytes = path.stat().st_size
    if size_bytes > MOST_BYTES_CHECKED:
        log.warning(
            "the last process did not close the database; it is too large to check at every start. "
            "`python -m bot db check` does it",
            extra={"mebibytes": size_bytes // 2**20},
        )
        return
    damage = await database.read(_damage)
    if damage is not None:
        raise StoreDamaged(
            f"The database {path} is damaged ({damage}). Keep a copy of the file, see what `python -m bot db check` "
            "says, then restore a backup or move the file away."
        )
    log.info("the last process did not close the database; the file is sound")


def _was_in_use(connection: Connection) -> bool:
    return inspect(connection).has_table("meta") and read_kv(connection, IN_USE) == "1"


def _damage(connection: Connection) -> str | None:
    found: str = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    return None if found == "ok" else found.splitlines()[0][:200]


__all__ = ["IN_USE", "MOST_BYTES_CHECKED", "SOUND_SQLITE", "preflight"]
