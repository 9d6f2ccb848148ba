"""Fairness between people where they share something scarce: who has had the least of it lately comes first."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

#: What somebody has had counts half after so long.
HALVES_S = 60.0
#: Who has had less than this lately counts as a newcomer.
NEWCOMER_S = 1.0


class TimeTaken:
    """How many seconds each owner has had lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: (seconds, at which moment that was so), those that changed last at the end.
        self._taken: dict[Hashable, tuple[float, float]] = {}

    def of(self, owner: Hashable) -> float:
        """In seconds, those of long ago counted less."""
        seconds, at_s = self._taken.get(owner, (0.0, 0.0))
        return seconds * math.exp2((at_s - self._clock()) / HALVES_S)

    def add(self, owner: Hashable, seconds: float) -> None:
        """Note that an owner has had so much more."""
        seconds += self.of(owner)
        self._taken.pop(owner, None)
        self._taken[owner] = (seconds, self._clock())
        while self._clock() - next(iter(self._taken.values()))[1] > 10 * HALVES_S:
            del self._taken[next(iter(self._taken))]


class FairTurns:
    """Places that people hold for a while, nobody two of them.

    Args:
        places: how many there are.
        for_newcomers: how many of these are kept for people who have held none for long lately, so that those whose
            turns take long never keep all of them.
    """

    def __init__(self, places: int, *, for_newcomers: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._for_newcomers = for_newcomers
        self._clock = clock
        self._taken = TimeTaken(clock)
        self._holding: set[Hashable] = set()
        #: In the order in which they came.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, person: Hashable) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(person, deque()).append(mine)
        self._admit()
        try:
            await mine
        except BaseException:
            self._withdraw(person, mine)
            raise
        began_s = self._clock()
        try:
            yield
        finally:
            self._taken.add(person, self._clock() - began_s)
            self._leave(person)

    def _admit(self) -> None:
        while (person := self._next()) is not None:
            first = self._pop(person)
            if not first.done():  # else it is being cancelled
                self._holding.add(person)
                first.set_result(None)

    def _next(self) -> Hashable | None:
        free = self._places - len(self._holding)
        waiting = [
            (self._taken.of(person), index, person)
            for index, person in enumerate(self._waiting)
            if person not in self._holding
        ]
        if free <= 0 or not waiting:
            return None
        taken_s, _, person = min(waiting, key=lambda one: one[:2])
        return person if free > self._for_newcomers or taken_s < NEWCOMER_S else None

    def _pop(self, person: Hashable) -> asyncio.Future[None]:
        queue = self._waiting[person]
        first = queue.popleft()
        if not queue:
            del self._waiting[person]
        return first

    def _withdraw(self, person: Hashable, mine: asyncio.Future[None]) -> None:
        if mine.done() and not mine.cancelled():  # admitted at the same moment
            self._leave(person)
            return
        queue = self._waiting.get(person)
        if queue is not None and mine in queue:
            queue.remove(mine)
            if not queue:
                del self._waiting[person]

    def _leave(self, person: Hashable) -> None:
        self._holding.discard(person)
        self._admit()
