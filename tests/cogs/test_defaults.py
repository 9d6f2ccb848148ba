"""A model that needs more than words is nobody's default, though it was stored as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.catalogue import Model
from bot.phrase import phrase
from bot.settings import ModelSettings
from tests.cogs.conftest import CATALOGUE, CogFixture, with_services
from tests.cogs.draft_windows import CAT, MASK, buttons_of, imagine, window_of
from tests.cogs.interactions import GUILD, said
from tests.cogs.values import PostedMessage, check_card, custom_ids, shown_text
from tests.english import english

INPAINT = "z-image-inpaint"
NEEDY = [model for model in CATALOGUE.models if model.needs]


def shown(interaction: Any) -> str:
    view = interaction.response.send_message.call_args.kwargs["view"]
    check_card(view)
    return shown_text(view)


def test_there_are_models_that_need_more_than_words() -> None:
    assert INPAINT in [model.key for model in NEEDY]
    assert not any(model.paints_from_words for model in NEEDY)
    assert CATALOGUE.get("omnigen-v2").paints_from_words


@pytest.mark.parametrize("model", NEEDY, ids=lambda model: model.key)
async def test_it_can_not_be_made_the_default_by_any_way(fixture: CogFixture, model: Model) -> None:
    custom_id = f"easel:mydefault:{model.key}"
    for refused in (
        await fixture.command("settings", "model", options={"model": model.key}),
        await fixture.command("settings", "model", options={"model": model.key, "whose": "this server"}),
        await fixture.click(PostedMessage(custom_id), custom_id),
    ):
        assert f"{model.title} needs `image` and `mask` every time" in said(refused)[0]
        assert "Nothing was changed." in said(refused)[0]
    stored = await fixture.store.preferences.get(11, GUILD)
    assert (stored.user_model, stored.guild_model) == (None, None)
    assert model.key not in [key for _, key in await fixture.complete("settings", "model", {"model": ""}, "model")]


@pytest.mark.parametrize("model", NEEDY, ids=lambda model: model.key)
async def test_its_page_says_so_and_still_paints_with_it(fixture: CogFixture, model: Model) -> None:
    interaction = await fixture.command("models", options={"name": model.key})
    assert "Needs `image` and `mask` every time, so it can't be a default" in shown(interaction)
    page = interaction.response.send_message.call_args.kwargs["view"]
    assert custom_ids(page)[0] == f"easel:paint:{model.key}"
    assert not any("mydefault" in one for one in custom_ids(page))


@pytest.mark.parametrize("whose", ["user", "guild"])
async def test_one_that_is_stored_falls_back_with_a_notice(fixture: CogFixture, whose: str) -> None:
    preferences, endpoint = fixture.store.preferences, CATALOGUE.get(INPAINT).endpoint
    if whose == "user":
        await preferences.set_user_model(11, endpoint)
    else:
        await preferences.set_guild_model(GUILD, endpoint)
    interaction = await imagine(fixture)
    (job,) = await fixture.jobs()
    assert job.request.endpoint == CATALOGUE.get("flux-schnell").endpoint
    notice = english(phrase("default_passed_over", model="Z-Image Turbo Inpaint", key=INPAINT, needs=("image", "mask")))
    assert notice in shown(interaction)
    assert notice in shown(await fixture.command("settings", "show"))
    assert "Model: **FLUX.1 schnell** (the usual default)" in shown(await fixture.command("settings", "show"))


async def test_the_notice_is_not_told_where_the_model_is_named(fixture: CogFixture) -> None:
    await fixture.store.preferences.set_user_model(11, CATALOGUE.get(INPAINT).endpoint)
    await imagine(fixture, model="qwen-image")
    assert (await fixture.jobs())[0].request.notices == ()


async def test_ones_own_passed_over_default_leaves_the_servers_in_place(fixture: CogFixture) -> None:
    await fixture.store.preferences.set_user_model(11, CATALOGUE.get(INPAINT).endpoint)
    await fixture.store.preferences.set_guild_model(GUILD, CATALOGUE.get("qwen-image").endpoint)
    await imagine(fixture)
    (job,) = await fixture.jobs()
    assert job.request.endpoint == CATALOGUE.get("qwen-image").endpoint
    assert [one.code for one in job.request.notices] == ["default_passed_over"]


async def test_the_operators_default_falls_back_too(fixture: CogFixture) -> None:
    settings = fixture.bot.services.settings.model_copy(update={"models": ModelSettings(default=INPAINT)})
    with_services(fixture, replace(fixture.bot.services, settings=settings))
    await imagine(fixture)
    assert (await fixture.jobs())[0].request.endpoint == CATALOGUE.models[0].endpoint


# ---------------------------------------------------------------------- its window


async def test_paint_with_this_asks_for_what_the_model_needs(fixture: CogFixture) -> None:
    custom_id = f"easel:paint:{INPAINT}"
    form = window_of(await fixture.click(PostedMessage(custom_id), custom_id))
    files = {
        label["component"]["custom_id"]: label["component"]
        for label in form["components"]
        if label["component"]["type"] == 19
    }
    assert [(name, one["required"], one["min_values"], one["max_values"]) for name, one in files.items()] == [
        ("image", True, 1, 1),
        ("mask", True, 1, 1),
    ]
    await fixture.submit(form["custom_id"], {"prompt": "a fox"}, {"image": [CAT], "mask": [MASK]})
    (job,) = await fixture.jobs()
    assert (job.request.options["image_url"], job.request.options["mask_image_url"]) == (CAT["url"], MASK["url"])


async def test_a_window_that_came_without_its_files_is_given_back(fixture: CogFixture) -> None:
    refused = await fixture.submit(f"easel-modal:compose:{INPAINT}", {"prompt": "a fox"})
    assert "`image` and `mask` are missing" in said(refused)[0]
    assert "Fix it" in buttons_of(refused)
