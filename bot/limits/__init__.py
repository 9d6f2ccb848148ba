"""Rate limits, quotas and budgets: the policy, the usage, and the decision about one request. No clock, no database.

These rules apply to every request:

- `rate`: a generic cell rate algorithm (GCRA) per person. One moment, the theoretical arrival time (`tat`), says how
  much of the burst is used: an image costs `interval`, and `tat` may run ahead of now by `burst_images * interval`.
  Such a moment means something under its own rate only, so a place with another rate counts apart (`Policy.rate_key`).
- `user_day` and `guild_day`: images per person and per server in the UTC calendar day.
- `concurrent` and `guild_concurrent`: unfinished jobs per person and per server.
- `person_usd_day`, `server_usd_day`, `server_usd_month`, `all_usd_day` and `all_usd_month`: US dollars, at the worst
  case while reserved and as billed once settled, in the UTC day or month in which they were reserved.

policy.py     which limits apply, from the settings and what a server set
ceiling.py    the most that a server may set
decision.py   usage in, allowed or refused out
refusals.py   what a refusal says
"""

from __future__ import annotations

from bot.limits.ceiling import Exceeded, ceiling, exceeded
from bot.limits.decision import (
    Allowed,
    Spent,
    Standing,
    Usage,
    capped,
    decide,
    midnight,
    month_end,
    over_budget,
    standing,
)
from bot.limits.policy import Budgets, GuildLimits, Policy, policy_for
from bot.limits.refusals import Refused

__all__ = [
    "Allowed",
    "Budgets",
    "Exceeded",
    "GuildLimits",
    "Policy",
    "Refused",
    "Spent",
    "Standing",
    "Usage",
    "capped",
    "ceiling",
    "decide",
    "exceeded",
    "midnight",
    "month_end",
    "over_budget",
    "policy_for",
    "standing",
]
