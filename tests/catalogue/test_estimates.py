"""The estimate that is shown and reserved before painting, against the bill of the fake fal, which has its own rates.

For every model: each value of each option alone, and hundreds of mixtures of them with other values, as people could
ask for them. `python -m tests.bench estimates` prints the figures.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from bot.catalogue import Catalogue, load
from bot.catalogue.price_file import with_usd
from bot.catalogue.prices import result_cost_usd
from tests.catalogue.orders import billed, each_value, estimated, mixtures, ratios

_MIXTURES = 300
_SEED = 11
KEYS = [model.key for model in load(has_openai_key=True).models]
PRICED = [model.key for model in load(has_openai_key=True).models if model.price.is_known]


@pytest.mark.parametrize("key", KEYS)
def test_the_estimate_is_never_below_the_bill(catalogue: Catalogue, key: str) -> None:
    model = catalogue.get(key)
    orders = [*each_value(model), *mixtures(model, _MIXTURES, _SEED)]
    assert len(orders) > _MIXTURES
    for order in orders:
        for seed in (1, 2, 3):
            assert billed(model, order, seed)[0] <= estimated(order), order.options


@pytest.mark.parametrize("key", PRICED)
def test_a_price_that_is_two_percent_too_low_is_found(catalogue: Catalogue, key: str) -> None:
    model = catalogue.get(key)
    price = model.price
    usd = price.usd or max(price.table.usd.values() if price.table else ())
    cheaper = with_usd(replace(price, usd=usd), usd * 98 / 100)

    found = ratios(replace(model, price=cheaper if price.usd else replace(cheaper, usd=None)), 30, _SEED)

    assert found.below > 0


def test_the_estimate_is_close_to_the_bill(catalogue: Catalogue) -> None:
    found = [ratios(model, _MIXTURES, _SEED) for model in catalogue.models]

    assert statistics.median(ratio for one in found for ratio in one.all) <= 1.1
    # Where fal decides how many pictures come or how large they are, the worst case is above what is usual.
    assert {one.key for one in found if one.median > 1.1} <= {"seedream-v4", "z-image-inpaint", "gpt-image-1"}


@pytest.mark.parametrize("key", KEYS)
def test_what_is_counted_is_what_fal_billed(catalogue: Catalogue, key: str) -> None:
    """To the millionth, with fal's units, or by the pictures where units do not tell."""
    model = catalogue.get(key)
    for order in (*each_value(model), *mixtures(model, _MIXTURES, _SEED)):
        usd, result = billed(model, order, 7)
        counted = result_cost_usd(model, order, result)
        if model.key == "gpt-image-1":
            assert counted is not None  # nobody tells which quality `auto` was
            assert counted >= usd
        elif model.price.is_known:
            assert counted == usd, order.options
        else:
            assert counted is None
