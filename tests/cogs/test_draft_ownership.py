"""A draft is for one person, and becomes at most one job."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from bot.domain.draft import DRAFT_LIFE
from bot.domain.job import JobState
from bot.errors import (
    StoreUnusable,
)
from cogs import drafts
from cogs.ui.typed import Typed
from tests.cogs.conftest import CogFixture
from tests.cogs.draft_windows import (
    OTHER,
    buttons_of,
    imagine,
    press,
    send,
    window_of,
)
from tests.cogs.interactions import said
from tests.cogs.values import check_card, custom_ids, shown_text


def existing(interaction: Any) -> Any:
    view = interaction.response.send_message.call_args.kwargs["view"]
    check_card(view)
    return view


async def test_a_second_click_shows_the_job_that_exists_already(fixture: CogFixture) -> None:
    refused = await imagine(fixture, style="oil")
    form = window_of(await press(fixture, refused, "Fix it"))
    await press(fixture, refused, "Leave it out")
    (job,) = await fixture.jobs()
    await fixture.store.jobs.annotate(job.id, message_id=888)
    for second in (
        await press(fixture, refused, "Leave it out"),
        await press(fixture, refused, "Fix it"),
        await send(fixture, form, style=""),
    ):
        assert second.response.send_message.call_args.kwargs["ephemeral"]
        assert f"https://discord.com/channels/33/22/{888}" in shown_text(existing(second))
        assert custom_ids(existing(second)) == [f"easel:cancel:{job.id}", f"easel:why:{job.id}"]
    assert [each.id for each in await fixture.jobs()] == [job.id]
    assert fixture.runner.lost == []


async def test_clicks_at_the_same_time_make_one_job_and_are_all_answered(fixture: CogFixture) -> None:
    await imagine(fixture, style="oil")
    typed = Typed("flux-schnell", {"prompt": "a fox"})
    draft = await drafts.keep(fixture.interaction(), typed)
    clicks = [fixture.interaction(kind=3) for _ in range(4)]
    await asyncio.gather(*(drafts.attempt(one, typed, draft=draft) for one in clicks))
    assert len(await fixture.jobs()) == 1
    shown = [shown_text(existing(interaction)) for interaction in clicks]
    assert len([text for text in shown if "Next in line." in text]) == 1
    assert len([text for text in shown if "This was asked for already." in text]) == 3
    assert len(fixture.runner.answers) == 1
    assert fixture.runner.lost == []


async def test_a_wrong_window_that_comes_after_the_job_makes_no_second_draft(fixture: CogFixture) -> None:
    typed = Typed("flux-schnell", {"prompt": "a fox"})
    draft = await drafts.keep(fixture.interaction(), typed)
    await drafts.attempt(fixture.interaction(kind=3), typed, draft=draft)
    late = fixture.interaction(kind=5)
    await drafts.attempt(late, typed.having({"steps": "99"}), draft=draft)  # it was read before the job was there
    assert "This was asked for already." in shown_text(existing(late))
    assert len(await fixture.jobs()) == 1


async def test_a_click_that_discord_sends_again_does_nothing(fixture: CogFixture) -> None:
    typed = Typed("flux-schnell", {"prompt": "a fox"})
    draft = await drafts.keep(fixture.interaction(), typed)
    first, again = fixture.interaction(kind=3), fixture.interaction(kind=3)
    again.id = first.id
    for interaction in (first, again):
        await drafts.attempt(interaction, typed, draft=draft)
    cast("Any", again.response.send_message).assert_not_called()
    assert len(await fixture.jobs()) == 1


async def test_a_job_that_has_ended_is_shown_without_its_buttons_of_the_way(fixture: CogFixture) -> None:
    refused = await imagine(fixture, style="oil")
    await press(fixture, refused, "Leave it out")
    (job,) = await fixture.jobs()
    await fixture.store.jobs.transition(job, JobState.CANCELLED)
    assert custom_ids(existing(await press(fixture, refused, "Leave it out"))) == []


@pytest.mark.parametrize("label", ["Fix it", "Leave it out", "Other fields"])
async def test_a_draft_belongs_to_one_person_and_one_channel(fixture: CogFixture, label: str) -> None:
    refused = await imagine(fixture, style="oil")
    assert "Only the person who typed this" in said(await press(fixture, refused, label, person=OTHER))[0]
    channel = {"id": "77", "type": 0, "name": "other", "guild_id": "33", "position": 0, "nsfw": False}
    assert "another channel" in said(await press(fixture, refused, label, channel=channel))[0]
    assert await fixture.jobs() == []
    assert await fixture.jobs(OTHER) == []


async def test_a_window_of_somebody_else_is_not_sent_in_their_name(fixture: CogFixture) -> None:
    refused = await imagine(fixture, style="oil")
    form = window_of(await press(fixture, refused, "Fix it"))
    stolen = await fixture.submit(form["custom_id"], {"style": "", "prompt": "mine"}, person=OTHER)
    assert "Only the person who typed this" in said(stolen)[0]
    assert await fixture.jobs(OTHER) == []


async def test_a_draft_that_waited_too_long_says_so(fixture: CogFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = await imagine(fixture, style="oil")
    form = window_of(await press(fixture, refused, "Fix it"))
    later = datetime.now(UTC) + DRAFT_LIFE + timedelta(seconds=1)
    monkeypatch.setattr(fixture.store.drafts, "_clock", lambda: later)
    for late in (await press(fixture, refused, "Leave it out"), await send(fixture, form, style="")):
        assert "waited too long" in said(late)[0]
        assert said(late)[1]
    assert await fixture.jobs() == []


async def test_erasing_ones_data_takes_the_drafts_along(fixture: CogFixture) -> None:
    refused = await imagine(fixture, style="oil")
    await fixture.store.retention.erase_user(11)
    assert "is gone" in said(await press(fixture, refused, "Fix it"))[0]


async def test_a_job_whose_content_was_deleted_is_not_shown_again(fixture: CogFixture) -> None:
    refused = await imagine(fixture, style="oil")
    await press(fixture, refused, "Leave it out")
    (job,) = await fixture.jobs()
    await fixture.store.jobs.transition(job, JobState.CANCELLED)
    await fixture.store.retention.delete_job(job.id)
    assert "no longer have any data" in said(await press(fixture, refused, "Fix it"))[0]


async def test_without_a_database_the_sentence_is_said_all_the_same(
    fixture: CogFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object, **_kwargs: object) -> None:
        raise StoreUnusable("the disk is full")

    monkeypatch.setattr(fixture.store.drafts, "create", away)
    refused = await imagine(fixture, steps=99)
    assert "`steps` can't be `99`" in said(refused)[0]
    assert buttons_of(refused) == {}
