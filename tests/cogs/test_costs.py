"""/costs: who may see it, what it shows, and the table."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from unittest.mock import AsyncMock

import discord
import pytest
from PIL import Image

from bot.media.workers import ImageWorkers, Pauses
from bot.store.tables import ledger
from tests.cogs.conftest import CogFixture, with_services
from tests.cogs.interactions import EVERYTHING, GUILD, PERSON, said
from tests.cogs.values import PostedMessage, check_card, custom_ids, payload, shown_text

MEMBER = discord.Permissions(send_messages=True, view_channel=True, attach_files=True, manage_messages=True).value
MANAGER = discord.Permissions(manage_guild=True, view_channel=True).value
OTHER_GUILD, OTHER_PERSON = 34, 12


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    """How the answer is completed."""
    made = AsyncMock()
    monkeypatch.setattr(discord.Interaction, "edit_original_response", made)
    return made


async def spend(
    fixture: CogFixture,
    micros: int,
    *,
    day: date | None = None,
    user: int | None = PERSON,
    guild: int | None = GUILD,
    endpoint: str = "fal-ai/flux-1/schnell",
    state: str = "settled",
    estimated: bool = False,
) -> None:
    """One line of the ledger."""
    moment = day or today(fixture)
    number = (moment - date(1970, 1, 1)).days
    row = {
        "job_id": f"job{next(_NUMBERS)}",
        "user_id": user,
        "guild_id": guild,
        "day": number,
        "images": 2,
        "counted": 2,
        "pace_us": 0,
        "state": state,
        "reserved_us": number * 86_400_000_000,
        "usd_micros": micros,
        "counted_usd_micros": micros,
        "endpoint": endpoint,
        "estimated": int(estimated),
    }
    await fixture.store._database.write(lambda connection: connection.execute(ledger.insert(), row))


_NUMBERS = iter(range(10**6))


def today(fixture: CogFixture) -> date:
    return fixture.bot.services.clock().date()


def earlier_this_month(fixture: CogFixture) -> date:
    """Another day of this month; on its first day there is none, and that one serves."""
    return max(today(fixture) - timedelta(days=1), today(fixture).replace(day=1))


def answer(edit: AsyncMock) -> tuple[Any, dict[str, bytes]]:
    """The card and its files."""
    call = edit.await_args
    assert call is not None
    files = {one.filename: one.fp.read() for one in call.kwargs["attachments"]}
    check_card(call.kwargs["view"])
    return call.kwargs["view"], files


def table(files: dict[str, bytes]) -> list[dict[str, str]]:
    (name,) = [name for name in files if name.endswith(".csv")]
    return list(csv.DictReader(io.StringIO(files[name].decode("utf-8-sig"), newline="")))


def with_operators(fixture: CogFixture, *people: int) -> None:
    services = fixture.bot.services
    operator = services.settings.operator.model_copy(update={"people": people})
    with_services(fixture, replace(services, settings=services.settings.model_copy(update={"operator": operator})))


# ---------------------------------------------------------------------- who may see it


async def test_only_those_with_manage_server_may_see_it_at_every_press(fixture: CogFixture, edit: AsyncMock) -> None:
    refused = [await fixture.command("costs", permissions=MEMBER)]
    refused += [await press(fixture, subject, permissions=MEMBER) for subject in ("today", "month", "month.all")]
    for one in refused:
        assert "Only people with Manage Server" in said(one)[0]
        assert said(one)[1]
    edit.assert_not_awaited()

    await fixture.command("costs", permissions=MANAGER)
    await press(fixture, "today", permissions=MANAGER)
    assert edit.await_count == 2


async def press(fixture: CogFixture, subject: str, **where: Any) -> Any:
    custom_id = f"easel:costs:{subject}"
    return await fixture.click(PostedMessage(custom_id), custom_id, **where)


async def test_outside_of_its_servers_there_is_nothing_to_see(fixture: CogFixture, edit: AsyncMock) -> None:
    assert "use it there" in said(await fixture.command("costs", guild=False))[0]
    elsewhere = await fixture.command("costs", bot_is_member=False, permissions=EVERYTHING)
    assert "not a member of this server" in said(elsewhere)[0]
    edit.assert_not_awaited()


@pytest.mark.parametrize("subject", ["month.all", "today.all"])
async def test_a_manager_sees_their_own_server_alone_whatever_the_button_says(
    fixture: CogFixture, edit: AsyncMock, subject: str
) -> None:
    await spend(fixture, 1_000_000, user=OTHER_PERSON)
    await spend(fixture, 2_000_000, guild=OTHER_GUILD)
    await spend(fixture, 4_000_000, guild=None)

    await press(fixture, subject, permissions=MANAGER)

    card, files = answer(edit)
    assert "**Today:** $1.00 of $10.00 · 2 pictures" in shown_text(card)
    assert {row["usd"] for row in table(files)} == {"1"}
    assert not any(".all" in one for one in custom_ids(card))


async def test_who_runs_the_bot_sees_this_server_or_all_of_them(fixture: CogFixture, edit: AsyncMock) -> None:
    with_operators(fixture, PERSON)
    await spend(fixture, 1_000_000, user=OTHER_PERSON)
    await spend(fixture, 2_000_000, guild=OTHER_GUILD)
    await spend(fixture, 4_000_000, guild=None)

    await fixture.command("costs", permissions=MEMBER)
    card, _ = answer(edit)
    assert "**Today:** $1.00 of $10.00" in shown_text(card)
    assert "easel:costs:month.all" in custom_ids(card)

    await press(fixture, "month.all", permissions=MEMBER)
    card, files = answer(edit)
    text = shown_text(card)
    assert "What pictures cost in all servers" in text
    assert "**Today:** $7.00 of $25.00" in text
    assert f"direct messages: $4.00 · 2 pictures\nserver `{OTHER_GUILD}`: $2.00" in text
    assert {row["server"] for row in table(files)} == {str(GUILD), str(OTHER_GUILD), "direct messages"}
    assert "easel:costs:month" in custom_ids(card)

    await fixture.command("costs", guild=False)
    assert "**Today:** $7.00 of $25.00" in shown_text(answer(edit)[0])


# ---------------------------------------------------------------------- what it shows


async def test_it_shows_today_and_the_month_by_person_and_model(fixture: CogFixture, edit: AsyncMock) -> None:
    await spend(fixture, 1_000_000)
    await spend(fixture, 250_000, user=OTHER_PERSON, endpoint="fal-ai/ideogram/v3")
    await spend(fixture, 3_000_000, user=None, day=today(fixture).replace(day=1) - timedelta(days=1))  # last month

    await fixture.command("costs", permissions=MANAGER)

    card, files = answer(edit)
    text = shown_text(card)
    assert "**Today:** $1.25 of $10.00 · 4 pictures\n**This month:** $1.25 of $100.00 · 4 pictures" in text
    assert f"**By person, this month**\n<@{PERSON}>: $1.00 · 2 pictures\n<@{OTHER_PERSON}>: $0.25 · 2 pictures" in text
    assert "**By model, this month**\nFLUX.1 schnell: $1.00 · 2 pictures\nIdeogram V3: $0.25 · 2 pictures" in text
    assert f"costs-{today(fixture):%Y-%m}.csv" in files
    with Image.open(io.BytesIO(files["costs.png"])) as chart:
        assert chart.format == "PNG"
    (gallery,) = [part for part in payload(card)[0]["components"] if part["type"] == 12]
    assert gallery["items"][0]["description"] == (
        f"Chart of this month's costs: day {today(fixture).day}: $1.25. On all other days nothing was spent."
    )


async def test_what_may_still_change_is_said_to_be_about(fixture: CogFixture, edit: AsyncMock) -> None:
    await spend(fixture, 1_000_000)
    await spend(fixture, 500_000, state="reserved", user=OTHER_PERSON)
    await fixture.command("costs", permissions=MANAGER)
    text = shown_text(answer(edit)[0])
    assert "**Today:** about $1.50" in text
    assert "$0.50 of it is for requests in progress" in text
    assert f"<@{PERSON}>: $1.00" in text
    assert f"<@{OTHER_PERSON}>: about $0.50" in text

    await spend(fixture, 100_000, estimated=True)
    await press(fixture, "today", permissions=MANAGER)
    assert f"**By person, today**\n<@{PERSON}>: about $1.10" in shown_text(answer(edit)[0])


async def test_a_server_where_nothing_was_painted(fixture: CogFixture, edit: AsyncMock) -> None:
    await fixture.command("costs", permissions=MANAGER)
    card, files = answer(edit)
    assert "**Today:** $0.00 of $10.00 · 0 pictures" in shown_text(card)
    assert "Nothing was painted this month." in shown_text(card)
    assert table(files) == []


async def test_long_lists_end_in_a_sum(fixture: CogFixture, edit: AsyncMock) -> None:
    for number in range(9):
        await spend(fixture, 1_000_000 - number, user=100 + number, endpoint=f"fal-ai/model/{number}")
    await fixture.command("costs", permissions=MANAGER)
    text = shown_text(answer(edit)[0])
    assert text.count("<@") == 5
    assert text.count("4 more: $4.00 · 8 pictures") == 2


async def test_the_table_has_every_day_person_and_model_and_is_safe(fixture: CogFixture, edit: AsyncMock) -> None:
    await spend(fixture, 1_000_000, day=earlier_this_month(fixture))
    await spend(fixture, 1, user=None, endpoint="=1+1")
    await spend(fixture, 2, endpoint="")
    await fixture.command("costs", permissions=MANAGER)

    rows = table(answer(edit)[1])
    assert [(row["usd"], row["person"], row["model"]) for row in rows] == [
        ("1", f"<@{PERSON}>", "FLUX.1 schnell"),
        ("0.000002", f"<@{PERSON}>", "unknown"),
        ("0.000001", "erased", "'=1+1"),
    ]
    assert rows[0]["day"] == earlier_this_month(fixture).isoformat()


async def test_a_table_that_would_be_too_long_has_no_days(
    fixture: CogFixture, edit: AsyncMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # discord.py executes the module again when it loads it
    monkeypatch.setattr(sys.modules["cogs.costs"], "MOST_LINES", 2)
    for number in range(3):
        await spend(fixture, 1_000_000, user=100 + number)
    await fixture.command("costs", permissions=MANAGER)
    rows = table(answer(edit)[1])
    assert len(rows) == 2
    assert "day" not in rows[0]


async def test_without_a_chart_everything_else_is_there(
    fixture: CogFixture, edit: AsyncMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.media.workers.sys.executable", "/nowhere/python")
    await spend(fixture, 1_000_000)
    async with ImageWorkers(pauses_s=Pauses(starts=(0.01,))) as images:
        with_services(fixture, replace(fixture.bot.services, images=images))
        await fixture.command("costs", permissions=MANAGER)
    card, files = answer(edit)
    assert [name.rpartition(".")[2] for name in files] == ["csv"]
    assert "The chart can't be drawn right now" in shown_text(card)
    assert f"<@{PERSON}>: $1.00" in shown_text(card)


async def test_limits_that_are_off_have_no_bounds(fixture: CogFixture, edit: AsyncMock) -> None:
    services = fixture.bot.services
    limits = services.settings.limits.model_copy(update={"enabled": False})
    with_services(fixture, replace(services, settings=services.settings.model_copy(update={"limits": limits})))
    await spend(fixture, 1_000_000)
    await fixture.command("costs", permissions=MANAGER)
    assert "**Today:** $1.00 · 2 pictures" in shown_text(answer(edit)[0])
