from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import discord
import pytest

from bot.catalogue import load
from bot.domain.events import Queued
from bot.domain.job import JobState
from bot.limits import GuildLimits
from bot.settings import Tier
from cogs.ui import cards, pages
from sandbox.discord import validate
from tests.cogs.conftest import CogFixture, a_message, with_limits, with_services
from tests.cogs.interactions import CHANNEL, GUILD, a_thread, said
from tests.cogs.test_errors import http_error
from tests.cogs.values import MODEL, PostedMessage, check_card, custom_ids, payload, shown_text
from tests.english import LOCALE

OTHER = 12
MODERATOR = discord.Permissions(manage_messages=True, send_messages=True, view_channel=True, attach_files=True).value
MEMBER = discord.Permissions(send_messages=True, view_channel=True, attach_files=True).value


def card_of(interaction: Any) -> cards.Card:
    """The card that was the first answer."""
    return cast("cards.Card", interaction.response.send_message.call_args.kwargs["view"])


def edited_to(interaction: Any) -> cards.Card:
    """The card the message became."""
    return cast("cards.Card", interaction.response.edit_message.call_args.kwargs["view"])


# ---------------------------------------------------------------------- /imagine


async def test_the_first_answer_is_the_progress_card_and_its_message_is_noted(fixture: CogFixture) -> None:
    interaction = await fixture.command("imagine", options={"prompt": "a fox @everyone", "size": "16:9", "count": 2})
    (job,) = await fixture.jobs()
    check_card(card_of(interaction))
    assert "Next in line." in shown_text(card_of(interaction))
    assert not interaction.response.send_message.call_args.kwargs["ephemeral"]
    assert fixture.runner.answers == [(job.id, 777)]
    assert (job.state, job.request.images, job.request.prompt) == (JobState.QUEUED, 2, "a fox @everyone")
    assert job.reply.interaction_id == interaction.id


@pytest.mark.parametrize("restricted", [True, False])
async def test_a_thread_is_as_age_restricted_as_discord_says_of_its_parent(
    fixture: CogFixture, restricted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = AsyncMock(return_value={"nsfw": restricted})
    monkeypatch.setattr(fixture.bot.http, "get_channel", asked)

    await fixture.command("imagine", options={"prompt": "a fox"}, channel=a_thread())

    (job,) = await fixture.jobs()
    assert job.reply.age_restricted is restricted
    asked.assert_awaited_once_with(CHANNEL)


async def test_a_seed_is_chosen_so_that_the_picture_can_be_repeated(fixture: CogFixture) -> None:
    await fixture.command("imagine", options={"prompt": "a fox"})
    await fixture.command("imagine", options={"prompt": "a fox", "seed": 5})
    given, chosen = await fixture.jobs()
    assert given.request.seed == 5
    assert chosen.request.seed is not None
    assert "seed" not in chosen.request.given


async def test_a_model_without_a_seed_gets_none(fixture: CogFixture) -> None:
    await fixture.command("imagine", options={"prompt": "a fox", "model": "recraft-v2"})
    (job,) = await fixture.jobs()
    assert job.request.seed is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"prompt": "a fox", "model": "flux-schnel"}, "flux-schnell"),
        ({"prompt": "a fox", "steps": 99}, "whole number from 1 to 12"),
        ({"prompt": "a fox", "size": "enormous"}, "size"),
        ({"prompt": "a fox", "negative_prompt": "dogs"}, "negative_prompt"),
        ({"prompt": "a fox", "options": "sync_mode=true"}, "sync_mode"),
        ({"prompt": "a fox", "options": "=="}, "options"),
        ({"prompt": "@everyone"}, "prompt"),
        ({"prompt": "x" * 6000, "model": "recraft-v2"}, "prompt"),
    ],
)
async def test_what_the_model_does_not_take_is_a_private_sentence_and_nothing_starts(
    fixture: CogFixture, options: dict[str, Any], expected: str
) -> None:
    interaction = await fixture.command("imagine", options=options)
    sentence, private = said(interaction)
    assert expected in sentence
    assert "broke" not in sentence
    assert private
    assert await fixture.jobs() == []


async def test_a_missing_permission_starts_nothing(fixture: CogFixture) -> None:
    without = discord.Permissions(send_messages=True, view_channel=True)
    interaction = await fixture.command("imagine", options={"prompt": "a fox"}, app_permissions=without.value)
    assert "Attach Files" in said(interaction)[0]
    assert await fixture.jobs() == []


