"""Throttle discord.py's REST calls under rate limits, retry them after a 429, and count refusals.

discord.py 2.7.1 retries a 429 five times and then raises; for one from Cloudflare instead of Discord (no `Via` header)
it raises at once. A refused call had no effect, so it is always safe to retry. This module does that for every kind of
call: initial responses, component presses, autocompletes, edits, results, deletes, the login and the commands.

It hooks in at three places; all but the wrapped `request` methods are options of discord.py:

- the connector delays a request until `bot.discord.rate_limits` allows it, and checks again once it has a
  connection;
- a trace records every response;
- `HTTPClient.request` and `AsyncWebhookAdapter.request` are wrapped to retry after a 429.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord.webhook.async_ import AsyncWebhookAdapter

from bot import metrics
from bot.discord import rate_limits
from bot.discord.rate_limits import ApiCall, Priority, RateLimits
from bot.proxies import DIRECT, ProxiedConnector, Proxies

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

log = logging.getLogger(__name__)

#: Connections to Discord. Deliveries use a part of them only (see cogs.delivery): initial responses always find one.
MAX_CONNECTIONS = 96
#: Least time between two log lines about rate limits.
LOG_EVERY_S = 10.0

_priority: ContextVar[Priority] = ContextVar("priority", default=Priority.NORMAL)
#: Monotonic time until which a call may be retried.
_retry_deadline: ContextVar[float | None] = ContextVar("retry_deadline", default=None)
#: Monotonic time after which a call must not be sent any more.
_send_deadline: ContextVar[float] = ContextVar("send_deadline", default=math.inf)


class GloballyRateLimited(discord.RateLimited):
    """All calls are limited for longer than this one may wait, so a call by another route would be no quicker."""


class DeadlineExceeded(discord.DiscordException):
    """The call was not sent, because its deadline had passed."""


@contextmanager
def as_progress(*, until: float) -> Iterator[None]:
    """Calls in this context never wait for a rate limit, and are never sent after `until` (monotonic seconds)."""
    priority, deadline = _priority.set(Priority.PROGRESS), _send_deadline.set(until)
    try:
        yield
    finally:
        _priority.reset(priority)
        _send_deadline.reset(deadline)


def is_rate_limit(error: BaseException | None) -> bool:
    """Whether a call failed because of a rate limit."""
    if isinstance(error, discord.GatewayNotFound):
        return is_rate_limit(error.__cause__)
    return isinstance(error, discord.RateLimited) or (isinstance(error, discord.HTTPException) and error.status == 429)


def retry_after_s(error: BaseException) -> float:
    """How long Discord asks to wait after a failed call; 0 where it does not say."""
    if isinstance(error, discord.RateLimited):
        return error.retry_after
    if isinstance(error, discord.HTTPException) and error.status == 429:
        return rate_limits.seconds(error.response.headers.get("Retry-After"))
    return 0.0


class Throttle:
    """Delays the calls of one client while rate limits require it."""

    def __init__(self) -> None:
        self.limits = RateLimits()
        self._logged_at = 0.0
        #: Calls under way by task; a task has at most one.
        self._under_way: dict[asyncio.Task[Any] | None, Priority] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sequence = itertools.count()

    def connector(self, proxies: Proxies = DIRECT) -> aiohttp.TCPConnector:
        """The connector for `discord.Client(connector=…)`: all that discord.py does, the gateway included."""
        return ThrottledConnector(self, proxies, limit=MAX_CONNECTIONS, keepalive_timeout=30)

    def trace(self) -> aiohttp.TraceConfig:
        """The trace for `discord.Client(http_trace=…)`."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._on_response)
        trace.on_request_exception.append(self._on_exception)
        return trace

    def install(self, http: discord.http.HTTPClient) -> None:
        """Make this client's calls, and those by webhook or interaction token, retry after a 429."""
        request = http.request

        async def request_with_retries(route: discord.http.Route, **options: Any) -> Any:
            return await retry_429(lambda: request(route, **options), _priority.get(), options.get("files") or ())

        http.request = request_with_retries  # type: ignore[method-assign]
        discord.webhook.async_.async_context.set(RetryingWebhookAdapter())  # type: ignore[no-untyped-call]

    # ------------------------------------------------------------------ before a call

    async def acquire(self, call: ApiCall) -> None:
        """Wait until the call may be sent.

        Raises:
            discord.RateLimited: it would have to wait longer than its priority allows.
            GloballyRateLimited: so would every other call.
        """
        priority = _priority_of(call)
        while (wait_s := self.limits.wait_s(call, priority)) > 0 or self._at_capacity(priority):
            if wait_s > _max_wait_left_s(priority):
                self._wake_next()
                raise self._rate_limited(call, priority, wait_s)
            if wait_s > 0:
                self._wake_next()
                await asyncio.sleep(wait_s)
            else:
                await self._wait_for_slot(priority)
        self.limits.record_send(priority)
        self._under_way[asyncio.current_task()] = priority

    def _at_capacity(self, priority: Priority) -> bool:
        """Whether as many calls are under way as the concurrency window allows after a global rate limit.

        Initial responses and all other calls are counted separately, so that neither waits for the other.
        """
        if self.limits.concurrency_window == math.inf:
            return False
        first = priority is Priority.INITIAL_RESPONSE
        alike = (one for one in self._under_way.values() if (one is Priority.INITIAL_RESPONSE) is first)
        return sum(1 for _ in alike) >= self.limits.concurrency_window

    async def _wait_for_slot(self, priority: Priority) -> None:
        """Wait until a call ends; the waiter of the highest priority is woken first."""
        slot = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (priority.value, next(self._sequence), slot))
        try:
            async with asyncio.timeout(_max_wait_left_s(priority)):
                await slot
        except BaseException as error:
            if not slot.cancel():
                self._wake_next()  # it was woken at the same moment: wake the next one instead
            if isinstance(error, TimeoutError):
                raise GloballyRateLimited(1.0) from None
            raise

    def _wake_next(self) -> None:
        """Let the first waiter check again."""
        while self._waiters:
            slot = heapq.heappop(self._waiters)[2]
            if not slot.done():
                slot.set_result(None)
                return

    def _call_ended(self) -> None:
        """Record that this task's call has ended, and wake the next waiter."""
        if self._under_way.pop(asyncio.current_task(), None) is not None:
            self._wake_next()
        self._wake_next()

    def release(self) -> None:
        """Undo `acquire` for a call that was not sent."""
        self._call_ended()

    def is_held(self, call: ApiCall) -> bool:
        """Whether Discord has limited the call since it was acquired."""
        return self.limits.hold_s(call, _priority_of(call)) > 0

    # ------------------------------------------------------------------ after a call

    async def _on_response(self, _session: object, _context: object, params: aiohttp.TraceRequestEndParams) -> None:
        response = params.response
        call = _read_call(response.method, response.url.raw_path, params.headers)
        if call is None:
            return
        body_s = await _body_retry_after_s(response) if response.status == 429 else None
        wait_s = self.limits.record_response(call, response.status, response.headers, body_s, len(self._under_way))
        self._call_ended()
        if response.status != 429:
            return
        metrics.DISCORD_RATE_LIMITED.inc()
        self._log_rate_limit(call, response, wait_s)
        priority = _priority_of(call)
        if response.headers.get("Via") and wait_s > _max_wait_left_s(priority):
            # discord.py would wait for as long as an hour, and block all other calls about this message meanwhile.
            raise self._rate_limited(call, priority, wait_s)

    async def _on_exception(self, *_: object) -> None:
        self._call_ended()

    def _rate_limited(self, call: ApiCall, priority: Priority, wait_s: float) -> discord.RateLimited:
        is_global = self.limits.global_wait_s(call, priority) > _max_wait_left_s(priority)
        return GloballyRateLimited(wait_s) if is_global else discord.RateLimited(wait_s)

    def _log_rate_limit(self, call: ApiCall, response: aiohttp.ClientResponse, wait_s: float) -> None:
        """Log a 429, at most one every `LOG_EVERY_S` seconds, as there may be hundreds."""
        if time.monotonic() - self._logged_at < LOG_EVERY_S:
            return
        self._logged_at = time.monotonic()
        scope = response.headers.get("X-RateLimit-Scope", "") if response.headers.get("Via") else "cloudflare"
        log.warning(
            "Discord limits us",
            extra={"scope": scope, "method": call.method, "wait_s": wait_s, "refused_in_10_min": self.limits.refused},
        )


