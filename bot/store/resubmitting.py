"""Another submission of a job although fal may have had the last one: reserved anew, under the budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from bot.domain.job import Job
from bot.limits import Policy, Refused, over_budget
from bot.store.tables import jobs, ledger
from bot.store.times import from_us, maybe_from_us, moment_of, to_us
from bot.store.usage import Balance, Count, counts_of, read_counts, spent_of, write_counts


@dataclass(frozen=True, slots=True)
class Resubmit:
    """One call of `JobStore.resubmit`."""

    job: Job
    policy: Policy
    #: Whether nobody can know if the last submission is painted.
    doubtful: bool


class ResubmitBatch:
    """The batch behind `JobStore.resubmit`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def batch(self, connection: Connection, requests: Sequence[Resubmit]) -> Sequence[Job | Refused | None]:
        """Answer all requests in order, each seeing the effects of those before it."""
        ids = {"ids": sorted({request.job.id for request in requests})}
        # Locked before the balances, as wherever a job changes.
        rows = {row.id: row for row in connection.execute(_JOBS, ids)}
        reserved = {row["job_id"]: dict(row) for row in connection.execute(_RESERVED, ids).mappings()}
        wanted = {count for row in reserved.values() for count in _counts(row)}
        batch = _Batch(rows, reserved, read_counts(connection, sorted(wanted), lock=True), to_us(self._clock()))
        answers = [batch.answer(request) for request in requests]
        batch.write(connection)
        return answers


class _Batch:
    """One batch while it is decided and written."""

    def __init__(
        self,
        rows: Mapping[str, Any],
        reserved: Mapping[str, dict[str, Any]],
        balances: dict[Count, Balance],
        now_us: int,
    ) -> None:
        self._rows = rows
        self._reserved = reserved
        self._balances = balances
        self._now_us = now_us
        self._resubmitted: dict[str, dict[str, Any]] = {}

    def answer(self, request: Resubmit) -> Job | Refused | None:
        """The job with one attempt more; None where it moved."""
        job, row = request.job, self._rows.get(request.job.id)
        if row is None or (row.state, row.fence) != (job.state.value, job.fence) or job.id in self._resubmitted:
            return None
        if row.attempts != job.attempts:  # an earlier call was committed, and its answer was lost
            if row.attempts != job.attempts + 1:
                return None
            at = maybe_from_us(row.submitted_us)
            return replace(job, attempts=row.attempts, possible_doubles=row.possible_doubles, submitted_at=at)
        entry = self._reserved.get(job.id)
        if entry is not None:
            if (refused := self._over_budget(request, entry)) is not None:
                return refused
            self._reserve(request, entry)
        attempts, doubles = row.attempts + 1, row.possible_doubles + 1
        self._resubmitted[job.id] = {"b_id": job.id, "attempts": attempts, "possible_doubles": doubles}
        return replace(job, attempts=attempts, possible_doubles=doubles, submitted_at=from_us(self._now_us))

    def _over_budget(self, request: Resubmit, entry: Mapping[str, Any]) -> Refused | None:
        """The budgets of the day it was reserved in: that is where it is billed."""
        if not request.policy.enabled:
            return None
        cost, day = request.job.request.cost, moment_of(entry["day"])
        spent = spent_of(self._balances, request.job.actor, entry["day"])
        refusals = over_budget(spent, request.policy, cost.images, request.policy.usd_micros(cost), day, left_today=0)
        return next(iter(refusals), None)

    def _reserve(self, request: Resubmit, entry: dict[str, Any]) -> None:
        usd_micros = request.policy.usd_micros(request.job.request.cost)
        entry["usd_micros"] += usd_micros
        entry["counted_usd_micros"] += usd_micros
        entry["submissions"] += 1
        entry["doubtful"] += int(request.doubtful)
        for count in _counts(entry):
            self._balances.setdefault(count, Balance()).usd_micros += usd_micros

    def write(self, connection: Connection) -> None:
        """Jobs, ledger and balances, one statement each."""
        if not self._resubmitted:
            return
        moment = {"submitted_us": self._now_us}
        connection.execute(_SUBMITTED, [{**row, **moment} for row in self._resubmitted.values()])
        entries = [entry for job_id, entry in self._reserved.items() if job_id in self._resubmitted]
        if entries:
            connection.execute(
                _RESERVE, [{"b_job": entry["job_id"], **{name: entry[name] for name in _COLUMNS}} for entry in entries]
            )
            changed = {count for entry in entries for count in _counts(entry)}
            write_counts(connection, {count: self._balances[count] for count in changed})


def _counts(entry: Mapping[str, Any] | RowMapping) -> list[Count]:
    return counts_of(entry["user_id"], entry["guild_id"], entry["day"])


_IDS: Any = bindparam("ids", expanding=True)
_COLUMNS = ("usd_micros", "counted_usd_micros", "submissions", "doubtful")
_JOBS = (
    select(*(jobs.c[name] for name in ("id", "state", "fence", "attempts", "possible_doubles", "submitted_us")))
    .where(jobs.c.id.in_(_IDS))
    .order_by(jobs.c.id)
    .with_for_update()
)
_RESERVED = select(ledger).where(ledger.c.job_id.in_(_IDS), ledger.c.state == "reserved").order_by(ledger.c.job_id)
_SUBMITTED = (
    jobs.update()
    .where(jobs.c.id == bindparam("b_id"))
    .values({name: bindparam(name) for name in ("attempts", "possible_doubles", "submitted_us")})
)
_RESERVE = (
    ledger.update().where(ledger.c.job_id == bindparam("b_job")).values({name: bindparam(name) for name in _COLUMNS})
)

__all__ = ["Resubmit", "ResubmitBatch"]
