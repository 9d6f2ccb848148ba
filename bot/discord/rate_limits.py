"""How fast Discord may be called: what its 429s hold back, and how many more of them may be risked.

discord.py 2.7.1 waits with the one request that was refused. Others of the same bucket go on, and so do webhooks and
interactions while Discord has limited everything: each of these is one more refusal. Ten thousand refusals (401, 403,
and 429 unless its scope is "shared") in ten minutes, and Discord bans the address
(https://docs.discord.com/developers/topics/rate-limits). So they are counted here, and long before that number the bot
gives up what it can do without.

No I/O and no waiting in here: `bot.discord.http` asks how long, and waits.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

#: Discord's window for refusals. They are counted by slices of it.
WINDOW_S = 600.0
SLICE_S = 10.0
#: Refusals within the window from which on progress is no longer shown, …
NO_PROGRESS_FROM = 300
#: … everything but first answers is spaced out, …
SLOW_FROM = 500
#: … everything but first answers waits, …
ANSWERS_ONLY_FROM = 1500
#: … and nothing is sent. Four processes on one address stay below 10,000 then, too.
NOTHING_FROM = 2400
#: The largest space between two calls, shortly before all of them wait.
SLOWEST_S = 1.0
#: Longest pauses that are waited for in place; whoever has to wait longer is told so instead.
FIRST_ANSWER_PATIENCE_S = 2.8
PATIENCE_S = 60.0
#: Where a 429 does not say for how long (Cloudflare's sometimes do not).
UNSAID_S = 10.0
#: On top of what Discord asks for: timers may fire a little early.
MARGIN_S = 0.01
#: What has been held back for everybody is let out in this order.
LATER_S = 0.03
#: Calls under way at once from which on their number is not limited here any more.
WIDE = 96


class Priority(Enum):
    """What a call is worth."""

    #: To an interaction, within three seconds.
    FIRST_ANSWER = auto()
    USUAL = auto()
    #: Nobody misses it.
    PROGRESS = auto()

    @property
    def patience_s(self) -> float:
        """The longest pause that is worth waiting for."""
        match self:
            case Priority.FIRST_ANSWER:
                return FIRST_ANSWER_PATIENCE_S
            case Priority.USUAL:
                return PATIENCE_S
            case Priority.PROGRESS:
                return 0.0


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request to Discord's REST API."""

    method: str
    #: Below the API's base, such as `/channels/1/messages`.
    path: str
    #: Whether it carries the bot's token. Interactions and webhooks carry one of their own, in the path.
    as_bot: bool


#: What a refusal holds back: a bucket with its major parameter, or one of these two.
BOT = "everything that carries the bot's token"
ALL = "everything"


