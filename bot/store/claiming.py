"""Taking jobs from the queue, the fairest first, and who is at a cap of jobs at fal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from bot.domain.job import Job, JobState
from bot.store.dialect import lease_now_us
from bot.store.fair_queue import AT_FAL, QUEUED, DequeueOrder, Key, Uncapped, lock_queue
from bot.store.outcomes import ReachedCaps
from bot.store.rows import Row, readable
from bot.store.tables import jobs
from bot.store.times import to_us


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One call of `JobStore.claim`."""

    limit: int
    lease_s: float
    guild_in_flight: int
    user_in_flight: int
    #: Bound for all processes together.
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim took; `held_up` when a job was passed over because somebody was just writing to its row."""

    jobs: list[Job]
    held_up: bool = False


class ClaimBatch:
    """The batch behind `JobStore.claim`."""

    def __init__(self, process: str, clock: Callable[[], datetime]) -> None:
        self._process = process
        self._clock = clock

    def batch(self, connection: Connection, requests: Sequence[ClaimRequest]) -> Sequence[Claimed]:
        """Hand out the next jobs, the first caller first."""
        return [self._claim(connection, request) for request in requests]

    def _claim(self, connection: Connection, request: ClaimRequest) -> Claimed:
        if request.limit < 1:
            return Claimed([])
        time = lock_queue(connection)
        most = request.limit
        if request.in_flight:
            most = min(most, request.in_flight - connection.execute(_ALL_AT_FAL).scalar_one())
            if most < 1:
                return Claimed([])
        now_us = to_us(self._clock())
        without: set[str] = set()
        held_up = False
        while True:
            order = DequeueOrder(connection, time=time, most=most, caps=_caps(connection, request), without=without)
            ids: list[str] = []
            while len(ids) < most and (entry := order.next()) is not None:
                ids.append(entry.id)
            if not ids:
                return Claimed([], held_up)
            rows = [_as_claimed(row, now_us) for row in connection.execute(_ROWS, {"ids": ids}).mappings()]
            taken = {job.id: job for job in readable(rows)}
            if len(taken) == len(ids):
                break
            # Once more without those that are locked, so that they do not count against anybody's share.
            without.update(set(ids) - taken.keys())
            held_up = held_up or len(rows) < len(ids)
        order.write()
        until_us = lease_now_us(connection, self._clock) + int(request.lease_s * 1e6)
        connection.execute(_TAKE, {"b_ids": ids, "b_owner": self._process, "b_until": until_us})
        return Claimed([taken[id_] for id_ in ids], held_up)


def _as_claimed(row: Row, now_us: int) -> Row:
    changes = {
        "state": JobState.SUBMITTING.value,
        "fence": row["fence"] + 1,
        "attempts": row["attempts"] + 1,
        "submitted_us": None,
    }
    return {**row, **changes}


def _caps(connection: Connection, request: ClaimRequest) -> Uncapped:
    return _CapState(connection, request) if request.guild_in_flight or request.user_in_flight else Uncapped()


class _CapState(Uncapped):
    """At fal now, for servers (not for people outside of them) and for people (wherever they asked)."""

    def __init__(self, connection: Connection, request: ClaimRequest) -> None:
        self._request = request
        self._flows: Counter[int] = Counter()
        self._users: Counter[int] = Counter()
        if request.guild_in_flight:
            # A server's flow has its id.
            self._flows.update(dict(connection.execute(_GUILDS_AT_FAL).all()))
        if request.user_in_flight:
            self._users.update(dict(connection.execute(_USERS_AT_FAL).all()))

    def flow_full(self, flow_id: int) -> bool:
        return flow_id > 0 and 0 < self._request.guild_in_flight <= self._flows[flow_id]

    def user_full(self, user_id: int) -> bool:
        return 0 < self._request.user_in_flight <= self._users[user_id]

    def full(self) -> ReachedCaps:
        """Everybody who is at a cap."""
        return ReachedCaps(
            frozenset(flow_id for flow_id in self._flows if self.flow_full(flow_id)),
            frozenset(user_id for user_id in self._users if self.user_full(user_id)),
        )

    def took(self, key: Key) -> None:
        self._flows[key[0]] += 1
        self._users[key[1]] += 1


def reached_caps(connection: Connection, guild_in_flight: int, user_in_flight: int) -> ReachedCaps:
    """Who is at a cap (0: none)."""
    return _CapState(connection, ClaimRequest(0, 0, guild_in_flight, user_in_flight)).full()


_GUILDS_AT_FAL = (
    select(jobs.c.guild_id, func.count()).where(AT_FAL, jobs.c.guild_id.is_not(None)).group_by(jobs.c.guild_id)
)
_USERS_AT_FAL = select(jobs.c.user_id, func.count()).where(AT_FAL).group_by(jobs.c.user_id)
_ALL_AT_FAL = select(func.count()).select_from(jobs).where(AT_FAL)
# SKIP LOCKED (PostgreSQL): somebody who cancels a job has its row and waits for the queue, which is ours now.
_ROWS = select(jobs).where(QUEUED, jobs.c.id.in_(bindparam("ids", expanding=True))).with_for_update(skip_locked=True)
_TAKE = (
    jobs.update()
    .where(jobs.c.id.in_(bindparam("b_ids", expanding=True)))
    .values(
        state=JobState.SUBMITTING.value,
        fence=jobs.c.fence + 1,
        attempts=jobs.c.attempts + 1,
        submitted_us=None,
        lease_owner=bindparam("b_owner"),
        lease_until_us=bindparam("b_until"),
    )
)

__all__ = ["ClaimBatch", "ClaimRequest", "Claimed", "reached_caps"]
