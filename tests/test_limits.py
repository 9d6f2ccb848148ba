from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.job import Actor
from bot.domain.money import Cost
from bot.errors import LimitReached
from bot.limits import Allowed, GuildLimits, Policy, Refused, Usage, capped, decide, policy_for, standing
from bot.phrase import phrase
from bot.settings import BudgetSettings, LimitSettings, ServerLimits, Settings, Tier
from tests.english import english

NOW = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
POLICY = Policy(
    interval=MINUTE, burst_images=4, images_per_day=20, concurrent_jobs=2, guild_images_per_day=50, weight=1.0
)
FRESH = Usage(tat=None, images_today=0, guild_images_today=0, active_jobs=0)


def used(**changes: Any) -> Usage:
    return Usage(**{"tat": None, "images_today": 0, "guild_images_today": 0, "active_jobs": 0, **changes})


def limits(**changes: Any) -> Policy:
    return Policy(
        **{
            "interval": MINUTE,
            "burst_images": 4,
            "images_per_day": 20,
            "concurrent_jobs": 2,
            "guild_images_per_day": 50,
            **changes,
        }
    )


def refused(usage: Usage, images: int, policy: Policy = POLICY, now: datetime = NOW) -> Refused:
    verdict = decide(usage, policy, Cost(images), now)
    assert isinstance(verdict, Refused)
    return verdict


# ---------------------------------------------------------------------- the decision


def test_somebody_rested_may_use_the_whole_burst() -> None:
    assert decide(FRESH, POLICY, Cost(4), NOW) == Allowed(NOW + 4 * MINUTE, 16, 4 * MINUTE, usd_micros=400_000)


def test_the_pace_comes_back_image_by_image() -> None:
    spent = used(tat=NOW + 4 * MINUTE, images_today=4)

    assert refused(spent, 1).retry_at == NOW + MINUTE
    assert refused(spent, 2).retry_at == NOW + 2 * MINUTE
    assert refused(spent, 1, now=NOW + MINUTE - TICK).rule == "rate"
    assert decide(spent, POLICY, Cost(1), NOW + MINUTE) == Allowed(NOW + 5 * MINUTE, 15, MINUTE, 100_000)


def test_time_rested_beyond_the_burst_is_not_saved_up() -> None:
    rested = used(tat=NOW - timedelta(days=30))

    assert isinstance(decide(rested, POLICY, Cost(4), NOW), Allowed)
    assert refused(rested, 5).retry_at is None


@pytest.mark.parametrize(
    ("usage", "images", "rule", "retry_at", "left"),
    [
        (used(tat=NOW + 3 * MINUTE), 2, "rate", NOW + MINUTE, 1),
        (used(images_today=19), 2, "user_day", MIDNIGHT, 1),
        (used(images_today=20), 1, "user_day", MIDNIGHT, 0),
        (used(guild_images_today=48), 3, "guild_day", MIDNIGHT, 2),
        (used(active_jobs=2), 1, "concurrent", None, 0),
        (FRESH, 5, "rate", None, 4),
    ],
)
def test_each_rule_refuses_with_what_is_left_and_when(
    usage: Usage, images: int, rule: str, retry_at: datetime | None, left: int
) -> None:
    verdict = refused(usage, images)

    assert (verdict.rule, verdict.retry_at, verdict.left, verdict.images) == (rule, retry_at, left, images)


def test_the_rule_that_takes_longest_is_the_one_reported() -> None:
    everything = used(tat=NOW + 4 * MINUTE, images_today=20, guild_images_today=50, active_jobs=2)

    assert refused(everything, 1).rule in {"user_day", "guild_day"}
    assert refused(used(tat=NOW + 4 * MINUTE, active_jobs=2), 1).rule == "rate"
    assert refused(used(tat=NOW + 4 * MINUTE, images_today=20), 9).retry_at is None