async def test_an_attachment_that_is_no_picture_starts_nothing(fixture: CogFixture) -> None:
    attached = {
        "id": "5",
        "filename": "a.pdf",
        "size": 9,
        "url": "https://x",
        "proxy_url": "",
        "content_type": "application/pdf",
    }
    interaction = await fixture.command(
        "imagine",
        options={"prompt": "a fox", "model": "omnigen-v2", "image": "5"},
        data={"resolved": {"attachments": {"5": attached}}},
    )
    assert "`image`: it is a PDF, not a picture" in said(interaction)[0]
    assert await fixture.jobs() == []


async def test_an_attached_picture_becomes_an_input(fixture: CogFixture) -> None:
    url = "https://cdn.discordapp.com/attachments/1/2/cat.png?ex=7fffffff&is=1&hm=2"
    attached = {"id": "5", "filename": "cat.png", "size": 9, "url": url, "proxy_url": url, "content_type": "image/png"}
    await fixture.command(
        "imagine",
        options={"prompt": "a fox", "model": "omnigen-v2", "image": "5"},
        data={"resolved": {"attachments": {"5": attached}}},
    )
    (job,) = await fixture.jobs()
    assert url in str(job.request.options)


async def test_a_limit_is_a_private_sentence_with_the_moment_it_ends(fixture: CogFixture) -> None:
    with_limits(fixture, default=Tier(burst_images=1, images_per_hour=1))
    await fixture.command("imagine", options={"prompt": "a fox"})
    sentence, private = said(await fixture.command("imagine", options={"prompt": "a fox"}))
    assert "<t:" in sentence
    assert private
    assert len(await fixture.jobs()) == 1


async def test_a_replayed_interaction_does_nothing(fixture: CogFixture) -> None:
    first = await fixture.command("imagine", options={"prompt": "a fox"})
    again = fixture.interaction(data=first.data)
    again.id = first.id
    await fixture.bot.tree._call(again)
    cast("Any", again.response.send_message).assert_not_called()
    assert len(await fixture.jobs()) == 1
    assert fixture.runner.lost == []


async def failing_imagine(fixture: CogFixture, error: Exception, *, shown: bool | Mock = False) -> Any:
    interaction = fixture.interaction(
        data={"id": "1", "name": "imagine", "type": 1, "options": [{"type": 3, "name": "prompt", "value": "a fox"}]}
    )
    cast("Any", interaction.response.send_message).side_effect = error
    interaction._original_response = shown if isinstance(shown, Mock) else Mock(id=999) if shown else None
    if not shown:
        interaction._state.http = Mock()  # no session: the look-up fails too
        interaction._session = Mock(**{"request.side_effect": OSError("no network")})
    await fixture.bot.tree._call(interaction)
    return interaction


async def test_an_answer_that_came_too_late_starts_nothing(fixture: CogFixture) -> None:
    await failing_imagine(fixture, http_error(404, 10062))
    (job,) = await fixture.jobs()
    assert fixture.runner.lost == [job.id]
    assert fixture.runner.answers == []


async def test_an_answer_lost_on_the_way_starts_nothing(fixture: CogFixture) -> None:
    """Discord can't be asked for as long as the token lives."""
    await failing_imagine(fixture, OSError("reset"))
    assert len(fixture.runner.lost) == 1


async def test_an_answer_that_arrived_although_the_connection_broke_counts(fixture: CogFixture) -> None:
    await failing_imagine(fixture, OSError("reset"), shown=True)
    (job,) = await fixture.jobs()
    assert fixture.runner.answers == [(job.id, 999)]
    assert fixture.runner.lost == []


async def test_an_answer_discord_had_already_taken_counts(fixture: CogFixture) -> None:
    """discord.py repeats the POST after a 5xx; the repetition is refused with 40060."""
    await failing_imagine(fixture, http_error(400, 40060))
    (job,) = await fixture.jobs()
    assert fixture.runner.answers == [(job.id, None)]


