"""A refusal, and how it is told: as a phrase with what is left and when it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from bot.domain.money import LEAST_USD, to_show_as_left
from bot.errors import LimitReached
from bot.phrase import Param, Phrase, phrase


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is refused, and why."""

    #: `rate`, `user_day`, `guild_day`, `concurrent` or `guild_concurrent`; of the budgets `person_usd_day`,
    #: `server_usd_day`, `server_usd_month`, `all_usd_day` or `all_usd_month`.
    rule: str
    #: When the same request would be allowed; None when it never would, or when an unfinished job must end first.
    retry_at: datetime | None
    #: Images left for the person today.
    left_today: int
    #: Images that were requested.
    images: int
    #: Images that this rule would allow now (jobs, for `concurrent` and `guild_concurrent`).
    left: int
    #: The rule's limit: images at once, images per day, or unfinished jobs.
    bound: int
    #: When this rule would next allow at least one image; None when it does now, or never will.
    next_at: datetime | None = None
    #: Where a budget refuses: what the request may cost, in US dollars.
    cost_usd: Decimal | None = None
    #: What is left of the person's own budget; None where they have none. Never what is left of anybody else's.
    left_usd: Decimal | None = None
    #: The person's own budget; None where another one refuses, because those hold what others spent.
    bound_usd: Decimal | None = None
    #: Whether the budget is 0, which allows nothing.
    is_closed: bool = False

    def error(self) -> LimitReached:
        """The refusal as an error with a phrase for the person."""
        fewer = self.images > 1 and self.bound > 0 and not self.rule.endswith("concurrent")
        return LimitReached(self.rule, _SAYS[self.rule](self), self.retry_at, fewer_might_do=fewer)


def _says_rate(refused: Refused) -> Phrase:
    images, left, bound = refused.images, refused.left, refused.bound
    if refused.retry_at is not None:
        left_today = refused.left_today
        return phrase("limit_rate", images=images, left=left, at=refused.retry_at, left_today=left_today)
    if refused.next_at is not None:
        return phrase("limit_rate_never_now", images=images, left=left, bound=bound, at=refused.next_at)
    return phrase("limit_rate_never", images=images, left=left, bound=bound)


def _says_user_day(refused: Refused) -> Phrase:
    images, left, bound = refused.images, refused.left, refused.bound
    most = left or bound
    if bound == 0:
        return phrase("limit_user_day_zero")
    if refused.retry_at is not None:
        return phrase("limit_user_day", images=images, left=left, bound=bound, at=refused.retry_at)
    if refused.next_at is not None:
        at = refused.next_at
        return phrase("limit_user_day_never_now", images=images, left=left, bound=bound, most=most, at=at)
    return phrase("limit_user_day_never", images=images, left=left, bound=bound, most=most)


def _says_guild_day(refused: Refused) -> Phrase:
    images, left, bound, own = refused.images, refused.left, refused.bound, refused.left_today
    most = left or bound
    if bound == 0:
        return phrase("limit_guild_day_zero")
    if refused.retry_at is not None:
        return phrase("limit_guild_day", images=images, left=left, bound=bound, at=refused.retry_at, own=own)
    if refused.next_at is not None:
        at = refused.next_at
        return phrase("limit_guild_day_never_now", images=images, left=left, bound=bound, most=most, at=at, own=own)
    return phrase("limit_guild_day_never", images=images, left=left, bound=bound, most=most, own=own)


def _says_concurrent(refused: Refused) -> Phrase:
    return phrase("limit_concurrent", bound=refused.bound, left_today=refused.left_today)


def _says_guild_concurrent(refused: Refused) -> Phrase:
    return phrase("limit_guild_concurrent", bound=refused.bound, left_today=refused.left_today)


def _says_usd(refused: Refused) -> Phrase:
    """Which budget, what this request may cost, what is left for this person, and when it returns."""
    if refused.is_closed:
        return Phrase(f"limit_{refused.rule}_zero")
    left = None if refused.left_usd is None else to_show_as_left(refused.left_usd)
    params: dict[str, Param] = {"cost": (refused.cost_usd or Decimal(0)).quantize(LEAST_USD, ROUND_CEILING)}
    if refused.bound_usd is not None:
        params |= {"bound": refused.bound_usd, "left": left}
    else:
        params["own"] = phrase("own_usd_unbounded") if left is None else phrase("own_usd_left", left=left)
    if refused.retry_at is not None:
        return Phrase(f"limit_{refused.rule}", {**params, "at": refused.retry_at})
    return Phrase(f"limit_{refused.rule}_never", params)


_SAYS: Mapping[str, Callable[[Refused], Phrase]] = {
    "rate": _says_rate,
    "user_day": _says_user_day,
    "guild_day": _says_guild_day,
    "concurrent": _says_concurrent,
    "guild_concurrent": _says_guild_concurrent,
    "person_usd_day": _says_usd,
    "server_usd_day": _says_usd,
    "server_usd_month": _says_usd,
    "all_usd_day": _says_usd,
    "all_usd_month": _says_usd,
}

__all__ = ["Refused"]
