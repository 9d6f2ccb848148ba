"""Actions: what a button or a menu does, as one entry that the cog which carries it out registers.

    @action("again", subject=Subject.JOB, slots=(Slot.RESULT,))
    async def paint_again(interaction: Interaction, click: Click) -> None: ...

That, and its label as the message `action_again` (`cogs.ui.messages`), is all a new button needs: the cards show what
is registered for their slot (`cogs.ui.buttons`), and `cogs.components` routes a click to the handler. Nothing is kept
between the card and the click but the custom_id, `easel:<verb>:<subject>`, so a click is understood after restarts, by
whatever process receives it. Verbs are in messages already posted: never change or reuse one.

Importing the module of a cog registers its actions.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import discord

from bot.domain.job import Job

#: What a custom_id of ours looks like. Menus have `easel-menu` in front.
CUSTOM_ID: Final = re.compile(r"easel(?:-menu)?:(?P<verb>[a-z][a-z0-9_]{0,23}):(?P<subject>[0-9A-Za-z_.-]{1,64})")
#: The subject of an action that is about nothing in particular.
NOTHING: Final = "-"


class Subject(StrEnum):
    """What the subject of an action names."""

    NOTHING = "nothing"
    #: A job's id.
    JOB = "job"
    #: A job's id and the index of one of its pictures, from 0: `0a1b2c3d4e5f.2`. A card shows a button a picture.
    PICTURE = "picture"
    #: A model's key.
    MODEL = "model"
    #: A draft's id.
    DRAFT = "draft"


class Slot(StrEnum):
    """The cards about a job, each with the actions that ask to stand there."""

    #: Under way, and nothing is known to hold it up.
    PROGRESS = "progress"
    #: Under way, and waiting: for its turn, for fal, for a restart.
    WAITING = "waiting"
    #: The finished pictures.
    RESULT = "result"
    #: A failure that may not happen again.
    TRANSIENT_FAILURE = "transient_failure"
    #: A failure that the same request would meet again.
    LASTING_FAILURE = "lasting_failure"
    CANCELLED = "cancelled"


#: Every card of a job that has ended.
ENDED: Final = (Slot.RESULT, Slot.TRANSIENT_FAILURE, Slot.LASTING_FAILURE, Slot.CANCELLED)


@dataclass(frozen=True, slots=True)
class Click:
    """Somebody used a button or a menu."""

    verb: str
    subject: str
    #: What was chosen from a menu.
    values: tuple[str, ...] = ()

    @property
    def job_id(self) -> str:
        """The subject without the picture's index."""
        return self.subject.partition(".")[0]

    @property
    def picture(self) -> int | None:
        """The index of the picture that is meant, from 0; None where the subject names none."""
        index = self.subject.partition(".")[2]
        return int(index) if index.isascii() and index.isdecimal() else None

    @property
    def choice(self) -> str:
        """The one value that was chosen from a menu, or an empty text."""
        return self.values[0] if self.values else ""


#: Does what the action says and answers the interaction; what it raises is answered by `cogs.errors`.
Handler = Callable[[discord.Interaction[Any], Click], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a button or a menu does."""

    verb: str
    handler: Handler = field(repr=False)
    style: discord.ButtonStyle = discord.ButtonStyle.secondary
    subject: Subject = Subject.NOTHING
    #: The cards about a job on which the button stands.
    slots: tuple[Slot, ...] = ()
    #: Buttons of a card stand in this order; those of one rank as they were registered.
    rank: int = 50
    #: Whether the button makes sense on this job's card. Rights are not its business: the handler checks them.
    suits: Callable[[Job], bool] = field(default=lambda job: True, repr=False)


class ActionRegistry:
    """The actions of all cogs, by verb."""

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}

    def add(self, action: Action) -> None:
        """Register an action.

        Raises:
            ValueError: the verb can't stand in a custom_id, or another handler has it.
        """
        custom_id(action.verb)
        known = self._actions.get(action.verb)
        check_unclaimed(action.verb, known.handler if known is not None else None, action.handler)
        self._actions[action.verb] = action

    def get(self, verb: str) -> Action | None:
        """The action of a verb; None for one of another release."""
        return self._actions.get(verb)

    def verbs(self) -> frozenset[str]:
        """Every registered verb."""
        return frozenset(self._actions)

    def on(self, slot: Slot, job: Job) -> Sequence[Action]:
        """The actions for a job's card, in the order of their buttons."""
        fitting = [action for action in self._actions.values() if slot in action.slots and action.suits(job)]
        return sorted(fitting, key=lambda action: action.rank)


#: Filled by `action`, while the cogs' modules are imported.
ACTIONS: Final = ActionRegistry()


def action(
    verb: str,
    *,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    subject: Subject = Subject.NOTHING,
    slots: tuple[Slot, ...] = (),
    rank: int = 50,
    suits: Callable[[Job], bool] = lambda job: True,
) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of an action; see `Action` for the arguments."""

    def register(handler: Handler) -> Handler:
        ACTIONS.add(Action(verb, handler, style, subject, slots, rank, suits))
        return handler

    return register


def check_unclaimed(name: str, known: Callable[..., Any] | None, handler: Callable[..., Any]) -> None:
    """Make sure that no two functions handle the same name.

    The same function may come twice: discord.py executes a module once more when it loads it as an extension.

    Raises:
        ValueError: another function handles it already.
    """
    if known is not None and (known.__module__, known.__qualname__) != (handler.__module__, handler.__qualname__):
        raise ValueError(f"`{name}` is handled by {known.__module__}.{known.__qualname__} already")


def custom_id(verb: str, subject: str = NOTHING, *, menu: bool = False) -> str:
    """`easel:<verb>:<subject>`, at most 100 characters.

    Raises:
        ValueError: it could not be read back.
    """
    made = f"easel{'-menu' if menu else ''}:{verb}:{subject}"
    if CUSTOM_ID.fullmatch(made) is None:
        raise ValueError(f"{made!r} is no custom_id that could be read back")
    return made


def picture_subject(job_id: str, index: int) -> str:
    """The subject that names one picture of a job, counted from 0."""
    return f"{job_id}.{index}"


def job_named_by(made: str) -> str | None:
    """The subject of a custom_id without a picture's index; None when it is not one of ours."""
    match = CUSTOM_ID.fullmatch(made)
    return Click(match["verb"], match["subject"]).job_id if match is not None else None
