"""/settings budget and limits: a server can be stricter than the operator, and is told why it can be no more."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import discord
import pytest

from bot.limits import GuildLimits
from bot.settings import Settings
from cogs.ui.cards import Card
from tests.cogs.conftest import CogFixture, with_services
from tests.cogs.interactions import GUILD, said
from tests.cogs.values import check_card, shown_text

MEMBER = discord.Permissions(send_messages=True, view_channel=True, attach_files=True).value


def with_settings(fixture: CogFixture, **sections: Any) -> None:
    settings = Settings.model_validate(sections)
    with_services(fixture, replace(fixture.bot.services, settings=settings))


async def budget(fixture: CogFixture, **options: Any) -> Any:
    where = {name: options.pop(name) for name in ("permissions", "guild", "bot_is_member") if name in options}
    return await fixture.command("settings", "budget", options=options, **where)


def page(interaction: Any) -> str:
    card = cast("Card", interaction.response.send_message.call_args.kwargs["view"])
    check_card(card)
    return shown_text(card)


async def stored(fixture: CogFixture) -> GuildLimits | None:
    return (await fixture.store.preferences.get(11, GUILD)).guild_limits


async def test_budgets_are_set_one_by_one_shown_and_reset_together(fixture: CogFixture) -> None:
    await budget(fixture, person_day=0.5)
    shown = page(await budget(fixture, server_day=3.25, server_month=40))
    assert await stored(fixture) == GuildLimits(
        person_usd_day=Decimal("0.5"), server_usd_day=Decimal("3.25"), server_usd_month=Decimal(40)
    )
    assert shown.startswith("**Saved.**")
    for line in (
        "$0.50 a day for each person",
        "$3.25 a day for the whole server",
        "$40.00 a month for the whole server",
    ):
        assert line in shown
    shown = page(await budget(fixture, reset=True))
    assert await stored(fixture) is None
    assert "$2.00 a day for each person" in shown


async def test_without_values_they_are_only_shown(fixture: CogFixture) -> None:
    shown = page(await budget(fixture))
    assert "Saved" not in shown
    assert "$10.00 a day for the whole server" in shown
    assert await stored(fixture) is None


async def test_a_reset_of_budgets_keeps_the_limits_and_the_other_way_round(fixture: CogFixture) -> None:
    await fixture.command("settings", "limits", options={"burst": 2})
    await budget(fixture, person_day=1)
    await budget(fixture, reset=True, server_day=4)
    assert await stored(fixture) == GuildLimits(burst_images=2, server_usd_day=Decimal(4))
    await fixture.command("settings", "limits", options={"reset": True})
    assert await stored(fixture) == GuildLimits(server_usd_day=Decimal(4))


@pytest.mark.parametrize(
    ("typed", "kept"), [(0.1, "0.1"), (0.29, "0.29"), (1e-9, "0"), (1.2345678, "1.234567"), (0, "0")]
)
async def test_sums_are_kept_as_typed_down_to_a_millionth(fixture: CogFixture, typed: float, kept: str) -> None:
    await budget(fixture, person_day=typed)
    held = await stored(fixture)
    assert held is not None
    assert held.person_usd_day == Decimal(kept)


async def test_a_servers_0_allows_nothing(fixture: CogFixture) -> None:
    await budget(fixture, person_day=0)
    interaction = await fixture.command("imagine", options={"prompt": "a fox"})
    assert await fixture.jobs() == []
    assert interaction.response.send_message.await_count == 1


@pytest.mark.parametrize(
    ("options", "name", "most"),
    [
        ({"person_day": 2.01}, "money a day for each person", "$2.00"),
        ({"server_day": 11}, "money a day for the whole server", "$10.00"),
        ({"server_month": 1_000_000}, "money a month for the whole server", "$100.00"),
        ({"person_day": 1, "server_day": 10.000001}, "money a day for the whole server", "$10.00"),
        ({"reset": True, "person_day": 3}, "money a day for each person", "$2.00"),
    ],
)
async def test_above_the_operators_budget_is_answered_with_it_and_whom_to_ask(
    fixture: CogFixture, options: dict[str, Any], name: str, most: str
) -> None:
    with_settings(fixture, operator={"people": [500]})
    await budget(fixture, person_day=0.5)
    sentence, private = said(await budget(fixture, **options))
    assert f"“{name}” is {most}." in sentence
    assert "ask <@500> if" in sentence
    assert "Nothing was changed." in sentence
    assert private
    assert await stored(fixture) == GuildLimits(person_usd_day=Decimal("0.5"))


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"images_per_hour": 30.5}, "pictures an hour” is 30."),
        ({"burst": 9}, "pictures in a row” is 8."),
        ({"images_per_day": 61}, "pictures a day” is 60."),
        ({"concurrent": 4}, "requests at the same time” is 3."),
        ({"server_images_per_day": 501}, "pictures a day for the whole server” is 500."),
    ],
)
async def test_limits_above_the_operators_are_answered_in_the_same_way(
    fixture: CogFixture, options: dict[str, Any], most: str
) -> None:
    sentence, _ = said(await fixture.command("settings", "limits", options=options))
    assert most in sentence
    assert await stored(fixture) is None


async def test_the_ceiling_itself_can_be_set(fixture: CogFixture) -> None:
    await budget(fixture, person_day=2, server_day=10, server_month=100)
    limits = {"images_per_hour": 30.0, "burst": 8, "images_per_day": 60, "concurrent": 3, "server_images_per_day": 500}
    await fixture.command("settings", "limits", options={**limits, "server_concurrent": 70})
    held = await stored(fixture)
    assert held is not None
    assert len(held.to_json()) == 9


async def test_the_ceiling_is_that_of_the_most_generous_role_and_of_this_server(fixture: CogFixture) -> None:
    with_settings(
        fixture,
        limits={
            "tiers": {"5": {"images_per_day": 400, "usd_per_day": 7}},
            "servers": {str(GUILD): {"usd_per_day": 50}, "99": {"usd_per_month": 5000}},
            "guild_concurrent_jobs": 20,
        },
        budget={"server_usd_per_month": 0},
    )
    await fixture.command("settings", "limits", options={"images_per_day": 400})
    await budget(fixture, person_day=7, server_day=50, server_month=900_000)
    above = await fixture.command("settings", "limits", options={"server_concurrent": 21})
    assert "at the same time for the whole server” is 20." in said(above)[0]
    assert "is $7.00" in said(await budget(fixture, person_day=8))[0]
    assert "is $50.00" in said(await budget(fixture, server_day=51))[0]


async def test_where_nothing_is_limited_there_is_no_ceiling(fixture: CogFixture) -> None:
    with_settings(fixture, limits={"enabled": False})
    assert "None." in page(await budget(fixture, person_day=900_000))


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"permissions": MEMBER}, "Manage Server"),
        ({"guild": False}, "setting for a server"),
        ({"bot_is_member": False}, "not a member"),
    ],
)
async def test_only_managers_change_a_servers_budget(fixture: CogFixture, where: dict[str, Any], words: str) -> None:
    assert words in said(await budget(fixture, person_day=1, **where))[0]
    assert await stored(fixture) is None
