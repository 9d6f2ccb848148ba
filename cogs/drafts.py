"""Drafts: requests that become a job with one more click, e.g. to confirm or complete them.

The buttons of a draft's card have the draft's id as subject (`Subject.DRAFT`). Their handlers must check who may click.
A draft becomes at most one job, however often it is accepted, also after restarts.
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
    """Store a request as a draft for 24 hours; its cost is not reserved.

    Args:
        kind: what the person must do, at most 20 characters.
        parent_id: the job that it repeats or edits.
    """
    return await services.store.drafts.create(
        kind,
        {"request": request_to_json(request), "parent_id": parent_id},
        user_id=interaction.user.id,
        channel_id=interaction.channel_id or 0,
        guild_id=interaction.guild_id,
    )


async def find(services: Services, draft_id: str) -> Draft:
    """Read a draft, including one that became a job.

    Raises:
        DraftExpired: its 24 hours are over, or it was deleted.
    """
    draft = await services.store.drafts.get(draft_id)
    if draft is None:
        raise DraftExpired
    return draft


async def accept(interaction: Interaction, services: Services, draft: Draft) -> None:
    """Turn a draft into a job of the person who clicked; if it became a job before, show that one privately.

    Raises:
        Refusal: with the sentence for the person; no job was started, and the draft is unchanged.
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
