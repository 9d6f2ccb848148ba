"""Which job is next: start-time fair queueing on two levels, server then person, in rows that outlive a restart.

A flow (a server, or a person outside of servers) that has jobs waiting carries a start tag; the lowest one is served
next, and serving a job moves the tag on by the job's pictures. A flow that had nothing waiting joins at the virtual
time, the start tag served last. Within a flow the people in it are served in the same way, a job costing its pictures
over the person's weight; a person's own jobs go in order of acceptance. Between equal tags whoever has waited longer is
first. All of it is worked out here, not in SQL, so that every database gives the same order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from typing import Any, Protocol

from sqlalchemy import Connection, Row, TextClause, bindparam, func, select, text, tuple_

from bot.store.dialect import upsert
from bot.store.tables import fairness, flow_users, flows, jobs

#: Written out, not bound: only so can the planner use the partial indexes.
QUEUED = text("jobs.state = 'queued'")
HELD = text("jobs.state = 'held'")
CLAIMED = text("jobs.state IN ('submitting', 'running', 'finished')")
#: What counts against caps. The first part names the partial index.
AT_FAL = text("jobs.state IN ('submitting', 'running', 'finished') AND jobs.state <> 'finished'")

#: Flow and person.
Key = tuple[int, int]

#: Parts of one UNION; a power of two.
_PARTS = 64


def flow_of(user_id: int, guild_id: int | None) -> int:
    """The flow a job belongs to."""
    return -user_id if guild_id is None else guild_id


def lock_queue(connection: Connection) -> float:
    """Keep other processes (PostgreSQL) from changing the queue until this transaction ends; the virtual time.

    It comes after the locks on rows of `jobs`, `rate_state` and `balances`, and before those on rows of `drafts`;
    whoever has it takes jobs only if nobody else holds them.
    """
    found: float = connection.execute(_LOCK).scalar_one()
    return found


_LOCK = select(fairness.c.virtual_time).with_for_update()


# ---------------------------------------------------------------------- joining and leaving


@dataclass(slots=True)
class FlowState:
    """A row of `flows` or `flow_users`."""

    tag: float = 0.0
    since_us: int = 0
    waiting: int = 0
    virtual_time: float = 0.0

    def join(self, time: float, now_us: int) -> None:
        if not self.waiting:
            self.tag = max(self.tag, time)
            self.since_us = now_us
        self.waiting += 1

    def put_back(self, time: float, fair_cost: float) -> None:
        self.tag = max(time, self.tag - fair_cost)
        self.waiting += 1


class FlowStates:
    """The flows and people for whom one transaction changes the queue: locked, read once, written once."""

    def __init__(self, connection: Connection, keys: AbstractSet[Key]) -> None:
        self._connection = connection
        #: The virtual time among the flows.
        self.time = lock_queue(connection)
        self._flows = {
            row.flow_id: FlowState(row.tag, row.since_us, row.waiting, row.virtual_time)
            for row in connection.execute(_FLOWS, {"flows": sorted({flow for flow, _ in keys})})
        }
        self._users = {
            (row.flow_id, row.user_id): FlowState(row.tag, row.since_us, row.waiting)
            for row in connection.execute(_USERS, {"keys": sorted(keys)})
        }
        self._touched: set[Key] = set()

    def join(self, key: Key, now_us: int) -> int:
        """One job more waits; how many of the same person come before it."""
        flow, user = self._states(key)
        flow.join(self.time, now_us)
        user.join(flow.virtual_time, now_us)
        return user.waiting - 1

    def leave(self, key: Key) -> None:
        """One job ended that was never claimed; it has cost nothing."""
        for state in self._states(key):
            state.waiting = max(0, state.waiting - 1)

    def put_back(self, key: Key, images: int, fair_cost: float) -> None:
        """A claimed job waits again, where it stood: what its claim cost is given back."""
        flow, user = self._states(key)
        flow.put_back(self.time, images)
        user.put_back(flow.virtual_time, fair_cost)

    def _states(self, key: Key) -> tuple[FlowState, FlowState]:
        self._touched.add(key)
        return self._flows.setdefault(key[0], FlowState()), self._users.setdefault(key, FlowState())

    def write(self) -> None:
        """What changed."""
        upsert(
            self._connection,
            flows,
            [
                {
                    "flow_id": flow,
                    "tag": state.tag,
                    "since_us": state.since_us,
                    "waiting": state.waiting,
                    "virtual_time": state.virtual_time,
                }
                for flow, state in sorted((flow, self._flows[flow]) for flow in {flow for flow, _ in self._touched})
            ],
            replace=("tag", "since_us", "waiting"),
        )
        upsert(
            self._connection,
            flow_users,
            [
                {
                    "flow_id": key[0],
                    "user_id": key[1],
                    "tag": state.tag,
                    "since_us": state.since_us,
                    "waiting": state.waiting,
                }
                for key, state in ((key, self._users[key]) for key in sorted(self._touched))
            ],
            replace=("tag", "since_us", "waiting"),
        )


_FLOWS = select(flows).where(flows.c.flow_id.in_(bindparam("flows", expanding=True)))
_USERS = select(flow_users).where(
    tuple_(flow_users.c.flow_id, flow_users.c.user_id).in_(bindparam("keys", expanding=True))
)


# ---------------------------------------------------------------------- the order


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A waiting job, as the order sees it."""

    seq: int
    id: str
    key: Key
    images: int
    #: Images over the person's weight.
    fair_cost: float


