"""Half of all of Discord's answers are 429: everything is delivered once, nothing comes early, nothing gets banned."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.resilience.ratelimits import limited, refused_results
from tests.resilience.world import Forks

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

#: At most so many rounds of a control.
ROUNDS = 5


async def test_a_storm_of_rate_limits_costs_nothing(forks: Forks, tmp_path: Path) -> None:
    done = await limited(forks, tmp_path, seed=secrets.token_hex(4), seconds=5.0)
    print(done)
    assert done.faults == {}
    assert all(done.chaos.forced[kind] for kind in done.chaos.weights)
    assert done.chaos.forced.total() > 30
    assert done.verdict.answered > 10
    assert done.identifies == 1


async def test_without_pacing_requests_come_early(forks: Forks, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder, seed = tmp_path / str(number), f"without rate limit waits/{number}"
        done = await limited(forks, folder, seed=seed, seconds=1.5, without=["rate limit waits"], drain_s=0.5)
        print(done)
        if done.chaos.early.total():
            assert "early" in done.faults
            return
    pytest.fail("without rate limit waits nothing came early")


async def test_results_that_cloudflare_refuses_again_and_again_arrive(forks: Forks, tmp_path: Path) -> None:
    done = await refused_results(forks, tmp_path, seed=secrets.token_hex(4), count=8)
    print(done)
    assert done.faults == {}
    assert done.verdict.pictures == 8


async def test_without_patience_they_are_lost(forks: Forks, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder, seed = tmp_path / str(number), f"without 429 retries/{number}"
        done = await refused_results(forks, folder, seed=seed, count=12, without=["429 retries"])
        print(done)
        if done.verdict.lost:
            return
    pytest.fail("without retries nothing was lost")
