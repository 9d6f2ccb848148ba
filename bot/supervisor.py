"""Who owns every long-lived task of the process: any that ends unasked ends the process, with its error in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from bot.errors import SetupError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Supervisor:
    """The tasks that run for as long as the process does."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._first: asyncio.Task[Any] | None = None
        self._some_ended = asyncio.Event()

    def start(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run this until it is stopped by `stop` or `close`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task not in self._tasks:
            return  # asked to
        self._tasks.discard(task)
        self._first = self._first or task
        self._some_ended.set()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, SetupError):  # the operator reads that one in plain words
            log.error("a long-lived task broke", extra={"task": task.get_name()}, exc_info=error)

    async def wait(self) -> asyncio.Task[Any]:
        """The first task that ended unasked, once there is one."""
        await self._some_ended.wait()
        assert self._first is not None
        return self._first

    async def stop(self, *tasks: asyncio.Task[Any]) -> None:
        """End these tasks; that is no reason for the process to end."""
        self._tasks.difference_update(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """End all of them."""
        await self.stop(*self._tasks)
