"""Actions: what buttons and menus do, each registered by the cog that handles it.

    @action("again", subject=Subject.JOB, cards=(CardKind.RESULT,))
    async def paint_again(interaction: Interaction, click: Click) -> None: ...

A new button needs that, its label as the message `action_again` (`cogs.ui.messages`), and its entries in
`tests/buttons.py`; see CONTRIBUTING.md. Cards show the actions registered for their kind (`cogs.ui.buttons`), and
`cogs.components` routes a click to the handler. The only state between card and click is the custom_id,
`easel:<verb>:<subject>`, so any process can handle a click, also after restarts. Messages posted in the past contain
these verbs: never change or reuse one.

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

#: The format of this bot's custom_ids. Those of menus start with `easel-menu`.
CUSTOM_ID: Final = re.compile(r"easel(?:-menu)?:(?P<verb>[a-z][a-z0-9_]{0,23}):(?P<subject>[0-9A-Za-z_.-]{1,64})")
#: The subject of an action that has none.
NOTHING: Final = "-"


class Subject(StrEnum):
    """What the subject in a custom_id refers to."""

    NOTHING = "nothing"
    #: A job's id.
    JOB = "job"
    #: A job's id and the 0-based index of one of its pictures: `0a1b2c3d4e5f.2`. A card with four pictures gets four
    #: buttons of such an action, numbered; one with a single picture gets one, without a number.
    PICTURE = "picture"
    #: A model's key.
    MODEL = "model"
    #: A draft's id.
    DRAFT = "draft"


class CardKind(StrEnum):
    """The kinds of cards of a job; an action names those on which its button appears."""

    #: Unfinished and not waiting.
    PROGRESS = "progress"
    #: Unfinished and waiting: in a queue, for fal, or for a restart.
    WAITING = "waiting"
    #: The finished pictures.
    RESULT = "result"
    #: A failure after which it is worth repeating the request.
    TRANSIENT_FAILURE = "transient_failure"
    #: A failure that the same request would meet again.
    LASTING_FAILURE = "lasting_failure"
    #: A failure that only whoever runs the bot can mend: no request would do better until then.
    OPERATORS_FAILURE = "operators_failure"
    CANCELLED = "cancelled"


#: The cards of a job that has ended.
ENDED: Final = (
    CardKind.RESULT,
    CardKind.TRANSIENT_FAILURE,
    CardKind.LASTING_FAILURE,
    CardKind.OPERATORS_FAILURE,
    CardKind.CANCELLED,
)


@dataclass(frozen=True, slots=True)
class Click:
    """A click on a button, or a choice from a menu."""

    verb: str
    subject: str
    #: The values chosen from a menu.
    values: tuple[str, ...] = ()

    @property
    def job_id(self) -> str:
        """The subject without a picture's index."""
        return self.subject.partition(".")[0]

    @property
    def picture(self) -> int | None:
        """The 0-based index of the picture in the subject; None where it has none."""
        index = self.subject.partition(".")[2]
        return int(index) if index.isascii() and index.isdecimal() else None

    @property
    def choice(self) -> str:
        """The first value chosen from a menu, or an empty string."""
        return self.values[0] if self.values else ""


#: Carries out the action and responds to the interaction; errors are shown by `cogs.errors`.
Handler = Callable[[discord.Interaction[Any], Click], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Action:
    """What one kind of button or menu does."""

    verb: str
    handler: Handler = field(repr=False)
    style: discord.ButtonStyle = discord.ButtonStyle.secondary
    subject: Subject = Subject.NOTHING
    #: The cards of a job on which the button appears.
    cards: tuple[CardKind, ...] = ()
    #: Sort key of the buttons on a card; those of equal rank are in the order of registration.
    rank: int = 50
    #: Whether the button makes sense on this job's card. Permissions are checked by the handler instead.
    visible_if: Callable[[Job], bool] = field(default=lambda job: True, repr=False)


class ActionRegistry:
    """The actions of all cogs, by verb."""

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}

    def add(self, action: Action) -> None:
        """Register an action.

        Raises:
            ValueError: the verb is not valid in a custom_id, or another handler is registered for it.
        """
        custom_id(action.verb)
        known = self._actions.get(action.verb)
        check_unclaimed(action.verb, known.handler if known is not None else None, action.handler)
        self._actions[action.verb] = action

    def get(self, verb: str) -> Action | None:
        """The action of a verb; None for one that this release does not have."""
        return self._actions.get(verb)

    def verbs(self) -> frozenset[str]:
        """Every registered verb."""
        return frozenset(self._actions)

    def on(self, card_kind: CardKind, job: Job) -> Sequence[Action]:
        """The actions on a card of this job, in the order of their buttons."""
        fitting = [action for action in self._actions.values() if card_kind in action.cards and action.visible_if(job)]
        return sorted(fitting, key=lambda action: action.rank)


#: Filled by `action`, while the cogs' modules are imported.
ACTIONS: Final = ActionRegistry()


def action(
    verb: str,
    *,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
    subject: Subject = Subject.NOTHING,
    cards: tuple[CardKind, ...] = (),
    rank: int = 50,
    visible_if: Callable[[Job], bool] = lambda job: True,
) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of an action; see `Action` for the arguments."""

    def register(handler: Handler) -> Handler:
        ACTIONS.add(Action(verb, handler, style, subject, cards, rank, visible_if))
        return handler

    return register


def check_unclaimed(name: str, known: Callable[..., Any] | None, handler: Callable[..., Any]) -> None:
    """Check that no other function is registered for the same name.

    The same function may be registered twice, because discord.py executes a module again when it loads it as an
    extension.

    Raises:
        ValueError: another function is registered already.
    """
    if known is not None and (known.__module__, known.__qualname__) != (handler.__module__, handler.__qualname__):
        raise ValueError(f"`{name}` is handled by {known.__module__}.{known.__qualname__} already")


def custom_id(verb: str, subject: str = NOTHING, *, menu: bool = False) -> str:
    """Build `easel:<verb>:<subject>`, at most 100 characters.

    Raises:
        ValueError: it does not match `CUSTOM_ID`.
    """
    made = f"easel{'-menu' if menu else ''}:{verb}:{subject}"
    if CUSTOM_ID.fullmatch(made) is None:
        raise ValueError(f"{made!r} is no custom_id that could be read back")
    return made


def picture_subject(job_id: str, index: int) -> str:
    """The subject for one picture of a job; `index` is 0-based."""
    return f"{job_id}.{index}"


def job_named_by(made: str) -> str | None:
    """The subject of a custom_id without a picture's index; None for a custom_id of another format."""
    match = CUSTOM_ID.fullmatch(made)
    return Click(match["verb"], match["subject"]).job_id if match is not None else None
