"""Errors of the drivers as sentences for the operator.

Never quotes a statement's values: they may be a prompt.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.errors import StoreDamaged, StoreUnusable

#: Less than SQLite needs to do anything at all.
_ROOM_BYTES = 64 * 1024

#: Result codes after which no later try can go better.
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

#: What each of SQLite's primary result codes means here, completing "The database …".
_SQLITE = {
    "SQLITE_FULL": "can't be written: the disk is full. Make room; an Easel that runs goes on by itself.",
    "SQLITE_READONLY": "can't be written: the file or its folder is read-only. Let Easel's user write both.",
    "SQLITE_PERM": "can't be opened: permission denied. Let Easel's user read and write the file and its folder.",
    "SQLITE_CANTOPEN": "can't be opened: check that the folder exists and that Easel's user may write there.",
    "SQLITE_BUSY": "is locked by another program. Close whatever else has the file open.",
    "SQLITE_LOCKED": "is locked by another program. Close whatever else has the file open.",
    "SQLITE_CORRUPT": "is damaged. Stop Easel, keep a copy of the file, see what `python -m bot db check` says, then "
    "restore a backup or move the file away.",
    "SQLITE_NOTADB": "is not an SQLite database, or its header is damaged. If it is Easel's: stop Easel, keep a copy "
    "of the file, then restore a backup (what `python -m bot db backup` wrote) or move the file away. If it is not, "
    "point EASEL_DATABASE_URL at another file.",
    "SQLITE_IOERR": "can't be read or written: the disk answers with errors. Check that it is sound and not full.",
}


def translate(error: BaseException, label: str) -> StoreUnusable:
    """The sentence for an error of the driver, the pool or the network.

    Args:
        label: file path, or host, port and name of the database; never with a password.
    """
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    kind = StoreDamaged if (_sqlite_code(cause) or "").startswith(_DAMAGE) else StoreUnusable
    return kind(f"The database {label} {_reason(cause, label)}")


def _reason(cause: BaseException, label: str) -> str:
    name = _sqlite_code(cause)
    if name is not None and name.startswith("SQLITE_IOERR") and _is_full(label):
        name = "SQLITE_FULL"  # also reading needs room for a small file
    if name is not None:
        for code, reason in _SQLITE.items():
            if name == code or name.startswith(code + "_"):
                return reason
        return f"answers with an error ({name})."
    if isinstance(cause, PoolTimeout):
        return "is too busy: no connection came free in time. If this lasts, check the database server."
    return _postgresql_reason(cause)


def _is_full(label: str) -> bool:
    try:
        return shutil.disk_usage(Path(label).parent).free < _ROOM_BYTES
    except OSError:
        return False


def _sqlite_code(cause: BaseException) -> str | None:
    for error in _chain(cause):
        name = getattr(error, "sqlite_errorname", None)
        if isinstance(name, str):
            return name
    return None


#: SQLSTATE prefixes (PostgreSQL appendix A), longest first.
_SQLSTATES = {
    "28": "refuses the user name or password. Check EASEL_DATABASE_URL.",
    "3D": "does not exist on that server. Create it (`createdb`), or correct EASEL_DATABASE_URL.",
    "42501": "can't be used: the user lacks a permission. Grant it CREATE on the schema.",
    "25006": "is read-only (a standby?). Point EASEL_DATABASE_URL at the primary.",
    "53100": "can't be written: the server's disk is full. Make room; Easel goes on by itself.",
    "53": "is short of resources (connections, memory or disk). Check the database server.",
    "57": "is shutting down or starting. Easel goes on by itself when it is back.",
    "08": "lost the connection. Easel goes on by itself when the server is back.",
}


def _postgresql_reason(cause: BaseException) -> str:
    for error in _chain(cause):
        state = getattr(error, "sqlstate", None)
        if isinstance(state, str):
            for prefix in sorted(_SQLSTATES, key=len, reverse=True):
                if state.startswith(prefix):
                    return _SQLSTATES[prefix]
            return f"answers with an error (SQLSTATE {state})."
    if any(isinstance(error, OSError) for error in _chain(cause)):
        return "can't be reached. Check host and port in EASEL_DATABASE_URL, and that the server runs."
    return f"answers with an error ({type(cause).__name__})."


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed at once on a new connection: connection lost, deadlock, serialization."""
    if not isinstance(error, DBAPIError):
        return False
    states = {getattr(link, "sqlstate", None) for link in _chain(error)}
    return error.connection_invalidated or bool(states & {"40001", "40P01"})


#: What the drivers raise; everything else is a mistake of ours and passes through.
DRIVER_ERRORS = (SQLAlchemyError, OSError)
