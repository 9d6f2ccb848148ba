"""One database behind a URL, SQLite or PostgreSQL: transactions, reads, and errors as sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from bot.errors import StoreUnusable
from bot.store.driver_errors import DRIVER_ERRORS, is_transient, translate
from bot.store.sqlite import FileLock, SqliteConnections, lock_file, sqlite_engine

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

_READERS = 2
_POSTGRES_CONNECTIONS = 5
_CONNECT_TIMEOUT_S = 10


class Database:
    """Reads run on their own connections; writes on one, and one at a time (the `Writer` sees to that)."""

    def __init__(self, url: URL, label: str, *, exclusive: bool) -> None:
        self.label = label
        self.exclusive = exclusive
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._lock: FileLock | None = None
        if self.is_sqlite:
            assert url.database is not None
            self.path: Path | None = Path(url.database)
            if exclusive:
                self._lock = lock_file(self.path)
            elif not self.path.exists():
                raise StoreUnusable(f"The database {label} does not exist yet. Start the bot once: it makes it.")
            self._writing: _Connections = SqliteConnections(
                sqlite_engine(url, writing=True), most=1, name="store-write"
            )
            self._reading: _Connections = SqliteConnections(
                sqlite_engine(url, writing=False), most=_READERS, name="store-read"
            )
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
    """The URL with its async driver, and the label that names it in sentences.

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


def _postgres_engine(url: URL) -> AsyncEngine:
    from sqlalchemy.ext.asyncio import create_async_engine  # here: it takes 6 MB, which SQLite does not need

    try:
        return create_async_engine(
            url,
            pool_size=_POSTGRES_CONNECTIONS,
            max_overflow=0,
            connect_args={"timeout": _CONNECT_TIMEOUT_S},
            # The values of a statement may be prompts: no error repeats them.
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise StoreUnusable("A PostgreSQL database needs the package asyncpg, which is not installed.") from error
