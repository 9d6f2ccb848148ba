"""Reading fal's list of requests: one reading at a time for each endpoint, shared by all who wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from yarl import URL

from bot.domain.provider import FoundRequest, TruncatedList
from bot.errors import ProviderUnreachable
from bot.fal.http import HttpResponse
from bot.fal.request_list import read_page
from bot.fal.timings import Timings

log = logging.getLogger(__name__)

PAGE_REQUESTS = 100
#: A page with all its payloads; ours hold links, not pictures.
PAGE_BYTES = 8 * 1024 * 1024
#: Limits of one reading; beyond them it is known to be incomplete.
MAX_PAGES = 200
MAX_BYTES = 64 * 1024 * 1024

_FAR_PAST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _ReadList:
    """The outcome of one reading."""

    found: tuple[FoundRequest, ...]
    complete: bool


@dataclass(slots=True)
class _Reading:
    """The next reading of one endpoint, and the time it must cover."""

    since: datetime
    until: datetime
    task: asyncio.Task[_ReadList | None] | None = None


class RequestLookup:
    """Finds requests by endpoint and time.

    Many unconfirmed submits ask for the same list at once: all who ask while one reading is under way share the next.

    Args:
        get: one GET with our key, up to a number of bytes; raises ProviderUnreachable without an answer.
        api: base URL of the platform API; None where it must not be asked.
    """

    def __init__(self, get: Callable[[str, int], Awaitable[HttpResponse]], api: str | None, timings: Timings) -> None:
        self._get = get
        self._api = api
        self._timings = timings
        self._loop = asyncio.get_running_loop()
        self._readings = asyncio.Semaphore(2)
        self._next: dict[str, _Reading] = {}
        self._under_way: set[asyncio.Task[_ReadList | None]] = set()
        self._read_at: dict[str, float] = {}
        self._endpoint_locks: dict[str, asyncio.Lock] = {}
        self._refused_until = float("-inf")
        self._not_before = float("-inf")

    async def find(self, endpoint: str, *, since: datetime, until: datetime) -> list[FoundRequest] | None:
        """Requests sent in that time, oldest first; None where this key may not read the list.

        Raises:
            ProviderUnreachable: no usable answer; ask again later.
            TruncatedList: the list is longer than one reading.
        """
        if self._api is None or self._loop.time() < self._refused_until:
            return None
        reading = self._next.get(endpoint)
        if reading is None:
            reading = self._next[endpoint] = _Reading(since, until)
            reading.task = self._loop.create_task(self._read(endpoint, reading), name="fal-list")
            self._under_way.add(reading.task)
            reading.task.add_done_callback(self._reading_done)
        reading.since, reading.until = min(since, reading.since), max(until, reading.until)
        assert reading.task is not None
        listed = await asyncio.shield(reading.task)
        if listed is None:
            return None
        found = [one for one in listed.found if one.created_at is None or since <= one.created_at < until]
        if not listed.complete:
            raise TruncatedList(found)
        return found

    async def close(self) -> None:
        """Cancel readings under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _reading_done(self, task: asyncio.Task[_ReadList | None]) -> None:
        self._under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ProviderUnreachable):  # its callers may all have left
            log.error("reading fal's list of requests broke", exc_info=error)

    async def _read(self, endpoint: str, reading: _Reading) -> _ReadList | None:
        async with self._endpoint_locks.setdefault(endpoint, asyncio.Lock()):
            earliest = max(self._read_at.get(endpoint, float("-inf")) + self._timings.list_pause_s, self._not_before)
            if (pause_s := earliest - self._loop.time()) > 0:
                await asyncio.sleep(pause_s)
            async with self._readings:
                del self._next[endpoint]  # later callers wait for another reading
                try:
                    return await self._pages(endpoint, reading)
                except ProviderUnreachable as error:
                    self._not_before = max(self._not_before, self._loop.time() + (error.retry_after_s or 0.0))
                    raise
                finally:
                    self._read_at[endpoint] = self._loop.time()

    async def _pages(self, endpoint: str, reading: _Reading) -> _ReadList | None:
        found: dict[str, FoundRequest] = {}
        cursor: str | None = None
        cursors: set[str] = set()
        size_bytes = 0
        for _ in range(MAX_PAGES):
            answer = await self._get(self._url(endpoint, reading, cursor), PAGE_BYTES)
            if not answer.ok:
                self._record_refusal(endpoint, answer)
                return None
            if answer.truncated:
                raise ProviderUnreachable("fal.ai's list of requests was cut off.")
            try:
                page = await asyncio.to_thread(read_page, answer.body, endpoint)
            except ValueError as error:
                raise ProviderUnreachable("fal.ai's list of requests could not be read.") from error
            for one in page.found:
                if one.endpoint == endpoint:
                    found.setdefault(one.request_id, one)
            size_bytes += len(answer.body)
            cursor = page.cursor
            if cursor is None or cursor in cursors or size_bytes > MAX_BYTES:
                break
            cursors.add(cursor)
        if cursor is not None:
            log.warning("fal's list of requests is longer than is read", extra={"endpoint": endpoint})
        return _ReadList(tuple(sorted(found.values(), key=lambda one: one.created_at or _FAR_PAST)), cursor is None)

    def _record_refusal(self, endpoint: str, answer: HttpResponse) -> None:
        """Log a definite refusal. Raises ProviderUnreachable where the answer is not definite."""
        if answer.status in (408, 425, 429) or answer.status >= 500 or answer.status < 400:
            raise ProviderUnreachable(
                f"fal.ai's list of requests was not given ({answer.status}).",
                answer.retry_after_s(self._timings.retry_after_max_s),
            )
        fields = {"endpoint": endpoint, "status": answer.status}
        if answer.status in (401, 403, 404):
            self._refused_until = self._loop.time() + self._timings.list_refused_s
            log.warning(
                "fal does not show this key its list of requests; unconfirmed submits can't be looked up", extra=fields
            )
        else:
            log.warning("fal's list of requests refuses the query", extra=fields)

    def _url(self, endpoint: str, reading: _Reading, cursor: str | None) -> str:
        query = {
            "endpoint_id": endpoint,
            "start": _iso(reading.since),
            "end": _iso(reading.until),
            "expand": "payloads",
            "limit": str(PAGE_REQUESTS),
        }
        if cursor is not None:
            query["cursor"] = cursor
        return str(URL(f"{self._api}/v1/models/requests/by-endpoint").with_query(query))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
