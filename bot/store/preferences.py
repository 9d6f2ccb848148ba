"""What people and servers chose: default models, and a server's own limits."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete

from bot.errors import StoreUnusable
from bot.limits import GuildLimits
from bot.store.database import Database
from bot.store.dialect import upsert
from bot.store.outcomes import Preferences
from bot.store.preferences_cache import PreferencesCache
from bot.store.tables import guilds, users
from bot.store.writer import Writer

#: Discord gives a command three seconds in all.
_WITHIN_S = 2.0


class PreferenceStore:
    """Preferences, read through a cache; `store.preferences`."""

    def __init__(self, database: Database, writer: Writer, cache: PreferencesCache) -> None:
        self._database = database
        self._writer = writer
        self._cache = cache

    async def get(self, user_id: int, guild_id: int | None) -> Preferences:
        """What the person and the server chose; on PostgreSQL as it was some seconds ago, unless changed here.

        Somebody waits for it, so it fails soon where the server hangs.
        """
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._cache.preferences(user_id, guild_id)
        except TimeoutError as error:
            raise StoreUnusable(f"The database {self._database.label} does not answer in time.") from error

    async def set_user_model(self, user_id: int, endpoint: str | None) -> None:
        """A person's own default model; None forgets it."""
        with self._cache.changing(("u", user_id)):
            await self._writer.apply(partial(_set_user_model, user_id=user_id, endpoint=endpoint))

    async def set_guild_model(self, guild_id: int, endpoint: str | None) -> None:
        """A server's default model; None forgets it."""
        with self._cache.changing(("g", guild_id)):
            await self._writer.apply(partial(_set_guild, guild_id=guild_id, column="model", value=endpoint))

    async def set_guild_limits(self, guild_id: int, limits: GuildLimits | None) -> None:
        """A server's own limits; None goes back to the operator's."""
        value = None if limits is None else json.dumps(limits.to_json())
        with self._cache.changing(("g", guild_id)):
            await self._writer.apply(partial(_set_guild, guild_id=guild_id, column="limits_json", value=value))


def _set_user_model(connection: Connection, user_id: int, endpoint: str | None) -> None:
    """Choose or forget."""
    if endpoint is None:
        connection.execute(delete(users).where(users.c.user_id == user_id))
    else:
        upsert(connection, users, [{"user_id": user_id, "model": endpoint}], replace=("model",))


def _set_guild(connection: Connection, guild_id: int, column: str, value: str | None) -> None:
    """Set one column of a server's row."""
    row: dict[str, Any] = {"guild_id": guild_id, "model": None, "limits_json": None, column: value}
    upsert(connection, guilds, [row], replace=(column,))


__all__ = ["PreferenceStore"]
