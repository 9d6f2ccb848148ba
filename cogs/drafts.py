"""Drafts: requests that wait for one more click, to be confirmed, mended or approved.

A card for a draft has buttons with its id as subject (`Subject.DRAFT`). Whoever may do so is for the handler to check;
a draft becomes at most one job, whoever clicks, however often, also after restarts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from bot.catalogue import request_from_json, request_to_json
from bot.errors import DraftExpired
from cogs import intake
from cogs.interaction_data import Interaction
from cogs.job_lookup import find_job

if TYPE_CHECKING:
    from bot.domain.draft import Draft
    from bot.domain.request import GenerationRequest, Json
    from bot.services import Services


async def keep(
    interaction: Interaction,
    services: Services,
    kind: str,
    request: GenerationRequest,
    *,
    parent_id: str | None = None,
) -> Draft:
    """Keep a request for 24 hours, without a reservation.

    Args:
        kind: what it waits for, at most 20 characters.
        parent_id: the job that it re-rolls or edits.
    """
    return await services.store.drafts.create(
        kind,
        {"request": request_to_json(request), "parent_id": parent_id},
        user_id=interaction.user.id,
        channel_id=interaction.channel_id or 0,
        guild_id=interaction.guild_id,
    )


async def find(services: Services, draft_id: str) -> Draft:
    """The draft, also one that became a job.

    Raises:
        DraftExpired: its 24 hours are over, or it was discarded.
    """
    draft = await services.store.drafts.get(draft_id)
    if draft is None:
        raise DraftExpired
    return draft


async def accept(interaction: Interaction, services: Services, draft: Draft) -> None:
    """Make a draft a job of whoever clicked, and show it; where it became one before, show that one privately.

    Raises:
        Refusal: with the sentence for the person; nothing was started, and the draft stays what it was.
    """
    if draft.job_id is not None:
        await intake.show_existing(interaction, await find_job(services, draft.job_id))
        return
    request = request_from_json(cast("Mapping[str, Json]", draft.payload["request"]))
    model = services.catalogue.get(request.endpoint)
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    parent_id = draft.payload.get("parent_id")
    await intake.place(
        interaction,
        services,
        model,
        request,
        preferences,
        parent_id=str(parent_id) if parent_id is not None else None,
        draft_id=draft.id,
    )
