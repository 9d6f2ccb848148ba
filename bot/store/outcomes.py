"""What the store answers. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from bot.domain.job import Actor, Job
from bot.limits import Allowed, GuildLimits


class Keep(Enum):
    """Marks what a call does not change (None is a value)."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Accepted:
    """Reserved and queued, durably."""

    job: Job
    allowed: Allowed
    #: Jobs that will be claimed before this one (an estimate beyond the first few dozen).
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
class QueueStatus:
    """Why a job waits."""

    #: Jobs that will be claimed before it: exact for the first few hundred, an estimate beyond.
    ahead: int
    #: Everybody's jobs: those that wait, and those at fal.
    waiting: int
    in_flight: int
    #: Of those at fal: the person's own, wherever they asked, and the server's.
    own_in_flight: int
    guild_in_flight: int
    #: Of those ahead: the person's own here, and all of the same server.
    own_ahead: int
    guild_ahead: int
    #: The narrowest cap that is reached, of those asked about.
    capped_by: Literal["global", "guild", "user"] | None


@dataclass(frozen=True, slots=True)
class ReachedCaps:
    """Who has as many jobs at fal as they may."""

    guilds: frozenset[int] = frozenset()
    users: frozenset[int] = frozenset()

    def caps(self, actor: Actor) -> Literal["guild", "user"] | None:
        """What keeps somebody's jobs back, the narrower cap first."""
        if actor.user_id in self.users:
            return "user"
        return "guild" if actor.guild_id in self.guilds else None


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
    #: Rows of preferences, drafts and rate state.
    other: int
