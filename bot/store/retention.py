"""Deletion, retention and inspection."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, update

from bot.store.fair_queue import lock_queue, miscounted
from bot.store.outcomes import Erased
from bot.store.preferences import write_kv
from bot.store.tables import balances, fairness, flow_users, flows, jobs, ledger, metadata, pacing, people
from bot.store.times import WRONG_CLOCK_US, day_of, from_us

#: Accounts are kept a little longer than the day they count for.
_KEEP_ACCOUNTS = timedelta(days=3)
#: Key of `meta`: "1" while the file may hold copies of deleted content.
SCRUB_DUE = "scrub_due"


def erase_user(connection: Connection, user_id: int, now_us: int) -> Erased:
    """Delete everything that is somebody's; the servers' day counts stay, without a name.

    What they used up today stays for as long as it counts: otherwise erasing would be a way to paint without limit. The
    next `purge` after that removes it.

    While a job is under way it stays, and so do its owner's accounts: what fal is painting is still to be settled.
    """
    live = connection.execute(
        select(func.count()).select_from(jobs).where(jobs.c.user_id == user_id, jobs.c.ended_us.is_(None))
    ).scalar_one()
    gone = connection.execute(delete(jobs).where(jobs.c.user_id == user_id, jobs.c.ended_us.is_not(None))).rowcount
    other = connection.execute(delete(people).where(people.c.user_id == user_id)).rowcount
    if not live:
        today = day_of(from_us(now_us))
        connection.execute(update(ledger).where(ledger.c.user_id == user_id, ledger.c.day < today).values(user_id=None))
        connection.execute(
            delete(balances).where(balances.c.scope == "u", balances.c.subject_id == user_id, balances.c.day < today)
        )
        spent = delete(pacing).where(pacing.c.user_id == user_id, pacing.c.tat_us <= now_us)
        other += connection.execute(spent).rowcount
        lock_queue(connection)
        connection.execute(delete(flow_users).where(flow_users.c.user_id == user_id))
        connection.execute(delete(flows).where(flows.c.flow_id == -user_id))
    if gone or other:
        write_kv(connection, SCRUB_DUE, "1")
    return Erased(jobs=gone, live_jobs=live, other=other)


def delete_job(connection: Connection, job_id: str) -> bool:
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


def purge(connection: Connection, before_us: int, now_us: int) -> int:
    """Delete jobs that ended before a moment, dead tokens, and accounts that no rule looks at any more."""
    gone = connection.execute(delete(jobs).where(jobs.c.ended_us < before_us)).rowcount
    if gone:
        write_kv(connection, SCRUB_DUE, "1")
    blank_dead_tokens(connection, now_us)
    _close_accounts(connection, day_of(from_us(now_us) - _KEEP_ACCOUNTS))
    live = select(jobs.c.user_id).where(jobs.c.ended_us.is_(None))
    connection.execute(delete(pacing).where(pacing.c.tat_us < now_us, pacing.c.user_id.not_in(live)))
    _clear_queue(connection)
    return gone


def _clear_queue(connection: Connection) -> None:
    """Forget the turns of flows where nothing waits, once they would join where a newcomer does."""
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


# ---------------------------------------------------------------------- inspection


def problems(connection: Connection) -> list[str]:
    """What is wrong with the content, a sentence each."""
    return [
        *_damage(connection),
        *_wrong_balances(connection),
        *_wrong_ledger(connection),
        *_wrong_queue(connection),
    ]


def _damage(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    rows = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
    return [] if rows == ["ok"] else [f"The file is damaged: {row}." for row in rows]


def _wrong_balances(connection: Connection) -> list[str]:
    """Invariant: a balance is the sum of what is settled and what is reserved."""
    found = []
    for scope, subject in (("u", ledger.c.user_id), ("g", ledger.c.guild_id)):
        summed = (
            select(subject.label("subject"), ledger.c.day, func.sum(ledger.c.counted).label("images"))
            .where(subject.is_not(None))
            .group_by(subject, ledger.c.day)
        )
        sums = {(row.subject, row.day): int(row.images) for row in connection.execute(summed) if row.images}
        kept = select(balances).where(balances.c.scope == scope, balances.c.images != 0)
        counts = {(row.subject_id, row.day): row.images for row in connection.execute(kept)}
        wrong = {key for key in sums.keys() | counts.keys() if sums.get(key, 0) != counts.get(key, 0)}
        if wrong:
            whose = "people" if scope == "u" else "servers"
            found.append(f"The day counts of {len(wrong)} {whose} differ from the ledger.")
    return found


def _wrong_ledger(connection: Connection) -> list[str]:
    """Every live job has its reservation open, every job that is over has it resolved."""
    joined = jobs.join(ledger, ledger.c.job_id == jobs.c.id, isouter=True)
    open_ = ledger.c.state == "reserved"
    unreserved = (
        select(func.count()).select_from(joined).where(jobs.c.ended_us.is_(None), (ledger.c.job_id.is_(None)) | ~open_)
    )
    unresolved = select(func.count()).select_from(joined).where(jobs.c.ended_us.is_not(None), open_)
    found = []
    if count := connection.execute(unreserved).scalar_one():
        found.append(f"{count} unfinished jobs have no open reservation.")
    if count := connection.execute(unresolved).scalar_one():
        found.append(f"{count} finished jobs still have an open reservation.")
    return found


def _wrong_queue(connection: Connection) -> list[str]:
    return (
        ["The queue's counts differ from the jobs that wait. The next start mends them."]
        if miscounted(connection)
        else []
    )


def tables_missing(connection: Connection) -> list[str]:
    """Names of tables that ought to be there."""
    from sqlalchemy import inspect

    names: Any = inspect(connection).get_table_names()
    return sorted(set(metadata.tables) - set(names))


__all__ = ["blank_dead_tokens", "delete_job", "erase_user", "problems", "purge", "tables_missing"]
