"""Bringing a database to the newest revision; forward only.

A database that is there already costs one SELECT, and an empty one gets the newest tables at once (a test compares
them with what the migrations build): Alembic, which takes 10 MB, is imported only to bring an older one forward.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, text
from sqlalchemy.schema import CreateTable

from bot.errors import StoreOutdated, StoreUnusable
from bot.store.tables import fairness, metadata

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

#: Every revision, oldest first; a test compares it with the files.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
HEAD = REVISIONS[-1]

_FOLDER = Path(__file__).parent / "migrations"
#: Any number that no other program on the server uses for its advisory lock.
_ADVISORY_LOCK = 7_308_332_140_665


def revision_of(connection: Connection) -> str | None:
    """The revision the database is at; None when it is empty.

    Raises:
        StoreUnusable: it holds somebody else's tables where ours would be.
    """
    names = set(inspect(connection).get_table_names())
    if "alembic_version" in names:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if "jobs" in names or "ledger" in names:
        raise StoreUnusable(
            "The database holds tables of another program. Give Easel a database of its own in EASEL_DATABASE_URL."
        )
    return None


def check_revision(revision: str | None) -> None:
    """Raise StoreUnusable for a database that a newer Easel wrote."""
    if revision is not None and revision not in REVISIONS:
        raise StoreUnusable(
            f"The database was written by a newer Easel (revision {revision}; this one knows up to {HEAD}). "
            "Update Easel, or restore a backup from before the update."
        )


def check_current(revision: str | None, label: str) -> None:
    """Raise StoreUnusable for a database that is not at this version's revision."""
    check_revision(revision)
    if revision != HEAD:
        raise StoreOutdated(
            f"The database {label} is empty or older than this Easel. "
            "Start the bot once: it brings the database forward by itself."
        )


def migrate(connection: Connection, to: str = HEAD) -> None:
    """Bring the database forward, all in the caller's transaction.

    Raises:
        StoreUnusable: written by a newer Easel, or another program's.
    """
    if connection.dialect.name == "postgresql":
        # Several processes may start at once: one migrates, the others wait and find it done.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    revision = revision_of(connection)
    check_revision(revision)
    if revision is None and to == HEAD and not inspect(connection).get_table_names():
        _create(connection)
    elif revision != to:
        upgrade(connection, to)


def _create(connection: Connection) -> None:
    """The newest tables in an empty database, and what the migrations put into them."""
    metadata.create_all(connection)
    connection.execute(insert(fairness).values(id=1, virtual_time=0))
    connection.execute(CreateTable(_alembic_version))
    connection.execute(insert(_alembic_version).values(version_num=HEAD))


#: As Alembic makes it.
_alembic_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def scripts() -> ScriptDirectory:
    """The migration files, wherever the package is installed."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_FOLDER))


def upgrade(connection: Connection, to: str) -> None:
    """Run the migrations up to this revision."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    script = scripts()
    environment = EnvironmentContext(Config(), script, fn=lambda revision, _: script._upgrade_revs(to, revision))
    with environment:
        environment.configure(connection=connection, target_metadata=None)
        environment.run_migrations()
