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
from bot.fal.http import NETWORK_ERRORS
from bot.fal.poller import JobClass, Poller
from bot.fal.statuses import StatusReader
from bot.fal.stream import EventParser, NotAStream, polled_url, stream_url
from bot.fal.timings import Timings

log = logging.getLogger(__name__)

#: How a server says that it has no status stream. A 404 may also mean the request; the next poll tells.
_NO_STREAM = frozenset({404, 405, 406, 410, 501})
#: Callbacks that overtook the answer to the submit; more than can be under way at once.
_HEARD_EARLY = 4096


class Cadence:
    """When to look next at one polled job."""

    __slots__ = ("_due_at", "_interval_s", "_takes_s", "_timings")

    def __init__(self, pace: Timings, expected_s: float, now: float) -> None:
        self._timings = pace
        self._takes_s = max(expected_s, 0.0) * (1 + pace.margin_share) + pace.margin_s
        self._due_at = now + self._takes_s
        self._interval_s = pace.poll_min_s

    def first_s(self) -> float:
        """Seconds until the first look: about when the job should be done."""
        return min(self._takes_s, self._timings.first_poll_s)

    def due(self, now: float) -> None:
        """The job should be done now, whatever was expected and whatever its status says for the moment."""
        self._due_at, self._takes_s = min(self._due_at, now), 0.0
        self._interval_s = self._timings.poll_min_s

    def next_s(self, status: Status | None, now: float) -> float:
        """Seconds until the next look, after this status.

        Seldom before the job should be done, then soon, then ever less often; far back in the queue least often.
        """
        longest_s = self._timings.poll_max_s
        if isinstance(status, InQueueStatus):
            self._due_at = max(self._due_at, now + self._takes_s)  # it has not even begun
            longest_s = min(longest_s * (1 + (status.position or 0) / 10), self._timings.poll_queued_max_s)
        elif now < self._due_at:
            return max(min(self._due_at - now, self._timings.first_poll_s), self._timings.poll_min_s)
        interval_s = min(self._interval_s, longest_s)
        self._interval_s = min(self._interval_s * self._timings.poll_growth, self._timings.poll_queued_max_s)
        return interval_s


@dataclass(slots=True)
class _Watch:
    """What is known about one watched request."""

    request: FalRequest
    cadence: Cadence
    kind: JobClass
    #: An earlier process has watched it: it may have ended long ago.
    left_over: bool = False
    reader: StatusReader = field(default_factory=StatusReader)
    last: Status | None = None
    #: Streams that broke before they were of use.
    broken: int = 0
    #: The status with which a stream was denied; the next poll tells whether the stream or the request is missing.
    denied: int | None = None
    #: Answers in a row that would end the job.
    ends: int = 0
    #: A callback told of its end, and the status has not been asked for since.
    woken: bool = False
    #: The open stream.
    streaming: aiohttp.ClientResponse | None = None


