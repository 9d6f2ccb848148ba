"""Translate the names and descriptions of the commands into the languages that have message files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogs.ui.messages import ENGLISH, bundled
from cogs.ui.messages.commands import Translator

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


async def setup(bot: EaselBot) -> None:
    """Load as an extension. With English alone no translator is set, so that the command tree stays unchanged."""
    if bundled().locales != (ENGLISH,):
        await bot.tree.set_translator(Translator(bundled()))
