"""When a start may identify with Discord's gateway.

Discord allows 1,000 identifies in 24 hours; beyond that it ends every session and resets the bot's token
(https://docs.discord.com/developers/events/gateway#session-start-limit). Every start of the process costs one, so they
are on record and a crash loop is slowed down before it gets near. Pauses count from the identify before: a process that
is killed while it pauses costs nothing, and the next one need not start over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

DAY = timedelta(hours=24)
#: Identifies a day that need not wait; then one every `CROWDED_PAUSE_S`, which keeps a day below 1,000.
FREE_STARTS_A_DAY = 500
CROWDED_PAUSE_S = 180.0
#: Crashes in a row (not kills from outside) before pauses grow, and their ladder.
FREE_CRASHES = 3
CRASH_PAUSES_S = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
#: Discord's own count may have been used up by others with the same token.
LOW_REMAINING = 20
#: Between two looks at a count that Discord says is about to start anew.
LEAST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class SessionStartLimit:
    """What `GET /gateway/bot` says about identifies."""

    remaining: int
    reset_after_s: float

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> SessionStartLimit | None:
        """From the answer of `GET /gateway/bot`; None where it says nothing usable."""
        found = body.get("session_start_limit")
        if not isinstance(found, Mapping):
            return None
        remaining, reset_ms = found.get("remaining"), found.get("reset_after")
        if not isinstance(remaining, int) or not isinstance(reset_ms, int | float):
            return None
        return cls(remaining, reset_ms / 1000)


@dataclass(frozen=True, slots=True)
class IdentifyHistory:
    """When the bot identified in the last day, and how the latest runs ended; kept in the store."""

    at: tuple[datetime, ...] = ()
    crashes_in_a_row: int = 0

    def with_start(self, now: datetime) -> IdentifyHistory:
        """One more identify. Nothing older than a day, or from a clock that was wrong, is kept."""
        recent = tuple(moment for moment in self.at if now - DAY < moment <= now)
        return replace(self, at=(*recent, now))

    def crashed(self) -> IdentifyHistory:
        """The run ended by an error of its own."""
        return replace(self, crashes_in_a_row=self.crashes_in_a_row + 1)

    def went_well(self) -> IdentifyHistory:
        """The run ended when it was asked to, or has lasted."""
        return replace(self, crashes_in_a_row=0)

    def to_text(self) -> str:
        """For the store."""
        return json.dumps({"at": [round(moment.timestamp(), 3) for moment in self.at], "row": self.crashes_in_a_row})

    @classmethod
    def from_text(cls, text: str | None) -> IdentifyHistory:
        """From the store; anything unreadable counts as nothing."""
        try:
            found = json.loads(text or "{}")
            moments = tuple(datetime.fromtimestamp(float(moment), UTC) for moment in found.get("at", ()))
            return cls(moments, int(found.get("row", 0)))
        except (ValueError, TypeError, AttributeError, OverflowError, OSError):
            return cls()


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait before identifying, and why (for the log)."""

    seconds: float
    reason: str


def pause_before_identify(history: IdentifyHistory, limit: SessionStartLimit | None, now: datetime) -> Pause | None:
    """What has to pass before the next identify; None when it may be now."""
    return max(_pauses(history, limit, now), key=lambda pause: pause.seconds, default=None)


def _pauses(history: IdentifyHistory, limit: SessionStartLimit | None, now: datetime) -> Sequence[Pause]:
    found: list[Pause] = []
    if limit is not None and limit.remaining <= LOW_REMAINING:
        left = f"Discord lets this token start only {limit.remaining} more sessions and resets it when they are used up"
        found.append(Pause(max(limit.reset_after_s, LEAST_PAUSE_S), left))
    today = [moment for moment in history.at if now - DAY < moment <= now]
    since_s = (now - max(today)).total_seconds() if today else DAY.total_seconds()
    if len(today) >= FREE_STARTS_A_DAY and since_s < CROWDED_PAUSE_S:
        many = f"{len(today)} starts in 24 hours; at 1,000 Discord resets the token"
        found.append(Pause(CROWDED_PAUSE_S - since_s, many))
    if history.crashes_in_a_row >= FREE_CRASHES:
        pause_s = CRASH_PAUSES_S[min(history.crashes_in_a_row - FREE_CRASHES, len(CRASH_PAUSES_S) - 1)]
        if since_s < pause_s:
            found.append(Pause(pause_s - since_s, f"the last {history.crashes_in_a_row} runs ended in an error"))
    return found
