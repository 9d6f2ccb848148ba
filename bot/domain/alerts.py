"""Alerts: a budget that runs low, or fal's account that is out of credit. Each is raised once, and sent once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: What an alert is about: a server's day or month, everybody's day or month (as in the store's balances), or fal's
#: credit.
Scope = Literal["g", "m", "a", "n", "c"]
#: The budgets that are watched, by the rule under which they refuse.
SCOPES: Mapping[str, Scope] = {
    "server_usd_day": "g",
    "server_usd_month": "m",
    "all_usd_day": "a",
    "all_usd_month": "n",
}
#: Shares of a budget at which there is an alert.
PERCENTS = (50, 80, 100)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; there is never a second one that is equal to it."""

    scope: Scope
    #: The server's id; 0 for everybody. For fal's credit the moment when it ran out, in Unix seconds.
    subject_id: int
    #: The UTC day, or the first one of the month, counted from 1970.
    day: int
    #: Of the budget; 0 for fal's credit.
    percent: int = 0


def percents_reached(spent_micros: int, budget_micros: int | None, *, refused: bool) -> tuple[int, ...]:
    """The shares of a budget that are spent or reserved.

    Money never quite fills a budget, because what does not fit is refused: so it counts as used up as well once most of
    it is spent and a request was refused.

    Args:
        budget_micros: None: no bound; 0 allows nothing, so nothing runs low.
    """
    if not budget_micros:
        return ()
    reached = [percent for percent in PERCENTS if spent_micros * 100 >= budget_micros * percent]
    if refused and reached == [50, 80]:
        reached.append(100)
    return tuple(reached)
