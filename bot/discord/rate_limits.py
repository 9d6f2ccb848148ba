"""When Discord may be called: after its 429s, and within a budget of refusals.

discord.py 2.7.1 delays only the one request that was refused. Others of the same bucket go on, and so do webhooks and
interactions under a global rate limit: each of these is one more refusal. After ten thousand refusals (401, 403, and
429 unless its scope is "shared") in ten minutes, Discord bans the IP address
(https://docs.discord.com/developers/topics/rate-limits). So they are counted here, and long before that number the bot
stops sending the least important calls.

No I/O and no waiting in here: `bot.discord.http` asks how long to wait, and waits.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

#: Discord's time window for refusals, and the length of the slices in which they are counted.
WINDOW_S = 600.0
SLICE_S = 10.0
#: Refusals within the window from which on progress edits are dropped, …
NO_PROGRESS_FROM = 300
#: … everything but initial responses is spaced out, …
SLOW_FROM = 500
#: … everything but initial responses waits, …
RESPONSES_ONLY_FROM = 1500
#: … and nothing is sent. Even four processes on one address then stay below 10,000.
NOTHING_FROM = 2400
#: The largest spacing between two calls, reached just before `RESPONSES_ONLY_FROM`.
MAX_SPACING_S = 1.0
#: Longest time a call may wait in place; longer waits raise `discord.RateLimited` instead.
INITIAL_RESPONSE_MAX_WAIT_S = 2.8
MAX_WAIT_S = 60.0
#: Assumed for a 429 without a usable Retry-After (Cloudflare's sometimes lack it).
DEFAULT_RETRY_AFTER_S = 10.0
#: Added to what Discord asks for, because timers may fire a little early.
MARGIN_S = 0.01
#: After a global rate limit each lower priority is allowed this much later.
PRIORITY_STAGGER_S = 0.03
#: The concurrency window has no limit again once it has grown to this many calls.
UNLIMITED_FROM = 96


class Priority(Enum):
    """The priority of a call."""

    #: The first response to an interaction, due within three seconds.
    INITIAL_RESPONSE = auto()
    NORMAL = auto()
    #: A progress edit: dropped rather than delayed.
    PROGRESS = auto()

    @property
    def max_wait_s(self) -> float:
        """The longest time a call may wait."""
        match self:
            case Priority.INITIAL_RESPONSE:
                return INITIAL_RESPONSE_MAX_WAIT_S
            case Priority.NORMAL:
                return MAX_WAIT_S
            case Priority.PROGRESS:
                return 0.0


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request to Discord's REST API."""

    method: str
    #: Below the API's base, such as `/channels/1/messages`.
    path: str
    #: Whether it is authorized by the bot's token. Interactions and webhooks have a token of their own, in the path.
    as_bot: bool


#: The scope of a hold (a time until which calls must wait): a bucket with its major parameter, or one of these two.
BOT_SCOPE = "everything that carries the bot's token"
GLOBAL_SCOPE = "everything"


