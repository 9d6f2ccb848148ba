"""Drafts: requests that were not accepted yet, because the person must first fix, confirm or complete them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.domain.request import Json

#: How long a draft can be turned into a job.
DRAFT_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft. It becomes at most one job, however often its button is pressed."""

    #: 15 characters `[0-9a-z]`, as in a `custom_id`.
    id: str
    user_id: int
    channel_id: int
    guild_id: int | None
    #: What the person must do, e.g. `confirm`; at most 20 characters.
    kind: str
    #: The request so far. Private: it may hold a prompt. Emptied once the draft is a job.
    payload: Mapping[str, Json] = field(repr=False)
    created_at: datetime
    expires_at: datetime
    #: The job that the draft became; None while there is none.
    job_id: str | None = None
