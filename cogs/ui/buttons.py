"""Build buttons and menus for cards from the registered actions (`cogs.ui.actions`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import discord

from bot.domain.job import Job
from bot.phrase import Phrase
from cogs.ui.actions import ACTIONS, NOTHING, Action, CardKind, Subject, custom_id, picture_subject
from cogs.ui.messages import say

#: Discord's limit for one row.
ROW_LIMIT = 5


def button(
    verb: str, subject: str = NOTHING, *, locale: str, label: str | None = None, disabled: bool = False
) -> discord.ui.Button[Any]:
    """The button of an action; its default label is the message `action_<verb>`.

    Raises:
        LookupError: no imported cog has registered the action.
    """
    action = _registered(verb)
    return discord.ui.Button(
        label=label or label_of(verb, locale),
        style=action.style,
        custom_id=custom_id(verb, subject),
        disabled=disabled,
    )


@lru_cache(1000)
def label_of(verb: str, locale: str) -> str:
    """The default label of an action's button."""
    return say(locale, Phrase(f"action_{verb}"))


def row(*buttons: discord.ui.Button[Any]) -> discord.ui.ActionRow[Any]:
    """Up to five buttons side by side."""
    return discord.ui.ActionRow(*buttons)


def action_rows(
    card_kind: CardKind, job: Job, *, pictures: int = 0, disabled: bool = False
) -> list[discord.ui.ActionRow[Any]]:
    """The buttons of all actions registered for a card of `job`, five per row.

    Args:
        pictures: how many pictures the card shows; an action on single pictures gets a button for each.
        disabled: whether the buttons are shown disabled.
    """
    made = [
        each for action in ACTIONS.on(card_kind, job) for each in _buttons(action, job, pictures, disabled=disabled)
    ]
    return [row(*made[start : start + ROW_LIMIT]) for start in range(0, len(made), ROW_LIMIT)]


def _buttons(action: Action, job: Job, pictures: int, *, disabled: bool) -> Iterator[discord.ui.Button[Any]]:
    if action.subject is not Subject.PICTURE:
        yield button(action.verb, job.id, locale=job.reply.locale, disabled=disabled)
        return
    locale = job.reply.locale
    label = label_of(action.verb, locale)
    for index in range(pictures):
        numbered = say(locale, "action_numbered", action=label, number=index + 1) if pictures > 1 else label
        subject = picture_subject(job.id, index)
        yield button(action.verb, subject, locale=locale, label=numbered, disabled=disabled)


def menu(
    verb: str, subject: str, options: Sequence[discord.SelectOption], placeholder: str
) -> discord.ui.ActionRow[Any]:
    """A menu of up to 25 options, from which one can be chosen. `subject` distinguishes several menus on a card.

    Raises:
        LookupError: no imported cog has registered the action.
    """
    made = custom_id(_registered(verb).verb, subject, menu=True)
    select: discord.ui.Select[Any] = discord.ui.Select(custom_id=made, options=list(options), placeholder=placeholder)
    return discord.ui.ActionRow(select)


def _registered(verb: str) -> Action:
    action = ACTIONS.get(verb)
    if action is None:
        raise LookupError(f"no cog that was imported registers an action `{verb}`")
    return action
