"""Decides which jobs may be prepared at the same time: one that may kill the process is prepared alone.

Preparing a job means to fetch and decode what people attached. Where a process ended in the middle of that, uncleanly,
each job that it was preparing is a suspect: the store counts it when the job is adopted (`Job.prepare_crashes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: A job during whose preparation so many processes ended is not prepared again.
MOST_CRASHES = 5


class PreparationGate:
    """Lets jobs in side by side, and a suspect only while no other job is inside."""

    def __init__(self) -> None:
        self._entrance = asyncio.Lock()
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @asynccontextmanager
    async def enter(self, *, alone: bool) -> AsyncIterator[None]:
        """Wait for a turn; the job is inside until the context ends."""
        async with self._entrance:
            if alone:
                await self._empty.wait()
                yield
                return
            self._inside += 1
            self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()
