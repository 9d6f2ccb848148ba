"""One scheduler for every polled job: due times in a heap, few requests at once, and one view of an outage.

A look that finds a job ended is one that every job needs; looks in vain are what makes polling expensive. So those come
out of one purse for all jobs. While it is empty, a job is looked at when others of its kind have ended of late, and no
sooner: with 20,000 jobs under way nearly every look then finds an end.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from bot.errors import ProviderUnreachable
from bot.fal.http import HttpResponse
from bot.fal.timings import Timings

log = logging.getLogger(__name__)

#: Before everything that is due.
_FIRST = float("-inf")
#: Tickets put off in one go; the event loop turns in between.
_PUT_OFF_AT_ONCE = 200
_BREATH_S = 0.005
_CATCH_UP_S = 0.02
#: Looks that may be owed to the purse while they probably find an end.
_CREDIT = 32.0
#: How far one end told by a stream, or one look, moves what is known of a kind. A look in vain weighs nine times as
#: much as one that found an end, so that about nine of ten first looks find one.
_HEARD, _VAIN, _FOUND = 0.1, 0.018, 0.002
#: What has become this much sooner than it was is put in order again.
_MUCH_SOONER = 0.8


class CircuitBreaker:
    """Whether fal answers at all, shared by everything that is polled.

    The first useless answer holds all polls back for a moment and lets only one through at a time; each further one
    doubles the pause, and the first useful one ends it. So a thousand jobs cost one request every few seconds.
    """

    def __init__(self, pace: Timings, jitter: Callable[[], float] = random.random) -> None:
        self._timings = pace
        self._jitter = jitter
        self._failures = 0
        self._stepped_at = float("-inf")
        self.not_before = float("-inf")

    @property
    def active(self) -> bool:
        """Whether the last thing heard was useless."""
        return self._failures > 0

    def failed(self, *, asked_at: float, now: float, retry_after_s: float | None) -> None:
        """A request sent at `asked_at` got no useful answer. Those sent before the last pause began are old news."""
        if retry_after_s is not None:
            self.not_before = max(self.not_before, now + retry_after_s)
        if asked_at < self._stepped_at:
            return
        self._failures += 1
        self._stepped_at = now
        pause_s = min(self._timings.outage_min_s * 2 ** min(self._failures - 1, 20), self._timings.outage_max_s)
        self.not_before = max(self.not_before, now + pause_s * (0.75 + 0.5 * self._jitter()))
        if self._failures == 3:
            log.warning("fal does not answer status requests; asking rarely until it does")

    def ended(self) -> None:
        """A useful answer came."""
        if self._failures >= 3:
            log.info("fal answers again")
        self._failures = 0
        self.not_before = float("-inf")


class PollBudget:
    """Looks that may be in vain; filled at a rate that falls when very many jobs share it."""

    def __init__(self, pace: Timings, now: float) -> None:
        self._timings = pace
        self._looks = pace.misses_saved
        self._at = now

    def take(self) -> None:
        """One look leaves; it comes back when it found an end."""
        self._looks -= 1

    def give_back(self) -> None:
        """One look was not in vain."""
        self._looks += 1

    def wait_s(self, now: float, least: float, polled: int) -> float:
        """Seconds until more than `least` looks are in it."""
        rate = self._timings.misses_per_s * min(1.0, self._timings.unbudgeted_polls / max(polled, 1))
        self._looks = min(self._looks + (now - self._at) * rate, self._timings.misses_saved)
        self._at = now
        return max(least - self._looks, 0.0) / rate


@dataclass(slots=True)
class JobClass:
    """What is known of a polled job: those of one kind take about as long."""

    name: str
    #: Loop time at which fal got the job.
    since: float
    #: Whether it was looked at although it should have ended.
    overdue: bool = False
    #: Whether its last look came out of the purse.
    paid: bool = False


class DurationEstimator:
    """How long jobs of each kind take of late, between fal's getting them and their end being known."""

    def __init__(self) -> None:
        self._takes_s: dict[str, float] = {}
        #: The longest that was told since `is_much_sooner` said so.
        self._longest_s: dict[str, float] = {}

    def end_of(self, kind: JobClass) -> float | None:
        """When the job should have ended; None where nothing is known."""
        takes_s = self._takes_s.get(kind.name)
        if takes_s is None:
            return None
        self._longest_s[kind.name] = max(takes_s, self._longest_s.get(kind.name, 0.0))
        return kind.since + takes_s

    def record_streamed_end(self, kind: JobClass, now: float) -> None:
        """Told in the moment of the end."""
        took_s = now - kind.since
        known_s = self._takes_s.get(kind.name, took_s)
        self._takes_s[kind.name] = known_s + (took_s - known_s) * _HEARD

    def record_polled_end(self, kind: JobClass, now: float) -> None:
        """A look found it, maybe long after."""
        took_s = now - kind.since
        self._takes_s[kind.name] = min(self._takes_s.get(kind.name, took_s), took_s) * (1 - _FOUND)

    def record_miss(self, kind: JobClass, now: float) -> None:
        """It has not ended yet."""
        known_s, age_s = self._takes_s.get(kind.name), now - kind.since
        if known_s is not None and age_s >= known_s and not kind.overdue:
            kind.overdue = True
            self._takes_s[kind.name] = max(known_s, min(known_s * (1 + _VAIN), age_s))

    def is_much_sooner(self, kind: JobClass) -> bool:
        """Whether what `end_of` told is far too late by now; said once."""
        if self._takes_s.get(kind.name, 0.0) >= self._longest_s.get(kind.name, 0.0) * _MUCH_SOONER:
            return False
        self._longest_s.pop(kind.name, None)
        return True


