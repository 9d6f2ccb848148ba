from __future__ import annotations

import pytest

from bot.domain.alerts import percents_reached


@pytest.mark.parametrize(
    ("spent", "budget", "reached"),
    [
        (0, 100, ()),
        (49, 100, ()),
        (50, 100, (50,)),
        (79, 100, (50,)),
        (80, 100, (50, 80)),
        (99, 100, (50, 80)),
        (100, 100, (50, 80, 100)),
        (250, 100, (50, 80, 100)),
        (1, 3, ()),
        (2, 3, (50,)),
        (10**12, None, ()),
        (10**12, 0, ()),
    ],
)
def test_each_share_is_reached_once_so_much_is_spent(spent: int, budget: int | None, reached: tuple[int, ...]) -> None:
    assert percents_reached(spent, budget, refused=False) == reached


@pytest.mark.parametrize(
    ("spent", "reached"),
    [(0, ()), (50, (50,)), (79, (50,)), (80, (50, 80, 100)), (99, (50, 80, 100)), (100, (50, 80, 100))],
)
def test_a_budget_of_which_most_is_spent_is_used_up_when_it_refuses(spent: int, reached: tuple[int, ...]) -> None:
    assert percents_reached(spent, 100, refused=True) == reached
