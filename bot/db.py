"""`python -m bot db`: looking after the database by hand."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bot.errors import StoreUnusable
from bot.store import Store
from bot.store.database import Database, parse_url
from bot.store.schema import HEAD, revision_of

Print = Callable[[str], None]


def sqlite_file(url: str) -> Path | None:
    """The file behind a URL; None for PostgreSQL.

    Raises:
        StoreUnusable: no URL that Easel understands.
    """
    parsed, place = parse_url(url)
    return Path(place) if parsed.get_backend_name() == "sqlite" else None


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
    _existing(url)
    store = await Store.open(url, exclusive=False)
    try:
        problems = await store.check()
    finally:
        await store.close()
    write("\n".join(f"✗ {problem}" for problem in problems) if problems else "✓ The database is sound.")
    return 1 if problems else 0


async def backup(url: str, copy: Path, write: Print) -> int:
    """Write a consistent copy of an SQLite database while the bot goes on working.

    Raises:
        StoreUnusable: not SQLite, no database, or the copy can't be written there.
    """
    file = _existing(url)
    if file is None:
        raise StoreUnusable("For PostgreSQL use its own tool: pg_dump --format=custom --file=easel.dump DATABASE")
    size_bytes = await asyncio.to_thread(_copy, file, copy)
    write(f"Wrote {copy} ({size_bytes / 2**20:.1f} MiB). To restore it: stop Easel, put it in place of {file}.")
    return 0


def _copy(file: Path, copy: Path) -> int:
    if copy.exists():
        raise StoreUnusable(f"{copy} exists already; name a file that does not.")
    if not copy.absolute().parent.is_dir():
        raise StoreUnusable(f"There is no folder {copy.absolute().parent} to write the copy to.")
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise StoreUnusable(f"The copy {copy} could not be written: {error}.") from error
    copy.chmod(0o600)  # it holds people's prompts
    return copy.stat().st_size


def _existing(url: str) -> Path | None:
    """The SQLite file, None for PostgreSQL; a missing file is not made by looking at it."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise StoreUnusable(f"There is no database at {file} yet; the first start makes it.")
    return file
