"""Who hammers the limits in `limits_exact`, and which limit holds for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bot.limits import Budgets, Policy
from tests.store.makers import policy

RATE = policy(interval=timedelta(milliseconds=25), burst_images=9)
#: So slow that an hour gained by a clock shows in what was admitted in all.
SLOW = policy(interval=timedelta(seconds=20), burst_images=9)
DAY = policy(interval=timedelta(microseconds=1), images_per_day=250)
GUILD_DAY = policy(interval=timedelta(microseconds=1), guild_images_per_day=400)
CONCURRENT = policy(interval=timedelta(microseconds=1), concurrent_jobs=3)
GUILD_CONCURRENT = policy(interval=timedelta(microseconds=1), guild_concurrent_jobs=11)
#: Of all who ask, these alone pay, so that the budgets of everybody are theirs. Each has another one besides.
ALL = Budgets(all_day=12_000_000, all_month=20_000_000)
PERSON_BUDGET = policy(interval=timedelta(microseconds=1), budgets=replace(ALL, person_day=1_000_000))
GUILD_BUDGET = policy(interval=timedelta(microseconds=1), budgets=replace(ALL, server_day=1_500_000))
GUILD_MONTH = policy(interval=timedelta(microseconds=1), budgets=replace(ALL, server_month=2_000_000))
TOTAL = policy(interval=timedelta(microseconds=1), budgets=ALL)
PAYING = (PERSON_BUDGET, GUILD_BUDGET, GUILD_MONTH, TOTAL)

#: Person and server with the limit that holds for them.
PEOPLE: Sequence[tuple[int, int | None, Policy]] = (
    *((user, None, RATE) for user in range(1, 5)),
    *((user, None, SLOW) for user in range(5, 7)),
    *((user, 20, DAY) for user in range(11, 14)),
    *((user, 30, GUILD_DAY) for user in range(21, 25)),
    *((user, 40, CONCURRENT) for user in range(31, 35)),
    *((user, 50, GUILD_CONCURRENT) for user in range(41, 47)),
    *((user, 60, PERSON_BUDGET) for user in range(51, 54)),
    *((user, 70, GUILD_BUDGET) for user in range(61, 64)),
    *((user, 80, GUILD_MONTH) for user in range(71, 74)),
    *((user, None, TOTAL) for user in range(81, 87)),
)
POLICIES: Mapping[int, Policy] = {user: limits for user, _, limits in PEOPLE}
