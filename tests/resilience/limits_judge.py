"""The judge of `limits_exact`: what was admitted, replayed in the order of the transactions from a log of its own.

Triggers on the ledger write the log, so that what is judged is what was committed, and when; nothing here asks the
bot's balances, nor how it adds up. On PostgreSQL they are deferred to COMMIT: whoever waits for another one's lock
comes after it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from bot.store import Store
from tests.resilience.limits_people import ALL, CONCURRENT, DAY, GUILD_CONCURRENT, GUILD_DAY, PEOPLE

_COLUMNS = "job_id, user_id, guild_id, day, reserved_us, state, counted, counted_usd_micros"
_NEW = ", ".join(f"NEW.{name}" for name in _COLUMNS.split(", "))
_TABLE = (
    "CREATE TABLE IF NOT EXISTS proof_log (seq {serial} PRIMARY KEY, job_id TEXT, user_id BIGINT, guild_id BIGINT, "
    "day INTEGER, reserved_us BIGINT, state TEXT, counted INTEGER, counted_usd_micros BIGINT)"
)
_SQLITE = (
    _TABLE.format(serial="INTEGER"),
    *(
        f"CREATE TRIGGER IF NOT EXISTS proof_{when.lower()} AFTER {when} ON ledger BEGIN "
        f"INSERT INTO proof_log ({_COLUMNS}) VALUES ({_NEW}); END"
        for when in ("INSERT", "UPDATE")
    ),
)
_POSTGRES = (
    _TABLE.format(serial="BIGSERIAL"),
    "CREATE OR REPLACE FUNCTION proof_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"INSERT INTO proof_log ({_COLUMNS}) VALUES ({_NEW}); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER proof_noted AFTER INSERT OR UPDATE ON ledger "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION proof_note()",
)
_POSTGRES_GONE = ("DROP FUNCTION proof_note CASCADE", "DROP TABLE proof_log")


def watch(url: str) -> None:
    """Let the database keep the log from now on."""
    asyncio.run(_execute(url, _SQLITE if url.startswith("sqlite") else _POSTGRES))


async def unwatch(url: str) -> None:
    """Take it away again: a PostgreSQL database is shared by many tests."""
    if not url.startswith("sqlite"):
        await _execute(url, _POSTGRES_GONE)


async def _execute(url: str, statements: tuple[str, ...]) -> None:
    store = await Store.open(url)
    try:
        for statement in statements:
            await store._database.write(lambda connection, one=statement: connection.execute(text(one)))  # type: ignore[misc]
    finally:
        await store.close()


# ---------------------------------------------------------------------- the bounds

#: What is bounded, whose, and for a day or month since when.
Key = tuple[str, int, int]


def _bounds() -> Mapping[tuple[str, int], int]:
    """Every bound by what it bounds and whose it is; 0 is everybody."""
    bounds = {("all_day", 0): ALL.all_day, ("all_month", 0): ALL.all_month}
    for user, guild, limits in PEOPLE:
        budgets = limits.budgets
        bounds["person_day", user] = budgets.person_day
        if guild is not None:
            bounds["server_day", guild], bounds["server_month", guild] = budgets.server_day, budgets.server_month
        if limits is DAY:
            bounds["person_pictures", user] = limits.images_per_day
        elif limits is GUILD_DAY:
            bounds["server_pictures", guild or 0] = limits.guild_images_per_day
        elif limits is CONCURRENT:
            bounds["person_jobs", user] = limits.concurrent_jobs
        elif limits is GUILD_CONCURRENT:
            bounds["server_jobs", guild or 0] = limits.guild_concurrent_jobs
    return {of: bound for of, bound in bounds.items() if bound is not None}


BOUNDS = _bounds()
#: Of each sort; each must have been met for a proof to be one.
SORTS = frozenset(sort for sort, _ in BOUNDS)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One reservation as it stands."""

    pictures: int = 0
    micros: int = 0
    jobs: int = 0


@dataclass(slots=True)
class Judgement:
    """What the log says."""

    admissions: int = 0
    resubmissions: int = 0
    over: list[str] = field(default_factory=list)
    #: Share of the fullest one of each sort of bound that was used up at some moment.
    filled: dict[str, float] = field(default_factory=dict)
    days: int = 0
    months: int = 0


class _Replay:
    """Every sum as it was after each change."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._used: Counter[Key] = Counter()
        self.judgement = Judgement()
        self._days: set[int] = set()
        self._months: set[int] = set()

    def follow(self, row: Any) -> None:
        """One change of one reservation."""
        known = self._entries.get(row.job_id)
        before = known or _Entry()
        after = _Entry(row.counted, row.counted_usd_micros, int(row.state == "reserved"))
        self._entries[row.job_id] = after
        grown = []
        for key, more in self._changes(row, before, after):
            self._used[key] += more
            if more > 0:
                grown.append(key)
        self.judgement.admissions += known is None
        self.judgement.resubmissions += known is not None and after.micros > before.micros
        self._judge(row, grown)

    def _changes(self, row: Any, before: _Entry, after: _Entry) -> Iterator[tuple[Key, int]]:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.reserved_us)
        day, month = moment.toordinal(), moment.replace(day=1).toordinal()
        self._days.add(day)
        self._months.add(month)
        if datetime(1970, 1, 1, tzinfo=UTC).toordinal() + row.day != day:
            self.judgement.over.append(f"job {row.job_id} of day {day} is booked in another")
        micros, pictures = after.micros - before.micros, after.pictures - before.pictures
        user, guild, jobs = row.user_id, row.guild_id or 0, after.jobs - before.jobs
        yield ("all_day", 0, day), micros
        yield ("all_month", 0, month), micros
        yield ("person_day", user, day), micros
        yield ("server_day", guild, day), micros
        yield ("server_month", guild, month), micros
        yield ("person_pictures", user, day), pictures
        yield ("server_pictures", guild, day), pictures
        yield ("person_jobs", user, 0), jobs
        yield ("server_jobs", guild, 0), jobs

    def _judge(self, row: Any, keys: list[Key]) -> None:
        filled = self.judgement.filled
        for key in keys:
            bound = BOUNDS.get(key[:2])
            if bound is None:
                continue
            used = self._used[key]
            filled[key[0]] = max(filled.get(key[0], 0.0), used / bound)
            if used > bound:
                self.judgement.over.append(f"change {row.seq}, {key[0]} of {key[1]}: {used} of {bound}")

    def end(self) -> Judgement:
        self.judgement.days, self.judgement.months = len(self._days), len(self._months)
        return self.judgement


def judged(connection: Connection) -> Judgement:
    """Replay the log."""
    replay = _Replay()
    for row in connection.execute(text("SELECT * FROM proof_log ORDER BY seq")):
        replay.follow(row)
    return replay.end()


def fullest_window(admitted: list[tuple[int, int]], interval: timedelta) -> float:
    """The most images in any window beyond what its length earns; `admitted` are moments and images, in order."""
    interval_us = interval / timedelta(microseconds=1)
    images, least, fullest = 0, float("inf"), 0.0
    for moment_us, some in admitted:
        least = min(least, images - moment_us / interval_us)
        images += some
        fullest = max(fullest, images - moment_us / interval_us - least)
    return round(fullest, 6)