def test_a_stricter_pace_of_before_holds_nobody_up_longer_than_the_whole_burst() -> None:
    strict = used(tat=NOW + timedelta(hours=5))

    assert refused(strict, 1).retry_at == NOW + MINUTE
    assert refused(strict, 4).retry_at == NOW + 4 * MINUTE
    shown = standing(strict, POLICY, NOW)
    assert shown is not None
    assert shown.burst_full_at == NOW + 4 * MINUTE
    endless = limits(interval=timedelta(days=30), burst_images=10**6)
    assert isinstance(decide(strict, endless, Cost(1), NOW), Allowed)


def test_a_servers_rule_does_not_reach_direct_messages() -> None:
    closed = limits(guild_images_per_day=0)

    assert isinstance(decide(used(in_guild=False), closed, Cost(1), NOW), Allowed)
    assert refused(used(in_guild=True), 1, closed).rule == "guild_day"


def test_lifted_limits_allow_anything() -> None:
    lifted = limits(enabled=False)

    verdict = decide(used(tat=NOW + 9 * MINUTE, images_today=999, active_jobs=99), lifted, Cost(50), NOW)

    assert verdict == Allowed(NOW + 9 * MINUTE, None, timedelta(0), 5_000_000)
    assert standing(FRESH, lifted, NOW) is None


@pytest.mark.parametrize("images", [0, -3])
def test_a_request_for_nothing_is_a_mistake(images: int) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        decide(FRESH, POLICY, Cost(images), NOW)


usages = st.builds(
    Usage,
    tat=st.none() | st.integers(-600, 600).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    images_today=st.integers(0, 25),
    guild_images_today=st.integers(0, 60),
    active_jobs=st.integers(0, 1),
    in_guild=st.booleans(),
)
policies = st.builds(
    Policy,
    interval=st.integers(1, 5_000_000).map(lambda us: timedelta(microseconds=us * 37)),
    burst_images=st.integers(1, 9),
    images_per_day=st.integers(0, 25),
    concurrent_jobs=st.just(2),
    guild_images_per_day=st.integers(0, 60),
)


def later(usage: Usage, now: datetime, then: datetime) -> Usage:
    """The same usage when nothing else happened until `then`."""
    same_day = now.date() == then.date()
    return Usage(
        tat=usage.tat,
        images_today=usage.images_today if same_day else 0,
        guild_images_today=usage.guild_images_today if same_day else 0,
        active_jobs=usage.active_jobs,
        in_guild=usage.in_guild,
    )


@given(usages, policies, st.integers(1, 12))
@settings(max_examples=300)
def test_the_retry_moment_is_the_first_that_admits(usage: Usage, policy: Policy, images: int) -> None:
    usage = capped(usage, policy, NOW)  # as the store keeps it
    verdict = decide(usage, policy, Cost(images), NOW)
    if isinstance(verdict, Allowed):
        return
    if verdict.retry_at is None:
        rested = NOW + timedelta(days=365)
        assert isinstance(decide(later(usage, NOW, rested), policy, Cost(images), rested), Refused)
        return
    before, then = verdict.retry_at - TICK, verdict.retry_at
    assert isinstance(decide(later(usage, NOW, before), policy, Cost(images), before), Refused)
    assert isinstance(decide(later(usage, NOW, then), policy, Cost(images), then), Allowed)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 4)), min_size=1, max_size=60))
@settings(max_examples=200)
def test_no_window_admits_more_than_burst_and_pace(requests: list[tuple[int, int]]) -> None:
    policy = limits(images_per_day=10_000, guild_images_per_day=10_000)
    now, tat = NOW, None
    admitted: list[tuple[datetime, int]] = []
    for gap_s, images in requests:
        now += timedelta(seconds=gap_s)
        verdict = decide(used(tat=tat), policy, Cost(images), now)
        if isinstance(verdict, Allowed):
            tat = verdict.tat
            admitted.append((now, images))
    for start in range(len(admitted)):
        total = 0
        for moment, images in admitted[start:]:
            total += images
            assert total <= policy.burst_images + (moment - admitted[start][0]) // policy.interval


@given(usages, policies)
def test_what_usage_says_is_left_is_exactly_what_is_admitted(usage: Usage, policy: Policy) -> None:
    left = standing(usage, policy, NOW)
    assert left is not None
    if left.images_now:
        assert isinstance(decide(usage, policy, Cost(left.images_now), NOW), Allowed)
    assert isinstance(decide(usage, policy, Cost(left.images_now + 1), NOW), Refused)


