"""Ways on from a refusal: which there are, their buttons, and the windows in which it is mended. Pure functions.

Discord's windows have at most five fields, and none can follow another without a click. So a window begins with what
was refused, further ones open by a button, and what they do not show stays in the draft.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import discord

from bot.catalogue import Catalogue, parse
from bot.catalogue.model import COMMON_ALIASES, PROMPT_TASKS, Model
from bot.catalogue.option_syntax import plain_key
from bot.catalogue.parse import candidates
from bot.errors import (
    BadPicture,
    CannotPostHere,
    InvalidOption,
    LimitReached,
    ModelUnavailable,
    Overloaded,
    Refusal,
    UnknownModel,
)
from bot.phrase import Phrase, phrase
from cogs.ui import text
from cogs.ui.buttons import button, label_of, menu, row
from cogs.ui.fields import Field, fields, has_field, takes_files
from cogs.ui.messages import say
from cogs.ui.modals import Form
from cogs.ui.typed import FIELDS, Typed

#: Discord's limit for the fields of a window.
MOST_FIELDS: Final = 5
#: Discord's limit for the choices of a menu.
MOST_CHOICES: Final = 25
#: Most models named in a sentence.
MOST_NAMED: Final = 6
#: After what was refused, and what the model needs, a window shows these; the others come later.
_FIRST: Final = ("prompt", "model", "image", "mask", "size", "count")


@dataclass(frozen=True, slots=True)
class Ways:
    """How to go on from a refusal."""

    #: What to say instead of the refusal's own sentence.
    says: Phrase | None = None
    #: Whether editing can mend it.
    fix: bool = False
    #: Whether the same may be accepted later.
    again: bool = False
    #: The field that can be left out.
    omit: str | None = None
    #: Models that take all that was typed.
    models: tuple[Model, ...] = ()


def trouble_of(refusal: Refusal) -> str | None:
    """The field on whose account it was refused; None where it was none."""
    match refusal:
        case UnknownModel() | ModelUnavailable():
            return "model"
        case InvalidOption() | BadPicture():
            name = plain_key(refusal.option)
            return name if name in FIELDS else "options"
        case LimitReached():
            return "count"
    return None


def ways_on(refusal: Refusal, model: Model | None, typed: Typed, catalogue: Catalogue) -> Ways | None:
    """How to go on; None where nothing that was typed can change it.

    Args:
        model: the model that it was meant for; None if there is no such model.
    """
    match refusal:
        case UnknownModel() | ModelUnavailable():
            return Ways(fix=True, models=_taking(typed, catalogue))
        case InvalidOption() | BadPicture():
            return _mendable(refusal, model, typed, catalogue)
        case LimitReached():
            return Ways(fix=refusal.fewer_might_do, again=True)
        case Overloaded() | CannotPostHere():
            return Ways(again=True)
    return None


def _mendable(refusal: InvalidOption | BadPicture, model: Model | None, typed: Typed, catalogue: Catalogue) -> Ways:
    trouble = trouble_of(refusal)
    needed = model is not None and any(option.label == trouble for option in model.needs)
    given = trouble is not None and (isinstance(refusal, BadPicture) or bool(typed.values.get(trouble)))
    omit = trouble if given and not needed and trouble != "prompt" else None
    if model is None or trouble is None or isinstance(refusal, BadPicture) or has_field(model, trouble):
        return Ways(fix=True, omit=omit)
    others = _taking(typed, catalogue)
    return Ways(_where_else(model, trouble, others or _having(trouble, catalogue)), True, omit=omit, models=others)


def _taking(typed: Typed, catalogue: Catalogue) -> tuple[Model, ...]:
    """The offered models that take everything that was typed."""
    return tuple(model for model in catalogue.offered(PROMPT_TASKS) if _takes(model, typed))


def _takes(model: Model, typed: Typed) -> bool:
    try:
        parse(model, typed.values)
    except InvalidOption:
        return False
    return True


def _having(name: str, catalogue: Catalogue) -> tuple[Model, ...]:
    return tuple(model for model in catalogue.offered(PROMPT_TASKS) if candidates(model, name))


def _where_else(model: Model, name: str, others: Sequence[Model]) -> Phrase | None:
    """The sentence that names the models that have the option; None if there are none."""
    if not others:
        return None
    kind = "picture" if name in {"image", "mask"} else "option"
    some = "_some" if len(others) > MOST_NAMED else ""
    titles = tuple(text.escape(text.plain(other.title, 80)) for other in others[:MOST_NAMED])
    return Phrase(f"elsewhere_{kind}{some}", {"model": model.title, "option": name, "models": titles})


# ---------------------------------------------------------------------- buttons


class Buttons(discord.ui.View):
    """Buttons under a sentence; discord.py sends them without keeping them (see `cogs.ui.cards.Card`)."""

    def __init__(self, rows: Sequence[discord.ui.ActionRow[Any]]) -> None:
        super().__init__(timeout=None)
        for at, each in enumerate(rows):
            for item in each.children:
                item.row = at
                self.add_item(item)
        self.stop()

    def is_finished(self) -> bool:
        """Always True, also when it was built outside an event loop."""
        return True


def ways_buttons(draft_id: str, ways: Ways, model: Model | None, typed: Typed, *, locale: str) -> Buttons:
    """The buttons of a refusal; their subject is the draft."""
    made = [button("fix", draft_id, locale=locale)] if ways.fix else []
    if ways.again:
        made.append(button("goon", draft_id, locale=locale))
    if ways.omit is not None:
        which = ".picture" if takes_pictures(ways.omit) else ""
        made.append(button("omit", draft_id, locale=locale, label=say(locale, f"action_omit{which}")))
    if ways.fix:
        made += [
            button("fixmore", f"{draft_id}.{number}", locale=locale, label=_more(number, locale))
            for number in range(1, len(pages(model, typed)))
        ][: 5 - len(made)]
    return Buttons([row(*made), *_model_menu(draft_id, ways, locale)])


def takes_pictures(name: str) -> bool:
    """Whether a field of /imagine is one for pictures."""
    return name in {"image", "mask"}


def _more(number: int, locale: str) -> str:
    label = label_of("fixmore", locale)
    return label if number == 1 else say(locale, "action_numbered", action=label, number=number)


def _model_menu(draft_id: str, ways: Ways, locale: str) -> list[discord.ui.ActionRow[Any]]:
    if not ways.models:
        return []
    options = [
        discord.SelectOption(
            label=text.plain(model.title, 100), value=model.key, description=text.plain(model.summary, 100) or None
        )
        for model in ways.models[:MOST_CHOICES]
    ]
    return [menu("usemodel", draft_id, options, say(locale, "fix_other_model"))]


# ---------------------------------------------------------------------- windows


def window(
    draft_id: str, page: int, model: Model | None, typed: Typed, models: Sequence[Model], *, locale: str
) -> Form:
    """A window of a draft; `page` 0 begins with what was refused.

    Args:
        model: the model that it is meant for; None if there is no such model.
        models: the models to choose from.
    """
    every = pages(model, typed)
    names = every[min(page, len(every) - 1)]
    shown = [part for name in names for part in fields(name, model, typed, models, locale=locale)]
    return Form(say(locale, "form_fix"), "fix", draft_id, *shown[:MOST_FIELDS])


def pages(model: Model | None, typed: Typed) -> list[list[str]]:
    """The names of the fields on each page."""
    made: list[list[str]] = [[]]
    room = MOST_FIELDS
    for name in _in_order(model, typed):
        size = len(fields(name, model, typed, (), locale="en-US"))
        if size > room:
            made.append([])
            room = MOST_FIELDS
        made[-1].append(name)
        room -= size
    return made


def _in_order(model: Model | None, typed: Typed) -> list[str]:
    """The fields of a window: what was refused, what the model needs and lacks, and then the others."""
    lacks = [option.label for option in (model.needs if model is not None else ()) if not typed.values.get(option.label)]
    every = [typed.trouble or "prompt", *lacks, *_FIRST, *COMMON_ALIASES, "options"]
    return [name for name in dict.fromkeys(every) if _is_shown(name, model, typed)]


def _is_shown(name: str, model: Model | None, typed: Typed) -> bool:
    if has_field(model, name):
        return True
    # What the model does not take can be emptied; a file can't, it is left out by a button.
    return name in FIELDS and bool(typed.values.get(name)) and not takes_pictures(name)


def compose_names(model: Model) -> Iterator[str]:
    """The fields of a window to paint with a model: what it needs, and what people change most."""
    needs = [option.label for option in model.needs]
    likely = ("prompt", *needs, "image", "negative_prompt", "style", "size", "count")
    names = [name for name in dict.fromkeys(likely) if has_field(model, name)]
    yield from names[: MOST_FIELDS - 1]
    yield "options"


__all__ = ["Buttons", "Ways", "compose_names", "pages", "takes_files", "trouble_of", "ways_buttons", "ways_on", "window"]
