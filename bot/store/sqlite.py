"""SQLite through aiosqlite: a connection with a thread of its own, and a lock that keeps a second process out."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import aiosqlite
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from bot.errors import StoreUnusable
from bot.private_files import make_private, make_private_folder, others_may_read

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Whoever holds a lock for longer makes a write fail; what must not be lost is tried again (see bot.jobs.context).
BUSY_TIMEOUT_S = 5
#: How long the end of the interpreter waits for a call that is still running in a connection's thread.
_EXIT_WAIT_S = 10.0


class SqliteConnection(aiosqlite.Connection):
    """aiosqlite's connection, with SQLAlchemy Core inside its thread.

    Whatever `call` is given runs there as a whole: one hop there and back for a transaction, not several for each
    statement. While the event loop is busy each hop costs a round of it, and a first answer waits for all of them.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(self._open, iter_chunk_size=64)
        self._engine = engine
        self._core: Connection | None = None
        # A daemon: a process that ends without closing must not wait for it for ever; see `_finish_threads`.
        self._thread = threading.Thread(target=_serve, args=(self._tx,), name=name, daemon=True)

    def _open(self) -> sqlite3.Connection:
        """Connect, in the thread, the way the engine does (settings, errors)."""
        self._core = self._engine.connect()
        driver = self._core.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        _open_connections.add(self)
        return driver

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the thread, as one call.

        A caller that is cancelled loses the result; the work goes on.
        """
        assert self._core is not None, "opened before it is used"
        execute: Callable[[Callable[[], T]], Awaitable[T]] = self._execute
        return await execute(partial(work, self._core))

    async def close(self) -> None:
        """Finish what was handed in, then close the connection and end the thread."""
        try:
            if self._core is not None:
                await self.call(Connection.close)
        finally:
            self._core = None
            _open_connections.discard(self)
            await super().close()
            self._thread.join(_EXIT_WAIT_S)

    def finish(self) -> None:
        """Finish what was handed in and close the connection, without an event loop."""
        core, self._core, self._connection = self._core, None, None
        done = threading.Event()

        def close() -> None:
            try:
                if core is not None:
                    core.close()
            finally:
                done.set()

        self._tx.put_nowait((None, close))
        done.wait(_EXIT_WAIT_S)


def _serve(calls: Any) -> None:
    """Aiosqlite's worker, which would die when it has an answer for an event loop that was closed meanwhile."""
    while True:
        try:
            aiosqlite.core._connection_worker_thread(calls)
        except RuntimeError:
            continue
        return


_open_connections: WeakSet[SqliteConnection] = WeakSet()


@atexit.register
def _finish_threads() -> None:
    """Let a transaction that is under way end before the interpreter does, also where nobody closed the store."""
    for connection in list(_open_connections):
        connection.finish()


class SqliteConnections:
    """Up to `most` connections of one kind, opened when they are needed."""

    def __init__(self, engine: Engine, *, most: int, name: str) -> None:
        self.engine = engine
        self._name = name
        self._permits = asyncio.Semaphore(most)
        self._idle: list[SqliteConnection] = []
        self._opening: set[asyncio.Task[SqliteConnection]] = set()
        self._opened: list[SqliteConnection] = []
        self._closed = False

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` between BEGIN IMMEDIATE and COMMIT."""

        def run(connection: Connection) -> T:
            with connection.begin():
                return work(connection)

        return await self._call(run)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` without a transaction around it."""

        def run(connection: Connection) -> T:
            try:
                return work(connection)
            finally:
                connection.rollback()  # SQLAlchemy's own record of a transaction; SQLite knows of none

        return await self._call(run)

    async def raw(self, statement: str) -> tuple[Any, ...] | None:
        """Run one statement past SQLAlchemy."""

        def run(connection: Connection) -> tuple[Any, ...] | None:
            driver: Any = connection.connection.driver_connection
            row = driver.execute(statement).fetchone()
            return None if row is None else tuple(row)

        return await self._call(run)

    async def dispose(self) -> None:
        """Finish what was handed in and close the connections."""
        self._closed = True
        await asyncio.gather(*self._opening, return_exceptions=True)
        while self._opened:
            await self._opened.pop().close()

    async def _call(self, work: Callable[[Connection], T]) -> T:
        async with self._permits:
            if self._closed:
                raise StoreUnusable("The database is closed.")
            connection = self._idle.pop() if self._idle else await self._open()
            try:
                result = await connection.call(work)
            except asyncio.CancelledError:
                self._idle.insert(0, connection)  # still busy: taken last
                raise
            except BaseException:
                self._idle.append(connection)
                raise
            self._idle.append(connection)
            return result

    async def _open(self) -> SqliteConnection:
        """A new connection; one whose caller was cancelled meanwhile is kept for the next."""
        opening = asyncio.create_task(self._connect(), name="store-open")
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._keep)
            raise

    async def _connect(self) -> SqliteConnection:
        connection = await SqliteConnection(self.engine, self._name)
        assert isinstance(connection, SqliteConnection)
        self._opened.append(connection)
        return connection

    def _keep(self, opening: asyncio.Task[SqliteConnection]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._idle.append(opening.result())


def sqlite_engine(url: URL, *, writing: bool) -> Engine:
    """An engine whose connections stay with the thread that opened them."""
    # isolation_level None: sqlite3 itself begins nothing, so BEGIN IMMEDIATE below is the only one and DDL is
    # transactional. NullPool: a SqliteConnection keeps what it opened, from the first call to its end.
    engine = create_engine(
        url,
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S},
        poolclass=NullPool,
        # The values of a statement may be prompts: no error repeats them.
        hide_parameters=True,
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
    f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
    "journal_mode=WAL",
    # FULL: in WAL mode NORMAL may forget committed transactions when the power fails.
    "synchronous=FULL",
    "foreign_keys=ON",
    # What is deleted is overwritten with zeros, not just unlinked.
    "secure_delete=ON",
)
_READER_PRAGMAS = (f"busy_timeout={BUSY_TIMEOUT_S * 1000}", "query_only=ON")


# ---------------------------------------------------------------------- one process a file


class FileLock:
    """An advisory lock that dies with the process, so a crash leaves nothing to clean up."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another process take it."""
        os.close(self._descriptor)


def lock_file(path: Path) -> FileLock:
    """Make the folder and the file (readable by their owner only), and lock it.

    Raises:
        StoreUnusable: not writable, a folder, or held by another process.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        make_private_folder(path.parent)
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
    _keep_private(path)
    return FileLock(descriptor)


#: What may lie beside the database in a folder that is Easel's alone: copies, and the sandbox's databases.
_OURS_TOO = frozenset({"backups", "sandbox"})


def _keep_private(path: Path) -> None:
    """Close to others what earlier versions or a copied folder left open; where that is not ours to do, say so."""
    folder = path.parent
    try:
        there = list(folder.iterdir())
    except OSError:  # a folder that may be entered and written, not listed
        there = [path]
    files = [one for one in there if one.name.startswith(path.name) and one.is_file()]
    loose = [one for one in files if not make_private(one)]
    if others_may_read(folder):
        is_ours = all(one.name.startswith(path.name) or one.name in _OURS_TOO for one in there)
        if not (is_ours and make_private(folder)):
            loose.append(folder)
    if loose:
        log.warning(
            "other users of this machine may read or enter what holds people's prompts; `chmod go=` closes it",
            extra={"paths": ", ".join(map(str, loose))},
        )


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


__all__ = ["FileLock", "SqliteConnection", "SqliteConnections", "lock_file", "sqlite_engine"]
