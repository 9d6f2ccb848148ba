"""What a write costs: `python -m tests.bench.bench_store [sqlite-url|postgresql-url]`.

A steady load of 250 accepts and 1,000 moves a second, once with group commit as it is and once with a transaction for
every call, in the same process. Prints figures; asserts nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bot.jobs.job import MOVES, Job, JobState
from bot.store import Accepted, Store, writer
from tests.store.makers import REQUEST, WIDE, new_job, result

T = TypeVar("T")

_SECONDS = 3.0
_TICK_S = 0.02
_ACCEPTS_PER_TICK = 5
_MOVES_PER_TICK = 20

_NEXT = {
    JobState.SUBMITTING: JobState.RUNNING,
    JobState.RUNNING: JobState.FINISHED,
    JobState.FINISHED: JobState.DELIVERED,
}


@dataclass
class Figures:
    """What one run took."""

    accepts_s: list[float] = field(default_factory=list)
    moves_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def cpu_ms(self) -> float:
        """CPU of the whole process, for each write."""
        return self.cpu_s * 1000 / (len(self.accepts_s) + len(self.moves_s))


class Load:
    """Keeps enough jobs in every state to move some of them at each tick."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._movable: deque[Job] = deque()
        self._users = 0
        self.figures = Figures()

    async def run(self, seconds: float) -> Figures:
        """The whole load."""
        await self._stock()
        cpu, wall = time.process_time(), time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        for tick in range(int(seconds / _TICK_S)):
            for _ in range(_ACCEPTS_PER_TICK):
                tasks.add(asyncio.create_task(self._accept()))
            for _ in range(min(_MOVES_PER_TICK, len(self._movable))):
                tasks.add(asyncio.create_task(self._move(self._movable.popleft())))
            tasks.add(asyncio.create_task(self._claim(_ACCEPTS_PER_TICK)))
            await asyncio.sleep(max(0.0, wall + (tick + 1) * _TICK_S - time.perf_counter()))
        await asyncio.gather(*tasks)
        self.figures.cpu_s = time.process_time() - cpu
        self.figures.wall_s = time.perf_counter() - wall
        return self.figures

    async def _stock(self) -> None:
        await asyncio.gather(*(self._accept() for _ in range(1500)))
        await self._claim(1500)
        self.figures = Figures()

    async def _accept(self) -> None:
        self._users += 1
        answer = await timed(
            self.figures.accepts_s,
            self._store.accept(new_job(user=self._users % 900, guild=self._users % 40), WIDE, max_waiting=99_999),
        )
        assert isinstance(answer, Accepted)

    async def _claim(self, limit: int) -> None:
        self._movable.extend(await self._store.claim(limit))

    async def _move(self, job: Job) -> None:
        to = _NEXT[job.state]
        call = (
            self._store.advance(job, to, request=REQUEST)
            if to is JobState.RUNNING
            else self._store.advance(job, to, result=result())
            if to is JobState.FINISHED
            else self._store.advance(job, to, message_id=9)
        )
        after = await timed(self.figures.moves_s, call)
        assert after is not None
        if MOVES[after.state]:
            self._movable.append(after)


async def timed(into: list[float], call: Awaitable[T]) -> T:
    """Await, and note how long it took."""
    start = time.perf_counter()
    answer = await call
    into.append(time.perf_counter() - start)
    return answer


async def measure(url: str, most_in_one_transaction: int, seconds: float) -> Figures:
    """One run on a database of its own."""
    writer._MOST_IN_ONE_TRANSACTION = most_in_one_transaction
    store = await Store.open(url)
    try:
        return await Load(store).run(seconds)
    finally:
        await store.close()


def line(name: str, figures: Figures) -> str:
    """One row of the table."""

    def ms(values: list[float]) -> str:
        ordered = sorted(values)
        return f"{statistics.median(ordered) * 1000:8.1f} {ordered[int(len(ordered) * 0.99)] * 1000:8.1f}"

    writes = len(figures.accepts_s) + len(figures.moves_s)
    return (
        f"{name:<26}{writes / figures.wall_s:8.0f} {figures.cpu_ms():8.3f} {figures.cpu_s / figures.wall_s:7.0%} "
        f"{ms(figures.accepts_s)} {ms(figures.moves_s)}"
    )


async def main() -> None:
    """Both runs, then their ratio."""
    grouped_at_once = writer._MOST_IN_ONE_TRANSACTION
    with tempfile.TemporaryDirectory() as folder:
        given = sys.argv[1:]
        urls = given * 2 if given else [f"sqlite:///{Path(folder)}/{name}.db" for name in ("grouped", "single")]
        grouped = await measure(urls[0], grouped_at_once, _SECONDS)
        single = await measure(urls[1], 1, _SECONDS / 4)  # it falls behind; enough for a figure
    print(
        f"{'':<26}{'writes/s':>8} {'CPU ms':>8} {'CPU':>7} {'acc p50':>8} {'acc p99':>8} {'mov p50':>8} {'mov p99':>8}"
    )
    print(line("group commit", grouped))
    print(line("a transaction for each", single))
    print(f"CPU for each write: {grouped.cpu_ms() / single.cpu_ms():.2f} of a transaction for each")


if __name__ == "__main__":
    asyncio.run(main())
