"""Why a job failed, in the words that people know: options by the names of the commands, models by their title."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from bot.catalogue import option_name
from bot.catalogue.model import Model, OptionKind
from bot.domain.job import Failure
from bot.domain.money import LEAST_USD, Charge, usd_of
from bot.domain.ports import CancelOutcome
from bot.errors import BadPicture, ModelGone
from bot.phrase import Param, Phrase, phrase
from cogs.ui import text
from cogs.ui.messages import say

#: Failures whose sentence says by itself that nothing was used.
_SAYS_IT_ITSELF = frozenset({BadPicture.code})


def charge_phrase(charge: Charge | None) -> Phrase:
    """What an end without a picture means for quota and budget; None: nothing was used."""
    if charge is None or not (charge.counted or charge.usd_micros):
        return phrase("charge_nothing")
    usd, maybe = money_shown(charge.usd_micros), "_maybe" if charge.uncertain else ""
    if charge.counted:
        return Phrase(f"charge_counted{maybe}", {"pictures": charge.counted, "usd": usd})
    if charge.forgiven:
        return Phrase(f"charge_forgiven{maybe}", {"usd": usd})
    return Phrase(f"charge_money{maybe}", {"usd": usd})


def money_shown(usd_micros: int) -> Decimal:
    """US dollars to the hundredth of a cent, rounded up."""
    return usd_of(usd_micros).quantize(LEAST_USD, ROUND_CEILING)


def with_charge(sentence: str, failure: Failure, *, locale: str) -> str:
    """The sentence of a failure, and what it means for quota and budget."""
    told_already = failure.code in _SAYS_IT_ITSELF or failure.phrase.code == "as_stored"
    if told_already and failure.charge in {None, Charge()}:
        return sentence
    return f"{sentence} {say(locale, charge_phrase(failure.charge))}"


def cancel_text(outcome: CancelOutcome, *, locale: str) -> str:
    """What became of a cancel, and what that means for quota and budget."""
    sentence = say(locale, outcome.phrase)
    return sentence if outcome.charge is None else f"{sentence} {say(locale, charge_phrase(outcome.charge))}"


def failure_phrase(failure: Failure, model: Model | None, successor: Model | None) -> Phrase:
    """A failure with the options under the names that people know, and a model that is gone with its successor."""
    if failure.code != ModelGone.code:
        return in_our_names(failure.phrase, model)
    title, endpoint = (str(failure.phrase.params.get(name, "")) for name in ("title", "endpoint"))
    named = text.escape(successor.title) if successor is not None else None
    if title == endpoint:  # the model is not in the catalogue: it has no name for people
        return phrase("model_gone_unnamed_successor", successor=named) if named else phrase("model_gone_unnamed")
    return phrase("model_gone_successor", title=title, successor=named) if named else phrase("model_gone", title=title)


def in_our_names(message: Phrase, model: Model | None) -> Phrase:
    """The phrase with fal's names of options replaced by those that the commands have: `image_url` → `image`."""
    if model is None:
        return message
    return Phrase(message.code, {name: _renamed(name, value, model) for name, value in message.params.items()})


def _renamed(name: str, value: Param, model: Model) -> Param:
    if isinstance(value, Phrase):
        return in_our_names(value, model)
    if isinstance(value, tuple):
        return tuple(_renamed("", item, model) for item in value)
    if name != "option" or not isinstance(value, str):
        return value
    field, dot, inner = value.partition(".")
    option = model.option(field)
    if option is None:
        return value
    is_part = inner and option.kind in (OptionKind.SIZE, OptionKind.CONTROLNET, OptionKind.IP_ADAPTER)
    return f"{option_name(model, option)}{dot}{inner}" if is_part else option_name(model, option)
