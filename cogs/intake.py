"""Accept a request and send the initial response: shared by /imagine, /compose, Again and Edit."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, assert_never

import aiohttp
import discord

from bot import metrics
from bot.catalogue import with_seed
from bot.catalogue.model import Model
from bot.discord.refusals import is_text_filtered
from bot.domain.events import OutOfCredit, Progress, Queued, Restarting
from bot.domain.job import Job, NewJob, Reply
from bot.domain.request import GenerationRequest
from bot.ids import new_job_id
from bot.limits import Policy, Refused, policy_for
from bot.retry import retry
from bot.store import Accepted, Duplicate
from cogs import interaction_data
from cogs.interaction_data import Interaction
from cogs.price_check import check_price
from cogs.ui import cards, pages
from cogs.ui.cards import Wording

if TYPE_CHECKING:
    from bot.jobs.runner import Runner
    from bot.services import Services
    from bot.store import Preferences

log = logging.getLogger(__name__)

ALREADY_ACKNOWLEDGED = 40060

_RANDOM = SystemRandom()


def seeded(model: Model, request: GenerationRequest) -> GenerationRequest:
    """Add a random seed if the model takes one and the person gave none, so that the picture can be reproduced."""
    if model.option("seed") is None or request.seed is not None:
        return request
    return with_seed(model, request, interaction_data.new_seed())


async def place(
    interaction: Interaction,
    services: Services,
    model: Model,
    request: GenerationRequest,
    preferences: Preferences,
    *,
    parent_id: str | None = None,
    draft_id: str | None = None,
    agreed_usd: Decimal | None = None,
) -> None:
    """Check permissions and limits, accept the job, and send the initial response.

    An interaction that Discord delivers a second time does nothing.

    Args:
        draft_id: the draft that becomes the job; if it became one before, that job is shown.
        agreed_usd: the price that the person has agreed to; None: none was shown to them.

    Raises:
        Refusal: with the sentence for the person; no job was started.
    """
    interaction_data.check_can_post(interaction)
    actor = interaction_data.actor_of(interaction)
    policy = policy_for(services.settings, preferences.guild_limits, actor)
    await check_price(services, actor, policy, model, request, agreed_usd=agreed_usd)
    job_id = new_job_id(int(services.clock().timestamp() * 1000), _RANDOM)
    new = NewJob(job_id, actor, await _reply_of(interaction), request, parent_id, draft_id)
    try:
        async with accepted(interaction, services, new, policy) as taken:
            progress = _first_progress(services.runner, taken.ahead)
            taken.message_id = await _answer(interaction, services, partial(_first_card, taken.job, model, progress))
    except _AcceptedBefore as before:
        if before.job.reply.interaction_id != interaction.id:
            await show_existing(interaction, before.job)
        else:
            log.info("interaction replayed", extra={"interaction": interaction.id, "job": before.job.id})


def _first_progress(runner: Runner, ahead: int) -> Progress:
    if runner.stopping:
        return Restarting()
    return OutOfCredit() if runner.credit.active else Queued(ahead)


async def _reply_of(interaction: Interaction) -> Reply:
    """The interaction's reply, in a thread with the age restriction of its parent."""
    reply = interaction_data.reply_of(interaction)
    parent_id = interaction_data.thread_parent(interaction)
    if parent_id is None:
        return reply
    restricted = await interaction_data.client_of(interaction).age_restrictions.of(parent_id)
    return replace(reply, age_restricted=restricted)


@dataclass(slots=True)
class AcceptedJob:
    """A job that was accepted, before its initial response."""

    job: Job
    #: Jobs that will start before it.
    ahead: int
    #: The id of the message that shows the job, set after the response; None if it could not be found out.
    message_id: int | None = None


class _AcceptedBefore(Exception):
    """There is a job already, for this interaction, which Discord delivered again, or for the same draft."""

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(job.id)


