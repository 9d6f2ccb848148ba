"""Moving jobs on, and noting facts about them: many at once, compare-and-set on (id, state, fence)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Update, bindparam, select

from bot.jobs.job import MOVES, TERMINAL, Job, JobState
from bot.store.books import resolve
from bot.store.rows import job_from
from bot.store.tables import jobs
from bot.store.times import from_us, maybe_from_us, to_us


@dataclass(frozen=True, slots=True)
class Move:
    """One call of `Store.advance`."""

    job: Job
    to: JobState
    #: Columns to set with it.
    columns: Mapping[str, object]
    #: Fields of the Job those columns stand for, where the row is not read back (request, result, failure).
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """One call of `Store.note`."""

    job_id: str
    columns: Mapping[str, object]


Change = Move | Note


def check_move(job: Job, to: JobState) -> None:
    """Raise ValueError for a move that is not legal.

    SUBMITTING is entered by `claim` alone: it raises the fence.
    """
    if to is JobState.SUBMITTING or to not in MOVES[job.state]:
        raise ValueError(f"a job can't go from {job.state} to {to}")


class Moving:
    """The batch behind `Store.advance` and `Store.note`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def batch(self, connection: Connection, changes: Sequence[Change]) -> Sequence[Job | None]:
        """Apply all changes in order of arrival, each seeing those before it."""
        round_ = _Round(connection, changes, to_us(self._clock()))
        applied = [round_.apply(change) for change in changes]
        round_.write()
        return [round_.job(change) if took else None for change, took in zip(changes, applied, strict=True)]


class _Round:
    """One batch under way."""

    def __init__(self, connection: Connection, changes: Sequence[Change], now_us: int) -> None:
        self._connection = connection
        self._now_us = now_us
        self._rows = _read(connection, changes)
        self._changed: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._kept: dict[str, int | None] = {}
        self._unqueued: dict[str, tuple[int, float]] = {}

    def apply(self, change: Change) -> bool:
        """Whether the change took."""
        if isinstance(change, Note):
            return self._note(change)
        row = self._rows.get(change.job.id)
        if row is None or row["state"] != change.job.state.value or row["fence"] != change.job.fence:
            return False
        if change.to in TERMINAL:
            self._end(change, row)
        self._set(change.job.id, {"state": change.to.value, **self._moment(change.to), **change.columns})
        self._blank_token(change.job.id)
        return True

    def _note(self, change: Note) -> bool:
        if change.job_id not in self._rows:
            return False
        self._set(change.job_id, change.columns)
        self._blank_token(change.job_id)
        return True

    def _set(self, job_id: str, columns: Mapping[str, object]) -> None:
        self._rows[job_id].update(columns)
        self._changed[job_id].update(columns)

    def _moment(self, to: JobState) -> dict[str, object]:
        if to in TERMINAL:
            # Somebody who has the picture has been told.
            return {"ended_us": self._now_us, **({"told": 1} if to is JobState.DELIVERED else {})}
        return {"finished_us": self._now_us} if to is JobState.FINISHED else {}

    def _end(self, move: Move, row: Mapping[str, Any]) -> None:
        job_id = move.job.id
        self._kept[job_id] = _painted(move) if move.to is JobState.DELIVERED else None
        if row["state"] == JobState.QUEUED.value:
            self._unqueued[job_id] = (row["user_id"], row["fair_cost"])

    def _blank_token(self, job_id: str) -> None:
        row = self._rows[job_id]
        over = row["ended_us"] is not None and row["told"]
        if row["token"] and (over or row["token_expires_us"] <= self._now_us):
            self._set(job_id, {"token": ""})

    def write(self) -> None:
        """One executemany for each set of columns, then the ledger, all in this transaction."""
        shapes: defaultdict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
        for job_id, columns in self._changed.items():
            if columns:
                shapes[frozenset(columns)].append(
                    {"b_id": job_id, **{f"v_{name}": value for name, value in columns.items()}}
                )
        for shape, rows in shapes.items():
            self._connection.execute(_update(shape), rows)
        if self._kept:
            resolve(self._connection, self._kept, self._unqueued, self._now_us)

    def job(self, change: Change) -> Job:
        """The job after the whole batch."""
        if isinstance(change, Note):
            return job_from(self._rows[change.job_id])
        row = self._rows[change.job.id]
        return replace(
            change.job,
            state=change.to,
            fence=row["fence"],
            attempts=row["attempts"],
            told=bool(row["told"]),
            cancel_requested=bool(row["cancel_requested"]),
            submitted_at=maybe_from_us(row["submitted_us"]),
            started_at=maybe_from_us(row["started_us"]),
            finished_at=maybe_from_us(row["finished_us"]),
            ended_at=maybe_from_us(row["ended_us"]),
            reply=replace(
                change.job.reply,
                token=row["token"],
                token_expires_at=from_us(row["token_expires_us"]),
                message_id=row["message_id"],
            ),
            **change.fields,
        )


def _painted(move: Move) -> int:
    """Images to settle: those fal painted, where the answer is known; never more than reserved."""
    result = move.fields.get("result", move.job.result)
    return move.job.order.images if result is None else max(1, len(result.pictures))


def _read(connection: Connection, changes: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """The rows concerned: whole where a note must return the job, otherwise without the long texts."""
    noted = {change.job_id for change in changes if isinstance(change, Note)}
    moved = {change.job.id for change in changes if isinstance(change, Move)} - noted
    rows: dict[str, dict[str, Any]] = {}
    for statement, ids in ((_WHOLE, noted), (_SHORT, moved)):
        if ids:
            for row in connection.execute(statement, {"ids": sorted(ids)}).mappings():
                rows[row["id"]] = dict(row)
    return rows


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
