"""A request that is not accepted yet: to be fixed, confirmed, appealed, given a mask or another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.domain.request import Json

#: How long a draft can be taken up.
DRAFT_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft. It becomes at most one job, whoever clicks, however often."""

    #: 15 characters `[0-9a-z]`, as in a `custom_id`.
    id: str
    user_id: int
    channel_id: int
    guild_id: int | None
    #: What it waits for, e.g. `confirm`; at most 20 characters.
    kind: str
    #: Private: it may hold a prompt. Empty once the draft is a job.
    payload: Mapping[str, Json] = field(repr=False)
    created_at: datetime
    expires_at: datetime
    #: The job it became.
    job_id: str | None = None
