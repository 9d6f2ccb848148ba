"""Files and folders that only their owner may read, from the moment they are there and whatever the umask."""

from __future__ import annotations

import os
from pathlib import Path


def make_private_file(path: Path) -> None:
    """Make an empty file.

    Raises:
        FileExistsError, OSError: as they say.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)  # a umask may take rights of the owner's too
    finally:
        os.close(descriptor)


def make_private_folder(path: Path) -> None:
    """Make a folder and those above it that are missing; one that exists stays as it is.

    Raises:
        OSError: it can't be made, or something else has its name.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue  # another process made it meanwhile
        folder.chmod(0o700)
    path.mkdir(exist_ok=True)


def make_private(path: Path) -> bool:
    """Take away what other users may do with a file or folder of ours; whether it is private now."""
    try:
        mode = path.stat().st_mode
        if others_may_read(path) and path.stat().st_uid == os.geteuid():
            path.chmod(mode & 0o7700)
    except OSError:  # a file system without rights, or one that keeps its own
        pass
    return not others_may_read(path)


def others_may_read(path: Path) -> bool:
    """Whether other users of this machine may enter the folder or read the file."""
    return os.name == "posix" and path.exists() and bool(path.stat().st_mode & 0o077)
