"""Why a job has not been painted yet: what the runner knows, as values."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.events import Progress
from bot.domain.job import Job
from bot.store import QueueStatus


@dataclass(frozen=True, slots=True)
class ConcurrencyCaps:
    """Most jobs at fal at once, 0 for any number: of everybody, of one server, of one person."""

    all: int
    guild: int
    user: int


@dataclass(frozen=True, slots=True)
class ProviderLoad:
    """Everybody's jobs at fal, as this process sees them."""

    in_progress: int
    queued: int
    #: Seconds of painting that are usual for them.
    typical_s: float


@dataclass(frozen=True, slots=True)
class WaitReason:
    """Where a job stands and what it waits for."""

    job: Job
    caps: ConcurrencyCaps
    load: ProviderLoad
    #: Its place in our own queue; None when it is not there.
    queue_status: QueueStatus | None = None
    #: What fal said last; None when fal does not have it, or another process looks after it.
    progress: Progress | None = None
    #: fal can't be heard.
    provider_unavailable: bool = False
    #: It was handed to fal, and the answer got lost.
    submit_unconfirmed: bool = False
    #: This process has just started, and takes up what the one before left.
    recently_restarted: bool = False


def queued_s(place: QueueStatus, caps: ConcurrencyCaps, at_fal: ProviderLoad) -> float | None:
    """Seconds until a job of our queue is painted, by how long pictures usually take; None when that can't be said.

    As if everybody before it took as long as what is at fal now, and fal went on with as many at once as it does now.
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
    """The same for one that waits at fal, behind `ahead` others."""
    return None if ahead is None else _rounds_s(ahead, at_fal.in_progress, at_fal)


def _rounds_s(ahead: int, at_once: int, at_fal: ProviderLoad) -> float | None:
    return (ahead + 1) * at_fal.typical_s / at_once if at_once else None