def test_standing_says_when_things_come_back() -> None:
    found = standing(used(tat=NOW + 3 * MINUTE, images_today=7, guild_images_today=49, active_jobs=1), POLICY, NOW)

    assert found is not None
    assert (found.images_now, found.burst_left, found.burst_full_at) == (1, 1, NOW + 3 * MINUTE)
    assert (found.left_today, found.guild_left_today, found.free_jobs, found.day_ends_at) == (13, 1, 1, MIDNIGHT)


# ---------------------------------------------------------------------- the sentences


@pytest.mark.parametrize(
    ("usage", "images", "policy"),
    [
        (used(tat=NOW + 3 * MINUTE), 2, POLICY),
        (used(tat=NOW + 4 * MINUTE), 1, POLICY),
        (FRESH, 5, POLICY),
        (used(tat=NOW + 4 * MINUTE), 5, POLICY),
        (used(images_today=19), 2, POLICY),
        (used(images_today=20), 1, POLICY),
        (FRESH, 3, limits(images_per_day=2)),
        (used(images_today=2), 3, limits(images_per_day=2)),
        (FRESH, 1, limits(images_per_day=0)),
        (used(guild_images_today=49), 2, POLICY),
        (FRESH, 1, limits(guild_images_per_day=0)),
        (used(active_jobs=2), 1, POLICY),
        (used(active_jobs=1), 1, limits(concurrent_jobs=1)),
    ],
)
def test_every_refusal_is_a_whole_sentence_that_says_what_is_left_and_when(
    usage: Usage, images: int, policy: Policy
) -> None:
    verdict = refused(usage, images, policy)

    error = verdict.error()

    assert isinstance(error, LimitReached)
    assert (error.rule, error.retry_at) == (verdict.rule, verdict.retry_at)
    assert english(error).endswith("No quota was used.")
    assert re.search(r"\d|none", english(error))
    assert not re.search(r"\b1 pictures|\b1 requests|None|  ", english(error))
    assert bool(re.search(r"<t:\d+:f>", english(error))) == bool(verdict.retry_at or verdict.next_at)


def test_the_sentences_read_well() -> None:
    later_s = math.ceil((NOW + MINUTE).timestamp() / 60) * 60

    assert english(refused(used(tat=NOW + 3 * MINUTE, images_today=3), 2).error()) == (
        "That's a bit fast: you have 1 picture left for now. "
        f"From <t:{later_s}:f> you can paint 2 pictures. You have 17 pictures left today. No quota was used."
    )
    assert english(refused(FRESH, 9).error()) == (
        "That would be 9 pictures in one request; ask for at most 4 at once. Right now 4 pictures would go through. "
        "No quota was used."
    )
    assert english(refused(used(images_today=19), 3).error()) == (
        "3 pictures would be more than your 20 pictures a day. You have 1 left today. "
        f"The count starts again at <t:{int(MIDNIGHT.timestamp())}:f>. No quota was used."
    )


def test_a_moment_is_rounded_up_to_the_minute_so_that_it_is_true_when_the_clock_shows_it() -> None:
    whole = datetime(2020, 5, 4, 12, 25, tzinfo=UTC)

    assert english(phrase("after_moment", at=whole)) == f"after <t:{int(whole.timestamp())}:f>"
    assert english(phrase("after_moment", at=whole + TICK)) == f"after <t:{int(whole.timestamp()) + 60}:f>"
    for seconds in (1, 20, 59, 60):
        later = whole + timedelta(seconds=seconds)
        assert english(phrase("after_moment", at=later)) == f"after <t:{int(whole.timestamp()) + 60}:f>"


# ---------------------------------------------------------------------- where limits come from


