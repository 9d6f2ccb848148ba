"""One scheduler for every polled job: due times in a heap, few requests at once, and one view of an outage."""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from bot.errors import FalUnreachable
from bot.fal.http import Answer
from bot.fal.pace import Pace

log = logging.getLogger(__name__)


class Outage:
    """Whether fal answers at all, shared by everything that is polled.

    The first useless answer holds all polls back for a moment and lets only one through at a time; each further one
    doubles the pause, and the first useful one ends it. So a thousand jobs cost one request every few seconds.
    """

    def __init__(self, pace: Pace, jitter: Callable[[], float] = random.random) -> None:
        self._pace = pace
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
        pause_s = min(self._pace.outage_min_s * 2 ** min(self._failures - 1, 20), self._pace.outage_max_s)
        self.not_before = max(self.not_before, now + pause_s * (0.75 + 0.5 * self._jitter()))
        if self._failures == 3:
            log.warning("fal does not answer status requests; asking rarely until it does")

    def ended(self) -> None:
        """A useful answer came."""
        if self._failures >= 3:
            log.info("fal answers again")
        self._failures = 0
        self.not_before = float("-inf")


@dataclass(order=True, slots=True)
class _Ticket:
    due: float
    number: int
    url: str = field(compare=False)
    answer: asyncio.Future[Answer] = field(compare=False)
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
        look: Callable[[str], Awaitable[Answer]],
        pace: Pace,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._look = look
        self._pace = pace
        self._jitter = jitter
        self.outage = Outage(pace, jitter)
        self._loop = asyncio.get_running_loop()
        self._heap: list[_Ticket] = []
        #: The tickets in the heap, by address.
        self._held: dict[str, _Ticket] = {}
        self._numbers = count()
        self._asking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next_free = float("-inf")
        self._closed = False

    async def ask(self, url: str, *, after_s: float) -> Answer:
        """The first useful answer to a GET of `url`, asked for in `after_s` seconds at the earliest.

        Useless ones (no connection, 429, 5xx, HTML) are asked for again as long as it takes.
        """
        if self._closed:
            raise RuntimeError("the poller is closed")
        ticket = _Ticket(self._loop.time() + after_s, next(self._numbers), url, self._loop.create_future())
        self._put(ticket)
        return await ticket.answer

    def hurry(self, url: str) -> bool:
        """Ask for this URL as soon as possible; False when nobody waits for its turn (it may be being asked)."""
        held = self._held.get(url)
        if held is None or held.answer.done():
            return False
        held.replaced = True
        self._put(_Ticket(self._loop.time(), next(self._numbers), url, held.answer, held.failures))
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
        at_once = 1 if self.outage.active else self._pace.polls_at_once
        while self._heap and len(self._asking) < at_once and not self._closed:
            if self._heap[0].answer.done() or self._heap[0].replaced:  # its watcher went away
                self._take()
                continue
            now = self._loop.time()
            start_at = max(self._heap[0].due, self._next_free, self.outage.not_before)
            if start_at > now:
                self._timer = self._loop.call_at(start_at, self._pump)
                return
            self._next_free = now + 1 / self._pace.polls_per_s
            task = self._loop.create_task(self._ask(self._take()), name="fal-poll")
            self._asking.add(task)
            task.add_done_callback(self._asked)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("polling broke", exc_info=error)
        self._pump()

    async def _ask(self, ticket: _Ticket) -> None:
        asked_at = self._loop.time()
        try:
            answer = await self._look(ticket.url)
        except FalUnreachable as error:
            now = self._loop.time()
            self.outage.failed(asked_at=asked_at, now=now, retry_after_s=error.retry_after_s)
            ticket.failures += 1
            pause_s = min(self._pace.outage_min_s * 2 ** min(ticket.failures, 20), self._pace.outage_max_s)
            ticket.due = now + max(pause_s * (0.5 + 0.5 * self._jitter()), error.retry_after_s or 0.0)
            self._hold(ticket)  # pumped when this task is done
        except asyncio.CancelledError:  # closed while asking: nobody waits for ever
            ticket.answer.cancel()
            raise
        except Exception as error:
            if not ticket.answer.done():
                ticket.answer.set_exception(error)
        else:
            self.outage.ended()
            if not ticket.answer.done():
                ticket.answer.set_result(answer)
