"""Waiting until something about the fake server is true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sandbox.discord.interactions import NotAnswered


class ConditionWaiter:
    """Checks the conditions of all who wait, once per turn of the event loop after a change."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._check_scheduled = False

    async def wait_for(self, predicate: Callable[[], Any], timeout_s: float) -> Any:
        """Wait until `predicate()` is true and return its value.

        Raises:
            NotAnswered: it did not become true in time.
        """
        value = predicate()
        if value:
            return value
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        entry = (predicate, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise NotAnswered(f"not true within {timeout_s} s") from None
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def changed(self, _what: object = None) -> None:
        """Something changed: check soon."""
        if self._waiting and not self._check_scheduled:
            self._check_scheduled = True
            asyncio.get_running_loop().call_soon(self._check)

    def close(self) -> None:
        """Cancel everybody who waits."""
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    def _check(self) -> None:
        self._check_scheduled = False
        for predicate, future in list(self._waiting):
            if future.done():
                continue
            try:
                value = predicate()
            except Exception as error:  # raised where it is waited for
                future.set_exception(error)
                continue
            if value:
                future.set_result(value)
