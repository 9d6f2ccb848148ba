"""How many jobs come before one in the queue, and why it waits."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from operator import itemgetter
from time import monotonic
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, func, select, text

from bot.store.claiming import reached_caps
from bot.store.database import Database
from bot.store.fair_queue import AT_FAL, QUEUED, DequeueOrder, Key, Uncapped
from bot.store.outcomes import QueueStatus, ReachedCaps
from bot.store.tables import fairness, flow_users, flows, jobs

#: Positions up to here are exact; those beyond are estimates.
EXACT_POSITIONS = 500
#: Up to here the position that comes with an acceptance is exact.
EXACT_AT_ONCE = 32

#: How long the populations that an estimate rests on are good for.
POPULATION_S = 1.0
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


@dataclass(frozen=True, slots=True)
class Position:
    """How many jobs come before one: in all, and of the same flow."""

    all: int
    in_flow: int


def positions_of(
    connection: Connection, ids: Collection[str], exact: int | None = None, time: float | None = None
) -> dict[str, Position]:
    """How many jobs will be claimed before each of these; only queued ones are in the answer.

    Exact for the first `exact` jobs (`EXACT_POSITIONS`), as if nobody met a cap and nobody came or left. Beyond that an
    estimate, never below `exact`: as if all jobs cost the same and all tags were equal at the start.
    """
    wanted = set(ids)
    if not wanted:
        return {}
    exact = EXACT_POSITIONS if exact is None else exact
    time = virtual_time(connection) if time is None else time
    order = DequeueOrder(connection, time=time, most=min(exact, 32), caps=Uncapped())
    found: dict[str, Position] = {}
    before: Counter[int] = Counter()
    for position in range(exact):
        entry = order.next()
        if entry is None:
            return found
        if entry.id in wanted:
            found[entry.id] = Position(position, before[entry.key[0]])
            wanted.discard(entry.id)
            if not wanted:
                return found
        before[entry.key[0]] += 1
    return found | _estimates(connection, wanted, exact)


def _estimates(connection: Connection, wanted: Collection[str], least: int) -> dict[str, Position]:
    own = _own_before(connection, wanted)
    return PositionEstimator().ahead(connection, own, waiting=waiting_jobs(connection), least=least) if own else {}


class PositionEstimator:
    """Estimates positions from who waits; read at most every `POPULATION_S`: a long queue changes little meanwhile."""

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
    return read is not None and now_s - read[1] < POPULATION_S


class Population:
    """Who waits with how many jobs, served round robin, those who came first beginning."""

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
    """One call of `PositionStore.queue_status`."""

    job_id: str
    in_flight: int
    guild_in_flight: int
    user_in_flight: int


def queue_status(connection: Connection, request: PositionRequest) -> QueueStatus | None:
    """Why a job waits; None when it does not."""
    row = connection.execute(_OWN_FEW.add_columns(jobs.c.guild_id), {"ids": [request.job_id]}).first()
    ahead = positions_of(connection, [request.job_id]).get(request.job_id)
    if row is None or ahead is None:
        return None
    flying = connection.execute(_FLYING, {"user": row.user_id, "guild": row.guild_id}).one()
    own, guild = flying.own or 0, flying.guild or 0
    capped_by: Literal["global", "guild", "user"] | None = None
    if request.user_in_flight and own >= request.user_in_flight:
        capped_by = "user"
    elif request.guild_in_flight and row.guild_id is not None and guild >= request.guild_in_flight:
        capped_by = "guild"
    elif request.in_flight and flying.all_ >= request.in_flight:
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


class PositionStore:
    """Answers about the queue; `store.positions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, job_ids: Sequence[str]) -> dict[str, int]:
        """How many jobs will be claimed before each; jobs that are not queued are left out.

        Exact for the first `queue.EXACT_POSITIONS`, an estimate beyond: as if all jobs cost the same.
        """
        found = await self._database.read(partial(positions_of, ids=list(job_ids)))
        return {job_id: ahead.all for job_id, ahead in found.items()}

    async def queue_status(
        self, job_id: str, *, in_flight: int = 0, guild_in_flight: int = 0, user_in_flight: int = 0
    ) -> QueueStatus | None:
        """Why a job waits, given the caps in force (0: none); None when it does not wait."""
        request = PositionRequest(job_id, in_flight, guild_in_flight, user_in_flight)
        return await self._database.read(partial(queue_status, request=request))

    async def reached_caps(self, guild_in_flight: int, user_in_flight: int) -> ReachedCaps:
        """Who has as many jobs at fal as these caps allow (0: any number)."""
        if not guild_in_flight and not user_in_flight:
            return ReachedCaps()
        work = partial(reached_caps, guild_in_flight=guild_in_flight, user_in_flight=user_in_flight)
        return await self._database.read(work)


__all__ = [
    "EXACT_AT_ONCE",
    "EXACT_POSITIONS",
    "PositionEstimator",
    "PositionRequest",
    "PositionStore",
    "positions_of",
    "queue_status",
    "waiting_jobs",
]
