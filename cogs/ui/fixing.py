"""Ways on from a refusal: which there are, and their buttons. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import discord

from bot.catalogue import Catalogue, parse
from bot.catalogue.model import PROMPT_TASKS, Model
from bot.catalogue.option_syntax import plain_key
from bot.catalogue.parse import candidates
from bot.domain.job import Failure
from bot.domain.money import Cost
from bot.errors import (
    BadPicture,
    CannotPostHere,
    ContentRefused,
    InvalidOption,
    LimitReached,
    ModelGone,
    ModelUnavailable,
    OptionsRefused,
    Overloaded,
    PartnerAccountRefused,
    PriceUnconfirmed,
    Refusal,
    UnknownModel,
)
from bot.phrase import Param, Phrase, phrase
from cogs.ui import text
from cogs.ui.buttons import button, label_of, menu, row
from cogs.ui.fields import MOST_CHOICES, has_field
from cogs.ui.messages import say
from cogs.ui.typed import FIELDS, Typed, takes_pictures
from cogs.ui.windows import pages

#: Stands for a file that a person can still give.
_ANY_FILE: Final = "https://cdn.discordapp.com/attachments/1/2/any.png"
#: Most models named in a sentence.
MOST_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Ways:
    """How to go on from a refusal."""

    #: What to say instead of the refusal's own sentence.
    message: Phrase | None = None
    #: Whether editing can mend it.
    fix: bool = False
    #: Whether the same may be accepted later.
    again: bool = False
    #: The field that can be left out.
    omit: str | None = None
    #: Models that take all that was typed.
    models: tuple[Model, ...] = ()
    #: The price that the person may agree to.
    price: PriceUnconfirmed | None = None


def trouble_of(refusal: Refusal, typed: Typed) -> str | None:
    """The field on whose account it was refused; None where it was none."""
    match refusal:
        case UnknownModel() | ModelUnavailable():
            return "model"
        case InvalidOption() | BadPicture():
            name = plain_key(refusal.option)
            is_field = name in FIELDS and (typed.has(name) or not _in_options(name, typed))
            return name if is_field else "options"
        case LimitReached():
            return "count"
    return None


def culprit_of(failure: Failure | None, model: Model | None) -> str | None:
    """The field on whose account a job failed; None where its failure does not say."""
    if failure is None:
        return None
    said = failure.phrase
    if failure.code in {ModelGone.code, PartnerAccountRefused.code}:
        return "model"
    if failure.code == OptionsRefused.code:
        details = said.params.get("details")
        said = next((one for one in details if isinstance(one, Phrase)), said) if isinstance(details, tuple) else said
    if said.params.get("option"):
        return _field_of(str(said.params["option"]), model)
    if failure.code == ContentRefused.code:
        return {"content_refused_mask": "mask", "content_refused_picture": "image"}.get(said.code, "prompt")
    return None


def _field_of(name: str, model: Model | None) -> str:
    """The field of an option by its name at fal, or by its label."""
    option = model.option(name) if model is not None else None
    label = plain_key(option.label if option is not None else name)
    return label if label in FIELDS else "options"


def _in_options(name: str, typed: Typed) -> bool:
    """Whether a value of that name was typed into the field `options`."""
    return re.search(rf"\b{name}\b", plain_key(typed.shown("options"))) is not None


def ways_on(refusal: Refusal, model: Model | None, typed: Typed, catalogue: Catalogue) -> Ways | None:
    """How to go on; None where nothing that was typed can change it.

    Args:
        model: the model that it was meant for; None if there is no such model.
    """
    match refusal:
        case UnknownModel():
            able = _taking(typed, catalogue)
            return Ways(fix=True, models=tuple(sorted(able, key=lambda one: one.key not in refusal.close)))
        case ModelUnavailable():
            return Ways(fix=True, models=_taking(typed, catalogue))
        case InvalidOption() | BadPicture():
            return _mendable(refusal, model, typed, catalogue)
        case LimitReached():
            later = refusal.can_pass_later
            return Ways(fix=refusal.fewer_might_do, again=later) if later or refusal.fewer_might_do else None
        case PriceUnconfirmed():
            return Ways(fix=True, price=refusal)
        case Overloaded() | CannotPostHere():
            return Ways(again=True)
    return None


def _mendable(refusal: InvalidOption | BadPicture, model: Model | None, typed: Typed, catalogue: Catalogue) -> Ways:
    trouble = trouble_of(refusal, typed)
    needed = model is not None and any(option.label == trouble for option in model.needs)
    given = trouble is not None and (isinstance(refusal, BadPicture) or typed.has(trouble))
    omit = trouble if given and not needed and trouble != "prompt" else None
    if model is None or trouble is None or isinstance(refusal, BadPicture) or has_field(model, trouble):
        return Ways(fix=True, omit=omit)
    others = _taking(typed, catalogue)
    if others:
        return Ways(_where_else(model, trouble, others), True, omit=omit, models=others)
    if takes_pictures(trouble) and (others := _taking_with_more(typed, catalogue)):
        needs = tuple(dict.fromkeys(name for other in others for name in _missing(other, typed)))
        said = _where_else(model, trouble, others, "elsewhere_needs", needs=needs)
        return Ways(said, True, omit=omit, models=others)
    kind = "elsewhere_picture_clash" if takes_pictures(trouble) else "elsewhere_option_clash"
    return Ways(_where_else(model, trouble, _having(trouble, catalogue), kind), True, omit=omit)


def _taking(typed: Typed, catalogue: Catalogue) -> tuple[Model, ...]:
    """The offered models that take everything that was typed."""
    return tuple(model for model in catalogue.offered(PROMPT_TASKS) if _takes(model, typed))


def _takes(model: Model, typed: Typed) -> bool:
    try:
        parse(model, typed.values)
    except InvalidOption:
        return False
    return True


def _taking_with_more(typed: Typed, catalogue: Catalogue) -> tuple[Model, ...]:
    """The offered models that take everything that was typed, but need a file that was not given."""
    return tuple(
        model
        for model in catalogue.offered(PROMPT_TASKS)
        if (missing := _missing(model, typed))
        and all(takes_pictures(name) for name in missing)
        and _takes(model, typed.having(dict.fromkeys(missing, _ANY_FILE)))
    )


def _missing(model: Model, typed: Typed) -> tuple[str, ...]:
    """The fields that the model needs and that are empty."""
    return tuple(option.label for option in model.needs if not typed.has(option.label))


def _having(name: str, catalogue: Catalogue) -> tuple[Model, ...]:
    return tuple(model for model in catalogue.offered(PROMPT_TASKS) if candidates(model, name))


def _where_else(
    model: Model, name: str, others: Sequence[Model], code: str | None = None, **more: Param
) -> Phrase | None:
    """The sentence that names the models that have the option; None if there are none.

    Args:
        code: that sentence, where it is not the one above a menu of models that take everything.
    """
    if not others:
        return None
    kind = "picture" if takes_pictures(name) else "option"
    titles = tuple(text.escape(text.plain(other.title, 80)) for other in others[:MOST_NAMED])
    named: dict[str, Param] = {"model": model.title, "option": name, "models": titles}
    if code is None and len(others) > MOST_NAMED:
        return Phrase(f"elsewhere_{kind}_some", named)
    return Phrase(code or f"elsewhere_{kind}", named | {"count": len(titles)} | more)


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
    made = []
    if ways.price is not None:
        made += [_pay(draft_id, ways.price, locale), _change(draft_id, locale)]
    elif ways.fix:
        made.append(button("fix", draft_id, locale=locale))
    if ways.again:
        made.append(button("goon", draft_id, locale=locale))
    if ways.omit is not None:
        which = ".picture" if takes_pictures(ways.omit) else ""
        made.append(button("omit", draft_id, locale=locale, label=say(locale, f"action_omit{which}")))
    if ways.fix and ways.price is None:
        made += [
            button("fixmore", f"{draft_id}.{number}", locale=locale, label=_more(number, locale))
            for number in range(1, len(pages(model, typed)))
        ][: 5 - len(made)]
    return Buttons([row(*made), *_model_menu(draft_id, ways, locale)])


def _pay(draft_id: str, price: PriceUnconfirmed, locale: str) -> discord.ui.Button[Any]:
    """The button that agrees to this price; it stands in the custom_id, so that an old card never buys a dearer one."""
    label = say(locale, phrase("pay_about" if price.is_estimate else "pay_exactly", usd=price.usd))
    return button("payfor", f"{draft_id}.{Cost(1, price.usd).usd_micros}", locale=locale, label=label)


def _change(draft_id: str, locale: str) -> discord.ui.Button[Any]:
    made = button("fix", draft_id, locale=locale, label=say(locale, "action_fix.change"))
    made.style = discord.ButtonStyle.secondary
    return made


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


__all__ = ["Buttons", "Ways", "culprit_of", "trouble_of", "ways_buttons", "ways_on"]