@dataclass(order=True, slots=True)
class _Ticket:
    due: float
    number: int
    url: str = field(compare=False)
    answer: asyncio.Future[HttpResponse] = field(compare=False)
    kind: JobClass | None = field(default=None, compare=False)
    failures: int = field(default=0, compare=False)
    #: A ticket for the same answer that is due earlier took its place.
    replaced: bool = field(default=False, compare=False)


class Poller:
    """Asks for statuses when they are due.

    Args:
        look: one GET; raises FalUnreachable where the answer is of no use.
    """

    def __init__(
        self,
        look: Callable[[str], Awaitable[HttpResponse]],
        pace: Timings,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._look = look
        self._timings = pace
        self._jitter = jitter
        self.circuit_breaker = CircuitBreaker(pace, jitter)
        self._loop = asyncio.get_running_loop()
        self._heap: list[_Ticket] = []
        #: The tickets in the heap, by address.
        self._held: dict[str, _Ticket] = {}
        self._numbers = count()
        self._asking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next_free = float("-inf")
        self._closed = False
        self._budget = PollBudget(pace, self._loop.time())
        self._durations = DurationEstimator()

    async def ask(
        self, url: str, *, after_s: float, kind: JobClass | None = None, at_once: bool = False
    ) -> HttpResponse:
        """The first useful answer to a GET of `url`, asked for in `after_s` seconds at the earliest.

        Useless ones (no connection, 429, 5xx, HTML) are asked for again as long as it takes.

        Args:
            kind: what tells how long it takes; without it the look never waits for the purse. Say what became of each
                (`found_end`, `record_miss`).
            at_once: before all others.
        """
        if self._closed:
            raise RuntimeError("the poller is closed")
        due = _FIRST if at_once else self._loop.time() + after_s
        ticket = _Ticket(due, next(self._numbers), url, self._loop.create_future(), kind)
        self._put(ticket)
        return await ticket.answer

    def record_streamed_end(self, kind: JobClass) -> None:
        """A job has ended in this moment, and was not looked at for it."""
        self._durations.record_streamed_end(kind, self._loop.time())
        self._learned(kind)

    def record_polled_end(self, kind: JobClass, *, late: bool = False) -> None:
        """The look found the end of the job; `late`: of one that may have ended long ago."""
        if kind.paid:
            self._budget.give_back()
        if not late:
            self._durations.record_polled_end(kind, self._loop.time())
            self._learned(kind)

    def record_miss(self, kind: JobClass) -> None:
        """The look told that the job goes on."""
        self._durations.record_miss(kind, self._loop.time())

    def _learned(self, kind: JobClass) -> None:
        if not self._durations.is_much_sooner(kind):
            return
        for ticket in self._heap:
            if ticket.kind is not None and ticket.kind.name == kind.name:
                ticket.due = min(ticket.due, self._durations.end_of(ticket.kind) or ticket.due)
        heapq.heapify(self._heap)
        self._pump()

    def prioritize(self, url: str) -> bool:
        """Ask for this URL as soon as possible; False when nobody waits for its turn (it may be being asked)."""
        held = self._held.get(url)
        if held is None or held.answer.done():
            return False
        held.replaced = True
        self._put(_Ticket(_FIRST, next(self._numbers), url, held.answer, held.kind, held.failures))
        return True

    async def close(self) -> None:
        """Give up everything that is waiting."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        for ticket in self._heap:
            ticket.answer.cancel()
        self._heap.clear()
        self._held.clear()

    def _put(self, ticket: _Ticket) -> None:
        self._hold(ticket)
        self._pump()

    def _hold(self, ticket: _Ticket) -> None:
        heapq.heappush(self._heap, ticket)
        self._held[ticket.url] = ticket

    def _take(self) -> _Ticket:
        ticket = heapq.heappop(self._heap)
        if self._held.get(ticket.url) is ticket:
            del self._held[ticket.url]
        return ticket

    def _pump(self) -> None:
        """Start what is due and may start; wake up for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_once = 1 if self.circuit_breaker.active else self._timings.polls_at_once
        put_off = 0
        while self._heap and len(self._asking) < at_once and not self._closed:
            head = self._heap[0]
            if head.answer.done() or head.replaced:  # its watcher went away
                self._take()
                continue
            now = self._loop.time()
            start_at = max(head.due, self._next_free, self.circuit_breaker.not_before)
            if start_at <= now and head.due != _FIRST and head.kind is not None:
                start_at, ends_at = self._affordable_at(head.kind, now)
                if ends_at > now and put_off < _PUT_OFF_AT_ONCE:
                    put_off += 1
                    head.due = ends_at
                    heapq.heapreplace(self._heap, head)
                    continue
            if start_at > now:
                self._timer = self._loop.call_at(start_at, self._pump)
                return
            # Timers are too coarse for single looks at this rate: what they were late by is caught up.
            self._next_free = max(self._next_free, now - _CATCH_UP_S) + 1 / self._timings.polls_per_s
            if head.kind is not None:
                head.kind.paid = head.due != _FIRST
                if head.kind.paid:
                    self._budget.take()
            task = self._loop.create_task(self._ask(self._take()), name="fal-poll")
            self._asking.add(task)
            task.add_done_callback(self._asked)

    def _affordable_at(self, kind: JobClass, now: float) -> tuple[float, float]:
        """When a look that is due may start, and, where it has to wait, when the job should have ended (else 0)."""
        polled = len(self._heap)
        wait_s = self._budget.wait_s(now, 1.0, polled)
        if wait_s == 0:
            return now, 0.0
        ends_at = self._durations.end_of(kind)
        if ends_at is None:
            return now + wait_s, 0.0
        if ends_at > now:
            return now + _BREATH_S, ends_at
        return now + self._budget.wait_s(now, -_CREDIT, polled), 0.0

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("polling broke", exc_info=error)
        self._pump()

    async def _ask(self, ticket: _Ticket) -> None:
        asked_at = self._loop.time()
        try:
            answer = await self._look(ticket.url)
        except ProviderUnreachable as error:
            now = self._loop.time()
            self.circuit_breaker.failed(asked_at=asked_at, now=now, retry_after_s=error.retry_after_s)
            if ticket.kind is not None and ticket.kind.paid:
                self._budget.give_back()
            ticket.failures += 1
            pause_s = min(self._timings.outage_min_s * 2 ** min(ticket.failures, 20), self._timings.outage_max_s)
            ticket.due = now + max(pause_s * (0.5 + 0.5 * self._jitter()), error.retry_after_s or 0.0)
            self._hold(ticket)  # pumped when this task is done
        except asyncio.CancelledError:  # closed while asking: nobody waits for ever
            ticket.answer.cancel()
            raise
        except Exception as error:
            if not ticket.answer.done():
                ticket.answer.set_exception(error)
        else:
            self.circuit_breaker.ended()
            if not ticket.answer.done():
                ticket.answer.set_result(answer)
