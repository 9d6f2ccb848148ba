"""Whether fal's callbacks arrive: as long as they do, overdue jobs need not all be watched.

Where fal calls back, a job is watched only when its callback is overdue; and when nobody knows yet how long fal takes,
thousands may be overdue at once. So only a few of them are watched, as scouts. A scout that ends without a callback
soon after shows that callbacks get lost: then every overdue job is watched, until one is heard again.
"""

from __future__ import annotations

import asyncio
from functools import partial

#: Overdue jobs that are watched while callbacks arrive.
PROBES = 32
#: How much later than the end itself its callback may be heard.
LATE_S = 10.0


class WebhookMonitor:
    """What this process has seen of them."""

    def __init__(self, *, late_s: float = LATE_S) -> None:
        self._late_s = late_s
        self._probes: set[str] = set()
        self._missed: dict[str, asyncio.TimerHandle] = {}
        #: Whether the last thing known is that one did not come.
        self.failing = False

    def received(self, job_id: str) -> None:
        """One has come."""
        self.failing = False
        missed = self._missed.pop(job_id, None)
        if missed is not None:
            missed.cancel()

    def may_probe(self, job_id: str) -> bool:
        """Whether this overdue job shall be watched; say `scouted` when it no longer is."""
        if not self.failing and len(self._probes) >= PROBES:
            return False
        self._probes.add(job_id)
        return True

    def probed(self, job_id: str, *, ended_unheard: bool) -> None:
        """It is not watched any more, maybe because it has ended without a callback so far."""
        if job_id in self._probes and ended_unheard:
            self._missed[job_id] = asyncio.get_running_loop().call_later(self._late_s, partial(self._miss, job_id))
        self._probes.discard(job_id)

    def close(self) -> None:
        """Wait for nothing any more."""
        for missed in self._missed.values():
            missed.cancel()
        self._missed.clear()

    def _miss(self, job_id: str) -> None:
        del self._missed[job_id]
        self.failing = True
