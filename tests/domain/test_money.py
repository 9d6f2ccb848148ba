from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.money import Cost


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