HOME = 50
LIMITS = LimitSettings(
    enabled=True,
    default=Tier(images_per_hour=30, burst_images=8, images_per_day=60, concurrent_jobs=3, weight=1),
    tiers={
        "11": Tier(images_per_hour=60, burst_images=4, images_per_day=100, concurrent_jobs=2, weight=2),
        "12": Tier(images_per_hour=10, burst_images=20, images_per_day=10, concurrent_jobs=9, weight=0.5),
    },
    guild_images_per_day=500,
    max_waiting_jobs=10,
)
#: Without budgets: those have their own tests.
FREE = BudgetSettings(
    person_usd_per_day=Decimal(0),
    server_usd_per_day=Decimal(0),
    server_usd_per_month=Decimal(0),
    all_usd_per_day=Decimal(0),
    all_usd_per_month=Decimal(0),
)


def policy_of(
    own: GuildLimits | None = None,
    roles: tuple[int, ...] = (),
    guild_id: int | None = HOME,
    limits: LimitSettings = LIMITS,
) -> Policy:
    return policy_for(Settings(limits=limits, budget=FREE), own, Actor(1, 2, guild_id, roles))


def test_everybody_has_the_default_tier() -> None:
    assert policy_of() == policy_of(GuildLimits(), (999,))
    assert policy_of() == Policy(timedelta(minutes=2), 8, 60, 3, 500, 1.0)


def test_of_several_roles_the_most_generous_value_counts_in_any_order() -> None:
    best = Policy(timedelta(minutes=1), 20, 100, 9, 500, 2.0, rate_of="tier")

    assert policy_of(None, (11, 12)) == policy_of(None, (12, 5, 11)) == best


def test_a_servers_own_values_hold_where_they_are_stricter_than_every_tier() -> None:
    own = GuildLimits(images_per_hour=30, burst_images=1, guild_images_per_day=0)

    assert policy_of(own, (11, 12)) == Policy(timedelta(minutes=2), 1, 100, 9, 0, 2.0, rate_of="guild")


LIFTING = GuildLimits(
    images_per_hour=3600,
    burst_images=10_000,
    images_per_day=10_000,
    concurrent_jobs=100,
    guild_images_per_day=100_000,
    guild_concurrent_jobs=0,
)


@pytest.mark.parametrize("roles", [(), (11,), (11, 12)])
def test_a_server_lifts_nothing_that_the_operator_set(roles: tuple[int, ...]) -> None:
    bounded = LIMITS.model_copy(update={"guild_concurrent_jobs": 7})

    assert policy_of(LIFTING, roles) == policy_of(None, roles)
    assert policy_of(LIFTING, roles, limits=bounded) == policy_of(None, roles, limits=bounded)
    stored = GuildLimits.from_json(LIFTING.to_json())  # as a row of before this rule
    assert policy_of(stored, roles) == policy_of(None, roles)


@given(
    st.builds(
        GuildLimits,
        images_per_hour=st.none() | st.floats(0.001, 1e6),
        burst_images=st.none() | st.integers(1, 999),
        images_per_day=st.none() | st.integers(0, 999),
        concurrent_jobs=st.none() | st.integers(1, 99),
        guild_images_per_day=st.none() | st.integers(0, 99_999),
        guild_concurrent_jobs=st.none() | st.integers(0, 99),
    ),
    st.sampled_from([(), (11,), (12,), (11, 12)]),
    st.sampled_from([0, 5]),
)
def test_whatever_a_server_sets_nobody_may_do_more_than_the_operator_allows(
    own: GuildLimits, roles: tuple[int, ...], together: int
) -> None:
    limits = LIMITS.model_copy(update={"guild_concurrent_jobs": together})
    here, operators = policy_of(own, roles, limits=limits), policy_of(None, roles, limits=limits)

    assert here.interval >= operators.interval
    for name in ("burst_images", "images_per_day", "concurrent_jobs", "guild_images_per_day"):
        assert getattr(here, name) <= getattr(operators, name)
        asked = getattr(own, name)
        assert asked is None or getattr(here, name) <= asked
    assert not together or 0 < here.guild_concurrent_jobs <= together
    assert here.weight == operators.weight


