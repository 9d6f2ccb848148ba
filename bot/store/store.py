"""The store: jobs, their ledger, limits in use, preferences. The only way to the database."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, bindparam, func, select, text

from bot.domain.job import LIVE, Actor, Failure, FalRequest, Job, JobState, NewJob, Result
from bot.errors import StoreUnusable
from bot.limits import GuildLimits, Policy, Refused, Usage
from bot.store import integrity, preferences, retention, schema_version
from bot.store.accepting import AcceptBatch, AcceptRequest
from bot.store.claiming import ClaimBatch, ClaimRequest, PositionRequest, full, place, places
from bot.store.database import Database, parse_url
from bot.store.fair_queue import QUEUED, recount
from bot.store.lease_queries import AdoptRequest, KeepRequest, LeaseBatch
from bot.store.outcomes import Accepted, Counts, Duplicate, Erased, Preferences, QueueStatus, ReachedCaps
from bot.store.preferences_cache import TRUSTED_S, PreferencesCache
from bot.store.rows import failure_json, fal_request_json, readable, result_json
from bot.store.tables import jobs
from bot.store.times import day_of, maybe_us, to_us, utcnow
from bot.store.transitions import (
    Annotate,
    MarkSubmitting,
    Resubmit,
    Transition,
    TransitionBatch,
    check_move,
    check_submitting,
)
from bot.store.usage import UsageSnapshot
from bot.store.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Discord gives a command three seconds in all.
_PREFERENCES_WITHIN_S = 2.0
#: Rows read and decoded between two breaths of the event loop.
_PAGE = 500
_CHECKPOINT_TRIES = 20
#: How often, and how long apart, a claim looks again whose only candidates were just being written to.
_CLAIM_TRIES = 10
_CLAIM_PAUSE_S = 0.01
_LONGEST_NAME = 40
_VACUUM_FILE = "VACUUM"
_VACUUM_TABLES = "VACUUM jobs, people, ledger"
#: A file of this size is rewritten in well under a second.
_MOST_BYTES_AT_ONCE = 64 * 1024 * 1024


class Keep(Enum):
    """Marks what a call does not change (None is a value)."""

    KEEP = "keep"


KEEP = Keep.KEEP


class Store:
    """All that outlives a restart.

    Writes go through one task that lets concurrent callers share a transaction; every call returns after its COMMIT.
    Any call may raise StoreUnusable (disk full, locked, server gone); later calls work again when the cause is gone.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime], process: str) -> None:
        #: Under which name leases are held.
        self.process = process
        self._database = database
        self._clock = clock
        self._writer = Writer(database)
        self._preferences_cache = PreferencesCache(database, trusted_s=None if database.is_sqlite else TRUSTED_S)
        # One object for each kind, so that the writer can tell what belongs together.
        self._accept_batch = AcceptBatch(clock).batch
        self._claim_batch = ClaimBatch(process, clock).batch
        self._transition_batch = TransitionBatch(process, clock).batch
        self._lease_batch = LeaseBatch(process, clock)
        self._keep_batch, self._adopt_batch = self._lease_batch.keep, self._lease_batch.adopt

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Callable[[], datetime] = utcnow,
        exclusive: bool = True,
        process: str | None = None,
    ) -> Self:
        """Open the database at `url`, make it where it is missing, bring it to the newest form.

        Args:
            url: `sqlite:///file`, `sqlite:////whole/path` or `postgresql://…`, with or without a driver's name.
            clock: where the present moment comes from; limits on PostgreSQL go by the server's unless one is given.
            exclusive: False only reads (`check`), beside a bot that runs: nothing is made, locked or migrated.
            process: name to hold leases under, which no other process has or had; random by default.

        Raises:
            StoreUnusable: with what to do about it.
        """
        name = process or secrets.token_hex(8)
        if len(name) > _LONGEST_NAME:
            raise ValueError(f"the name of a process has at most {_LONGEST_NAME} characters")
        parsed, where = parse_url(url)
        database = Database(parsed, where, exclusive=exclusive)
        store = cls(database, clock=clock, process=name)
        try:
            await store._prepare()
        except BaseException:
            await database.close()
            raise
        return store

    async def _prepare(self) -> None:
        if not self._database.exclusive:
            revision = await self._database.read(schema_version.revision_of)
            schema_version.check_revision(revision)
            if revision != schema_version.HEAD:
                raise StoreUnusable(
                    f"The database {self._database.label} is empty or older than this Easel. "
                    "Start the bot once: it brings the database forward by itself."
                )
            return
        await integrity.preflight(self._database)
        await self._database.write(schema_version.migrate)
        # A first write shows a read-only file or a full disk now, not when the first person asks for a picture.
        await self._database.write(self._note_start)
        self._writer.start()

    def _note_start(self, connection: Connection) -> None:
        now = self._clock()
        preferences.write_kv(connection, "opened_at", now.isoformat())
        preferences.write_kv(connection, integrity.IN_USE, "1")
        retention.blank_dead_tokens(connection, to_us(now))
        recount(connection)

    @property
    def shared(self) -> bool:
        """Whether other processes may work on the same jobs (PostgreSQL)."""
        return not self._database.is_sqlite

    async def close(self) -> None:
        """Finish what is being written and let go of the database. Leases are kept: see `release_leases`."""
        try:
            if self._writer.open:
                await self._note_end()
            await self._writer.close()
            await self._preferences_cache.close()
        finally:
            await self._database.close()

    async def _note_end(self) -> None:
        try:
            await self.kv_set(integrity.IN_USE, "0")
        except StoreUnusable as error:  # the next start takes a closer look at the file; nothing else depends on it
            log.warning("the database can't be closed in good order", extra={"reason": error.sentence})

    # ------------------------------------------------------------------ the life of a job

    async def accept(
        self, new: NewJob, policy: Policy, *, max_waiting: int, within_s: float | None = None
    ) -> Accepted | Refused | Duplicate:
        """Check the limits, reserve and queue, in one transaction; the interaction id is the key.

        Args:
            within_s: raise StoreUnusable, and write nothing, when the database has not got to it by then.

        Raises:
            Overloaded: `max_waiting` jobs wait already.
            ValueError: the job id is taken.
        """
        if new.request.images < 1 or policy.weight <= 0:
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
            lease_s: how long nobody else may adopt them; see `keep_leases`.
            in_flight: most jobs that all processes together have at fal, 0 for any number.
            guild_in_flight: most of them of one server, 0 for any number; others go before who has as many.
            user_in_flight: the same for one person.
        """
        ask = ClaimRequest(limit, lease_s, guild_in_flight, user_in_flight, in_flight)
        for last in (*(False,) * _CLAIM_TRIES, True):
            claimed = await self._writer.run(self._claim_batch, ask)
            if claimed.jobs or last or not claimed.held_up:
                return claimed.jobs
            await asyncio.sleep(_CLAIM_PAUSE_S)
        raise AssertionError("the last try returns")

    async def keep_leases(self, lease_s: float) -> frozenset[str]:
        """Extend the lease of every job this process holds, where it would run out sooner, and name them all.

        On SQLite nobody looks at the time, so nothing is written.

        A job that is missing was adopted by another process, put back, or is over and told: stop caring for it. One
        that nobody here cares for (a claim whose answer got lost) is an orphan: hand it to `adopt`.
        """
        rest: KeepRequest | None = None if self._database.is_sqlite else KeepRequest(lease_s)
        while rest is not None:
            rest = await self._writer.run(self._keep_batch, rest)
        return await self._database.read(self._lease_batch.held)

    async def adopt(self, *, lease_s: float = 30, limit: int = 500, orphans: Collection[str] = ()) -> list[Job]:
        """Take over up to `limit` jobs that nobody cares for any more, under a new fence; call until it finds none.

        Jobs under way (SUBMITTING, RUNNING, FINISHED) first, then jobs that ended without the person being told. On
        PostgreSQL those whose lease has run out by the server's clock; on SQLite, where no second process can be,
        all that are not ours. Attempts are unchanged.

        Args:
            orphans: ids of jobs under our own lease to take as well.
        """
        return await self._writer.run(self._adopt_batch, AdoptRequest(lease_s, limit, frozenset(orphans)))

    async def release_leases(self) -> None:
        """Let others adopt at once what this process holds; for a shutdown, once nobody here works on it any more."""
        await self._writer.run(self._lease_batch.release, None)

    async def cancel_requests(self) -> list[str]:
        """Jobs that this process holds and somebody cancelled, here or elsewhere."""
        return await self._database.read(self._lease_batch.cancel_requests)

    async def mark_submitting(self, job: Job) -> Job | None:
        """Note that a SUBMITTING job is about to be sent, as it then stands; None when it moved.

        Until then it is certain that nothing of it has left, whatever becomes of this process.
        """
        check_submitting(job)
        return await self._writer.run(self._transition_batch, MarkSubmitting(job))

    async def resubmit(self, job: Job) -> Job | None:
        """Count another attempt of a SUBMITTING job although fal may have had the last one; None when it moved."""
        check_submitting(job)
        return await self._writer.run(self._transition_batch, Resubmit(job))

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
    ) -> Job | None:
        """Move a job on if it still stands where `job` says (state and fence); None when it does not.

        A terminal state settles (DELIVERED) or releases the reservation in the same transaction.
        DELIVERED implies notified.

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
        return await self._writer.run(self._transition_batch, Transition(job, to, columns, fields))

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

    # ------------------------------------------------------------------ looking

    async def job(self, job_id: str) -> Job | None:
        """One job; None when it never was, or its content is deleted."""
        found = await self._jobs(_BY_ID, {"id": job_id})
        return found[0] if found else None

    async def job_by_interaction(self, interaction_id: int) -> Job | None:
        """The job an interaction started."""
        found = await self._jobs(_BY_INTERACTION, {"interaction": interaction_id})
        return found[0] if found else None

    async def live_jobs(self) -> list[Job]:
        """Every job that is not over, oldest first."""
        return await self._paged(_LIVE_PAGE)

    async def queued_jobs(self) -> list[Job]:
        """Every job that nobody has claimed yet, oldest first."""
        return await self._paged(_QUEUED_PAGE)

    async def unnotified(self) -> list[Job]:
        """Failed and cancelled jobs whose owner does not know yet, oldest first."""
        return await self._paged(_UNTOLD_PAGE)

    async def jobs_of(self, user_id: int, *, live_only: bool, limit: int = 25) -> list[Job]:
        """Somebody's jobs, newest first."""
        return await self._jobs(_OF_USER_LIVE if live_only else _OF_USER, {"user": user_id, "most": limit})

    async def positions_of(self, job_ids: Sequence[str]) -> dict[str, int]:
        """How many jobs will be claimed before each; jobs that are not queued are left out.

        Exact for the first `queue.EXACT_PLACES`, an estimate beyond: as if all jobs cost the same.
        """
        found = await self._database.read(partial(places, ids=list(job_ids)))
        return {job_id: ahead.all for job_id, ahead in found.items()}

    async def queue_status(
        self, job_id: str, *, in_flight: int = 0, guild_in_flight: int = 0, user_in_flight: int = 0
    ) -> QueueStatus | None:
        """Why a job waits, given the caps in force (0: none); None when it does not wait."""
        ask = PositionRequest(job_id, in_flight, guild_in_flight, user_in_flight)
        return await self._database.read(partial(place, ask=ask))

    async def reached_caps(self, guild_in_flight: int, user_in_flight: int) -> ReachedCaps:
        """Who has as many jobs at fal as these caps allow (0: any number)."""
        if not guild_in_flight and not user_in_flight:
            return ReachedCaps()
        work = partial(full, guild_in_flight=guild_in_flight, user_in_flight=user_in_flight)
        return await self._database.read(work)

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

    async def usage(self, actor: Actor) -> Usage:
        """What somebody has used up, here and now."""
        day = day_of(self._clock())

        def work(connection: Connection) -> Usage:
            books = UsageSnapshot(connection, [actor], day, lock=False)
            books.read_guilds(connection, [] if actor.guild_id is None else [actor.guild_id])
            return books.usage(actor)

        return await self._database.read(work)

    async def _jobs(self, statement: Any, values: Mapping[str, Any]) -> list[Job]:
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

    # ------------------------------------------------------------------ preferences and odds and ends

    async def preferences(self, user_id: int, guild_id: int | None) -> Preferences:
        """What the person and the server chose; on PostgreSQL as it was some seconds ago, unless changed here.

        Somebody waits for it, so it fails soon where the server hangs.
        """
        try:
            async with asyncio.timeout(_PREFERENCES_WITHIN_S):
                return await self._preferences_cache.preferences(user_id, guild_id)
        except TimeoutError as error:
            raise StoreUnusable(f"The database {self._database.label} does not answer in time.") from error

    async def set_user_model(self, user_id: int, endpoint: str | None) -> None:
        """A person's own default model; None forgets it."""
        with self._preferences_cache.changing(("u", user_id)):
            await self._write(partial(preferences.set_user_model, user_id=user_id, endpoint=endpoint))

    async def set_guild_model(self, guild_id: int, endpoint: str | None) -> None:
        """A server's default model; None forgets it."""
        with self._preferences_cache.changing(("g", guild_id)):
            await self._write(partial(preferences.set_guild, guild_id=guild_id, column="model", value=endpoint))

    async def set_guild_limits(self, guild_id: int, limits: GuildLimits | None) -> None:
        """A server's own limits; None goes back to the operator's."""
        value = None if limits is None else json.dumps(limits.to_json())
        with self._preferences_cache.changing(("g", guild_id)):
            await self._write(partial(preferences.set_guild, guild_id=guild_id, column="limits_json", value=value))

    async def durations(self) -> dict[str, float]:
        """Median seconds of recent paintings, by endpoint."""
        return await self._database.read(preferences.median_durations)

    async def record_duration(self, endpoint: str, seconds: float) -> None:
        """Learn how long a painting took."""
        await self._write(partial(preferences.record_duration, endpoint=endpoint, seconds=seconds))

    async def kv_get(self, key: str) -> str | None:
        """One of the odds and ends."""
        return await self._database.read(partial(preferences.read_kv, key=key))

    async def kv_set(self, key: str, value: str) -> None:
        """Keep one of the odds and ends (key at most 64 characters)."""
        await self._write(partial(preferences.write_kv, key=key, value=value))

    async def kv_set_default(self, key: str, value: str) -> str:
        """Keep one of the odds and ends unless there is one; what holds now, whoever was quicker."""
        return await self._write(partial(preferences.write_kv_default, key=key, value=value))

    # ------------------------------------------------------------------ deletion and inspection

    async def erase_user(self, user_id: int) -> Erased:
        """Really delete somebody's jobs, prompts, preferences and pace. Cancel their live jobs first: those stay."""
        with self._preferences_cache.changing(("u", user_id)):
            erased = await self._write(partial(retention.erase_user, user_id=user_id, now_us=to_us(self._clock())))
        if erased.jobs or erased.other:
            await self._scrub(most_bytes=_MOST_BYTES_AT_ONCE)
        return erased

    async def delete_job(self, job_id: str) -> bool:
        """Really delete the content of a job that is over; False when it is not, or there is nothing left."""
        deleted = await self._write(partial(retention.delete_job, job_id=job_id))
        if deleted:
            await self._checkpoint()
        return deleted

    async def purge(self, before: datetime) -> int:
        """Delete jobs that ended before a moment, and rewrite the file if anything was deleted since; how many jobs."""
        gone = await self._write(partial(retention.purge, before_us=to_us(before), now_us=to_us(self._clock())))
        if await self.kv_get(retention.SCRUB_DUE) == "1":
            await self._scrub(most_bytes=None)
        return gone

    async def check(self) -> list[str]:
        """What is wrong with the database, a sentence each; empty when all is well."""
        try:
            revision = await self._database.read(schema_version.revision_of)
            schema_version.check_revision(revision)
            missing = await self._database.read(retention.tables_missing)
            if missing:
                return [f"Tables are missing: {', '.join(missing)}. Restore a backup."]
            return await self._database.read(retention.problems)
        except StoreUnusable as error:
            return [error.sentence]

    async def _scrub(self, *, most_bytes: int | None) -> None:
        """Rewrite the file, so that no copy of deleted content is left anywhere in it.

        SQLite's secure_delete zeroes what it deletes, but not the copies that its pages kept when a row moved from one
        page to another. A file above `most_bytes` is left for the next `purge`: rewriting it would hold up everybody.
        """
        path = self._database.path
        if path is None or most_bytes is None or path.stat().st_size <= most_bytes:
            await self.kv_set(retention.SCRUB_DUE, "0")
            try:
                await self._database.outside_transaction(_VACUUM_TABLES if path is None else _VACUUM_FILE)
            except StoreUnusable as error:
                # The deletion is committed all the same; rewriting needs room for a second copy.
                log.warning("deleted content is not scrubbed yet", extra={"reason": error.sentence})
                await self.kv_set(retention.SCRUB_DUE, "1")
        await self._checkpoint()

    async def _checkpoint(self) -> None:
        """Push deleted content out of SQLite's write-ahead log too."""
        if not self._database.is_sqlite:
            return
        for _ in range(_CHECKPOINT_TRIES):
            row = await self._database.outside_transaction("PRAGMA wal_checkpoint(TRUNCATE)")
            if row is not None and row[0] == 0:
                return
            # A reader is still looking at the old pages.
            await asyncio.sleep(0.05)
        log.warning("deleted content stays in the write-ahead log until the next checkpoint")

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._writer.run(_one_by_one, work)


