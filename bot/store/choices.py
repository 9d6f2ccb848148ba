"""Small facts: preferences of people and servers, durations, odds and ends. Single statements, read and written."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, bindparam, delete, literal, select

from bot.limits import GuildLimits
from bot.store.dialect import upsert
from bot.store.outcomes import Preferences
from bot.store.tables import durations, guilds, meta, people

#: Paintings remembered for each model.
_REMEMBERED = 50


def preferences(connection: Connection, user_id: int, guild_id: int | None) -> Preferences:
    """What both chose, in one statement."""
    row = connection.execute(_PREFERENCES, {"user": user_id, "guild": guild_id}).one()
    limits = None if row.limits_json is None else GuildLimits.from_json(json.loads(row.limits_json))
    return Preferences(row.user_model, row.guild_model, limits)


_ONE = select(literal(1).label("one")).subquery()
_PREFERENCES = select(
    people.c.model.label("user_model"), guilds.c.model.label("guild_model"), guilds.c.limits_json
).select_from(
    _ONE.outerjoin(people, people.c.user_id == bindparam("user", type_=people.c.user_id.type)).outerjoin(
        guilds, guilds.c.guild_id == bindparam("guild", type_=guilds.c.guild_id.type)
    )
)


def set_user_model(connection: Connection, user_id: int, endpoint: str | None) -> None:
    """Choose or forget."""
    if endpoint is None:
        connection.execute(delete(people).where(people.c.user_id == user_id))
    else:
        upsert(connection, people, [{"user_id": user_id, "model": endpoint}], replace=("model",))


def set_guild(connection: Connection, guild_id: int, column: str, value: str | None) -> None:
    """Set one column of a server's row."""
    row: dict[str, Any] = {"guild_id": guild_id, "model": None, "limits_json": None, column: value}
    upsert(connection, guilds, [row], replace=(column,))


def median_durations(connection: Connection) -> dict[str, float]:
    """Median seconds of the remembered paintings, by endpoint."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for endpoint, took_s in connection.execute(select(durations.c.endpoint, durations.c.seconds)):
        seconds[endpoint].append(took_s)
    return {endpoint: statistics.median(values) for endpoint, values in seconds.items()}


def record_duration(connection: Connection, endpoint: str, seconds: float) -> None:
    """Remember one painting, forget the oldest beyond the bound."""
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


def read_meta(connection: Connection, key: str) -> str | None:
    """One value."""
    return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()


def write_meta(connection: Connection, key: str, value: str) -> None:
    """Set one value."""
    upsert(connection, meta, [{"key": key, "value": value}], replace=("value",))
