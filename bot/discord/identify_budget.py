"""When the bot may identify with Discord's gateway.

Discord allows 1,000 identifies in 24 hours; beyond that it ends every session and resets the bot's token
(https://docs.discord.com/developers/events/gateway#session-start-limit). Every start of the process uses one, so they
are stored, and a crash loop is slowed down before it gets near the limit. Pauses count from the previous identify: a
process that is killed during its pause has used none, and the next one waits only for the rest of that pause.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

DAY = timedelta(hours=24)
#: Identifies per day without a pause; then one every `CROWDED_PAUSE_S`, which keeps a day below 1,000.
FREE_IDENTIFIES_A_DAY = 500
CROWDED_PAUSE_S = 180.0
#: Crashes in a row (not kills from outside) without a pause, and the pauses after further ones.
FREE_CRASHES = 3
CRASH_PAUSES_S = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
#: A crash later than this after the one before starts a new row: the run in between has worked.
CRASH_WINDOW = timedelta(hours=1)
#: Pause when Discord's own count has this few identifies left: other programs may use the same token.
LOW_REMAINING = 20
#: Least pause before Discord's count is read again, where it is due to be reset immediately.
LEAST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class SessionStartLimit:
    """Identifies left, as reported by `GET /gateway/bot`."""

    remaining: int
    reset_after_s: float

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> SessionStartLimit | None:
        """Parse the body of `GET /gateway/bot`; None where it has no usable limit."""
        found = body.get("session_start_limit")
        if not isinstance(found, Mapping):
            return None
        remaining, reset_ms = found.get("remaining"), found.get("reset_after")
        if not isinstance(remaining, int) or not isinstance(reset_ms, int | float):
            return None
        return cls(remaining, reset_ms / 1000)


@dataclass(frozen=True, slots=True)
class IdentifyHistory:
    """When the bot identified in the last day, and how many runs in a row crashed; kept in the store."""

    at: tuple[datetime, ...] = ()
    crashes_in_a_row: int = 0
    #: None where there was no crash, or its time is unknown.
    last_crash_at: datetime | None = None

    def with_identify(self, now: datetime) -> IdentifyHistory:
        """Add one identify; drop those older than a day, and those in the future, which a wrong clock recorded."""
        recent = tuple(moment for moment in self.at if now - DAY < moment <= now)
        return replace(self, at=(*recent, now))

    def crashed(self, now: datetime) -> IdentifyHistory:
        """Record that the run ended by an error of its own. Crashes at most `CRASH_WINDOW` apart are in a row."""
        last = self.last_crash_at
        in_a_row = last is not None and timedelta(0) <= now - last <= CRASH_WINDOW
        return replace(self, crashes_in_a_row=self.crashes_in_a_row + 1 if in_a_row else 1, last_crash_at=now)

    def ended_well(self) -> IdentifyHistory:
        """Record that the run ended because it was stopped."""
        return replace(self, crashes_in_a_row=0, last_crash_at=None)

    def to_text(self) -> str:
        """JSON for the store, with times in Unix seconds."""
        crash_at = None if self.last_crash_at is None else round(self.last_crash_at.timestamp(), 3)
        at = [round(moment.timestamp(), 3) for moment in self.at]
        return json.dumps({"at": at, "row": self.crashes_in_a_row, "crash_at": crash_at})

    @classmethod
    def from_text(cls, text: str | None) -> IdentifyHistory:
        """Parse the store's JSON; an unreadable record counts as none."""
        try:
            found = json.loads(text or "{}")
            moments = tuple(datetime.fromtimestamp(float(moment), UTC) for moment in found.get("at", ()))
            crash_at = found.get("crash_at")  # missing in records of earlier releases
            last_crash_at = None if crash_at is None else datetime.fromtimestamp(float(crash_at), UTC)
            return cls(moments, int(found.get("row", 0)), last_crash_at)
        except (ValueError, TypeError, AttributeError, OverflowError, OSError):
            return cls()


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait before identifying, and why (for the log)."""

    seconds: float
    reason: str


def pause_before_identify(history: IdentifyHistory, limit: SessionStartLimit | None, now: datetime) -> Pause | None:
    """The longest pause required before the next identify; None when it may be sent now."""
    return max(_pauses(history, limit, now), key=lambda pause: pause.seconds, default=None)


def _pauses(history: IdentifyHistory, limit: SessionStartLimit | None, now: datetime) -> Sequence[Pause]:
    found: list[Pause] = []
    if limit is not None and limit.remaining <= LOW_REMAINING:
        left = f"Discord lets this token start only {limit.remaining} more sessions and resets it when they are used up"
        found.append(Pause(max(limit.reset_after_s, LEAST_PAUSE_S), left))
    today = [moment for moment in history.at if now - DAY < moment <= now]
    since_s = (now - max(today)).total_seconds() if today else DAY.total_seconds()
    if len(today) >= FREE_IDENTIFIES_A_DAY and since_s < CROWDED_PAUSE_S:
        many = f"{len(today)} starts in 24 hours; at 1,000 Discord resets the token"
        found.append(Pause(CROWDED_PAUSE_S - since_s, many))
    if history.crashes_in_a_row >= FREE_CRASHES:
        pause_s = CRASH_PAUSES_S[min(history.crashes_in_a_row - FREE_CRASHES, len(CRASH_PAUSES_S) - 1)]
        if since_s < pause_s:
            found.append(Pause(pause_s - since_s, f"the last {history.crashes_in_a_row} runs ended in an error"))
    return found
