"""Prices in what autocomplete shows, and labels with prices taken for what they label: clients may send either."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from bot.catalogue.folding import SEPARATOR, fold
from bot.catalogue.model import Model, Option, OptionKind
from bot.catalogue.prices import images_of, is_well_known, price_text, request_cost_usd, request_size, usd_text
from bot.domain.request import GenerationRequest, Json

#: Discord's limit for a label is half of it.
_MOST_LABEL: Final = 200
#: A price behind a value in the field `options`, and behind a label, where it may be cut off.
_AFTER_VALUE = re.compile(rf"(=[^\s\"'=]+)\s*{SEPARATOR.strip()}\s*(?:about\s+)?\$\d[\d.,]*(?!\S)", re.IGNORECASE)
_AFTER_LABEL = re.compile(
    rf"\s*{SEPARATOR.strip()}\s*(?:\$[\d.,]*|about(?:\s+\$[\d.,]*)?|a(?:b(?:ou?)?)?)\s*(?:…|\.\.\.)?\s*$"
)


def model_label(model: Model) -> str:
    """Title, price and what it is good at, for autocomplete."""
    return SEPARATOR.join((model.title, price_text(model), model.summary))


def value_prices(model: Model, option: Option, values: Sequence[Json]) -> Sequence[Decimal]:
    """What a picture costs in USD with each of the values; empty where nobody knows, or where the option never matters.

    Everything else is as if nobody had asked for anything.
    """
    usual = {one.name: one.default for one in model.offered if one.default is not None}
    others: Sequence[Json] = (True, False) if option.kind is OptionKind.BOOLEAN else option.choices
    priced = [_picture_usd(model, {**usual, option.name: value}) for value in (*values, *others)]
    known = [usd for usd in priced if usd is not None]
    if len(known) < len(priced) or len(set(known)) < 2:
        return ()
    return known[: len(values)]


def _picture_usd(model: Model, options: Mapping[str, Json]) -> Decimal | None:
    size = request_size(model, options)
    return request_cost_usd(
        model, GenerationRequest(model.endpoint, "", options, (), images_of(model, options), size, None)
    )


def value_price_texts(model: Model, option: Option, values: Sequence[Json]) -> Sequence[str]:
    """The same as text, with `about` where a price is uncertain; empty texts where they need not be said."""
    about = "" if is_well_known(model.price) else "about "
    prices = value_prices(model, option, values)
    return [f"{about}{usd_text(usd)}" for usd in prices] or [""] * len(values)


def with_price(label: str, price: str) -> str:
    """A label with the price of what it stands for."""
    return f"{label}{SEPARATOR}{price}" if price else label


def without_price(label: str) -> str:
    """The label as it is without its price; any other text as it is."""
    folded = fold(label[:_MOST_LABEL])
    bare = _AFTER_LABEL.sub("", folded)
    return label if bare == folded else bare


def without_prices(options: str) -> str:
    """What was typed into the field `options`, without the prices behind values."""
    return _AFTER_VALUE.sub(r"\1", options)


__all__ = ["model_label", "value_price_texts", "value_prices", "with_price", "without_price", "without_prices"]
