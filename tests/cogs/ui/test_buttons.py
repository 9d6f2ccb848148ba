from __future__ import annotations

import re
from typing import Any
from unittest.mock import AsyncMock

import discord
import pytest
from discord.webhook.async_ import AsyncWebhookAdapter

from bot.domain.events import Queued
from cogs.ui import buttons, cards, windows
from cogs.ui.actions import (
    ACTIONS,
    CUSTOM_ID,
    Action,
    ActionRegistry,
    CardKind,
    Click,
    Subject,
    action,
    custom_id,
    job_named_by,
)
from cogs.ui.messages import ENGLISH, bundled
from tests.buttons import POSTED_CUSTOM_IDS, RESULT_BUTTONS
from tests.cogs.conftest import CogFixture
from tests.cogs.interactions import a_client, an_interaction, said
from tests.cogs.values import MODEL, PostedMessage, a_job, check_card, parts, payload
from tests.english import LOCALE


def _labels(card: cards.Card) -> list[str]:
    """The labels of a card's buttons, in their order."""
    return [part["label"] for part in parts(payload(card)) if part["type"] == 2]


def answered(interaction: Any) -> bool:
    response = interaction.response
    ways = (response.send_message, response.edit_message, response.send_modal, response.defer)
    return any(way.called for way in ways)


@pytest.mark.parametrize("custom_id", POSTED_CUSTOM_IDS)
async def test_a_button_that_was_ever_posted_does_what_it_did(
    fixture: CogFixture, monkeypatch: pytest.MonkeyPatch, custom_id: str
) -> None:
    runner: Any = fixture.runner
    runner.wait_reason = AsyncMock(return_value=None)
    monkeypatch.setattr(discord.Interaction, "delete_original_response", AsyncMock())
    monkeypatch.setattr(discord.Interaction, "edit_original_response", AsyncMock())
    chosen = ("hidream",) if custom_id.startswith("easel-menu:") else ()
    interaction = await fixture.click(PostedMessage(custom_id), custom_id, chosen)
    assert answered(interaction)
    if interaction.response.send_message.call_args is not None and interaction.response.send_message.call_args.args:
        # The job or the draft is gone; any other sentence would be about the button.
        assert re.search("no longer have any data|waited too long", said(interaction)[0])


def test_every_registered_verb_is_in_the_list_of_posted_ones() -> None:
    assert {custom_id.split(":")[1] for custom_id in POSTED_CUSTOM_IDS} == ACTIONS.verbs(), (
        "add the custom_id in tests/buttons.py"
    )


@pytest.mark.parametrize("subject", ["0a1b2c3d4e5f", "0a1b2c3d4e5f.3", "0" * 20, "z-image-turbo", "-", "a" * 64])
def test_every_custom_id_is_found_again(subject: str) -> None:
    for verb in ACTIONS.verbs():
        made = custom_id(verb, subject)
        match = CUSTOM_ID.fullmatch(made)
        assert len(made) <= 100
        assert match is not None
        assert (match["verb"], match["subject"]) == (verb, subject)


@pytest.mark.parametrize(
    "foreign",
    ["easel:again:", "easel:again:x y", "other:again:x", "easel:again:../x/", "easel-modal:edit:x", "easel:A:x"],
)
def test_foreign_ids_are_not_ours(foreign: str) -> None:
    assert not CUSTOM_ID.fullmatch(foreign)


@pytest.mark.parametrize("custom_id", ["easel:explode:0a1b2c3d4e5f", "easel-menu:explode:-"])
async def test_a_button_of_a_newer_release_is_answered_with_a_sentence(fixture: CogFixture, custom_id: str) -> None:
    chosen = ("hidream",) if custom_id.startswith("easel-menu:") else ()
    interaction = await fixture.click(PostedMessage(custom_id), custom_id, chosen)
    assert "newer version of me" in said(interaction)[0]
    assert said(interaction)[1]


async def test_a_modal_of_a_newer_release_is_answered_with_a_sentence(fixture: CogFixture) -> None:
    interaction = await fixture.submit("easel-modal:explode:x", {"prompt": "a fox"})
    assert "newer version of me" in said(interaction)[0]


# ---------------------------------------------------------------------- registering


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> ActionRegistry:
    """The real one; what a test adds is taken out afterwards."""
    monkeypatch.setattr(ACTIONS, "_actions", dict(ACTIONS._actions))
    for verb, label in (("frame", "Frame it"), ("crop", "Crop"), ("explode", "Explode")):
        monkeypatch.setitem(bundled().language(ENGLISH).sources, f"action_{verb}", f"action_{verb} = {label}")
    return ACTIONS


async def test_one_entry_puts_a_button_on_results_and_has_its_clicks(
    fixture: CogFixture, registry: ActionRegistry
) -> None:
    clicks: list[Click] = []

    @action("frame", subject=Subject.JOB, cards=(CardKind.RESULT,), rank=40)
    async def frame(interaction: discord.Interaction[Any], click: Click) -> None:
        clicks.append(click)

    card = cards.result_card(a_job(), MODEL, [cards.Shown("a.png", "alt")])
    check_card(card)
    labels = _labels(card)
    assert [label for label in labels if label != "Frame it"] == RESULT_BUTTONS
    assert labels.index("Details") < labels.index("Frame it") < labels.index("Delete")
    await fixture.click(card, "easel:frame:0a1b2c3d4e5f")
    assert clicks == [Click("frame", "0a1b2c3d4e5f")]


