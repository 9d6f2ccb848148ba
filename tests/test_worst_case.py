from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.worst_case import as_markdown, as_text
from bot.domain.job import Actor
from bot.domain.money import micros_of
from bot.limits import policy_for
from bot.settings import BudgetSettings, Settings
from bot.worst_case import DAYS, Bound, Row, worst_case

PERSON, SERVER, MONTH = "budget.person_usd_per_day", "budget.server_usd_per_day", "budget.server_usd_per_month"
ALL, ALL_MONTH = "budget.all_usd_per_day", "budget.all_usd_per_month"


def rows(**sections: Any) -> dict[str, Row]:
    """The table by whom it is about, and the id where there is one."""
    return {row.who + row.subject: row for row in table(**sections)}


def table(**sections: Any) -> list[Row]:
    return worst_case(Settings.model_validate(sections))


def bound(usd: str, by: str) -> Bound:
    return Bound(Decimal(usd), by)


def test_by_default() -> None:
    assert worst_case(Settings()) == [
        Row("stranger", bound("2", PERSON), bound("62", f"{PERSON} × 31 days")),
        Row("any_server", bound("10", SERVER), bound("100", MONTH)),
        Row("everybody", bound("25", ALL), bound("250", ALL_MONTH)),
    ]


@pytest.mark.parametrize(
    ("budget", "who", "day", "month"),
    [
        ({"person_usd_per_day": "0.5"}, "stranger", ("0.5", PERSON), ("15.5", f"{PERSON} × 31 days")),
        ({"person_usd_per_day": 40}, "stranger", ("25", ALL), ("250", ALL_MONTH)),
        ({"person_usd_per_day": 0}, "stranger", ("25", ALL), ("250", ALL_MONTH)),
        ({"person_usd_per_day": 9}, "stranger", ("9", PERSON), ("250", ALL_MONTH)),
        ({"all_usd_per_day": 1}, "stranger", ("1", ALL), ("31", f"{ALL} × 31 days")),
        ({"all_usd_per_day": 1}, "any_server", ("1", ALL), ("31", f"{ALL} × 31 days")),
        ({"all_usd_per_month": 5}, "any_server", ("5", ALL_MONTH), ("5", ALL_MONTH)),
        ({"server_usd_per_month": 7}, "any_server", ("7", MONTH), ("7", MONTH)),
        ({"server_usd_per_day": 1}, "any_server", ("1", SERVER), ("31", f"{SERVER} × 31 days")),
        ({"server_usd_per_day": 0}, "any_server", ("25", ALL), ("100", MONTH)),
        ({"all_usd_per_day": 0}, "everybody", ("250", ALL_MONTH), ("250", ALL_MONTH)),
        ({"all_usd_per_month": 0}, "everybody", ("25", ALL), ("775", f"{ALL} × 31 days")),
    ],
)
def test_the_lowest_setting_bounds(
    budget: dict[str, Any], who: str, day: tuple[str, str], month: tuple[str, str]
) -> None:
    row = rows(budget=budget)[who]
    assert (row.day, row.month) == (bound(*day), bound(*month))


LIFTED = {"all_usd_per_day": 0, "all_usd_per_month": 0}


@pytest.mark.parametrize(
    ("budget", "unbounded"),
    [
        (LIFTED, {"everybody"}),
        ({**LIFTED, "person_usd_per_day": 0}, {"everybody", "stranger"}),
        ({**LIFTED, "server_usd_per_day": 0}, {"everybody"}),  # a day can't cost more than its month
        ({**LIFTED, "server_usd_per_day": 0, "server_usd_per_month": 0}, {"everybody", "any_server"}),
    ],
)
def test_where_every_bound_is_lifted_there_is_none(budget: dict[str, Any], unbounded: set[str]) -> None:
    found = rows(budget=budget)
    assert {who for who, row in found.items() if row.day.usd is None} == unbounded
    assert {who for who, row in found.items() if row.month.usd is None} == unbounded


def test_without_limits_nothing_has_a_bound() -> None:
    found = table(limits={"enabled": False})
    assert all(one == Bound(None, "limits.enabled") for row in found for one in (row.day, row.month))
    assert "limits.enabled is false" in as_text(found)


