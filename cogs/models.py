"""/models: read about what can be painted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from cogs.defaults import default_model
from cogs.interaction_data import Interaction
from cogs.ui import pages
from cogs.ui.completion import model_choices

if TYPE_CHECKING:
    from bot.discord.client import EaselBot


class ModelsCog(commands.Cog, name="models"):
    """Read about the models."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command()
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    @app_commands.describe(name="Which one; all of them if left out")
    async def models(self, interaction: Interaction, name: str | None = None) -> None:
        """What each model is good at, how fast it is, what it costs, and its options."""
        catalogue = self._services.catalogue
        preferences = await self._services.store.preferences.get(interaction.user.id, interaction.guild_id)
        default = default_model(catalogue, preferences, self._services.settings.models.default)
        if name:
            page = pages.model_page(catalogue.models, catalogue.get(name), default)
        else:
            page = pages.models_page(catalogue.models, default)
        await interaction.response.send_message(view=page, ephemeral=True)

    @models.autocomplete("name")
    async def _complete_name(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        return model_choices(self._services.catalogue.search(typed))


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(ModelsCog(bot))
