"""Limits are exact: four processes on one database, killed at random, with clocks that jump, admit nothing beyond."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.resilience.limits_exact import Run, count, run
from tests.resilience.limits_judge import SORTS, fullest_window

SECONDS = 10.0
#: In which every bound is met, whatever else the machine does.
ATTEMPTS = 12_000


async def hammered(url: str, *, seconds: float = SECONDS, without: str = "", **options: Any) -> Run:
    processes = 1 if url.startswith("sqlite") else 4
    seed = secrets.token_hex(4)
    found = await asyncio.to_thread(
        run, url, processes=processes, seconds=seconds, seed=seed, without=without, **options
    )
    await count(url, found)
    print(f"{processes} processes, without {without or 'nothing'}: {found}")
    return found


@pytest.mark.slow
async def test_nothing_is_admitted_beyond_the_bounds(url: str) -> None:
    found = await hammered(url, every_s=1.5, at_least=ATTEMPTS)

    assert found.over == []
    assert found.kills >= 3
    assert found.attempts > 1000
    assert found.acknowledged <= found.admitted
    # Everything that may be had was had: the bounds were met, not just kept.
    assert found.fullest > 8
    assert found.judgement.filled.keys() == SORTS
    assert max(share for sort, share in found.judgement.filled.items() if sort.endswith(("day", "month"))) > 0.95


@pytest.mark.slow
async def test_nothing_is_either_while_the_clock_is_set_over_midnights_and_the_turn_of_months(url: str) -> None:
    found = await hammered(url, every_s=2.5, step_s=0.5, at_least=ATTEMPTS)

    assert found.over == []
    # Where the servers' month was used up on the first day, no other day had room.
    assert found.judgement.days > 1 or found.judgement.filled["server_month"] > 0.99
    assert found.steps["back"] > 0
    assert found.steps["midnight"] > found.steps["month"] > 0
    assert max(found.judgement.filled.values()) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("without", "sorts"),
    [
        ("budgets", {"person_day", "server_day", "server_month", "all_day", "all_month"}),
        ("the last order's cost", {"person_day", "server_day", "server_month", "all_day", "all_month"}),
        ("the last order's pictures", {"person_pictures", "server_pictures"}),
    ],
)
async def test_a_bound_that_lets_one_order_more_in_is_found(tmp_path: Path, without: str, sorts: set[str]) -> None:
    found = await hammered(f"sqlite:///{tmp_path}/easel.db", without=without, every_s=999, at_least=ATTEMPTS)

    over = {sort for sort, share in found.judgement.filled.items() if share > 1}
    assert found.over
    assert set() < over <= sorts


@pytest.mark.slow
@pytest.mark.postgres
async def test_without_row_locks_processes_admit_too_much(postgres_url: str) -> None:
    assert (await hammered(postgres_url, seconds=5, without="row locks", every_s=2.5, at_least=2000)).over


@pytest.mark.slow
async def test_deciding_before_the_transaction_admits_too_much(url: str) -> None:
    assert (await hammered(url, seconds=5, without="decision in the transaction", every_s=2.5, at_least=2000)).over


@pytest.mark.slow
async def test_taking_a_clock_set_back_for_a_higher_rate_admits_too_much(tmp_path: Path) -> None:
    found = await hammered(
        f"sqlite:///{tmp_path}/easel.db", seconds=5, without="memory of moments", every_s=999, at_least=ATTEMPTS
    )

    assert all(over.startswith("rate of") for over in found.over)
    assert found.over


@pytest.mark.slow
@pytest.mark.postgres
async def test_going_by_the_clocks_of_the_machines_admits_too_much(postgres_url: str) -> None:
    for _ in range(4):  # it takes a clock that is set at the right moment
        found = await hammered(postgres_url, seconds=5, without="the server's clock", every_s=999, at_least=ATTEMPTS)
        if any("in all" in over for over in found.over):
            return
    raise AssertionError("nothing was admitted beyond the rate")


def test_the_fullest_window_is_found() -> None:
    second = timedelta(seconds=1)
    assert fullest_window([], second) == 0
    assert fullest_window([(0, 3), (1_000_000, 1), (9_000_000, 2)], second) == 3
    assert fullest_window([(0, 1), (5_000_000, 3), (5_500_000, 1)], second) == 3.5
