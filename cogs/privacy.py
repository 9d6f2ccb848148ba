"""/privacy: what is stored about a person, and deleting all of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.phrase import Phrase, phrase
from cogs.interaction_data import Interaction, locale_of, services_of
from cogs.ui import pages
from cogs.ui.actions import Click, action
from cogs.ui.messages import say
from cogs.ui.messages.commands import localized

if TYPE_CHECKING:
    from bot.discord.client import EaselBot
    from bot.services import Services

#: Pauses before each attempt to erase: a job that is being submitted can be cancelled only a moment later.
ERASE_PAUSES_S = (0.0, 1.0, 2.0, 4.0)


class PrivacyCog(commands.Cog, name="privacy"):
    """Shows what is stored, and erases it."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command(description=localized("command_privacy"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def privacy(self, interaction: Interaction) -> None:
        """What is stored about you, where it goes, how long, and how to delete it."""
        settings = self._services.settings
        page = pages.privacy_page(
            settings.privacy.keep_days, settings.fal.store_payloads, locale=locale_of(interaction)
        )
        await interaction.response.send_message(view=page, ephemeral=True)


@action("eraseask", style=discord.ButtonStyle.danger)
async def ask_whether_to_erase(interaction: Interaction, click: Click) -> None:
    """Ask before anything is deleted."""
    await interaction.response.send_message(view=pages.erase_question(locale=locale_of(interaction)), ephemeral=True)


@action("erase", style=discord.ButtonStyle.danger)
async def erase(interaction: Interaction, click: Click) -> None:
    """Delete everything stored about the person."""
    await interaction.response.defer()
    done = await _erase_all(services_of(interaction), interaction.user.id)
    sentence = " ".join(say(locale_of(interaction), one) for one in done)
    await interaction.edit_original_response(view=pages.plain_page(sentence))


@action("erasenot")
async def dismiss_erase(interaction: Interaction, click: Click) -> None:
    """Dismiss the question; nothing is deleted."""
    await interaction.response.edit_message(view=pages.plain_page(say(locale_of(interaction), "erase_dismissed")))


async def _erase_all(services: Services, user_id: int) -> list[Phrase]:
    """Cancel the person's unfinished jobs and delete all data, retrying while a job is being submitted.

    Returns the sentences that say what was done.
    """
    jobs = cancelled = left = 0
    for pause_s in ERASE_PAUSES_S:
        await asyncio.sleep(pause_s)
        cancelled += await _cancel_all(services, user_id)
        erased = await services.store.retention.erase_user(user_id)
        jobs, left = jobs + erased.jobs, erased.live_jobs
        if left == 0:
            break
    done = [phrase("erased", requests=jobs)]
    done += [phrase("erased_cancelled", pictures=cancelled)] if cancelled else []
    done += [phrase("erased_left", requests=left)] if left else []
    return done


async def _cancel_all(services: Services, user_id: int) -> int:
    cancelled = 0
    for job in await services.store.jobs.of_user(user_id, live_only=True, limit=1000):
        outcome = await services.runner.cancel(job.id, patience_s=0)
        cancelled += outcome.cancelled
    return cancelled


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(PrivacyCog(bot))
