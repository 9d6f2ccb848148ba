"""Small facts: preferences of people and servers, durations, odds and ends. Single statements, read and written."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from bot.limits import GuildLimits
from bot.store.dialect import insert_into, upsert
from bot.store.tables import durations, guilds, meta, people

#: Paintings remembered for each model.
_REMEMBERED = 50

#: 'u' and a person's id, or 'g' and a server's.
Subject = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one of them chose."""

    model: str | None = None
    limits: GuildLimits | None = None


def choices_of(connection: Connection, subjects: Collection[Subject]) -> dict[Subject, Choice]:
    """What each chose; those who chose nothing are left out."""
    found: dict[Subject, Choice] = {}
    users = [number for scope, number in subjects if scope == "u"]
    if users:
        for row in connection.execute(_OF_USERS, {"users": users}):
            found["u", row.user_id] = Choice(row.model)
    servers = [number for scope, number in subjects if scope == "g"]
    if servers:
        for row in connection.execute(_OF_GUILDS, {"guilds": servers}):
            limits = None if row.limits_json is None else GuildLimits.from_json(json.loads(row.limits_json))
            found["g", row.guild_id] = Choice(row.model, limits)
    return found


_OF_USERS = select(people).where(people.c.user_id.in_(bindparam("users", expanding=True)))
_OF_GUILDS = select(guilds).where(guilds.c.guild_id.in_(bindparam("guilds", expanding=True)))


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


def read_kv(connection: Connection, key: str) -> str | None:
    """One value."""
    return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()


def write_kv(connection: Connection, key: str, value: str) -> None:
    """Set one value."""
    upsert(connection, meta, [{"key": key, "value": value}], replace=("value",))


def write_kv_default(connection: Connection, key: str, value: str) -> str:
    """Set one value unless there is one; the value that holds now."""
    connection.execute(insert_into(connection, meta).on_conflict_do_nothing(), [{"key": key, "value": value}])
    found: str = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one()
    return found
