"""Pictures for decoding processes, and what their tests look at."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from bot.media.headers import Unsound
from bot.media.workers import Done, ImageWorkers, Task
from tests.media.hostile import scans_jpeg
from tests.media.paint import noise, saved

PREPARE = Task("prepare", {"max_pixels": 4096 * 4096, "max_side_px": 8192, "max_bytes": 25 << 20}, 4096 * 4096)
PLAIN = saved(noise(64, 48), "PNG")
#: With a note, so that something comes back.
NOTED = saved(noise(64, 48), "JPEG", comment=b"hello")
#: Takes more than 0.1 s to decode, as an ordinary picture may.
SLOW = scans_jpeg(40, 3000, 2400)
#: Takes more than a second, which its header gives away.
SLOWER = scans_jpeg(40, 6000, 4000)
MIB = 1024 * 1024


async def prepare(workers: ImageWorkers, body: bytes, owner: object = "somebody") -> Done | str:
    """What came out, or the code of why not."""
    try:
        return await workers.run(PREPARE, body, owner=owner)
    except Unsound as error:
        return error.phrase.code


async def until(condition: Callable[[], object], within_s: float = 10.0) -> bool:
    """Whether it came true in time."""
    until_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until_s:
            return False
        await asyncio.sleep(0.02)
    return True


def peak_mib(process_id: int) -> int:
    """The most memory that a process has had."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def given_to(process_id: int) -> tuple[bytes, set[str]]:
    """The environment and the open files of a process."""
    place = Path(f"/proc/{process_id}")
    return (place / "environ").read_bytes(), {os.readlink(link) for link in (place / "fd").iterdir()}
