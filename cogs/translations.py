"""Translate the names and descriptions of the commands into the languages that have messages for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogs.ui.messages import bundled
from cogs.ui.messages.commands import Translator, translates_commands

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


async def setup(bot: EaselBot) -> None:
    """Load as an extension, after the commands. Without translated commands the command tree stays unchanged."""
    if translates_commands(bundled(), bot.tree):
        await bot.tree.set_translator(Translator(bundled()))
