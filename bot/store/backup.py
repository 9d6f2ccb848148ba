"""A consistent copy of an SQLite database beside a running bot: whole or not there at all, and its owner's alone.

The copy is written under another name in the same folder, brought to the disk, and then takes its own name in one step.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.errors import BackupFailed, StoreUnusable
from bot.private_files import make_private_file, make_private_folder
from bot.store.driver_errors import translate
from bot.store.files import file_damage, may_write

#: The folder of copies that are given no place, beside the database.
USUAL_FOLDER = "backups"
#: What an SQLite file begins with.
_MAGIC = b"SQLite format 3\0"
_STAMP = "%Y-%m-%d-%H%M%S"
_STAMPED = r"-(\d{4}-\d\d-\d\d-\d{6})(?:-(\d+))?"
#: A copy under way is written to all the time; what lies still for so long was left by a process that was killed.
_ABANDONED_S = 3600


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written."""

    file: Path
    size_bytes: int
    #: Older copies that made room.
    removed: tuple[Path, ...] = ()


def back_up(
    database: Path, place: Path | None, now: datetime, *, keep: int | None = None, replace: bool = False
) -> Backup:
    """Write a copy.

    Args:
        place: a file, or a folder, where the copy gets a name with the date; by default `backups` beside the database.
        now: for that name.
        keep: give a file's name the date, too, and delete all but so many of the newest copies with such names.
        replace: an earlier copy of that name is replaced.

    Raises:
        StoreUnusable: an empty or damaged database, or a place that no copy can have.
        BackupFailed: the copy could not be written there.
    """
    if not database.stat().st_size:
        raise StoreUnusable(f"The database {database} is empty: there is nothing to copy.")
    place = place if place is not None else _usual_folder(database)
    try:
        dated = place.is_dir() or keep is not None
        folder, stem, ending = (place, "easel", ".db") if place.is_dir() else (place.parent, place.stem, place.suffix)
        copy = _dated(folder, stem, ending, now) if dated else place
        _check_place(database, copy, replace=replace)
    except OSError as error:
        raise BackupFailed(f"The copy {place} could not be written: {error.strerror}.") from error
    size_bytes = _write(database, copy, replace=replace)
    return Backup(copy, size_bytes, _remove_older(copy, stem, ending, keep) if keep is not None else ())


def _usual_folder(database: Path) -> Path:
    folder = database.parent / USUAL_FOLDER
    try:
        make_private_folder(folder)
    except OSError as error:
        raise BackupFailed(f"The folder {folder} could not be made: {error.strerror}.") from error
    return folder


# ---------------------------------------------------------------------- names


def _dated(folder: Path, stem: str, ending: str, now: datetime) -> Path:
    """A name that is free: `easel-2026-11-30-101500.db`; the second one within a second ends in `-2.db`."""
    name = f"{stem}-{now.strftime(_STAMP)}"
    copy, number = folder / f"{name}{ending}", 2
    while copy.exists():
        copy, number = folder / f"{name}-{number}{ending}", number + 1
    return copy


def _remove_older(copy: Path, stem: str, ending: str, keep: int) -> tuple[Path, ...]:
    """Delete all but `copy` and the newest others: only files with a name that we give, and only SQLite databases."""
    ours = re.compile(re.escape(stem) + _STAMPED + re.escape(ending))
    others = [
        (found[1], int(found[2] or 1), one)
        for one in copy.parent.iterdir()
        if (found := ours.fullmatch(one.name)) and one.name != copy.name and one.is_file() and _is_database(one)
    ]
    older = tuple(one for _, _, one in sorted(others, reverse=True)[keep - 1 :])
    for one in older:
        one.unlink(missing_ok=True)
    return older


def _check_place(database: Path, copy: Path, *, replace: bool) -> None:
    """Whether a copy may be written there.

    Raises:
        StoreUnusable, BackupFailed: with the reason.
    """
    folder = copy.absolute().parent
    if not folder.is_dir():
        raise StoreUnusable(f"There is no folder {folder} to write the copy to.")
    own = (database, *(database.with_name(database.name + ending) for ending in ("-wal", "-shm", "-journal", ".lock")))
    if copy.absolute().resolve() in {one.resolve() for one in own}:
        raise StoreUnusable(f"{copy} is the database itself, or belongs to it; name another file.")
    if copy.exists() and not replace:
        raise StoreUnusable(
            f"{copy} exists already. Add --replace to put the new copy in its place, or name a folder: there each copy "
            "gets a name with the date (--keep 7 keeps the newest seven)."
        )
    if copy.exists() and not _is_database(copy):
        raise StoreUnusable(f"{copy} is no copy of a database, so it is not replaced; name another file.")
    if not may_write(folder):
        raise BackupFailed(
            f"The copy {copy} could not be written: {folder} is read-only. Let the user that runs this write there, or "
            "name a file in another folder."
        )


def _is_database(file: Path) -> bool:
    with file.open("rb") as body:
        return body.read(len(_MAGIC)) == _MAGIC


# ---------------------------------------------------------------------- writing


def _write(database: Path, copy: Path, *, replace: bool) -> int:
    """The copy's size in bytes."""
    unfinished = copy.with_name(f".{copy.name}.{os.getpid()}.part")
    try:
        _remove_abandoned(copy)
        # Before a byte of people's prompts is in it; SQLite writes into an empty file that is there already.
        make_private_file(unfinished)
        try:
            with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
                connection.execute("VACUUM INTO ?", (str(unfinished),))
            _to_disk(unfinished)
            _take_name(unfinished, copy, replace=replace)
            _to_disk(copy.absolute().parent)
        finally:
            with suppress(OSError):  # the disk may have gone
                unfinished.unlink(missing_ok=True)
    except FileExistsError as error:
        raise StoreUnusable(f"{copy} was made by somebody else meanwhile; try again, or name another file.") from error
    except OSError as error:
        raise BackupFailed(f"The copy {copy} could not be written: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise _no_copy(database, copy, error) from error
    return copy.stat().st_size


def _take_name(unfinished: Path, copy: Path, *, replace: bool) -> None:
    if not replace:
        try:
            copy.hardlink_to(unfinished)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if copy.exists():
                raise FileExistsError from None
        else:
            return
    unfinished.replace(copy)


def _to_disk(path: Path) -> None:
    """SQLite does not wait until a copy is on the disk."""
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(copy: Path) -> None:
    """Delete what killed processes left of copies in this folder."""
    unfinished = re.compile(r"\..+\.\d+\.part(-journal)?")
    for one in copy.absolute().parent.iterdir():
        if unfinished.fullmatch(one.name) and time.time() - one.stat().st_mtime > _ABANDONED_S:
            one.unlink(missing_ok=True)


def _no_copy(database: Path, copy: Path, error: sqlite3.Error) -> BackupFailed | StoreUnusable:
    """Whether the fault lies with the database or with the place of the copy."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.Error as cause:
        return StoreUnusable(f"{translate(cause, str(database)).sentence} No copy was made.")
    if file_damage(database):
        return StoreUnusable(
            f"The database {database} is damaged: `python -m bot db check` says where. No copy was made."
        )
    free, needed = shutil.disk_usage(copy.absolute().parent).free, database.stat().st_size
    if free < needed:
        room = f"{free / 2**20:.1f} MiB are free there, about {needed / 2**20:.1f} MiB are needed"
        return BackupFailed(f"The copy {copy} could not be written: {room}.")
    return BackupFailed(f"The copy {copy} could not be written: {error}.")
