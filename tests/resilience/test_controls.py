"""The proofs can fail: with one safeguard of the bot mutated away, the very same run finds what it prevents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.resilience.crash import How, crash_points
from tests.resilience.kills import one_round
from tests.resilience.world import Forks

#: A kill strikes where it wants, so one round may miss the unprotected moment: at most so many are tried.
ROUNDS = 8

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("mutation", "run", "fault"),
    [
        ("interaction key", ("replayed", "kill"), "doubled_submits"),
        ("delivery record", ("plain", "kill"), "ledger_off"),
        ("nonce", ("posted anew", "lose"), "doubled_posts"),
        ("single release", ("refused by fal", "kill"), "ledger_off"),
        ("reconciliation", ("plain", "kill"), "flagged_doubles"),
        ("reconciliation", ("no seed", "lose"), "flagged_doubles"),
        ("first answer", ("plain", "kill"), "uninvited"),
    ],
)
async def test_crash_points_find_the_mutation(
    mutation: str, run: tuple[str, How], fault: str, forks: Forks, tmp_path: Path
) -> None:
    scenario, how = run
    points = await crash_points(forks, tmp_path, scenario, how, without=[mutation], until=fault, attempt_s=2.0)
    print(points)
    assert points.verdict.shows(fault)


@pytest.mark.parametrize(
    ("mutation", "fault"),
    [
        ("interaction key", "doubled_submits"),
        ("delivery record", "ledger_off"),
        ("single release", "ledger_off"),
        ("reconciliation", "flagged_doubles"),
    ],
)
async def test_random_kills_find_the_mutation(mutation: str, fault: str, forks: Forks, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder, seed = tmp_path / str(number), f"without {mutation}/{number}"
        done = await one_round(forks, folder, seed, 20, without=[mutation], drain_s=2.0, replays=0.5)
        print(done)
        if done.verdict.shows(fault):
            return
    pytest.fail(f"{ROUNDS} rounds without the mutation showed nothing of the kind {fault}")
