"""How long the event loop was blocked, written to the file named by BENCH_LAG_FILE once a second.

Where other programs want the processor too, most of that is theirs: what the loop's own thread took is told apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Self

EVERY_S = 0.01


class LagMonitor:
    """Sleeps shortly, again and again, and keeps by how much each sleep was late. SIGUSR1 forgets."""

    def __init__(self) -> None:
        self._late_s: list[float] = []
        self._worked_s: list[float] = []
        self._task: asyncio.Task[None] | None = None
        self._file = Path(os.environ["BENCH_LAG_FILE"])

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._forget)
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    def _forget(self) -> None:
        self._late_s.clear()
        self._worked_s.clear()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        written_s = loop.time()
        while True:
            before_s, worked_s = loop.time(), time.thread_time()
            await asyncio.sleep(EVERY_S)
            now_s = loop.time()
            self._late_s.append(now_s - before_s - EVERY_S)
            self._worked_s.append(time.thread_time() - worked_s)
            if now_s - written_s > 1:
                written_s = now_s
                ordered = sorted(self._late_s)
                figures = {
                    "max_ms": ordered[-1] * 1000,
                    "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
                    "max_worked_ms": max(self._worked_s) * 1000,
                }
                self._file.write_text(json.dumps(figures), encoding="utf-8")
