"""Who may use which button, looked up at every click."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import AsyncMock

import discord
import pytest

from bot.domain.job import Job, JobState
from cogs.components import DynamicComponent
from cogs.ui.actions import Click
from tests.cogs.conftest import CogFixture, a_message
from tests.cogs.interactions import said
from tests.cogs.values import PostedMessage

OTHER = 12
MEMBER = discord.Permissions(send_messages=True, view_channel=True, attach_files=True).value
MODERATOR = discord.Permissions(MEMBER, manage_messages=True).value
ATTACHED = "https://cdn.discordapp.com/attachments/1/2/cat.png?ex=7fffffff&is=1&hm=2"


async def click(fixture: CogFixture, custom_id: str, values: tuple[str, ...] = (), **where: Any) -> Any:
    return await fixture.click(PostedMessage(custom_id), custom_id, values, **where)


async def a_job_from_a_file(fixture: CogFixture) -> Job:
    attached = {"id": "5", "filename": "cat.png", "size": 9, "url": ATTACHED, "proxy_url": ATTACHED}
    resolved = {"resolved": {"attachments": {"5": {**attached, "content_type": "image/png"}}}}
    options = {"prompt": "a fox", "model": "omnigen-v2", "image": "5"}
    await fixture.command("imagine", options=options, data=resolved)
    return (await fixture.jobs())[0]


@pytest.mark.parametrize("verb", ["again", "edit"])
async def test_what_starts_from_a_file_is_repeated_by_its_owner_only(fixture: CogFixture, verb: str) -> None:
    job = await a_job_from_a_file(fixture)
    refused = await click(fixture, f"easel:{verb}:{job.id}", person=OTHER, permissions=MODERATOR)
    assert "starts from a file of theirs" in said(refused)[0]
    assert await fixture.jobs(OTHER) == []
    allowed = await click(fixture, f"easel:{verb}:{job.id}", permissions=MEMBER)
    assert cast("AsyncMock", allowed.response.send_modal if verb == "edit" else allowed.response.send_message).called


async def test_an_edit_modal_that_was_open_meanwhile_has_no_more_rights(fixture: CogFixture) -> None:
    job = await a_job_from_a_file(fixture)
    interaction = await fixture.submit(f"easel-modal:edit:{job.id}", {"prompt": "a wolf"}, person=OTHER)
    assert "starts from a file of theirs" in said(interaction)[0]
    assert await fixture.jobs(OTHER) == []


@pytest.mark.parametrize(("asked_by", "works"), [(OTHER, True), (11, False), (None, False)])
async def test_without_a_record_discords_own_note_of_who_asked_decides_about_deleting(
    fixture: CogFixture, monkeypatch: pytest.MonkeyPatch, asked_by: int | None, works: bool
) -> None:
    delete = AsyncMock()
    monkeypatch.setattr(discord.Interaction, "delete_original_response", delete)
    user = {"id": str(asked_by), "username": "a", "discriminator": "0", "avatar": None, "global_name": None}
    noted = {"id": "7", "type": 2, "user": user, "authorizing_integration_owners": {}}
    message = {"interaction_metadata": noted} if asked_by is not None else {}
    where: dict[str, Any] = {"message": message, "person": OTHER, "permissions": MEMBER}
    interaction = await click(fixture, "easel:delete:0a1b2c3d4e5f", **where)
    assert cast("AsyncMock", interaction.response.send_modal).called is works
    where["message"] = {**a_message(PostedMessage("easel:delete:0a1b2c3d4e5f").to_components()), **message}
    await fixture.submit("easel-modal:delete:0a1b2c3d4e5f", {}, **where)
    assert delete.await_count == works
    if not works:
        assert "Only the person who asked" in said(interaction)[0]


async def test_a_menu_cancels_no_job_of_somebody_else(fixture: CogFixture) -> None:
    await fixture.command("imagine", options={"prompt": "a fox"})
    (job,) = await fixture.jobs()
    custom_id = "easel-menu:canceljob:-"
    refused = await click(fixture, custom_id, (job.id,), person=OTHER, permissions=MEMBER)
    assert "Only the person who asked" in said(refused)[0]
    assert (await fixture.jobs())[0].state is JobState.QUEUED


async def test_a_menu_without_a_choice_is_a_sentence(fixture: CogFixture) -> None:
    interaction = fixture.interaction(kind=3, data={"component_type": 3, "custom_id": "easel-menu:canceljob:-"})
    item = discord.ui.Select[Any](custom_id="easel-menu:canceljob:-", options=[discord.SelectOption(label="x")])
    await DynamicComponent(item, Click("canceljob", "-")).callback(interaction)
    assert "no longer have any data" in said(interaction)[0]


BUTTON, MENU, COMMAND, DELETE = "easel:cancel", "easel-menu:canceljob", "/cancel", "easel:delete"


async def act(fixture: CogFixture, way: str, job: Job, **where: Any) -> bool:
    """Try to cancel or delete the job in one of the ways that there are; whether it was allowed."""
    if way == COMMAND:
        interaction = await fixture.command("cancel", options={"job": job.id}, **where)
    elif way == MENU:
        interaction = await click(fixture, f"{MENU}:-", (job.id,), **where)
    else:
        interaction = await click(fixture, f"{way}:{job.id}", **where)
    if cast("AsyncMock", interaction.response.send_modal).called:
        interaction = await fixture.submit(f"easel-modal:delete:{job.id}", {}, **where)
    if cast("AsyncMock", interaction.response.defer).called:
        return True
    assert "Only the person who asked" in said(interaction)[0]
    return False


@pytest.mark.parametrize("way", [BUTTON, MENU, COMMAND, DELETE])
@pytest.mark.parametrize(
    ("places", "permissions", "allowed"),
    [
        ((10, 10), MODERATOR, True),
        ((10, 10), MEMBER, False),
        ((10, 99), MODERATOR, False),
        ((None, 10), MODERATOR, False),
        ((10, None), MODERATOR, False),
        ((None, None), MODERATOR, False),
    ],
    ids=["moderator", "member", "of another server", "job from a DM", "in a DM", "DM, from a DM"],
)
async def test_a_moderator_acts_on_jobs_of_their_own_server_alone_whichever_way(
    fixture: CogFixture,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    places: tuple[int | None, int | None],
    permissions: int,
    *,
    allowed: bool,
) -> None:
    asked_in, acts_in = places
    for answer in ("delete_original_response", "edit_original_response"):
        monkeypatch.setattr(discord.Interaction, answer, AsyncMock())
    await fixture.command("imagine", options={"prompt": "a fox"}, guild=asked_in or False)
    (job,) = await fixture.jobs()
    assert job.actor.guild_id == asked_in

    assert await act(fixture, way, job, person=OTHER, guild=acts_in or False, permissions=permissions) is allowed

    if way != DELETE:
        assert ((await fixture.jobs())[0].state is JobState.CANCELLED) is allowed
