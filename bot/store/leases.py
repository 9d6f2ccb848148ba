"""Leases: which process cares for a job. What a process that died held is taken over when its lease has run out.

On PostgreSQL leases go by the database server's clock, so that no machine's clock can make a lease run out early. An
SQLite file belongs to one process at a time, so that whatever another one held is free at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, text

from bot.jobs.job import Job
from bot.store.dialect import is_sqlite, lease_now_us
from bot.store.rows import readable
from bot.store.tables import jobs
from bot.store.turns import CLAIMED

_UNTOLD = text("jobs.told = 0 AND jobs.ended_us IS NOT NULL")


@dataclass(frozen=True, slots=True)
class AskAdopt:
    """One call of `Store.adopt`."""

    lease_s: float
    limit: int
    orphans: Collection[str]


class Leasing:
    """The batches behind `Store.keep_leases`, `adopt` and `release_leases`."""

    def __init__(self, process: str, clock: Callable[[], datetime]) -> None:
        self._process = process
        self._clock = clock

    def keep(self, connection: Connection, spans_s: Sequence[float]) -> Sequence[frozenset[str]]:
        """Extend all leases of this process; the jobs it holds."""
        held: set[str] = set()
        for span_s in spans_s[-1:]:
            if is_sqlite(connection):
                # Nobody looks at the time there; thousands of rows need not be written for it.
                for mine in _MINE:
                    held.update(connection.execute(mine, {"me": self._process}).scalars())
                continue
            until_us = lease_now_us(connection, self._clock) + int(span_s * 1e6)
            for statement in _EXTEND:
                held.update(connection.execute(statement, {"me": self._process, "until": until_us}).scalars())
        return [frozenset(held)] * len(spans_s)

    def release(self, connection: Connection, asks: Sequence[None]) -> Sequence[None]:
        """Let all leases of this process run out now."""
        for statement in _EXTEND:
            connection.execute(statement, {"me": self._process, "until": 0})
        return asks

    def adopt(self, connection: Connection, asks: Sequence[AskAdopt]) -> Sequence[list[Job]]:
        """Take over what nobody cares for any more, oldest first: jobs under way, then ends nobody was told about."""
        return [self._adopt(connection, ask) for ask in asks]

    def _adopt(self, connection: Connection, ask: AskAdopt) -> list[Job]:
        now_us = lease_now_us(connection, self._clock)
        values = {"me": self._process, "now": now_us, "orphans": list(ask.orphans)}
        rows: list[dict[str, Any]] = []
        for statement in _FREE["sqlite" if is_sqlite(connection) else "other"]:
            rows += _page(connection, statement, values, ask.limit - len(rows))
        if not rows:
            return []
        until_us = now_us + int(ask.lease_s * 1e6)
        connection.execute(_ADOPT, [{"b_id": row["id"], "b_owner": self._process, "b_until": until_us} for row in rows])
        for row in rows:
            row["fence"] += 1
        return readable(rows)


def _page(connection: Connection, statement: Any, values: dict[str, Any], most: int) -> list[dict[str, Any]]:
    """Up to `most` rows that make sense to us; what a newer version wrote is passed over."""
    found: list[dict[str, Any]] = []
    after = 0
    while len(found) < most:
        wanted = most - len(found)
        rows = [
            dict(row) for row in connection.execute(statement, {**values, "after": after, "most": wanted}).mappings()
        ]
        found += [row for row in rows if readable([row])]
        if len(rows) < wanted:
            break
        after = rows[-1]["seq"]
    return found


_OURS = jobs.c.lease_owner == bindparam("me")
_OTHERS = or_(jobs.c.lease_owner.is_(None), jobs.c.lease_owner != bindparam("me"))
_ORPHAN = jobs.c.id.in_(bindparam("orphans", expanding=True))
_GROUPS = (CLAIMED, _UNTOLD)

_MINE = tuple(select(jobs.c.id).where(group, _OURS) for group in _GROUPS)
# Locked in the order of ids, like everything that locks rows of `jobs`.
_EXTEND = tuple(
    jobs.update()
    .where(jobs.c.id.in_(select(jobs.c.id).where(group, _OURS).order_by(jobs.c.id).with_for_update()))
    .values(lease_until_us=bindparam("until"))
    .returning(jobs.c.id)
    for group in _GROUPS
)
_FREE = {
    kind: tuple(
        select(jobs)
        .where(group, or_(free, _ORPHAN), jobs.c.seq > bindparam("after"))
        .order_by(jobs.c.seq)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
        for group in _GROUPS
    )
    for kind, free in (("sqlite", _OTHERS), ("other", (jobs.c.lease_until_us < bindparam("now")) & _OTHERS))
}
_ADOPT = (
    jobs.update()
    .where(jobs.c.id == bindparam("b_id"))
    .values(fence=jobs.c.fence + 1, lease_owner=bindparam("b_owner"), lease_until_us=bindparam("b_until"))
)

__all__ = ["AskAdopt", "Leasing"]