def test_the_operator_lifts_or_lowers_one_server_by_its_id() -> None:
    limits = LIMITS.model_copy(
        update={
            "servers": {
                "50": ServerLimits(images_per_hour=120, images_per_day=200, guild_images_per_day=900),
                "51": ServerLimits(burst_images=2, concurrent_jobs=1, guild_concurrent_jobs=4),
            }
        }
    )

    assert policy_of(limits=limits) == Policy(timedelta(seconds=30), 8, 200, 3, 900, 1.0, rate_of="guild")
    lowered = Policy(timedelta(minutes=2), 2, 60, 1, 500, 1.0, guild_concurrent_jobs=4, rate_of="guild")
    assert policy_of(guild_id=51, limits=limits) == lowered
    assert policy_of(guild_id=52, limits=limits) == policy_of(guild_id=None, limits=limits) == policy_of()
    assert policy_of(None, (12,), guild_id=51, limits=limits).concurrent_jobs == 9  # a role of that server gives more
    assert policy_of(GuildLimits(images_per_day=999), limits=limits).images_per_day == 200
    assert policy_of(GuildLimits(images_per_day=100), limits=limits).images_per_day == 100


def test_each_rate_is_counted_apart_and_the_usual_one_once_a_person() -> None:
    lifted = LIMITS.model_copy(update={"servers": {"51": ServerLimits(images_per_hour=120)}})

    def key(own: GuildLimits | None, roles: tuple[int, ...], guild_id: int | None) -> int:
        return policy_of(own, roles, guild_id, limits=lifted).rate_key(guild_id)

    strict, generous = GuildLimits(burst_images=1), GuildLimits(images_per_hour=120)
    assert key(None, (), None) == key(None, (), 50) == key(None, (999,), 52) == 0
    assert (key(strict, (), 50), key(None, (), 51), key(None, (11,), 51)) == (50, 51, 51)
    assert key(generous, (), 50) == 0  # it lifts nothing
    assert key(GuildLimits(images_per_day=3), (), 50) == 0  # its pace is the usual one
    assert key(GuildLimits(images_per_hour=30, burst_images=8), (), 50) == 0  # and so are these numbers
    assert key(None, (11,), 50) == key(None, (11,), 52) < 0
    assert key(None, (12,), 50) != key(None, (11,), 50)
    assert key(None, (12,), 50) >= -(2**63)


@pytest.mark.parametrize("per_hour", [1e-300, 1e-9, 1e300, float("inf")])
def test_no_pace_is_too_extreme_to_decide(per_hour: float) -> None:
    extreme = policy_of(limits=LimitSettings(default=Tier(images_per_hour=per_hour, burst_images=10**6)))

    assert isinstance(decide(FRESH, extreme, Cost(4), NOW), Allowed)
    assert standing(FRESH, extreme, NOW) is not None
    refused(FRESH, 10**6 + 1, extreme).error()


def test_limits_can_be_lifted_altogether() -> None:
    lifted = policy_of(GuildLimits(images_per_day=0), limits=LIMITS.model_copy(update={"enabled": False}))

    assert isinstance(decide(used(images_today=10_000, active_jobs=99), lifted, Cost(99), NOW), Allowed)


@given(
    st.builds(
        GuildLimits,
        images_per_hour=st.none() | st.floats(0.001, 1e6),
        burst_images=st.none() | st.integers(1, 999),
        images_per_day=st.none() | st.integers(0, 999),
        concurrent_jobs=st.none() | st.integers(1, 99),
        guild_images_per_day=st.none() | st.integers(0, 99_999),
        person_usd_day=st.none() | st.decimals(0, 1_000_000, places=6),
        server_usd_month=st.none() | st.decimals(0, 1_000_000, places=2),
    )
)
def test_a_servers_limits_survive_json(own: GuildLimits) -> None:
    assert GuildLimits.from_json(json.loads(json.dumps(own.to_json()))) == own


