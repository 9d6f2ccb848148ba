"""Two hundred accounts with servers of their own cost the operator no more in a day than the budget of all."""

from __future__ import annotations

import secrets
from decimal import Decimal
from pathlib import Path

import pytest

from bot.settings import BudgetSettings
from tests.resilience.attacker import BOUND_USD, attack


@pytest.mark.slow
async def test_two_hundred_accounts_spend_no_more_than_the_budget_of_a_day(tmp_path: Path) -> None:
    found = await attack(tmp_path, seed=secrets.token_hex(4), orders=3000)
    print(found)

    assert found.problems == []
    assert found.accounts == 200
    assert found.orders > 3000
    assert {"flagged", "cancelled", "undeliverable"} <= set(found.ends)
    assert {"flagged", "cancelled", "delivered"} <= set(found.bills)
    # All there is was had, and no more; what counts is never less than what fal billed.
    assert Decimal(20) < found.billed_usd <= found.counted_usd <= BOUND_USD


@pytest.mark.slow
async def test_without_the_budget_of_all_they_spend_more(tmp_path: Path) -> None:
    lifted = BudgetSettings(all_usd_per_day=Decimal(0), all_usd_per_month=Decimal(0))
    found = await attack(tmp_path, seed=secrets.token_hex(4), orders=3000, budget=lifted)
    print(found)

    assert found.billed_usd > BOUND_USD
