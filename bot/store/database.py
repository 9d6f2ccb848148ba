"""One database behind a URL: engines, connection settings and, for SQLite, the lock that keeps a second process out."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.errors import StoreUnusable
from bot.store.driver_errors import DRIVER_ERRORS, is_transient, translate

T = TypeVar("T")

#: Whoever holds a lock for longer makes a write fail; what must not be lost is tried again (see bot.jobs.context).
_BUSY_TIMEOUT_S = 5
_READERS = 2
_POSTGRES_CONNECTIONS = 5
_CONNECT_TIMEOUT_S = 10


class Database:
    """Reads run on their own connections; writes on one, and one at a time (the `Writer` sees to that)."""

    def __init__(self, url: URL, label: str, *, exclusive: bool) -> None:
        self.label = label
        self.exclusive = exclusive
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._lock: _FileLock | None = None
        if self.is_sqlite:
            assert url.database is not None
            self.path: Path | None = Path(url.database)
            if exclusive:
                self._lock = _take(self.path)
            elif not self.path.exists():
                raise StoreUnusable(f"The database {label} does not exist yet. Start the bot once: it makes it.")
            self._writing: _Connections = _SqliteConnections(_sqlite_engine(url, writing=True), 1)
            self._reading: _Connections = _SqliteConnections(_sqlite_engine(url, writing=False), _READERS)
        else:
            self.path = None
            self._writing = self._reading = _PostgresConnections(_postgres_engine(url))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one write transaction; returns after COMMIT.

        `work` may run again after a lost connection or a deadlock, always in a new transaction.

        Raises:
            StoreUnusable: disk full, locked, unreachable, …
        """
        for last in (False, False, True):
            attempt = _Attempt(work)
            try:
                return await self._writing.transaction(attempt)
            except DRIVER_ERRORS as error:
                # An error of COMMIT itself leaves open whether it took; nothing before it can have.
                if attempt.committing or last or not is_transient(error):
                    raise translate(error, self.label) from error
        raise AssertionError("the last try returns or raises")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reading connection; each statement sees the newest commit.

        Raises:
            StoreUnusable: damaged, unreachable, …
        """
        for last in (False, True):
            try:
                return await self._reading.read(work)
            except DRIVER_ERRORS as error:
                if last or not is_transient(error):
                    raise translate(error, self.label) from error
        raise AssertionError("the last try returns or raises")

    async def outside_transaction(self, statement: str) -> tuple[Any, ...] | None:
        """Run one statement that may not stand in a transaction, on the writing connection; SQLite's first row."""
        try:
            return await self._writing.raw(statement)
        except DRIVER_ERRORS as error:
            raise translate(error, self.label) from error

    async def close(self) -> None:
        """Close every connection and let the lock go."""
        try:
            await self._reading.dispose()
            await self._writing.dispose()
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None


class _Attempt(Generic[T]):
    """One try of a transaction; it knows whether only COMMIT was left."""

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self._work = work
        self.committing = False

    def __call__(self, connection: Connection) -> T:
        result = self._work(connection)
        self.committing = True
        return result


class _Connections(Protocol):
    """Connections of one kind."""

    engine: Engine

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` between BEGIN and COMMIT."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` without a transaction around it."""

    async def raw(self, statement: str) -> tuple[Any, ...] | None:
        """Run one statement past SQLAlchemy."""

    async def dispose(self) -> None:
        """Close the connections."""


class _SqliteConnections:
    """SQLite: work runs as a whole in a thread that nothing else uses.

    One hop there and back for a transaction, not several for every statement: while the event loop is busy each hop
    costs a round of it, and a first answer waits for all of them.
    """

    def __init__(self, engine: Engine, threads: int) -> None:
        self.engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._closed = False

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self.engine.begin() as connection:
                return work(connection)

        return await self._hop(run)

    async def read(self, work: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        return await self._hop(run)

    async def raw(self, statement: str) -> tuple[Any, ...] | None:
        def run() -> tuple[Any, ...] | None:
            with self.engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                row = driver.execute(statement).fetchone()
                return None if row is None else tuple(row)

        return await self._hop(run)

    async def dispose(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._threads.shutdown()
        self.engine.dispose()

    async def _hop(self, run: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnusable("The database is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


class _PostgresConnections:
    """PostgreSQL: an asynchronous driver."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine.sync_engine
        self._engine = engine

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.connect() as connection:
            return await connection.run_sync(work)

    async def raw(self, statement: str) -> tuple[Any, ...] | None:
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute(statement)
        return None

    async def dispose(self) -> None:
        await self._engine.dispose()


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
    "sqlite:////var/lib/easel/easel.db (with the whole path) or postgresql://user@host/name (the password goes "
    "behind the user, after a colon)."
)


def _sqlite_url(url: URL) -> tuple[URL, str]:
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise StoreUnusable(
            "EASEL_DATABASE_URL names no file: a database in memory would forget every accepted picture. "
            "Write for example sqlite:///data/easel.db."
        )
    path = Path(name).expanduser().resolve()
    return URL.create("sqlite+pysqlite", database=str(path)), str(path)


def _postgres_url(url: URL) -> tuple[URL, str]:
    query = dict(url.query)
    # libpq spells it sslmode; asyncpg takes the same values as ssl.
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    host = url.host or query.get("host") or "localhost"
    label = f"{url.database or 'postgres'} at {host}" + (f":{url.port}" if url.port else "")
    return url.set(drivername="postgresql+asyncpg", query=query), label


# ---------------------------------------------------------------------- engines


def _sqlite_engine(url: URL, *, writing: bool) -> Engine:
    # isolation_level None: sqlite3 itself begins nothing, so BEGIN IMMEDIATE below is the only one and DDL is
    # transactional. pool_reset_on_return None: a connection comes back after COMMIT or ROLLBACK, never inside.
    engine = create_engine(
        url,
        connect_args={"isolation_level": None, "timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
        poolclass=QueuePool,
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

    event.listen(engine, "connect", prepare)
    if writing:
        event.listen(engine, "begin", begin)
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
