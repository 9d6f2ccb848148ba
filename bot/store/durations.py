"""How long recent generations took, by model."""

from __future__ import annotations

import statistics
from collections import defaultdict
from functools import partial

from sqlalchemy import Connection, delete, select

from bot.store.database import Database
from bot.store.tables import durations
from bot.store.writer import Writer

#: Generations remembered for each model.
_REMEMBERED = 50


class DurationStore:
    """Durations of recent generations; `store.durations`."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def medians(self) -> dict[str, float]:
        """Median seconds of recent generations, by endpoint."""
        return await self._database.read(_medians)

    async def record(self, endpoint: str, seconds: float) -> None:
        """Remember how long one generation took."""
        await self._writer.apply(partial(_record, endpoint=endpoint, seconds=seconds))


def _medians(connection: Connection) -> dict[str, float]:
    """Median seconds of the remembered generations, by endpoint."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for endpoint, took_s in connection.execute(select(durations.c.endpoint, durations.c.seconds)):
        seconds[endpoint].append(took_s)
    return {endpoint: statistics.median(values) for endpoint, values in seconds.items()}


def _record(connection: Connection, endpoint: str, seconds: float) -> None:
    """Remember one generation, forget the oldest beyond the bound."""
    connection.execute(durations.insert(), [{"endpoint": endpoint, "seconds": seconds}])
    oldest_kept = (
        select(durations.c.seq)
        .where(durations.c.endpoint == endpoint)
        .order_by(durations.c.seq.desc())
        .offset(_REMEMBERED - 1)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(delete(durations).where(durations.c.endpoint == endpoint, durations.c.seq < oldest_kept))


__all__ = ["DurationStore"]
