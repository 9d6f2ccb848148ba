"""Taking jobs from the queue, and telling how far away they are."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from operator import itemgetter
from time import monotonic
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, func, select, text

from bot.domain.job import Job, JobState
from bot.store.dialect import lease_now_us
from bot.store.fair_queue import AT_FAL, QUEUED, DequeueOrder, Key, Uncapped, lock_queue
from bot.store.outcomes import QueueStatus, ReachedCaps
from bot.store.rows import Row, readable
from bot.store.tables import fairness, flow_users, flows, jobs
from bot.store.times import to_us

#: Places up to here are exact; those beyond are estimates.
EXACT_PLACES = 500
#: Of these many turns the place told with an acceptance is exact.
EXACT_AT_ONCE = 32

#: How long an estimate goes by who waited when it was last looked.
CROWD_S = 1.0
#: Above this many, whole lists are read and filtered here.
_MOST_IDS = 500
#: Up to this many, each job's own queue is counted by itself.
_FEW = 32


def virtual_time(connection: Connection) -> float:
    """The virtual time among the flows."""
    found: float = connection.execute(select(fairness.c.virtual_time)).scalar_one()
    return found


def waiting_jobs(connection: Connection) -> int:
    """Jobs that nobody has claimed yet."""
    return connection.execute(_WAITING).scalar_one()


_WAITING = select(func.count()).select_from(jobs).where(QUEUED)


# ---------------------------------------------------------------------- places


@dataclass(frozen=True, slots=True)
class Position:
    """How many jobs come before one: in all, and of the same flow."""

    all: int
    in_flow: int


def places(
    connection: Connection, ids: Collection[str], exact: int | None = None, time: float | None = None
) -> dict[str, Position]:
    """How many jobs will be claimed before each of these; only queued ones are in the answer.

    Exact for the first `exact` turns (`EXACT_PLACES`), as if nobody met a cap and nobody came or left. Beyond that an
    estimate, never below `exact`: as if all jobs cost the same and all who wait took turns from the start.
    """
    wanted = set(ids)
    if not wanted:
        return {}
    exact = EXACT_PLACES if exact is None else exact
    time = virtual_time(connection) if time is None else time
    order = DequeueOrder(connection, time=time, most=min(exact, 32), caps=Uncapped())
    found: dict[str, Position] = {}
    before: Counter[int] = Counter()
    for place in range(exact):
        turn = order.next()
        if turn is None:
            return found
        if turn.id in wanted:
            found[turn.id] = Position(place, before[turn.key[0]])
            wanted.discard(turn.id)
            if not wanted:
                return found
        before[turn.key[0]] += 1
    return found | _estimates(connection, wanted, exact)


def _estimates(connection: Connection, wanted: Collection[str], least: int) -> dict[str, Position]:
    own = _own_before(connection, wanted)
    return PositionEstimator().ahead(connection, own, waiting=waiting_jobs(connection), least=least) if own else {}


class PositionEstimator:
    """Who waits, for estimates; read once and good for `CROWD_S`, as nobody can tell the difference in a long queue."""

    def __init__(self) -> None:
        self._flows: tuple[Population, float] | None = None
        self._people: dict[int, tuple[Population, float]] = {}

    def ahead(
        self, connection: Connection, own: Mapping[str, tuple[Key, int]], *, waiting: int, least: int
    ) -> dict[str, Position]:
        """How many come before each job; `own` says whose it is and how many of the same person come before it."""
        now_s = monotonic()
        flow_ids = {key[0] for key, _ in own.values()}
        self._read(connection, {flow_id for flow_id in flow_ids if not _fresh(self._people.get(flow_id), now_s)}, now_s)
        if self._flows is None or not _fresh(self._flows, now_s):
            self._flows = Population(connection.execute(_FLOWS).all()), now_s
        joined_since = max(0, waiting - self._flows[0].jobs)
        found = {}
        for job_id, ((flow_id, user_id), before) in own.items():
            in_flow = self._people[flow_id][0].ahead(user_id, before)
            ahead = self._flows[0].ahead(flow_id, in_flow) + (joined_since if flow_id in self._flows[0] else 0)
            found[job_id] = Position(max(least, min(ahead, waiting - 1)), in_flow)
        return found

    def _read(self, connection: Connection, flow_ids: Collection[int], now_s: float) -> None:
        if not flow_ids:
            return
        self._people = {flow_id: read for flow_id, read in self._people.items() if _fresh(read, now_s)}
        people: defaultdict[int, list[Any]] = defaultdict(list)
        for flow_id, *person in connection.execute(_PEOPLE, {"flows": sorted(flow_ids)}):
            people[flow_id].append(person)
        self._people |= {flow_id: (Population(people[flow_id]), now_s) for flow_id in flow_ids}


def _fresh(read: tuple[object, float] | None, now_s: float) -> bool:
    return read is not None and now_s - read[1] < CROWD_S


class Population:
    """Who waits with how many jobs, all taking turns, those who came first beginning."""

    def __init__(self, members: Iterable[Sequence[Any]]) -> None:
        """From rows of (member, waiting, tag, since)."""
        ordered = sorted(members, key=itemgetter(2, 3, 0))
        self._waiting: dict[int, int] = {row[0]: row[1] for row in ordered}
        self._rank = {row[0]: rank for rank, row in enumerate(ordered)}
        self._counts = sorted(self._waiting.values())
        self._sums = [0, *accumulate(self._counts)]
        #: By number: the ranks of those who have more than so many jobs.
        self._longer: dict[int, list[int]] = {}

    def ahead(self, member: int, own: int) -> int:
        """Jobs before the one of `member` that has `own` of theirs before it; who is not there yet comes last."""
        small = bisect_left(self._counts, own)
        everybody = self._sums[small] + (len(self._counts) - small) * own
        earlier = bisect_left(self._longer_than(own), self._rank.get(member, len(self._rank)))
        return everybody - min(self._waiting.get(member, 0), own) + own + earlier

    @property
    def jobs(self) -> int:
        """Of all of them together."""
        return self._sums[-1]

    def __contains__(self, member: int) -> bool:
        return member in self._waiting

    def _longer_than(self, own: int) -> list[int]:
        """Who is served once more before whoever ranks after them."""
        if own not in self._longer:
            self._longer[own] = [rank for rank, waiting in enumerate(self._waiting.values()) if waiting > own]
        return self._longer[own]


def _own_before(connection: Connection, wanted: Collection[str]) -> dict[str, tuple[Key, int]]:
    """Flow, person and how many of their own jobs come before, for those still queued."""
    if len(wanted) > _MOST_IDS:
        rows: Any = connection.execute(_OWN_ALL)
    else:
        rows = connection.execute(_OWN_FEW if len(wanted) <= _FEW else _OWN_MANY, {"ids": sorted(wanted)})
    return {row.id: ((row.flow_id, row.user_id), row.before) for row in rows if row.id in wanted}


_FLOWS = select(flows.c.flow_id, flows.c.waiting, flows.c.tag, flows.c.since_us).where(text("flows.waiting > 0"))
_PEOPLE = select(
    flow_users.c.flow_id, flow_users.c.user_id, flow_users.c.waiting, flow_users.c.tag, flow_users.c.since_us
).where(text("flow_users.waiting > 0"), flow_users.c.flow_id.in_(bindparam("flows", expanding=True)))
_EARLIER = jobs.alias("earlier")
_OWN_FEW = select(
    jobs.c.id,
    jobs.c.flow_id,
    jobs.c.user_id,
    select(func.count())
    .select_from(_EARLIER)
    .where(
        text("earlier.state = 'queued'"),
        _EARLIER.c.flow_id == jobs.c.flow_id,
        _EARLIER.c.user_id == jobs.c.user_id,
        _EARLIER.c.seq < jobs.c.seq,
    )
    .scalar_subquery()
    .label("before"),
).where(QUEUED, jobs.c.id.in_(bindparam("ids", expanding=True)))
_NUMBERED = (
    select(
        jobs.c.id,
        jobs.c.flow_id,
        jobs.c.user_id,
        (func.row_number().over(partition_by=(jobs.c.flow_id, jobs.c.user_id), order_by=jobs.c.seq) - 1).label(
            "before"
        ),
    )
    .where(QUEUED)
    .subquery()
)
_OWN_ALL = select(_NUMBERED)
_OWN_MANY = select(_NUMBERED).where(_NUMBERED.c.id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class PositionRequest:
    """One call of `Store.place`."""

    job_id: str
    in_flight: int
    guild_in_flight: int
    user_in_flight: int


def place(connection: Connection, ask: PositionRequest) -> QueueStatus | None:
    """Why a job waits; None when it does not."""
    row = connection.execute(_OWN_FEW.add_columns(jobs.c.guild_id), {"ids": [ask.job_id]}).first()
    ahead = places(connection, [ask.job_id]).get(ask.job_id)
    if row is None or ahead is None:
        return None
    flying = connection.execute(_FLYING, {"user": row.user_id, "guild": row.guild_id}).one()
    own, guild = flying.own or 0, flying.guild or 0
    capped_by: Literal["global", "guild", "user"] | None = None
    if ask.user_in_flight and own >= ask.user_in_flight:
        capped_by = "user"
    elif ask.guild_in_flight and row.guild_id is not None and guild >= ask.guild_in_flight:
        capped_by = "guild"
    elif ask.in_flight and flying.all_ >= ask.in_flight:
        capped_by = "global"
    return QueueStatus(
        ahead=ahead.all,
        waiting=waiting_jobs(connection),
        in_flight=flying.all_,
        own_in_flight=own,
        guild_in_flight=guild,
        own_ahead=row.before,
        guild_ahead=ahead.in_flow,
        capped_by=capped_by,
    )


_FLYING = select(
    func.count().label("all_"),
    func.count().filter(jobs.c.user_id == bindparam("user", type_=jobs.c.user_id.type)).label("own"),
    func.count().filter(jobs.c.guild_id == bindparam("guild", type_=jobs.c.guild_id.type)).label("guild"),
).where(AT_FAL)


# ---------------------------------------------------------------------- claiming


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One call of `Store.claim`."""

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
    """The batch behind `Store.claim`."""

    def __init__(self, process: str, clock: Callable[[], datetime]) -> None:
        self._process = process
        self._clock = clock

    def batch(self, connection: Connection, asks: Sequence[ClaimRequest]) -> Sequence[Claimed]:
        """Hand the next jobs out, the first caller served first."""
        return [self._claim(connection, ask) for ask in asks]

    def _claim(self, connection: Connection, ask: ClaimRequest) -> Claimed:
        if ask.limit < 1:
            return Claimed([])
        time = lock_queue(connection)
        most = ask.limit
        if ask.in_flight:
            most = min(most, ask.in_flight - connection.execute(_ALL_AT_FAL).scalar_one())
            if most < 1:
                return Claimed([])
        now_us = to_us(self._clock())
        without: set[str] = set()
        held_up = False
        while True:
            order = DequeueOrder(connection, time=time, most=most, caps=_caps(connection, ask), without=without)
            ids: list[str] = []
            while len(ids) < most and (turn := order.next()) is not None:
                ids.append(turn.id)
            if not ids:
                return Claimed([], held_up)
            rows = [_as_claimed(row, now_us) for row in connection.execute(_ROWS, {"ids": ids}).mappings()]
            taken = {job.id: job for job in readable(rows)}
            if len(taken) == len(ids):
                break
            # Dealt again without those nobody can take now, so that they cost nobody a turn.
            without.update(set(ids) - taken.keys())
            held_up = held_up or len(rows) < len(ids)
        order.write()
        until_us = lease_now_us(connection, self._clock) + int(ask.lease_s * 1e6)
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


