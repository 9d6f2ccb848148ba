"""Accept an order and show it: what /imagine, /compose, Again and Edit have in common."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from random import SystemRandom
from typing import TYPE_CHECKING, assert_never

import aiohttp
import discord

from bot import metrics
from bot.catalogue import parse, with_seed
from bot.catalogue.model import PROMPT_TASKS, Model
from bot.domain.events import Queued, Restarting
from bot.domain.job import NewJob
from bot.domain.request import GenerationRequest
from bot.ids import new_job_id
from bot.limits import Refused, policy_for
from bot.store import Accepted, Duplicate
from cogs import interaction_data
from cogs.defaults import default_model
from cogs.interaction_data import Interaction
from cogs.ui import cards

if TYPE_CHECKING:
    from bot.services import Services
    from bot.store import Preferences

log = logging.getLogger(__name__)

ALREADY_ACKNOWLEDGED = 40060
#: Pauses between looks whether an answer arrived; for as long as Discord may be asked by the interaction's token.
LOOK_PAUSES_S = (0.3, 1, 2, 4, 8, *(15,) * 57)


async def ask(
    interaction: Interaction,
    services: Services,
    model_name: str | None,
    raw: Mapping[str, object],
    *,
    parent_id: str | None = None,
) -> None:
    """Validate what was typed, accept it and show it.

    Raises:
        Refusal: with the sentence for the person; nothing was started.
    """
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    if model_name:
        model = services.catalogue.get(model_name, PROMPT_TASKS)
    else:
        model = default_model(services.catalogue, preferences, services.settings.models.default)
    request = seeded(model, parse(model, raw))
    await place(interaction, services, model, request, preferences, parent_id=parent_id)


def seeded(model: Model, request: GenerationRequest) -> GenerationRequest:
    """With a seed of our choice where the model has one and the person gave none, so that it can be repeated."""
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
) -> None:
    """Permissions, limits, acceptance, and the first answer; a replayed interaction does nothing.

    Raises:
        Refusal: with the sentence for the person; nothing was started.
    """
    interaction_data.check_can_post(interaction)
    actor = interaction_data.actor_of(interaction)
    policy = policy_for(services.settings.limits, preferences.guild_limits, actor.role_ids)
    job_id = new_job_id(int(services.clock().timestamp() * 1000), SystemRandom())
    new = NewJob(job_id, actor, interaction_data.reply_of(interaction), request, parent_id)
    outcome = await services.runner.accept(new, policy)
    match outcome:
        case Accepted():
            await _show(interaction, services, model, outcome)
        case Refused():
            raise outcome.error()
        case Duplicate():
            log.info("interaction replayed", extra={"interaction": interaction.id, "job": outcome.job.id})
        case _:
            assert_never(outcome)


async def _show(interaction: Interaction, services: Services, model: Model, accepted: Accepted) -> None:
    """The progress card as the first answer; if it can't be shown, nothing is started."""
    job = accepted.job
    progress = Restarting() if services.runner.stopping else Queued(accepted.ahead)
    card = cards.progress_card(job, model, progress)
    try:
        message_id = await _answer(interaction, card, job.id, private=job.reply.ephemeral)
    except BaseException:
        if interaction.client.is_closed() is not True:
            await services.runner.unanswered(job.id)
        # Cut off by our own stop: the next start asks Discord whether the card is there.
        raise
    metrics.FIRST_ANSWER_SECONDS.observe(max((discord.utils.utcnow() - interaction.created_at).total_seconds(), 0))
    await services.runner.answered(job.id, message_id)


async def _answer(interaction: Interaction, card: cards.Card, job_id: str, *, private: bool) -> int | None:
    """Answer with the card; returns the message's id, or None when only Discord knows it."""
    try:
        response = await interaction.response.send_message(view=card, ephemeral=private)
    except discord.HTTPException as error:
        if error.code == ALREADY_ACKNOWLEDGED:
            return await _answered_before(interaction, job_id, error)
        if error.status < 500:
            raise
        return await _answer_after_all(interaction, error)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return await _answer_after_all(interaction, error)
    return response.message_id


async def _answered_before(interaction: Interaction, job_id: str, error: discord.HTTPException) -> int | None:
    """There is an answer: ours, because discord.py repeats a POST after a 5xx that Discord had acted on.

    Or that of an earlier delivery of the same event, here or at another process, which refused: then `error` is raised.
    """
    try:
        original = await interaction.original_response()
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError):
        return None
    if not cards.names_job(original.components, job_id):
        raise error
    return original.id


async def _answer_after_all(interaction: Interaction, error: Exception) -> int:
    """The connection broke: Discord may have shown the card nevertheless. Raises `error` if it did not.

    While Discord is away nobody knows; meanwhile nothing is started, and nothing that somebody may see is given up.
    """
    for pause_s in (*LOOK_PAUSES_S, None):
        try:
            return (await interaction.original_response()).id
        except (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError, TimeoutError) as failure:
            told = isinstance(failure, discord.HTTPException) and failure.status < 500 and failure.status != 429
            if told or pause_s is None:
                raise error from None
        except discord.DiscordException:
            raise error from None
        await asyncio.sleep(pause_s)
    raise error
