"""Owns the runner's short-lived tasks (those that are neither a job's task nor a loop), so that a stop can end them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class OwnedTasks:
    """Critical tasks, which a stop waits for, and background tasks, which it cancels."""

    def __init__(self) -> None:
        self._critical: set[asyncio.Task[Any]] = set()
        self._background: set[asyncio.Task[Any]] = set()

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` as a critical task and await it; it runs to its end even if the caller is cancelled."""
        return await asyncio.shield(self.spawn_critical(work))

    def spawn_critical(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work` as a critical task without awaiting it."""
        task = asyncio.create_task(work)
        self._critical.add(task)
        task.add_done_callback(self._critical.discard)
        return task

    def spawn_background(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Start `work` as a background task."""
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self, within_s: float, others: Callable[[], Collection[asyncio.Task[Any]]]) -> bool:
        """Wait for critical tasks, then cancel those left and `others`. Return whether there was any to cancel.

        The rows of the jobs that are interrupted say where they stood, so the next start resumes them.

        Args:
            within_s: how long to wait for critical tasks, in seconds.
            others: called after that wait; the jobs' own tasks.
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