class StatusWatcher:
    """All jobs under way in this process."""

    def __init__(self, session: aiohttp.ClientSession, poller: Poller, pace: Timings, *, max_streams: int) -> None:
        self._session = session
        self._poller = poller
        self._timings = pace
        self._max_streams = max_streams
        self._streams = 0
        #: Jobs in a row to which a stream was denied while their plain status worked.
        self._denials = 0
        self._missing_until = float("-inf")
        self._next_opening = float("-inf")
        self._openings = asyncio.Semaphore(pace.streams_opened_at_once)
        self._loop = asyncio.get_running_loop()
        self._watches: dict[str, _Watch] = {}
        #: Requests heard of before anybody watched them.
        self._notified: OrderedDict[str, None] = OrderedDict()

    def wake(self, request_id: str) -> bool:
        """Look at this request at once: fal says that it has ended. False when nobody watches it (yet)."""
        watch = self._watches.get(request_id)
        if watch is None:
            self._notified[request_id] = None
            if len(self._notified) > _HEARD_EARLY:
                self._notified.popitem(last=False)
            return False
        watch.cadence.due(self._loop.time())
        watch.woken = not self._poller.prioritize(str(polled_url(watch.request.status_url)))
        if watch.streaming is not None:
            self._loop.call_later(self._timings.callback_grace_s, self._leave_stream, watch, watch.streaming)
        return True

    @staticmethod
    def _leave_stream(watch: _Watch, stream: aiohttp.ClientResponse) -> None:
        """The stream has not told what the callback told: end it, so that the status is asked for."""
        if watch.streaming is stream:
            stream.close()

    async def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncGenerator[Status, None]:
        """What happens to the request until it is completed; nothing is said twice.

        Survives outages of any length. Raises RequestUnknown when fal does not know the request, KeyRefused when it no
        longer takes the key, FalBroken when it does not take the question.
        """
        now = self._loop.time()
        watch = _Watch(
            request,
            Cadence(self._timings, expected_s, now),
            JobClass(sys.intern(request.status_url.rpartition("/requests/")[0]), now - (age_s or 0.0)),
            left_over=age_s is not None,
        )
        self._watches[request.request_id] = watch
        if request.request_id in self._notified:
            del self._notified[request.request_id]
            watch.cadence.due(self._loop.time())
            watch.woken = True
        after_s: float | None = None
        try:
            while True:
                if self._may_stream(watch):
                    async with aclosing(self._stream(watch)) as statuses:
                        async for status in statuses:
                            if isinstance(status, CompletedStatus) and not watch.left_over:
                                self._poller.record_streamed_end(watch.kind)
                            watch.left_over = False
                            yield status
                            if isinstance(status, CompletedStatus):
                                return
                    after_s = 0.0  # it broke: has the job ended meanwhile?
                status_now = await self._poll(watch, watch.cadence.first_s() if after_s is None else after_s)
                if status_now is not None:
                    yield status_now
                    if isinstance(status_now, CompletedStatus):
                        return
                after_s = watch.cadence.next_s(watch.last, self._loop.time())
        finally:
            if self._watches.get(request.request_id) is watch:
                del self._watches[request.request_id]

    def _may_stream(self, watch: _Watch) -> bool:
        return (
            self._missing_until <= self._loop.time()
            and self._streams < self._max_streams
            and watch.broken < self._timings.stream_tries
            and watch.denied is None
            and watch.ends == 0
            and not watch.woken
            and not self._poller.circuit_breaker.active
        )

    # ------------------------------------------------------------------ the stream

    async def _stream(self, watch: _Watch) -> AsyncGenerator[Status, None]:
        """Statuses from one stream; ends when it ends, however it ends."""
        self._streams += 1
        opened_at, told = self._loop.time(), False
        try:
            async with aclosing(self._events(watch)) as events:
                async for status in events:
                    told = True
                    self._denials = 0
                    if status is not None:
                        yield status
        except NETWORK_ERRORS as error:
            log.debug("status stream broke", extra={"error": type(error).__name__})
        except NotAStream:
            log.debug("no usable status stream")
        finally:
            self._streams -= 1
            watch.streaming = None
        if not watch.woken and (not told or self._loop.time() - opened_at < self._timings.stream_fair_s):
            watch.broken += 1

    async def _events(self, watch: _Watch) -> AsyncGenerator[Status | None, None]:
        """One item for each event: its news, or None when it repeats what is known."""
        parser = EventParser()
        with closing(await self._open(stream_url(watch.request.status_url))) as response:
            self._check_stream(response, watch)
            if watch.woken:  # while it was being opened
                return
            watch.streaming = response
            quiet_since = self._loop.time()
            async for chunk in response.content.iter_any():
                for body in parser.feed(chunk):
                    quiet_since = self._loop.time()
                    yield self._news(watch, body, cumulative=False)
                if self._loop.time() - quiet_since > self._timings.stream_quiet_s:
                    return
            for body in parser.finish():
                yield self._news(watch, body, cumulative=False)

    async def _open(self, url: URL) -> aiohttp.ClientResponse:
        now = self._loop.time()
        self._next_opening = max(now, self._next_opening) + 1 / self._timings.streams_per_s
        if (wait_s := self._next_opening - 1 / self._timings.streams_per_s - now) > 0:
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
        # A proxy's error page says nothing about streams, but a plain answer to the stream's address does.
        if response.status in _NO_STREAM or 200 <= response.status < 300:
            watch.denied = response.status
        raise NotAStream

    # ------------------------------------------------------------------ polling

    async def _poll(self, watch: _Watch, after_s: float) -> Status | None:
        woken, watch.woken = watch.woken, False
        url = str(polled_url(watch.request.status_url))
        answer = await self._poller.ask(url, after_s=after_s, kind=watch.kind, at_once=woken or watch.left_over)
        body = answer.object()
        if not answer.ok or body is None:
            self._count_end(watch, answer.status)
            return None
        watch.ends = 0
        if watch.denied is not None:
            self._note_denial(watch.denied)
            watch.denied, watch.broken = None, self._timings.stream_tries
        status = self._news(watch, body, cumulative=True)
        self._note_look(watch, status)
        return status

    def _note_look(self, watch: _Watch, status: Status | None) -> None:
        """The poller learns from what its looks are good for."""
        if isinstance(status, CompletedStatus):
            self._poller.record_polled_end(watch.kind, late=watch.left_over)
        else:
            self._poller.record_miss(watch.kind)
        watch.left_over = False

    def _note_denial(self, status: int) -> None:
        """There is no stream, but there is a status. One 404 may be a request too young to be known everywhere."""
        self._denials += 1 if status == 404 else self._timings.stream_tries
        if self._denials < self._timings.stream_tries:
            return
        if self._missing_until <= self._loop.time():
            log.info("fal's status stream is not offered here; jobs are polled")
        self._missing_until = self._loop.time() + self._timings.stream_missing_s

    def _count_end(self, watch: _Watch, status: int) -> None:
        """An unknown request or a refused key ends the job only when heard several times."""
        watch.ends += 1
        if watch.ends < self._timings.believe_after:
            return
        log.warning("fal ended a watch", extra={"request": watch.request.request_id, "status": status})
        if status in (401, 403):
            raise KeyRefused
        raise RequestNotFound if status in (404, 410) else ProviderError

    @staticmethod
    def _news(watch: _Watch, body: Mapping[str, Json], *, cumulative: bool) -> Status | None:
        status = watch.reader.news(body, cumulative=cumulative)
        if status is not None:
            watch.last = status
        return status
