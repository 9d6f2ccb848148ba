"""The limits and budgets that apply to one request, and where they come from: the operator, and a stricter server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Literal, Self

from bot.domain.job import Actor
from bot.domain.money import Cost, micros_of
from bot.settings import ServerLimits, Settings, Tier

_LONGEST_INTERVAL_S = 30 * 24 * 3600
_MOST_USD = Decimal(1_000_000)
#: No limit that was ever set is beyond this.
_MOST_STORED = 10**15


@dataclass(frozen=True, slots=True)
class Budgets:
    """What may be spent, in millionths of a US dollar; None: no bound, 0: nothing at all."""

    person_day: int | None = None
    server_day: int | None = None
    server_month: int | None = None
    all_day: int | None = None
    all_month: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits that apply to one request."""

    #: Time that one image costs; the sustained rate is one image per `interval`.
    interval: timedelta
    #: Images that may be requested at once by somebody whose burst is unused.
    burst_images: int
    #: 0 allows no image at all, as in `guild_images_per_day`; only `enabled=False` lifts limits.
    images_per_day: int
    concurrent_jobs: int
    guild_images_per_day: int
    #: Weight of the person in the fair queue, relative to others.
    weight: float = 1.0
    enabled: bool = True
    #: Most unfinished jobs of all people in the server together; only here 0 means no limit.
    guild_concurrent_jobs: int = 0
    #: Whose rate it is: everybody's, that of a tier with another one, or the server's own.
    rate_of: Literal["everybody", "tier", "guild"] = "everybody"
    budgets: Budgets = field(default_factory=Budgets)
    #: What a picture is taken to cost where the price is not known, in millionths of a US dollar.
    assumed_usd_micros_per_image: int = 100_000

    def usd_micros(self, cost: Cost) -> int:
        """What a request is reserved at, in millionths of a US dollar: its worst case, or what is assumed for it."""
        known = cost.usd_micros
        return self.assumed_usd_micros_per_image * cost.images if known is None else known

    @property
    def images_per_hour(self) -> float:
        """The sustained rate, as it was set: without the error of the interval's whole microseconds."""
        return float(f"{3600 / self.interval.total_seconds():g}")

    def rate_key(self, guild_id: int | None) -> int:
        """Under which number the person's use of this rate is kept, so that one rate never changes another.

        0 wherever everybody's rate holds, in servers and direct messages alike; the server's id where it has a rate of
        its own; a negative number for a tier, the same in all servers where that tier's rate holds.
        """
        if self.rate_of == "guild":
            return guild_id or 0
        if self.rate_of == "tier":
            numbers = f"{self.interval // timedelta(microseconds=1)}/{self.burst_images}"
            return -int.from_bytes(blake2b(numbers.encode(), digest_size=7).digest())
        return 0


@dataclass(frozen=True, slots=True)
class GuildLimits:
    """Limits that a server sets for all its members; None keeps the operator's value, as does anything above it.

    Raises:
        ValueError: a value out of range, naming it.
    """

    images_per_hour: float | None = None
    burst_images: int | None = None
    images_per_day: int | None = None
    concurrent_jobs: int | None = None
    guild_images_per_day: int | None = None
    guild_concurrent_jobs: int | None = None
    #: US dollars; 0 allows nothing.
    person_usd_day: Decimal | None = None
    server_usd_day: Decimal | None = None
    server_usd_month: Decimal | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        if self.images_per_hour is not None and not 0 < self.images_per_hour < float("inf"):
            raise ValueError(f"images_per_hour must be above 0, not {self.images_per_hour}")
        for name in _MONEY:
            usd = getattr(self, name)
            if usd is not None and not (usd.is_finite() and 0 <= usd <= _MOST_USD):
                raise ValueError(f"{name} must be from 0 to {_MOST_USD}, not {usd}")

    def to_json(self) -> dict[str, float | int | str]:
        """The values that are set; money as text, so that it stays exact."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` wrote. Unknown keys and values out of range or of other types are left out."""
        known: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            value = _stored(name, data.get(name))
            if value is not None and _is_in_range(cls, name, value):
                known[name] = value
        return cls(**known)


def _stored(name: str, value: object) -> float | int | Decimal | None:
    """A value of a row as its field has it; None where it is none."""
    if name in _MONEY:
        return _decimal(value) if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST_STORED:
        return None
    return float(value) if name == "images_per_hour" else int(value)


def _is_in_range(limits: type[GuildLimits], name: str, value: float | Decimal) -> bool:
    try:
        limits(**{name: value})  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


_LEAST: Mapping[str, int] = {
    "burst_images": 1,
    "images_per_day": 0,
    "concurrent_jobs": 1,
    "guild_images_per_day": 0,
    "guild_concurrent_jobs": 0,
}
_MONEY = ("person_usd_day", "server_usd_day", "server_usd_month")


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


# ---------------------------------------------------------------------- where a policy comes from


