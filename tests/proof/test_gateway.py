"""Five hundred forced drops, each with a replay that overlaps: nothing lost, nothing run twice."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.proof.gateway import drops
from tests.proof.known import shows, unexpected
from tests.proof.world import Forks

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DROPS = 500
#: Either of these is enough for a replay that comes later than the first answer.
GUARDS = ("interaction key", "first answer names the job")
#: At most so many rounds of a control.
ROUNDS = 5


async def test_five_hundred_drops_lose_nothing_and_run_nothing_twice(forks: Forks, tmp_path: Path) -> None:
    done = await drops(forks, tmp_path, seed=secrets.token_hex(4), count=DROPS)
    print(done)
    assert done.drops == DROPS
    assert done.resumes > 0.9 * DROPS
    assert done.overlapping > DROPS
    # Only a session that Discord has ended is begun anew (once more when that breaks before its READY).
    assert done.identifies <= 1 + 2 * done.kinds["invalid"]
    assert done.verdict.answered > 50
    assert unexpected(done.verdict) == {}


async def test_without_the_interaction_key_replays_run_twice(forks: Forks, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        place, seed = tmp_path / str(number), f"without the key/{number}"
        done = await drops(
            forks, place, seed=seed, count=25, without=["interaction key", "first answer names the job"], drain_s=1.0
        )
        print(done)
        if shows(done.verdict, "doubled_submits"):
            return
    pytest.fail("replays without the interaction key were harmless")
