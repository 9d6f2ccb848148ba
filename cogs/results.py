"""The buttons of a job that has ended, and the windows of two of them. Those of a refusal are in `cogs.fixes`."""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import discord

from bot.catalogue import picture_options, with_prompt, with_seed
from bot.catalogue.kinds import parse_value
from bot.errors import NotYours, Refusal
from bot.phrase import phrase
from cogs import intake, interaction_data
from cogs.drafts import attempt, check_links_live, offer
from cogs.interaction_data import Interaction, files_of, locale_of, named_mentions, new_seed, services_of
from cogs.job_lookup import find_job, may_act_on
from cogs.ui import cards, details, modals, windows
from cogs.ui.actions import ENDED, CardKind, Click, Subject, action
from cogs.ui.typed import typed_of

if TYPE_CHECKING:
    from bot.catalogue.model import Model
    from bot.discord.client import EaselBot
    from bot.domain.job import Job
    from bot.domain.request import GenerationRequest

log = logging.getLogger(__name__)

#: Where **Edit prompt** stands; after a failure that editing must mend, **Fix it** stands in its place.
_EDITABLE = (CardKind.RESULT, CardKind.TRANSIENT_FAILURE, CardKind.CANCELLED)


@action(
    "again",
    style=discord.ButtonStyle.primary,
    subject=Subject.JOB,
    cards=(CardKind.RESULT, CardKind.TRANSIENT_FAILURE, CardKind.CANCELLED),
    rank=10,
)
async def paint_again(interaction: Interaction, click: Click) -> None:
    """Repeat the request with a new seed, as a job of the person who clicked."""
    repeated = await _repeated(interaction, click.job_id)
    try:
        model = _offered(interaction, repeated)
        check_links_live(services_of(interaction), model, repeated.job.request)
        request = with_seed(model, with_prompt(model, repeated.job.request, repeated.job.request.prompt), new_seed())
        await _place(interaction, model, request, repeated.job)
    except Refusal as refusal:
        await offer(interaction, refusal, typed_of(*repeated, with_seed=False), repeated.model)


@action("edit", subject=Subject.JOB, cards=_EDITABLE, rank=20, visible_if=lambda job: bool(job.request.prompt))
async def open_edit_modal(interaction: Interaction, click: Click) -> None:
    """Open a window with the prompts to edit, and fields for other pictures."""
    repeated = await _repeated(interaction, click.job_id)
    try:
        model = _offered(interaction, repeated)
    except Refusal as refusal:
        await offer(interaction, refusal, typed_of(*repeated), repeated.model)
        return
    await interaction.response.send_modal(windows.edit(repeated.job, model, locale=locale_of(interaction)))


@modals.on_submit("edit")
async def paint_edited(interaction: Interaction, form: modals.ModalSubmit) -> None:
    """Repeat the request with what was changed in the edit window."""
    repeated = await _repeated(interaction, form.subject)
    fields = named_mentions(interaction, form.fields)
    typed = typed_of(*repeated).having({name: fields.get(name) for name in form.shown})
    if form.files:
        await attempt(interaction, typed, files=files_of(interaction, form.files))
        return
    try:
        model = _offered(interaction, repeated)
        check_links_live(services_of(interaction), model, repeated.job.request)
        await _place(interaction, model, edited(model, repeated.job.request, fields), repeated.job)
    except Refusal as refusal:
        await offer(interaction, refusal, typed, repeated.model)


@action(
    "details",
    subject=Subject.JOB,
    cards=ENDED,
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


@action("delete", style=discord.ButtonStyle.danger, subject=Subject.JOB, cards=ENDED, rank=100)
async def ask_whether_to_delete(interaction: Interaction, click: Click) -> None:
    """Ask, in a window, before anything is deleted; for its owner and moderators."""
    await _check_may_delete(interaction, click.job_id)
    await interaction.response.send_modal(windows.delete(click.job_id, locale=locale_of(interaction)))


@modals.on_submit("delete")
async def delete_message(interaction: Interaction, form: modals.ModalSubmit) -> None:
    """Delete the message that the window was opened from, and the content of the job."""
    job = await _check_may_delete(interaction, form.subject)
    card = interaction.message
    if card is not None and not cards.names_job(card.components, form.subject):
        # a changed client may send this window from anybody's card
        raise NotYours(phrase("not_yours_delete"))
    await interaction.response.defer()
    with suppress(discord.NotFound):  # it was deleted meanwhile
        # By this interaction's token, which works wherever the button was shown, also where the bot is no member.
        await interaction.delete_original_response()
    if job is not None:
        await services_of(interaction).store.retention.delete_job(job.id)
    log.info("picture deleted", extra={"job": form.subject, "by": interaction.user.id})


def edited(model: Model, request: GenerationRequest, fields: Mapping[str, str]) -> GenerationRequest:
    """The request with the prompts from the edit modal. A seed that the person chose is kept, else there is a new one.

    Raises:
        InvalidOption: the model does not take a prompt.
    """
    prompt, negative = fields.get("prompt", ""), fields.get("negative_prompt", "")
    changed = with_prompt(model, request, prompt)
    option = model.option("negative_prompt")
    before = request.options.get("negative_prompt")
    if option is not None and negative != (before.strip() if isinstance(before, str) else ""):
        options = {**changed.options, option.name: parse_value(option, option.name, negative) if negative else ""}
        given = tuple(dict.fromkeys((*changed.given, option.name)))
        changed = dataclasses.replace(changed, options=options, given=given)
    return changed if "seed" in changed.given else with_seed(model, changed, new_seed())


class Repeated(NamedTuple):
    """A job that is to be repeated, and its model; None if that is not known any more."""

    job: Job
    model: Model | None


async def _repeated(interaction: Interaction, job_id: str) -> Repeated:
    """The job, if the person may repeat it.

    Raises:
        Refusal: the job was deleted, or it has pictures that another person attached.
    """
    services = services_of(interaction)
    job = await find_job(services, job_id)
    model = services.catalogue.known(job.request.endpoint)
    if interaction.user.id != job.actor.user_id and model is not None and picture_options(model, job.request):
        raise NotYours(phrase("not_yours_repeat"))
    return Repeated(job, model)


def _offered(interaction: Interaction, repeated: Repeated) -> Model:
    """The job's model. Raises Refusal if it is not offered any more."""
    return services_of(interaction).catalogue.get(repeated.job.request.endpoint)


async def _place(interaction: Interaction, model: Model, request: GenerationRequest, parent: Job) -> None:
    services = services_of(interaction)
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    await intake.place(interaction, services, model, request, preferences, parent_id=parent.id)


async def _check_may_delete(interaction: Interaction, job_id: str) -> Job | None:
    """The job whose card may be deleted by this person; None if its record is gone.

    Raises:
        NotYours: it is neither theirs, nor do they moderate here.
    """
    job = await services_of(interaction).store.jobs.get(job_id)
    if not _may_delete(interaction, job):
        raise NotYours(phrase("not_yours_delete"))
    return job


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
