"""The gate that every interaction passes: commands, buttons, menus, windows, context menus and completions.

Where the operator has not opened the bot, one private sentence names whom to ask, and nothing is completed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from bot.access import Barrier, Visit, barrier
from bot.errors import NotAdmitted
from bot.phrase import Phrase, phrase
from cogs import errors
from cogs.interaction_data import Interaction, client_of

if TYPE_CHECKING:
    from bot.discord.client import EaselBot

#: Most people who are named as those to ask.
_MOST_NAMED = 3


async def admit(interaction: Interaction) -> bool:
    """Whether the interaction may go on; where it may not, the person has been told."""
    found = barrier_of(interaction)
    if found is None:
        return True
    if interaction.type is discord.InteractionType.autocomplete:
        await errors.complete_nothing(interaction)
    else:
        await errors.answer(interaction, NotAdmitted(found, whom_to_ask(client_of(interaction))))
    return False


def barrier_of(interaction: Interaction) -> Barrier | None:
    """What keeps this interaction out; None where nothing does."""
    settings = client_of(interaction).services.settings
    visit = Visit(interaction.user.id, interaction.guild_id, by_user_install=_by_user_install(interaction))
    return barrier(settings.access, settings.operator.people, visit)


def _by_user_install(interaction: Interaction) -> bool:
    """Whether no installation in a server took part. Discord notes a direct message to the bot as one in server 0."""
    return interaction._integration_owners.get(0) != (interaction.guild_id or 0)


def whom_to_ask(bot: EaselBot) -> Phrase:
    """The people who run the bot as mentions: the operator's setting names them, else Discord knows its owner."""
    people = bot.services.settings.operator.people or _owners(bot.application)
    if not people:
        return phrase("whoever_runs_it")
    return phrase("people_or", people=tuple(f"<@{one}>" for one in people[:_MOST_NAMED]))


def _owners(application: discord.AppInfo | None) -> tuple[int, ...]:
    if application is None:
        return ()
    if application.team is not None and application.team.owner_id is not None:
        return (application.team.owner_id,)
    return (application.owner.id,)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    bot.tree.gate = admit
