"""Whether a database is sound: an SQLite file before it is used, and the content whenever somebody asks."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection, func, inspect, select, text

from bot.errors import StoreDamaged
from bot.store.database import Database
from bot.store.fair_queue import miscounted
from bot.store.kv import read_kv
from bot.store.tables import balances, jobs, ledger, metadata
from bot.store.usage import Balance, Count, counts_of

log = logging.getLogger(__name__)

#: Key of `kv`: "1" while a process has the database open, "0" once it closed it in good order.
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


_IN_USE_BEFORE = text("SELECT value FROM meta WHERE key = :key")


def _was_in_use(connection: Connection) -> bool:
    tables = inspect(connection).get_table_names()
    if "kv" in tables:
        return read_kv(connection, IN_USE) == "1"
    # Revisions up to 0004.
    return "meta" in tables and connection.execute(_IN_USE_BEFORE, {"key": IN_USE}).scalar() == "1"


def _damage(connection: Connection) -> str | None:
    found: str = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    return None if found == "ok" else found.splitlines()[0][:200]


# ---------------------------------------------------------------------- inspection


def problems(connection: Connection) -> list[str]:
    """What is wrong with the content, a sentence each."""
    return [
        *_file_damage(connection),
        *_wrong_balances(connection),
        *_wrong_ledger(connection),
        *_wrong_queue(connection),
    ]


def _file_damage(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    rows = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
    return [] if rows == ["ok"] else [f"The file is damaged: {row}." for row in rows]


def _wrong_balances(connection: Connection) -> list[str]:
    """Invariant: a balance is the sum of what is settled and what is reserved."""
    sums = balances_of_ledger(connection)
    kept = {
        (row.scope, row.subject_id, row.day): Balance(row.images, row.usd_micros)
        for row in connection.execute(select(balances))
    }
    none = Balance()
    wrong = Counter(key[0] for key in sums.keys() | kept.keys() if sums.get(key, none) != kept.get(key, none))
    return [
        f"The {counts} of {f'{wrong[scope]} ' if many else ''}{whose} differ from the ledger."
        for scope, (counts, whose, many) in _SCOPES.items()
        if wrong[scope]
    ]


#: What the balances of each scope are, whose, and whether there are many.
_SCOPES: Mapping[str, tuple[str, str, bool]] = {
    "u": ("day counts", "people", True),
    "f": ("forgiven pictures", "people", True),
    "g": ("day counts", "servers", True),
    "m": ("month counts", "servers", True),
    "a": ("day counts", "everybody", False),
    "n": ("month counts", "everybody", False),
}


def balances_of_ledger(connection: Connection) -> dict[Count, Balance]:
    """Every balance as it must be, reckoned from the ledger alone."""
    found: defaultdict[Count, Balance] = defaultdict(Balance)
    for row in connection.execute(_SUMS):
        for count in counts_of(row.user_id, row.guild_id, row.day):
            found[count].images += int(row.counted)
            found[count].usd_micros += int(row.usd_micros)
        if row.user_id is not None and row.forgiven:
            found["f", row.user_id, row.day].images += int(row.forgiven)
    return dict(found)


_SUMS = select(
    ledger.c.user_id,
    ledger.c.guild_id,
    ledger.c.day,
    func.sum(ledger.c.counted).label("counted"),
    func.sum(ledger.c.counted_usd_micros).label("usd_micros"),
    func.sum(ledger.c.forgiven).label("forgiven"),
).group_by(ledger.c.user_id, ledger.c.guild_id, ledger.c.day)


def _wrong_ledger(connection: Connection) -> list[str]:
    """Every live job has its reservation open, every job that is over has it resolved."""
    joined = jobs.join(ledger, ledger.c.job_id == jobs.c.id, isouter=True)
    open_ = ledger.c.state == "reserved"
    unreserved = (
        select(func.count()).select_from(joined).where(jobs.c.ended_us.is_(None), (ledger.c.job_id.is_(None)) | ~open_)
    )
    unresolved = select(func.count()).select_from(joined).where(jobs.c.ended_us.is_not(None), open_)
    found = []
    if count := connection.execute(unreserved).scalar_one():
        found.append(f"{count} unfinished jobs have no open reservation.")
    if count := connection.execute(unresolved).scalar_one():
        found.append(f"{count} finished jobs still have an open reservation.")
    return found


def _wrong_queue(connection: Connection) -> list[str]:
    return (
        ["The queue's counts differ from the jobs that wait. The next start mends them."]
        if miscounted(connection)
        else []
    )


def tables_missing(connection: Connection) -> list[str]:
    """Names of tables that ought to be there."""
    return sorted(set(metadata.tables) - set(inspect(connection).get_table_names()))


__all__ = [
    "IN_USE",
    "MOST_BYTES_CHECKED",
    "SOUND_SQLITE",
    "balances_of_ledger",
    "preflight",
    "problems",
    "tables_missing",
]
