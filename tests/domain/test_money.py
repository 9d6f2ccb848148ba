from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.money import Cost, to_show_as_left, to_show_as_spent


@pytest.mark.parametrize(
    ("usd", "micros"),
    [("0", 0), ("0.000001", 1), ("0.0000001", 1), ("0.15", 150_000), ("12.3456789", 12_345_679)],
)
def test_micro_dollars_never_fall_short(usd: str, micros: int) -> None:
    assert Cost(1, Decimal(usd)).usd_micros == micros


def test_an_unknown_price_stays_unknown() -> None:
    assert Cost(4).usd_micros is None
    assert Cost(4).share(1) == Cost(1)


def test_a_share_costs_in_proportion() -> None:
    assert Cost(4, Decimal("0.20")).share(1) == Cost(1, Decimal("0.05"))


@pytest.mark.parametrize(
    ("usd", "left", "spent"),
    [
        ("0", "0", "0"),
        ("2", "2.00", "2.00"),
        ("1.958", "1.95", "1.96"),
        ("1.6499999", "1.64", "1.65"),
        ("0.01", "0.01", "0.01"),
        ("0.0099", "0.0099", "0.0099"),
        ("0.00034", "0.0003", "0.0003"),
        ("0.042", "0.04", "0.04"),
        ("12345.678", "12345.67", "12345.68"),
    ],
)
def test_sums_are_shown_in_whole_cents_and_never_more_left_than_there_is(usd: str, left: str, spent: str) -> None:
    assert to_show_as_left(Decimal(usd)) == Decimal(left) <= Decimal(usd)
    assert to_show_as_spent(Decimal(usd)) == Decimal(spent)
