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


def may_act_on(interaction: Interaction, job: Job) -> bool:
    """Whether the person may cancel the job or delete its picture: the one rule for buttons, menus and commands.

    They asked for it, or they moderate the server that it was asked for in. Moderating another server, where somebody
    may have brought the id, gives no right; nor is there a moderator of direct messages.
    """
    if interaction.user.id == job.actor.user_id:
        return True
    return interaction_data.may_moderate(interaction) and interaction.guild_id == job.actor.guild_id


def check_may_act(interaction: Interaction, job: Job, message: Phrase) -> None:
    """Make sure of `may_act_on`.

    Raises:
        NotYours: it says `message`.
    """
    if not may_act_on(interaction, job):
        raise NotYours(message)
