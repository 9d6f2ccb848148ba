"""Giving memory back to the system.

Where thousands of jobs end within seconds, each leaves some 10 kB behind: messages and views that point at each other,
which only the garbage collector frees, and free room between what others still use, which glibc keeps until it is
asked for it. The collector would look at every object of every job under way to find them, half a second for 20,000
jobs; so those are set aside (`gc.freeze`) while there are many. What is set aside and no longer referred to is freed
as ever.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Protocol

#: How often it is looked at, and how many jobs must have ended since the last time.
EVERY_S = 1.0
WORTHWHILE_JOBS = 200
#: Jobs under way are set aside whenever so many more have come.
MANY_JOBS = 1000


class Jobs(Protocol):
    """What the runner tells."""

    @property
    def jobs_ended(self) -> int:
        """Since the start."""

    @property
    def jobs_alive(self) -> int:
        """Worked on now."""


async def trim_forever(jobs: Jobs) -> None:
    """Collect and give back while many jobs end."""
    trim, before, aside = _trim(), jobs.jobs_ended, 0
    while True:
        await asyncio.sleep(EVERY_S)
        alive, ended = jobs.jobs_alive, jobs.jobs_ended
        if alive >= aside + MANY_JOBS:
            gc.freeze()
            aside = alive
        elif aside and alive < MANY_JOBS // 2:
            gc.unfreeze()
            aside = 0
        if ended - before >= WORTHWHILE_JOBS:
            before = ended
            gc.collect()
            if trim is not None:
                await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """Glibc's malloc_trim; None where the C library has no such call."""
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
