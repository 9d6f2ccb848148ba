"""Transitions and annotations of jobs: many at once, compare-and-set on (id, state, fence)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Update, bindparam, select

from bot.domain.job import MOVES, TERMINAL, Failure, Job, JobState, Reply, Result
from bot.domain.request import GenerationRequest
from bot.domain.settlement import FREE, Bill, End, Settlement, bill_of, settlement
from bot.store.dialect import lease_now_us
from bot.store.fair_queue import FlowStates
from bot.store.rows import failure_json, job_from, readable, request_json
from bot.store.settling import Resolution, resolve
from bot.store.tables import jobs
from bot.store.times import WRONG_CLOCK_US, from_us, maybe_from_us, to_us


@dataclass(frozen=True, slots=True)
class Transition:
    """One call of `JobStore.transition`."""

    job: Job
    to: JobState
    #: Columns to set with it.
    columns: Mapping[str, object]
    #: Fields of the Job those columns stand for, where the row is not read back (request, result, failure).
    fields: Mapping[str, Any] = field(default_factory=dict)
    #: Into a terminal state: what is settled; by default what came is, where it was delivered, and nothing otherwise.
    end: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Annotate:
    """One call of `JobStore.annotate`."""

    job_id: str
    columns: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class MarkSubmitting:
    """One call of `JobStore.mark_submitting`."""

    job: Job


@dataclass(frozen=True, slots=True)
class MarkPreparing:
    """One call of `JobStore.mark_preparing`."""

    job: Job
    preparing: bool
    #: In place of the job's, where something was set right meanwhile.
    request: GenerationRequest | None = None


Change = Transition | Annotate | MarkSubmitting | MarkPreparing

#: Time for the process that ended a job to notify its owner, before another one does.
NOTIFY_LEASE_S = 12.0


def check_move(job: Job, to: JobState) -> None:
    """Raise ValueError for a move that is not legal.

    SUBMITTING is entered by `claim` alone: it raises the fence.
    """
    if to is JobState.SUBMITTING or to not in MOVES[job.state]:
        raise ValueError(f"a job can't go from {job.state} to {to}")


def check_submitting(job: Job) -> None:
    """Raise ValueError for a job that is not SUBMITTING."""
    if job.state is not JobState.SUBMITTING:
        raise ValueError(f"a job that is {job.state} can't be sent")


class TransitionBatch:
    """The batch behind all calls of `JobStore` that change one job."""

    def __init__(self, process: str, clock: Callable[[], datetime]) -> None:
        self._process = process
        self._clock = clock

    def batch(self, connection: Connection, changes: Sequence[Change]) -> Sequence[Job | None]:
        """Apply all changes in order of arrival, each seeing those before it."""
        batch = _Batch(connection, changes, self._process, self._clock)
        applied = [batch.apply(change) for change in changes]
        batch.write()
        return [batch.job(change) if took else None for change, took in zip(changes, applied, strict=True)]


class _Batch:
    """One batch while it is applied and written."""

    def __init__(
        self, connection: Connection, changes: Sequence[Change], process: str, clock: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._process = process
        self._clock = clock
        self._now_us = to_us(clock())
        self._notify_until_us: int | None = None
        noted = {change.job_id for change in changes if isinstance(change, Annotate)}
        #: Jobs that are more than annotated.
        self._moved = {change.job.id for change in changes if not isinstance(change, Annotate)}
        self._rows = _read(connection, noted, self._moved - noted)
        self._changed: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._ends: dict[str, Resolution] = {}
        #: Why they ended, from then on with what was settled.
        self._failures: dict[str, Failure | None] = {}
        #: Annotated jobs, as they were.
        self._noted: dict[str, Job] = {}
        #: Into and out of the queue, in order: the rows, as they were.
        self._queue: list[tuple[JobState, JobState, dict[str, Any]]] = []

    def apply(self, change: Change) -> bool:
        """Whether the change took."""
        if isinstance(change, Annotate):
            return self._note(change)
        row = self._rows.get(change.job.id)
        if row is None or row["state"] != change.job.state.value or row["fence"] != change.job.fence:
            return False
        if isinstance(change, MarkSubmitting):
            self._set(row["id"], {"submitted_us": self._now_us})
            return True
        if isinstance(change, MarkPreparing):
            self._set(row["id"], {"preparing": int(change.preparing)})
            if change.request is not None:
                self._set(row["id"], {"order_json": request_json(change.request)})
            return True
        if JobState.QUEUED in {change.job.state, change.to}:
            self._queue.append((change.job.state, change.to, row))
        if change.to in TERMINAL:
            self._ends[row["id"]] = change.end or Resolution(_usual_settlement(change))
            self._failures[row["id"]] = change.fields.get("failure")
        self._set(row["id"], {"state": change.to.value, **self._moment(change.to), **change.columns})
        self._set(row["id"], self._lease(row, change.to))
        if row["preparing"]:  # a process that moves a job is alive
            self._set(row["id"], {"preparing": 0})
        self._blank_token(row["id"])
        return True

    def _lease(self, row: Mapping[str, Any], to: JobState) -> Mapping[str, object]:
        """Whoever ends a job holds it until its owner was notified; nobody holds what waits or is over."""
        if to in TERMINAL and not row["told"]:
            if self._notify_until_us is None:
                self._notify_until_us = lease_now_us(self._connection, self._clock) + int(NOTIFY_LEASE_S * 1e6)
            return {"lease_owner": self._process, "lease_until_us": self._notify_until_us}
        return _FREE if to in TERMINAL or to is JobState.QUEUED else {}

    def _note(self, change: Annotate) -> bool:
        row = self._rows.get(change.job_id)
        # What a newer version wrote is left to it.
        if row is None or not (found := readable([row])):
            return False
        self._noted[change.job_id] = found[0]
        self._set(change.job_id, change.columns)
        if row["ended_us"] is not None and row["told"] and row["lease_owner"] is not None:
            self._set(change.job_id, _FREE)
        self._blank_token(change.job_id)
        return True

    def _set(self, job_id: str, columns: Mapping[str, object]) -> None:
        self._rows[job_id].update(columns)
        self._changed[job_id].update(columns)

    def _moment(self, to: JobState) -> dict[str, object]:
        if to in TERMINAL:
            # The picture is the notification.
            return {"ended_us": self._now_us, **({"told": 1} if to is JobState.DELIVERED else {})}
        return {"finished_us": self._now_us} if to is JobState.FINISHED else {}

    def _blank_token(self, job_id: str) -> None:
        row = self._rows[job_id]
        over = row["ended_us"] is not None and row["told"]
        if row["token"] and (over or row["token_expires_us"] <= self._now_us - WRONG_CLOCK_US):
            self._set(job_id, {"token": ""})

    def write(self) -> None:
        """The ledger, then one executemany for each set of columns, all in this transaction."""
        if self._ends:
            for job_id, charge in resolve(self._connection, self._ends, self._now_us).items():
                if (failure := self._failures[job_id]) is not None:
                    self._failures[job_id] = charged = replace(failure, charge=charge)
                    self._set(job_id, {"failure_json": failure_json(charged)})
        shapes: defaultdict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        for job_id, columns in self._changed.items():
            if columns:
                shapes[frozenset(columns)].append(
                    {"b_id": job_id, **{f"v_{name}": value for name, value in columns.items()}}
                )
        for shape, rows in shapes.items():
            self._connection.execute(_update(shape), rows)
        if self._queue:
            self._change_queue()

    def _change_queue(self) -> None:
        flow_states = FlowStates(self._connection, {(row["flow_id"], row["user_id"]) for _, _, row in self._queue})
        for before, after, row in self._queue:
            key = (row["flow_id"], row["user_id"])
            if before is JobState.QUEUED:
                flow_states.leave(key)
            elif before is JobState.SUBMITTING:
                flow_states.put_back(key, row["images"], row["fair_cost"])
            elif after is JobState.QUEUED:
                flow_states.join(key, self._now_us)
        flow_states.write()

    def job(self, change: Change) -> Job:
        """The job after the whole batch."""
        if isinstance(change, Annotate) and change.job_id in self._moved:
            return job_from(self._rows[change.job_id])
        known = self._noted[change.job_id] if isinstance(change, Annotate) else change.job
        row = self._rows[known.id]
        return replace(
            known,
            state=change.to if isinstance(change, Transition) else known.state,
            fence=row["fence"],
            attempts=row["attempts"],
            possible_doubles=row["possible_doubles"],
            notified=bool(row["told"]),
            cancel_requested=bool(row["cancel_requested"]),
            submitted_at=maybe_from_us(row["submitted_us"]),
            started_at=maybe_from_us(row["started_us"]),
            finished_at=maybe_from_us(row["finished_us"]),
            ended_at=maybe_from_us(row["ended_us"]),
            reply=_reply(known.reply, row),
            request=(change.request if isinstance(change, MarkPreparing) else None) or known.request,
            **self._fields(change),
        )

    def _fields(self, change: Change) -> Mapping[str, Any]:
        if not isinstance(change, Transition):
            return {}
        failure = self._failures.get(change.job.id)
        return change.fields if failure is None else {**change.fields, "failure": failure}


def _reply(known: Reply, row: Mapping[str, Any]) -> Reply:
    """The reply as it stands; the same object where nothing has changed, since thousands of jobs are kept at once."""
    token = known.token if row["token"] == known.token else row["token"]
    if (token, row["message_id"], row["token_expires_us"]) == (
        known.token,
        known.message_id,
        to_us(known.token_expires_at),
    ):
        return known
    expires_at = from_us(row["token_expires_us"])
    return replace(known, token=token, token_expires_at=expires_at, message_id=row["message_id"])


def _usual_settlement(move: Transition) -> Settlement:
    """The pictures that came, where they were delivered."""
    if move.to is not JobState.DELIVERED:
        return FREE
    result: Result | None = move.fields.get("result", move.job.result)
    if result is None:
        return settlement(End.DELIVERED, Bill(), shown=move.job.request.images)
    return settlement(End.DELIVERED, bill_of(result), shown=max(1, len(result.pictures)))


def _read(connection: Connection, noted: Set[str], others: Set[str]) -> dict[str, dict[str, Any]]:
    """The rows concerned: whole where an annotation must return the job, otherwise without the long texts."""
    rows: dict[str, dict[str, Any]] = {}
    for statement, ids in ((_WHOLE, noted), (_SHORT, others)):
        if ids:
            for row in connection.execute(statement, {"ids": sorted(ids)}).mappings():
                rows[row["id"]] = dict(row)
    return rows


#: Nobody holds it.
_FREE: Mapping[str, object] = {"lease_owner": None, "lease_until_us": 0}

_LONG = {"order_json", "reply_json", "request_json", "result_json", "failure_json", "role_ids"}
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
# Locked in the order of ids (PostgreSQL), so that two processes can't lock each other out.
_WHOLE = select(jobs).where(jobs.c.id.in_(_IDS)).order_by(jobs.c.id).with_for_update()
_SHORT = (
    select(*(column for column in jobs.c if column.name not in _LONG))
    .where(jobs.c.id.in_(_IDS))
    .order_by(jobs.c.id)
    .with_for_update()
)


@cache
def _update(columns: frozenset[str]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"v_{name}") for name in sorted(columns)}
    return jobs.update().where(jobs.c.id == bindparam("b_id")).values(values)
