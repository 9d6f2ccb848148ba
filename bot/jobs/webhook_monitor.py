"""Whether fal's webhook callbacks arrive: as long as they do, only a few overdue jobs are polled.

Where fal calls back, a job's status is polled only when its callback is overdue. While the duration of a model is not
known yet, thousands may be overdue at once, so only a few of them are polled, as probes. A probe that ends at fal
without a callback soon after shows that callbacks get lost: then every overdue job is polled, until one arrives again.
"""

from __future__ import annotations

import asyncio
from functools import partial

from bot.jobs.active_jobs import ActiveJobs
from bot.jobs.timings import JobTimings


class WebhookMonitor:
    """Decides which jobs are polled although fal calls back, by whether callbacks reach this process."""

    def __init__(self, active: ActiveJobs, timings: JobTimings) -> None:
        self._active = active
        self._timings = timings
        #: Whether a callback was missed and none has arrived since.
        self.failing = False

    def received(self, job_id: str) -> None:
        """Record a callback for this job."""
        self.failing = False
        active = self._active.get(job_id)
        if active is not None and active.missed_callback is not None:
            active.missed_callback.cancel()
            active.missed_callback = None
            self._active.release(job_id)

    def may_probe(self, job_id: str) -> bool:
        """Whether to poll this overdue job; if so it is a probe until `probed` is called."""
        if not self.failing and len(self._active.probing) >= self._timings.probes:
            return False
        self._active.open(job_id).probing_since_s = asyncio.get_running_loop().time()
        return True

    def probed(self, job_id: str, *, ended_unheard: bool) -> None:
        """Record that a probe is no longer polled.

        Args:
            ended_unheard: whether fal is done and no callback has arrived; it then may within `callback_late_s`.
        """
        active = self._active.get(job_id)
        if active is None or active.probing_since_s is None:
            return
        active.probing_since_s = None
        if ended_unheard:
            loop = asyncio.get_running_loop()
            active.missed_callback = loop.call_later(self._timings.callback_late_s, partial(self._miss, job_id))

    def close(self) -> None:
        """Cancel the timers of missed callbacks."""
        for active in list(self._active):
            if active.missed_callback is not None:
                active.missed_callback.cancel()
                active.missed_callback = None

    def _miss(self, job_id: str) -> None:
        self.failing = True
        self._active.open(job_id).missed_callback = None
        self._active.release(job_id)