class RateLimits:
    """The holds, refusals and concurrency window of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By scope, the clock time until which its calls must wait.
        self._holds: dict[str, float] = {}
        self._buckets: dict[str, str] = {}
        self._slices: deque[tuple[float, int]] = deque()
        self._refused = 0
        self._next_send_at = 0.0
        #: How many calls may be under way at once: halved by a global 429, because all calls under way are then
        #: refused too, and increased by one for every other response.
        self.concurrency_window = math.inf

    # ------------------------------------------------------------------ before a call

    def wait_s(self, call: ApiCall, priority: Priority) -> float:
        """Seconds until the call may be sent; 0 for now. Check again when they have passed."""
        if not self._holds and not self._refused:
            return 0.0
        return max(self.hold_s(call, priority), self.global_wait_s(call, priority))

    def hold_s(self, call: ApiCall, priority: Priority) -> float:
        """The part of `wait_s` that is due to Discord's 429s, without our own budget."""
        if not self._holds:
            return 0.0
        now = self._clock()
        return max(self._holds.get(self._key(call), 0.0) - now, self._global_wait_s(call, priority, now), 0.0)

    def global_wait_s(self, call: ApiCall, priority: Priority) -> float:
        """The part of `wait_s` that is not due to this call's bucket alone."""
        now = self._clock()
        return max(self._global_wait_s(call, priority, now), self._budget_wait_s(priority, now), 0.0)

    def record_send(self, priority: Priority) -> None:
        """Record that a call is sent, to space out the next one."""
        if self._refused >= SLOW_FROM and priority is not Priority.INITIAL_RESPONSE:
            part = (self.refused - SLOW_FROM) / max(RESPONSES_ONLY_FROM - SLOW_FROM, 1)
            self._next_send_at = max(self._clock(), self._next_send_at) + MAX_SPACING_S * min(max(part, 0), 1)

    @property
    def refused(self) -> int:
        """Refusals within the last ten minutes that count towards a ban."""
        now = self._clock()
        while self._slices and self._slices[0][0] + SLICE_S + WINDOW_S <= now:
            self._refused -= self._slices.popleft()[1]
        return self._refused

    def _global_wait_s(self, call: ApiCall, priority: Priority, now: float) -> float:
        until = max(self._holds.get(GLOBAL_SCOPE, 0.0), self._holds.get(BOT_SCOPE, 0.0) if call.as_bot else 0.0)
        return until + PRIORITY_STAGGER_S * (priority.value - 1) - now

    def _budget_wait_s(self, priority: Priority, now: float) -> float:
        if not self._refused:
            return 0.0
        refused = self.refused
        if priority is Priority.INITIAL_RESPONSE:
            return self._until_below(NOTHING_FROM, now)
        if priority is Priority.PROGRESS and refused >= NO_PROGRESS_FROM:
            return self._until_below(NO_PROGRESS_FROM, now)
        if refused >= RESPONSES_ONLY_FROM:
            return self._until_below(RESPONSES_ONLY_FROM, now)
        return max(self._next_send_at - now, 0.0) if refused >= SLOW_FROM else 0.0

    def _until_below(self, limit: int, now: float) -> float:
        left = self._refused
        for began, count in self._slices:
            if left < limit:
                return 0.0
            left -= count
            if left < limit:
                return max(began + SLICE_S + WINDOW_S - now, 0.0)
        return 0.0

    # ------------------------------------------------------------------ after a call

    def record_response(
        self,
        call: ApiCall,
        status: int,
        headers: Mapping[str, str],
        retry_after_s: float | None = None,
        under_way: int = 1,
    ) -> float:
        """Record a response. Returns the seconds that a 429 asks to wait, else 0.

        Args:
            call: the call.
            status: HTTP status.
            headers: the response's, in a case-insensitive mapping.
            retry_after_s: `retry_after` from the body, which is more exact than the header's whole seconds.
            under_way: how many calls were under way, this one included.
        """
        bucket = headers.get("X-RateLimit-Bucket")
        if bucket is not None:
            self._buckets[_route(call.method, call.path)] = bucket
        if status != 429:
            self._widen_window()
        if status not in {401, 403, 429}:
            return 0.0
        if status != 429 or headers.get("X-RateLimit-Scope") != "shared":
            self._count()
        if status != 429:
            return 0.0
        if retry_after_s is None:
            retry_after_s = seconds(headers.get("Retry-After"))
        scope = self._scope(call, headers)
        self._hold(scope, retry_after_s + MARGIN_S)
        if scope in {GLOBAL_SCOPE, BOT_SCOPE}:
            self.concurrency_window = max(1.0, min(self.concurrency_window, under_way) / 2)
        return retry_after_s

    def _widen_window(self) -> None:
        if self.concurrency_window < UNLIMITED_FROM:
            self.concurrency_window += 1
        else:
            self.concurrency_window = math.inf

    def _scope(self, call: ApiCall, headers: Mapping[str, str]) -> str:
        """The scope of a 429."""
        if not headers.get("Via"):
            return GLOBAL_SCOPE  # from Cloudflare, which limits the IP address
        if headers.get("X-RateLimit-Scope") == "global" or headers.get("X-RateLimit-Global"):
            # Interactions and webhooks do not count towards the bot's own limit; a global 429 there
            # limits the IP address.
            return BOT_SCOPE if call.as_bot else GLOBAL_SCOPE
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
        route = _route(call.method, call.path)
        return f"{self._buckets.get(route, route)} {_major(call.path)}"


def seconds(retry_after: str | None) -> float:
    """A Retry-After header in seconds; `DEFAULT_RETRY_AFTER_S` where it is missing or unreadable."""
    try:
        return max(float(retry_after or "-"), 0.0)
    except ValueError:
        return DEFAULT_RETRY_AFTER_S


_MAJOR = re.compile(r"/(?:channels|guilds)/\d+|/(?:webhooks|interactions)/\d+(?:/[^/]+)?")
_NUMBER = re.compile(r"(?<=/)\d+(?=/|$)")


def _major(path: str) -> str:
    """The major parameter of a path, each of which has rate limits of its own: a channel, a server, a webhook."""
    found = _MAJOR.match(path)
    return found[0] if found is not None else ""


def _route(method: str, path: str) -> str:
    """The route of a request: its method and path, with ids replaced."""
    rest = path.removeprefix(_major(path))
    resource = path.split("/", 2)[1] if path.count("/") else ""
    return f"{method} {resource}{_NUMBER.sub('…', rest)}"
