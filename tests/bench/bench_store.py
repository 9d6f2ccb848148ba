"""What the store costs: `python -m tests.bench.bench_store [sqlite-url|postgresql-url]`.

- A steady load of 250 accepts and 1,000 moves a second, once with group commit as it is and once with a transaction for
  every call, in the same process.
- Claims, positions and acceptances beside a flood of 10,000 waiting jobs of one person.
- A process that takes over 20,000 jobs of one that died.

Prints figures; asserts nothing. A database given by URL must be empty; what is made there stays.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bot.domain.job import MOVES, Job, JobState
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
            self._store.jobs.accept(new_job(user=self._users % 900, guild=self._users % 40), WIDE, max_waiting=99_999),
        )
        assert isinstance(answer, Accepted)

    async def _claim(self, limit: int) -> None:
        self._movable.extend(await self._store.jobs.claim(limit))

    async def _move(self, job: Job) -> None:
        to = _NEXT[job.state]
        call = (
            self._store.jobs.transition(job, to, fal_request=REQUEST)
            if to is JobState.RUNNING
            else self._store.jobs.transition(job, to, result=result())
            if to is JobState.FINISHED
            else self._store.jobs.transition(job, to, message_id=9)
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
    usual, writer._MOST_IN_ONE_TRANSACTION = writer._MOST_IN_ONE_TRANSACTION, most_in_one_transaction
    store = await Store.open(url)
    try:
        return await Load(store).run(seconds)
    finally:
        writer._MOST_IN_ONE_TRANSACTION = usual
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


# ---------------------------------------------------------------------- beside a flood


async def flood(url: str, jobs: int, others: int) -> None:
    """CPU of single calls while one person's jobs fill the queue."""
    store = await Store.open(url)
    for _ in range(jobs // 500):
        await asyncio.gather(*(store.jobs.accept(new_job(user=1), WIDE, max_waiting=10**6) for _ in range(500)))
    for n in range(others):
        await store.jobs.accept(new_job(user=2 + n, guild=50 + n % 20), WIDE, max_waiting=10**6)
    last = [job.id for job in await store.jobs.of_user(1, live_only=True, limit=500)]
    print(f"\n{jobs} jobs of one person wait, {others} of others    CPU ms: median, worst of 20")
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "claim of 10": lambda: store.jobs.claim(10),
        "claim of 10 under caps": lambda: store.jobs.claim(10, guild_in_flight=5000, user_in_flight=5000),
        "accept": lambda: store.jobs.accept(new_job(user=900), WIDE, max_waiting=10**6),
        "ahead of the last one": lambda: store.positions.of(last[:1]),
        "ahead of the last 500": lambda: store.positions.of(last),
        "position of the last one": lambda: store.positions.queue_status(last[0]),
    }
    for name, call in calls.items():
        took_ms = []
        for _ in range(20):
            began = time.process_time()
            await call()
            took_ms.append((time.process_time() - began) * 1000)
        print(f"  {name:<40}{statistics.median(took_ms):8.1f} {max(took_ms):8.1f}")
    await store.close()


# ---------------------------------------------------------------------- after a death


async def leave_behind(url: str, jobs: int) -> None:
    """What a process that died had under way."""
    store = await Store.open(url)
    for start in range(0, jobs, 500):
        await asyncio.gather(
            *(
                store.jobs.accept(new_job(user=start + n, guild=n % 40), WIDE, max_waiting=10**6)
                for n in range(min(500, jobs - start))
            )
        )
        claimed = await store.jobs.claim(500, lease_s=-1)
        await asyncio.gather(*(store.jobs.transition(job, JobState.RUNNING, fal_request=REQUEST) for job in claimed))
    await store.close()


async def take_over(url: str) -> None:
    """Adopt all there is, and say what it took; a process of its own, for the memory."""
    store = await Store.open(url)
    began, before_kib = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    adopted: list[Job] = []
    while page := await store.leases.adopt(lease_s=30):
        adopted += page
    took_s = time.perf_counter() - began
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"\n{len(adopted)} jobs adopted in {took_s:.2f} s; at most {kib / 1024:.0f} MiB in all, of which "
        f"{(kib - before_kib) / 1024:.0f} MiB for them"
    )
    began = time.perf_counter()
    held = await store.leases.keep(30)
    print(f"{len(held)} leases kept in {(time.perf_counter() - began) * 1000:.0f} ms")
    await store.close()


async def recovery(url: str, jobs: int) -> None:
    """Leave them behind here, take them over in another process."""
    await leave_behind(url, jobs)
    arguments = (sys.executable, "-m", "tests.bench.bench_store", "--take-over", url)
    process = await asyncio.create_subprocess_exec(*arguments, stderr=subprocess.DEVNULL)
    await process.wait()


async def main() -> None:
    """Everything."""
    if sys.argv[1:2] == ["--take-over"]:
        await take_over(sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as folder:
        given = sys.argv[1:2] * 3
        urls = given or [f"sqlite:///{Path(folder)}/{name}.db" for name in ("load", "flood", "recovery")]
        if not given:
            await loads()
        await flood(urls[1], 10_000, 100)
        await recovery(urls[2], 20_000)


async def loads() -> None:
    """Both loads, then their ratio."""
    grouped_at_once = writer._MOST_IN_ONE_TRANSACTION
    with tempfile.TemporaryDirectory() as folder:
        urls = [f"sqlite:///{Path(folder)}/{name}.db" for name in ("grouped", "single")]
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
