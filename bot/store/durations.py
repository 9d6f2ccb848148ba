"""How long recent generations took, by model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

from sqlalchemy import Connection, delete, select

from bot.store.database import Database
from bot.store.tables import durations
from bot.store.writer import Writer

#: Generations remembered for each model.
_REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class PastGeneration:
    """One generation that ended."""

    endpoint: str
    seconds: float
    #: How many pictures it made, and the pixels of each; None where that is not known.
    images: int | None = None
    pixels: int | None = None


class DurationStore:
    """Durations of recent generations; `store.durations`."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def recent(self) -> list[PastGeneration]:
        """The latest generations of each model, oldest first."""
        return await self._database.read(_recent)

    async def record(self, past: PastGeneration) -> None:
        """Remember how long one generation took."""
        await self._writer.apply(partial(_record, past=past))


def _recent(connection: Connection) -> list[PastGeneration]:
    columns = select(durations.c.endpoint, durations.c.seconds, durations.c.images, durations.c.pixels)
    return [PastGeneration(*row) for row in connection.execute(columns.order_by(durations.c.seq))]


def _record(connection: Connection, past: PastGeneration) -> None:
    """Remember one generation, forget the oldest beyond the bound."""
    endpoint = past.endpoint
    connection.execute(durations.insert(), [asdict(past)])
    oldest_kept = (
        select(durations.c.seq)
        .where(durations.c.endpoint == endpoint)
        .order_by(durations.c.seq.desc())
        .offset(_REMEMBERED - 1)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(delete(durations).where(durations.c.endpoint == endpoint, durations.c.seq < oldest_kept))


__all__ = ["DurationStore", "PastGeneration"]
