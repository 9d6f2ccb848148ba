"""Returning memory to the operating system.

When thousands of jobs end within seconds, each leaves some 10 kB behind: reference cycles of messages and views, which
only the garbage collector frees, and fragmented free memory, which glibc keeps until `malloc_trim`. The collector would
visit every object of every job under way to find the cycles, half a second for 20,000 jobs; so those objects are frozen
(`gc.freeze`) while there are many. Frozen objects are still freed by reference counting.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Protocol

#: How often the counts are checked, and how many jobs must have ended since the last collection.
CHECK_EVERY_S = 1.0
COLLECT_AFTER_JOBS = 200
#: Objects are frozen whenever this many more jobs are under way than at the last time.
FREEZE_EVERY_JOBS = 1000


class JobCounts(Protocol):
    """What the runner counts."""

    @property
    def jobs_ended(self) -> int:
        """Since the start."""

    @property
    def jobs_alive(self) -> int:
        """Under way now."""


async def trim_forever(jobs: JobCounts) -> None:
    """Collect garbage and trim the heap while many jobs end."""
    malloc_trim, collected_at, frozen_at = _malloc_trim(), jobs.jobs_ended, 0
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        alive, ended = jobs.jobs_alive, jobs.jobs_ended
        if alive >= frozen_at + FREEZE_EVERY_JOBS:
            gc.freeze()
            frozen_at = alive
        elif frozen_at and alive < FREEZE_EVERY_JOBS // 2:
            gc.unfreeze()
            frozen_at = 0
        if ended - collected_at >= COLLECT_AFTER_JOBS:
            collected_at = ended
            gc.collect()
            if malloc_trim is not None:
                await asyncio.to_thread(malloc_trim, 0)


def _malloc_trim() -> Callable[[int], int] | None:
    """Glibc's malloc_trim; None where the C library has no such call."""
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
