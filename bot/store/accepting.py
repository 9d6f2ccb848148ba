"""Accepting jobs: many at once, in one transaction, with one statement for each table that is read or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from bot.domain.job import Job, NewJob
from bot.errors import DraftExpired, Overloaded
from bot.limits import Allowed, Policy, Refused, Usage, capped, decide
from bot.store.dialect import now_in, upsert
from bot.store.drafts import lock_drafts, mark_accepted
from bot.store.fair_queue import FlowStates, Key, flow_of
from bot.store.outcomes import Accepted, Duplicate
from bot.store.positions import EXACT_AT_ONCE, EXACT_POSITIONS, PositionEstimator, positions_of, waiting_jobs
from bot.store.rows import job_columns, job_from, queued_job
from bot.store.tables import jobs, ledger, rate_state
from bot.store.times import day_of, span_us, to_us
from bot.store.usage import Count, RateKey, UsageSnapshot, rate_key_of, write_counts

Answer = Accepted | Refused | Duplicate


@dataclass(frozen=True, slots=True)
class AcceptRequest:
    """One call of `JobStore.accept`."""

    new: NewJob
    policy: Policy
    max_waiting: int


class AcceptBatch:
    """The batch behind `JobStore.accept`."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._estimator = PositionEstimator()

    def batch(self, connection: Connection, requests: Sequence[AcceptRequest]) -> Sequence[Answer | Exception]:
        """Answer all requests, in order of arrival, each seeing the effects of those before it."""
        now = now_in(connection, self._clock)
        batch = _Batch(connection, requests, now)
        answers = [batch.answer(request) for request in requests]
        batch.write()
        ahead = batch.positions(self._estimator)
        return [
            Accepted(answer, batch.allowed[answer.id], ahead.get(answer.id, 0)) if isinstance(answer, Job) else answer
            for answer in answers
        ]


