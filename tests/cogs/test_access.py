"""Where the operator has not opened the bot, nothing of it can be used, whichever way somebody tries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import discord
import pytest
from discord import app_commands

from cogs.ui import modals
from cogs.ui.actions import ACTIONS
from tests.buttons import POSTED_CUSTOM_IDS
from tests.cogs.conftest import CogFixture, with_services
from tests.cogs.interactions import GUILD, PERSON, said
from tests.cogs.values import PostedMessage

ELSEWHERE, OPERATOR, OWNER = 99, 500, 600


def with_access(fixture: CogFixture, *, operators: tuple[int, ...] = (), **access: Any) -> None:
    services = fixture.bot.services
    changed = services.settings.model_copy(
        update={
            "access": services.settings.access.model_copy(update=access),
            "operator": services.settings.operator.model_copy(update={"people": operators}),
        }
    )
    with_services(fixture, replace(services, settings=changed))


def leaves(fixture: CogFixture) -> Iterator[tuple[app_commands.Command[Any, ..., Any], tuple[str, ...]]]:
    """Every slash command, with the words that name it."""
    for command in fixture.bot.tree.walk_commands():
        if isinstance(command, app_commands.Command):
            yield command, tuple(command.qualified_name.split())


def some_value(parameter: app_commands.Parameter) -> Any:
    kinds = {discord.AppCommandOptionType.integer: 1, discord.AppCommandOptionType.number: 1.0}
    return kinds.get(parameter.type, "x")


def check_refused(interaction: Any, *, ask: str = "whoever runs this bot") -> None:
    sentence, private = said(interaction)
    assert private
    assert "I am not open to" in sentence
    assert f"please ask {ask} if" in sentence
    assert interaction.response.send_message.await_count == 1
    for way in ("send_modal", "defer", "edit_message"):
        assert not getattr(interaction.response, way).called


async def test_no_command_works_in_a_server_that_is_not_listed(fixture: CogFixture) -> None:
    with_access(fixture, servers=(ELSEWHERE,))
    found = list(leaves(fixture))
    assert len(found) >= 10
    for command, (name, *path) in found:
        options = {one.name: some_value(one) for one in command.parameters if one.required}
        check_refused(await fixture.command(name, *path, options=options))
    assert await fixture.jobs() == []


async def test_every_command_is_let_through_in_one_that_is(fixture: CogFixture) -> None:
    with_access(fixture, servers=(ELSEWHERE, GUILD))
    for _, (name, *path) in leaves(fixture):
        if name not in ("imagine", "settings"):
            interaction = await fixture.command(name, *path)
            call = cast("AsyncMock", interaction.response.send_message).call_args
            assert call is None or "not open" not in str(call)


async def test_no_context_menu_works_there(fixture: CogFixture) -> None:
    with_access(fixture, servers=(ELSEWHERE,))
    used: list[str] = []

    async def about(interaction: discord.Interaction[Any], person: discord.User) -> None:
        used.append("about")

    fixture.bot.tree.add_command(app_commands.ContextMenu(name="About", callback=about))
    data = {"id": "1", "name": "About", "type": 2, "target_id": "5", "resolved": {"users": {}, "members": {}}}
    interaction = fixture.interaction(data=data)
    await fixture.bot.tree._call(interaction)
    check_refused(interaction)
    assert used == []


async def test_nothing_is_completed_there(fixture: CogFixture) -> None:
    completed = [
        (name, path, one.name)
        for command, (name, *path) in leaves(fixture)
        for one in command.parameters
        if one.autocomplete
    ]
    assert len(completed) >= 7
    with_access(fixture, servers=(ELSEWHERE,))
    for name, path, option in completed:
        assert await fixture.complete(name, option, {option: ""}, *path) == []


async def test_no_button_or_menu_works_there(fixture: CogFixture) -> None:
    await fixture.command("imagine", options={"prompt": "a fox"})
    (job,) = await fixture.jobs()
    with_access(fixture, servers=(ELSEWHERE,))
    posted = [one.replace("0a1b2c3d4e5f", job.id) for one in POSTED_CUSTOM_IDS]
    assert {one.split(":")[1] for one in posted} >= ACTIONS.verbs()
    for custom_id in posted:
        values = (job.id,) if "-menu" in custom_id else ()
        check_refused(await fixture.click(PostedMessage(custom_id), custom_id, values))
    (after,) = await fixture.jobs()
    assert after.state is job.state


async def test_no_window_that_was_open_meanwhile_works_there(fixture: CogFixture) -> None:
    with_access(fixture, servers=(ELSEWHERE,))
    assert len(modals._SUBMIT_HANDLERS) >= 3
    for purpose in modals._SUBMIT_HANDLERS:
        check_refused(await fixture.submit(f"easel-modal:{purpose}:z-image-turbo", {"prompt": "a fox"}))
    assert await fixture.jobs() == []


@pytest.mark.parametrize(
    ("access", "where", "words"),
    [
        ({"people": (7,)}, {}, "not open to you, so"),
        ({"blocked_people": (PERSON,)}, {"guild": False}, "not open to you, so"),
        ({"blocked_servers": (GUILD,)}, {}, "not open to this server"),
        ({"user_installs": False}, {"bot_is_member": False}, "only work in servers that have added me"),
        ({"direct_messages": False}, {"guild": False}, "not open to you in direct messages"),
        ({"servers": (GUILD,)}, {"guild": False}, "not open to you in direct messages"),
        ({"servers": (ELSEWHERE,)}, {"bot_is_member": False}, "not open to this server"),
    ],
)
async def test_a_refusal_says_what_keeps_the_person_out(
    fixture: CogFixture, access: dict[str, Any], where: dict[str, Any], words: str
) -> None:
    with_access(fixture, **access)
    interaction = await fixture.command("imagine", options={"prompt": "a fox"}, **where)
    sentence, private = said(interaction)
    assert words in sentence
    assert sentence.count(". ") == 0  # one sentence
    assert private
    assert await fixture.jobs() == []


@pytest.mark.parametrize(
    ("access", "where"),
    [
        ({"servers": (GUILD,), "people": (PERSON,)}, {}),
        ({"servers": (GUILD,), "people": (PERSON,)}, {"guild": False}),
        ({"user_installs": False}, {}),
        ({"direct_messages": False}, {}),
        ({"direct_messages": False}, {"bot_is_member": False}),
        ({"blocked_servers": (ELSEWHERE,), "blocked_people": (7,)}, {}),
    ],
)
async def test_who_is_let_in_paints(fixture: CogFixture, access: dict[str, Any], where: dict[str, Any]) -> None:
    with_access(fixture, **access)
    await fixture.command("imagine", options={"prompt": "a fox"}, **where)
    assert len(await fixture.jobs()) == 1


async def test_the_operators_people_are_those_to_ask(fixture: CogFixture) -> None:
    with_access(fixture, operators=(OPERATOR, OPERATOR + 1), servers=(ELSEWHERE,))
    check_refused(await fixture.command("usage"), ask="<@500> or <@501>")


@pytest.mark.parametrize(
    ("team", "ask"), [(None, f"<@{OWNER}>"), (SimpleNamespace(owner_id=OWNER + 1), f"<@{OWNER + 1}>")]
)
async def test_without_them_the_applications_owner_is(fixture: CogFixture, team: object, ask: str) -> None:
    fixture.bot._application = cast("discord.AppInfo", SimpleNamespace(owner=SimpleNamespace(id=OWNER), team=team))
    with_access(fixture, servers=(ELSEWHERE,))
    check_refused(await fixture.command("usage"), ask=ask)


async def test_without_a_gate_no_command_runs(fixture: CogFixture) -> None:
    fixture.bot.tree.gate = None
    interaction = await fixture.command("imagine", options={"prompt": "a fox"})
    assert not cast("AsyncMock", interaction.response.send_message).called
    assert await fixture.jobs() == []
