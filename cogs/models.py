"""/models: the list of models, and a page for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.catalogue.model import PROMPT_TASKS
from cogs.defaults import check_can_be_default, default_of
from cogs.drafts import open_window
from cogs.interaction_data import Interaction, locale_of, services_of
from cogs.ui import pages
from cogs.ui.actions import Click, Subject, action
from cogs.ui.completion import model_choices
from cogs.ui.messages.commands import described, localized

if TYPE_CHECKING:
    from decimal import Decimal

    from bot.discord.client import EaselBot
    from bot.services import Services


class ModelsCog(commands.Cog, name="models"):
    """Shows the models."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command(description=localized("command_models"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    @described("models")
    async def models(self, interaction: Interaction, name: str | None = None) -> None:
        """What each model is good at, how fast it is, what it costs, and its options."""
        catalogue = self._services.catalogue
        default, locale = await default_of(interaction, self._services), locale_of(interaction)
        if name:
            page = pages.model_page(
                catalogue.models, catalogue.get(name), default, _assumed_usd(self._services), locale=locale
            )
        else:
            page = pages.models_page(catalogue.models, default, locale=locale)
        await interaction.response.send_message(view=page, ephemeral=True)

    @models.autocomplete("name")
    async def _complete_name(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        return model_choices(self._services.catalogue.search(typed))


@action("models")
async def browse_models(interaction: Interaction, click: Click) -> None:
    """Respond privately with the list of models."""
    services = services_of(interaction)
    default = await default_of(interaction, services)
    page = pages.models_page(services.catalogue.models, default, locale=locale_of(interaction))
    await interaction.response.send_message(view=page, ephemeral=True)


@action("model")
async def show_chosen_model(interaction: Interaction, click: Click) -> None:
    """Edit the card to show the page of the model chosen from its menu."""
    services = services_of(interaction)
    model = services.catalogue.get(click.choice)
    default = await default_of(interaction, services)
    page = pages.model_page(
        services.catalogue.models, model, default, _assumed_usd(services), locale=locale_of(interaction)
    )
    await interaction.response.edit_message(view=page)


@action("paint", style=discord.ButtonStyle.primary, subject=Subject.MODEL)
async def open_compose_modal(interaction: Interaction, click: Click) -> None:
    """Open an empty modal for the model of the page."""
    await open_window(interaction, click.subject)


@action("mydefault", subject=Subject.MODEL)
async def make_default(interaction: Interaction, click: Click) -> None:
    """Make the model of the page the person's default, and update the page."""
    services = services_of(interaction)
    model = services.catalogue.get(click.subject, PROMPT_TASKS)
    check_can_be_default(model)
    await services.store.preferences.set_user_model(interaction.user.id, model.endpoint)
    page = pages.model_page(
        services.catalogue.models, model, model, _assumed_usd(services), locale=locale_of(interaction)
    )
    await interaction.response.edit_message(view=page)


def _assumed_usd(services: Services) -> Decimal:
    return services.settings.budget.assumed_usd_per_image


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(ModelsCog(bot))
