"""/usage and /cancel, and the buttons of an unfinished job: Cancel, and why it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.domain.job import LIVE, Job, JobState
from bot.errors import JobUnknown
from bot.limits import policy_for, standing
from bot.phrase import phrase
from cogs import errors, interaction_data
from cogs.interaction_data import Interaction, locale_of, services_of
from cogs.job_lookup import check_may_act, find_job
from cogs.ui import pages
from cogs.ui.actions import CardKind, Click, Subject, action
from cogs.ui.completion import job_choices, labelled_job
from cogs.ui.failure_words import cancel_text
from cogs.ui.messages import say
from cogs.ui.messages.commands import described, localized
from cogs.ui.queue_status import waiting_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.discord.client import EaselBot
    from bot.services import Services


async def show_usage(interaction: Interaction, services: Services) -> None:
    """Respond privately with what the person has left of the limits, and their unfinished jobs."""
    actor = interaction_data.actor_of(interaction)
    preferences = await services.store.preferences.get(actor.user_id, actor.guild_id)
    policy = policy_for(services.settings, preferences.guild_limits, actor)
    left = standing(await services.store.usage.of(actor, policy), policy, services.clock())
    jobs = await services.store.jobs.of_user(actor.user_id, live_only=True)
    ahead = await services.store.positions.of([job.id for job in jobs]) if jobs else {}
    page = pages.usage_page(left, jobs, ahead, model_titles(services), locale=locale_of(interaction))
    await interaction.response.send_message(view=page, ephemeral=True)


def model_titles(services: Services) -> Mapping[str, str]:
    """Titles of the offered models by endpoint."""
    return {model.endpoint: model.title for model in services.catalogue.models}


class UsageCog(commands.Cog, name="usage"):
    """Shows what is left of the limits, and cancels jobs."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command(description=localized("command_usage"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def usage(self, interaction: Interaction) -> None:
        """What you have left, when it returns, and what of yours is under way."""
        await show_usage(interaction, self._services)

    @app_commands.command(description=localized("command_cancel"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    @described("cancel")
    async def cancel(self, interaction: Interaction, job: str | None = None) -> None:
        """Stop a picture of yours that is waiting or being painted."""
        if job is not None:
            await self._cancel(interaction, await self._own(interaction, job))
            return
        jobs = await self._services.store.jobs.of_user(interaction.user.id, live_only=True)
        if not jobs:
            await interaction.response.send_message(say(locale_of(interaction), "cancel_nothing"), ephemeral=True)
        elif len(jobs) == 1:
            await self._cancel(interaction, jobs[0].id)
        else:
            page = pages.cancel_page(jobs, model_titles(self._services), locale=locale_of(interaction))
            await interaction.response.send_message(view=page, ephemeral=True)

    async def _own(self, interaction: Interaction, job_id: str) -> str:
        job = await self._services.store.jobs.get(job_id.strip()) or await self._labelled(interaction, job_id)
        if job is None:
            raise JobUnknown
        check_may_act(interaction, job, phrase("not_yours_cancel"))
        return job.id

    async def _labelled(self, interaction: Interaction, label: str) -> Job | None:
        """The job whose label in autocomplete was given back: some clients send that instead of the id."""
        jobs = await self._services.store.jobs.of_user(interaction.user.id, live_only=True)
        return labelled_job(jobs, label, locale=locale_of(interaction))

    async def _cancel(self, interaction: Interaction, job_id: str) -> None:
        # Deferred, because fal may take longer than the three seconds within which Discord expects a response.
        await interaction.response.defer(ephemeral=True)
        outcome = await self._services.runner.cancel(job_id)
        await interaction.edit_original_response(content=cancel_text(outcome, locale=locale_of(interaction)))

    @cancel.autocomplete("job")
    async def _complete_job(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        jobs = await self._services.store.jobs.of_user(interaction.user.id, live_only=True)
        return job_choices([job for job in jobs if job.state in LIVE], typed, locale=locale_of(interaction))


@action("usage")
async def show_own_usage(interaction: Interaction, click: Click) -> None:
    """Do the same as /usage."""
    await show_usage(interaction, services_of(interaction))


@action("cancel", subject=Subject.JOB, cards=(CardKind.PROGRESS, CardKind.WAITING), rank=10)
async def cancel_job(interaction: Interaction, click: Click) -> None:
    """Cancel the job of the card; the card then shows the outcome, or a private followup why it failed."""
    services = services_of(interaction)
    job = await find_job(services, click.job_id)
    check_may_act(interaction, job, phrase("not_yours_cancel"))
    await interaction.response.defer()
    outcome = await services.runner.cancel(job.id)
    ended = await services.store.jobs.get(job.id)
    if ended is None or ended.state is not JobState.CANCELLED:
        await errors.answer_privately(interaction, cancel_text(outcome, locale=locale_of(interaction)))


@action("canceljob")
async def cancel_chosen_job(interaction: Interaction, click: Click) -> None:
    """Cancel the job chosen from a menu; the card with the menu then shows the outcome."""
    services = services_of(interaction)
    job = await find_job(services, click.choice)
    check_may_act(interaction, job, phrase("not_yours_cancel"))
    await interaction.response.defer()
    outcome = await services.runner.cancel(job.id)
    await interaction.edit_original_response(view=pages.plain_page(cancel_text(outcome, locale=locale_of(interaction))))


@action("why", subject=Subject.JOB, cards=(CardKind.WAITING,), rank=20)
async def explain_wait(interaction: Interaction, click: Click) -> None:
    """Respond privately with what the job waits for; anybody may ask."""
    services = services_of(interaction)
    why = await services.runner.wait_reason(click.job_id)
    if why is None:
        raise JobUnknown
    actor = why.job.actor
    own = interaction.user.id == actor.user_id
    weight = policy_for(services.settings, None, actor).weight
    page = waiting_page(why, own=own, weight=weight, locale=locale_of(interaction))
    await interaction.response.send_message(view=page, ephemeral=True)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(UsageCog(bot))
