"""SQLite files as files: where one is, whether it can be written, what is damaged in it, and a copy of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from bot.errors import BackupFailed, StoreUnusable
from bot.private_files import make_private_file
from bot.store.database import parse_url
from bot.store.driver_errors import translate
from bot.store.integrity import SOUND_SQLITE

#: Findings of SQLite that are shown.
_MOST_FOUND = 10


def sqlite_version() -> tuple[int, ...]:
    """The version of SQLite that this Python brings."""
    return sqlite3.sqlite_version_info


def sqlite_file(url: str) -> Path | None:
    """The file behind a URL; None for PostgreSQL.

    Raises:
        StoreUnusable: no URL that Easel understands.
    """
    parsed, label = parse_url(url)
    return Path(label) if parsed.get_backend_name() == "sqlite" else None


def may_write(path: Path) -> bool:
    """Whether this process may write a file, or make files in a folder; asked of the system, so nothing is touched."""
    wanted = os.W_OK | os.X_OK if path.is_dir() else os.R_OK | os.W_OK
    return os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)


def file_damage(file: Path) -> list[str]:
    """What SQLite itself finds wrong with a file, however little of it can be read; nothing where it can't be read."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST_FOUND})")]
    except sqlite3.Error as error:
        found = [str(error)] if _sqlite_name(error).startswith("SQLITE_CORRUPT") else ["ok"]
    return [] if found == ["ok"] else [f"SQLite finds damage: {' '.join(line.split())[:200]}" for line in found]


def _sqlite_name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""


def copy_file(file: Path, copy: Path) -> int:
    """Write a consistent copy beside a running bot, readable by its owner only; returns its size in bytes.

    Raises:
        StoreUnusable: an empty or damaged database, or a place that no copy can have.
        BackupFailed: the copy could not be written there.
    """
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
        # Before a byte of people's prompts is in it; SQLite writes into an empty file that is there already.
        make_private_file(copy)
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
    except FileExistsError as error:
        raise StoreUnusable(f"{copy} exists already; name a file that does not.") from error
    except OSError as error:
        raise BackupFailed(f"The copy {copy} could not be written: {error.strerror}.") from error
    except sqlite3.Error as error:
        with suppress(OSError):  # there may be none, and the disk may have gone
            copy.unlink()
        raise _no_copy(file, copy, error) from error
    return copy.stat().st_size


def _no_copy(file: Path, copy: Path, error: sqlite3.Error) -> BackupFailed | StoreUnusable:
    """Whether the fault lies with the database or with the place of the copy."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.Error as cause:
        return StoreUnusable(f"{translate(cause, str(file)).sentence} No copy was made.")
    if file_damage(file):
        return StoreUnusable(f"The database {file} is damaged: `python -m bot db check` says where. No copy was made.")
    free, needed = shutil.disk_usage(copy.absolute().parent).free, file.stat().st_size
    if free < needed:
        room = f"{free / 2**20:.1f} MiB are free there, about {needed / 2**20:.1f} MiB are needed"
        return BackupFailed(f"The copy {copy} could not be written: {room}.")
    return BackupFailed(f"The copy {copy} could not be written: {error}.")


__all__ = ["SOUND_SQLITE", "copy_file", "file_damage", "may_write", "sqlite_file", "sqlite_version"]
