"""Retries: one helper for every loop that repeats a failed operation.

async for attempt in retry((1, 2, 4), stop=stopping):
    try:
        return await ask()
    except Unreachable as error:
        attempt.wait_at_least(error.retry_after_s)
raise GivenUp
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat

#: Default jitter: the share by which a pause varies, so that operations that failed together are not retried together.
JITTER = 0.2

Sleep = Callable[[float], Awaitable[object]]


class Attempt:
    """One of several attempts.

    Args:
        number: counted from 1.
        pause_s: seconds until the next attempt, before jitter; None: this is the last one.
    """

    __slots__ = ("_jitter", "_pause_s", "_planned_s", "number")

    def __init__(self, number: int, pause_s: float | None, jitter: float) -> None:
        self.number = number
        self._planned_s = pause_s
        self._pause_s: float | None = None
        self._jitter = jitter

    @property
    def is_last(self) -> bool:
        """Whether no other attempt follows."""
        return self._planned_s is None

    @property
    def pause_s(self) -> float | None:
        """Seconds until the next attempt, jitter included; None: this is the last one."""
        if self._pause_s is None and self._planned_s is not None:
            self._pause_s = self._planned_s * random.uniform(1 - self._jitter, 1 + self._jitter)
        return self._pause_s

    def wait_at_least(self, seconds: float | None) -> None:
        """Pause for at least this long, e.g. a Retry-After; jitter only lengthens it. None and 0 change nothing."""
        pause_s = self.pause_s
        if pause_s is not None and seconds:
            self._pause_s = max(pause_s, seconds * random.uniform(1, 1 + self._jitter))


class retry(AsyncIterator[Attempt]):
    """Yields one attempt more than there are pauses, and waits between them; the loop's body leaves it on success.

    Args:
        pauses_s: seconds between the attempts; may be endless (see `repeat_last`).
        stop: once it is set, a pause ends at once and the task is cancelled from inside (`CancelledError`). What was
            not completed is left to the next start of the bot.
        jitter: each pause is varied by up to this share in either direction; 0 keeps them exact.
        sleep: replaces `asyncio.sleep`, e.g. in tests that must not wait.
    """

    def __init__(
        self,
        pauses_s: Iterable[float],
        *,
        stop: asyncio.Event | None = None,
        jitter: float = JITTER,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._pauses_s: Iterator[float] = iter(pauses_s)
        self._stop = stop
        self._jitter = jitter
        self._sleep = sleep
        self._attempt: Attempt | None = None

    async def __anext__(self) -> Attempt:
        """Wait for the next attempt and return it."""
        before = self._attempt
        if before is not None:
            pause_s = before.pause_s
            if pause_s is None:
                raise StopAsyncIteration
            await pause(pause_s, stop=self._stop, sleep=self._sleep)
        number = before.number + 1 if before is not None else 1
        self._attempt = Attempt(number, next(self._pauses_s, None), self._jitter)
        return self._attempt


async def pause(seconds: float, *, stop: asyncio.Event | None = None, sleep: Sleep = asyncio.sleep) -> None:
    """Sleep; `stop` ends the sleep and cancels the task from inside, as described at `retry`."""
    if stop is None:
        await sleep(seconds)
        return
    waits = {asyncio.ensure_future(sleep(seconds)), asyncio.ensure_future(stop.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    if stop.is_set():
        raise asyncio.CancelledError


def repeat_last(pauses_s: Sequence[float]) -> Iterator[float]:
    """The pauses, and then the last one again and again: for an operation that is retried until it succeeds."""
    return chain(pauses_s, repeat(pauses_s[-1]))
