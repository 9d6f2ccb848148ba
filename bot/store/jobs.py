"""Jobs: from acceptance through every move to the end, and finding them again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text

from bot.domain.job import LIVE, Failure, FalRequest, Job, JobState, NewJob, Result
from bot.domain.settlement import Settlement
from bot.limits import Policy, Refused
from bot.phrase import Phrase
from bot.store.accepting import AcceptBatch, AcceptRequest
from bot.store.claiming import ClaimBatch, ClaimRequest
from bot.store.database import Database
from bot.store.fair_queue import QUEUED
from bot.store.outcomes import KEEP, Accepted, Counts, Duplicate, Keep
from bot.store.resubmitting import Resubmit, ResubmitBatch
from bot.store.rows import failure_json, fal_request_json, readable, result_json
from bot.store.settling import Resolution
from bot.store.tables import jobs
from bot.store.times import maybe_us
from bot.store.transitions import (
    Annotate,
    MarkPreparing,
    MarkSubmitting,
    Transition,
    TransitionBatch,
    check_move,
    check_submitting,
)
from bot.store.writer import Writer

#: Rows read and decoded before the event loop gets to do something else.
_PAGE = 500
#: How often, and how long apart, a claim is repeated whose only candidates were just being written to.
_CLAIM_TRIES = 10
_CLAIM_PAUSE_S = 0.01


class JobStore:
    """Jobs and their moves; `store.jobs`."""

    def __init__(self, database: Database, writer: Writer, *, process: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._writer = writer
        # One object for each kind, so that the writer can tell what belongs together.
        self._accept_batch = AcceptBatch(clock).batch
        self._claim_batch = ClaimBatch(process, clock).batch
        self._resubmit_batch = ResubmitBatch(clock).batch
        self._transition_batch = TransitionBatch(process, clock).batch

    async def accept(
        self, new: NewJob, policy: Policy, *, max_waiting: int, within_s: float | None = None
    ) -> Accepted | Refused | Duplicate:
        """Check the limits, reserve and queue, in one transaction; the interaction id and the draft are the keys.

        Args:
            within_s: raise StoreUnusable, and write nothing, when the database has not got to it by then.

        Raises:
            Overloaded: `max_waiting` jobs wait already.
            DraftExpired: there is no such draft any more, nor a job that it became.
            ValueError: the job id is taken.
        """
        if new.cost.images < 1 or policy.weight <= 0:
            raise ValueError("a job needs at least one image and a weight above 0")
        return await self._writer.run(self._accept_batch, AcceptRequest(new, policy, max_waiting), within_s=within_s)

    async def claim(
        self,
        limit: int,
        *,
        lease_s: float = 30,
        in_flight: int = 0,
        guild_in_flight: int = 0,
        user_in_flight: int = 0,
    ) -> list[Job]:
        """Take up to `limit` jobs from the queue, fairest first; they are SUBMITTING, under a new fence, leased to us.

        Args:
            lease_s: how long nobody else may adopt them; see `LeaseStore.keep`.
            in_flight: most jobs that all processes together have at fal, 0 for any number.
            guild_in_flight: most of them of one server, 0 for any number; others go before who has as many.
            user_in_flight: the same for one person.
        """
        request = ClaimRequest(limit, lease_s, guild_in_flight, user_in_flight, in_flight)
        for last in (*(False,) * _CLAIM_TRIES, True):
            claimed = await self._writer.run(self._claim_batch, request)
            if claimed.jobs or last or not claimed.held_up:
                return claimed.jobs
            await asyncio.sleep(_CLAIM_PAUSE_S)
        raise AssertionError("the last try returns")

    async def mark_submitting(self, job: Job) -> Job | None:
        """Note that a SUBMITTING job is about to be sent, as it then stands; None when it moved.

        Until then it is certain that nothing of it has left, whatever becomes of this process.
        """
        check_submitting(job)
        return await self._writer.run(self._transition_batch, MarkSubmitting(job))

    async def mark_preparing(
        self, job: Job, *, preparing: bool, notices: tuple[Phrase, ...] | None = None
    ) -> Job | None:
        """Note that a SUBMITTING job's attachments are being fetched and decoded, or no longer; None when it moved.

        Where this process ends uncleanly in between, whoever adopts the job counts that (`Job.prepare_crashes`).

        Args:
            notices: what its request tells from now on (`GenerationRequest.notices`), where that has changed.
        """
        check_submitting(job)
        request = replace(job.request, notices=notices) if notices is not None else None
        return await self._writer.run(self._transition_batch, MarkPreparing(job, preparing, request))

    async def resubmit(self, job: Job, policy: Policy, *, doubtful: bool = True) -> Job | Refused | None:
        """Count another attempt of a SUBMITTING job although fal may have had the last one; None when it moved.

        Its worst case is reserved anew, in the day and month in which the job was accepted, where the budgets allow.

        Args:
            doubtful: whether nobody can know if the last submission is painted; in the end it counts in full.
        """
        check_submitting(job)
        return await self._writer.run(self._resubmit_batch, Resubmit(job, policy, doubtful))

    async def transition(
        self,
        job: Job,
        to: JobState,
        *,
        fal_request: FalRequest | Keep | None = KEEP,
        result: Result | Keep | None = KEEP,
        failure: Failure | Keep | None = KEEP,
        started_at: datetime | Keep | None = KEEP,
        message_id: int | Keep | None = KEEP,
        notified: bool | Keep = KEEP,
        settlement: Settlement | None = None,
        forgiven_per_day: int = 0,
    ) -> Job | None:
        """Move a job on if it still stands where `job` says (state and fence); None when it does not.

        A terminal state resolves the reservation in the same transaction; what counts in the end is noted with the
        failure (`Failure.charge`). DELIVERED implies notified.

        Args:
            settlement: what is settled; by default what came is, where it is DELIVERED, and nothing otherwise.
            forgiven_per_day: pictures a person and day that don't count although fal made them, if nobody saw them.

        Raises:
            ValueError: not a legal move (SUBMITTING is entered by `claim`).
        """
        check_move(job, to)
        fields: dict[str, Any] = {
            name: value
            for name, value in (("fal_request", fal_request), ("result", result), ("failure", failure))
            if value is not KEEP
        }
        columns = _given(
            request_json=fal_request if fal_request is KEEP else fal_request_json(fal_request),
            request_id=fal_request if fal_request is KEEP else fal_request and fal_request.request_id,
            result_json=result if result is KEEP else result_json(result),
            failure_json=failure if failure is KEEP else failure_json(failure),
            started_us=started_at if started_at is KEEP else maybe_us(started_at),
            message_id=message_id,
            told=notified if notified is KEEP else int(notified),
        )
        end = Resolution(settlement, forgiven_per_day) if settlement is not None else None
        return await self._writer.run(self._transition_batch, Transition(job, to, columns, fields, end))

    async def annotate(
        self,
        job_id: str,
        *,
        message_id: int | Keep | None = KEEP,
        notified: bool | Keep = KEEP,
        cancel_requested: bool | Keep = KEEP,
        started_at: datetime | Keep | None = KEEP,
    ) -> Job | None:
        """Write down facts that change no state; None when there is no such job."""
        columns = _given(
            message_id=message_id,
            told=notified if notified is KEEP else int(notified),
            cancel_requested=cancel_requested if cancel_requested is KEEP else int(cancel_requested),
            started_us=started_at if started_at is KEEP else maybe_us(started_at),
        )
        return await self._writer.run(self._transition_batch, Annotate(job_id, columns))

    async def get(self, job_id: str) -> Job | None:
        """One job; None when it never was, or its content is deleted."""
        found = await self._find(_BY_ID, {"id": job_id})
        return found[0] if found else None

    async def by_interaction(self, interaction_id: int) -> Job | None:
        """The job an interaction started."""
        found = await self._find(_BY_INTERACTION, {"interaction": interaction_id})
        return found[0] if found else None

    async def live(self) -> list[Job]:
        """Every job that is not over, oldest first."""
        return await self._paged(_LIVE_PAGE)

    async def queued(self) -> list[Job]:
        """Every job that nobody has claimed yet, oldest first."""
        return await self._paged(_QUEUED_PAGE)

    async def unnotified(self) -> list[Job]:
        """Failed and cancelled jobs whose owner does not know yet, oldest first."""
        return await self._paged(_UNNOTIFIED_PAGE)

    async def of_user(self, user_id: int, *, live_only: bool, limit: int = 25) -> list[Job]:
        """Somebody's jobs, newest first."""
        return await self._find(_OF_USER_LIVE if live_only else _OF_USER, {"user": user_id, "most": limit})

    async def known_requests(self, request_ids: Collection[str]) -> set[str]:
        """Those of fal's request ids that are on record with any job, also an ended one."""
        ids = sorted(request_ids)

        def work(connection: Connection) -> set[str]:
            found: set[str] = set()
            for start in range(0, len(ids), _PAGE):
                found.update(connection.execute(_KNOWN_REQUESTS, {"ids": ids[start : start + _PAGE]}).scalars())
            return found

        return await self._database.read(work) if ids else set()

    async def counts(self) -> Counts:
        """How much is going on."""
        by_state: dict[str, int] = await self._database.read(lambda connection: dict(connection.execute(_COUNTS).all()))
        waiting = by_state.get(JobState.QUEUED.value, 0)
        flying = sum(by_state.get(state.value, 0) for state in _IN_FLIGHT)
        return Counts(waiting=waiting, in_flight=flying)

    async def _find(self, statement: Any, values: Mapping[str, Any]) -> list[Job]:
        def work(connection: Connection) -> list[Job]:
            return readable(connection.execute(statement, values).mappings())

        return await self._database.read(work)

    async def _paged(self, statement: Any) -> list[Job]:
        def page(connection: Connection, after: int) -> tuple[list[Job], int]:
            rows = connection.execute(statement, {"after": after}).mappings().all()
            return readable(rows), (rows[-1]["seq"] if len(rows) == _PAGE else -1)

        found: list[Job] = []
        after = 0
        while after >= 0:
            some, after = await self._database.read(partial(page, after=after))
            found += some
            await asyncio.sleep(0)
        return found


