"""Leases: which process works on a job. What a process that died held is taken over when its lease has run out.

On PostgreSQL leases go by the database server's clock, so that no machine's clock can make a lease run out early. An
SQLite file belongs to one process at a time, so that whatever another one held is free at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, case, or_, select, text

from bot.domain.job import Job
from bot.store.database import Database
from bot.store.dialect import is_sqlite, lease_now_us
from bot.store.fair_queue import CLAIMED
from bot.store.rows import readable
from bot.store.tables import jobs
from bot.store.writer import Writer

_UNNOTIFIED = text("jobs.told = 0 AND jobs.ended_us IS NOT NULL")


#: Leases extended in one transaction: nobody's move has to wait long for it.
_PAGE = 2000


@dataclass(frozen=True, slots=True)
class KeepRequest:
    """A part of one call of `LeaseStore.keep`."""

    lease_s: float
    #: Known once the first page is done.
    until_us: int = 0


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """One call of `LeaseStore.adopt`."""

    lease_s: float
    limit: int
    orphans: Collection[str]


class LeaseStore:
    """Leases of this process; `store.leases`."""

    def __init__(self, database: Database, writer: Writer, *, process: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._writer = writer
        self._batch = LeaseBatch(process, clock)
        # One object for each kind, so that the writer can tell what belongs together.
        self._keep, self._adopt, self._release = self._batch.keep, self._batch.adopt, self._batch.release

    async def keep(self, lease_s: float) -> frozenset[str]:
        """Extend the lease of every job this process holds, where it would run out sooner, and name them all.

        On SQLite leases do not expire, so nothing is written.

        A job that is missing was adopted by another process, put back, or is over and its owner
        notified: stop working on it. One that nothing here works on (a claim whose answer got lost) is an orphan: hand
        it to `adopt`.
        """
        rest: KeepRequest | None = None if self._database.is_sqlite else KeepRequest(lease_s)
        while rest is not None:
            rest = await self._writer.run(self._keep, rest)
        return await self._database.read(self._batch.held)

    async def adopt(self, *, lease_s: float = 30, limit: int = 500, orphans: Collection[str] = ()) -> list[Job]:
        """Take over up to `limit` jobs that no process works on any more, under a new fence; call until it finds none.

        Jobs under way (SUBMITTING, RUNNING, FINISHED) first, then jobs that ended without a notification. On PostgreSQL
        those whose lease has run out by the server's clock; on SQLite, where no second process can be, all that are
        not ours. Attempts are unchanged.

        Args:
            orphans: ids of jobs under our own lease to take as well.
        """
        return await self._writer.run(self._adopt, AdoptRequest(lease_s, limit, frozenset(orphans)))

    async def release(self) -> None:
        """Let others adopt at once what this process holds; for a shutdown, once nobody here works on it any more."""
        await self._writer.run(self._release, None)

    async def cancel_requests(self) -> list[str]:
        """Jobs that this process holds and somebody cancelled, here or elsewhere."""
        return await self._database.read(self._batch.cancel_requests)


class LeaseBatch:
    """What is behind `LeaseStore.keep`, `adopt` and `release`."""

    def __init__(self, process: str, clock: Callable[[], datetime]) -> None:
        self._process = process
        self._clock = clock

    def held(self, connection: Connection) -> frozenset[str]:
        """The jobs this process holds."""
        found: set[str] = set()
        for statement in _MINE:
            found.update(connection.execute(statement, {"me": self._process}).scalars())
        return frozenset(found)

    def cancel_requests(self, connection: Connection) -> list[str]:
        """Those of them that are under way and cancelled."""
        return list(connection.execute(_CANCELLED, {"me": self._process}).scalars())

    def keep(self, connection: Connection, requests: Sequence[KeepRequest]) -> Sequence[KeepRequest | None]:
        """Extend leases of this process, a page of them; the next page to ask for, None after the last."""
        return [self._keep(connection, request) for request in requests]

    def _keep(self, connection: Connection, request: KeepRequest) -> KeepRequest | None:
        until_us = request.until_us or lease_now_us(connection, self._clock) + int(request.lease_s * 1e6)
        values = {"me": self._process, "until": until_us, "most": _PAGE}
        counts = [len(connection.execute(statement, values).scalars().all()) for statement in _EXTEND]
        return KeepRequest(request.lease_s, until_us) if max(counts) == _PAGE else None

    def release(self, connection: Connection, requests: Sequence[None]) -> Sequence[None]:
        """Let all leases of this process run out now."""
        for statement in _RELEASE:
            connection.execute(statement, {"me": self._process})
        return requests

    def adopt(self, connection: Connection, requests: Sequence[AdoptRequest]) -> Sequence[list[Job]]:
        """Take over what no process works on, oldest first: jobs under way, then ended ones without a notification."""
        return [self._adopt(connection, request) for request in requests]

    def _adopt(self, connection: Connection, request: AdoptRequest) -> list[Job]:
        now_us = lease_now_us(connection, self._clock)
        values = {"me": self._process, "now": now_us, "orphans": list(request.orphans)}
        adopted: list[Job] = []
        for statement in _FREE["sqlite" if is_sqlite(connection) else "other"]:
            adopted += _page(connection, statement, values, request.limit - len(adopted))
        if adopted:
            until_us = now_us + int(request.lease_s * 1e6)
            mine = {"b_ids": [job.id for job in adopted], "b_owner": self._process, "b_until": until_us}
            connection.execute(_ADOPT, mine)
        return adopted


def _as_adopted(row: RowMapping, process: str) -> dict[str, Any]:
    """The row under its new fence; a process that was preparing the job has ended without saying so."""
    crashed = row["preparing"] if row["lease_owner"] != process else 0
    return {**row, "fence": row["fence"] + 1, "preparing": 0, "prepare_crashes": row["prepare_crashes"] + crashed}


def _page(connection: Connection, statement: Any, values: dict[str, Any], most: int) -> list[Job]:
    """Up to `most` jobs as they will be; what a newer version wrote is passed over."""
    found: list[Job] = []
    after = 0
    while len(found) < most:
        wanted = most - len(found)
        rows = connection.execute(statement, {**values, "after": after, "most": wanted}).mappings().all()
        found += readable(_as_adopted(row, values["me"]) for row in rows)
        if len(rows) < wanted:
            break
        after = rows[-1]["seq"]
    return found


_OURS = jobs.c.lease_owner == bindparam("me")
_OTHERS = or_(jobs.c.lease_owner.is_(None), jobs.c.lease_owner != bindparam("me"))
_ORPHAN = jobs.c.id.in_(bindparam("orphans", expanding=True)) & _OURS
_GROUPS = (CLAIMED, _UNNOTIFIED)

_MINE = tuple(select(jobs.c.id).where(group, _OURS) for group in _GROUPS)
_CANCELLED = select(jobs.c.id).where(CLAIMED, _OURS, jobs.c.cancel_requested == 1)
# Locked in the order of ids, like everything that locks rows of `jobs`.
_EXTEND = tuple(
    jobs.update()
    .where(
        jobs.c.id.in_(
            select(jobs.c.id)
            .where(group, _OURS, jobs.c.lease_until_us < bindparam("until"))
            .order_by(jobs.c.id)
            .limit(bindparam("most"))
            .with_for_update()
        )
    )
    .values(lease_until_us=bindparam("until"))
    .returning(jobs.c.id)
    for group in _GROUPS
)
_RELEASE = tuple(
    jobs.update()
    .where(jobs.c.id.in_(select(jobs.c.id).where(group, _OURS).order_by(jobs.c.id).with_for_update()))
    .values(lease_until_us=0, preparing=0)
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
    .where(jobs.c.id.in_(bindparam("b_ids", expanding=True)))
    .values(
        fence=jobs.c.fence + 1,
        lease_owner=bindparam("b_owner"),
        lease_until_us=bindparam("b_until"),
        # As `_as_adopted` has it.
        prepare_crashes=jobs.c.prepare_crashes
        + case((jobs.c.lease_owner == bindparam("b_owner"), 0), else_=jobs.c.preparing),
        preparing=0,
    )
)

__all__ = ["LeaseStore"]
