"""Recognising what an earlier process posted."""

from __future__ import annotations

from typing import Any

import discord
import pytest
from discord.components import _component_factory

from bot.domain.events import Queued
from bot.domain.job import Failure
from bot.phrase import phrase
from cogs.ui import cards
from tests.cogs.values import MODEL, a_job, payload


def as_discord_returns(
    card: discord.ui.LayoutView, host: str = "https://cdn.discordapp.com/attachments/1/2/"
) -> list[Any]:
    """The components of the message that a card became."""
    sent: list[dict[str, Any]] = payload(card)

    def with_addresses(component: dict[str, Any]) -> dict[str, Any]:
        for item in component.get("items", ()):
            name = item["media"]["url"].removeprefix("attachment://")
            item["media"] = {"url": f"{host}{name}?ex=1&is=2&hm=3", "proxy_url": "", "loading_state": 2}
        for child in component.get("components", ()):
            with_addresses(child)
        return component

    return [_component_factory(with_addresses(component)) for component in sent]  # type: ignore[arg-type]


@pytest.mark.parametrize("spoiler", [False, True])
def test_a_result_is_known_by_its_file_name(spoiler: bool) -> None:
    job = a_job()
    shown = cards.Shown(cards.file_name(job.id, 0, "png", spoiler), "alt", spoiler)
    components = as_discord_returns(cards.result_card(job, MODEL, [shown]))
    assert cards.shows_end_of(components, job.id, with_pictures=True)
    assert not cards.shows_end_of(components, job.id, with_pictures=False)
    assert not cards.shows_end_of(components, "another0job0", with_pictures=True)


def test_a_failure_or_cancel_card_is_known_by_its_buttons() -> None:
    job = a_job()
    for card in (
        cards.failure_card(job, MODEL, Failure("x", phrase("as_stored", text="It broke."), worth_retrying=False)),
        cards.cancelled_card(job, MODEL, Failure("cancelled", phrase("cancelled_unused"))),
    ):
        components = as_discord_returns(card)
        assert cards.shows_end_of(components, job.id, with_pictures=False)
        assert not cards.shows_end_of(components, job.id, with_pictures=True)
        assert not cards.shows_end_of(components, "another0job0", with_pictures=False)


def test_a_progress_card_is_no_end() -> None:
    job = a_job()
    components = as_discord_returns(cards.progress_card(job, MODEL, Queued(2)))
    assert not cards.shows_end_of(components, job.id, with_pictures=False)
    assert not cards.shows_end_of(components, job.id, with_pictures=True)
