from __future__ import annotations

import re
from typing import Any

import discord
import pytest
from discord.webhook.async_ import AsyncWebhookAdapter

from bot.domain.events import Queued
from cogs.ui import buttons, cards, modals
from cogs.ui.buttons import ALL, DynamicButton, MenuVerb, Verb
from tests.cogs.conftest import CogFixture
from tests.cogs.interactions import a_client, an_interaction, said
from tests.cogs.values import MODEL, a_job


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("subject", ["0a1b2c3d4e5f", "0" * 20, "z-image-turbo", "-", "a" * 32])
def test_every_button_is_found_again_by_its_id(verb: Verb, subject: str) -> None:
    custom_id = buttons.custom_id(verb, subject)
    assert len(custom_id) <= 100
    match = DynamicButton.__discord_ui_compiled_template__.fullmatch(custom_id)
    assert match is not None
    assert (match["verb"], match["subject"]) == (verb, subject)


@pytest.mark.parametrize(
    "custom_id", ["easel:again:", "easel:explode:x", "easel:again:x y", "other:again:x", "easel:again:../x/"]
)
def test_foreign_ids_are_not_ours(custom_id: str) -> None:
    assert not any(item.__discord_ui_compiled_template__.fullmatch(custom_id) for item in ALL)


def test_the_verbs_out_there_stay_as_they_are() -> None:
    """They are in messages already posted."""
    jobs = {"cancel", "again", "edit", "details", "delete"}
    jobs |= {"why"}
    assert jobs | {"paint", "mydefault", "compose", "models", "usage", "eraseask", "erase", "erasenot"} == set(Verb)
    assert set(MenuVerb) == {"model", "canceljob"}
    assert all(re.fullmatch("[a-z]+", verb) for verb in (*Verb, *MenuVerb))


async def test_an_unexpected_error_under_a_button_reaches_the_person_with_a_code(fixture: CogFixture) -> None:
    async def breaks(*_: object) -> None:
        raise ZeroDivisionError

    presses: Any = fixture.bot.get_cog("presses")
    presses._handlers[Verb.AGAIN] = breaks
    interaction = await fixture.press(
        cards.result_card(a_job(), MODEL, [cards.Shown("a.png", "alt")]), "easel:again:0a1b2c3d4e5f"
    )
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
            await interaction.response.send_modal(modals.compose(MODEL))
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
