"""Offers Discord the names and descriptions of the commands in the languages that there are message files for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogs.ui.messages import ENGLISH, bundled
from cogs.ui.messages.commands import Translator

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


async def setup(bot: EaselBot) -> None:
    """Load as an extension; with English alone nothing is to be translated, and nothing registered anew."""
    if bundled().locales != (ENGLISH,):
        await bot.tree.set_translator(Translator(bundled()))
