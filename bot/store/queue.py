"""The queue: who is next, and how far away. Start-time fair queueing; the tags are columns, so restarts keep them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text

from bot.jobs.job import Job, JobState
from bot.store.rows import job_from
from bot.store.tables import fairness, jobs
from bot.store.times import to_us

#: Written out, not bound: only so can the planner use the partial index.
QUEUED = text("jobs.state = 'queued'")

#: Above this many, the whole queue is read and filtered here.
_MOST_IDS = 500


def virtual_time(connection: Connection) -> float:
    """The highest tag claimed so far."""
    found: float = connection.execute(select(fairness.c.virtual_time)).scalar_one()
    return found


def waiting_jobs(connection: Connection) -> int:
    """Jobs that nobody has claimed yet."""
    return connection.execute(_WAITING).scalar_one()


_WAITING = select(func.count()).select_from(jobs).where(QUEUED)


def places(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """How many jobs will be claimed before each of these; only queued ones are in the answer."""
    if not ids:
        return {}
    if len(ids) > _MOST_IDS:
        wanted = set(ids)
        rows = connection.execute(select(_PLACES.c.id, _PLACES.c.place))
        return {job: place - 1 for job, place in rows if job in wanted}
    found = connection.execute(_PLACES_OF, {"ids": list(ids)})
    return {job: place - 1 for job, place in found}


_PLACES = (
    select(jobs.c.id, func.row_number().over(order_by=(jobs.c.fair_tag, jobs.c.seq)).label("place"))
    .where(QUEUED)
    .subquery()
)
_PLACES_OF = select(_PLACES.c.id, _PLACES.c.place).where(_PLACES.c.id.in_(bindparam("ids", expanding=True)))


class Claiming:
    """The batch behind `Store.claim`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def batch(self, connection: Connection, limits: Sequence[int]) -> Sequence[list[Job]]:
        """Hand the next jobs out, the first caller served first."""
        claimed = _claim(connection, sum(limits), to_us(self._clock()))
        shares = []
        for limit in limits:
            shares.append(claimed[:limit])
            claimed = claimed[limit:]
        return shares


def _claim(connection: Connection, limit: int, now_us: int) -> list[Job]:
    if limit < 1:
        return []
    rows: list[dict[str, Any]] = [dict(row) for row in connection.execute(_NEXT, {"most": limit}).mappings()]
    if not rows:
        return []
    for row in rows:
        row.update(
            state=JobState.SUBMITTING.value, fence=row["fence"] + 1, attempts=row["attempts"] + 1, submitted_us=now_us
        )
    connection.execute(_TAKE, [{"b_id": row["id"], "b_now": now_us} for row in rows])
    connection.execute(_ADVANCE_TIME, {"b_tag": max(row["fair_tag"] for row in rows)})
    return [job_from(row) for row in rows]


# SKIP LOCKED (PostgreSQL): two processes that claim at once take different jobs.
_NEXT = (
    select(jobs)
    .where(QUEUED)
    .order_by(jobs.c.fair_tag, jobs.c.seq)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_TAKE = (
    jobs.update()
    .where(jobs.c.id == bindparam("b_id"), QUEUED)
    .values(
        state=JobState.SUBMITTING.value,
        fence=jobs.c.fence + 1,
        attempts=jobs.c.attempts + 1,
        submitted_us=bindparam("b_now"),
    )
)
_ADVANCE_TIME = (
    fairness.update().where(fairness.c.virtual_time < bindparam("b_tag")).values(virtual_time=bindparam("b_tag"))
)

__all__ = ["QUEUED", "Claiming", "places", "virtual_time", "waiting_jobs"]
