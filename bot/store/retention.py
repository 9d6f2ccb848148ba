"""Deletion: on request, and of what is older than the operator keeps.

Whatever may touch many rows goes in small transactions with pauses between them, so that a request waits for one of
them at most. Each leaves the database sound, so a process that dies in between leaves the rest to the next `purge`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, select, text, tuple_, update

from bot.errors import StoreUnusable
from bot.store.database import Database
from bot.store.drafts import delete_expired, delete_of_user
from bot.store.fair_queue import lock_queue
from bot.store.kv import read_kv, write_kv
from bot.store.outcomes import Erased
from bot.store.preferences_cache import PreferencesCache
from bot.store.tables import balances, fairness, flow_users, flows, jobs, kv, ledger, rate_state, users
from bot.store.times import WRONG_CLOCK_US, day_of, from_us, month_of, to_us
from bot.store.usage import Balance, Count, counts_of, take_off
from bot.store.writer import Writer

log = logging.getLogger(__name__)

#: Accounts are kept a little longer than the time they count for: the month before, so that it can be looked at.
_KEEP_ACCOUNTS = timedelta(days=3)
#: Key of `meta`: "1" while the file may hold copies of deleted content.
SCRUB_DUE = "scrub_due"
_VACUUM_FILE = "VACUUM"
_VACUUM_TABLES = "VACUUM jobs, users, ledger, drafts"
#: A file of this size is rewritten in well under a second.
_MOST_BYTES_AT_ONCE = 64 * 1024 * 1024
_CHECKPOINT_TRIES = 20
#: A larger one only when nothing was written for so long, or after so long at the latest.
_QUIET_S = 3.0
_QUIET_WITHIN_S = 24 * 3600.0
#: Rows in the first transaction of a walk, at least and at most; between these it aims at `_BATCH_S` for each.
_FIRST_ROWS = 200
_LEAST_ROWS = 20
_MOST_ROWS = 2000
_BATCH_S = 0.01
#: Pause after each: at least so long, and this many times what it took.
_PAUSE_S = 0.01
_PAUSE_SHARE = 2.0
#: Key in `kv` of an erasure that is not finished; the value is the last job (`seq`) that goes.
_ERASING = "erasing:"
#: Key in `kv` of somebody who was erased; the value is that day, whose accounts still count until it is over.
_FORGETTING = "forgetting:"


class Retention:
    """Deletion that leaves no copy behind; `store.retention`."""

    def __init__(
        self, database: Database, writer: Writer, preferences_cache: PreferencesCache, *, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._writer = writer
        self._preferences_cache = preferences_cache
        self._clock = clock

    async def erase_user(self, user_id: int) -> Erased:
        """Really delete somebody's jobs, drafts, preferences and rate. Cancel their live jobs first: those stay.

        Returns once all is gone. The first transaction puts the erasure on record, where it takes several: whatever
        happens after that, all of it goes, if need be after the next start.
        """
        with self._preferences_cache.changing(("u", user_id)):
            erased, last_seq = await self._writer.apply(
                partial(_erase_user, user_id=user_id, now_us=to_us(self._clock()), rows=_MOST_ROWS)
            )
        if last_seq is not None:
            rest = await self._in_batches(partial(_erase_some, user_id=user_id, last_seq=last_seq))
            erased = Erased(jobs=erased.jobs + rest, live_jobs=erased.live_jobs, other=erased.other)
        if erased.jobs or erased.other:
            await self._scrub(most_bytes=_MOST_BYTES_AT_ONCE)
        return erased

    async def delete_job(self, job_id: str) -> bool:
        """Really delete the content of a job that is over; False when it is not, or there is nothing left."""
        deleted = await self._writer.apply(partial(_delete_job, job_id=job_id))
        if deleted:
            await self._checkpoint()
        return deleted

    async def purge(self, before: datetime) -> int:
        """Delete what is over: jobs that ended before a moment, drafts, dead tokens, accounts that no rule looks at.

        Rewrites the file if anything was deleted since the last time; a large one in a quiet moment. How many jobs.
        """
        now_us = to_us(self._clock())
        for user_id, last_seq in await self._database.read(_unfinished_erasures):
            await self._in_batches(partial(_erase_some, user_id=user_id, last_seq=last_seq))
        gone = await self._in_batches(partial(_delete_ended, before_us=to_us(before)))
        await self._in_batches(partial(blank_dead_tokens, now_us=now_us))
        await self._in_batches(partial(_forget_erased, today=day_of(from_us(now_us - WRONG_CLOCK_US))))
        await self._close_accounts(_first_kept_day(now_us))
        await self._in_batches(partial(_delete_rates, now_us=now_us))
        await self._in_batches(_delete_idle_flows)
        await self._in_batches(_delete_flow_users)
        await self._in_batches(partial(_delete_drafts, now_us=now_us))
        if await self._database.read(partial(read_kv, key=SCRUB_DUE)) == "1":
            await self._wait_until_quiet()
            await self._scrub(most_bytes=None)
        return gone

    async def _close_accounts(self, before_day: int) -> None:
        """Whole months only, and none that a job still belongs to."""
        before_day = month_of(await self._database.read(partial(_first_needed_day, before_day=before_day)))
        await self._in_batches(partial(_close_accounts, before_day=before_day))
        await self._in_batches(partial(_delete_balances, before_day=before_day))

    async def _in_batches(self, work: Callable[[Connection, int], int]) -> int:
        """Call `work` with a number of rows, a transaction each, until it finds fewer; how many in all."""
        total, rows = 0, _FIRST_ROWS
        while True:
            done, took_s = await self._writer.apply(partial(_timed, work=work, rows=rows))
            total += done
            if done < rows:
                return total
            rows = min(max(int(rows * min(_BATCH_S / took_s, 2.0)), _LEAST_ROWS), _MOST_ROWS)
            await asyncio.sleep(max(_PAUSE_S, took_s * _PAUSE_SHARE))

    async def _wait_until_quiet(self) -> None:
        """Rewriting a large SQLite file takes seconds, in which nothing else is written."""
        path = self._database.path
        if path is None or path.stat().st_size <= _MOST_BYTES_AT_ONCE:
            return
        for _ in range(int(_QUIET_WITHIN_S / _QUIET_S)):
            if self._writer.idle_s() >= _QUIET_S:
                return
            await asyncio.sleep(_QUIET_S)

    async def _scrub(self, *, most_bytes: int | None) -> None:
        """Rewrite the file, so that no copy of deleted content is left anywhere in it.

        SQLite's secure_delete zeroes what it deletes, but not the copies that its pages kept when a row moved from one
        page to another. A file above `most_bytes` is left for the next `purge`: rewriting it would hold up everybody.
        """
        path = self._database.path
        if path is None or most_bytes is None or path.stat().st_size <= most_bytes:
            await self._writer.apply(partial(write_kv, key=SCRUB_DUE, value="0"))
            try:
                await self._database.outside_transaction(_VACUUM_TABLES if path is None else _VACUUM_FILE)
            except StoreUnusable as error:
                # The deletion is committed all the same; rewriting needs room for a second copy.
                log.warning("deleted content is not scrubbed yet", extra={"reason": error.sentence})
                await self._writer.apply(partial(write_kv, key=SCRUB_DUE, value="1"))
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


def _timed(connection: Connection, work: Callable[[Connection, int], int], rows: int) -> tuple[int, float]:
    """What `work` returns, and the seconds it took."""
    began_s = time.perf_counter()
    done = work(connection, rows)
    return done, max(time.perf_counter() - began_s, 1e-6)


# ---------------------------------------------------------------------- erasing a person


def _erase_user(connection: Connection, user_id: int, now_us: int, rows: int) -> tuple[Erased, int | None]:
    """Delete everything that is somebody's; the servers' day counts stay, without a name.

    What they used up today stays for as long as it counts: otherwise erasing would be a way around the limits. That of
    the day before stays as long: our clock may be ahead by a day. The next `purge` after that takes their name off it;
    the sums stay.

    While a job is under way it stays, and so do its owner's accounts: it is still to be settled.

    Of very many jobs only `rows` go here; the rest is noted, and the number of the last one returned.
    """
    live = connection.execute(
        select(func.count()).select_from(jobs).where(jobs.c.user_id == user_id, jobs.c.ended_us.is_(None))
    ).scalar_one()
    gone = connection.execute(delete(jobs).where(jobs.c.seq.in_(_ended_of(user_id).limit(rows)))).rowcount
    last_seq = connection.execute(select(func.max(_ended_of(user_id).subquery().c.seq))).scalar()
    if last_seq is not None:
        write_kv(connection, f"{_ERASING}{user_id}", str(last_seq))
    other = connection.execute(delete(users).where(users.c.user_id == user_id)).rowcount
    today = day_of(from_us(now_us))
    if connection.execute(select(ledger.c.job_id).where(ledger.c.user_id == user_id).limit(1)).first() is not None:
        write_kv(connection, f"{_FORGETTING}{user_id}", str(today))
    if not live:
        _take_name_off(connection, user_id, before_day=today - 1)
        spent = delete(rate_state).where(rate_state.c.user_id == user_id, rate_state.c.tat_us <= now_us)
        other += connection.execute(spent).rowcount
        lock_queue(connection)
        connection.execute(delete(flow_users).where(flow_users.c.user_id == user_id))
        connection.execute(delete(flows).where(flows.c.flow_id == -user_id))
    # Last, as in an acceptance, which locks rows of drafts after the queue.
    other += delete_of_user(connection, user_id)
    if gone or other:
        write_kv(connection, SCRUB_DUE, "1")
    return Erased(jobs=gone, live_jobs=live, other=other), last_seq


def _take_name_off(connection: Connection, user_id: int, before_day: int) -> None:
    """Keep what somebody used up in earlier days without their name. None of their jobs may be under way."""
    connection.execute(
        update(ledger).where(ledger.c.user_id == user_id, ledger.c.day < before_day).values(user_id=None)
    )
    connection.execute(
        delete(balances).where(
            balances.c.scope.in_(("u", "f")), balances.c.subject_id == user_id, balances.c.day < before_day
        )
    )


def _forget_erased(connection: Connection, rows: int, today: int) -> int:
    """Take the names of some off what they used up on the day on which they were erased, now that it is over."""
    noted = connection.execute(select(kv.c.key, kv.c.value).where(kv.c.key.startswith(_FORGETTING))).all()
    people = {int(row.key.removeprefix(_FORGETTING)): int(row.value) for row in noted if int(row.value) < today}
    still = select(jobs.c.user_id).where(jobs.c.user_id.in_(people), jobs.c.ended_us.is_(None))
    due = sorted(people.keys() - set(connection.execute(still).scalars()))[:rows]
    for user_id in due:
        _take_name_off(connection, user_id, before_day=people[user_id] + 1)
        connection.execute(delete(kv).where(kv.c.key == f"{_FORGETTING}{user_id}"))
    return len(due)


def _ended_of(user_id: int) -> Select[int]:
    return select(jobs.c.seq).where(jobs.c.user_id == user_id, jobs.c.ended_us.is_not(None))


def _erase_some(connection: Connection, rows: int, user_id: int, last_seq: int) -> int:
    """Some of the jobs that `_erase_user` left; with the last of them the erasure is no longer on record."""
    some = _ended_of(user_id).where(jobs.c.seq <= last_seq).limit(rows)
    gone = connection.execute(delete(jobs).where(jobs.c.seq.in_(some))).rowcount
    if gone < rows:
        connection.execute(delete(kv).where(kv.c.key == f"{_ERASING}{user_id}"))
    return gone


def _unfinished_erasures(connection: Connection) -> list[tuple[int, int]]:
    """(person, last job that goes) of every erasure that a process left unfinished."""
    found = connection.execute(select(kv.c.key, kv.c.value).where(kv.c.key.startswith(_ERASING)))
    return [(int(row.key.removeprefix(_ERASING)), int(row.value)) for row in found]


def _delete_job(connection: Connection, job_id: str) -> bool:
    """Wipe the content of a job that is over; the row stays, so that a replayed interaction is still a duplicate."""
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.ended_us.is_not(None), jobs.c.order_json.is_not(None))
        .values(
            order_json=None, result_json=None, request_json=None, failure_json=None, token="", role_ids="[]", told=1
        )
    )
    deleted = bool(connection.execute(statement).rowcount)
    if deleted:
        write_kv(connection, SCRUB_DUE, "1")
    return deleted


# ---------------------------------------------------------------------- what is over, some rows at a time


def _delete_ended(connection: Connection, rows: int, before_us: int) -> int:
    some = select(jobs.c.seq).where(jobs.c.ended_us < before_us).order_by(jobs.c.ended_us).limit(rows)
    gone = connection.execute(delete(jobs).where(jobs.c.seq.in_(some))).rowcount
    if gone:
        write_kv(connection, SCRUB_DUE, "1")
    return gone


def blank_dead_tokens(connection: Connection, rows: int, now_us: int) -> int:
    """Forget some of the interaction tokens that Discord no longer takes; how many."""
    dead = select(jobs.c.seq).where(text("jobs.token <> ''"), jobs.c.token_expires_us <= now_us - WRONG_CLOCK_US)
    return connection.execute(update(jobs).where(jobs.c.seq.in_(dead.limit(rows))).values(token="")).rowcount


def _first_kept_day(now_us: int) -> int:
    """The first day of the month before the present one."""
    this_month = month_of(day_of(from_us(now_us) - _KEEP_ACCOUNTS))
    return month_of(this_month - 1)


def _first_needed_day(connection: Connection, before_day: int) -> int:
    """The first day before this one that a job still belongs to; else this one."""
    days = select(ledger.c.day).where(ledger.c.day < before_day).distinct().order_by(ledger.c.day)
    for day in connection.execute(days).scalars().all():
        belonging = exists().where(ledger.c.day == day, jobs.c.id == ledger.c.job_id)
        if connection.execute(select(belonging)).scalar():
            return int(day)
    return before_day


def _close_accounts(connection: Connection, rows: int, before_day: int) -> int:
    """Delete some of the ledger and take it off the balances: they stay its sums."""
    closed = connection.execute(_CLOSABLE, {"before_day": before_day, "rows": rows}).all()
    if not closed:
        return 0
    taken: defaultdict[Count, Balance] = defaultdict(Balance)
    for row in closed:
        for count in counts_of(row.user_id, row.guild_id, row.day):
            taken[count].images += row.counted
            taken[count].usd_micros += row.counted_usd_micros
        if row.user_id is not None:
            taken["f", row.user_id, row.day].images += row.forgiven
    connection.execute(delete(ledger).where(ledger.c.job_id.in_([row.job_id for row in closed])))
    take_off(connection, taken)
    return len(closed)


_CLOSABLE = (
    select(
        *(ledger.c.job_id, ledger.c.user_id, ledger.c.guild_id, ledger.c.day),
        *(ledger.c.counted, ledger.c.counted_usd_micros, ledger.c.forgiven),
    )
    .where(ledger.c.day < bindparam("before_day"))
    .limit(bindparam("rows"))
)


def _delete_balances(connection: Connection, rows: int, before_day: int) -> int:
    key = (balances.c.scope, balances.c.subject_id, balances.c.day)
    some = select(*key).where(balances.c.day < before_day).limit(rows)
    return connection.execute(delete(balances).where(tuple_(*key).in_(some))).rowcount


def _delete_rates(connection: Connection, rows: int, now_us: int) -> int:
    """Rates that hold nobody back any more."""
    live = exists().where(jobs.c.user_id == rate_state.c.user_id, jobs.c.ended_us.is_(None))
    key = (rate_state.c.user_id, rate_state.c.rate_key)
    some = select(*key).where(rate_state.c.tat_us < now_us, ~live).limit(rows)
    return connection.execute(delete(rate_state).where(tuple_(*key).in_(some))).rowcount


def _delete_idle_flows(connection: Connection, rows: int) -> int:
    """Flows where nothing waits, once their tag gives them no other start than a new flow's."""
    lock_queue(connection)
    time_ = select(fairness.c.virtual_time).scalar_subquery()
    some = select(flows.c.flow_id).where(flows.c.waiting == 0, flows.c.tag <= time_).limit(rows)
    return connection.execute(delete(flows).where(flows.c.flow_id.in_(some))).rowcount


def _delete_flow_users(connection: Connection, rows: int) -> int:
    """People in flows that are no more."""
    lock_queue(connection)
    key = (flow_users.c.flow_id, flow_users.c.user_id)
    some = select(*key).where(~exists().where(flows.c.flow_id == flow_users.c.flow_id)).limit(rows)
    return connection.execute(delete(flow_users).where(tuple_(*key).in_(some))).rowcount


def _delete_drafts(connection: Connection, rows: int, now_us: int) -> int:
    gone = delete_expired(connection, now_us, rows)
    if gone:
        write_kv(connection, SCRUB_DUE, "1")
    return gone


__all__ = ["Retention", "blank_dead_tokens"]
