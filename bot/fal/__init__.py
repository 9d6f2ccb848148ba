"""fal.ai's queue: submit once, watch many, read the result, cancel, upload, download.

client.py     Fal: one per process, the only door
origins.py    where fal is, and the one place that adjusts fal_client
pace.py       every interval, limit and timeout
http.py       answers read under a cap
statuses.py   what fal says about a job under way
stream.py     server-sent events
poller.py     one scheduler for all polled jobs, and what it does in an outage
watching.py   stream first, polling when it must
failures.py   fal's refusals as PaintingFailed
found.py      fal's list of requests, and which of them is ours
lists.py      reading that list without a storm
results.py    the result JSON as a Result
uploads.py    pictures into fal's storage, by fal_client
progress.py   percent and steps out of log lines
"""

from __future__ import annotations

from bot.fal.client import CancelAnswer, Fal
from bot.fal.progress import LogProgress, read_progress
from bot.fal.request_list import FoundRequest, matches
from bot.fal.request_lookup import TruncatedList
from bot.fal.statuses import CompletedStatus, InProgressStatus, InQueueStatus, Status
from bot.fal.timings import Timings

__all__ = [
    "CancelAnswer",
    "CompletedStatus",
    "Fal",
    "FoundRequest",
    "InProgressStatus",
    "InQueueStatus",
    "LogProgress",
    "Status",
    "Timings",
    "TruncatedList",
    "matches",
    "read_progress",
]
