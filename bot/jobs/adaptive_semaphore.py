"""A semaphore with a low limit while the processor is the bottleneck, and a high one while the network is.

When fifty jobs finish at the same moment, processing all of them at once delays all of them: on one core each step of
each job waits for a step of every other. With a few at a time the first is done after a fiftieth of the time, and the
last no later. While the event loop is idle, because the network is slow, more are admitted. While more urgent work is
under way (backpressure), only one is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType

from bot.jobs.timings import JobTimings


class AdaptiveSemaphore:
    """A FIFO semaphore, used as an async context manager.

    Args:
        minimum: limit while the event loop is busy.
        maximum: limit while the event loop is idle.
        backpressure: whether more urgent work needs the processor; the limit is one then.
    """

    def __init__(
        self,
        minimum: int,
        maximum: int,
        *,
        backpressure: Callable[[], bool] = lambda: False,
        timings: JobTimings = JobTimings(),  # noqa: B008 - frozen
    ) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._backpressure = backpressure
        self._timings = timings
        self._inside = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        if self._inside < self._always and not self._queue:
            self._inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        if self._pump is None:
            self._pump = asyncio.create_task(self._let_in(), name="adaptive-semaphore")
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._inside -= 1
        if self._inside < self._always:
            self._admit()

    @property
    def _always(self) -> int:
        return 1 if self._backpressure() else self._minimum

    def _admit(self) -> None:
        """Admit the first waiter that was not cancelled."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)
                return

    async def _let_in(self) -> None:
        """While there are waiters: admit one more whenever an iteration of the event loop is fast."""
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                began_s = loop.time()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                idle = loop.time() - began_s < self._timings.busy_round_s
                if self._inside < self._always or (idle and self._inside < self._maximum and not self._backpressure()):
                    self._admit()
                else:
                    await asyncio.sleep(self._timings.busy_look_s)
        finally:
            self._pump = None