@pytest.mark.parametrize(
    "stored",
    [
        {"burst_images": 0},
        {"burst_images": "many"},
        {"from_the_future": 3},
        {"images_per_day": True},
        {"images_per_hour": -1},
        {"person_usd_day": "-1"},
        {"person_usd_day": "NaN"},
        {"server_usd_day": "lots"},
        {"server_usd_month": 3.5},
        {"server_usd_month": "1e9"},
        {"server_usd_month": "sNaN"},
        {"burst_images": math.inf},
        {"concurrent_jobs": math.nan},
        {"images_per_hour": math.nan},
        {"images_per_hour": 10**400},
        {"guild_images_per_day": 1e300},
    ],
)
def test_stored_limits_that_make_no_sense_are_left_out_and_lift_nothing_else(stored: dict[str, object]) -> None:
    assert GuildLimits.from_json(stored) == GuildLimits()
    own = GuildLimits(images_per_day=5, server_usd_day=Decimal("0.05"))
    assert GuildLimits.from_json({**own.to_json(), **stored}) == replace(own, **dict.fromkeys({*stored} & SET))


SET = {"images_per_day", "server_usd_day"}


@pytest.mark.parametrize(
    "values",
    [
        {"images_per_hour": 0},
        {"images_per_hour": float("inf")},
        {"burst_images": 0},
        {"images_per_day": -1},
        {"concurrent_jobs": 0},
        {"guild_images_per_day": -1},
        {"person_usd_day": Decimal(-1)},
        {"server_usd_day": Decimal("NaN")},
        {"server_usd_month": Decimal("Infinity")},
        {"server_usd_month": Decimal("1e9")},
    ],
)
def test_limits_out_of_range_are_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        GuildLimits(**values)


def test_a_servers_unfinished_jobs_are_bounded_only_where_a_bound_is_set_and_only_in_servers() -> None:
    bounded = limits(guild_concurrent_jobs=5)
    busy = replace(used(), guild_active_jobs=5)

    answer = decide(busy, bounded, Cost(1), NOW)

    assert isinstance(answer, Refused)
    error = answer.error()
    assert (error.rule, error.retry_at) == ("guild_concurrent", None)
    assert "This server already has 5 requests in progress" in english(error)
    assert "No quota was used." in english(error)
    assert isinstance(decide(replace(busy, guild_active_jobs=4), bounded, Cost(1), NOW), Allowed)
    assert isinstance(decide(busy, limits(), Cost(1), NOW), Allowed)
    assert isinstance(decide(replace(busy, in_guild=False), bounded, Cost(1), NOW), Allowed)
    shown = standing(replace(busy, guild_active_jobs=4), bounded, NOW)
    assert shown is not None
    assert shown.guild_free_jobs == 1
    shown = standing(busy, bounded, NOW)
    assert shown is not None
    assert (shown.guild_free_jobs, shown.images_now) == (0, 0)
    assert shown.free_jobs > 0


def test_a_bound_on_a_servers_unfinished_jobs_is_the_operators_unless_the_server_sets_a_stricter_one() -> None:
    operators = LIMITS.model_copy(update={"guild_concurrent_jobs": 7})

    assert policy_of().guild_concurrent_jobs == 0
    assert policy_of(limits=operators).guild_concurrent_jobs == 7
    assert policy_of(GuildLimits(guild_concurrent_jobs=2), limits=operators).guild_concurrent_jobs == 2
    assert policy_of(GuildLimits(guild_concurrent_jobs=9), limits=operators).guild_concurrent_jobs == 7
    assert policy_of(GuildLimits(guild_concurrent_jobs=0), limits=operators).guild_concurrent_jobs == 7
    assert policy_of(GuildLimits(guild_concurrent_jobs=9)).guild_concurrent_jobs == 9
    assert GuildLimits.from_json(GuildLimits(guild_concurrent_jobs=0).to_json()).guild_concurrent_jobs == 0


def test_a_clock_that_was_set_back_is_no_stricter_pace_of_before() -> None:
    tat = NOW + 4 * MINUTE
    set_back = replace(used(tat=tat), seen=NOW)

    assert capped(set_back, POLICY, NOW - timedelta(hours=1)).tat == tat
    assert capped(replace(set_back, seen=None), POLICY, NOW - timedelta(hours=1)).tat == tat - timedelta(hours=1)
    assert capped(replace(set_back, tat=tat + MINUTE), POLICY, NOW - timedelta(hours=1)).tat == tat
