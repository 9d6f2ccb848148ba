"""Buttons and menus that outlive restarts: a custom_id holds a verb and a subject, nothing else is kept.

`button(…)` and `menu(…)` make what a card shows. `DynamicButton` and `DynamicSelect` are what discord.py finds again by
template when somebody uses one, in whatever process; they hand the press to the cog named `presses`
and every exception to `cogs.errors`, because discord.py would only log it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import discord

from cogs import errors

if TYPE_CHECKING:
    from bot.discord.client import EaselBot

#: What a subject may be: a job id, a model's key, or `-` for none.
_SUBJECT = r"(?P<subject>[0-9A-Za-z_.-]{1,64})"
NOTHING = "-"


class Verb(StrEnum):
    """What a button does. The value is in custom_ids out there: never change one, only add."""

    # on a job
    CANCEL = "cancel"
    WHY = "why"
    AGAIN = "again"
    EDIT = "edit"
    DETAILS = "details"
    DELETE = "delete"
    # on a model
    PAINT = "paint"
    MY_DEFAULT = "mydefault"
    # on nothing
    COMPOSE = "compose"
    MODELS = "models"
    USAGE = "usage"
    ERASE_ASK = "eraseask"
    ERASE = "erase"
    ERASE_DISMISS = "erasenot"


class MenuVerb(StrEnum):
    """What choosing from a menu does."""

    MODEL = "model"
    CANCEL = "canceljob"


@dataclass(frozen=True, slots=True)
class ComponentPress:
    """One press, parsed."""

    verb: Verb | MenuVerb
    subject: str
    #: What was chosen, for menus.
    values: tuple[str, ...] = ()


class ComponentHandler(Protocol):
    """What the cog named `presses` offers."""

    async def on_component(self, interaction: discord.Interaction[EaselBot], press: ComponentPress) -> None:
        """Do it and answer."""


@dataclass(frozen=True, slots=True)
class _Look:
    label: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary


_LOOKS: dict[Verb, _Look] = {
    Verb.CANCEL: _Look("Cancel"),
    Verb.WHY: _Look("Why am I waiting?"),
    Verb.AGAIN: _Look("Again", discord.ButtonStyle.primary),
    Verb.EDIT: _Look("Edit prompt"),
    Verb.DETAILS: _Look("Details"),
    Verb.DELETE: _Look("Delete", discord.ButtonStyle.danger),
    Verb.PAINT: _Look("Paint with this", discord.ButtonStyle.primary),
    Verb.MY_DEFAULT: _Look("Use as my default"),
    Verb.COMPOSE: _Look("Write a prompt", discord.ButtonStyle.primary),
    Verb.MODELS: _Look("Browse models"),
    Verb.USAGE: _Look("What I have left"),
    Verb.ERASE_ASK: _Look("Delete my data", discord.ButtonStyle.danger),
    Verb.ERASE: _Look("Yes, delete everything", discord.ButtonStyle.danger),
    Verb.ERASE_DISMISS: _Look("Keep it"),
}


def custom_id(verb: Verb, subject: str = NOTHING) -> str:
    """`easel:<verb>:<subject>`, at most 100 characters."""
    return f"easel:{verb.value}:{subject}"


def button(
    verb: Verb, subject: str = NOTHING, *, label: str | None = None, disabled: bool = False
) -> discord.ui.Button[Any]:
    """A button for a card."""
    look = _LOOKS[verb]
    return discord.ui.Button(
        label=label or look.label, style=look.style, custom_id=custom_id(verb, subject), disabled=disabled
    )


def row(*buttons: discord.ui.Button[Any]) -> discord.ui.ActionRow[Any]:
    """Up to five buttons side by side."""
    return discord.ui.ActionRow(*buttons)


def menu(
    verb: MenuVerb, subject: str, options: Sequence[discord.SelectOption], placeholder: str
) -> discord.ui.ActionRow[Any]:
    """A menu of up to 25 options, one to choose. `subject` tells several menus of a card apart."""
    select: discord.ui.Select[Any] = discord.ui.Select(
        custom_id=f"easel-menu:{verb.value}:{subject}", options=list(options), placeholder=placeholder
    )
    return discord.ui.ActionRow(select)


class _Routed:
    """Sends a press to the cog and an exception to the one place for errors."""

    component_press: ComponentPress

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        try:
            await component_handler_of(interaction).on_component(interaction, self.component_press)
        except Exception as error:  # the last line of defence of this task
            await errors.answer(interaction, error)


def component_handler_of(interaction: discord.Interaction[Any]) -> ComponentHandler:
    """The cog that handles presses."""
    cog = interaction.client.get_cog("presses")
    if cog is None:
        raise RuntimeError("the cog 'presses' is not loaded")
    return cast("ComponentHandler", cog)


class DynamicButton(
    _Routed,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"easel:(?P<verb>{'|'.join(Verb)}):{_SUBJECT}",
):
    """Any of our buttons, found again."""

    def __init__(self, item: discord.ui.Button[Any], press: ComponentPress) -> None:
        super().__init__(item)
        self.component_press = press

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(cast("discord.ui.Button[Any]", item), ComponentPress(Verb(match["verb"]), match["subject"]))


class DynamicSelect(
    _Routed,
    discord.ui.DynamicItem[discord.ui.Select[Any]],
    template=rf"easel-menu:(?P<verb>{'|'.join(MenuVerb)}):{_SUBJECT}",
):
    """Any of our menus, found again."""

    def __init__(self, item: discord.ui.Select[Any], press: ComponentPress) -> None:
        super().__init__(item)
        self.component_press = press

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        used = cast("dict[str, Any]", interaction.data or {})
        chosen = tuple(str(value) for value in used.get("values", ()))
        press = ComponentPress(MenuVerb(match["verb"]), match["subject"], chosen)
        return cls(cast("discord.ui.Select[Any]", item), press)


#: Registered once with `bot.add_dynamic_items(*ALL)`.
ALL: tuple[type[discord.ui.DynamicItem[Any]], ...] = (DynamicButton, DynamicSelect)