class CapCheck(Protocol):
    """Who may not have more jobs under way. Nobody gets below a cap again while a `DequeueOrder` is followed."""

    def flow_full(self, flow_id: int) -> bool:
        """Whether the server has as many as it may."""

    def user_full(self, user_id: int) -> bool:
        """Whether the person has."""

    def took(self, key: Key) -> None:
        """One more is under way."""


class Uncapped:
    """Everybody may have any number."""

    def flow_full(self, flow_id: int) -> bool:
        """Never."""
        return False

    def user_full(self, user_id: int) -> bool:
        """Never."""
        return False

    def took(self, key: Key) -> None:
        """Does not matter."""


@dataclass(slots=True)
class _Person:
    tag: float
    since_us: int
    ready: deque[QueueEntry] = field(default_factory=deque)
    #: Whether the database may hold more than `ready`, and after which job.
    more: bool = True
    last_seq: int = 0
    taken: int = 0


@dataclass(slots=True)
class _Flow:
    tag: float
    since_us: int
    virtual_time: float
    people: dict[int, _Person] = field(default_factory=dict)
    heap: list[tuple[float, int, int]] = field(default_factory=list)
    more: bool = True
    #: Whoever is not read yet comes after this.
    edge: tuple[float, int, int] = (-1.0, 0, 0)
    taken: int = 0


