"""The error handler of all interactions: slash commands, buttons, menus and modals.

Expected errors (`ToldError`) are shown to the person privately, in their own words and without a traceback
in the log. For an interaction that Discord no longer knows the error is only logged. Any other error is
shown as "Something broke (code …)", with the same code in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.utils import MISSING

from bot.discord.http import is_rate_limit
from bot.discord.refusals import is_text_filtered
from bot.errors import EaselError, StoreDamaged, StoreUnusable, ToldError
from bot.logs import incident
from cogs.ui.messages import say
from cogs.ui.text import clean, shorten, without_links

if TYPE_CHECKING:
    from bot.discord.client import EaselBot

log = logging.getLogger(__name__)

#: Discord's limit for the text of a message without components.
CONTENT_LIMIT = 2000

#: Discord's codes for an unknown interaction, one already acknowledged, and an invalid webhook token.
_GONE = frozenset({10062, 40060, 50027})


async def answer(interaction: discord.Interaction[Any], error: BaseException) -> None:
    """Show the error to the person, if the interaction can still be responded to. Raises nothing but CancelledError."""
    cause = next((link for link in _chain(error) if _is_ours(link)), None) or _innermost(error)
    if is_gone(cause):
        log.info("interaction gone", extra={"interaction": interaction.id, "error": type(cause).__name__})
        return
    await answer_privately(interaction, sentence_of(interaction, cause))


async def answer_privately(
    interaction: discord.Interaction[Any], sentence: str, buttons: discord.ui.View | None = None
) -> None:
    """Send an ephemeral initial response, or a followup if there was one; a failure to send is only logged."""
    try:
        try:
            await _send(interaction, shorten(sentence, CONTENT_LIMIT), buttons)
        except discord.HTTPException as refusal:
            if not is_text_filtered(refusal):
                raise
            await _send(interaction, say(interaction.locale.value, "answer_filtered"), buttons)
    except (discord.DiscordException, OSError) as failure:
        log.info("could not answer", extra={"interaction": interaction.id, "error": type(failure).__name__})


async def _send(interaction: discord.Interaction[Any], sentence: str, buttons: discord.ui.View | None) -> None:
    if interaction.response.is_done():
        await interaction.followup.send(sentence, ephemeral=True, view=buttons or MISSING)
    else:
        await interaction.response.send_message(sentence, ephemeral=True, view=buttons or MISSING)


async def complete_nothing(interaction: discord.Interaction[Any]) -> None:
    """Answer a completion with no suggestions; a failure to send is only logged."""
    try:
        await interaction.response.autocomplete([])
    except (discord.DiscordException, OSError) as failure:
        log.info("could not answer", extra={"interaction": interaction.id, "error": type(failure).__name__})


def is_gone(error: BaseException) -> bool:
    """Whether Discord says that the interaction has expired or was already responded to."""
    if isinstance(error, discord.InteractionResponded):
        return True
    return isinstance(error, discord.HTTPException) and error.code in _GONE


def install(bot: EaselBot) -> None:
    """Set this module as the command tree's error handler."""
    bot.tree.error(_on_tree_error)


async def _on_tree_error(interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
    await answer(interaction, error)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    install(bot)


def sentence_of(interaction: discord.Interaction[Any], error: BaseException) -> str:
    """What the person is told of an error; one that was not expected is logged."""
    locale = interaction.locale.value
    if isinstance(error, StoreDamaged):
        code = incident()
        log.error("the database is damaged", extra={"code": code, "reason": error.sentence})
        return say(locale, "database_damaged", incident=code)
    if isinstance(error, StoreUnusable):
        code = incident()
        log.error("the database is away", extra={"code": code, "reason": error.sentence})
        return say(locale, "database_away", incident=code)
    if isinstance(error, ToldError):
        log.debug("refused", extra={"interaction": interaction.id, "code": error.code})
        return without_links(clean(say(locale, error.phrase)))  # the sentence may quote what was typed
    if isinstance(error, app_commands.CommandSignatureMismatch | app_commands.CommandNotFound):
        return say(locale, "command_stale")
    if isinstance(error, app_commands.CheckFailure):
        return say(locale, "command_not_here")
    if is_text_filtered(error):
        return say(locale, "answer_filtered")
    if is_rate_limit(error):
        log.warning("Discord let no answer through", extra={"interaction": interaction.id})
        return say(locale, "discord_limited")
    return say(locale, "broken", incident=incident(log, error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = getattr(link, "original", None) or link.__cause__


def _is_ours(error: BaseException) -> bool:
    return isinstance(error, EaselError | app_commands.CommandSignatureMismatch | app_commands.CommandNotFound)


def _innermost(error: BaseException) -> BaseException:
    """The error that a command raised, without discord.py's wrapper."""
    while isinstance(error, app_commands.CommandInvokeError):
        error = error.original
    return error
