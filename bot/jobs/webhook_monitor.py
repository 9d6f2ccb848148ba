"""Whether fal's callbacks arrive: as long as they do, overdue jobs need not all be watched.

Where fal calls back, a job is watched only when its callback is overdue; and when nobody knows yet how long fal takes,
thousands may be overdue at once. So only a few of them are watched, as probes. A probe that ends without a callback
soon after shows that callbacks get lost: then every overdue job is watched, until a callback arrives again.
"""

from __future__ import annotations

import asyncio
from functools import partial

from bot.jobs.active_jobs import ActiveJobs
from bot.jobs.timings import JobTimings


class WebhookMonitor:
    """What this process has seen of callbacks."""

    def __init__(self, active: ActiveJobs, timings: JobTimings) -> None:
        self._active = active
        self._timings = timings
        #: Whether the last thing known is that one did not come.
        self.failing = False

    def received(self, job_id: str) -> None:
        """One has come."""
        self.failing = False
        active = self._active.get(job_id)
        if active is not None and active.missed_callback is not None:
            active.missed_callback.cancel()
            active.missed_callback = None
            self._active.release(job_id)

    def may_probe(self, job_id: str) -> bool:
        """Whether this overdue job shall be watched; say `probed` when it no longer is."""
        if not self.failing and len(self._active.probing) >= self._timings.probes:
            return False
        self._active.open(job_id).probing_since_s = asyncio.get_running_loop().time()
        return True

    def probed(self, job_id: str, *, ended_unheard: bool) -> None:
        """It is not watched any more, maybe because it has ended without a callback so far."""
        active = self._active.get(job_id)
        if active is None or active.probing_since_s is None:
            return
        active.probing_since_s = None
        if ended_unheard:
            loop = asyncio.get_running_loop()
            active.missed_callback = loop.call_later(self._timings.callback_late_s, partial(self._miss, job_id))

    def close(self) -> None:
        """Wait for nothing any more."""
        for active in list(self._active):
            if active.missed_callback is not None:
                active.missed_callback.cancel()
                active.missed_callback = None

    def _miss(self, job_id: str) -> None:
        self.failing = True
        self._active.open(job_id).missed_callback = None
        self._active.release(job_id)
