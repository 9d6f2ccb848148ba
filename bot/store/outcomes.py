"""What the store answers. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from bot.jobs.job import Job
from bot.limits import Allowed, GuildLimits


@dataclass(frozen=True, slots=True)
class Accepted:
    """Reserved and queued, durably."""

    job: Job
    allowed: Allowed
    #: Jobs that will be claimed before this one.
    ahead: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The interaction was accepted before; nothing was changed."""

    job: Job


@dataclass(frozen=True, slots=True)
class Counts:
    """Jobs that are not over."""

    waiting: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the person and the server chose; endpoint ids or None."""

    user_model: str | None = None
    guild_model: str | None = None
    guild_limits: GuildLimits | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What `erase_user` removed."""

    jobs: int
    #: Jobs still under way, which were left: cancel them and erase again.
    live_jobs: int
    #: Rows of preferences and pacing.
    other: int