def _given(**columns: object) -> dict[str, object]:
    return {name: value for name, value in columns.items() if value is not KEEP}


_IN_FLIGHT = LIVE - {JobState.QUEUED, JobState.HELD}

_WITH_CONTENT = select(jobs).where(jobs.c.order_json.is_not(None))
_BY_ID = _WITH_CONTENT.where(jobs.c.id == bindparam("id"))
_BY_INTERACTION = _WITH_CONTENT.where(jobs.c.interaction_id == bindparam("interaction"))
_LIVE = text("jobs.ended_us IS NULL")
_LIVE_PAGE = select(jobs).where(_LIVE, jobs.c.seq > bindparam("after")).order_by(jobs.c.seq).limit(_PAGE)
_QUEUED_PAGE = select(jobs).where(QUEUED, jobs.c.seq > bindparam("after")).order_by(jobs.c.seq).limit(_PAGE)
_UNNOTIFIED_PAGE = (
    _WITH_CONTENT.where(text("jobs.told = 0 AND jobs.ended_us IS NOT NULL"), jobs.c.seq > bindparam("after"))
    .order_by(jobs.c.seq)
    .limit(_PAGE)
)
_OF_USER = _WITH_CONTENT.where(jobs.c.user_id == bindparam("user")).order_by(jobs.c.seq.desc()).limit(bindparam("most"))
_OF_USER_LIVE = _OF_USER.where(_LIVE)
_KNOWN_REQUESTS = select(jobs.c.request_id).where(jobs.c.request_id.in_(bindparam("ids", expanding=True)))
_COUNTS = select(jobs.c.state, func.count()).where(_LIVE).group_by(jobs.c.state)

__all__ = ["JobStore"]
