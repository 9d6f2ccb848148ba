"""Drafts: requests that are not accepted yet. What was refused is kept in one, files included, to be mended.

The buttons of a draft have its id as subject (`Subject.DRAFT`). A draft belongs to one person and one channel, lives
for 24 hours, and becomes at most one job, however often it is accepted, also after restarts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import discord

from bot.catalogue import parse
from bot.catalogue.habits import without_model
from bot.catalogue.model import PROMPT_TASKS, Model
from bot.catalogue.rejections import shown
from bot.errors import (
    BadPicture,
    DraftExpired,
    ModelUnavailable,
    NotYours,
    PriceUnconfirmed,
    Refusal,
    StoreUnusable,
    UnknownModel,
)
from bot.phrase import Phrase, phrase
from cogs import errors, intake, interaction_data
from cogs.defaults import default_model, default_of, passed_over
from cogs.interaction_data import Interaction, locale_of, services_of
from cogs.job_lookup import find_job
from cogs.ui import windows
from cogs.ui.fixing import trouble_of, ways_buttons, ways_on
from cogs.ui.typed import Typed

if TYPE_CHECKING:
    from bot.domain.draft import Draft
    from bot.domain.request import GenerationRequest, Json
    from bot.services import Services
    from bot.store import Preferences

#: The kinds of drafts: one that is to be mended, and one whose price is to be agreed to.
FIX, CONFIRM = "fix", "confirm"

Files = Mapping[str, Sequence[discord.Attachment]]


# ---------------------------------------------------------------------- attempts


async def attempt(
    interaction: Interaction,
    typed: Typed,
    *,
    files: Files | None = None,
    draft: Draft | None = None,
    agreed_usd: Decimal | None = None,
) -> None:
    """Check what was typed, accept it as a job and show that; or say why not, with the ways on.

    Args:
        files: what was attached, by field; it takes the place of what `typed` has there.
        draft: where it was kept so far.
        agreed_usd: the price that the person has agreed to.

    Raises:
        Refusal: nothing that was typed can change it; no job was started.
    """
    services = services_of(interaction)
    kept, unusable = _checked(files or {})
    typed = dataclasses.replace(typed, values=interaction_data.named_mentions(interaction, typed.values)).having(kept)
    typed, named = _naming_its_model(typed)
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    model: Model | None = None
    try:
        model = _model(services, typed, preferences)
        if unusable is not None:
            raise unusable
        request = intake.seeded(model, parse(model, typed.values))
        request = dataclasses.replace(
            request, notices=(*named, *_about_default(services, typed, preferences), *request.notices)
        )
        check_links_live(services, model, request)
        await intake.place(
            interaction,
            services,
            model,
            request,
            preferences,
            parent_id=typed.parent_id,
            draft_id=draft.id if draft is not None else None,
            agreed_usd=agreed_usd,
        )
    except Refusal as refusal:
        await offer(interaction, refusal, typed, model, draft=draft)


async def open_window(interaction: Interaction, name: str | None = None) -> None:
    """Open an empty window to paint with a model, or with the person's default; or say why not, with the ways on.

    Raises:
        NoModels: no model for prompts is offered.
    """
    services = services_of(interaction)
    try:
        model = services.catalogue.get(name, PROMPT_TASKS) if name else await default_of(interaction, services)
    except (UnknownModel, ModelUnavailable) as refusal:
        await offer(interaction, refusal, Typed(name, {}), None)
        return
    await interaction.response.send_modal(windows.compose(model, locale=locale_of(interaction)))


def _naming_its_model(typed: Typed) -> tuple[Typed, list[Phrase]]:
    """With the model that the prompt names (`--model flux-dev`) in its own field, and a notice; the field wins."""
    prompt = typed.values.get("prompt")
    if typed.model or not isinstance(prompt, str):
        return typed, []
    painted, wish = without_model(prompt)
    if wish is None:
        return typed, []
    read = phrase("notice_read_as", written=shown(wish.written), option="model")
    moved = dataclasses.replace(typed, model=wish.value, values={**typed.values, "prompt": painted})
    return moved, [phrase("notice_read", read=(read,))]


def _model(services: Services, typed: Typed, preferences: Preferences) -> Model:
    if typed.model:
        return services.catalogue.get(typed.model, PROMPT_TASKS)
    return default_model(services.catalogue, preferences, services.settings.models.default)


def _about_default(services: Services, typed: Typed, preferences: Preferences) -> list[Phrase]:
    """Why the model that was chosen as a default does not paint, where that is so."""
    if typed.model:
        return []
    chosen = next((name for name in (preferences.user_model, preferences.guild_model) if name), None)
    why = passed_over(services.catalogue, chosen)
    return [why] if why is not None else []


def _checked(files: Files) -> tuple[dict[str, Json], BadPicture | None]:
    """The addresses of the files that can be used, by field, and what is wrong with the first that can't."""
    kept: dict[str, Json] = {}
    unusable: BadPicture | None = None
    for name, given in files.items():
        try:
            links = [interaction_data.picture_url(name, one) for one in given]
        except BadPicture as error:
            unusable = unusable or error
            kept[name] = None
        else:
            kept[name] = links[0] if len(links) == 1 else list(links)
    return kept, unusable


