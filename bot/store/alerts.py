"""Alerts that were raised, what is spent of the budgets that are watched, and where a server wants to be told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, or_, select, update

from bot.domain.alerts import Alert, Scope
from bot.limits import GuildLimits
from bot.store.database import Database
from bot.store.dialect import insert_into, now_in, upsert
from bot.store.tables import alerts, balances, guilds
from bot.store.times import day_of, span_us, to_us
from bot.store.writer import Writer

#: How long an alert is remembered: longer than the longest month that it can be about.
_KEPT = timedelta(days=93)
#: An alert that was raised this long ago and not sent is taken over by whoever looks next.
TAKEN_OVER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class WatchedBalance:
    """What is spent or reserved in the current day or month, of one budget."""

    scope: Scope
    #: The server's id; 0 for everybody.
    subject_id: int
    #: The UTC day, or the first one of the month, counted from 1970.
    day: int
    usd_micros: int
    #: What the server set for itself.
    limits: GuildLimits | None = None
    #: Where the server wants its alerts.
    channel_id: int | None = None


class AlertStore:
    """Alerts; `store.alerts`."""

    def __init__(self, database: Database, writer: Writer, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    async def balances(self) -> list[WatchedBalance]:
        """The current day's and month's balances of servers and of everybody, as far as anything was spent."""
        return await self._database.read(partial(_balances, clock=self._clock))

    async def raise_new(self, raised: Sequence[Alert]) -> list[Alert]:
        """Put alerts on record; returns those that were not there yet, which the caller has to send."""
        return await self._writer.apply(partial(_raise_new, raised=raised, clock=self._clock))

    async def take_unsent(self) -> list[Alert]:
        """The alerts that were raised a while ago and not sent, because a process ended or Discord was away."""
        return await self._writer.apply(partial(_take_unsent, clock=self._clock))

    async def mark_sent(self, alert: Alert) -> None:
        """Put on record that whoever is to be told was told."""
        await self._writer.apply(partial(_mark_sent, alert=alert, clock=self._clock))

    async def channel_of(self, guild_id: int) -> int | None:
        """Where a server wants its alerts; None where it wants none."""
        return await self._database.read(partial(_channel_of, guild_id=guild_id))

    async def set_channel(self, guild_id: int, channel_id: int | None) -> None:
        """Where a server wants its alerts from now on."""
        await self._writer.apply(partial(_set_channel, guild_id=guild_id, channel_id=channel_id))


def _balances(connection: Connection, clock: Callable[[], datetime]) -> list[WatchedBalance]:
    now = now_in(connection, clock)
    today = day_of(now)
    month = today - now.astimezone(UTC).day + 1
    periods = or_(
        and_(balances.c.scope.in_(("g", "a")), balances.c.day == today),
        and_(balances.c.scope.in_(("m", "n")), balances.c.day == month),
    )
    own = and_(balances.c.scope.in_(("g", "m")), balances.c.subject_id == guilds.c.guild_id)
    statement = (
        select(balances, guilds.c.limits_json, guilds.c.alerts_channel_id)
        .select_from(balances.outerjoin(guilds, own))
        .where(periods, balances.c.usd_micros > 0)
    )
    return [_balance(row) for row in connection.execute(statement)]


def _balance(row: Row[Any]) -> WatchedBalance:
    limits = None if row.limits_json is None else GuildLimits.from_json(json.loads(row.limits_json))
    return WatchedBalance(row.scope, row.subject_id, row.day, row.usd_micros, limits, row.alerts_channel_id)


def _raise_new(connection: Connection, raised: Sequence[Alert], clock: Callable[[], datetime]) -> list[Alert]:
    now_us = to_us(now_in(connection, clock))
    insert = insert_into(connection, alerts).on_conflict_do_nothing()
    new = [one for one in raised if connection.execute(insert, [{**_key(one), "raised_us": now_us}]).rowcount == 1]
    if new:
        connection.execute(delete(alerts).where(alerts.c.raised_us < now_us - span_us(_KEPT)))
    return new


def _take_unsent(connection: Connection, clock: Callable[[], datetime]) -> list[Alert]:
    now_us = to_us(now_in(connection, clock))
    late = and_(alerts.c.sent_us.is_(None), alerts.c.raised_us <= now_us - span_us(TAKEN_OVER))
    found = connection.execute(select(alerts).where(late).with_for_update(skip_locked=True)).all()
    taken = [Alert(row.scope, row.subject_id, row.day, row.percent) for row in found]
    for one in taken:
        connection.execute(update(alerts).where(*_is(one)).values(raised_us=now_us))
    return taken


def _mark_sent(connection: Connection, alert: Alert, clock: Callable[[], datetime]) -> None:
    connection.execute(update(alerts).where(*_is(alert)).values(sent_us=to_us(now_in(connection, clock))))


def _channel_of(connection: Connection, guild_id: int) -> int | None:
    found: int | None = connection.execute(
        select(guilds.c.alerts_channel_id).where(guilds.c.guild_id == guild_id)
    ).scalar()
    return found


def _set_channel(connection: Connection, guild_id: int, channel_id: int | None) -> None:
    row = {"guild_id": guild_id, "alerts_channel_id": channel_id}
    upsert(connection, guilds, [row], replace=("alerts_channel_id",))


def _key(alert: Alert) -> dict[str, Any]:
    return {"scope": alert.scope, "subject_id": alert.subject_id, "day": alert.day, "percent": alert.percent}


def _is(alert: Alert) -> Iterable[Any]:
    return [alerts.c[name] == value for name, value in _key(alert).items()]


__all__ = ["AlertStore", "WatchedBalance"]
