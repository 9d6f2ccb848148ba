"""`python -m bot db`: looking after the database by hand."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bot.cli.process import configure_logging, run_async, say
from bot.errors import StoreUnusable
from bot.settings import load_settings
from bot.store import Store
from bot.store.backup import back_up
from bot.store.database import Database, parse_url
from bot.store.files import file_damage, sqlite_file
from bot.store.schema_version import HEAD, revision_of

Print = Callable[[str], None]


def command(options: argparse.Namespace) -> int:
    """Do what `options.action` says; returns the exit code."""
    settings = load_settings()
    configure_logging(settings)
    if options.action == "backup":
        return run_async(backup(settings.database_url, options, say))
    action = {"upgrade": upgrade, "current": current, "check": check}[options.action]
    return run_async(action(settings.database_url, say))


async def upgrade(url: str, write: Print) -> int:
    """Bring the database to this version, as every start does."""
    store = await Store.open(url)
    await store.close()
    write(f"The database is at revision {HEAD}.")
    return 0


async def current(url: str, write: Print) -> int:
    """Say the database's revision, and the one this version wants."""
    _existing(url)
    parsed, label = parse_url(url)
    database = Database(parsed, label, exclusive=False)
    try:
        revision = await database.read(revision_of)
    finally:
        await database.close()
    newest = "the newest" if revision == HEAD else f"this Easel works with {HEAD}"
    write(f"{label}: revision {revision or 'none (empty)'}, {newest}.")
    return 0


async def check(url: str, write: Print) -> int:
    """Look for damage, beside a running bot if need be; 1 when there is any."""
    file = _existing(url)
    try:
        store = await Store.open(url, exclusive=False)
        try:
            problems = await store.check()
        finally:
            await store.close()
    except StoreUnusable:
        problems = await asyncio.to_thread(file_damage, file) if file is not None else []
        if not problems:
            raise
    write("\n".join(f"✗ {problem}" for problem in problems) if problems else "✓ The database is sound.")
    if problems and file is not None:
        write(
            f"Stop Easel and keep a copy of {file}. Then restore a backup in its place, or move it away to start anew; "
            f"{_COMPANIONS.format(name=file.name)}."
        )
    return 1 if problems else 0


#: A journal of another file, left beside a database, would be played into it.
_COMPANIONS = "{name}-wal and {name}-shm beside it, if there are any, go with it"


async def backup(url: str, options: argparse.Namespace, write: Print) -> int:
    """Write a consistent copy of an SQLite database while the bot goes on working.

    Raises:
        StoreUnusable: not SQLite, no database, a damaged one, or a place that no copy can have.
        BackupFailed: the copy could not be written there.
    """
    file = _existing(url)
    if file is None:
        raise StoreUnusable(_POSTGRESQL.format(where=_as_options(url)))
    place = Path(options.place) if options.place is not None else None
    if options.place is not None and options.place.endswith("/") and place is not None and not place.is_dir():
        raise StoreUnusable(f"There is no folder {place} to write the copy to.")
    made = await asyncio.to_thread(back_up, file, place, datetime.now(UTC), keep=options.keep, replace=options.replace)
    write(f"Wrote {made.file} ({made.size_bytes / 2**20:.1f} MiB).")
    if made.removed:
        write(f"Removed {_copies(len(made.removed))}.")
    write(
        f"To restore it: stop Easel, remove {file} (and {file.name}-wal and {file.name}-shm beside it, if there are "
        "any), and put the copy in its place."
    )
    return 0


def _copies(number: int) -> str:
    return "1 older copy" if number == 1 else f"{number} older copies"


#: `db backup` is for SQLite; PostgreSQL brings better tools of its own.
_POSTGRESQL = """\
PostgreSQL has its own tools for backups, which work while Easel runs:
  pg_dump {where} --format=custom --file=easel.dump
To restore one: stop Easel, then
  pg_restore {where} --clean --if-exists easel.dump
They ask for the password, or take it from ~/.pgpass or PGPASSWORD."""


def _as_options(url: str) -> str:
    """The database as options of PostgreSQL's tools, without the password."""
    parsed, _ = parse_url(url)
    given = {
        "host": parsed.host,
        "port": parsed.port,
        "username": parsed.username,
        "dbname": parsed.database,
    }
    return " ".join(f"--{name}={shlex.quote(str(value))}" for name, value in given.items() if value)


def _existing(url: str) -> Path | None:
    """The SQLite file, None for PostgreSQL; a missing file is not made by looking at it."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise StoreUnusable(f"There is no database at {file} yet; the first start makes it.")
    return file
