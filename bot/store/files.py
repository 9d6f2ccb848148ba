"""SQLite files as files: where one is, whether it can be written, and what is damaged in it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from bot.store.database import parse_url
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


__all__ = ["SOUND_SQLITE", "file_damage", "may_write", "sqlite_file", "sqlite_version"]
