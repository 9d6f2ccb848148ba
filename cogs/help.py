"""/help: how to paint a first picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from cogs.defaults import default_of
from cogs.interaction_data import Interaction, locale_of
from cogs.ui import pages
from cogs.ui.messages.commands import localized

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


class HelpCog(commands.Cog, name="help"):
    """Explains how to start."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command(description=localized("command_help"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def help(self, interaction: Interaction) -> None:
        """How to paint, with three examples."""
        model = await default_of(interaction, self._services)
        await interaction.response.send_message(
            view=pages.help_page(model, locale=locale_of(interaction)), ephemeral=True
        )


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(HelpCog(bot))
