"""Fault injection for the REST API: rate limits, delays, failures; and counters of what was asked."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.discord.chaos import RateLimitChaos, Scope, limited
from sandbox.discord.wire import DiscordError

#: Routes that Discord's global limit of the bot does not count.
_INTERACTION_ROUTES = re.compile(r"/(interactions|webhooks)/")


@dataclass
class Counters:
    """What the bot did, for tests and benchmarks."""

    requests: Counter[str] = field(default_factory=Counter)  # "PATCH /channels/{channel}/messages/{message}"
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[int] = field(default_factory=Counter)  # Discord's own codes
    rate_limited: int = 0
    bytes_uploaded: int = 0
    #: 401, 403 and 429 (without scope shared): 10,000 of them in ten minutes ban an address.
    invalid_requests: int = 0

    def total(self) -> int:
        """All REST requests."""
        return self.requests.total()

    def route(self, method: str, fragment: str) -> int:
        """Requests of a method whose route template contains the fragment."""
        return sum(
            count for route, count in self.requests.items() if route.startswith(f"{method} ") and fragment in route
        )


@dataclass
class RateLimit:
    """One rule: `limit` requests in `window_s`, per major parameter (or over everything for `global`)."""

    limit: int
    window_s: float
    scope: Scope = "user"
    method: str | None = None
    path: re.Pattern[str] = field(default_factory=lambda: re.compile(""))
    retry_after_s: float | None = None
    fraction: float = 1.0  # share of matching requests that the rule applies to
    _windows: dict[str, tuple[float, int]] = field(default_factory=dict, repr=False)

    def applies(self, method: str, path: str) -> bool:
        """Whether this rule is about this request."""
        if self.method is not None and method != self.method:
            return False
        if self.scope == "global" and _INTERACTION_ROUTES.search(path):
            return False
        return bool(self.path.search(path))

    def take(self, key: str, now_s: float) -> tuple[int, float]:
        """Count a request: what remains (negative: refused) and seconds until the window ends."""
        key = "" if self.scope == "global" else key
        start_s, used = self._windows.get(key, (now_s, 0))
        if now_s - start_s >= self.window_s:
            start_s, used = now_s, 0
        used += 1
        self._windows[key] = (start_s, used)
        return self.limit - used, max(0.001, self.window_s - (now_s - start_s))


@dataclass
class PlannedFailure:
    """One answer to break."""

    method: str
    path: re.Pattern[str]
    status: int
    drop: bool = False  # cut the connection instead of answering
    after: bool = False  # only once the request was carried out
    times: int = 1
    code: int = 0
    message: str = ""


class Faults:
    """The faults that are injected now, and the counters."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.delay_s = 0.0
        self.delay_path: re.Pattern[str] = re.compile("")
        self.limits: list[RateLimit] = []
        self.failures: list[PlannedFailure] = []
        self.random_429s = False  # the page's switch: a share of all answers is 429
        self.random_429_share = 0.4
        #: Words for which AutoMod refuses messages in the server, in any case.
        self.blocked_words: set[str] = set()
        self.chaos: RateLimitChaos | None = None
        self.default_limit = 1_000_000
        self._random = random.Random(7)

    def set_rate_limit(
        self,
        limit: int,
        window_s: float,
        *,
        scope: Scope = "user",
        method: str | None = None,
        path: str = "",
        retry_after_s: float | None = None,
    ) -> RateLimit:
        """Add a rule; `path` is a regular expression searched in the request's path."""
        rule = RateLimit(limit, window_s, scope, method, re.compile(path), retry_after_s)
        self.limits.append(rule)
        return rule

    def clear(self) -> None:
        """Stop injecting faults."""
        self.limits.clear()
        self.failures.clear()
        self.blocked_words.clear()
        self.delay_s = 0.0
        self.random_429s = False
        if self.chaos is not None:
            self.chaos.over = True

    def limit(self, method: str, path: str, key: str, bucket: str, now_s: float) -> dict[str, str]:
        """Count a request against the rules; the rate limit headers of its answer.

        Raises:
            DiscordError: 429 in the scope of the rule that is exhausted.
        """
        limit, remaining, reset_s = self.default_limit, self.default_limit - 1, 1.0
        if self.random_429s and not path.endswith("/callback") and self._random.random() < self.random_429_share:
            raise self._limited("user", 0.5 + self._random.random(), bucket, limit=1)
        for rule in self.limits:
            if not rule.applies(method, path):
                continue
            left, ends_s = rule.take(key, now_s)
            if left < 0:
                wait_s = rule.retry_after_s or (60.0 if rule.scope == "cloudflare" else ends_s)
                raise self._limited(rule.scope, wait_s, bucket, rule.limit)
            if rule.scope in {"user", "shared"} and left < remaining:
                limit, remaining, reset_s = rule.limit, left, ends_s
        return {
            "X-RateLimit-Bucket": bucket,
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": f"{now_s + reset_s:.3f}",
            "X-RateLimit-Reset-After": f"{reset_s:.3f}",
        }

    def _limited(self, scope: Scope, retry_after_s: float, bucket: str, limit: int) -> DiscordError:
        self.counters.rate_limited += 1
        if scope == "cloudflare":
            return DiscordError(
                429, -1, "error code: 1015", headers={"Content-Type": "text/html", "Retry-After": f"{retry_after_s:g}"}
            )
        return limited(scope, retry_after_s, bucket, limit)

    def failure(self, method: str, path: str, *, after: bool) -> PlannedFailure | None:
        """The failure planned for this request, if any; it is used up."""
        for one in self.failures:
            if one.after == after and one.method in {method, "*"} and one.path.search(path):
                one.times -= 1
                if one.times <= 0:
                    self.failures.remove(one)
                return one
        return None


Clock = Callable[[], float]