class RateLimits:
    """Holds and counts of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: Seconds on the clock until which something is held back.
        self._holds: dict[str, float] = {}
        self._buckets: dict[str, str] = {}
        self._slices: deque[tuple[float, int]] = deque()
        self._refused = 0
        self._next_at = 0.0
        #: How many calls may be under way at once. Half of them after a 429 about everything, for whatever is on its
        #: way then is refused, too; one more for every answer that is none.
        self.concurrency_window = math.inf

    # ------------------------------------------------------------------ asking

    def wait_s(self, call: ApiCall, priority: Priority) -> float:
        """Seconds until the call may be sent; 0 for now. Ask again when they have passed."""
        if not self._holds and not self._refused:
            return 0.0
        return max(self.held_s(call, priority), self.global_wait_s(call, priority))

    def held_s(self, call: ApiCall, priority: Priority) -> float:
        """The same for what Discord has asked for, without what we do without of our own accord."""
        if not self._holds:
            return 0.0
        now = self._clock()
        return max(self._holds.get(self._key(call), 0.0) - now, self._global_wait_s(call, priority, now), 0.0)

    def global_wait_s(self, call: ApiCall, priority: Priority) -> float:
        """The same for what does not concern this call's bucket alone."""
        now = self._clock()
        return max(self._global_wait_s(call, priority, now), self._budget_wait_s(priority, now), 0.0)

    def record_send(self, priority: Priority) -> None:
        """A call goes out: the next one keeps its distance where that is due."""
        if self._refused >= SLOW_FROM and priority is not Priority.FIRST_ANSWER:
            part = (self.refused - SLOW_FROM) / max(ANSWERS_ONLY_FROM - SLOW_FROM, 1)
            self._next_at = max(self._clock(), self._next_at) + SLOWEST_S * min(max(part, 0), 1)

    @property
    def refused(self) -> int:
        """Refusals that count, within the last ten minutes."""
        now = self._clock()
        while self._slices and self._slices[0][0] + SLICE_S + WINDOW_S <= now:
            self._refused -= self._slices.popleft()[1]
        return self._refused

    def _global_wait_s(self, call: ApiCall, priority: Priority, now: float) -> float:
        until = max(self._holds.get(ALL, 0.0), self._holds.get(BOT, 0.0) if call.as_bot else 0.0)
        return until + LATER_S * (priority.value - 1) - now

    def _budget_wait_s(self, priority: Priority, now: float) -> float:
        if not self._refused:
            return 0.0
        refused = self.refused
        if priority is Priority.FIRST_ANSWER:
            return self._until_below(NOTHING_FROM, now)
        if priority is Priority.PROGRESS and refused >= NO_PROGRESS_FROM:
            return self._until_below(NO_PROGRESS_FROM, now)
        if refused >= ANSWERS_ONLY_FROM:
            return self._until_below(ANSWERS_ONLY_FROM, now)
        return max(self._next_at - now, 0.0) if refused >= SLOW_FROM else 0.0

    def _until_below(self, limit: int, now: float) -> float:
        left = self._refused
        for began, count in self._slices:
            if left < limit:
                return 0.0
            left -= count
            if left < limit:
                return max(began + SLICE_S + WINDOW_S - now, 0.0)
        return 0.0

    # ------------------------------------------------------------------ hearing

    def record_response(
        self, call: ApiCall, status: int, headers: Mapping[str, str], asked_s: float | None = None, under_way: int = 1
    ) -> float:
        """Take note of an answer; for a 429 the seconds it asks for.

        Args:
            call: what was answered.
            status: HTTP status.
            headers: of the answer; the names as Discord writes them, in a mapping that minds no case.
            asked_s: `retry_after` of the body, which is more exact than the header's whole seconds.
            under_way: calls that were, with this one.
        """
        bucket = headers.get("X-RateLimit-Bucket")
        if bucket is not None:
            self._buckets[_template(call.method, call.path)] = bucket
        if status != 429:
            self._widen()
        if status not in {401, 403, 429}:
            return 0.0
        if status != 429 or headers.get("X-RateLimit-Scope") != "shared":
            self._count()
        if status != 429:
            return 0.0
        if asked_s is None:
            asked_s = seconds(headers.get("Retry-After"))
        reach = self._scope(call, headers)
        self._hold(reach, asked_s + MARGIN_S)
        if reach in {ALL, BOT}:
            self.concurrency_window = max(1.0, min(self.concurrency_window, under_way) / 2)
        return asked_s

    def _widen(self) -> None:
        if self.concurrency_window < WIDE:
            self.concurrency_window += 1
        else:
            self.concurrency_window = math.inf

    def _scope(self, call: ApiCall, headers: Mapping[str, str]) -> str:
        """What a 429 is about."""
        if not headers.get("Via"):
            return ALL  # Cloudflare's: about this machine
        if headers.get("X-RateLimit-Scope") == "global" or headers.get("X-RateLimit-Global"):
            # Interactions and webhooks are not part of the bot's own limit; a limit that is met there is the address's.
            return BOT if call.as_bot else ALL
        return self._key(call)

    def _hold(self, key: str, for_s: float) -> None:
        now = self._clock()
        if len(self._holds) > 500:
            self._holds = {one: until for one, until in self._holds.items() if until > now}
        self._holds[key] = max(self._holds.get(key, 0.0), now + for_s)

    def _count(self) -> None:
        now = self._clock()
        self._refused += 1
        if self._slices and now < self._slices[-1][0] + SLICE_S:
            began, count = self._slices[-1]
            self._slices[-1] = began, count + 1
        else:
            self._slices.append((now, 1))

    def _key(self, call: ApiCall) -> str:
        template = _template(call.method, call.path)
        return f"{self._buckets.get(template, template)} {_major(call.path)}"


def seconds(retry_after: str | None) -> float:
    """A Retry-After header; some time where it says nothing that can be read."""
    try:
        return max(float(retry_after or "-"), 0.0)
    except ValueError:
        return UNSAID_S


_MAJOR = re.compile(r"/(?:channels|guilds)/\d+|/(?:webhooks|interactions)/\d+(?:/[^/]+)?")
_NUMBER = re.compile(r"(?<=/)\d+(?=/|$)")


def _major(path: str) -> str:
    """The part of a path that has rate limits of its own: a channel, a server, a webhook's token."""
    found = _MAJOR.match(path)
    return found[0] if found is not None else ""


def _template(method: str, path: str) -> str:
    """A route, without what its requests differ in."""
    rest = path.removeprefix(_major(path))
    kind = path.split("/", 2)[1] if path.count("/") else ""
    return f"{method} {kind}{_NUMBER.sub('…', rest)}"
