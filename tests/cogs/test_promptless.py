"""Models without a prompt: what commands offer, and what the cards of their jobs show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.catalogue import Model, parse
from bot.domain.events import Queued
from bot.domain.job import Failure, Job
from bot.phrase import phrase
from cogs import intake
from cogs.interaction_data import services_of
from cogs.ui import cards, completion, details, pages
from cogs.ui.actions import ACTIONS, Action, Click
from tests.catalogue.promptless import ENLARGER, PICTURE, catalogue_with
from tests.cogs.conftest import CogFixture, with_services
from tests.cogs.interactions import said
from tests.cogs.values import PostedMessage, a_job, check_card, custom_ids, shown_text
from tests.english import LOCALE


@pytest.fixture
def enlarger(fixture: CogFixture, tmp_path: Path) -> Model:
    """Offered by the fixture's bot."""
    catalogue = catalogue_with(tmp_path, ENLARGER)
    with_services(fixture, replace(fixture.bot.services, catalogue=catalogue))
    return catalogue.get("enlarger")


def a_promptless_job(model: Model) -> Job:
    return a_job(request=parse(model, {"image": PICTURE}))


# ---------------------------------------------------------------------- commands


@pytest.mark.parametrize("command", ["imagine", "compose"])
async def test_commands_for_words_offer_only_models_that_take_them(
    fixture: CogFixture, enlarger: Model, command: str
) -> None:
    assert await fixture.complete(command, "model", {"model": "enlarger"}) == []
    assert "enlarger" not in [value for _, value in await fixture.complete(command, "model", {"model": ""})]
    words = {"prompt": "a fox"} if command == "imagine" else {}
    interaction = await fixture.command(command, options={**words, "model": "enlarger"})
    assert "not made for this command" in said(interaction)[0]
    assert await fixture.jobs() == []


async def test_such_a_model_is_nobodys_default(fixture: CogFixture, enlarger: Model) -> None:
    assert await fixture.complete("settings", "model", {"model": "enlarger"}, "model") == []
    interaction = await fixture.command("settings", "model", options={"model": "enlarger"})
    assert "not made for this command" in said(interaction)[0]
    await fixture.store.preferences.set_user_model(11, enlarger.endpoint)
    await fixture.command("imagine", options={"prompt": "a fox"})
    assert (await fixture.jobs())[0].request.endpoint == "fal-ai/flux-1/schnell"


async def test_such_a_model_can_be_read_about_but_not_painted_with(fixture: CogFixture, enlarger: Model) -> None:
    interaction = await fixture.command("models", options={"name": "enlarger"})
    page: Any = interaction.response.send_message.call_args.kwargs["view"]
    check_card(page)
    assert "Makes a picture larger." in shown_text(page)
    assert [one.split(":")[1] for one in custom_ids(page)] == ["model"]
    for verb in ("paint", "mydefault"):
        custom_id = f"easel:{verb}:enlarger"
        assert "not made for this command" in said(await fixture.click(PostedMessage(custom_id), custom_id))[0]


# ---------------------------------------------------------------------- cards


def test_no_card_of_such_a_job_has_a_line_for_the_prompt(enlarger: Model) -> None:
    job = a_promptless_job(enlarger)
    shown = [cards.Shown("a.png", "alt")]
    for card in (
        cards.progress_card(job, enlarger, Queued(0)),
        cards.result_card(job, enlarger, shown),
        cards.failure_card(job, enlarger, Failure("provider_error", phrase("provider_error"))),
        cards.cancelled_card(job, enlarger, Failure("cancelled", phrase("cancelled_unused"))),
    ):
        check_card(card)
        assert "nothing visible" not in shown_text(card)
        assert "easel:edit:0a1b2c3d4e5f" not in custom_ids(card)
        assert "Enlarger" in shown_text(card)


def test_the_alt_text_says_what_was_done(enlarger: Model) -> None:
    request = a_promptless_job(enlarger).request
    assert cards.alt_text(request, 0, enlarger, locale=LOCALE) == "A picture enlarged by Enlarger"
    assert (
        cards.alt_text(replace(request, images=3), 1, enlarger, locale=LOCALE) == "Picture 2 of 3, enlarged by Enlarger"
    )
    assert cards.alt_text(request, 0, locale=LOCALE) == "A picture made by Enlarger"


def test_the_details_have_nothing_to_paste(enlarger: Model) -> None:
    shown = shown_text(details.details(a_promptless_job(enlarger), enlarger, locale=LOCALE).card)
    assert "image: an attached picture" in shown
    assert "prompt" not in shown
    assert "/imagine" not in shown


def test_lists_name_such_a_job_by_its_id(enlarger: Model) -> None:
    job = a_promptless_job(enlarger)
    ((label, value),) = [(choice.name, choice.value) for choice in completion.job_choices([job], "", locale=LOCALE)]
    assert label.startswith(job.id)
    assert value == job.id
    page = pages.usage_page(None, [job], {job.id: 0}, {enlarger.endpoint: enlarger.title}, locale=LOCALE)
    check_card(page)
    assert f"`{job.id}`" in shown_text(page)


# ---------------------------------------------------------------------- the way of such a job


async def test_such_a_job_is_accepted_and_done_again(
    fixture: CogFixture, enlarger: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def enlarge(interaction: discord.Interaction[Any], click: Click) -> None:
        services = services_of(interaction)
        preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
        await intake.place(interaction, services, enlarger, parse(enlarger, {"image": PICTURE}), preferences)

    monkeypatch.setattr(ACTIONS, "_actions", {**ACTIONS._actions, "enlarge": Action("enlarge", enlarge)})
    await fixture.click(PostedMessage("easel:enlarge:-"), "easel:enlarge:-")
    (job,) = await fixture.jobs()
    custom_id = f"easel:again:{job.id}"
    await fixture.click(
        cards.cancelled_card(job, enlarger, Failure("cancelled", phrase("cancelled_unused"))), custom_id
    )
    again, first = await fixture.jobs()
    assert first == job
    assert (again.request, again.parent_id) == (job.request, job.id)
    details = await fixture.click(cards.result_card(job, enlarger, []), f"easel:details:{job.id}")
    assert details.response.send_message.call_args.kwargs["view"] is not None
