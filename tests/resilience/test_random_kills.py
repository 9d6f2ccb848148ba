"""Killed at random moments while people go on asking: nothing lost, nothing doubled, nothing charged wrongly."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.resilience.kills import Round, rounds
from tests.resilience.world import Forks, Verdict

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

KILLS = 300
MINUTES = 4.0


async def test_three_hundred_kills_lose_and_double_nothing(forks: Forks, tmp_path: Path) -> None:
    done: list[Round] = []
    async for one in rounds(forks, tmp_path, seed=secrets.token_hex(4), kills=KILLS, minutes=MINUTES, worlds=4):
        print(one)
        done.append(one)
    total = sum((one.verdict for one in done), Verdict())
    print(f"{sum(one.kills for one in done)} kills in all; {total}")
    assert sum(one.kills for one in done) == KILLS
    assert total.answered > 100
    assert total.faults == {}
