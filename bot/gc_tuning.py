"""Keeping the cyclic garbage collector from stopping the event loop.

Jobs leave nothing behind that only a full collection frees; small cycles, as of the cards sent, are found by the young
generations. A full collection visits every object there is, half a second where 20,000 jobs are under way. So what was
imported is left out of it, it runs rarely, and the objects of jobs are left out, too, while there are many. What is
left out is still freed by reference counting.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Protocol

#: How often the number of jobs is checked.
CHECK_EVERY_S = 1.0
#: Objects are frozen whenever this many more jobs are under way than at the last time.
FREEZE_EVERY_JOBS = 1000
#: `gc.set_threshold`: objects made before a collection of the youngest, and collections before one of the next older.
THRESHOLDS = (20_000, 20, 50)


class JobCounts(Protocol):
    """What the runner counts."""

    @property
    def jobs_alive(self) -> int:
        """Under way now."""


def freeze_imports() -> None:
    """Call once, when everything is imported.

    With a thousand jobs under way one full collection took over 100 ms on 2 cores before (`make bench`, thousand).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


async def freeze_jobs_forever(jobs: JobCounts) -> None:
    """Freeze the objects of jobs while there are many."""
    frozen_at = 0
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        alive = jobs.jobs_alive
        if alive >= frozen_at + FREEZE_EVERY_JOBS:
            gc.freeze()
            frozen_at = alive
        elif frozen_at and alive < FREEZE_EVERY_JOBS // 2:
            gc.unfreeze()
            frozen_at = 0
