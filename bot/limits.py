"""Rate limits and quotas: the policy, the usage, and the decision about one request. No clock, no database.

Five rules apply to every request:

- `rate`: a generic cell rate algorithm (GCRA) per person. One moment, the theoretical arrival time (`tat`), says how
  much of the burst is used: an image costs `interval`, and `tat` may run ahead of now by `burst_images * interval`.
  Such a moment means something under its own rate only, so a place with another rate counts apart (`Policy.rate_key`).
- `user_day` and `guild_day`: images per person and per server in the UTC calendar day.
- `concurrent` and `guild_concurrent`: unfinished jobs per person and per server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import Literal, Self

from bot.domain.money import Cost
from bot.errors import LimitReached
from bot.phrase import Phrase, phrase
from bot.settings import LimitSettings, Tier

_LONGEST_INTERVAL_S = 30 * 24 * 3600


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
    """Limits that a server sets for all its members; None keeps the operator's value.

    Raises:
        ValueError: a value out of range, naming it.
    """

    images_per_hour: float | None = None
    burst_images: int | None = None
    images_per_day: int | None = None
    concurrent_jobs: int | None = None
    guild_images_per_day: int | None = None
    guild_concurrent_jobs: int | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        if self.images_per_hour is not None and not 0 < self.images_per_hour < float("inf"):
            raise ValueError(f"images_per_hour must be above 0, not {self.images_per_hour}")

    def to_json(self) -> dict[str, float | int]:
        """The values that are set."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what `to_json` wrote. Unknown keys and values of other types are ignored; one out of range voids all."""
        known: dict[str, float | int] = {}
        for name in ("images_per_hour", *_LEAST):
            value = data.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                known[name] = float(value) if name == "images_per_hour" else int(value)
        try:
            return cls(**known)  # type: ignore[arg-type]  # the names decide the types just above
        except ValueError:
            return cls()


