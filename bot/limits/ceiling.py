"""The most that a server may set for itself: what the operator allows the most generous role there."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from bot.domain.job import Actor
from bot.domain.money import usd_of
from bot.limits.policy import GuildLimits, policy_for
from bot.settings import Settings

Value = float | int | Decimal


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A value that a server can't set."""

    #: The field of `GuildLimits`.
    name: str
    most: Value


def ceiling(settings: Settings, guild_id: int) -> dict[str, Value | None]:
    """The most for each field of `GuildLimits`, in their order; None where the operator sets no bound."""
    everything = tuple(int(role) for role in settings.limits.tiers)
    policy = policy_for(settings, None, Actor(0, 0, guild_id, everything))
    if not policy.enabled:
        return dict.fromkeys(GuildLimits.__dataclass_fields__)
    budgets = policy.budgets
    return {
        "images_per_hour": policy.images_per_hour,
        "burst_images": policy.burst_images,
        "images_per_day": policy.images_per_day,
        "concurrent_jobs": policy.concurrent_jobs,
        "guild_images_per_day": policy.guild_images_per_day,
        "guild_concurrent_jobs": policy.guild_concurrent_jobs or None,
        "person_usd_day": _usd(budgets.person_day),
        "server_usd_day": _usd(budgets.server_day),
        "server_usd_month": _usd(budgets.server_month),
    }


def exceeded(settings: Settings, guild_id: int, wanted: GuildLimits) -> Exceeded | None:
    """The first value that is above what the operator allows; None where none is."""
    for name, most in ceiling(settings, guild_id).items():
        value = getattr(wanted, name)
        if value is not None and most is not None and value > most:
            return Exceeded(name, most)
    return None


def _usd(micros: int | None) -> Decimal | None:
    return None if micros is None else usd_of(micros)


__all__ = ["Exceeded", "Value", "ceiling", "exceeded"]
