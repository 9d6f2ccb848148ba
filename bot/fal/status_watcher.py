"""One job from submit to COMPLETED: over the status stream where there is one, by polling where there is none."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from bot import metrics
from bot.domain.job import FalRequest
from bot.domain.provider import CompletedStatus, InQueueStatus, Status
from bot.domain.request import Json
from bot.errors import KeyRefused, ProviderError, RequestNotFound
from bot.fal.failures import account_failure
from bot.fal.http import NETWORK_ERRORS, HttpResponse
from bot.fal.poller import PolledJob, Poller
from bot.fal.statuses import StatusReader
from bot.fal.stream import EventParser, NotAStream, polled_url, stream_url
from bot.fal.timings import Timings

log = logging.getLogger(__name__)

#: How a server says that it has no status stream. A 404 may be about the request instead; the next poll tells.
_NO_STREAM = frozenset({404, 405, 406, 410, 501})
#: Callbacks remembered for requests that nobody watches yet; more than submits can be under way at once.
_MAX_EARLY_CALLBACKS = 4096


class Cadence:
    """When to poll one job next."""

    __slots__ = ("_due_at", "_duration_s", "_interval_s", "_timings")

    def __init__(self, timings: Timings, expected_s: float, now: float) -> None:
        self._timings = timings
        self._duration_s = max(expected_s, 0.0) * (1 + timings.margin_share) + timings.margin_s
        self._due_at = now + self._duration_s
        self._interval_s = timings.poll_min_s

    def first_poll_s(self) -> float:
        """Seconds until the first poll: about when the job should be done."""
        return min(self._duration_s, self._timings.first_poll_s)

    def mark_due(self, now: float) -> None:
        """The job should be done now, whatever was expected and whatever its status still says."""
        self._due_at, self._duration_s = min(self._due_at, now), 0.0
        self._interval_s = self._timings.poll_min_s

    def next_poll_s(self, status: Status | None, now: float) -> float:
        """Seconds until the next poll, after this status.

        Long before the job should be done, then short and growing; longest far back in fal's queue.
        """
        longest_s = self._timings.poll_max_s
        if isinstance(status, InQueueStatus):
            self._due_at = max(self._due_at, now + self._duration_s)  # not started yet
            longest_s = min(longest_s * (1 + (status.position or 0) / 10), self._timings.poll_queued_max_s)
        elif now < self._due_at:
            return max(min(self._due_at - now, self._timings.first_poll_s), self._timings.poll_min_s)
        interval_s = min(self._interval_s, longest_s)
        self._interval_s = min(self._interval_s * self._timings.poll_growth, self._timings.poll_queued_max_s)
        return interval_s


@dataclass(slots=True)
class _Watch:
    """The state of one watched request."""

    request: FalRequest
    cadence: Cadence
    polled_job: PolledJob
    #: Watched by an earlier process: it may have ended long ago.
    adopted: bool = False
    reader: StatusReader = field(default_factory=StatusReader)
    last: Status | None = None
    #: Streams that broke before they were useful.
    broken: int = 0
    #: The HTTP status with which a stream was denied; the next poll tells whether stream or request is missing.
    denied: int | None = None
    #: Answers in a row that would end the job.
    ends: int = 0
    #: A callback reported its end, and the status has not been polled since.
    woken: bool = False
    #: The open stream.
    streaming: aiohttp.ClientResponse | None = None


class StatusWatcher:
    """Watches every request of this process, by stream or by polling."""

    def __init__(self, session: aiohttp.ClientSession, poller: Poller, timings: Timings, *, max_streams: int) -> None:
        self._session = session
        self._poller = poller
        self._timings = timings
        self._max_streams = max_streams
        self._streams = 0
        #: Jobs in a row whose stream was denied while their plain status worked.
        self._denied_in_a_row = 0
        self._streams_missing_until = float("-inf")
        self._next_open_at = float("-inf")
        self._openings = asyncio.Semaphore(timings.streams_opened_at_once)
        self._loop = asyncio.get_running_loop()
        self._watches: dict[str, _Watch] = {}
        #: Requests whose callback came before anybody watched them, oldest first.
        self._early_callbacks: OrderedDict[str, None] = OrderedDict()

    def wake(self, request_id: str) -> bool:
        """Poll this request at once: fal called back that it has ended. False when nobody watches it (yet)."""
        watch = self._watches.get(request_id)
        if watch is None:
            self._early_callbacks[request_id] = None
            if len(self._early_callbacks) > _MAX_EARLY_CALLBACKS:
                self._early_callbacks.popitem(last=False)
            return False
        watch.cadence.mark_due(self._loop.time())
        watch.woken = not self._poller.prioritize(str(polled_url(watch.request.status_url)))
        if watch.streaming is not None:
            self._loop.call_later(self._timings.callback_grace_s, self._leave_stream, watch, watch.streaming)
        return True

    @staticmethod
    def _leave_stream(watch: _Watch, stream: aiohttp.ClientResponse) -> None:
        """Close a stream that has not reported the end within the grace period, so that the status is polled."""
        if watch.streaming is stream:
            stream.close()

    async def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncGenerator[Status, None]:
        """Statuses of the request until it is completed, each only where it differs from the one before.

        Survives outages of any length.

        Raises:
            RequestNotFound: fal does not know the request. KeyRefused: it no longer accepts the key.
            ProviderError: it refuses the status request.
        """
        now = self._loop.time()
        watch = _Watch(
            request,
            Cadence(self._timings, expected_s, now),
            PolledJob(sys.intern(request.status_url.rpartition("/requests/")[0]), now - (age_s or 0.0)),
            adopted=age_s is not None,
        )
        self._watches[request.request_id] = watch
        if request.request_id in self._early_callbacks:
            del self._early_callbacks[request.request_id]
            watch.cadence.mark_due(self._loop.time())
            watch.woken = True
        after_s: float | None = None
        try:
            while True:
                if self._may_stream(watch):
                    async with aclosing(self._stream(watch)) as statuses:
                        async for status in statuses:
                            if isinstance(status, CompletedStatus) and not watch.adopted:
                                self._poller.record_streamed_end(watch.polled_job)
                            watch.adopted = False
                            yield status
                            if isinstance(status, CompletedStatus):
                                return
                    after_s = 0.0  # the stream broke: the job may have ended meanwhile
                status_now = await self._poll(watch, watch.cadence.first_poll_s() if after_s is None else after_s)
                if status_now is not None:
                    yield status_now
                    if isinstance(status_now, CompletedStatus):
                        return
                after_s = watch.cadence.next_poll_s(watch.last, self._loop.time())
        finally:
            if self._watches.get(request.request_id) is watch:
                del self._watches[request.request_id]

    def _may_stream(self, watch: _Watch) -> bool:
        return (
            self._streams_missing_until <= self._loop.time()
            and self._streams < self._max_streams
            and watch.broken < self._timings.stream_tries
            and watch.denied is None
            and watch.ends == 0
            and not watch.woken
            and not self._poller.circuit_breaker.active
        )

    # ------------------------------------------------------------------ the stream

    async def _stream(self, watch: _Watch) -> AsyncGenerator[Status, None]:
        """Statuses from one stream; returns when it ends, for whatever reason."""
        self._streams += 1
        opened_at, useful = self._loop.time(), False
        try:
            async with aclosing(self._events(watch)) as events:
                async for status in events:
                    useful = True
                    self._denied_in_a_row = 0
                    if status is not None:
                        yield status
        except NETWORK_ERRORS as error:
            log.debug("status stream broke", extra={"error": type(error).__name__})
        except NotAStream:
            log.debug("no usable status stream")
        finally:
            self._streams -= 1
            watch.streaming = None
        if not watch.woken and (not useful or self._loop.time() - opened_at < self._timings.stream_useful_s):
            watch.broken += 1

    async def _events(self, watch: _Watch) -> AsyncGenerator[Status | None, None]:
        """One item for each event: the new status, or None where it repeats the last one."""
        parser = EventParser()
        with closing(await self._open(stream_url(watch.request.status_url))) as response:
            self._check_stream(response, watch)
            if watch.woken:  # a callback came while it was being opened
                return
            watch.streaming = response
            quiet_since = self._loop.time()
            async for chunk in response.content.iter_any():
                for body in parser.feed(chunk):
                    quiet_since = self._loop.time()
                    yield self._new_status(watch, body, cumulative=False)
                if self._loop.time() - quiet_since > self._timings.stream_quiet_s:
                    return
            for body in parser.finish():
                yield self._new_status(watch, body, cumulative=False)

    async def _open(self, url: URL) -> aiohttp.ClientResponse:
        now = self._loop.time()
        self._next_open_at = max(now, self._next_open_at) + 1 / self._timings.streams_per_s
        if (wait_s := self._next_open_at - 1 / self._timings.streams_per_s - now) > 0:
            await asyncio.sleep(wait_s)
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=self._timings.call_s,
            sock_connect=self._timings.connect_s,
            sock_read=self._timings.stream_idle_s,
        )
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        async with self._openings:
            metrics.FAL_CALLS["stream"].inc()
            return await self._session.get(url, headers=headers, allow_redirects=False, timeout=timeout)

    def _check_stream(self, response: aiohttp.ClientResponse, watch: _Watch) -> None:
        if response.status == 200 and response.content_type == "text/event-stream":
            return
        # A proxy's 5xx says nothing about streams, but a plain 2xx at the stream's address does.
        if response.status in _NO_STREAM or 200 <= response.status < 300:
            watch.denied = response.status
        raise NotAStream

    # ------------------------------------------------------------------ polling

    async def _poll(self, watch: _Watch, after_s: float) -> Status | None:
        woken, watch.woken = watch.woken, False
        url = str(polled_url(watch.request.status_url))
        answer = await self._poller.poll(url, after_s=after_s, job=watch.polled_job, at_once=woken or watch.adopted)
        body = answer.object()
        if not answer.ok or body is None:
            self._count_end(watch, answer)
            return None
        watch.ends = 0
        if watch.denied is not None:
            self._record_denial(watch.denied)
            watch.denied, watch.broken = None, self._timings.stream_tries
        status = self._new_status(watch, body, cumulative=True)
        self._record_poll(watch, status)
        return status

    def _record_poll(self, watch: _Watch, status: Status | None) -> None:
        """Tell the poller whether the poll was a hit or a miss."""
        if isinstance(status, CompletedStatus):
            self._poller.record_polled_end(watch.polled_job, late=watch.adopted)
        else:
            self._poller.record_miss(watch.polled_job)
        watch.adopted = False

    def _record_denial(self, status: int) -> None:
        """The status works but the stream does not. A single 404 may be a request too young to be known everywhere."""
        self._denied_in_a_row += 1 if status == 404 else self._timings.stream_tries
        if self._denied_in_a_row < self._timings.stream_tries:
            return
        if self._streams_missing_until <= self._loop.time():
            log.info("fal's status stream is not offered here; jobs are polled")
        self._streams_missing_until = self._loop.time() + self._timings.stream_missing_s

    def _count_end(self, watch: _Watch, answer: HttpResponse) -> None:
        """An unknown request or a refused key ends the watch only when answered several times in a row."""
        watch.ends += 1
        if watch.ends < self._timings.end_confirmations:
            return
        status = answer.status
        log.warning("fal ended a watch", extra={"request": watch.request.request_id, "status": status})
        if status in (401, 403):
            raise account_failure(answer) or KeyRefused()
        raise RequestNotFound if status in (404, 410) else ProviderError

    @staticmethod
    def _new_status(watch: _Watch, body: Mapping[str, Json], *, cumulative: bool) -> Status | None:
        status = watch.reader.read(body, cumulative=cumulative)
        if status is not None:
            watch.last = status
        return status
