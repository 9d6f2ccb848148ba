"""Resident memory of a bot with all its child processes, sampled while a scenario runs."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Self

import psutil

from tests.bench.start import peak_memory_mb

#: Short enough to see a burst, long enough to cost nothing.
EVERY_S = 0.1


class TreeMemory:
    """Sums the resident sizes of a process and its descendants; pages that they share count for each of them."""

    def __init__(self, bot: psutil.Process) -> None:
        self._bot = bot
        #: (seconds since the start, MB).
        self.samples: list[tuple[float, float]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _sample(self) -> None:
        began_s = time.monotonic()
        while True:
            self.samples.append((time.monotonic() - began_s, tree_memory_mb(self._bot)))
            await asyncio.sleep(EVERY_S)

    @property
    def peak_mb(self) -> float:
        """The largest sum seen, and at least what the kernel noted for the bot itself."""
        return max(max((size for _, size in self.samples), default=0.0), peak_memory_mb(self._bot))

    def after(self, seconds: float) -> list[float]:
        """The sums seen from then on."""
        return [size for at_s, size in self.samples if at_s >= seconds]


def tree_memory_mb(bot: psutil.Process) -> float:
    """Resident now, in MB."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in (bot, *bot.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total / 1e6
