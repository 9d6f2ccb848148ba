"""The buttons of a job that has ended, and the window of one of them."""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import discord

from bot.catalogue import picture_options, with_prompt, with_seed
from bot.catalogue.kinds import parse_value
from bot.errors import BadPicture, NotYours
from bot.phrase import phrase
from cogs import intake, interaction_data
from cogs.interaction_data import Interaction, locale_of, services_of
from cogs.job_lookup import find_job, may_act_on
from cogs.ui import details, modals
from cogs.ui.actions import ENDED, Click, Slot, Subject, action

if TYPE_CHECKING:
    from bot.catalogue.model import Model
    from bot.discord.client import EaselBot
    from bot.domain.job import Job
    from bot.domain.request import GenerationRequest
    from bot.services import Services

log = logging.getLogger(__name__)


@action(
    "again",
    style=discord.ButtonStyle.primary,
    subject=Subject.JOB,
    slots=(Slot.RESULT, Slot.TRANSIENT_FAILURE, Slot.CANCELLED),
    rank=10,
)
async def paint_again(interaction: Interaction, click: Click) -> None:
    """Repeat the request with a new seed, as a job of the person who clicked."""
    job, model = await _repeatable(interaction, click.job_id)
    request = with_seed(model, with_prompt(model, job.request, job.request.prompt), interaction_data.new_seed())
    await _place(interaction, model, request, job)


@action("edit", subject=Subject.JOB, slots=ENDED, rank=20, suits=lambda job: bool(job.request.prompt))
async def open_edit_modal(interaction: Interaction, click: Click) -> None:
    """Open a modal with the prompt to edit."""
    job, model = await _repeatable(interaction, click.job_id)
    await interaction.response.send_modal(modals.edit(job, model, locale=locale_of(interaction)))


@modals.on_submit("edit")
async def paint_edited(interaction: Interaction, form: modals.Submitted) -> None:
    """Repeat the request with the prompt from the edit modal."""
    job, model = await _repeatable(interaction, form.subject)
    fields = interaction_data.named_mentions(interaction, form.fields)
    await _place(interaction, model, edited(model, job.request, fields), job)


@action(
    "details",
    subject=Subject.JOB,
    slots=(Slot.RESULT, Slot.TRANSIENT_FAILURE, Slot.LASTING_FAILURE),
    rank=30,
)
async def show_details(interaction: Interaction, click: Click) -> None:
    """Respond privately with all parameters of the job; anybody may ask."""
    services = services_of(interaction)
    job = await find_job(services, click.job_id)
    shown = details.details(job, services.catalogue.known(job.request.endpoint), locale=locale_of(interaction))
    if shown.attachment is None:
        await interaction.response.send_message(view=shown.card, ephemeral=True)
        return
    file = discord.File(io.BytesIO(shown.attachment.encode()), filename=details.DETAILS_FILE)
    await interaction.response.send_message(view=shown.card, file=file, ephemeral=True)


@action("delete", style=discord.ButtonStyle.danger, subject=Subject.JOB, slots=ENDED, rank=100)
async def delete_message(interaction: Interaction, click: Click) -> None:
    """Delete the message and the content of the job; for its owner and moderators."""
    store = services_of(interaction).store
    job = await store.jobs.get(click.job_id)
    if not _may_delete(interaction, job):
        raise NotYours(phrase("not_yours_delete"))
    await interaction.response.defer()
    with suppress(discord.NotFound):  # it was deleted meanwhile
        # By this interaction's token, which works wherever the button was shown, also where the bot is no member.
        await interaction.delete_original_response()
    if job is not None:
        await store.retention.delete_job(job.id)
    log.info("picture deleted", extra={"job": click.job_id, "by": interaction.user.id})


def edited(model: Model, request: GenerationRequest, fields: Mapping[str, object]) -> GenerationRequest:
    """The request with the prompts from the edit modal. A seed that the person chose is kept, else there is a new one.

    Raises:
        InvalidOption: the model does not take a prompt.
    """
    prompt, negative = str(fields.get("prompt", "")), str(fields.get("negative_prompt", ""))
    changed = with_prompt(model, request, prompt)
    option = model.option("negative_prompt")
    if option is not None and negative != (request.options.get(option.name) or ""):
        options = {**changed.options, option.name: parse_value(option, option.name, negative) if negative else ""}
        given = tuple(dict.fromkeys((*changed.given, option.name)))
        changed = dataclasses.replace(changed, options=options, given=given)
    return changed if "seed" in changed.given else with_seed(model, changed, interaction_data.new_seed())


async def _repeatable(interaction: Interaction, job_id: str) -> tuple[Job, Model]:
    """The job and its model, if the person may repeat the request now.

    Raises:
        Refusal: the job was deleted, the model is no longer offered, the request has pictures that another person
            attached, or the URL of an attached picture has expired.
    """
    services = services_of(interaction)
    job = await find_job(services, job_id)
    model = services.catalogue.get(job.request.endpoint)
    if interaction.user.id != job.actor.user_id and picture_options(model, job.request):
        raise NotYours(phrase("not_yours_repeat"))
    _check_links_live(services, job)
    return job, model


def _check_links_live(services: Services, job: Job) -> None:
    for name, value in job.request.options.items():
        for link in value if isinstance(value, list) else [value]:
            if isinstance(link, str) and interaction_data.link_expired(link, services.clock()):
                raise BadPicture(name, phrase("file_expired"))


async def _place(interaction: Interaction, model: Model, request: GenerationRequest, parent: Job) -> None:
    services = services_of(interaction)
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    await intake.place(interaction, services, model, request, preferences, parent_id=parent.id)


def _may_delete(interaction: Interaction, job: Job | None) -> bool:
    """`may_act_on`; of a deleted job, a moderator here, or the owner by Discord's metadata."""
    if job is not None:
        return may_act_on(interaction, job)
    if interaction_data.may_moderate(interaction):
        return True
    asked = interaction.message.interaction_metadata if interaction.message is not None else None
    return asked is not None and asked.user.id == interaction.user.id


async def setup(bot: EaselBot) -> None:
    """Load as an extension; importing the module has registered its actions."""