@pytest.mark.parametrize("ours", [True, False])
async def test_an_earlier_answer_counts_only_if_it_shows_this_job(
    ours: bool, fixture: CogFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal by an earlier delivery of the same event, perhaps to another process, stays the answer."""
    monkeypatch.setattr("cogs.intake.new_job_id", lambda *_: "job0000001")
    button = discord.Button(
        {"type": 2, "style": 2, "custom_id": f"easel:cancel:{'job0000001' if ours else 'job0000002'}"}
    )
    earlier = Mock(id=999, components=[button])
    await failing_imagine(fixture, http_error(400, 40060), shown=earlier)
    assert fixture.runner.answers == ([("job0000001", 999)] if ours else [])
    assert fixture.runner.lost == ([] if ours else ["job0000001"])


# ---------------------------------------------------------------------- defaults


async def test_the_persons_default_beats_the_servers_which_beats_the_operators(fixture: CogFixture) -> None:
    async def used() -> str:
        await fixture.command("imagine", options={"prompt": "a fox"})
        return (await fixture.jobs())[0].request.endpoint

    with_limits(fixture, enabled=False)
    get = fixture.bot.services.catalogue.get
    assert await used() == get("flux-schnell").endpoint
    await fixture.command("settings", "model", options={"model": "hidream", "whose": "this server"})
    assert await used() == get("hidream").endpoint
    await fixture.command("settings", "model", options={"model": "qwen-image"})
    assert await used() == get("qwen-image").endpoint
    await fixture.command("settings", "model", options={"model": "reset"})
    assert await used() == get("hidream").endpoint


async def test_a_default_that_is_no_longer_offered_falls_through(fixture: CogFixture) -> None:
    await fixture.store.preferences.set_user_model(11, "fal-ai/gone")
    await fixture.command("imagine", options={"prompt": "a fox"})
    assert (await fixture.jobs())[0].request.endpoint == "fal-ai/flux-1/schnell"


# ---------------------------------------------------------------------- /settings


@pytest.mark.parametrize("path", [("limits", {"burst": 2}), ("model", {"model": "hidream", "whose": "this server"})])
async def test_only_managers_change_the_server(fixture: CogFixture, path: tuple[str, dict[str, Any]]) -> None:
    interaction = await fixture.command("settings", path[0], options=path[1], permissions=MEMBER)
    assert "Manage Server" in said(interaction)[0]
    preferences = await fixture.store.preferences.get(11, GUILD)
    assert preferences.guild_limits is None
    assert preferences.guild_model is None


async def test_limits_are_set_one_by_one_and_reset_together(fixture: CogFixture) -> None:
    await fixture.command("settings", "limits", options={"burst": 2})
    interaction = await fixture.command("settings", "limits", options={"images_per_hour": 7.5})
    assert (await fixture.store.preferences.get(11, GUILD)).guild_limits == GuildLimits(
        images_per_hour=7.5, burst_images=2
    )
    check_card(card_of(interaction))
    assert "At most 2 pictures in a row after a pause, then 7.5 an hour" in shown_text(card_of(interaction))
    assert shown_text(card_of(interaction)).startswith("**Saved.**")
    assert "Saved" not in shown_text(card_of(await fixture.command("settings", "limits")))
    assert "Saved" not in shown_text(card_of(await fixture.command("settings", "show")))
    await fixture.command("settings", "limits", options={"reset": True})
    assert (await fixture.store.preferences.get(11, GUILD)).guild_limits is None


async def test_limits_belong_to_servers(fixture: CogFixture) -> None:
    interaction = await fixture.command("settings", "limits", options={"burst": 2}, guild=False)
    assert "setting for a server" in said(interaction)[0]
    foreign = await fixture.command("settings", "limits", options={"burst": 2}, bot_is_member=False)
    assert "not a member" in said(foreign)[0]


async def test_settings_can_be_read_by_everybody(fixture: CogFixture) -> None:
    interaction = await fixture.command("settings", "show", permissions=MEMBER)
    assert "At most 8 pictures in a row after a pause, then 30 an hour" in shown_text(card_of(interaction))


# ---------------------------------------------------------------------- pages


@pytest.mark.parametrize("command", ["models", "usage", "help", "privacy"])
@pytest.mark.parametrize("guild", [True, False])
async def test_pages_are_private_and_within_discords_limits(fixture: CogFixture, command: str, guild: bool) -> None:
    interaction = await fixture.command(command, guild=guild)
    check_card(card_of(interaction))
    assert interaction.response.send_message.call_args.kwargs["ephemeral"]


async def test_every_models_page_is_within_discords_limits(fixture: CogFixture) -> None:
    for model in fixture.bot.services.catalogue.models:
        page = card_of(await fixture.command("models", options={"name": model.key}))
        check_card(page)
        assert model.title.split()[0] in shown_text(page)
        for option in model.offered:
            names = {option.name, option.label}
            assert option.name == "prompt" or any(f"`{name}`: " in shown_text(page) for name in names)


async def test_choosing_a_model_shows_its_page_and_makes_it_the_default(fixture: CogFixture) -> None:
    listing = card_of(await fixture.command("models"))
    chosen = edited_to(await fixture.click(listing, "easel-menu:model:0", ("hidream",)))
    assert "easel:mydefault:hidream" in custom_ids(chosen)
    kept = edited_to(await fixture.click(chosen, "easel:mydefault:hidream"))
    assert "Your default" in str(payload(kept))
    assert (await fixture.store.preferences.get(11, None)).user_model == fixture.bot.services.catalogue.get(
        "hidream"
    ).endpoint


async def test_usage_shows_what_is_under_way_and_its_place(fixture: CogFixture) -> None:
    await fixture.command("imagine", options={"prompt": "one"})
    await fixture.command("imagine", options={"prompt": "two"})
    interaction = await fixture.command("usage")
    shown = shown_text(card_of(interaction))
    check_card(card_of(interaction))
    assert "**6 pictures** right now." in shown
    assert "1 request before it" in shown
    assert "next in line" in shown


# ---------------------------------------------------------------------- /compose and modals


async def test_a_long_prompt_of_several_lines_is_written_in_a_modal(fixture: CogFixture) -> None:
    interaction = await fixture.command("compose", options={"model": "qwen-image"})
    modal = interaction.response.send_modal.call_args.args[0].to_dict()
    assert modal["custom_id"] == "easel-modal:compose:qwen-image"
    assert [label["component"]["custom_id"] for label in modal["components"]] == [
        "prompt",
        "negative_prompt",
        "size",
        "count",
        "options",
    ]
    fields = {"prompt": "a fox\nat dawn", "negative_prompt": "dogs", "size": "", "options": "seed=3"}
    await fixture.submit(modal["custom_id"], fields)
    (job,) = await fixture.jobs()
    assert job.request.prompt == "a fox\nat dawn"
    assert job.request.options["negative_prompt"] == "dogs"
    assert job.request.seed == 3


async def test_a_modal_fits_discord_for_every_model(fixture: CogFixture) -> None:
    for model in fixture.bot.services.catalogue.models:
        interaction = await fixture.command("compose", options={"model": model.key})
        modal = interaction.response.send_modal.call_args.args[0].to_dict()
        validate.modal(modal)


async def test_a_refusal_after_a_modal_is_a_private_sentence(fixture: CogFixture) -> None:
    interaction = await fixture.submit("easel-modal:compose:flux-schnell", {"prompt": "a fox", "options": "steps=99"})
    assert "steps" in said(interaction)[0]
    assert said(interaction)[1]


async def test_other_modals_are_left_alone(fixture: CogFixture) -> None:
    interaction = await fixture.submit("somebody-elses", {"prompt": "a fox"})
    cast("Any", interaction.response.send_message).assert_not_called()


# ---------------------------------------------------------------------- buttons of a picture


def a_card(job: Any) -> cards.Card:
    return cards.result_card(job, MODEL, [cards.Shown("easel.png", "alt")])


async def test_again_is_the_same_with_another_seed_on_the_account_of_whoever_asks(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job("a fox", seed=5, steps=3)
    interaction = await fixture.click(a_card(job), f"easel:again:{job.id}", person=OTHER)
    (again,) = await fixture.jobs(OTHER)
    assert again.parent_id == job.id
    assert again.request.options["num_inference_steps"] == 3
    assert again.request.seed not in (None, 5)
    assert "Next in line." in shown_text(card_of(interaction))


async def test_edit_comes_filled_and_paints_the_new_words(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job("a fox\nat dawn", model="qwen-image", negative_prompt="dogs")
    interaction = await fixture.click(a_card(job), f"easel:edit:{job.id}")
    modal = interaction.response.send_modal.call_args.args[0].to_dict()
    assert [label["component"].get("value") for label in modal["components"]] == ["a fox\nat dawn", "dogs"]
    await fixture.submit(modal["custom_id"], {"prompt": "a wolf", "negative_prompt": "cats"})
    edited = (await fixture.jobs())[0]
    assert (edited.request.prompt, edited.request.options["negative_prompt"]) == ("a wolf", "cats")
    assert edited.parent_id == job.id
    assert edited.request.endpoint == job.request.endpoint


async def test_details_are_private_and_for_everybody(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job("a fox", steps=3)
    interaction = await fixture.click(a_card(job), f"easel:details:{job.id}", person=OTHER, permissions=MEMBER)
    assert interaction.response.send_message.call_args.kwargs["ephemeral"]
    check_card(card_of(interaction))
    assert "/imagine prompt:a fox model:flux-schnell steps:3" in shown_text(card_of(interaction))


async def test_details_of_a_very_long_prompt_bring_a_file(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job("word " * 790)
    interaction = await fixture.click(a_card(job), f"easel:details:{job.id}")
    assert interaction.response.send_message.call_args.kwargs["file"].filename == "details.txt"


class Deleting:
    """Stands for the DELETE of the message."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deleted = 0
        monkeypatch.setattr(discord.Interaction, "delete_original_response", self._delete)

    async def _delete(self) -> None:
        self.deleted += 1


@pytest.mark.parametrize(
    ("person", "permissions", "works"),
    [(11, MEMBER, True), (OTHER, MODERATOR, True), (OTHER, MEMBER, False)],
    ids=["requester", "moderator", "somebody else"],
)
async def test_delete_is_for_the_requester_and_moderators(
    fixture: CogFixture, monkeypatch: pytest.MonkeyPatch, person: int, permissions: int, works: bool
) -> None:
    message = Deleting(monkeypatch)
    job = await fixture.a_delivered_job()
    asked = await fixture.click(a_card(job), f"easel:delete:{job.id}", person=person, permissions=permissions)
    assert not message.deleted
    assert await fixture.store.jobs.get(job.id) is not None
    assert asked.response.send_modal.called is works
    confirmed = await fixture.submit(f"easel-modal:delete:{job.id}", {}, person=person, permissions=permissions)
    assert message.deleted == works
    assert (await fixture.store.jobs.get(job.id) is None) is works
    if not works:
        assert "Only the person who asked" in said(asked)[0]
        assert "Only the person who asked" in said(confirmed)[0]


@pytest.mark.parametrize(("person", "permissions"), [(OTHER, MEMBER), (OTHER, MODERATOR)])
async def test_the_window_to_delete_ones_own_picture_deletes_nothing_where_it_is_sent_from_anothers_card(
    fixture: CogFixture, monkeypatch: pytest.MonkeyPatch, person: int, permissions: int
) -> None:
    message = Deleting(monkeypatch)
    theirs = await fixture.a_delivered_job()
    await fixture.command("imagine", options={"prompt": "mine"}, person=person)
    (mine,) = await fixture.jobs(person)
    card = a_message(PostedMessage(f"easel:edit:{theirs.id}").to_components())
    sent = await fixture.submit(
        f"easel-modal:delete:{mine.id}", {}, person=person, permissions=permissions, message=card
    )
    assert "Only the person who asked" in said(sent)[0]
    assert message.deleted == 0
    assert await fixture.store.jobs.get(theirs.id) is not None
    assert await fixture.store.jobs.get(mine.id) is not None

    own = a_message(PostedMessage(f"easel:delete:{mine.id}").to_components())
    await fixture.submit(f"easel-modal:delete:{mine.id}", {}, person=person, permissions=permissions, message=own)
    assert message.deleted == 1


async def test_the_question_before_deleting_fits_discord_and_needs_nothing_typed(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job()
    asked = await fixture.click(a_card(job), f"easel:delete:{job.id}")
    form = asked.response.send_modal.call_args.args[0].to_dict()
    validate.modal(form)
    assert form["custom_id"] == f"easel-modal:delete:{job.id}"
    assert [part["type"] for part in form["components"]] == [10]


@pytest.mark.parametrize("verb", ["again", "edit", "details", "cancel"])
async def test_a_button_whose_record_is_gone_says_so(fixture: CogFixture, verb: str) -> None:
    job = await fixture.a_delivered_job()
    await fixture.store.retention.delete_job(job.id)
    card = cards.progress_card(job, MODEL, Queued(0)) if verb == "cancel" else a_card(job)
    interaction = await fixture.click(card, f"easel:{verb}:{job.id}")
    assert "no longer have any data" in said(interaction)[0]


async def test_again_on_a_model_that_is_no_longer_offered_says_so(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job()
    with_services(fixture, replace(fixture.bot.services, catalogue=load(disabled=["flux-schnell"])))
    interaction = await fixture.click(a_card(job), f"easel:again:{job.id}")
    assert "not available here" in said(interaction)[0]


async def test_again_with_an_expired_attachment_says_so(fixture: CogFixture) -> None:
    soon = int(datetime.now(UTC).timestamp()) + 60
    url = f"https://cdn.discordapp.com/attachments/1/2/cat.png?ex={soon:x}&is=1&hm=2"
    job = await fixture.a_delivered_job("a fox", model="omnigen-v2", options=f"input_image_urls={url}")
    later = datetime.now(UTC) + timedelta(hours=1)
    with_services(fixture, replace(fixture.bot.services, clock=lambda: later))
    interaction = await fixture.click(a_card(job), f"easel:again:{job.id}")
    assert "expired" in said(interaction)[0]


# ---------------------------------------------------------------------- cancelling


async def test_cancel_is_for_the_requester_and_moderators(fixture: CogFixture) -> None:
    await fixture.command("imagine", options={"prompt": "a fox"})
    (job,) = await fixture.jobs()
    card = cards.progress_card(job, MODEL, Queued(0))
    refused = await fixture.click(card, f"easel:cancel:{job.id}", person=OTHER, permissions=MEMBER)
    assert "Only the person who asked" in said(refused)[0]
    done = await fixture.click(card, f"easel:cancel:{job.id}", permissions=MEMBER)
    done.response.defer.assert_awaited_once()
    assert (await fixture.jobs())[0].state is JobState.CANCELLED


@pytest.fixture
def edits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the first answers were edited to."""
    done: list[dict[str, Any]] = []

    async def edit(self: Any, **kwargs: Any) -> None:
        done.append(kwargs)

    monkeypatch.setattr(discord.Interaction, "edit_original_response", edit)
    return done


async def test_cancel_without_a_name_stops_the_only_one(fixture: CogFixture, edits: list[dict[str, Any]]) -> None:
    assert said(await fixture.command("cancel"))[0] == "You have no requests in progress."
    await fixture.command("imagine", options={"prompt": "a fox"})
    await fixture.command("cancel")
    assert edits == [{"content": "Cancelled before it was sent to fal.ai: nothing was charged."}]
    assert (await fixture.jobs())[0].state is JobState.CANCELLED


async def test_cancel_without_a_name_asks_which_of_several(fixture: CogFixture, edits: list[dict[str, Any]]) -> None:
    await fixture.command("imagine", options={"prompt": "one"})
    await fixture.command("imagine", options={"prompt": "two"})
    _, first = await fixture.jobs()
    question = card_of(await fixture.command("cancel"))
    check_card(question)
    await fixture.click(question, "easel-menu:canceljob:-", (first.id,))
    assert "nothing was charged" in shown_text(edits[0]["view"])
    assert [job.state for job in await fixture.jobs()] == [JobState.QUEUED, JobState.CANCELLED]


async def test_cancel_completes_own_jobs_and_refuses_others(fixture: CogFixture) -> None:
    await fixture.command("imagine", options={"prompt": "a very special fox"})
    ((label, value),) = await fixture.complete("cancel", "job", {"job": "special"})
    assert "special fox" in label
    assert await fixture.complete("cancel", "job", {"job": "badger"}) == []
    interaction = await fixture.command("cancel", options={"job": value}, person=OTHER, permissions=MEMBER)
    assert "Only the person who asked" in said(interaction)[0]


# ---------------------------------------------------------------------- /privacy


async def test_a_persons_data_is_deleted_after_a_question(fixture: CogFixture, edits: list[dict[str, Any]]) -> None:
    await fixture.a_delivered_job()
    await fixture.command("imagine", options={"prompt": "still waiting"})
    await fixture.command("settings", "model", options={"model": "hidream"})
    question = card_of(await fixture.click(card_of(await fixture.command("privacy")), "easel:eraseask:-"))
    assert custom_ids(question) == ["easel:erase:-", "easel:erasenot:-"]
    await fixture.click(question, "easel:erase:-")
    shown = shown_text(edits[0]["view"])
    assert "2 requests" in shown
    assert "1 picture in progress was cancelled" in shown
    assert await fixture.jobs() == []
    assert (await fixture.store.preferences.get(11, None)).user_model is None


async def test_keeping_the_data_keeps_it(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job()
    await fixture.click(pages.erase_question(locale=LOCALE), "easel:erasenot:-")
    assert await fixture.store.jobs.get(job.id) is not None