class _Batch:
    """One batch while it is decided and written."""

    def __init__(self, connection: Connection, requests: Sequence[AcceptRequest], now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._now_us = to_us(now)
        self._day = day_of(now)
        # The locks come first: what is read below must be what the process before us committed.
        actors = [request.new.actor for request in requests]
        rates = {rate_key_of(request.new.actor, request.policy) for request in requests}
        self._usage = UsageSnapshot(connection, actors, rates, self._day, lock=True)
        self._flow_states = FlowStates(connection, {_key(request.new) for request in requests})
        capped = {request.new.actor.guild_id for request in requests if request.policy.guild_concurrent_jobs}
        self._usage.read_guilds(connection, [guild for guild in capped if guild is not None])
        draft_ids = {request.new.draft_id for request in requests}
        self._drafts = lock_drafts(connection, [draft_id for draft_id in draft_ids if draft_id is not None])
        self._accepted_drafts: dict[str, str] = {}
        self._jobs = _known(connection, requests, [draft.job_id for draft in self._drafts.values() if draft.job_id])
        self._by_interaction = {job.reply.interaction_id: job for job in self._jobs.values()}
        self._waiting = waiting_jobs(connection)
        self._job_rows: list[dict[str, Any]] = []
        self._ledger_rows: list[dict[str, Any]] = []
        self._touched: set[Count] = set()
        self._rate_changed: set[RateKey] = set()
        self.allowed: dict[str, Allowed] = {}
        self._own_before: dict[str, tuple[Key, int]] = {}

    def positions(self, estimator: PositionEstimator) -> dict[str, int]:
        """How many jobs come before each of those added."""
        if self._waiting <= 1:  # mostly nobody else waits
            return dict.fromkeys(self.allowed, 0)
        if self._waiting > EXACT_POSITIONS:
            # Under load an estimate: every first answer waits for this.
            found = estimator.ahead(self._connection, self._own_before, waiting=self._waiting, least=0)
        else:
            found = positions_of(self._connection, self.allowed, EXACT_AT_ONCE, self._flow_states.time)
        return {job_id: ahead.all for job_id, ahead in found.items()}

    def answer(self, request: AcceptRequest) -> Job | Refused | Duplicate | Exception:
        """Decide one request; a Job means accepted."""
        known = self._by_interaction.get(request.new.reply.interaction_id)
        if known is not None:
            return Duplicate(known)
        if request.new.draft_id is not None and (answer := self._draft_answer(request.new.draft_id)) is not None:
            return answer
        if request.new.id in self._jobs:
            return ValueError(f"job id {request.new.id} is taken")
        rate = rate_key_of(request.new.actor, request.policy)
        usage = self._usage.usage(request.new.actor, rate)
        if self._waiting >= request.max_waiting:
            left = max(0, request.policy.images_per_day - usage.images_today) if request.policy.enabled else None
            return Overloaded(self._waiting, left_today=left)
        verdict = decide(usage, request.policy, request.new.cost, self._now)
        if isinstance(verdict, Refused):
            self._cap(rate, usage, request.policy)
            return verdict
        return self._add(request.new, request.policy, rate, verdict)

    def _draft_answer(self, draft_id: str) -> Duplicate | DraftExpired | None:
        """Why a draft can't become a job now; None when it can."""
        draft = self._drafts.get(draft_id)
        if draft is not None and draft.job_id is not None and draft.job_id in self._jobs:
            return Duplicate(self._jobs[draft.job_id])
        if draft is None or draft.job_id is not None or draft.expires_us <= self._now_us:
            return DraftExpired()
        return None

    def _cap(self, rate: RateKey, usage: Usage, policy: Policy) -> None:
        """Store the arrival time that a refusal was decided by: the retry time that was shown must stay true."""
        after = capped(usage, policy, self._now)
        if policy.enabled and after.tat is not None and after.tat != usage.tat:
            self._usage.gcra_rows[rate].set(to_us(after.tat), self._now_us)
            self._rate_changed.add(rate)

    def _add(self, new: NewJob, policy: Policy, rate: RateKey, allowed: Allowed) -> Job:
        actor, cost = new.actor, new.cost
        tat_us = to_us(allowed.tat) if allowed.span else None
        added = self._usage.add(actor, rate, cost.images, allowed.usd_micros, tat_us=tat_us, now_us=self._now_us)
        self._touched.update(added)
        if allowed.span:
            self._rate_changed.add(rate)
        # A microsecond for each, so that jobs of one batch keep their order.
        key = _key(new)
        self._own_before[new.id] = key, self._flow_states.join(key, self._now_us + len(self._job_rows))
        self._job_rows.append(job_columns(new, self._now_us, flow_id=key[0], fair_cost=cost.images / policy.weight))
        self._ledger_rows.append(
            {
                "job_id": new.id,
                "user_id": actor.user_id,
                "guild_id": actor.guild_id,
                "day": self._day,
                "images": cost.images,
                "counted": cost.images,
                "usd_micros": allowed.usd_micros,
                "counted_usd_micros": allowed.usd_micros,
                "endpoint": new.request.endpoint,
                "estimated": int(cost.usd is None),
                "pace_us": span_us(allowed.span),
                "rate_key": rate[1],
                "state": "reserved",
                "reserved_us": self._now_us,
            }
        )
        job = queued_job(new, self._now)
        self._by_interaction[new.reply.interaction_id] = job
        self._jobs[new.id] = job
        if new.draft_id is not None:
            self._drafts[new.draft_id].job_id = new.id
            self._accepted_drafts[new.draft_id] = new.id
        self._waiting += 1
        self.allowed[new.id] = allowed
        return job

    def write(self) -> None:
        """Everything the batch added, one statement a table."""
        if self._job_rows:
            self._connection.execute(jobs.insert(), self._job_rows)
            self._connection.execute(ledger.insert(), self._ledger_rows)
            self._flow_states.write()
        mark_accepted(self._connection, self._accepted_drafts)
        self._write_usage()

    def _write_usage(self) -> None:
        gcra_rows = self._usage.gcra_rows
        upsert(
            self._connection,
            rate_state,
            [
                {
                    "user_id": user,
                    "rate_key": key,
                    "tat_us": gcra_rows[user, key].tat_us,
                    "seen_us": gcra_rows[user, key].seen_us,
                }
                for user, key in sorted(self._rate_changed)
            ],
            replace=("tat_us", "seen_us"),
        )
        write_counts(self._connection, {count: self._usage.counts[count] for count in self._touched})


def _key(new: NewJob) -> Key:
    return flow_of(new.actor.user_id, new.actor.guild_id), new.actor.user_id


def _known(connection: Connection, requests: Sequence[AcceptRequest], job_ids: Sequence[str]) -> dict[str, Job]:
    """Jobs that exist already, by id: of the same interactions, with an id that is asked for, and these."""
    values = {
        "interactions": [request.new.reply.interaction_id for request in requests],
        "ids": [*(request.new.id for request in requests), *job_ids],
    }
    found = [job_from(row) for row in connection.execute(_KNOWN, values).mappings()]
    return {job.id: job for job in found}


_KNOWN = select(jobs).where(
    or_(
        jobs.c.interaction_id.in_(bindparam("interactions", expanding=True)),
        jobs.c.id.in_(bindparam("ids", expanding=True)),
    )
)

__all__ = ["AcceptBatch", "AcceptRequest", "Answer"]
