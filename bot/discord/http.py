"""discord.py's calls: held back while Discord asks for it, repeated where it said no for a moment, and counted.

discord.py 2.7.1 repeats a 429 five times and then gives up; one that comes from Cloudflare instead of Discord (no `Via`
header) it gives up at once. A 429 was not carried out, so it may always be repeated. Here that is done once for all:
first answers, presses, autocompletes, edits, results, deletes, the login and the commands.

Three places, all of them options that discord.py offers, but for the two `request` methods:

- the connector holds a request back until `bot.discord.rate_limits` lets it go, also after it has waited for a
  connection;
- a trace hears every answer;
- `HTTPClient.request` and `AsyncWebhookAdapter.request` are asked again after a 429.
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

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

log = logging.getLogger(__name__)

#: Connections to Discord. Deliveries use at most a part (see cogs.delivery), so that first answers always find one.
MAX_CONNECTIONS = 96
#: Between two log lines about rate limits.
LOG_EVERY_S = 10.0

_urgency: ContextVar[Priority] = ContextVar("priority", default=Priority.USUAL)
#: Until when (monotonic seconds) it makes sense to repeat a call.
_until: ContextVar[float | None] = ContextVar("until", default=None)
#: After this (monotonic seconds) it must not leave any more.
_welcome_until: ContextVar[float] = ContextVar("welcome_until", default=math.inf)


class HeldBack(discord.RateLimited):
    """Nothing at all is to be sent to Discord, for longer than this call is worth; another way would wait as long."""


class DeadlineExceeded(discord.DiscordException):
    """The call would have left after the time at which it was still welcome."""


@contextmanager
def as_progress(*, until: float) -> Iterator[None]:
    """What is called in here is given up rather than waited for, and never leaves after `until` (monotonic seconds)."""
    priority, welcome = _urgency.set(Priority.PROGRESS), _welcome_until.set(until)
    try:
        yield
    finally:
        _urgency.reset(priority)
        _welcome_until.reset(welcome)


def is_rate_limit(error: BaseException | None) -> bool:
    """Whether a call failed because Discord wants to be asked later."""
    if isinstance(error, discord.GatewayNotFound):
        return is_rate_limit(error.__cause__)
    return isinstance(error, discord.RateLimited) or (isinstance(error, discord.HTTPException) and error.status == 429)


def retry_after_s(error: BaseException) -> float:
    """How long a failed call is to wait; 0 where nothing was said."""
    if isinstance(error, discord.RateLimited):
        return error.retry_after
    if isinstance(error, discord.HTTPException) and error.status == 429:
        return rate_limits.seconds(error.response.headers.get("Retry-After"))
    return 0.0


class Throttle:
    """How one client's calls go out."""

    def __init__(self) -> None:
        self.limits = RateLimits()
        self._logged_at = 0.0
        #: Each task has one call under way at most.
        self._under_way: dict[asyncio.Task[Any] | None, Priority] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._turns = itertools.count()

    def connector(self) -> aiohttp.TCPConnector:
        """For `discord.Client(connector=…)`."""
        return ThrottledConnector(self, limit=MAX_CONNECTIONS, keepalive_timeout=30)

    def trace(self) -> aiohttp.TraceConfig:
        """For `discord.Client(http_trace=…)`."""
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._answered)
        trace.on_request_exception.append(self._failed)
        return trace

    def install(self, http: discord.http.HTTPClient) -> None:
        """Let this client's calls, and those by webhook and interaction, be asked again after a 429."""
        request = http.request

        async def patient(route: discord.http.Route, **options: Any) -> Any:
            return await retry_429(lambda: request(route, **options), _urgency.get(), options.get("files") or ())

        http.request = patient  # type: ignore[method-assign]
        discord.webhook.async_.async_context.set(RetryingWebhookAdapter())  # type: ignore[no-untyped-call]

    # ------------------------------------------------------------------ holding back

    async def acquire(self, call: ApiCall) -> None:
        """Wait until the call may be sent.

        Raises:
            discord.RateLimited: it would take longer than the call is worth (`HeldBack`: any call).
        """
        priority = _priority_of(call)
        while (wait_s := self.limits.wait_s(call, priority)) > 0 or self._full(priority):
            if wait_s > _left_s(priority):
                self._next_please()
                raise self._too_long(call, priority, wait_s)
            if wait_s > 0:
                self._next_please()
                await asyncio.sleep(wait_s)
            else:
                await self._turn(priority)
        self.limits.record_send(priority)
        self._under_way[asyncio.current_task()] = priority

    def _full(self, priority: Priority) -> bool:
        """While Discord limits everything, few calls at once.

        First answers do not wait for others' uploads, nor those for them: however many people ask, what is painted gets
        out.
        """
        if self.limits.concurrency_window == math.inf:
            return False
        first = priority is Priority.FIRST_ANSWER
        those = (one for one in self._under_way.values() if (one is Priority.FIRST_ANSWER) is first)
        return sum(1 for _ in those) >= self.limits.concurrency_window

    async def _turn(self, priority: Priority) -> None:
        """Wait for room; the most urgent come first."""
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority.value, next(self._turns), turn))
        try:
            async with asyncio.timeout(_left_s(priority)):
                await turn
        except BaseException as error:
            if not turn.cancel():
                self._next_please()  # it was this one's turn in that very moment
            if isinstance(error, TimeoutError):
                raise HeldBack(1.0) from None
            raise

    def _next_please(self) -> None:
        """Let one who waits for room look again."""
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return

    def _finished(self) -> None:
        """The call of this task is no longer under way."""
        if self._under_way.pop(asyncio.current_task(), None) is not None:
            self._next_please()
        self._next_please()

    def release(self) -> None:
        """A call that was let out did not leave after all."""
        self._finished()

    def held(self, call: ApiCall) -> bool:
        """Whether Discord has asked to wait since the call was let out."""
        return self.limits.held_s(call, _priority_of(call)) > 0

    # ------------------------------------------------------------------ hearing

    async def _answered(self, _session: object, _context: object, params: aiohttp.TraceRequestEndParams) -> None:
        response = params.response
        call = _call(response.method, response.url.raw_path, params.headers)
        if call is None:
            return
        asked_s = await _asked_s(response) if response.status == 429 else None
        wait_s = self.limits.record_response(call, response.status, response.headers, asked_s, len(self._under_way))
        self._finished()
        if response.status != 429:
            return
        metrics.DISCORD_RATE_LIMITED.inc()
        self._log(call, response, wait_s)
        priority = _priority_of(call)
        if response.headers.get("Via") and wait_s > _left_s(priority):
            # discord.py would wait for an hour, too, and let nothing else through to this message meanwhile.
            raise self._too_long(call, priority, wait_s)

    async def _failed(self, *_: object) -> None:
        self._finished()

    def _too_long(self, call: ApiCall, priority: Priority, wait_s: float) -> discord.RateLimited:
        wide = self.limits.global_wait_s(call, priority) > _left_s(priority)
        return HeldBack(wait_s) if wide else discord.RateLimited(wait_s)

    def _log(self, call: ApiCall, response: aiohttp.ClientResponse, wait_s: float) -> None:
        """Not each of them: there may be hundreds."""
        if time.monotonic() - self._logged_at < LOG_EVERY_S:
            return
        self._logged_at = time.monotonic()
        scope = response.headers.get("X-RateLimit-Scope", "") if response.headers.get("Via") else "cloudflare"
        log.warning(
            "Discord limits us",
            extra={"scope": scope, "method": call.method, "wait_s": wait_s, "refused_in_10_min": self.limits.refused},
        )


