"""Single texts that a command keeps while a bot may have the database.

With PostgreSQL they are in the database. SQLite before 3.51.3 can be damaged by a second program that writes, so there
each is a file beside the database, named after it and its owner's alone.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from bot.errors import StoreUnusable
from bot.private_files import make_private_file, make_private_folder
from bot.store.database import Database, parse_url
from bot.store.files import sqlite_file
from bot.store.kv import read_kv, write_kv
from bot.store.schema_version import check_current, revision_of


async def read_beside(database_url: str, key: str) -> str | None:
    """The text; None where there is none.

    Raises:
        StoreUnusable: with what to do about it.
    """
    file = _file(database_url, key)
    if file is None:
        async with _Postgres(database_url) as database:
            return await database.read(partial(read_kv, key=key))
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnusable(f"{file} can't be read: {error}. Let the user that runs Easel read it.") from error


async def write_beside(database_url: str, key: str, text: str) -> None:
    """Keep the text in place of an earlier one, as a whole or not at all.

    Raises:
        StoreUnusable: with what to do about it.
    """
    file = _file(database_url, key)
    if file is None:
        async with _Postgres(database_url) as database:
            await database.write(partial(write_kv, key=key, value=text))
        return
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        make_private_folder(file.parent)
        unfinished.unlink(missing_ok=True)  # of a process that died and had the same number
        make_private_file(unfinished)
        unfinished.write_text(text, "utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise StoreUnusable(
            f"{file} can't be written ({error.strerror}). Let the user that runs Easel write in its folder."
        ) from error


def _file(database_url: str, key: str) -> Path | None:
    database = sqlite_file(database_url)
    return database and database.with_name(f"{database.name}.{key}.json")


class _Postgres:
    """The database for the time of one statement; nothing is made or migrated."""

    def __init__(self, url: str) -> None:
        parsed, self._label = parse_url(url)
        self._database = Database(parsed, self._label, exclusive=False)

    async def __aenter__(self) -> Database:
        try:
            check_current(await self._database.read(revision_of), self._label)
        except BaseException:
            await self._database.close()
            raise
        return self._database

    async def __aexit__(self, *_: object) -> None:
        await self._database.close()