class DequeueOrder:
    """The waiting jobs in the order of service, worked out in memory; `write` records those that were taken.

    Reads only the flows, people and jobs that can be among about the next `most`: neither the length of the queue nor
    the number of those who wait makes it slower.
    """

    def __init__(
        self, connection: Connection, *, time: float, most: int, caps: CapCheck, without: Collection[str] = ()
    ) -> None:
        self._connection = connection
        self._most = max(most, 1)
        self._caps = caps
        self._without = without
        self._flows: dict[int, _Flow] = {}
        self._heap: list[tuple[float, int, int]] = []
        self._more = True
        self._edge: tuple[float, int, int] = (-1.0, 0, 0)
        self._time = self.virtual_time = time

    def next(self) -> QueueEntry | None:
        """The next job; None when nobody below their caps has one."""
        while True:
            if self._more and (not self._heap or self._heap[0] > self._edge):
                self._read_flows()
                continue
            if not self._heap:
                return None
            tag, since_us, flow_id = heappop(self._heap)
            flow = self._flows[flow_id]
            entry = None if self._caps.flow_full(flow_id) else self._next_in(flow_id, flow)
            if entry is None:
                continue
            self.virtual_time = max(self.virtual_time, tag)
            # From the virtual time on: who was held up by a cap does not make up for it at the others' cost.
            flow.tag = self.virtual_time + entry.images
            flow.taken += 1
            heappush(self._heap, (flow.tag, since_us, flow_id))
            self._caps.took(entry.key)
            return entry

    def _next_in(self, flow_id: int, flow: _Flow) -> QueueEntry | None:
        while True:
            if flow.more and (not flow.heap or flow.heap[0] > flow.edge):
                self._read_people([flow_id], self._most)
                continue
            if not flow.heap:
                return None
            tag, since_us, user_id = heappop(flow.heap)
            person = flow.people[user_id]
            entry = None if self._caps.user_full(user_id) else self._next_of((flow_id, user_id), person)
            if entry is None:
                continue
            flow.virtual_time = max(flow.virtual_time, tag)
            person.tag = flow.virtual_time + entry.fair_cost
            person.taken += 1
            heappush(flow.heap, (person.tag, since_us, user_id))
            return entry

    def _next_of(self, key: Key, person: _Person) -> QueueEntry | None:
        while True:
            while person.ready:
                entry = person.ready.popleft()
                if entry.id not in self._without:
                    return entry
            if not person.more:
                return None
            self._read_jobs([key], self._most)

    def write(self) -> None:
        """Move the tags of those who were served, and count their jobs out of the queue."""
        served = [(flow_id, flow) for flow_id, flow in sorted(self._flows.items()) if flow.taken]
        if not served:
            return
        self._connection.execute(
            _SERVE_FLOW,
            [
                {"b_flow": flow_id, "b_tag": flow.tag, "b_time": flow.virtual_time, "b_taken": flow.taken}
                for flow_id, flow in served
            ],
        )
        self._connection.execute(
            _SERVE_USER,
            [
                {"b_flow": flow_id, "b_user": user_id, "b_tag": person.tag, "b_taken": person.taken}
                for flow_id, flow in served
                for user_id, person in sorted(flow.people.items())
                if person.taken
            ],
        )
        if self.virtual_time != self._time:
            self._connection.execute(_SET_TIME, {"b_time": self.virtual_time})

    # ------------------------------------------------------------------ reading as far as needed

    def _read_flows(self) -> None:
        tag, since_us, flow_id = self._edge
        values = {"tag": tag, "since": since_us, "flow": flow_id, "most": self._most}
        rows = self._connection.execute(_NEXT_FLOWS, values).all()
        self._more = len(rows) == self._most
        if not rows:
            return
        for row in rows:
            self._flows[row.flow_id] = _Flow(row.tag, row.since_us, row.virtual_time)
            heappush(self._heap, (row.tag, row.since_us, row.flow_id))
        self._edge = (rows[-1].tag, rows[-1].since_us, rows[-1].flow_id)
        self._read_people([row.flow_id for row in rows], self._share_of(len(rows)))

    def _read_people(self, flow_ids: Sequence[int], most: int) -> None:
        found: dict[int, list[Row[Any]]] = {flow_id: [] for flow_id in flow_ids}
        edges = [(flow_id, *self._flows[flow_id].edge) for flow_id in flow_ids]
        for row in self._union("people", edges, ("flow", "tag", "since", "user"), most):
            found[row.flow_id].append(row)
        new: list[Key] = []
        for flow_id, rows in found.items():
            flow = self._flows[flow_id]
            flow.more = len(rows) == most
            for row in rows:
                flow.people[row.user_id] = _Person(row.tag, row.since_us)
                heappush(flow.heap, (row.tag, row.since_us, row.user_id))
                new.append((flow_id, row.user_id))
            if rows:
                flow.edge = (rows[-1].tag, rows[-1].since_us, rows[-1].user_id)
        if new:
            self._read_jobs(new, self._share_of(len(new)))

    def _read_jobs(self, keys: Sequence[Key], most: int) -> None:
        counts = dict.fromkeys(keys, 0)
        after = [(*key, self._flows[key[0]].people[key[1]].last_seq) for key in keys]
        for row in self._union("jobs", after, ("flow", "user", "seq"), most):
            key = (row.flow_id, row.user_id)
            person = self._flows[row.flow_id].people[row.user_id]
            person.ready.append(QueueEntry(row.seq, row.id, key, row.images, row.fair_cost))
            person.last_seq = row.seq
            counts[key] += 1
        for key, count in counts.items():
            self._flows[key[0]].people[key[1]].more = count == most

    def _share_of(self, many: int) -> int:
        """How many to read of each of `many`, so that mostly no second read is needed."""
        return min(self._most, 1 + -(-2 * self._most // many))

    def _union(
        self, what: str, parts: Sequence[tuple[float, ...]], names: Sequence[str], most: int
    ) -> Iterable[Row[Any]]:
        for start in range(0, len(parts), _PARTS):
            some = parts[start : start + _PARTS]
            size = 1 << (len(some) - 1).bit_length()  # few different statements, for the caches of the drivers
            values: dict[str, float | None] = {"most": most}
            for n in range(size):
                # Nothing equals NULL: what fills up to `size` finds nothing.
                part = some[n] if n < len(some) else (None,) * len(names)
                values.update((f"{name}{n}", value) for name, value in zip(names, part, strict=True))
            yield from self._connection.execute(_statement(what, size), values).all()


_NEXT_FLOWS = (
    select(flows.c.flow_id, flows.c.tag, flows.c.since_us, flows.c.virtual_time)
    .where(
        text("flows.waiting > 0"),
        tuple_(flows.c.tag, flows.c.since_us, flows.c.flow_id)
        > tuple_(
            bindparam("tag", type_=flows.c.tag.type),
            bindparam("since", type_=flows.c.since_us.type),
            bindparam("flow", type_=flows.c.flow_id.type),
        ),
    )
    .order_by(flows.c.tag, flows.c.since_us, flows.c.flow_id)
    .limit(bindparam("most"))
)

# One index range a part; a window function would read every row of a flow.
_PART = {
    "people": (
        "SELECT flow_id, user_id, tag, since_us FROM flow_users "
        "WHERE flow_id = :flow{n} AND waiting > 0 AND (tag, since_us, user_id) > (:tag{n}, :since{n}, :user{n}) "
        "ORDER BY tag, since_us, user_id LIMIT :most"
    ),
    "jobs": (
        "SELECT seq, id, flow_id, user_id, images, fair_cost FROM jobs "
        "WHERE state = 'queued' AND flow_id = :flow{n} AND user_id = :user{n} AND seq > :seq{n} "
        "ORDER BY seq LIMIT :most"
    ),
}


@cache
def _statement(what: str, size: int) -> TextClause:
    parts = (f"SELECT * FROM ({_PART[what].format(n=n)}) AS part{n}" for n in range(size))  # noqa: S608 - no values
    return text(" UNION ALL ".join(parts))


_SERVE_FLOW = (
    flows.update()
    .where(flows.c.flow_id == bindparam("b_flow"))
    .values(tag=bindparam("b_tag"), virtual_time=bindparam("b_time"), waiting=flows.c.waiting - bindparam("b_taken"))
)
_SERVE_USER = (
    flow_users.update()
    .where(flow_users.c.flow_id == bindparam("b_flow"), flow_users.c.user_id == bindparam("b_user"))
    .values(tag=bindparam("b_tag"), waiting=flow_users.c.waiting - bindparam("b_taken"))
)
_SET_TIME = fairness.update().values(virtual_time=bindparam("b_time"))


# ---------------------------------------------------------------------- counting


def recount(connection: Connection) -> None:
    """Correct the counts of waiting jobs where they differ from the queue, e.g. after somebody edited the database."""
    lock_queue(connection)
    if not miscounted(connection):
        return
    connection.execute(flow_users.update().values(waiting=0))
    connection.execute(flows.update().values(waiting=0))
    upsert(connection, flow_users, _counted(connection, flow_users.c.flow_id, flow_users.c.user_id), ("waiting",))
    upsert(connection, flows, _counted(connection, flows.c.flow_id), ("waiting",))


def miscounted(connection: Connection) -> bool:
    """Whether the counts differ from the queue."""
    kept = select(flow_users.c.flow_id, flow_users.c.user_id, flow_users.c.waiting).where(
        text("flow_users.waiting > 0")
    )
    waiting = {(row.flow_id, row.user_id): row.waiting for row in connection.execute(kept)}
    counted = {(row.flow_id, row.user_id): row.count_ for row in connection.execute(_COUNT_USERS)}
    by_flow: dict[int, int] = {}
    for (flow_id, _), count in counted.items():
        by_flow[flow_id] = by_flow.get(flow_id, 0) + count
    kept_flows = select(flows.c.flow_id, flows.c.waiting).where(text("flows.waiting > 0"))
    return waiting != counted or by_flow != {row.flow_id: row.waiting for row in connection.execute(kept_flows)}


def _counted(connection: Connection, *columns: Any) -> list[dict[str, Any]]:
    names = [column.name for column in columns]
    group = [jobs.c[name] for name in names]
    counts = select(*group, func.min(jobs.c.created_us).label("since_us"), func.count().label("waiting"))
    extra = {"tag": 0.0} if "user_id" in names else {"tag": 0.0, "virtual_time": 0.0}
    rows = connection.execute(counts.where(QUEUED).group_by(*group)).mappings()
    return [{**row, **extra} for row in rows]


_COUNT_USERS = (
    select(jobs.c.flow_id, jobs.c.user_id, func.count().label("count_"))
    .where(QUEUED)
    .group_by(jobs.c.flow_id, jobs.c.user_id)
)

__all__ = [
    "AT_FAL",
    "CLAIMED",
    "HELD",
    "QUEUED",
    "CapCheck",
    "DequeueOrder",
    "FlowStates",
    "Key",
    "QueueEntry",
    "Uncapped",
    "flow_of",
    "lock_queue",
    "recount",
]
