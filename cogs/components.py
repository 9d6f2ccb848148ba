"""Routes what people do with buttons, menus and modals to the cog that registered for it.

Nothing is remembered between a card and its use but the custom_id, so whatever process receives the interaction can
act on it. Every error ends in `cogs.errors`: discord.py would only log it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Self, cast

import discord
from discord.ext import commands

from cogs import errors
from cogs.interaction_data import Interaction, locale_of
from cogs.ui import modals
from cogs.ui.actions import ACTIONS, CUSTOM_ID, Click
from cogs.ui.messages import say

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


class DynamicComponent(discord.ui.DynamicItem[discord.ui.Item[Any]], template=CUSTOM_ID):
    """Any button or menu of ours, found again by its custom_id."""

    def __init__(self, item: discord.ui.Item[Any], click: Click) -> None:
        super().__init__(item)
        self.click = click

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Called by discord.py with the match of the template."""
        values = cast("dict[str, Any]", interaction.data or {}).get("values", ())
        return cls(item, Click(match["verb"], match["subject"], tuple(map(str, values))))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Run the action, or say that this release has none of that verb."""
        action = ACTIONS.get(self.click.verb)
        await _answered(interaction, action.handler(interaction, self.click) if action is not None else None)


class ComponentsCog(commands.Cog, name="components"):
    """Reads submitted modals; discord.py keeps none of ours in memory."""

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        """Hand a submitted modal to whatever registered for its purpose, whichever process opened it."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        form = modals.submitted(cast("dict[str, Any]", interaction.data or {}))
        if form is None:
            return
        handler = modals.submit_handler(form.purpose)
        await _answered(interaction, handler(interaction, form) if handler is not None else None)


async def _answered(interaction: Interaction, work: Awaitable[None] | None) -> None:
    """Wait for what was asked for; whatever it raises is answered. None: nothing is registered for it."""
    if work is None:
        await errors.answer_privately(interaction, say(locale_of(interaction), "action_unknown"))
        return
    try:
        await work
    except Exception as error:  # the last line of defence of this task
        await errors.answer(interaction, error)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    bot.add_dynamic_items(DynamicComponent)
    await bot.add_cog(ComponentsCog())