def test_roles_and_servers_with_bounds_of_their_own_have_lines_of_their_own() -> None:
    found = rows(
        limits={
            "tiers": {"5": {"usd_per_day": 6}, "6": {"images_per_day": 600}, "7": {"usd_per_day": 0}},
            "servers": {"8": {"usd_per_day": 20}, "9": {"usd_per_month": 50}, "10": {"images_per_day": 9}},
        }
    )
    assert list(found) == ["stranger", "role5", "role7", "any_server", "server8", "server9", "everybody"]
    assert found["role5"].day == bound("6", "limits.tiers.5.usd_per_day")
    assert found["role7"].day == bound("25", ALL)  # 0 lifts the person's bound alone
    assert found["server8"].day == bound("20", "limits.servers.8.usd_per_day")
    assert found["server8"].month == bound("100", MONTH)
    assert found["server9"].day == bound("10", SERVER)
    assert found["server9"].month == bound("50", "limits.servers.9.usd_per_month")


def test_the_most_generous_tier_counts_also_where_that_is_everybodys() -> None:
    found = rows(limits={"default": {"usd_per_day": 3}, "tiers": {"5": {"usd_per_day": 1}}})
    assert found["stranger"].day == found["role5"].day == bound("3", "limits.default.usd_per_day")


@pytest.mark.parametrize(
    ("sections", "stranger", "everybody"),
    [
        ({"access": {"people": [1, 2]}}, ("0", "access.people"), ("4", f"{PERSON} × 2 people listed")),
        ({"access": {"people": []}}, ("0", "access.people"), ("0", f"{PERSON} × 0 people listed")),
        (
            {"access": {"people": [1, 2]}, "operator": {"people": [2, 3]}},
            ("0", "access.people"),
            ("6", f"{PERSON} × 3 people listed"),
        ),
        (
            {"access": {"people": [1], "blocked_people": [1]}},
            ("0", "access.people"),
            ("0", f"{PERSON} × 0 people listed"),
        ),
        ({"access": {"servers": [8]}}, ("2", PERSON), ("10", f"access.servers ({SERVER})")),
        ({"access": {"servers": []}}, ("0", "access.servers"), ("0", "access.servers")),
        (
            {"access": {"servers": [8]}, "operator": {"people": [3]}},
            ("2", PERSON),
            ("12", f"access.servers ({SERVER}) + {PERSON} × 1 person listed"),
        ),
        ({"access": {"servers": [7, 8, 9]}}, ("2", PERSON), ("25", ALL)),
    ],
)
def test_who_may_use_it_bounds_it_too(
    sections: dict[str, Any], stranger: tuple[str, str], everybody: tuple[str, str]
) -> None:
    found = rows(**sections)
    assert found["stranger"].day == bound(*stranger)
    assert found["everybody"].day == bound(*everybody)


def test_the_table_names_the_setting_beside_each_sum() -> None:
    text = as_text(table(budget={"all_usd_per_day": 1234, "all_usd_per_month": 0}))
    (line,) = [line for line in text.splitlines() if line.startswith("everybody together")]
    assert line.split(maxsplit=4)[2:4] == ["$1,234.00", "budget.all_usd_per_day"]
    assert "no bound" in as_text(table(budget=LIFTED))
    assert "| Everybody together | no bound | `nothing` |" in as_markdown(table(budget=LIFTED))


SUMS = st.sampled_from(["0", "0.000001", "0.5", "2", "7", "30", "1000"])
ROLE, SERVER_ID = "5", "8"


def micros(bound: Bound) -> int | None:
    return None if bound.usd is None else micros_of(bound.usd)


def least(*bounds: int | None) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


@given(
    st.fixed_dictionaries({name: SUMS for name in BudgetSettings.model_fields if name.endswith(("_day", "_month"))}),
    st.none() | SUMS,
    st.none() | SUMS,
    st.none() | SUMS,
)
def test_it_is_what_requests_are_decided_by(
    budget: dict[str, str], role: str | None, server_day: str | None, server_month: str | None
) -> None:
    settings = Settings.model_validate(
        {
            "budget": budget,
            "limits": {
                "tiers": {ROLE: {"usd_per_day": role}},
                "servers": {SERVER_ID: {"usd_per_day": server_day, "usd_per_month": server_month}},
            },
        }
    )
    found = {row.who: row for row in worst_case(settings)}

    for who, roles in (("stranger", ()), ("role", (int(ROLE),))):
        held = policy_for(settings, None, Actor(1, 2, None, roles)).budgets
        if who in found:
            assert micros(found[who].day) == least(held.person_day, held.all_day, held.all_month)
    for who, server in (("any_server", 9), ("server", int(SERVER_ID))):
        held = policy_for(settings, None, Actor(1, 2, server)).budgets
        if who in found:
            assert micros(found[who].day) == least(held.server_day, held.server_month, held.all_day, held.all_month)
            monthly = [None if day is None else day * DAYS for day in (held.server_day, held.all_day)]
            assert micros(found[who].month) == least(held.server_month, held.all_month, *monthly)
