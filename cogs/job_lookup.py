"""Look up the job of a button, and check who may act on it; done at every click, as a card may be years old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.errors import JobUnknown, NotYours
from bot.phrase import Phrase
from cogs import interaction_data
from cogs.interaction_data import Interaction

if TYPE_CHECKING:
    from bot.domain.job import Job
    from bot.services import Services


async def find_job(services: Services, job_id: str) -> Job:
    """Read the job from the store.

    Raises:
        JobUnknown: it does not exist any more, or its content was deleted.
    """
    job = await services.store.jobs.get(job_id)
    if job is None or job.request.is_deleted:
        raise JobUnknown
    return job


def check_owner(interaction: Interaction, job: Job, says: Phrase) -> None:
    """Check that the person owns the job or may moderate the channel.

    Raises:
        NotYours: neither; with the phrase `says`.
    """
    if interaction.user.id != job.actor.user_id and not interaction_data.may_moderate(interaction):
        raise NotYours(says)