def check_links_live(services: Services, model: Model, request: GenerationRequest) -> None:
    """Make sure that Discord still gives out the attached files.

    Raises:
        BadPicture: the address of one of them has expired.
    """
    for name, value in request.options.items():
        for link in value if isinstance(value, list) else [value]:
            if isinstance(link, str) and interaction_data.link_expired(link, services.clock()):
                option = model.option(name)
                raise BadPicture(option.label if option is not None else name, phrase("file_expired"))


def named_model(services: Services, typed: Typed) -> Model | None:
    """The model that a draft names; None if there is none of that name here, or not any more."""
    try:
        return services.catalogue.get(typed.model or "", PROMPT_TASKS)
    except (UnknownModel, ModelUnavailable):
        return None


# ---------------------------------------------------------------------- refusals


async def offer(
    interaction: Interaction, refusal: Refusal, typed: Typed, model: Model | None, *, draft: Draft | None = None
) -> None:
    """Say why it was refused, keep what was typed in a draft, and show the ways on.

    Args:
        model: the model that it was meant for; None if there is none of that name.
        draft: where it was kept so far.

    Raises:
        Refusal: the same, if there is no way on.
    """
    services = services_of(interaction)
    ways = ways_on(refusal, model, typed, services.catalogue)
    if ways is None:
        raise refusal
    trouble = trouble_of(refusal, typed)
    kept = typed.without(trouble) if isinstance(refusal, BadPicture) else typed
    kept = Typed(model.key if model is not None else typed.model, kept.values, typed.parent_id, trouble)
    try:
        kind = CONFIRM if isinstance(refusal, PriceUnconfirmed) else FIX
        stored = await _keep(interaction, services, kept, draft, kind)
    except StoreUnusable:
        raise refusal from None
    if stored is None:  # by another click it became a job meanwhile, which is shown
        await find(interaction, draft.id if draft is not None else "")
        return
    told = refusal if ways.message is None else Refusal(ways.message)
    await errors.answer_privately(
        interaction,
        errors.sentence_of(interaction, told),
        ways_buttons(stored.id, ways, model, kept, locale=locale_of(interaction)),
    )


async def _keep(
    interaction: Interaction, services: Services, typed: Typed, draft: Draft | None, kind: str
) -> Draft | None:
    """Store it in its draft, else in a new one. None: its draft is over, or became a job meanwhile."""
    if draft is not None:
        return await services.store.drafts.update(draft.id, typed.to_json(), kind=kind)
    return await keep(interaction, typed, kind)


async def keep(interaction: Interaction, typed: Typed, kind: str = FIX) -> Draft:
    """Keep a request for 24 hours, for the person and the channel of the interaction; its cost is not reserved."""
    return await services_of(interaction).store.drafts.create(
        kind,
        typed.to_json(),
        user_id=interaction.user.id,
        channel_id=interaction.channel_id or 0,
        guild_id=interaction.guild_id,
    )


# ---------------------------------------------------------------------- clicks


async def find(interaction: Interaction, draft_id: str) -> Draft | None:
    """Read a draft of this person in this channel. None: it became a job, which is shown instead.

    Raises:
        DraftExpired: its 24 hours are over, or it was deleted.
        NotYours: it is somebody else's, or of another channel.
        JobUnknown: it became a job whose record is gone.
    """
    services = services_of(interaction)
    draft = await services.store.drafts.get(draft_id)
    if draft is None:
        raise DraftExpired
    if draft.user_id != interaction.user.id:
        raise NotYours(phrase("not_yours_draft"))
    if draft.channel_id != (interaction.channel_id or 0):
        raise NotYours(phrase("draft_elsewhere"))
    if draft.job_id is not None:
        await intake.show_existing(interaction, await find_job(services, draft.job_id))
        return None
    return draft


__all__ = ["attempt", "check_links_live", "find", "keep", "named_model", "offer", "open_window"]
