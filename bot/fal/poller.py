"""One scheduler for every polled job: due times in a heap, few requests at once, one circuit breaker for all.

A poll that finds a job ended (a hit) is one that every job needs anyway; polls that find it still under way (misses)
are what makes polling expensive. So misses are paid for out of one token bucket for all jobs. While it is empty, a job
is polled only when jobs of its class should have ended by now, judged by those that ended recently: with 20,000 jobs
under way nearly every poll then is a hit.
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

#: The due time of what is polled before everything else.
_FIRST = float("-inf")
#: Most tickets postponed in one go, and the pause after them in which the event loop can turn.
_MAX_POSTPONED = 200
_YIELD_S = 0.005
#: How much lateness of the event loop's timers is made up for by polling faster.
_CATCH_UP_S = 0.02
#: How far the budget may be overdrawn by polls that will probably be hits.
_OVERDRAFT = 32.0
#: Learning rates of the duration estimate: completion seen on a stream, poll that was too early, poll that found a
#: completion. 9:1 between the last two makes about 90 % of first polls hits.
_STREAM_RATE, _MISS_RATE, _HIT_RATE = 0.1, 0.018, 0.002
#: An estimate below this share of what tickets were scheduled by makes them be rescheduled.
_RESCHEDULE_BELOW = 0.8
#: Failures in a row after which the circuit breaker is worth a log line.
_LOGGED_FAILURES = 3


class CircuitBreaker:
    """Whether fal answers at all, shared by everything that is polled.

    The first useless answer holds all polls back for a moment and lets only one through at a time; each further one
    doubles the pause, and the first useful one ends it. So a thousand jobs cost one request every few seconds.
    """

    def __init__(self, timings: Timings, jitter: Callable[[], float] = random.random) -> None:
        self._timings = timings
        self._jitter = jitter
        self._failures = 0
        self._last_step_at = float("-inf")
        #: Loop time before which nothing is polled.
        self.not_before = float("-inf")

    @property
    def active(self) -> bool:
        """Whether the latest answer was useless."""
        return self._failures > 0

    def record_failure(self, *, sent_at: float, now: float, retry_after_s: float | None) -> None:
        """A poll sent at `sent_at` got no useful answer. Those sent before the current pause began change nothing."""
        if retry_after_s is not None:
            self.not_before = max(self.not_before, now + retry_after_s)
        if sent_at < self._last_step_at:
            return
        self._failures += 1
        self._last_step_at = now
        pause_s = min(self._timings.breaker_min_s * 2 ** min(self._failures - 1, 20), self._timings.breaker_max_s)
        self.not_before = max(self.not_before, now + pause_s * (0.75 + 0.5 * self._jitter()))
        if self._failures == _LOGGED_FAILURES:
            log.warning("fal does not answer status requests; asking rarely until it does")

    def record_success(self) -> None:
        """A useful answer came."""
        if self._failures >= _LOGGED_FAILURES:
            log.info("fal answers again")
        self._failures = 0
        self.not_before = float("-inf")


class PollBudget:
    """Token bucket for misses, filled at a rate that falls when very many jobs share it."""

    def __init__(self, timings: Timings, now: float) -> None:
        self._timings = timings
        self._tokens = timings.misses_saved
        self._filled_at = now

    def take(self) -> None:
        """Pay for one poll."""
        self._tokens -= 1

    def refund(self) -> None:
        """The poll was no miss."""
        self._tokens += 1

    def wait_s(self, now: float, least: float, polled: int) -> float:
        """Seconds until there are more than `least` tokens (negative: an overdraft), with `polled` jobs polled."""
        rate = self._timings.misses_per_s * min(1.0, self._timings.unbudgeted_polls / max(polled, 1))
        self._tokens = min(self._tokens + (now - self._filled_at) * rate, self._timings.misses_saved)
        self._filled_at = now
        return max(least - self._tokens, 0.0) / rate


@dataclass(slots=True)
class PolledJob:
    """What the poller knows of one job."""

    #: Jobs of one class (one endpoint) take about equally long.
    job_class: str
    #: Loop time at which fal got the job.
    since: float
    #: Whether it was polled although it should have ended.
    overdue: bool = False
    #: Whether its latest poll was paid for out of the budget.
    budgeted: bool = False


class DurationEstimator:
    """How long jobs of each class have taken recently, from fal's getting them until their end was known."""

    def __init__(self) -> None:
        self._estimate_s: dict[str, float] = {}
        #: The longest estimate given out since `has_dropped` last said so.
        self._longest_s: dict[str, float] = {}

    def end_of(self, job: PolledJob) -> float | None:
        """Loop time at which the job should have ended; None for a class of which nothing is known."""
        estimate_s = self._estimate_s.get(job.job_class)
        if estimate_s is None:
            return None
        self._longest_s[job.job_class] = max(estimate_s, self._longest_s.get(job.job_class, 0.0))
        return job.since + estimate_s

    def record_streamed_end(self, job: PolledJob, now: float) -> None:
        """The job has ended just now."""
        took_s = now - job.since
        known_s = self._estimate_s.get(job.job_class, took_s)
        self._estimate_s[job.job_class] = known_s + (took_s - known_s) * _STREAM_RATE

    def record_hit(self, job: PolledJob, now: float) -> None:
        """A poll found the job ended, maybe long ago."""
        took_s = now - job.since
        self._estimate_s[job.job_class] = min(self._estimate_s.get(job.job_class, took_s), took_s) * (1 - _HIT_RATE)

    def record_miss(self, job: PolledJob, now: float) -> None:
        """A poll found the job still under way."""
        known_s, age_s = self._estimate_s.get(job.job_class), now - job.since
        if known_s is not None and age_s >= known_s and not job.overdue:
            job.overdue = True
            self._estimate_s[job.job_class] = max(known_s, min(known_s * (1 + _MISS_RATE), age_s))

    def has_dropped(self, job: PolledJob) -> bool:
        """Whether the estimate is far below what `end_of` has given out; True once for each drop."""
        if self._estimate_s.get(job.job_class, 0.0) >= self._longest_s.get(job.job_class, 0.0) * _RESCHEDULE_BELOW:
            return False
        self._longest_s.pop(job.job_class, None)
        return True


