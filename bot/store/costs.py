"""What was spent, read from the ledger: `store.costs`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, select

from bot.domain.costs import CostRow, CostsBy
from bot.store.database import Database
from bot.store.tables import ledger

_EPOCH = date(1970, 1, 1)
_COLUMNS: dict[CostsBy, ColumnElement[Any]] = {
    CostsBy.DAY: ledger.c.day,
    CostsBy.PERSON: ledger.c.user_id,
    CostsBy.MODEL: ledger.c.endpoint,
    CostsBy.SERVER: ledger.c.guild_id,
}
_COUNTS = func.coalesce(ledger.c.counted_usd_micros, 0)


class CostStore:
    """Sums of money and pictures over days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(
        self,
        by: Sequence[CostsBy],
        since: date,
        until: date | None = None,
        *,
        guild_id: int | None = None,
        most: int | None = None,
    ) -> list[CostRow]:
        """The sums of everything that counts, the dearest first, or by days in their order.

        Args:
            by: what to add up by; nothing gives the one sum of all.
            since: the first UTC day.
            until: the last UTC day; None: as far as there is anything.
            guild_id: one server only.
            most: no more rows than this; None: all.
        """

        def work(connection: Connection) -> list[CostRow]:
            return [_row(row, by) for row in connection.execute(_sums(by, since, until, guild_id).limit(most))]

        return await self._database.read(work)

    async def first_day(self) -> date | None:
        """The first UTC day that is still on record; earlier ones were deleted."""
        found = await self._database.read(
            lambda connection: connection.execute(select(func.min(ledger.c.day))).scalar_one()
        )
        return None if found is None else _EPOCH + timedelta(days=found)


def _sums(by: Sequence[CostsBy], since: date, until: date | None, guild_id: int | None) -> Select[Any]:
    keys = [_COLUMNS[column] for column in by]
    usd = func.sum(_COUNTS).label("usd_micros")
    statement = (
        select(
            *keys,
            usd,
            func.sum(ledger.c.counted).label("pictures"),
            func.sum(case((ledger.c.state == "reserved", _COUNTS), else_=0)).label("reserved"),
            func.sum(case((ledger.c.estimated == 1, _COUNTS), else_=0)).label("estimated"),
        )
        .where(ledger.c.day >= _day(since), (_COUNTS > 0) | (ledger.c.counted > 0))
        .group_by(*keys)
    )
    if until is not None:
        statement = statement.where(ledger.c.day <= _day(until))
    if guild_id is not None:
        statement = statement.where(ledger.c.guild_id == guild_id)
    first = [ledger.c.day] if CostsBy.DAY in by else []
    return statement.order_by(*first, usd.desc(), *keys)


def _row(row: Row[Any], by: Sequence[CostsBy]) -> CostRow:
    found = dict(zip(by, row, strict=False))
    day = found.get(CostsBy.DAY)
    return CostRow(
        int(row.usd_micros or 0),
        int(row.pictures or 0),
        int(row.reserved or 0),
        int(row.estimated or 0),
        day=None if day is None else _EPOCH + timedelta(days=day),
        user_id=found.get(CostsBy.PERSON),
        endpoint=found.get(CostsBy.MODEL) or None,
        guild_id=found.get(CostsBy.SERVER),
    )


def _day(day: date) -> int:
    return (day - _EPOCH).days


__all__ = ["CostStore"]