def policy_for(settings: Settings, overrides: GuildLimits | None, actor: Actor) -> Policy:
    """The limits and budgets for a person where they ask.

    Each value is the most generous one among their tiers, to which belongs what the operator set for this server in the
    place of the default. What the server itself set holds where it is stricter than that, and nowhere else.
    """
    limits, own = settings.limits, settings.limits.servers.get(str(actor.guild_id), ServerLimits())
    everybody = limits.default.model_copy(update=_set_for_people(own))
    tiers = [everybody, *(limits.tiers[str(role)] for role in actor.role_ids if str(role) in limits.tiers)]
    best = _best(tiers)
    policy = Policy(
        interval=_interval(best.images_per_hour),
        burst_images=best.burst_images,
        images_per_day=best.images_per_day,
        concurrent_jobs=best.concurrent_jobs,
        guild_images_per_day=_first(own.guild_images_per_day, limits.guild_images_per_day),
        weight=best.weight,
        enabled=limits.enabled,
        guild_concurrent_jobs=_first(own.guild_concurrent_jobs, limits.guild_concurrent_jobs),
        rate_of=_rate_of(best, everybody=everybody, default=limits.default),
        budgets=_budgets(settings, own, tiers, in_guild=actor.guild_id is not None),
        assumed_usd_micros_per_image=micros_of(settings.budget.assumed_usd_per_image),
    )
    return policy if overrides is None or actor.guild_id is None else _tightened(policy, overrides)


def _set_for_people(own: ServerLimits) -> dict[str, float]:
    set_: dict[str, float] = own.model_dump(exclude_none=True)
    return {name: value for name, value in set_.items() if name in Tier.model_fields and name != "usd_per_day"}


def _first(own: int | None, usual: int) -> int:
    return usual if own is None else own


def _rate_of(best: Tier, *, everybody: Tier, default: Tier) -> Literal["everybody", "tier", "guild"]:
    if _rate(best) == _rate(default):
        return "everybody"
    return "guild" if _rate(best) == _rate(everybody) else "tier"


def _rate(tier: Tier) -> tuple[float, int]:
    return tier.images_per_hour, tier.burst_images


def _best(tiers: Sequence[Tier]) -> Tier:
    return Tier(
        images_per_hour=max(tier.images_per_hour for tier in tiers),
        burst_images=max(tier.burst_images for tier in tiers),
        images_per_day=max(tier.images_per_day for tier in tiers),
        concurrent_jobs=max(tier.concurrent_jobs for tier in tiers),
        weight=max(tier.weight for tier in tiers),
    )


def _budgets(settings: Settings, own: ServerLimits, tiers: Sequence[Tier], *, in_guild: bool) -> Budgets:
    budget = settings.budget
    people = [budget.person_usd_per_day if tier.usd_per_day is None else tier.usd_per_day for tier in tiers]
    server_day = budget.server_usd_per_day if own.usd_per_day is None else own.usd_per_day
    server_month = budget.server_usd_per_month if own.usd_per_month is None else own.usd_per_month
    return Budgets(
        person_day=_bound(max(people)) if all(people) else None,
        server_day=_bound(server_day) if in_guild else None,
        server_month=_bound(server_month) if in_guild else None,
        all_day=_bound(budget.all_usd_per_day),
        all_month=_bound(budget.all_usd_per_month),
    )


def _bound(usd: Decimal) -> int | None:
    """The operator's sum as a bound: 0 lifts it."""
    return micros_of(usd) or None


def _tightened(policy: Policy, own: GuildLimits) -> Policy:
    """With the server's own values where they are stricter."""
    per_hour, burst = own.images_per_hour, own.burst_images
    made = replace(
        policy,
        interval=policy.interval if per_hour is None else max(policy.interval, _interval(per_hour)),
        burst_images=_least(policy.burst_images, burst),
        images_per_day=_least(policy.images_per_day, own.images_per_day),
        concurrent_jobs=_least(policy.concurrent_jobs, own.concurrent_jobs),
        guild_images_per_day=_least(policy.guild_images_per_day, own.guild_images_per_day),
        guild_concurrent_jobs=_tighter(policy.guild_concurrent_jobs or None, own.guild_concurrent_jobs or None) or 0,
        budgets=replace(
            policy.budgets,
            person_day=_tighter(policy.budgets.person_day, _micros(own.person_usd_day)),
            server_day=_tighter(policy.budgets.server_day, _micros(own.server_usd_day)),
            server_month=_tighter(policy.budgets.server_month, _micros(own.server_usd_month)),
        ),
    )
    same = (made.interval, made.burst_images) == (policy.interval, policy.burst_images)
    return made if same else replace(made, rate_of="guild")


def _least(operators: int, servers: int | None) -> int:
    return operators if servers is None else min(operators, servers)


def _tighter(operators: int | None, servers: int | None) -> int | None:
    """The smaller of two bounds, of which None is no bound."""
    bounds = [bound for bound in (operators, servers) if bound is not None]
    return min(bounds, default=None)


def _micros(usd: Decimal | None) -> int | None:
    return None if usd is None else micros_of(usd)


def _interval(images_per_hour: float) -> timedelta:
    """The time per image, bounded so that no setting leads to a date that `datetime` can't represent."""
    return timedelta(seconds=min(max(3600 / images_per_hour, 1e-6), _LONGEST_INTERVAL_S))
