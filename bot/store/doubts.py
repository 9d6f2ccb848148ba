"""Submissions of ended jobs that fal may have taken: counted at their worst, and set right once fal tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from bot.domain.settlement import Others
from bot.store.database import Database
from bot.store.rows import failure_json, readable
from bot.store.tables import jobs, ledger
from bot.store.times import from_us, maybe_us, to_us
from bot.store.usage import Balance, counts_of, take_off
from bot.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is in doubt about an ended job."""

    job_id: str
    ended_at: datetime
    #: From when on fal's list tells; None where it does not, and only a callback can.
    told_at: datetime | None
    #: What fal turned out to have of it.
    request_ids: tuple[str, ...] = ()


class DoubtStore:
    """Doubts; `store.doubts`."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def due(self, now: datetime, most: int) -> list[Doubt]:
        """Those of which fal's list tells by now, the oldest first."""

        def work(connection: Connection) -> list[Doubt]:
            found = connection.execute(_DUE, {"now": to_us(now), "most": most})
            return [_doubt(row) for row in found.mappings()]

        return await self._database.read(work)

    async def of(self, job_id: str) -> Doubt | None:
        """What is in doubt about this job; None where nothing is."""

        def work(connection: Connection) -> Doubt | None:
            row = connection.execute(_OF, {"job": job_id}).mappings().first()
            return None if row is None or not row["doubtful"] else _doubt(row)

        return await self._database.read(work)

    async def postpone(self, doubt: Doubt, until: datetime | None) -> None:
        """Look at it again later; None: never, its worst case stays."""
        await self._writer.apply(partial(_postpone, doubt=doubt, until=until))

    async def settle(self, doubt: Doubt, others: Others, *, one: bool = False) -> bool:
        """Count what fal billed in place of the worst case, where the doubt still stands as it was read.

        The first request found becomes the job's, where it has none.

        Args:
            others: all that fal has of the job beside the request that is settled.
            one: they are one request of which fal called back, and the other doubts stay.

        Returns:
            whether it was settled here.
        """
        return await self._writer.apply(partial(_settle, doubt=doubt, others=others, one=one))

    async def add(self, job_id: str, usd_micros: int | None, *, estimated: bool) -> bool:
        """Count a request that fal took after the job had ended, beside what is settled.

        Args:
            usd_micros: what fal billed for it; None: its worst case.

        Returns:
            False where the end of the job is yet to look for doubles, or its doubts are yet to be settled.
        """
        work = partial(_add, job_id=job_id, usd_micros=usd_micros, estimated=estimated)
        return await self._writer.apply(work)


def _doubt(row: RowMapping) -> Doubt:
    told_at = None if row["told_us"] is None else from_us(row["told_us"])
    return Doubt(row["job_id"], from_us(row["resolved_us"]), told_at)


def _postpone(connection: Connection, *, doubt: Doubt, until: datetime | None) -> None:
    connection.execute(
        ledger.update()
        .where(ledger.c.job_id == doubt.job_id, ledger.c.told_us == maybe_us(doubt.told_at))
        .values(told_us=maybe_us(until))
    )


def _settle(connection: Connection, *, doubt: Doubt, others: Others, one: bool) -> bool:
    # Locked before the balances, as wherever a job changes.
    job = connection.execute(_JOB, {"job": doubt.job_id}).mappings().first()
    row = connection.execute(_OF.with_for_update(), {"job": doubt.job_id}).mappings().first()
    if row is None or not row["doubtful"] or row["told_us"] != maybe_us(doubt.told_at):
        return False
    changed = _settled(row, others, one=one)
    less_usd_micros = row["counted_usd_micros"] - changed["counted_usd_micros"]
    connection.execute(ledger.update().where(ledger.c.job_id == doubt.job_id).values(**changed))
    counts = counts_of(row["user_id"], row["guild_id"], row["day"])
    take_off(connection, {count: Balance(usd_micros=less_usd_micros) for count in counts})
    if job is not None and (columns := _on_record(job, doubt, changed)):
        connection.execute(jobs.update().where(jobs.c.id == doubt.job_id).values(**columns))
    return True


def _add(connection: Connection, *, job_id: str, usd_micros: int | None, estimated: bool) -> bool:
    # Locked before the balances, as wherever a job changes.
    job = connection.execute(_JOB, {"job": job_id}).mappings().first()
    row = connection.execute(_OF.with_for_update(), {"job": job_id}).mappings().first()
    if row is None or row["told_us"] is not None:
        return False
    worst = -(-row["usd_micros"] // row["submissions"])
    more = worst if usd_micros is None else usd_micros
    changed = {
        "state": "settled" if more else row["state"],
        "usd_micros": row["usd_micros"] + worst,
        "submissions": row["submissions"] + 1,
        "counted_usd_micros": row["counted_usd_micros"] + more,
        "others_usd_micros": row["others_usd_micros"] + more,
        "estimated": max(row["estimated"], int(estimated)),
    }
    connection.execute(ledger.update().where(ledger.c.job_id == job_id).values(**changed))
    counts = counts_of(row["user_id"], row["guild_id"], row["day"])
    take_off(connection, {count: Balance(usd_micros=-more) for count in counts})
    if job is not None and (columns := _on_record(job, _doubt(row), {**changed, "doubtful": row["doubtful"]})):
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(**columns))
    return True


def _settled(row: RowMapping, others: Others, *, one: bool) -> dict[str, Any]:
    """The columns of the ledger: what is certain stays, and the worst case of each doubt makes way."""
    worst = -(-row["usd_micros"] // row["submissions"])
    certain = row["counted_usd_micros"] - row["others_usd_micros"] - worst * row["doubtful"]
    doubtful, usd_micros = others.at_worst, others.usd_micros
    if one:
        doubtful, usd_micros = doubtful + row["doubtful"] - 1, usd_micros + row["others_usd_micros"]
    counted_usd_micros = certain + usd_micros + worst * doubtful
    nothing = not (counted_usd_micros or row["counted"] or row["forgiven"])
    return {
        "state": "released" if nothing else "settled",
        "counted_usd_micros": counted_usd_micros,
        "others_usd_micros": usd_micros,
        "doubtful": doubtful,
        "estimated": int(doubtful > 0 or others.estimated or (certain > 0 and row["estimated"] > 0)),
        "told_us": row["told_us"] if one else None,
    }


def _on_record(job: RowMapping, doubt: Doubt, changed: dict[str, Any]) -> dict[str, Any]:
    """The columns of the job: the request that it turned out to have, and what people are told of its charge."""
    columns: dict[str, Any] = {}
    if job["request_id"] is None and doubt.request_ids:
        columns["request_id"] = doubt.request_ids[0]
    known = readable([job])
    failure = known[0].failure if known else None
    if failure is not None and failure.charge is not None:
        is_open = changed["doubtful"] > 0
        charge = replace(failure.charge, usd_micros=changed["counted_usd_micros"], uncertain=is_open)
        columns["failure_json"] = failure_json(replace(failure, charge=charge))
    return columns


_DUE = (
    select(ledger)
    .where(ledger.c.told_us <= bindparam("now"))
    .order_by(ledger.c.told_us, ledger.c.job_id)
    .limit(bindparam("most"))
)
_OF = select(ledger).where(ledger.c.job_id == bindparam("job"), ledger.c.state != "reserved")
_JOB = select(jobs).where(jobs.c.id == bindparam("job")).with_for_update()

__all__ = ["Doubt", "DoubtStore"]