_LEAST: Mapping[str, int] = {
    "burst_images": 1,
    "images_per_day": 0,
    "concurrent_jobs": 1,
    "guild_images_per_day": 0,
    "guild_concurrent_jobs": 0,
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person, and their server, has used of the limits."""

    #: The GCRA's theoretical arrival time; None if nothing was requested yet.
    tat: datetime | None
    images_today: int
    guild_images_today: int
    active_jobs: int
    #: False in direct messages and group chats, where the server's limits do not apply.
    in_guild: bool = True
    guild_active_jobs: int = 0
    #: The latest time at which `tat` was computed; ahead of now after the clock was set back.
    seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request is allowed; the caller must store `tat`."""

    tat: datetime
    #: Images left for the person today after this request; None when limits are off.
    left_today: int | None
    #: Time that the request added to `tat`; subtracted again when the job fails.
    span: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is refused, and why."""

    #: `rate`, `user_day`, `guild_day`, `concurrent` or `guild_concurrent`.
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

    def error(self) -> LimitReached:
        """The refusal as an error with a phrase for the person."""
        fewer = self.images > 1 and self.bound > 0 and not self.rule.endswith("concurrent")
        return LimitReached(self.rule, _SAYS[self.rule](self), self.retry_at, fewer_might_do=fewer)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person has left of all limits, for `/usage`."""

    #: Images that one request may have now, under all rules.
    images_now: int
    #: Images that the rate rule alone allows now, and when the burst is unused again (None: it is now).
    burst_left: int
    burst_full_at: datetime | None
    #: What the rate rule allows in a row after a pause, and how many an hour come back.
    burst: int
    images_per_hour: float
    left_today: int
    #: None outside servers.
    guild_left_today: int | None
    free_jobs: int
    #: Free jobs of all people in the server together; None outside servers, and where there is no such limit.
    guild_free_jobs: int | None
    #: When the counts per day are reset (midnight UTC).
    day_ends_at: datetime


def decide(usage: Usage, policy: Policy, cost: Cost, now: datetime) -> Allowed | Refused:
    """Check one request, at its worst-case cost, against all rules.

    If several rules refuse it, the one that takes longest to clear is reported, so that waiting once is enough.
    """
    images = cost.images
    if images < 1:
        raise ValueError(f"a request is for at least one image, not {images}")
    start = now if usage.tat is None else max(usage.tat, now)
    if not policy.enabled:
        return Allowed(start, None)
    usage = capped(usage, policy, now)
    start = now if usage.tat is None else max(usage.tat, now)
    refusals = [
        refused
        for refused in (
            _user_day(usage, policy, images, now),
            _guild_day(usage, policy, images, now),
            _rate(usage, policy, images, now),
            _concurrent(usage, policy, images),
            _guild_concurrent(usage, policy, images),
        )
        if refused is not None
    ]
    if refusals:
        return max(refusals, key=_clears_at)
    span = policy.interval * images
    return Allowed(start + span, policy.images_per_day - usage.images_today - images, span)


def capped(usage: Usage, policy: Policy, now: datetime) -> Usage:
    """The usage with its arrival time capped to the furthest that this policy can produce: now plus the whole burst.

    A later one comes from a stricter policy, since relaxed, and must not block a person for longer than this policy's
    burst. The store keeps the capped time also when it refuses: otherwise the cap would move
    along with now. After the clock was set back, `seen` counts instead of now, so that nothing is cut off.
    """
    burst = policy.interval * policy.burst_images
    latest = now if usage.seen is None else max(now, usage.seen)
    if usage.tat is None or usage.tat - latest <= burst:
        return usage
    return replace(usage, tat=latest + burst)


def standing(usage: Usage, policy: Policy, now: datetime) -> Standing | None:
    """What a person has left; None when limits are off."""
    if not policy.enabled:
        return None
    usage = capped(usage, policy, now)
    burst_left = _burst_left(usage, policy, now)
    left_today = max(0, policy.images_per_day - usage.images_today)
    guild_left = max(0, policy.guild_images_per_day - usage.guild_images_today) if usage.in_guild else None
    free_jobs = max(0, policy.concurrent_jobs - usage.active_jobs)
    guild_free = None
    if usage.in_guild and policy.guild_concurrent_jobs:
        guild_free = max(0, policy.guild_concurrent_jobs - usage.guild_active_jobs)
    bounds = [burst_left, left_today, *([guild_left] if guild_left is not None else [])]
    return Standing(
        images_now=min(bounds) if free_jobs and guild_free != 0 else 0,
        burst_left=burst_left,
        burst_full_at=usage.tat if usage.tat is not None and usage.tat > now else None,
        burst=policy.burst_images,
        images_per_hour=policy.images_per_hour,
        left_today=left_today,
        guild_left_today=guild_left,
        free_jobs=free_jobs,
        guild_free_jobs=guild_free,
        day_ends_at=_midnight(now),
    )


def policy_for(settings: LimitSettings, overrides: GuildLimits | None, role_ids: Sequence[int]) -> Policy:
    """The limits for a person with these roles.

    Each value is the most generous one among their tiers; values that the server sets then replace it.
    """
    tiers = [settings.default, *(settings.tiers[str(role)] for role in role_ids if str(role) in settings.tiers)]
    best = _best(tiers)
    policy = Policy(
        interval=_interval(best.images_per_hour),
        burst_images=best.burst_images,
        images_per_day=best.images_per_day,
        concurrent_jobs=best.concurrent_jobs,
        guild_images_per_day=settings.guild_images_per_day,
        weight=best.weight,
        enabled=settings.enabled,
        guild_concurrent_jobs=settings.guild_concurrent_jobs,
        rate_of="everybody" if _rate_of(best) == _rate_of(settings.default) else "tier",
    )
    return policy if overrides is None else _overridden(policy, overrides)


def _rate_of(tier: Tier) -> tuple[float, int]:
    return tier.images_per_hour, tier.burst_images


def _best(tiers: Sequence[Tier]) -> Tier:
    if len(tiers) == 1:
        return tiers[0]
    return Tier(
        images_per_hour=max(tier.images_per_hour for tier in tiers),
        burst_images=max(tier.burst_images for tier in tiers),
        images_per_day=max(tier.images_per_day for tier in tiers),
        concurrent_jobs=max(tier.concurrent_jobs for tier in tiers),
        weight=max(tier.weight for tier in tiers),
    )


def _overridden(policy: Policy, overrides: GuildLimits) -> Policy:
    changes = overrides.to_json()
    per_hour = changes.pop("images_per_hour", None)
    own = replace(policy, **changes)  # type: ignore[arg-type]  # the names of both are the same
    own = own if per_hour is None else replace(own, interval=_interval(per_hour))
    same = (own.interval, own.burst_images) == (policy.interval, policy.burst_images)
    return own if same else replace(own, rate_of="guild")


def _interval(images_per_hour: float) -> timedelta:
    """The time per image, bounded so that no setting leads to a date that `datetime` can't represent."""
    return timedelta(seconds=min(max(3600 / images_per_hour, 1e-6), _LONGEST_INTERVAL_S))


# ---------------------------------------------------------------------- the rules


def _user_day(usage: Usage, policy: Policy, images: int, now: datetime) -> Refused | None:
    return _day("user_day", usage.images_today, policy.images_per_day, usage, policy, images, now)


def _guild_day(usage: Usage, policy: Policy, images: int, now: datetime) -> Refused | None:
    if not usage.in_guild:
        return None
    return _day("guild_day", usage.guild_images_today, policy.guild_images_per_day, usage, policy, images, now)


def _day(  # noqa: PLR0917  # the two day rules share everything but two numbers
    rule: str, used: int, bound: int, usage: Usage, policy: Policy, images: int, now: datetime
) -> Refused | None:
    if used + images <= bound:
        return None
    tomorrow = _midnight(now)
    return Refused(
        rule=rule,
        retry_at=tomorrow if images <= bound else None,
        left_today=_left_today(usage, policy),
        images=images,
        left=max(0, bound - used),
        bound=bound,
        next_at=tomorrow if bound and used >= bound else None,
    )


def _rate(usage: Usage, policy: Policy, images: int, now: datetime) -> Refused | None:
    room = _room(usage, policy, now)
    missing = policy.interval * images - room
    if images <= policy.burst_images and missing <= timedelta(0):
        return None
    left = _burst_left(usage, policy, now)
    return Refused(
        rule="rate",
        retry_at=now + missing if images <= policy.burst_images else None,
        left_today=_left_today(usage, policy),
        images=images,
        left=left,
        bound=policy.burst_images,
        next_at=None if left else now + (policy.interval - room),
    )


def _concurrent(usage: Usage, policy: Policy, images: int) -> Refused | None:
    if usage.active_jobs < policy.concurrent_jobs:
        return None
    return Refused(
        rule="concurrent",
        retry_at=None,
        left_today=_left_today(usage, policy),
        images=images,
        left=0,
        bound=policy.concurrent_jobs,
    )


def _guild_concurrent(usage: Usage, policy: Policy, images: int) -> Refused | None:
    bound = policy.guild_concurrent_jobs
    if not bound or not usage.in_guild or usage.guild_active_jobs < bound:
        return None
    return Refused(
        rule="guild_concurrent",
        retry_at=None,
        left_today=_left_today(usage, policy),
        images=images,
        left=0,
        bound=bound,
    )


def _clears_at(refused: Refused) -> tuple[int, datetime]:
    """Sort key, greatest first: never allowed, then by the time when it will be, then an unfinished job."""
    if refused.retry_at is not None:
        return (1, refused.retry_at)
    return (0 if refused.rule in {"concurrent", "guild_concurrent"} else 2, datetime.min.replace(tzinfo=UTC))


def _room(usage: Usage, policy: Policy, now: datetime) -> timedelta:
    """Time left of the burst; negative after a stricter policy came into force."""
    ahead = timedelta(0) if usage.tat is None else max(usage.tat - now, timedelta(0))
    return policy.interval * policy.burst_images - ahead


def _burst_left(usage: Usage, policy: Policy, now: datetime) -> int:
    return max(0, _room(usage, policy, now) // policy.interval)


def _left_today(usage: Usage, policy: Policy) -> int:
    return max(0, policy.images_per_day - usage.images_today)


def _midnight(now: datetime) -> datetime:
    """The next midnight UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


# ---------------------------------------------------------------------- refusals as phrases


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


_SAYS: Mapping[str, Callable[[Refused], Phrase]] = {
    "rate": _says_rate,
    "user_day": _says_user_day,
    "guild_day": _says_guild_day,
    "concurrent": _says_concurrent,
    "guild_concurrent": _says_guild_concurrent,
}
