"""The buttons and windows of a refusal: mend the request, try it again, leave something out, take another model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import discord

from bot.catalogue import picture_options
from bot.catalogue.model import PROMPT_TASKS
from bot.domain.money import usd_of
from bot.errors import NotYours
from bot.phrase import phrase
from cogs import drafts
from cogs.interaction_data import Interaction, files_of, locale_of, services_of
from cogs.job_lookup import find_job
from cogs.ui import modals, windows
from cogs.ui.actions import CardKind, Click, Subject, action
from cogs.ui.fixing import culprit_of
from cogs.ui.typed import Typed, takes_pictures, typed_of

if TYPE_CHECKING:
    from bot.discord.client import EaselBot
    from bot.domain.draft import Draft


@action("fix", style=discord.ButtonStyle.primary, subject=Subject.DRAFT)
async def open_fix_window(interaction: Interaction, click: Click) -> None:
    """Open the window that begins with what was refused."""
    draft = await drafts.find(interaction, click.subject)
    if draft is not None:
        await _open(interaction, draft, 0)


@action("fixmore", subject=Subject.DRAFT)
async def open_further_window(interaction: Interaction, click: Click) -> None:
    """Open a window with the other fields; its number follows the draft's id after a dot."""
    draft_id, _, page = click.subject.partition(".")
    draft = await drafts.find(interaction, draft_id)
    if draft is not None:
        await _open(interaction, draft, int(page) if page.isdecimal() else 0)


@action("goon", subject=Subject.DRAFT)
async def try_again(interaction: Interaction, click: Click) -> None:
    """Accept the draft as it is, if that is possible by now."""
    draft = await drafts.find(interaction, click.subject)
    if draft is not None:
        await drafts.attempt(interaction, Typed.from_json(draft.payload), draft=draft)


@action("payfor", style=discord.ButtonStyle.primary, subject=Subject.DRAFT)
async def agree_to_price(interaction: Interaction, click: Click) -> None:
    """Accept the draft at the price that follows its id after a dot, in millionths of a US dollar."""
    draft_id, _, micros = click.subject.partition(".")
    draft = await drafts.find(interaction, draft_id)
    if draft is not None:
        agreed_usd = usd_of(int(micros)) if micros.isdecimal() else None
        await drafts.attempt(interaction, Typed.from_json(draft.payload), draft=draft, agreed_usd=agreed_usd)


@action("omit", subject=Subject.DRAFT)
async def leave_out(interaction: Interaction, click: Click) -> None:
    """Accept the draft without what was refused."""
    draft = await drafts.find(interaction, click.subject)
    if draft is not None:
        typed = Typed.from_json(draft.payload)
        await drafts.attempt(interaction, typed.without(typed.trouble), draft=draft)


@action("usemodel", subject=Subject.DRAFT)
async def take_other_model(interaction: Interaction, click: Click) -> None:
    """Accept the draft with the model chosen from the menu."""
    draft = await drafts.find(interaction, click.subject)
    if draft is not None:
        typed = dataclasses.replace(Typed.from_json(draft.payload), model=click.choice)
        await drafts.attempt(interaction, typed, draft=draft)


@action("fixjob", style=discord.ButtonStyle.primary, subject=Subject.JOB, cards=(CardKind.LASTING_FAILURE,), rank=10)
async def open_window_of_job(interaction: Interaction, click: Click) -> None:
    """Open a window to mend the request of a job that failed, as a draft of the person who clicked."""
    services = services_of(interaction)
    job = await find_job(services, click.job_id)
    model = services.catalogue.known(job.request.endpoint)
    if interaction.user.id != job.actor.user_id and model is not None and picture_options(model, job.request):
        raise NotYours(phrase("not_yours_repeat"))
    typed = dataclasses.replace(typed_of(job, model), trouble=culprit_of(job.failure, model))
    if typed.trouble is not None and takes_pictures(typed.trouble):
        typed = typed.without(typed.trouble)  # the same file would fail again
    await _open(interaction, await drafts.keep(interaction, typed), 0)


async def _open(interaction: Interaction, draft: Draft, page: int) -> None:
    services = services_of(interaction)
    typed = Typed.from_json(draft.payload)
    model = drafts.named_model(services, typed)
    models = services.catalogue.offered(PROMPT_TASKS)
    form = windows.fix(draft.id, page, model, typed, models, locale=locale_of(interaction))
    await interaction.response.send_modal(form)


@modals.on_submit("fix")
async def paint_mended(interaction: Interaction, form: modals.ModalSubmit) -> None:
    """Accept the draft with what was changed in the window; the fields that it did not show stay as they are."""
    draft = await drafts.find(interaction, form.subject)
    if draft is None:
        return
    typed = Typed.from_json(draft.payload)
    files = files_of(interaction, form.files)
    filled = typed.having({name: form.fields.get(name) for name in form.shown - {"model"}})
    changed = dataclasses.replace(filled, model=form.fields.get("model", typed.model))
    await drafts.attempt(interaction, changed, files=files, draft=draft)


async def setup(bot: EaselBot) -> None:
    """Load as an extension; importing the module has registered its actions."""
