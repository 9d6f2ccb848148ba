"""Two clicks on one draft make one job. The action is a made-up one; those of the bot come with what they confirm."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import discord
import pytest

from bot.catalogue import parse
from bot.domain.draft import DRAFT_LIFE, Draft
from bot.domain.job import JobState
from cogs import drafts
from cogs.interaction_data import services_of
from cogs.ui.actions import ACTIONS, Click, Subject, action
from tests.cogs.conftest import CATALOGUE, CogFixture, with_limits
from tests.cogs.interactions import said
from tests.cogs.values import PostedMessage, check_card, custom_ids, shown_text

MODEL = CATALOGUE.get("flux-schnell")
OTHER = 12


@pytest.fixture(autouse=True)
def confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A button that takes a draft up."""
    monkeypatch.setattr(ACTIONS, "_actions", dict(ACTIONS._actions))

    @action("confirm", subject=Subject.DRAFT)
    async def take_up(interaction: discord.Interaction[Any], click: Click) -> None:
        services = services_of(interaction)
        await drafts.accept(interaction, services, await drafts.find(services, click.subject))


async def a_draft(fixture: CogFixture, **raw: object) -> Draft:
    request = parse(MODEL, {"prompt": "a fox", "seed": 7, **raw})
    return await drafts.keep(fixture.interaction(), fixture.bot.services, "confirm", request, parent_id="0a1b2c3d4e5f")


async def click(fixture: CogFixture, draft: Draft, **where: Any) -> Any:
    custom_id = f"easel:confirm:{draft.id}"
    return await fixture.click(PostedMessage(custom_id), custom_id, **where)


def card(interaction: Any) -> Any:
    check_card(interaction.response.send_message.call_args.kwargs["view"])
    return interaction.response.send_message.call_args.kwargs["view"]


async def test_a_draft_becomes_the_job_it_was_meant_to_be(fixture: CogFixture) -> None:
    draft = await a_draft(fixture, steps=3)
    assert await fixture.jobs() == []
    interaction = await click(fixture, draft)
    (job,) = await fixture.jobs()
    assert job.request == parse(MODEL, {"prompt": "a fox", "seed": 7, "steps": 3})
    assert (job.parent_id, job.state) == ("0a1b2c3d4e5f", JobState.QUEUED)
    assert "Next in line." in shown_text(card(interaction))
    assert fixture.runner.answers == [(job.id, 777)]


async def test_a_second_click_shows_the_job_that_exists_already(fixture: CogFixture) -> None:
    draft = await a_draft(fixture)
    await click(fixture, draft)
    (job,) = await fixture.jobs()
    await fixture.store.jobs.annotate(job.id, message_id=888)
    for person in (11, OTHER):
        second = await click(fixture, draft, person=person)
        assert second.response.send_message.call_args.kwargs["ephemeral"]
        assert f"https://discord.com/channels/33/22/{888}" in shown_text(card(second))
        assert custom_ids(card(second)) == [f"easel:cancel:{job.id}", f"easel:why:{job.id}"]
    assert [each.id for each in await fixture.jobs()] == [job.id]
    assert await fixture.jobs(OTHER) == []
    assert fixture.runner.lost == []


async def test_clicks_at_the_same_time_make_one_job_and_are_all_answered(fixture: CogFixture) -> None:
    draft = await a_draft(fixture)
    services = fixture.bot.services
    interactions = [fixture.interaction(kind=3, person=person) for person in (11, OTHER, 11, OTHER)]
    await asyncio.gather(*(drafts.accept(interaction, services, draft) for interaction in interactions))
    assert len([*await fixture.jobs(), *await fixture.jobs(OTHER)]) == 1
    shown = [shown_text(card(interaction)) for interaction in interactions]
    assert len([text for text in shown if "Next in line." in text]) == 1
    assert len([text for text in shown if "This was asked for already." in text]) == 3
    assert len(fixture.runner.answers) == 1
    assert fixture.runner.lost == []


async def test_a_click_that_discord_sends_again_does_nothing(fixture: CogFixture) -> None:
    draft = await a_draft(fixture)
    first, again = fixture.interaction(kind=3), fixture.interaction(kind=3)
    again.id = first.id
    for interaction in (first, again):
        await drafts.accept(interaction, fixture.bot.services, draft)
    cast("Any", again.response.send_message).assert_not_called()
    assert len(await fixture.jobs()) == 1


async def test_a_job_that_has_ended_is_shown_without_its_buttons_of_the_way(fixture: CogFixture) -> None:
    draft = await a_draft(fixture)
    await click(fixture, draft)
    (job,) = await fixture.jobs()
    await fixture.store.jobs.transition(job, JobState.CANCELLED)
    assert custom_ids(card(await click(fixture, draft))) == []


async def test_a_refusal_leaves_the_draft_as_it_was(fixture: CogFixture) -> None:
    draft = await a_draft(fixture)
    without = discord.Permissions(send_messages=True, view_channel=True)
    refused = await click(fixture, draft, app_permissions=without.value)
    assert "Attach Files" in said(refused)[0]
    await click(fixture, draft)
    assert len(await fixture.jobs()) == 1


async def test_limits_hold_for_drafts_too(fixture: CogFixture) -> None:
    with_limits(fixture, default=fixture.bot.services.settings.limits.default.model_copy(update={"burst_images": 1}))
    first, second = await a_draft(fixture), await a_draft(fixture)
    await click(fixture, first)
    assert "<t:" in said(await click(fixture, second))[0]
    assert len(await fixture.jobs()) == 1


async def test_a_draft_that_waited_too_long_says_so(fixture: CogFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await a_draft(fixture)
    later = datetime.now(UTC) + DRAFT_LIFE + timedelta(seconds=1)
    monkeypatch.setattr(fixture.store.drafts, "_clock", lambda: later)
    sentence, private = said(await click(fixture, draft))
    assert "waited too long" in sentence
    assert private
    assert await fixture.jobs() == []


async def test_a_job_whose_content_was_deleted_is_not_shown_again(fixture: CogFixture) -> None:
    draft = await a_draft(fixture)
    await click(fixture, draft)
    (job,) = await fixture.jobs()
    await fixture.store.jobs.transition(job, JobState.CANCELLED)
    await fixture.store.retention.delete_job(job.id)
    assert "no longer have the record" in said(await click(fixture, draft))[0]
    assert fixture.runner.answers == [(job.id, 777)]
