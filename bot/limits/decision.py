"""The decision about one request, and what somebody has left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from bot.domain.money import Cost, usd_of
from bot.limits.policy import Policy
from bot.limits.refusals import Refused


@dataclass(frozen=True, slots=True)
class Spent:
    """What counts against each budget, in millionths of a US dollar: reserved and settled, in this UTC day or month."""

    person_day: int = 0
    server_day: int = 0
    server_month: int = 0
    all_day: int = 0
    all_month: int = 0


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
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request is allowed; the caller must store `tat`."""

    tat: datetime
    #: Images left for the person today after this request; None when limits are off.
    left_today: int | None
    #: Time that the request added to `tat`; subtracted again when the job fails.
    span: timedelta = timedelta(0)
    #: What is reserved, in millionths of a US dollar.
    usd_micros: int = 0


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
    #: What is left of the person's own budget today, and that budget, in US dollars; None where they have none.
    usd_left_today: Decimal | None = None
    usd_per_day: Decimal | None = None
    #: The rules of the budgets that have nothing left, and when they return; None: never. No figures of others.
    used_up: tuple[tuple[str, datetime | None], ...] = ()


def decide(usage: Usage, policy: Policy, cost: Cost, now: datetime) -> Allowed | Refused:
    """Check one request, at its worst-case cost, against all rules.

    If several rules refuse it, the one that takes longest to clear is reported, so that waiting once is enough.
    """
    images = cost.images
    if images < 1:
        raise ValueError(f"a request is for at least one image, not {images}")
    start = now if usage.tat is None else max(usage.tat, now)
    usd_micros = policy.usd_micros(cost)
    if not policy.enabled:
        return Allowed(start, None, usd_micros=usd_micros)
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
            *over_budget(usage.spent, policy, images, usd_micros, now, left_today=_left_today(usage, policy)),
        )
        if refused is not None
    ]
    if refusals:
        return max(refusals, key=_clears_at)
    span = policy.interval * images
    return Allowed(start + span, policy.images_per_day - usage.images_today - images, span, usd_micros)


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
    used_up = tuple(
        (refused.rule, refused.retry_at)
        for refused in over_budget(usage.spent, policy, 1, 1, now, left_today=left_today)
    )
    return Standing(
        images_now=min(bounds) if free_jobs and guild_free != 0 and not used_up else 0,
        burst_left=burst_left,
        burst_full_at=usage.tat if usage.tat is not None and usage.tat > now else None,
        burst=policy.burst_images,
        images_per_hour=policy.images_per_hour,
        left_today=left_today,
        guild_left_today=guild_left,
        free_jobs=free_jobs,
        guild_free_jobs=guild_free,
        day_ends_at=midnight(now),
        usd_left_today=_own_left(usage.spent, policy),
        used_up=used_up,
        usd_per_day=None if policy.budgets.person_day is None else usd_of(policy.budgets.person_day),
    )


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
    tomorrow = midnight(now)
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


# ---------------------------------------------------------------------- the budgets


def over_budget(
    spent: Spent, policy: Policy, images: int, usd_micros: int, now: datetime, *, left_today: int
) -> Iterator[Refused]:
    """A refusal by each budget that has no room for this sum.

    Args:
        images: that the sum is for.
        usd_micros: the worst case, in millionths of a US dollar.
        left_today: images left for the person.
    """
    budgets, day, month = policy.budgets, midnight(now), month_end(now)
    for rule, used, bound, ends_at in (
        ("person_usd_day", spent.person_day, budgets.person_day, day),
        ("server_usd_day", spent.server_day, budgets.server_day, day),
        ("server_usd_month", spent.server_month, budgets.server_month, month),
        ("all_usd_day", spent.all_day, budgets.all_day, day),
        ("all_usd_month", spent.all_month, budgets.all_month, month),
    ):
        if bound is None or (bound and (not usd_micros or used + usd_micros <= bound)):
            continue
        left = max(0, bound - used)
        image_usd_micros = max(1, usd_micros // images)
        yield Refused(
            rule=rule,
            retry_at=ends_at if bound and usd_micros <= bound else None,
            left_today=left_today,
            images=images,
            left=left // image_usd_micros,
            bound=bound // image_usd_micros,
            next_at=None,
            cost_usd=usd_of(usd_micros),
            left_usd=_own_left(spent, policy),
            bound_usd=usd_of(bound) if rule == "person_usd_day" else None,
            is_closed=not bound,
        )


def _own_left(spent: Spent, policy: Policy) -> Decimal | None:
    bound = policy.budgets.person_day
    return None if bound is None else usd_of(max(0, bound - spent.person_day))


def midnight(now: datetime) -> datetime:
    """The next midnight UTC, when the counts of a day are reset."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def month_end(now: datetime) -> datetime:
    """The next first of a month at midnight UTC, when the counts of a month are reset."""
    today = now.astimezone(UTC).date()
    return datetime.combine((today.replace(day=1) + timedelta(days=32)).replace(day=1), time(), UTC)
