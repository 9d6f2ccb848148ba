"""Deletion: on request, and of what is older than the operator keeps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, delete, func, select, text, update

from bot.errors import StoreUnusable
from bot.store.database import Database
from bot.store.drafts import delete_expired, delete_of_user
from bot.store.fair_queue import lock_queue
from bot.store.kv import read_kv, write_kv
from bot.store.outcomes import Erased
from bot.store.preferences_cache import PreferencesCache
from bot.store.tables import balances, fairness, flow_users, flows, jobs, ledger, rate_state, users
from bot.store.times import WRONG_CLOCK_US, day_of, from_us, to_us
from bot.store.writer import Writer

log = logging.getLogger(__name__)

#: Accounts are kept a little longer than the day they count for.
_KEEP_ACCOUNTS = timedelta(days=3)
#: Key of `meta`: "1" while the file may hold copies of deleted content.
SCRUB_DUE = "scrub_due"
_VACUUM_FILE = "VACUUM"
_VACUUM_TABLES = "VACUUM jobs, users, ledger, drafts"
#: A file of this size is rewritten in well under a second.
_MOST_BYTES_AT_ONCE = 64 * 1024 * 1024
_CHECKPOINT_TRIES = 20


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
        """Really delete somebody's jobs, drafts, preferences and rate. Cancel their live jobs first: those stay."""
        with self._preferences_cache.changing(("u", user_id)):
            erased = await self._writer.apply(partial(_erase_user, user_id=user_id, now_us=to_us(self._clock())))
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
        """Delete jobs that ended before a moment, and rewrite the file if anything was deleted since; how many jobs."""
        gone = await self._writer.apply(partial(_purge, before_us=to_us(before), now_us=to_us(self._clock())))
        if await self._database.read(partial(read_kv, key=SCRUB_DUE)) == "1":
            await self._scrub(most_bytes=None)
        return gone

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


def _erase_user(connection: Connection, user_id: int, now_us: int) -> Erased:
    """Delete everything that is somebody's; the servers' day counts stay, without a name.

    What they used up today stays for as long as it counts: otherwise erasing would be a way around the limits. The
    next `purge` after that removes it.

    While a job is under way it stays, and so do its owner's accounts: it is still to be settled.
    """
    live = connection.execute(
        select(func.count()).select_from(jobs).where(jobs.c.user_id == user_id, jobs.c.ended_us.is_(None))
    ).scalar_one()
    gone = connection.execute(delete(jobs).where(jobs.c.user_id == user_id, jobs.c.ended_us.is_not(None))).rowcount
    other = connection.execute(delete(users).where(users.c.user_id == user_id)).rowcount
    if not live:
        today = day_of(from_us(now_us))
        connection.execute(update(ledger).where(ledger.c.user_id == user_id, ledger.c.day < today).values(user_id=None))
        connection.execute(
            delete(balances).where(balances.c.scope == "u", balances.c.subject_id == user_id, balances.c.day < today)
        )
        spent = delete(rate_state).where(rate_state.c.user_id == user_id, rate_state.c.tat_us <= now_us)
        other += connection.execute(spent).rowcount
        lock_queue(connection)
        connection.execute(delete(flow_users).where(flow_users.c.user_id == user_id))
        connection.execute(delete(flows).where(flows.c.flow_id == -user_id))
    # Last, as in an acceptance, which locks rows of drafts after the queue.
    other += delete_of_user(connection, user_id)
    if gone or other:
        write_kv(connection, SCRUB_DUE, "1")
    return Erased(jobs=gone, live_jobs=live, other=other)


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


def _purge(connection: Connection, before_us: int, now_us: int) -> int:
    """Delete jobs that ended before a moment, expired drafts, dead tokens, and accounts that no rule looks at."""
    gone = connection.execute(delete(jobs).where(jobs.c.ended_us < before_us)).rowcount
    blank_dead_tokens(connection, now_us)
    _close_accounts(connection, day_of(from_us(now_us) - _KEEP_ACCOUNTS))
    live = select(jobs.c.user_id).where(jobs.c.ended_us.is_(None))
    connection.execute(delete(rate_state).where(rate_state.c.tat_us < now_us, rate_state.c.user_id.not_in(live)))
    _clear_queue(connection)
    if delete_expired(connection, now_us) or gone:
        write_kv(connection, SCRUB_DUE, "1")
    return gone


def _clear_queue(connection: Connection) -> None:
    """Delete flows where nothing waits, once their tag gives them no other start than a new flow's."""
    lock_queue(connection)
    time = select(fairness.c.virtual_time).scalar_subquery()
    connection.execute(delete(flows).where(flows.c.waiting == 0, flows.c.tag <= time))
    connection.execute(delete(flow_users).where(flow_users.c.flow_id.not_in(select(flows.c.flow_id))))


def _close_accounts(connection: Connection, before_day: int) -> None:
    """Whole days only, and none that a job still belongs to: balances stay the sums of their ledger."""
    still_needed = select(func.min(ledger.c.day)).join(jobs, jobs.c.id == ledger.c.job_id)
    oldest = connection.execute(still_needed).scalar()
    before_day = before_day if oldest is None else min(before_day, oldest)
    connection.execute(delete(ledger).where(ledger.c.day < before_day))
    connection.execute(delete(balances).where(balances.c.day < before_day))


def blank_dead_tokens(connection: Connection, now_us: int) -> None:
    """Forget the interaction tokens that Discord no longer takes."""
    dead = jobs.c.token_expires_us <= now_us - WRONG_CLOCK_US
    connection.execute(update(jobs).where(text("jobs.token <> ''"), dead).values(token=""))


__all__ = ["Retention", "blank_dead_tokens"]
