"""`python -m bot db`: looking after the database by hand."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from bot.cli.process import configure_logging, run_async, say
from bot.errors import BackupFailed, StoreUnusable
from bot.settings import load_settings
from bot.store import Store
from bot.store.database import Database, parse_url
from bot.store.driver_errors import translate
from bot.store.schema_version import HEAD, revision_of

Print = Callable[[str], None]

#: Findings of SQLite that are shown.
_MOST_FOUND = 10


def command(options: argparse.Namespace) -> int:
    """Do what `options.action` says; returns the exit code."""
    settings = load_settings()
    configure_logging(settings)
    if options.action == "backup":
        return run_async(backup(settings.database_url, options.file, say))
    action = {"upgrade": upgrade, "current": current, "check": check}[options.action]
    return run_async(action(settings.database_url, say))


def sqlite_file(url: str) -> Path | None:
    """The file behind a URL; None for PostgreSQL.

    Raises:
        StoreUnusable: no URL that Easel understands.
    """
    parsed, place = parse_url(url)
    return Path(place) if parsed.get_backend_name() == "sqlite" else None


def may_write(path: Path) -> bool:
    """Whether this process may write a file, or make files in a folder; asked of the system, so nothing is touched."""
    wanted = os.W_OK | os.X_OK if path.is_dir() else os.R_OK | os.W_OK
    return os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)


async def upgrade(url: str, write: Print) -> int:
    """Bring the database to this version, as every start does."""
    store = await Store.open(url)
    await store.close()
    write(f"The database is at revision {HEAD}.")
    return 0


async def current(url: str, write: Print) -> int:
    """Say the database's revision, and the one this version wants."""
    _existing(url)
    parsed, place = parse_url(url)
    database = Database(parsed, place, exclusive=False)
    try:
        revision = await database.read(revision_of)
    finally:
        await database.close()
    newest = "the newest" if revision == HEAD else f"this Easel works with {HEAD}"
    write(f"{place}: revision {revision or 'none (empty)'}, {newest}.")
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
        problems = await asyncio.to_thread(damage, file) if file is not None else []
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


def damage(file: Path) -> list[str]:
    """What SQLite itself finds wrong with a file, however little of it can be read; nothing where it can't look."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST_FOUND})")]
    except sqlite3.Error as error:
        found = [str(error)] if _sqlite_name(error).startswith("SQLITE_CORRUPT") else ["ok"]
    return [] if found == ["ok"] else [f"SQLite finds damage: {' '.join(line.split())[:200]}" for line in found]


def _sqlite_name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""


async def backup(url: str, copy: Path, write: Print) -> int:
    """Write a consistent copy of an SQLite database while the bot goes on working.

    Raises:
        StoreUnusable: not SQLite, no database, a damaged one, or a place that no copy can have.
        BackupFailed: the copy could not be written there.
    """
    file = _existing(url)
    if file is None:
        raise StoreUnusable("For PostgreSQL use its own tool: pg_dump --format=custom --file=easel.dump DATABASE")
    size_bytes = await asyncio.to_thread(_copy, file, copy)
    write(
        f"Wrote {copy} ({size_bytes / 2**20:.1f} MiB). To restore it: stop Easel, remove {file} (and {file.name}-wal "
        f"and {file.name}-shm beside it, if there are any), and put the copy in its place."
    )
    return 0


def _copy(file: Path, copy: Path) -> int:
    folder = copy.absolute().parent
    try:
        taken, is_folder = copy.exists(), folder.is_dir()
    except OSError as error:
        raise BackupFailed(f"The copy {copy} could not be written: {error.strerror}.") from error
    if taken:
        raise StoreUnusable(f"{copy} exists already; name a file that does not.")
    if not is_folder:
        raise StoreUnusable(f"There is no folder {folder} to write the copy to.")
    if not may_write(folder):
        raise BackupFailed(
            f"The copy {copy} could not be written: {folder} is read-only. Let the user that runs this write there, or "
            "name a file in another folder."
        )
    if not file.stat().st_size:
        raise StoreUnusable(f"The database {file} is empty: there is nothing to copy.")
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        with suppress(OSError):  # there may be none, and the disk may have gone
            copy.unlink()
        raise _no_copy(file, copy, error) from error
    copy.chmod(0o600)  # it holds people's prompts
    return copy.stat().st_size


def _no_copy(file: Path, copy: Path, error: sqlite3.Error) -> BackupFailed | StoreUnusable:
    """Whether it is the database or the place of the copy that must be seen to."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.Error as cause:
        return StoreUnusable(f"{translate(cause, str(file)).sentence} No copy was made.")
    if damage(file):
        return StoreUnusable(f"The database {file} is damaged: `python -m bot db check` says where. No copy was made.")
    free, needed = shutil.disk_usage(copy.absolute().parent).free, file.stat().st_size
    if free < needed:
        room = f"{free / 2**20:.1f} MiB are free there, about {needed / 2**20:.1f} MiB are needed"
        return BackupFailed(f"The copy {copy} could not be written: {room}.")
    return BackupFailed(f"The copy {copy} could not be written: {error}.")


def _existing(url: str) -> Path | None:
    """The SQLite file, None for PostgreSQL; a missing file is not made by looking at it."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise StoreUnusable(f"There is no database at {file} yet; the first start makes it.")
    return file
