"""Why a job has not been painted yet, as values, with estimates of the time until it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.domain.events import Progress
from bot.domain.job import Job
from bot.store import QueueStatus


@dataclass(frozen=True, slots=True)
class ConcurrencyCaps:
    """Most jobs in flight at once, in all, of one server and of one person; 0 for no limit."""

    all: int
    guild: int
    user: int


@dataclass(frozen=True, slots=True)
class ProviderLoad:
    """The jobs at fal that this process watches."""

    in_progress: int
    queued: int
    #: Their expected duration in seconds, on average.
    typical_s: float


@dataclass(frozen=True, slots=True)
class WaitReason:
    """The state of a job and what it waits for."""

    job: Job
    caps: ConcurrencyCaps
    load: ProviderLoad
    #: Its position in our own queue; None when it is not queued.
    queue_status: QueueStatus | None = None
    #: The last progress at fal; None when fal does not have the job, or another process has claimed it.
    progress: Progress | None = None
    #: Whether fal can't be reached.
    provider_unavailable: bool = False
    #: Whether fal's account is out of credit.
    out_of_credit: bool = False
    #: Whether the answer to its submit was lost, and its request is being looked for.
    submit_unconfirmed: bool = False
    #: When that search ends, aware UTC; None where that can't be told.
    search_ends_at: datetime | None = None
    #: Whether this process has just started, and the job was accepted before that.
    recently_restarted: bool = False


def queued_s(place: QueueStatus, caps: ConcurrencyCaps, at_fal: ProviderLoad) -> float | None:
    """Estimate the seconds until a job in our queue is painted; None when no cap explains why it waits.

    Assumes that the jobs ahead take as long as those at fal now, and that fal keeps running as many at once as now.
    """
    match place.capped_by:
        case "user":
            return _rounds_s(place.own_ahead, caps.user, at_fal)
        case "guild":
            return _rounds_s(place.guild_ahead, caps.guild, at_fal)
        case "global":
            at_once = at_fal.in_progress if at_fal.queued else caps.all
            return _rounds_s(place.ahead + at_fal.queued, at_once, at_fal)
        case None:
            return None


def at_fal_s(ahead: int | None, at_fal: ProviderLoad) -> float | None:
    """Estimate the seconds until a job in fal's queue, behind `ahead` others, is painted; None where unknown."""
    return None if ahead is None else _rounds_s(ahead, at_fal.in_progress, at_fal)


def _rounds_s(ahead: int, at_once: int, at_fal: ProviderLoad) -> float | None:
    return (ahead + 1) * at_fal.typical_s / at_once if at_once else None