def _one_by_one(connection: Connection, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
    """The batch for everything that is rare."""
    return [work(connection) for work in works]


def _given(**columns: object) -> dict[str, object]:
    return {name: value for name, value in columns.items() if value is not KEEP}


_IN_FLIGHT = LIVE - {JobState.QUEUED, JobState.HELD}

_WITH_CONTENT = select(jobs).where(jobs.c.order_json.is_not(None))
_BY_ID = _WITH_CONTENT.where(jobs.c.id == bindparam("id"))
_BY_INTERACTION = _WITH_CONTENT.where(jobs.c.interaction_id == bindparam("interaction"))
_LIVE = text("jobs.ended_us IS NULL")
_LIVE_PAGE = select(jobs).where(_LIVE, jobs.c.seq > bindparam("after")).order_by(jobs.c.seq).limit(_PAGE)
_QUEUED_PAGE = select(jobs).where(QUEUED, jobs.c.seq > bindparam("after")).order_by(jobs.c.seq).limit(_PAGE)
_UNTOLD_PAGE = (
    _WITH_CONTENT.where(text("jobs.told = 0 AND jobs.ended_us IS NOT NULL"), jobs.c.seq > bindparam("after"))
    .order_by(jobs.c.seq)
    .limit(_PAGE)
)
_OF_USER = _WITH_CONTENT.where(jobs.c.user_id == bindparam("user")).order_by(jobs.c.seq.desc()).limit(bindparam("most"))
_OF_USER_LIVE = _OF_USER.where(_LIVE)
_KNOWN_REQUESTS = select(jobs.c.request_id).where(jobs.c.request_id.in_(bindparam("ids", expanding=True)))
_COUNTS = select(jobs.c.state, func.count()).where(_LIVE).group_by(jobs.c.state)


def _count_states(connection: Connection) -> dict[str, int]:
    return dict(connection.execute(_COUNTS).all())
