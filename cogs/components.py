"""Buttons, menus and modals: what happens when somebody uses one.

Nothing is remembered between a card and its press but what the custom_id says; jobs are read from the store
and ownership is checked every time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import discord
from discord.ext import commands

from bot.catalogue import picture_options, with_prompt, with_seed
from bot.catalogue.kinds import parse_value
from bot.catalogue.model import Model
from bot.domain.job import Job, JobState
from bot.domain.request import GenerationRequest
from bot.errors import BadPicture, JobUnknown, NotYours
from bot.limits import policy_for
from cogs import errors, intake, interaction_data
from cogs.defaults import default_model
from cogs.interaction_data import Interaction
from cogs.ui import cards, modals, pages
from cogs.ui.buttons import ComponentPress, MenuVerb, Verb
from cogs.ui.queue_status import waiting_page
from cogs.ui.text import count
from cogs.usage import show_usage

if TYPE_CHECKING:
    from bot.discord.client import EaselBot

log = logging.getLogger(__name__)

#: A job that is just being handed to fal ends a moment later; these are the waits for it.
ERASE_PAUSES_S = (0.0, 1.0, 2.0, 4.0)

Handler = Callable[[Interaction, ComponentPress], Awaitable[None]]


class ComponentsCog(commands.Cog, name="presses"):
    """Does what a button says."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services
        self._handlers: dict[Verb | MenuVerb, Handler] = {
            Verb.CANCEL: self._cancel,
            Verb.WHY: self._why,
            Verb.AGAIN: self._again,
            Verb.EDIT: self._edit,
            Verb.DETAILS: self._details,
            Verb.DELETE: self._delete,
            Verb.PAINT: self._paint,
            Verb.MY_DEFAULT: self._my_default,
            Verb.COMPOSE: self._compose,
            Verb.MODELS: self._models,
            Verb.USAGE: self._usage,
            Verb.ERASE_ASK: self._erase_ask,
            Verb.ERASE: self._erase,
            Verb.ERASE_DISMISS: self._erase_dismiss,
            MenuVerb.MODEL: self._show_model,
            MenuVerb.CANCEL: self._cancel_chosen,
        }

    async def on_component(self, interaction: Interaction, press: ComponentPress) -> None:
        """Called by `cogs.ui.buttons`, which routes what this raises."""
        await self._handlers[press.verb](interaction, press)

    # ------------------------------------------------------------------ a job under way

    async def _cancel(self, interaction: Interaction, press: ComponentPress) -> None:
        job = await self._job(press.subject)
        _check_owner(interaction, job, "cancel it")
        await interaction.response.defer()
        await self._stop(interaction, job)

    async def _cancel_chosen(self, interaction: Interaction, press: ComponentPress) -> None:
        job = await self._job(press.values[0] if press.values else "")
        _check_owner(interaction, job, "cancel it")
        await interaction.response.defer()
        outcome = await self._services.runner.cancel(job.id)
        await interaction.edit_original_response(view=pages.plain_page(outcome.sentence))

    async def _why(self, interaction: Interaction, press: ComponentPress) -> None:
        why = await self._services.runner.wait_reason(press.subject)
        if why is None:
            raise JobUnknown
        actor = why.job.actor
        weight = policy_for(self._services.settings.limits, None, actor.role_ids).weight
        page = waiting_page(why, own=interaction.user.id == actor.user_id, weight=weight)
        await interaction.response.send_message(view=page, ephemeral=True)

    async def _stop(self, interaction: Interaction, job: Job) -> None:
        """Cancel; the job's own card says so when it worked, else the person is told privately."""
        outcome = await self._services.runner.cancel(job.id)
        ended = await self._services.store.jobs.get(job.id)
        if ended is None or ended.state is not JobState.CANCELLED:
            await errors.say(interaction, outcome.sentence)

    # ------------------------------------------------------------------ a finished job

    async def _again(self, interaction: Interaction, press: ComponentPress) -> None:
        job, model = await self._repeatable(press.subject, interaction)
        request = with_seed(model, with_prompt(model, job.request, job.request.prompt), interaction_data.new_seed())
        await self._place(interaction, model, request, job)

    async def _edit(self, interaction: Interaction, press: ComponentPress) -> None:
        job, model = await self._repeatable(press.subject, interaction)
        await interaction.response.send_modal(modals.edit(job, model))

    async def _details(self, interaction: Interaction, press: ComponentPress) -> None:
        job = await self._job(press.subject)
        shown = cards.details(job, self._services.catalogue.known(job.request.endpoint))
        if shown.attachment is None:
            await interaction.response.send_message(view=shown.card, ephemeral=True)
            return
        file = discord.File(io.BytesIO(shown.attachment.encode()), filename=cards.DETAILS_FILE)
        await interaction.response.send_message(view=shown.card, file=file, ephemeral=True)

    async def _delete(self, interaction: Interaction, press: ComponentPress) -> None:
        job = await self._services.store.jobs.get(press.subject)
        if not _may_delete(interaction, job):
            raise NotYours("delete it, or somebody with Manage Messages")
        await interaction.response.defer()
        with suppress(discord.NotFound):  # somebody was quicker
            # By the press's own token: works wherever the button was shown, also where the bot is no member.
            await interaction.delete_original_response()
        if job is not None:
            await self._services.store.retention.delete_job(job.id)
        log.info("picture deleted", extra={"job": press.subject, "by": interaction.user.id})

    async def _repeatable(self, job_id: str, interaction: Interaction) -> tuple[Job, Model]:
        """The job and its model, if the same could be asked for now.

        Raises:
            Refusal: the record is gone, the model is no longer offered, or an attached picture has expired.
        """
        job = await self._job(job_id)
        model = self._services.catalogue.get(job.request.endpoint)
        if interaction.user.id != job.actor.user_id and picture_options(model, job.request):
            raise NotYours("repeat it, because it starts from a file of theirs")
        for name, value in job.request.options.items():
            for link in value if isinstance(value, list) else [value]:
                if isinstance(link, str) and interaction_data.link_expired(link, self._services.clock()):
                    raise BadPicture(name, "Discord's link to it has expired; attach it again with `/imagine`")
        return job, model

    async def _job(self, job_id: str) -> Job:
        """The job as it stands. Raises JobUnknown when it is gone or its content was deleted."""
        job = await self._services.store.jobs.get(job_id)
        if job is None or not job.request.prompt:
            raise JobUnknown
        return job

    async def _place(self, interaction: Interaction, model: Model, request: GenerationRequest, parent: Job) -> None:
        preferences = await self._services.store.preferences.get(interaction.user.id, interaction.guild_id)
        await intake.place(interaction, self._services, model, request, preferences, parent_id=parent.id)

    # ------------------------------------------------------------------ modals

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        """Read submits of our modals, whichever process opened them."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        submitted = modals.submitted(cast("dict[str, Any]", interaction.data or {}))
        if submitted is None:
            return
        try:
            await self._submitted(interaction, submitted)
        except Exception as error:  # the last line of defence of this task
            await errors.answer(interaction, error)

    async def _submitted(self, interaction: Interaction, form: modals.Submitted) -> None:
        if form.purpose is modals.Purpose.COMPOSE:
            await intake.ask(interaction, self._services, form.subject, form.fields)
            return
        job, model = await self._repeatable(form.subject, interaction)
        await self._place(interaction, model, edited(model, job.request, form.fields), job)

    # ------------------------------------------------------------------ pages

    async def _paint(self, interaction: Interaction, press: ComponentPress) -> None:
        model = self._services.catalogue.get(press.subject)
        await interaction.response.send_modal(modals.compose(model))

    async def _compose(self, interaction: Interaction, press: ComponentPress) -> None:
        await interaction.response.send_modal(modals.compose(await self._default(interaction)))

    async def _my_default(self, interaction: Interaction, press: ComponentPress) -> None:
        model = self._services.catalogue.get(press.subject)
        await self._services.store.preferences.set_user_model(interaction.user.id, model.endpoint)
        page = pages.model_page(self._services.catalogue.models, model, model)
        await interaction.response.edit_message(view=page)

    async def _models(self, interaction: Interaction, press: ComponentPress) -> None:
        page = pages.models_page(self._services.catalogue.models, await self._default(interaction))
        await interaction.response.send_message(view=page, ephemeral=True)

    async def _show_model(self, interaction: Interaction, press: ComponentPress) -> None:
        model = self._services.catalogue.get(press.values[0] if press.values else "")
        page = pages.model_page(self._services.catalogue.models, model, await self._default(interaction))
        await interaction.response.edit_message(view=page)

    async def _usage(self, interaction: Interaction, press: ComponentPress) -> None:
        await show_usage(interaction, self._services)

    async def _default(self, interaction: Interaction) -> Model:
        preferences = await self._services.store.preferences.get(interaction.user.id, interaction.guild_id)
        return default_model(self._services.catalogue, preferences, self._services.settings.models.default)

    # ------------------------------------------------------------------ deleting a person's data

    async def _erase_ask(self, interaction: Interaction, press: ComponentPress) -> None:
        await interaction.response.send_message(view=pages.erase_question(), ephemeral=True)

    async def _erase(self, interaction: Interaction, press: ComponentPress) -> None:
        await interaction.response.defer()
        sentence = await self._erase_all(interaction.user.id)
        await interaction.edit_original_response(view=pages.plain_page(sentence))

    async def _erase_all(self, user_id: int) -> str:
        """Cancel what lives, delete the rest; tried again while a job is just being handed to fal."""
        jobs = cancelled = left = 0
        for pause_s in ERASE_PAUSES_S:
            await asyncio.sleep(pause_s)
            cancelled += await self._cancel_all(user_id)
            erased = await self._services.store.retention.erase_user(user_id)
            jobs, left = jobs + erased.jobs, erased.live_jobs
            if left == 0:
                break
        return _erased_sentence(jobs, cancelled, left=left)

    async def _cancel_all(self, user_id: int) -> int:
        cancelled = 0
        for job in await self._services.store.jobs.of_user(user_id, live_only=True, limit=1000):
            outcome = await self._services.runner.cancel(job.id, patience_s=0)
            cancelled += outcome.cancelled
        return cancelled

    async def _erase_dismiss(self, interaction: Interaction, press: ComponentPress) -> None:
        await interaction.response.edit_message(view=pages.plain_page("Nothing was deleted."))


def edited(model: Model, request: GenerationRequest, fields: Mapping[str, str]) -> GenerationRequest:
    """The order with the words from the edit modal; a seed the person chose stays, else there is a new one.

    Raises:
        InvalidOption: the words do not suit the model.
    """
    prompt, negative = fields.get("prompt", ""), fields.get("negative_prompt", "")
    changed = with_prompt(model, request, prompt)
    option = model.option("negative_prompt")
    if option is not None and negative != (request.options.get(option.name) or ""):
        options = {**request.options, option.name: parse_value(option, option.name, negative) if negative else ""}
        given = tuple(dict.fromkeys((*request.given, option.name)))
        changed = dataclasses.replace(changed, options=options, given=given)
    return changed if "seed" in request.given else with_seed(model, changed, interaction_data.new_seed())


def _check_owner(interaction: Interaction, job: Job, what: str) -> None:
    if interaction.user.id != job.actor.user_id and not interaction_data.may_moderate(interaction):
        raise NotYours(what)


def _may_delete(interaction: Interaction, job: Job | None) -> bool:
    """The requester or a moderator; where the record is gone, Discord's own note of who asked counts."""
    if interaction_data.may_moderate(interaction):
        return True
    if job is not None:
        return interaction.user.id == job.actor.user_id
    asked = interaction.message.interaction_metadata if interaction.message is not None else None
    return asked is not None and asked.user.id == interaction.user.id


def _erased_sentence(jobs: int, cancelled: int, *, left: int) -> str:
    stopped = (
        f" {count(cancelled, 'picture')} under way {'was' if cancelled == 1 else 'were'} cancelled."
        if cancelled
        else ""
    )
    if left:
        stopped += (
            f" {count(left, 'request')} can't be stopped just now; please press Delete my data again in a minute."
        )
    return f"Deleted: {count(jobs, 'request')} with prompts, and your settings.{stopped}"
