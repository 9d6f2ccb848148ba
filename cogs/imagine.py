"""/imagine and /compose: paint a picture from a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot import catalogue
from bot.catalogue.model import PROMPT_TASKS
from cogs.defaults import default_of, offered
from cogs.drafts import attempt, open_window
from cogs.interaction_data import Interaction, files_of, locale_of
from cogs.ui import modals
from cogs.ui.actions import Click, action
from cogs.ui.completion import choices, model_choices, no_styles
from cogs.ui.messages.commands import described, localized
from cogs.ui.typed import Typed

if TYPE_CHECKING:
    from bot.catalogue.model import Model
    from bot.discord.client import EaselBot
    from bot.domain.request import Json


class Imagine(commands.Cog, name="imagine"):
    """Paints pictures from prompts."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command(description=localized("command_imagine"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    @described("imagine")
    async def imagine(  # noqa: PLR0917 - Discord fills them by name
        self,
        interaction: Interaction,
        prompt: str,
        model: str | None = None,
        size: str | None = None,
        count: int | None = None,
        seed: int | None = None,
        negative_prompt: str | None = None,
        style: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        image: discord.Attachment | None = None,
        mask: discord.Attachment | None = None,
        options: str | None = None,
    ) -> None:
        """Paint a picture from your words."""
        typed: dict[str, Json] = {
            "prompt": prompt,
            "size": size,
            "count": count,
            "seed": seed,
            "negative_prompt": negative_prompt,
            "style": style,
            "steps": steps,
            "guidance": guidance,
            "options": options,
        }
        files = {name: [given] for name, given in (("image", image), ("mask", mask)) if given is not None}
        await attempt(interaction, Typed(model, {}).having(typed), files=files)

    @app_commands.command(description=localized("command_compose"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    @described("compose")
    async def compose(self, interaction: Interaction, model: str | None = None) -> None:
        """Write a long prompt of several lines in a window of its own."""
        await open_window(interaction, model)

    # ------------------------------------------------------------------ autocomplete

    @imagine.autocomplete("model")
    @compose.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        return model_choices(self._services.catalogue.search(typed, tasks=PROMPT_TASKS))

    @imagine.autocomplete("size")
    async def _complete_size(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        return choices(catalogue.size_choices(await self._chosen(interaction), typed))

    @imagine.autocomplete("style")
    async def _complete_style(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        model = await self._chosen(interaction)
        if not model.has_styles:
            return no_styles(model, self._services.catalogue.offered(PROMPT_TASKS), locale=locale_of(interaction))
        return choices(catalogue.style_choices(model, typed))

    @imagine.autocomplete("options")
    async def _complete_options(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        return choices(catalogue.option_completions(await self._chosen(interaction), typed))

    async def _chosen(self, interaction: Interaction) -> Model:
        """The model typed into the option `model`, else the person's default."""
        named = offered(self._services.catalogue, interaction.namespace.model)
        return named if named is not None else await default_of(interaction, self._services)


@action("compose", style=discord.ButtonStyle.primary)
async def open_compose_modal(interaction: Interaction, click: Click) -> None:
    """Open an empty modal for the person's default model."""
    await open_window(interaction)


@modals.on_submit("compose")
async def paint_composed(interaction: Interaction, form: modals.ModalSubmit) -> None:
    """Accept the request from the modal; its subject is the model's key."""
    await attempt(interaction, Typed(form.subject, form.fields), files=files_of(interaction, form.files))


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(Imagine(bot))
