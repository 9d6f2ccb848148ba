"""/help and /privacy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from cogs.defaults import default_model
from cogs.interaction_data import Interaction
from cogs.ui import pages

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


class HelpCog(commands.Cog, name="help"):
    """How to start, and what happens to what is typed."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command()
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def help(self, interaction: Interaction) -> None:
        """How to paint, with three examples."""
        services = self._services
        preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
        model = default_model(services.catalogue, preferences, services.settings.models.default)
        await interaction.response.send_message(view=pages.help_page(model), ephemeral=True)

    @app_commands.command()
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def privacy(self, interaction: Interaction) -> None:
        """What is stored about you, where it goes, how long, and how to delete it."""
        settings = self._services.settings
        page = pages.privacy_page(settings.privacy.keep_days, settings.fal.store_payloads)
        await interaction.response.send_message(view=page, ephemeral=True)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(HelpCog(bot))