class ThrottledConnector(ProxiedConnector):
    """A connector that gives a connection only to calls that the throttle allows."""

    def __init__(self, throttle: Throttle, proxies: Proxies = DIRECT, **options: Any) -> None:
        super().__init__(proxies, **options)
        self._throttle = throttle

    async def connect(
        self,
        req: Any,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        """Like aiohttp's, after `Throttle.acquire` for calls of Discord's REST API (not the gateway or pictures).

        Raises:
            discord.RateLimited: see `Throttle.acquire`.
            DeadlineExceeded: see `as_progress`.
        """
        call = _read_call(req.method, req.url.raw_path, req.headers)
        if call is None:
            return await super().connect(req, traces, timeout)
        while True:
            await self._throttle.acquire(call)
            connection = await super().connect(req, traces, timeout)
            late = time.monotonic() > _send_deadline.get()
            if not late and not self._throttle.is_held(call):
                return connection
            connection.release()
            self._throttle.release()
            if late:
                raise DeadlineExceeded


class RetryingWebhookAdapter(AsyncWebhookAdapter):
    """Retries calls by the token of an interaction or a webhook."""

    async def request(
        self, route: Any, session: aiohttp.ClientSession, *, files: Sequence[discord.File] | None = None, **options: Any
    ) -> Any:
        """Like discord.py's, with retries after a 429."""
        answers = "/interactions/" in route.url
        priority = Priority.INITIAL_RESPONSE if answers else _priority.get()
        request = super().request
        answer = await retry_429(lambda: request(route, session, files=files, **options), priority, files or ())
        if answers and isinstance(answer, dict):
            answer.pop("resource", None)  # the message itself, of which discord.py would make a hundred objects
        return answer


async def retry_429(attempt: Callable[[], Awaitable[Any]], priority: Priority, files: Sequence[discord.File]) -> Any:
    """Retry `attempt` after a 429, for as long as its priority allows.

    Args:
        files: rewound before each retry.

    Raises:
        discord.HTTPException: any other error, or the last 429.
        discord.RateLimited: it would have to wait longer than its priority allows.
    """
    until = time.monotonic() + priority.max_wait_s
    while True:
        token = _retry_deadline.set(until)
        try:
            return await attempt()
        except discord.HTTPException as error:
            if error.status != 429:
                raise
            # discord.py has already waited after Discord's own 429, but not after Cloudflare's.
            pause_s = 0.0 if error.response.headers.get("Via") else retry_after_s(error)
            if time.monotonic() + pause_s >= until:
                raise
        finally:
            _retry_deadline.reset(token)
        for file in files:
            file.reset(seek=True)
        await asyncio.sleep(pause_s)


def _max_wait_left_s(priority: Priority) -> float:
    until = _retry_deadline.get()
    return priority.max_wait_s if until is None else max(until - time.monotonic(), 0.0)


def _priority_of(call: ApiCall) -> Priority:
    return Priority.INITIAL_RESPONSE if call.path.startswith("/interactions/") else _priority.get()


def _read_call(method: str, path: str, headers: Any) -> ApiCall | None:
    """Describe a request as a call; None where it is not to Discord's REST API."""
    base = _base_path()
    if not path.startswith(base):
        return None
    return ApiCall(method, path[len(base) :], "Authorization" in headers)


def _base_path() -> str:
    base = discord.http.Route.BASE
    return base[base.find("/", base.find("//") + 2) :]


async def _body_retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """`retry_after` of a 429's body, which is more exact than the header."""
    try:
        found = json.loads(await response.read())
        return max(float(found["retry_after"]), 0.0)
    except (ValueError, TypeError, KeyError, UnicodeDecodeError, aiohttp.ClientError, OSError):
        return None
