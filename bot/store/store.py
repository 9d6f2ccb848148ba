"""The store: one object that opens the database and hands out its parts."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Self

from sqlalchemy import Connection

from bot.errors import StoreUnusable
from bot.store import integrity, schema_version
from bot.store.alerts import AlertStore
from bot.store.costs import CostStore
from bot.store.database import Database, parse_url
from bot.store.doubts import DoubtStore
from bot.store.drafts import DraftStore
from bot.store.durations import DurationStore
from bot.store.fair_queue import recount
from bot.store.jobs import JobStore
from bot.store.kv import KeyValueStore, write_kv
from bot.store.lease_queries import LeaseStore
from bot.store.positions import PositionStore
from bot.store.preferences import PreferenceStore
from bot.store.preferences_cache import TRUSTED_S, PreferencesCache
from bot.store.retention import Retention, blank_dead_tokens
from bot.store.times import to_us, utcnow
from bot.store.usage import UsageStore
from bot.store.writer import Writer

log = logging.getLogger(__name__)

_LONGEST_NAME = 40

#: Dead tokens forgotten before the start goes on; `Retention.purge` forgets the rest.
_TOKENS_AT_START = 1000


class Store:
    """All that outlives a restart, by its parts: jobs, leases, positions in the queue, usage, preferences and so on.

    Writes go through one task that lets concurrent callers share a transaction; every call returns after its COMMIT.
    Any call may raise StoreUnusable (disk full, locked, server gone); later calls work again when the cause is gone.
    """

    def __init__(self, database: Database, *, clock: Callable[[], datetime], process: str) -> None:
        #: Under which name leases are held.
        self.process = process
        self._database = database
        self._clock = clock
        self._writer = Writer(database)
        self._preferences_cache = PreferencesCache(database, trusted_s=None if database.is_sqlite else TRUSTED_S)
        self.jobs = JobStore(database, self._writer, process=process, clock=clock)
        self.leases = LeaseStore(database, self._writer, process=process, clock=clock)
        self.positions = PositionStore(database)
        self.usage = UsageStore(database, clock=clock)
        self.preferences = PreferenceStore(database, self._writer, self._preferences_cache)
        self.kv = KeyValueStore(database, self._writer)
        self.drafts = DraftStore(database, self._writer, clock=clock)
        self.costs = CostStore(database)
        self.doubts = DoubtStore(database, self._writer)
        self.durations = DurationStore(database, self._writer)
        self.alerts = AlertStore(database, self._writer, clock)
        self.retention = Retention(database, self._writer, self._preferences_cache, clock=clock)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Callable[[], datetime] = utcnow,
        exclusive: bool = True,
        process: str | None = None,
    ) -> Self:
        """Open the database at `url`, make it where it is missing, bring it to the newest form.

        Args:
            url: `sqlite:///file`, `sqlite:////whole/path` or `postgresql://…`, with or without a driver's name.
            clock: where the present moment comes from; limits on PostgreSQL go by the server's unless one is given.
            exclusive: False only reads (`check`), beside a bot that runs: nothing is made, locked or migrated.
            process: name to hold leases under, which no other process has or had; random by default.

        Raises:
            StoreUnusable: with what to do about it.
        """
        name = process or secrets.token_hex(8)
        if len(name) > _LONGEST_NAME:
            raise ValueError(f"the name of a process has at most {_LONGEST_NAME} characters")
        parsed, label = parse_url(url)
        database = Database(parsed, label, exclusive=exclusive)
        store = cls(database, clock=clock, process=name)
        try:
            await store._prepare()
        except BaseException:
            await database.close()
            raise
        return store

    async def _prepare(self) -> None:
        if not self._database.exclusive:
            revision = await self._database.read(schema_version.revision_of)
            schema_version.check_current(revision, self._database.label)
            return
        await integrity.preflight(self._database)
        await self._database.write(schema_version.migrate)
        # A first write shows a read-only file or a full disk now, not when the first person asks for a picture.
        await self._database.write(self._note_start)
        self._writer.start()

    def _note_start(self, connection: Connection) -> None:
        now = self._clock()
        write_kv(connection, "opened_at", now.isoformat())
        write_kv(connection, integrity.IN_USE, "1")
        blank_dead_tokens(connection, _TOKENS_AT_START, to_us(now))
        recount(connection)

    @property
    def shared(self) -> bool:
        """Whether other processes may work on the same jobs (PostgreSQL)."""
        return not self._database.is_sqlite

    async def until_broken(self) -> None:
        """Return, or raise what ended it, when writes are no longer executed."""
        await self._writer.until_broken()

    async def close(self) -> None:
        """Finish what is being written and let go of the database. Leases are kept: see `LeaseStore.release`."""
        try:
            if self._writer.open:
                await self._note_end()
            await self._writer.close()
            await self._preferences_cache.close()
        finally:
            await self._database.close()

    async def _note_end(self) -> None:
        try:
            await self.kv.set(integrity.IN_USE, "0")
        except StoreUnusable as error:  # the next start checks the file; nothing else depends on it
            log.warning("the database can't be closed in good order", extra={"reason": error.sentence})

    async def check(self) -> list[str]:
        """What is wrong with the database, a sentence each; empty when all is well."""
        try:
            revision = await self._database.read(schema_version.revision_of)
            schema_version.check_revision(revision)
            missing = await self._database.read(integrity.tables_missing)
            if missing:
                return [f"Tables are missing: {', '.join(missing)}. Restore a backup."]
            return await self._database.read(integrity.problems)
        except StoreUnusable as error:
            return [error.sentence]


__all__ = ["Store"]
