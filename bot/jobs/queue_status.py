"""Why a job has not been painted yet: what the runner knows, as values."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.events import Progress
from bot.domain.job import Job
from bot.store import Place


@dataclass(frozen=True, slots=True)
class Caps:
    """Most jobs at fal at once, 0 for any number: of everybody, of one server, of one person."""

    all: int
    guild: int
    user: int


@dataclass(frozen=True, slots=True)
class AtFal:
    """Everybody's jobs at fal, as this process sees them."""

    painting: int
    waiting: int
    #: Seconds of painting that are usual for them.
    usual_s: float


@dataclass(frozen=True, slots=True)
class Why:
    """Where a job stands and what it waits for."""

    job: Job
    caps: Caps
    at_fal: AtFal
    #: Its place in our own queue; None when it is not there.
    place: Place | None = None
    #: What fal said last; None when fal does not have it, or another process looks after it.
    progress: Progress | None = None
    #: fal can't be heard.
    fal_away: bool = False
    #: It was handed to fal, and the answer got lost.
    answer_lost: bool = False
    #: This process has just started, and takes up what the one before left.
    just_started: bool = False


def queued_s(place: Place, caps: Caps, at_fal: AtFal) -> float | None:
    """Seconds until a job of our queue is painted, by how long pictures usually take; None when that can't be said.

    As if everybody before it took as long as what is at fal now, and fal went on with as many at once as it does now.
    """
    match place.capped_by:
        case "user":
            return _rounds_s(place.own_ahead, caps.user, at_fal)
        case "guild":
            return _rounds_s(place.guild_ahead, caps.guild, at_fal)
        case "global":
            at_once = at_fal.painting if at_fal.waiting else caps.all
            return _rounds_s(place.ahead + at_fal.waiting, at_once, at_fal)
        case None:
            return None


def at_fal_s(ahead: int | None, at_fal: AtFal) -> float | None:
    """The same for one that waits at fal, behind `ahead` others."""
    return None if ahead is None else _rounds_s(ahead, at_fal.painting, at_fal)


def _rounds_s(ahead: int, at_once: int, at_fal: AtFal) -> float | None:
    return (ahead + 1) * at_fal.usual_s / at_once if at_once else None