class ThrottledConnector(aiohttp.TCPConnector):
    """Gives a connection to those only who may call."""

    def __init__(self, calls: Throttle, **options: Any) -> None:
        super().__init__(**options)
        self._calls = calls

    async def connect(
        self,
        req: Any,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        """As aiohttp's; what is no call of Discord's REST API (the gateway, pictures) passes.

        Raises:
            discord.RateLimited: see `Throttle.let_out`.
            TooLate: see `as_progress`.
        """
        call = _call(req.method, req.url.raw_path, req.headers)
        if call is None:
            return await super().connect(req, traces, timeout)
        while True:
            await self._calls.acquire(call)
            connection = await super().connect(req, traces, timeout)
            late = time.monotonic() > _welcome_until.get()
            if not late and not self._calls.held(call):
                return connection
            connection.release()
            self._calls.release()
            if late:
                raise DeadlineExceeded


class RetryingWebhookAdapter(AsyncWebhookAdapter):
    """Calls by the token of an interaction or a webhook."""

    async def request(
        self, route: Any, session: aiohttp.ClientSession, *, files: Sequence[discord.File] | None = None, **options: Any
    ) -> Any:
        """As discord.py's, asked again after a 429."""
        priority = Priority.FIRST_ANSWER if "/interactions/" in route.url else _urgency.get()
        request = super().request
        return await retry_429(lambda: request(route, session, files=files, **options), priority, files or ())


async def retry_429(attempt: Callable[[], Awaitable[Any]], priority: Priority, files: Sequence[discord.File]) -> Any:
    """Try again after a 429, as long as the call is worth it.

    Raises:
        discord.HTTPException: any other, or the last 429.
        discord.RateLimited: it would take too long.
    """
    until = time.monotonic() + priority.patience_s
    while True:
        token = _until.set(until)
        try:
            return await attempt()
        except discord.HTTPException as error:
            if error.status != 429:
                raise
            # Of Discord's own, discord.py has waited out the last one already; of Cloudflare's, nothing.
            pause_s = 0.0 if error.response.headers.get("Via") else retry_after_s(error)
            if time.monotonic() + pause_s >= until:
                raise
        finally:
            _until.reset(token)
        for file in files:
            file.reset(seek=True)
        await asyncio.sleep(pause_s)


def _left_s(priority: Priority) -> float:
    until = _until.get()
    return priority.patience_s if until is None else max(until - time.monotonic(), 0.0)


def _priority_of(call: ApiCall) -> Priority:
    return Priority.FIRST_ANSWER if call.path.startswith("/interactions/") else _urgency.get()


def _call(method: str, path: str, headers: Any) -> ApiCall | None:
    """None for what is not Discord's REST API."""
    base = _base_path()
    if not path.startswith(base):
        return None
    return ApiCall(method, path[len(base) :], "Authorization" in headers)


def _base_path() -> str:
    base = discord.http.Route.BASE
    return base[base.find("/", base.find("//") + 2) :]


async def _asked_s(response: aiohttp.ClientResponse) -> float | None:
    """What the body asks for, which is more exact than the header."""
    try:
        found = json.loads(await response.read())
        return max(float(found["retry_after"]), 0.0)
    except (ValueError, TypeError, KeyError, UnicodeDecodeError, aiohttp.ClientError, OSError):
        return None
