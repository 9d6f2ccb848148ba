"""One database behind a URL: engines, connection settings and, for SQLite, the lock that keeps a second process out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.errors import StoreUnusable
from bot.store.trouble import DRIVER_ERRORS, passing, told

T = TypeVar("T")

_BUSY_TIMEOUT_S = 5
_READERS = 2
_POSTGRES_CONNECTIONS = 5
_CONNECT_TIMEOUT_S = 10


class Database:
    """Reads run on their own connections; writes on one, and one at a time (the `Writer` sees to that)."""

    def __init__(self, url: URL, place: str, *, exclusive: bool) -> None:
        self.place = place
        self.exclusive = exclusive
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._lock: _FileLock | None = None
        if self.is_sqlite:
            assert url.database is not None
            self.path: Path | None = Path(url.database)
            if exclusive:
                self._lock = _take(self.path)
            elif not self.path.exists():
                raise StoreUnusable(f"The database {place} does not exist yet. Start the bot once: it makes it.")
            self._writing = _sqlite_engine(url, writing=True)
            self._reading = _sqlite_engine(url, writing=False)
        else:
            self.path = None
            self._writing = self._reading = _postgres_engine(url)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one write transaction; returns after COMMIT.

        `work` may run again after a lost connection or a deadlock, always in a new transaction.

        Raises:
            StoreUnusable: disk full, locked, unreachable, …
        """
        for last in (False, False, True):
            committing = False
            try:
                async with self._writing.begin() as connection:
                    result = await connection.run_sync(work)
                    committing = True
            except DRIVER_ERRORS as error:
                # An error of COMMIT itself leaves open whether it took; nothing before it can have.
                if committing or last or not passing(error):
                    raise told(error, self.place) from error
            else:
                return result
        raise AssertionError("the last try returns or raises")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reading connection; each statement sees the newest commit.

        Raises:
            StoreUnusable: damaged, unreachable, …
        """
        for last in (False, True):
            try:
                async with self._reading.connect() as connection:
                    return await connection.run_sync(work)
            except DRIVER_ERRORS as error:
                if last or not passing(error):
                    raise told(error, self.place) from error
        raise AssertionError("the last try returns or raises")

    async def outside_transaction(self, statement: str) -> tuple[Any, ...] | None:
        """Run one statement that may not stand in a transaction, on the writing connection; SQLite's first row."""
        try:
            async with self._writing.connect() as connection:
                raw = await connection.get_raw_connection()
                driver: Any = raw.driver_connection
                if not self.is_sqlite:
                    await driver.execute(statement)
                    return None
                cursor = await driver.execute(statement)
                row = await cursor.fetchone()
                await cursor.close()
                return None if row is None else tuple(row)
        except DRIVER_ERRORS as error:
            raise told(error, self.place) from error

    async def close(self) -> None:
        """Close every connection and let the lock go."""
        try:
            await self._reading.dispose()
            await self._writing.dispose()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None


def parse_url(url: str) -> tuple[URL, str]:
    """The URL with its async driver, and the place to name in sentences.

    Raises:
        StoreUnusable: not a URL, or not SQLite or PostgreSQL. Never repeats the URL: it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreUnusable(_NOT_A_URL) from error
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return _sqlite_url(parsed)
    if kind in {"postgresql", "postgres"}:
        return _postgres_url(parsed)
    raise StoreUnusable(_NOT_A_URL)


_NOT_A_URL = (
    "EASEL_DATABASE_URL is not one that Easel understands. Write sqlite:///data/easel.db (a file), "
    "sqlite:////var/lib/easel/easel.db (with the whole path) or postgresql://user:password@host/name."
)


def _sqlite_url(url: URL) -> tuple[URL, str]:
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise StoreUnusable(
            "EASEL_DATABASE_URL names no file: a database in memory would forget every accepted picture. "
            "Write for example sqlite:///data/easel.db."
        )
    path = Path(name).expanduser().resolve()
    return URL.create("sqlite+aiosqlite", database=str(path)), str(path)


def _postgres_url(url: URL) -> tuple[URL, str]:
    query = dict(url.query)
    # libpq spells it sslmode; asyncpg takes the same values as ssl.
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    host = url.host or query.get("host") or "localhost"
    place = f"{url.database or 'postgres'} at {host}" + (f":{url.port}" if url.port else "")
    return url.set(drivername="postgresql+asyncpg", query=query), place


# ---------------------------------------------------------------------- engines


def _sqlite_engine(url: URL, *, writing: bool) -> AsyncEngine:
    # isolation_level None: sqlite3 itself begins nothing, so BEGIN IMMEDIATE below is the only one and DDL is
    # transactional. pool_reset_on_return None: a connection comes back after COMMIT or ROLLBACK, never inside.
    engine = create_async_engine(
        url,
        connect_args={"isolation_level": None, "timeout": _BUSY_TIMEOUT_S},
        pool_size=1 if writing else _READERS,
        max_overflow=0,
        pool_reset_on_return=None,
    )
    pragmas = _WRITER_PRAGMAS if writing else _READER_PRAGMAS

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine.sync_engine, "connect", prepare)
    if writing:
        event.listen(engine.sync_engine, "begin", begin)
    return engine


_WRITER_PRAGMAS = (
    f"busy_timeout={_BUSY_TIMEOUT_S * 1000}",
    "journal_mode=WAL",
    # FULL: in WAL mode NORMAL may forget committed transactions when the power fails.
    "synchronous=FULL",
    "foreign_keys=ON",
    # What is deleted is overwritten with zeros, not just unlinked.
    "secure_delete=ON",
)
_READER_PRAGMAS = (f"busy_timeout={_BUSY_TIMEOUT_S * 1000}", "query_only=ON")


def _postgres_engine(url: URL) -> AsyncEngine:
    try:
        return create_async_engine(
            url,
            pool_size=_POSTGRES_CONNECTIONS,
            max_overflow=0,
            connect_args={"timeout": _CONNECT_TIMEOUT_S},
        )
    except ModuleNotFoundError as error:
        raise StoreUnusable("A PostgreSQL database needs the package asyncpg, which is not installed.") from error


# ---------------------------------------------------------------------- one process a file


class _FileLock:
    """An advisory lock that dies with the process, so a crash leaves nothing to clean up."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


def _take(path: Path) -> _FileLock:
    """Make the folder and the file (readable by their owner only), and lock it.

    Raises:
        StoreUnusable: not writable, a folder, or held by another process.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnusable(
            f"The database {path} can't be written ({error.strerror}). Let the user that runs Easel write the file and "
            "its folder, or point EASEL_DATABASE_URL somewhere else."
        ) from error
    try:
        _lock(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise StoreUnusable(
            f"The database {path} is in use by another Easel process. Stop that one first; to share the work between "
            "several processes use PostgreSQL."
        ) from error
    return _FileLock(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
