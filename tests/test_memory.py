"""Memory is given back while many jobs end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bot import memory


async def counted(monkeypatch: pytest.MonkeyPatch, ended: Callable[[], int]) -> int:
    """How often it was given back within a moment."""
    calls: list[int] = []

    def trim(pad: int) -> int:
        calls.append(pad)
        return 1

    monkeypatch.setattr(memory, "EVERY_S", 0.01)
    monkeypatch.setattr(memory, "_trim", lambda: trim)
    task = asyncio.create_task(memory.give_back_forever(ended))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return len(calls)


async def test_memory_is_given_back_while_many_jobs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = 0

    def more() -> int:
        nonlocal ended
        ended += memory.WORTHWHILE_JOBS
        return ended

    assert await counted(monkeypatch, more) > 1


async def test_an_idle_bot_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await counted(monkeypatch, lambda: memory.WORTHWHILE_JOBS - 1) == 0


async def test_where_the_c_library_can_not_give_back_it_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(memory.give_back_forever(lambda: 10**6), 0.05)