def _caps(connection: Connection, ask: ClaimRequest) -> Uncapped:
    return _CapState(connection, ask) if ask.guild_in_flight or ask.user_in_flight else Uncapped()


class _CapState(Uncapped):
    """At fal now, for servers (not for people outside of them) and for people (wherever they asked)."""

    def __init__(self, connection: Connection, ask: ClaimRequest) -> None:
        self._ask = ask
        self._flows: Counter[int] = Counter()
        self._users: Counter[int] = Counter()
        if ask.guild_in_flight:
            # A server's flow has its id.
            self._flows.update(dict(connection.execute(_GUILDS_AT_FAL).all()))
        if ask.user_in_flight:
            self._users.update(dict(connection.execute(_USERS_AT_FAL).all()))

    def flow_full(self, flow_id: int) -> bool:
        return flow_id > 0 and 0 < self._ask.guild_in_flight <= self._flows[flow_id]

    def user_full(self, user_id: int) -> bool:
        return 0 < self._ask.user_in_flight <= self._users[user_id]

    def full(self) -> ReachedCaps:
        """Everybody who is at a cap."""
        return ReachedCaps(
            frozenset(flow_id for flow_id in self._flows if self.flow_full(flow_id)),
            frozenset(user_id for user_id in self._users if self.user_full(user_id)),
        )

    def took(self, key: Key) -> None:
        self._flows[key[0]] += 1
        self._users[key[1]] += 1


def full(connection: Connection, guild_in_flight: int, user_in_flight: int) -> ReachedCaps:
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

__all__ = [
    "EXACT_AT_ONCE",
    "EXACT_PLACES",
    "ClaimBatch",
    "ClaimRequest",
    "Claimed",
    "PositionEstimator",
    "PositionRequest",
    "full",
    "place",
    "places",
]
