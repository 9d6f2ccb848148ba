"""What people and servers chose, kept in memory: every first answer asks for it, and it changes rarely."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, bindparam, select

from bot.limits import GuildLimits
from bot.store.database import Database
from bot.store.outcomes import Preferences
from bot.store.tables import guilds
from bot.store.tables import users as users_table

#: Subjects kept; a few hundred bytes each.
MOST_KEPT = 20_000
#: Where other processes write to the same database (PostgreSQL): how late their changes may show here.
TRUSTED_S = 5.0
#: Subjects read by one statement.
_MOST_AT_ONCE = 500

#: 'u' and a person's id, or 'g' and a server's.
Subject = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Choice:
    """What one person or server chose."""

    model: str | None = None
    limits: GuildLimits | None = None


_NOTHING = Choice()


class PreferencesCache:
    """Reads through to the database, many at once where many ask; what this process changes shows at once.

    Args:
        trusted_s: how long something read is good for; None: until this process changes it.
    """

    def __init__(self, database: Database, *, trusted_s: float | None) -> None:
        self._database = database
        self._trusted_s = trusted_s
        self._kept: OrderedDict[Subject, tuple[Choice, float]] = OrderedDict()
        self._wanted: dict[Subject, asyncio.Future[Choice]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._changing: Counter[Subject] = Counter()
        #: Raised with every change: what was read before it began is not kept.
        self._changes = 0

    async def preferences(self, user_id: int, guild_id: int | None) -> Preferences:
        """What both chose. Raises StoreUnusable."""
        own = await self._choice(("u", user_id))
        servers = _NOTHING if guild_id is None else await self._choice(("g", guild_id))
        return Preferences(own.model, servers.model, servers.limits)

    @contextmanager
    def changing(self, *subjects: Subject) -> Iterator[None]:
        """Around a write. A cancelled caller's write may still happen later, so its subject is not cached any more."""
        self._changing.update(subjects)
        self._forget(subjects)
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._changed(subjects)
            raise
        else:
            self._changed(subjects)

    async def close(self) -> None:
        """Wait for what is being read."""
        if self._reader is not None:
            await asyncio.wait([self._reader])

    def _changed(self, subjects: Collection[Subject]) -> None:
        self._changing.subtract(subjects)
        self._changing = +self._changing
        self._forget(subjects)

    def _forget(self, subjects: Collection[Subject]) -> None:
        self._changes += 1
        for subject in subjects:
            self._kept.pop(subject, None)

    # ------------------------------------------------------------------ reading

    async def _choice(self, subject: Subject) -> Choice:
        """From the cache; else from a read that is shared with everybody who asks while another one runs."""
        kept = self._kept.get(subject)
        if kept is not None and (self._trusted_s is None or time.monotonic() - kept[1] < self._trusted_s):
            self._kept.move_to_end(subject)
            return kept[0]
        wanted = self._wanted.get(subject)
        if wanted is None:
            wanted = self._wanted[subject] = asyncio.get_running_loop().create_future()
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_wanted(), name="store-preferences")
        return await asyncio.shield(wanted)

    async def _read_wanted(self) -> None:
        try:
            while self._wanted:
                await self._read_some()
        finally:
            self._reader = None

    async def _read_some(self) -> None:
        some = list(self._wanted)[:_MOST_AT_ONCE]
        asked = {subject: self._wanted.pop(subject) for subject in some}
        changes, now_s = self._changes, time.monotonic()
        try:
            found = await self._database.read(partial(choices_of, subjects=some))
        except BaseException as error:
            for future in asked.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # whoever asked may have gone
            if not isinstance(error, Exception):
                raise
            return
        for subject, future in asked.items():
            choice = found.get(subject, _NOTHING)
            if not future.done():
                future.set_result(choice)
            if changes == self._changes and subject not in self._changing:
                self._keep(subject, choice, now_s)

    def _keep(self, subject: Subject, choice: Choice, now_s: float) -> None:
        self._kept[subject] = (choice, now_s)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


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


_OF_USERS = select(users_table).where(users_table.c.user_id.in_(bindparam("users", expanding=True)))
_OF_GUILDS = select(guilds).where(guilds.c.guild_id.in_(bindparam("guilds", expanding=True)))

__all__ = ["MOST_KEPT", "TRUSTED_S", "PreferencesCache"]