async def test_an_action_on_pictures_gets_a_button_for_each_and_hears_which(
    fixture: CogFixture, registry: ActionRegistry
) -> None:
    clicks: list[Click] = []

    @action("crop", subject=Subject.PICTURE, cards=(CardKind.RESULT,))
    async def crop(interaction: discord.Interaction[Any], click: Click) -> None:
        clicks.append(click)

    card = cards.result_card(a_job(), MODEL, [cards.Shown(f"{index}.png", "alt") for index in range(4)])
    check_card(card)
    labels = _labels(card)
    first = labels.index("Crop 1")
    assert labels[first : first + 4] == ["Crop 1", "Crop 2", "Crop 3", "Crop 4"]
    assert [*labels[:first], *labels[first + 4 :]] == RESULT_BUTTONS
    await fixture.click(card, "easel:crop:0a1b2c3d4e5f.2")
    assert [(click.job_id, click.picture) for click in clicks] == [("0a1b2c3d4e5f", 2)]
    single = cards.result_card(a_job(), MODEL, [cards.Shown("a.png", "alt")])
    assert "Crop" in _labels(single)


def test_a_picture_of_a_job_still_names_the_job() -> None:
    assert job_named_by("easel:crop:0a1b2c3d4e5f.2") == "0a1b2c3d4e5f"
    assert job_named_by("somebody:elses:0a1b2c3d4e5f") is None


@pytest.mark.parametrize(("subject", "picture"), [("x.0", 0), ("x.12", 12), ("x", None), ("x.", None), ("x.y", None)])
def test_the_index_of_a_picture_is_read_off_the_subject(subject: str, picture: int | None) -> None:
    assert Click("crop", subject).picture == picture


def test_two_handlers_for_one_verb_are_a_mistake(registry: ActionRegistry) -> None:
    async def other(interaction: discord.Interaction[Any], click: Click) -> None:
        """Never called: registering it is the mistake."""

    with pytest.raises(ValueError, match=r"handled by cogs\.results"):
        registry.add(Action("again", other))


@pytest.mark.parametrize("verb", ["", "Again", "a:b", "a" * 30])
def test_a_verb_that_could_not_be_read_back_is_a_mistake(registry: ActionRegistry, verb: str) -> None:
    async def handler(interaction: discord.Interaction[Any], click: Click) -> None:
        """Never called: registering it is the mistake."""

    with pytest.raises(ValueError, match="custom_id"):
        registry.add(Action(verb, handler))


def test_a_button_that_nobody_registered_is_a_mistake() -> None:
    with pytest.raises(LookupError, match="explode"):
        buttons.button("explode", locale=LOCALE)


async def test_an_unexpected_error_under_a_button_reaches_the_person_with_a_code(
    fixture: CogFixture, registry: ActionRegistry
) -> None:
    @action("explode", subject=Subject.JOB, cards=(CardKind.RESULT,))
    async def breaks(interaction: discord.Interaction[Any], click: Click) -> None:
        raise ZeroDivisionError

    card = cards.result_card(a_job(), MODEL, [cards.Shown("a.png", "alt")])
    interaction = await fixture.click(card, "easel:explode:0a1b2c3d4e5f")
    assert "Something broke on my side (code " in said(interaction)[0]


async def test_nothing_stays_in_memory_after_a_card_or_a_modal_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """discord.py keeps unfinished views and modals for ever; thousands a day would pile up."""
    resource = {"type": 4, "message": {**_MESSAGE, "flags": 1 << 15}}
    answer = {"interaction": {"id": "1", "type": 2, "response_message_id": "888"}, "resource": resource}

    async def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        return answer

    monkeypatch.setattr(AsyncWebhookAdapter, "create_interaction_response", create)
    client = a_client()
    for send in ("card", "modal"):
        interaction: Any = an_interaction(client)
        interaction._cs_response = discord.InteractionResponse(interaction)
        interaction._session = None
        if send == "card":
            response = await interaction.response.send_message(view=cards.progress_card(a_job(), MODEL, Queued(0)))
            assert response.message_id == 888
        else:
            await interaction.response.send_modal(windows.compose(MODEL, locale=LOCALE))
    store = client._connection._view_store
    assert not store._views
    assert not store._synced_message_views
    assert not store._modals


_MESSAGE = {
    "id": "888",
    "channel_id": "22",
    "type": 20,
    "content": "",
    "author": {"id": "44", "username": "easel", "discriminator": "0", "avatar": None, "bot": True},
    "components": [],
    "attachments": [],
    "embeds": [],
    "mentions": [],
    "mention_roles": [],
    "mention_everyone": False,
    "pinned": False,
    "tts": False,
    "timestamp": "2026-11-21T12:00:00+00:00",
    "edited_timestamp": None,
}
