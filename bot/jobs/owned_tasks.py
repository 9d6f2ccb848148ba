"""Tasks that are neither a job's own nor as long as the process: each has an owner here, and a stop knows of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class OwnedTasks:
    """Critical ones, which a stop waits for, and background ones, which it cancels."""

    def __init__(self) -> None:
        self._critical: set[asyncio.Task[Any]] = set()
        self._background: set[asyncio.Task[Any]] = set()

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled; a stop waits for it."""
        return await asyncio.shield(self.spawn_critical(work))

    def spawn_critical(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The same as a task of its own."""
        task = asyncio.create_task(work)
        self._critical.add(task)
        task.add_done_callback(self._critical.discard)
        return task

    def spawn_background(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """A task of its own that a stop cancels."""
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self, within_s: float, others: Callable[[], Collection[asyncio.Task[Any]]]) -> bool:
        """Wait so long for what must not be interrupted, then cancel that and `others`; whether there was any.

        What is still under way then is on record as such; the next start takes it up.
        """
        for task in self._background:
            task.cancel()
        if self._critical:
            await asyncio.wait(set(self._critical), timeout=within_s)
        left = [*others(), *self._critical]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, *self._background, return_exceptions=True)
        return bool(left)
