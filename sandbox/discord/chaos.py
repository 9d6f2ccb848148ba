"""Rate limit chaos: a share of all answers is 429, of the four kinds that Discord and its edge send.

It records what each 429 holds back and until when, which requests came too early, and which were refused through no
fault of the bot. A request is **early** when the bot had received a 429 that still holds it back. Which 429s it had
received when it sent the request, the bot says in the header `HEARD` (numbers, taken from the header `NUMBER` of the
answers); without that header it is assumed to have received all. A request that was on its way before the 429 arrived
has **crossed** it: it is refused too, as by Discord, but counts as nobody's fault.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sandbox.discord.wire import DiscordError, Obj

Scope = Literal["user", "shared", "global", "cloudflare"]

NUMBER, HEARD = "X-Easel-Number", "X-Easel-Heard"
#: The clocks and timers of both sides differ by at most this.
TOLERANCE_S = 0.005
#: Cloudflare's error pages, for programs and for browsers.
_EDGE = (
    ("text/plain; charset=UTF-8", "error code: 1015"),
    (
        "text/html; charset=UTF-8",
        "<!doctype html><title>Access denied | discord.com used Cloudflare to restrict access</title>"
        "<h1>Error 1015</h1><p>You are being rate limited.</p>",
    ),
)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What rate limits look at in a request."""

    method: str
    route: str
    #: Route and major parameter.
    key: str
    #: Whether it carries the bot's token.
    as_bot: bool
    #: Numbers of the 429s its sender knew of; None: it does not say.
    heard: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class _Hold:
    number: int
    scope: Scope
    until_s: float
    key: str
    as_bot: bool

    def covers(self, request: RequestInfo) -> bool:
        match self.scope:
            case "cloudflare":
                return True
            case "global":
                # The bot's own limit does not bind interactions and webhooks; theirs is the address's.
                return request.as_bot or not self.as_bot
            case _:
                return request.key == self.key


@dataclass
class RateLimitChaos:
    """Switched on by putting it into `Faults.chaos`.

    Attributes:
        share: of the requests that no limit holds back, so many are refused.
        seed: of its random numbers.
        shortest_s, longest_s: how long a 429 asks to wait.
        weights: how often each kind.
        whole: Cloudflare's Retry-After is whole seconds, as it really is; otherwise as short as the others.
        window_s: Discord's window for invalid requests.
        over: no new 429 is made; those that hold still do.
    """

    share: float = 0.5
    seed: str = "chaos"
    shortest_s: float = 0.05
    longest_s: float = 0.5
    weights: Mapping[Scope, float] = field(
        default_factory=lambda: {"user": 4, "shared": 2, "global": 2, "cloudflare": 2}
    )
    whole: bool = True
    window_s: float = 600.0
    over: bool = False

    requests: int = 0
    #: Refused at random, by kind; the bot could not know.
    forced: Counter[Scope] = field(default_factory=Counter)
    #: Refused because of a limit that the bot had not heard of yet.
    crossed: Counter[Scope] = field(default_factory=Counter)
    #: Refused because of a limit that it knew.
    early: Counter[Scope] = field(default_factory=Counter)
    #: The first of them, in words.
    examples: list[str] = field(default_factory=list)
    #: 401 and 403.
    denied: int = 0
    most_invalid_in_window: int = 0
    routes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._holds: deque[_Hold] = deque()
        self._invalid_at: deque[float] = deque()
        self._number = 0

    @property
    def invalid(self) -> int:
        """Invalid requests as Discord counts them: 401, 403, and 429 unless it is shared."""
        refused = self.forced + self.crossed + self.early
        return refused.total() - refused["shared"] + self.denied

    @property
    def own_faults(self) -> int:
        """Of the invalid ones, those that the bot caused itself."""
        return self.early.total() + self.denied

    def admit(self, request: RequestInfo) -> None:
        """Let a request pass.

        Raises:
            DiscordError: 429.
        """
        now = time.monotonic()
        self.requests += 1
        self._holds = deque(one for one in self._holds if one.until_s > now)
        holding = [one for one in self._holds if one.until_s > now + TOLERANCE_S and one.covers(request)]
        known = [one for one in holding if request.heard is None or one.number in request.heard]
        if known or holding:
            worst = max(known or holding, key=lambda one: one.until_s)
            (self.early if known else self.crossed)[worst.scope] += 1
            if known and len(self.examples) < 20:
                left_ms = (worst.until_s - now) * 1000
                self.examples.append(f"{request.method} {request.route}, {left_ms:.0f} ms early ({worst.scope})")
            raise self._limited(request, worst.scope, worst.until_s - now)
        if not self.over and self._chance.random() < self.share:
            scope = self._chance.choices(list(self.weights), list(self.weights.values()))[0]
            self.forced[scope] += 1
            self.routes[f"{request.method} {request.route}"] += 1
            raise self._limited(request, scope, self._chance.uniform(self.shortest_s, self.longest_s))

    def count_denied(self) -> None:
        """A 401 or 403 was answered."""
        self.denied += 1
        self._count()

    def _count(self) -> None:
        now = time.monotonic()
        self._invalid_at.append(now)
        while self._invalid_at[0] <= now - self.window_s:
            self._invalid_at.popleft()
        self.most_invalid_in_window = max(self.most_invalid_in_window, len(self._invalid_at))

    def _limited(self, request: RequestInfo, scope: Scope, wait_s: float) -> DiscordError:
        if scope == "cloudflare" and self.whole:
            wait_s = float(int(wait_s) + 1)
        wait_s = round(wait_s + 0.0005, 3)
        self._number += 1
        self._holds.append(_Hold(self._number, scope, time.monotonic() + wait_s, request.key, request.as_bot))
        if scope != "shared":
            self._count()
        error = self._edge(wait_s) if scope == "cloudflare" else limited(scope, wait_s, request.key.partition(":")[0])
        error.headers[NUMBER] = str(self._number)
        return error

    def _edge(self, wait_s: float) -> DiscordError:
        kind, text = self._chance.choice(_EDGE)
        return DiscordError(429, -1, text, headers={"Content-Type": kind, "Retry-After": f"{wait_s:g}"})


def limited(scope: Scope, retry_after_s: float, bucket: str, limit: int = 1) -> DiscordError:
    """Discord's own 429, of scope user, shared or global."""
    headers = {"Via": "1.1 google", "Retry-After": str(int(retry_after_s) + 1), "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    else:
        headers |= {
            "X-RateLimit-Bucket": bucket,
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": f"{time.time() + retry_after_s:.3f}",
            "X-RateLimit-Reset-After": f"{retry_after_s:.3f}",
        }
    body: Obj = {"retry_after": round(retry_after_s, 3), "global": scope == "global"}
    message = "The resource is being rate limited." if scope == "shared" else "You are being rate limited."
    return DiscordError(429, 0, message, body=body, headers=headers)


def parse_heard(header: str | None) -> frozenset[int] | None:
    """What `HEARD` says."""
    if header is None:
        return None
    return frozenset(int(one) for one in header.split(",") if one)