@dataclass(order=True, slots=True)
class _Ticket:
    due: float
    number: int
    url: str = field(compare=False)
    answer: asyncio.Future[HttpResponse] = field(compare=False)
    job: PolledJob | None = field(default=None, compare=False)
    failures: int = field(default=0, compare=False)
    #: A ticket for the same answer with an earlier due time took its place.
    replaced: bool = field(default=False, compare=False)


class Poller:
    """Asks for statuses when they are due.

    Args:
        get: one GET; raises ProviderUnreachable where the answer is useless.
    """

    def __init__(
        self,
        get: Callable[[str], Awaitable[HttpResponse]],
        timings: Timings,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._get = get
        self._timings = timings
        self._jitter = jitter
        self.circuit_breaker = CircuitBreaker(timings, jitter)
        self._loop = asyncio.get_running_loop()
        self._heap: list[_Ticket] = []
        #: The tickets in the heap, by address.
        self._tickets: dict[str, _Ticket] = {}
        self._numbers = count()
        self._polling: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        #: Loop time at which `polls_per_s` allows the next poll.
        self._next_at = float("-inf")
        self._closed = False
        #: Gets the error that ended the scheduling of polls.
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._budget = PollBudget(timings, self._loop.time())
        self._durations = DurationEstimator()

    async def poll(
        self, url: str, *, after_s: float, job: PolledJob | None = None, at_once: bool = False
    ) -> HttpResponse:
        """The first useful answer to a GET of `url`, sent in `after_s` seconds at the earliest.

        Useless ones (no connection, 429, 5xx, HTML) are asked for again as long as it takes.

        Args:
            job: what the duration estimate is about; without it the poll never waits for the budget. Report the
                outcome of each (`record_polled_end`, `record_miss`).
            at_once: before all others.
        """
        if self._closed:
            raise RuntimeError("the poller is closed")
        due = _FIRST if at_once else self._loop.time() + after_s
        ticket = _Ticket(due, next(self._numbers), url, self._loop.create_future(), job)
        self._push(ticket)
        self._pump()
        return await ticket.answer

    def record_streamed_end(self, job: PolledJob) -> None:
        """A job has ended just now, seen on its stream."""
        self._durations.record_streamed_end(job, self._loop.time())
        self._reschedule(job)

    def record_polled_end(self, job: PolledJob, *, late: bool = False) -> None:
        """The poll found the job ended; `late`: it may have ended long ago, so nothing is learned from it."""
        if job.budgeted:
            self._budget.refund()
        if not late:
            self._durations.record_hit(job, self._loop.time())
            self._reschedule(job)

    def record_miss(self, job: PolledJob) -> None:
        """The poll found the job still under way."""
        self._durations.record_miss(job, self._loop.time())

    def prioritize(self, url: str) -> bool:
        """Poll this URL as soon as possible; False where no ticket waits (its poll may be under way)."""
        waiting = self._tickets.get(url)
        if waiting is None or waiting.answer.done():
            return False
        waiting.replaced = True
        self._push(_Ticket(_FIRST, next(self._numbers), url, waiting.answer, waiting.job, waiting.failures))
        self._pump()
        return True

    async def until_broken(self) -> None:
        """Raise what ends the scheduling of polls, should that ever happen: timers start it, so nobody else would."""
        await asyncio.shield(self._broken)

    async def close(self) -> None:
        """Cancel everything that waits or is under way."""
        self._closed = True
        self._broken.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._polling:
            task.cancel()
        await asyncio.gather(*self._polling, return_exceptions=True)
        for ticket in self._heap:
            ticket.answer.cancel()
        self._heap.clear()
        self._tickets.clear()

    # ------------------------------------------------------------------ scheduling

    def _push(self, ticket: _Ticket) -> None:
        heapq.heappush(self._heap, ticket)
        self._tickets[ticket.url] = ticket

    def _pop(self) -> _Ticket:
        ticket = heapq.heappop(self._heap)
        if self._tickets.get(ticket.url) is ticket:
            del self._tickets[ticket.url]
        return ticket

    def _reschedule(self, job: PolledJob) -> None:
        """Bring the tickets of a class forward when its jobs have become much quicker."""
        if not self._durations.has_dropped(job):
            return
        for ticket in self._heap:
            if ticket.job is not None and ticket.job.job_class == job.job_class:
                ticket.due = min(ticket.due, self._durations.end_of(ticket.job) or ticket.due)
        heapq.heapify(self._heap)
        self._pump()

    def _pump(self) -> None:
        """Start every poll that is due and allowed; set the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_once = 1 if self.circuit_breaker.active else self._timings.polls_at_once
        postponed = 0
        while self._heap and len(self._polling) < at_once and not self._closed:
            head = self._heap[0]
            if head.answer.done() or head.replaced:  # its watcher has left, or an earlier ticket took over
                self._pop()
                continue
            now = self._loop.time()
            start_at = max(head.due, self._next_at, self.circuit_breaker.not_before)
            if start_at <= now and head.due != _FIRST and head.job is not None:
                start_at, ends_at = self._affordable_at(head.job, now)
                if ends_at > now and postponed < _MAX_POSTPONED:
                    postponed += 1
                    head.due = ends_at
                    heapq.heapreplace(self._heap, head)
                    continue
            if start_at > now:
                self._timer = self._loop.call_at(start_at, self._pump_or_break)
                return
            self._start(self._pop(), now)

    def _affordable_at(self, job: PolledJob, now: float) -> tuple[float, float]:
        """When a due poll may start, and, where it has to wait, when the job should have ended (else 0)."""
        polled = len(self._heap)
        wait_s = self._budget.wait_s(now, 1.0, polled)
        if wait_s == 0:
            return now, 0.0
        ends_at = self._durations.end_of(job)
        if ends_at is None:
            return now + wait_s, 0.0
        if ends_at > now:
            return now + _YIELD_S, ends_at
        return now + self._budget.wait_s(now, -_OVERDRAFT, polled), 0.0

    def _start(self, ticket: _Ticket, now: float) -> None:
        # Timers are too coarse for single polls at this rate, so their lateness is caught up on.
        self._next_at = max(self._next_at, now - _CATCH_UP_S) + 1 / self._timings.polls_per_s
        if ticket.job is not None:
            ticket.job.budgeted = ticket.due != _FIRST
            if ticket.job.budgeted:
                self._budget.take()
        task = self._loop.create_task(self._poll_once(ticket), name="fal-poll")
        self._polling.add(task)
        task.add_done_callback(self._poll_done)

    def _poll_done(self, task: asyncio.Task[None]) -> None:
        self._polling.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._break(error)
        self._pump_or_break()

    def _pump_or_break(self) -> None:
        """`_pump`, where the event loop calls it and would only log an error."""
        try:
            self._pump()
        except Exception as error:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        log.error("polling broke", exc_info=error)
        if not self._broken.done():
            self._broken.set_exception(error)
            self._broken.exception()  # retrieved: it is in the log

    async def _poll_once(self, ticket: _Ticket) -> None:
        sent_at = self._loop.time()
        try:
            answer = await self._get(ticket.url)
        except ProviderUnreachable as error:
            self._put_back(ticket, sent_at, error)  # pumped when this task is done
        except asyncio.CancelledError:  # closed: nobody may wait for ever
            ticket.answer.cancel()
            raise
        except Exception as error:
            if not ticket.answer.done():
                ticket.answer.set_exception(error)
        else:
            self.circuit_breaker.record_success()
            if not ticket.answer.done():
                ticket.answer.set_result(answer)

    def _put_back(self, ticket: _Ticket, sent_at: float, error: ProviderUnreachable) -> None:
        """Schedule the poll again after a useless answer, with a pause that doubles."""
        now = self._loop.time()
        self.circuit_breaker.record_failure(sent_at=sent_at, now=now, retry_after_s=error.retry_after_s)
        if ticket.job is not None and ticket.job.budgeted:
            self._budget.refund()
        ticket.failures += 1
        pause_s = min(self._timings.breaker_min_s * 2 ** min(ticket.failures, 20), self._timings.breaker_max_s)
        ticket.due = now + max(pause_s * (0.5 + 0.5 * self._jitter()), error.retry_after_s or 0.0)
        self._push(ticket)
