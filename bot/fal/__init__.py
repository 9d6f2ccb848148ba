"""fal.ai's queue: submit once, watch many, read the result, cancel, upload, download.

client.py          Fal: one per process, everything else goes through it
submission.py      one POST a request, and what became of it
status_watcher.py  a request until it is completed: by stream, or by polling
stream.py          server-sent events
poller.py          one scheduler for all polled jobs: token bucket, duration estimates, circuit breaker
statuses.py        status bodies as InQueueStatus, InProgressStatus, CompletedStatus
results.py         result bodies as Result
failures.py        failing responses as GenerationFailed
problems.py        failing responses, read for matching
partners.py        what the makers of models say through fal: policy refusals, trouble with an account
refused_options.py which argument fal did not accept, and why
fields.py          what fal's parameters are to a person
request_list.py    parsing fal's list of requests
request_lookup.py  reading that list, shared by all who ask for it
pricing.py         fal's price list
uploads.py         pictures into fal's storage, by fal_client
origins.py         base URLs
http.py            responses read up to a size limit
timings.py         every interval, limit and timeout
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