@asynccontextmanager
async def accepted(
    interaction: Interaction, services: Services, new: NewJob, policy: Policy
) -> AsyncIterator[AcceptedJob]:
    """Accept a request; the body must send the initial response.

    If the body succeeds, the job may start. If it raises, the person has seen no response, so the job is cancelled.

    Raises:
        Refusal: with the sentence for the person.
        _AcceptedBefore: this interaction, or this draft, has a job already.
    """
    runner = services.runner
    taken = await _accept(runner, new, policy)
    try:
        yield taken
    except BaseException:
        if interaction.client.is_closed() is not True:
            await runner.unanswered(taken.job.id)
        # If the bot was closed meanwhile, the next start asks Discord whether the response was sent.
        raise
    metrics.INITIAL_RESPONSE_SECONDS.observe(max((discord.utils.utcnow() - interaction.created_at).total_seconds(), 0))
    await runner.answered(taken.job.id, taken.message_id)


async def _accept(runner: Runner, new: NewJob, policy: Policy) -> AcceptedJob:
    outcome = await runner.accept(new, policy)
    match outcome:
        case Accepted():
            return AcceptedJob(outcome.job, outcome.ahead)
        case Refused():
            raise outcome.error()
        case Duplicate():
            raise _AcceptedBefore(outcome.job)
        case _:
            assert_never(outcome)


async def show_existing(interaction: Interaction, job: Job) -> None:
    """Respond privately with the job that a draft has become before."""
    page = pages.existing_job_page(job, interaction_data.locale_of(interaction))
    await interaction.response.send_message(view=page, ephemeral=True)


# ---------------------------------------------------------------------- the initial response


def _first_card(job: Job, model: Model, progress: Progress, wording: Wording) -> tuple[Job, cards.Card]:
    return job, cards.progress_card(job, model, progress, wording=wording)


async def _answer(
    interaction: Interaction, services: Services, show: Callable[[Wording], tuple[Job, cards.Card]]
) -> int | None:
    """Send the card as initial response; with fewer words where a word filter refuses them.

    Returns the message's id; None if it could not be found out.
    """
    wording = Wording.FULL
    while True:
        try:
            return await _send(interaction, services, *show(wording))
        except discord.HTTPException as error:
            if not is_text_filtered(error) or wording.less is None:
                raise
            wording = wording.less


async def _send(interaction: Interaction, services: Services, job: Job, card: cards.Card) -> int | None:
    try:
        response = await interaction.response.send_message(view=card, ephemeral=job.reply.ephemeral)
    except discord.HTTPException as error:
        if error.code == ALREADY_ACKNOWLEDGED:
            return await _answered_before(interaction, services, job.id, error)
        if error.status < 500:
            raise
        return await _answer_after_all(interaction, services, error)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return await _answer_after_all(interaction, services, error)
    return response.message_id


async def _answered_before(
    interaction: Interaction, services: Services, job_id: str, error: discord.HTTPException
) -> int | None:
    """Return the id of the response that Discord already has; None where that stays out of reach.

    It is ours when discord.py repeated a POST after a 5xx although Discord had processed it. Else it is a refusal sent
    for an earlier delivery of the same interaction, by this or another process, or the card of a job that was erased;
    then `error` is raised.
    """
    try:
        original = await _original_response(interaction, services)
    except _NoResponse:
        return None
    if not cards.names_job(original.components, job_id):
        raise error
    return original.id


async def _answer_after_all(interaction: Interaction, services: Services, error: Exception) -> int:
    """After a broken connection, find out whether Discord has the response. Raises `error` if it does not."""
    try:
        return (await _original_response(interaction, services)).id
    except _NoResponse:
        raise error from None


class _NoResponse(Exception):
    """Discord has no response to the interaction, or stays out of reach."""


async def _original_response(interaction: Interaction, services: Services) -> discord.InteractionMessage:
    """The response that Discord has.

    Retries while Discord can't be reached; meanwhile the job is neither started nor cancelled.

    Raises:
        _NoResponse: as it says.
    """
    async for _ in retry(services.discord_timings.own_answer_pauses_s):
        try:
            return await interaction.original_response()
        except (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError, TimeoutError) as failure:
            if isinstance(failure, discord.HTTPException) and failure.status < 500 and failure.status != 429:
                break  # there is no response
        except discord.DiscordException:
            break
    raise _NoResponse
