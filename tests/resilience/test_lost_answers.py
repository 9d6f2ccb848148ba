"""A fifth of all submits lose their answers: every picture belongs to one job, and next to none is painted twice."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.resilience.lost_answers import By, losses
from tests.resilience.world import Forks

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(("by", "count"), [("list", 500), ("callback", 150)])
async def test_lost_answers_cost_nothing(by: By, count: int, forks: Forks, tmp_path: Path) -> None:
    done = await losses(forks, tmp_path, seed=secrets.token_hex(4), count=count, by=by)
    print(done)
    assert done.verdict.submits >= count
    assert done.lost >= count // 6
    assert done.unaccounted == ()
    assert done.shared == ()
    assert done.verdict.faults == {}
    assert done.faultless


async def test_what_is_cancelled_while_its_answer_is_missing_counts_as_fal_billed_it(
    forks: Forks, tmp_path: Path
) -> None:
    """The ledger equals fal's own bill, and nothing of it is there because nobody could know."""
    done = await losses(forks, tmp_path, seed=secrets.token_hex(4), count=200, cancelled=0.5)
    print(done)
    assert done.lost >= 10
    assert done.verdict.cancelled >= 200 // 10
    assert done.verdict.faults == {}
    assert done.verdict.counted == done.verdict.billed > 0


async def test_without_reconciliation_they_are_painted_twice(forks: Forks, tmp_path: Path) -> None:
    done = await losses(forks, tmp_path, seed="without reconciliation", count=40, without=["reconciliation"])
    print(done)
    assert not done.faultless
    assert done.doubles > 40 / 10
