"""Budgets: which one refuses, what it says, and what a server may set."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.job import Actor
from bot.domain.money import Cost
from bot.limits import Allowed, Budgets, GuildLimits, Refused, Spent, Usage, decide, policy_for, standing
from bot.settings import BudgetSettings, LimitSettings, ServerLimits, Settings, Tier
from tests.english import english

NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 12, 6, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
HOME = 50
USD = 1_000_000
#: The budget of each rule, and when it returns.
RULES = {
    "person_usd_day": ("person_day", MIDNIGHT),
    "server_usd_day": ("server_day", MIDNIGHT),
    "server_usd_month": ("server_month", NEW_YEAR),
    "all_usd_day": ("all_day", MIDNIGHT),
    "all_usd_month": ("all_month", NEW_YEAR),
}
WIDE = policy_for(
    Settings(
        limits=LimitSettings(default=Tier(images_per_hour=10_000, burst_images=100, images_per_day=1000)),
        budget=BudgetSettings(
            person_usd_per_day=Decimal(0),
            server_usd_per_day=Decimal(0),
            server_usd_per_month=Decimal(0),
            all_usd_per_day=Decimal(0),
            all_usd_per_month=Decimal(0),
        ),
    ),
    None,
    Actor(1, 2, HOME),
)


def spent(**micros: int) -> Usage:
    return Usage(None, 0, 0, 0, spent=Spent(**micros))


def refusal(usage: Usage, usd: str, *, images: int = 1, **budgets: int) -> Refused:
    verdict = decide(usage, replace(WIDE, budgets=Budgets(**budgets)), Cost(images, Decimal(usd)), NOW)
    assert isinstance(verdict, Refused)
    return verdict


@pytest.mark.parametrize("rule", RULES)
def test_a_budget_admits_to_its_last_millionth_and_no_further(rule: str) -> None:
    name, ends_at = RULES[rule]
    policy = replace(WIDE, budgets=Budgets(**{name: 5 * USD}))

    fits = decide(spent(**{name: 4 * USD}), policy, Cost(1, Decimal(1)), NOW)
    assert isinstance(fits, Allowed)
    assert fits.usd_micros == USD
    verdict = decide(spent(**{name: 4 * USD + 1}), policy, Cost(1, Decimal(1)), NOW)
    assert isinstance(verdict, Refused)
    assert (verdict.rule, verdict.retry_at, verdict.cost_usd) == (rule, ends_at, Decimal(1))
    never = decide(spent(), policy, Cost(1, Decimal("5.000001")), NOW)
    assert isinstance(never, Refused)
    assert (never.rule, never.retry_at) == (rule, None)


@pytest.mark.parametrize("rule", RULES)
def test_a_budget_of_0_allows_nothing_not_even_what_is_free(rule: str) -> None:
    name, _ = RULES[rule]

    for usd in ("0", "0.000001", "3"):
        verdict = refusal(spent(), usd, **{name: 0})
        assert (verdict.rule, verdict.retry_at, verdict.is_closed) == (rule, None, True)
    assert isinstance(decide(spent(**{name: USD}), replace(WIDE, budgets=Budgets()), Cost(1, Decimal(9)), NOW), Allowed)


def test_what_is_free_passes_a_budget_that_is_used_up() -> None:
    used_up = replace(WIDE, budgets=Budgets(person_day=USD, all_day=USD))

    assert isinstance(decide(spent(person_day=USD, all_day=2 * USD), used_up, Cost(1, Decimal(0)), NOW), Allowed)


def test_an_unknown_price_is_reserved_at_what_is_assumed_for_each_picture() -> None:
    policy = replace(WIDE, budgets=Budgets(person_day=USD), assumed_usd_micros_per_image=300_000)

    fits = decide(spent(), policy, Cost(3), NOW)
    assert isinstance(fits, Allowed)
    assert fits.usd_micros == 900_000
    assert isinstance(decide(spent(), policy, Cost(4), NOW), Refused)


def test_the_month_is_reported_where_the_day_would_return_sooner() -> None:
    both = refusal(spent(server_day=5 * USD, server_month=9 * USD), "1", server_day=5 * USD, server_month=9 * USD)

    assert (both.rule, both.retry_at) == ("server_usd_month", NEW_YEAR)


def test_limits_that_are_off_lift_budgets_too() -> None:
    off = replace(WIDE, enabled=False, budgets=Budgets(person_day=0, all_month=1))

    verdict = decide(spent(all_month=USD), off, Cost(2, Decimal(9)), NOW)
    assert isinstance(verdict, Allowed)
    assert verdict.usd_micros == 9 * USD


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["later", "never", "zero"])
@pytest.mark.parametrize("own", [None, 2 * USD])
def test_a_refusal_says_the_budget_the_price_what_is_left_and_when(rule: str, kind: str, own: int | None) -> None:
    name, ends_at = RULES[rule]
    if kind == "zero" and rule.startswith("all"):
        return  # nobody but the operator sets these, whose 0 lifts them
    bound = {"later": 7 * USD, "never": 1_000_000, "zero": 0}[kind]
    budgets = {"person_day": own, name: bound}
    usage = spent(**{"person_day": 100_050, name: min(bound, 6_500_000) if kind == "later" else 100_050})
    verdict = decide(usage, replace(WIDE, budgets=Budgets(**budgets)), Cost(4, Decimal("1.25")), NOW)

    assert isinstance(verdict, Refused)
    assert verdict.rule == rule
    told = english(verdict.error())
    assert told.endswith("No quota was used.")
    assert (f"<t:{int(ends_at.timestamp())}" in told) == (kind == "later")
    assert kind == "zero" or "$1.25" in told
    if rule != "person_usd_day" and kind != "zero":
        assert ("has $1.89 left today" in told) == (own is not None)
        assert ("no daily budget of your own" in told) == (own is None)
    assert not {"None", "Decimal", "  "} & {word for word in ("None", "Decimal", "  ") if word in told}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "person_usd_day"])
def test_a_refusal_never_tells_what_others_spent(rule: str) -> None:
    name, _ = RULES[rule]
    told = {
        english(refusal(spent(**{name: others}), "0.5", person_day=2 * USD, **{name: 5 * USD}).error())
        for others in (4_600_000, 4_999_999, 5_000_000)
    }

    assert len(told) == 1
    assert "$5" not in told.pop()


def test_the_sentence_about_the_persons_own_budget_reads_well() -> None:
    error = refusal(spent(person_day=1_640_000), "0.54", images=2, person_day=2 * USD).error()

    assert english(error) == (
        "This request may cost up to $0.54, and you have $0.36 left of your $2.00 for today. Your budget starts again "
        f"at <t:{int(MIDNIGHT.timestamp())}:f>. Fewer or smaller pictures, or a cheaper model from `/models`, may "
        "still fit. No quota was used."
    )
    assert error.fewer_might_do
    assert error.can_pass_later


def test_what_is_left_of_the_own_budget_is_part_of_the_standing() -> None:
    found = standing(spent(person_day=1_640_000), replace(WIDE, budgets=Budgets(person_day=2 * USD)), NOW)

    assert found is not None
    assert (found.usd_left_today, found.usd_per_day) == (Decimal("0.36"), Decimal(2))
    unbounded = standing(spent(), WIDE, NOW)
    assert unbounded is not None
    assert (unbounded.usd_left_today, unbounded.usd_per_day) == (None, None)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("bound", "used", "is_used_up"), [(USD, USD, True), (USD, USD - 1, False), (0, 0, True)])
def test_the_standing_names_the_budgets_that_are_used_up_and_when_they_return(
    rule: str, bound: int, used: int, is_used_up: bool
) -> None:
    name, returns_at = RULES[rule]
    found = standing(spent(**{name: used}), replace(WIDE, budgets=Budgets(**{name: bound})), NOW)

    assert found is not None
    assert found.used_up == (((rule, returns_at if bound else None),) if is_used_up else ())
    assert found.images_now == (0 if is_used_up else 100)


# ---------------------------------------------------------------------- where budgets come from


def budgets(
    own: GuildLimits | None = None,
    *roles: int,
    guild_id: int | None = HOME,
    limits: LimitSettings | None = None,
    **usd: Decimal,
) -> Budgets:
    settings = Settings(limits=limits or LimitSettings(), budget=BudgetSettings(**usd))
    return policy_for(settings, own, Actor(1, 2, guild_id, roles)).budgets


def test_the_defaults_are_2_10_100_25_and_250_dollars() -> None:
    assert budgets() == Budgets(2 * USD, 10 * USD, 100 * USD, 25 * USD, 250 * USD)
    assert budgets(guild_id=None) == Budgets(2 * USD, None, None, 25 * USD, 250 * USD)


def test_only_the_operators_0_lifts_a_bound() -> None:
    assert budgets(all_usd_per_day=Decimal(0), person_usd_per_day=Decimal(0)) == Budgets(
        None, 10 * USD, 100 * USD, None, 250 * USD
    )
    zero = GuildLimits(person_usd_day=Decimal(0), server_usd_day=Decimal(0), server_usd_month=Decimal(0))
    assert budgets(zero) == Budgets(0, 0, 0, 25 * USD, 250 * USD)
    assert budgets(zero, person_usd_per_day=Decimal(0)).person_day == 0


@given(*[st.none() | st.decimals(0, 1_000_000, places=6)] * 3)
def test_whatever_a_server_sets_no_budget_grows(
    person: Decimal | None, day: Decimal | None, month: Decimal | None
) -> None:
    made = budgets(GuildLimits(person_usd_day=person, server_usd_day=day, server_usd_month=month))

    for field in fields(Budgets):
        least, operators = getattr(made, field.name), getattr(budgets(), field.name)
        assert least is not None
        assert least <= operators
    assert person is None or (made.person_day or 0) <= person * USD


def test_a_servers_budget_holds_where_the_operator_has_none() -> None:
    own = GuildLimits(server_usd_day=Decimal("0.05"))

    assert budgets(own, server_usd_per_day=Decimal(0)).server_day == 50_000
    assert budgets(own, server_usd_per_day=Decimal("0.04")).server_day == 40_000


def test_a_role_or_the_operators_word_on_a_server_may_give_more() -> None:
    limits = LimitSettings(
        tiers={"11": Tier(usd_per_day=Decimal(5)), "12": Tier(usd_per_day=Decimal(0)), "13": Tier()},
        servers={"50": ServerLimits(usd_per_day=Decimal(40), usd_per_month=Decimal(0))},
    )

    assert budgets(None, 11, limits=limits).person_day == 5 * USD
    assert budgets(None, 13, limits=limits).person_day == 2 * USD
    assert budgets(None, 11, 12, limits=limits).person_day is None
    assert budgets(GuildLimits(person_usd_day=Decimal(1)), 11, 12, limits=limits).person_day == USD
    here, elsewhere = budgets(limits=limits), budgets(limits=limits, guild_id=51)
    assert (here.server_day, here.server_month) == (40 * USD, None)
    assert (elsewhere.server_day, elsewhere.server_month) == (10 * USD, 100 * USD)


def test_the_default_tier_may_have_a_budget_of_its_own() -> None:
    assert budgets(limits=LimitSettings(default=Tier(usd_per_day=Decimal("0.5")))).person_day == 500_000
