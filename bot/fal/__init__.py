"""fal.ai's queue: submit once, watch many, read the result, cancel, upload, download.

client.py          Fal: one per process, the only door
origins.py         where fal is, and the one place that adjusts fal_client
timings.py         every interval, limit and timeout
http.py            answers read under a cap
statuses.py        what fal says about a job under way
stream.py          server-sent events
poller.py          one scheduler for all polled jobs, and what it does in an outage
status_watcher.py  stream first, polling when it must
failures.py        fal's refusals as GenerationFailed
request_list.py    fal's list of requests, as it is written
request_lookup.py  reading that list without a storm
results.py         the result JSON as a Result
uploads.py         pictures into fal's storage, by fal_client
"""

from __future__ import annotations

from bot.domain.provider import (
    CancelAnswer,
    CompletedStatus,
    FoundRequest,
    InProgressStatus,
    InQueueStatus,
    Status,
    TruncatedList,
)
from bot.fal.client import Fal
from bot.fal.timings import Timings

__all__ = [
    "CancelAnswer",
    "CompletedStatus",
    "Fal",
    "FoundRequest",
    "InProgressStatus",
    "InQueueStatus",
    "Status",
    "Timings",
    "TruncatedList",
]
