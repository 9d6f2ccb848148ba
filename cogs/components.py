"""Route component and modal interactions to the handler that a cog registered for them.

The custom_id is the only state between a message and its use, so that any process can handle the interaction. Errors of
handlers go to `cogs.errors`; discord.py would only log them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

import discord
from discord.ext import commands

from cogs import access, errors
from cogs.interaction_data import Interaction, locale_of
from cogs.ui import modals
from cogs.ui.actions import ACTIONS, CUSTOM_ID, Click
from cogs.ui.messages import say

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


class DynamicComponent(discord.ui.DynamicItem[discord.ui.Item[Any]], template=CUSTOM_ID):
    """Any button or menu of this bot, matched by its custom_id."""

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
        """Run the action of the verb, or respond that this release has no such action."""
        action = ACTIONS.get(self.click.verb)
        await _answered(interaction, partial(action.handler, interaction, self.click) if action is not None else None)


class ComponentsCog(commands.Cog, name="components"):
    """Handles submitted modals, because discord.py does not keep this bot's modals in memory."""

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        """Run the handler that is registered for a submitted modal's purpose, whichever process opened it."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        form = modals.parse_submit(cast("dict[str, Any]", interaction.data or {}))
        if form is None:
            return
        handler = modals.submit_handler(form.purpose)
        await _answered(interaction, partial(handler, interaction, form) if handler is not None else None)


async def _answered(interaction: Interaction, work: Callable[[], Awaitable[None]] | None) -> None:
    """Run a handler behind the gate, and show its errors. None: no handler is registered, which is shown instead."""
    if not await access.admit(interaction):
        return
    if work is None:
        await errors.answer_privately(interaction, say(locale_of(interaction), "action_unknown"))
        return
    try:
        await work()
    except Exception as error:  # nothing above this task would handle it
        await errors.answer(interaction, error)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    bot.add_dynamic_items(DynamicComponent)
    await bot.add_cog(ComponentsCog())
