"""Giving memory back to the system.

Where thousands of jobs end within minutes, what each of them leaves free lies between what others still use. glibc
keeps such pages (some 10 kB a job) until it is asked for them.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable

#: How often it is looked at, and how many jobs must have ended since the last time.
EVERY_S = 3.0
WORTHWHILE_JOBS = 200


async def give_back_forever(jobs_ended: Callable[[], int]) -> None:
    """Give back while many jobs end; does nothing where the C library has no such call."""
    trim = _trim()
    if trim is None:
        await asyncio.Event().wait()
        return
    before = jobs_ended()
    while True:
        await asyncio.sleep(EVERY_S)
        ended = jobs_ended()
        if ended - before >= WORTHWHILE_JOBS:
            before = ended
            await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """Glibc's malloc_trim."""
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
