"""The proofs can fail: with one guard taken out of the bot, the very same run finds what that guard prevents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.resilience.crash import How, crash_points
from tests.resilience.kills import one_round
from tests.resilience.known_boundaries import shows
from tests.resilience.world import Forks

#: A kill strikes where it wants, so one round may miss the unguarded moment: at most so many are tried.
ROUNDS = 8

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("guard", "run", "fault"),
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
async def test_crash_points_show_a_missing_guard(
    guard: str, run: tuple[str, How], fault: str, forks: Forks, tmp_path: Path
) -> None:
    story, how = run
    points = await crash_points(forks, tmp_path, story, how, without=[guard], until=fault, telling_s=2.0)
    print(points)
    assert shows(points.verdict, fault)


@pytest.mark.parametrize(
    ("guard", "fault"),
    [
        ("interaction key", "doubled_submits"),
        ("delivery record", "ledger_off"),
        ("single release", "ledger_off"),
        ("reconciliation", "flagged_doubles"),
    ],
)
async def test_random_kills_show_a_missing_guard(guard: str, fault: str, forks: Forks, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        place, seed = tmp_path / str(number), f"without {guard}/{number}"
        done = await one_round(forks, place, seed, 20, without=[guard], drain_s=2.0, replays=0.5)
        print(done)
        if shows(done.verdict, fault):
            return
    pytest.fail(f"{ROUNDS} rounds without the guard showed nothing of the kind {fault}")
