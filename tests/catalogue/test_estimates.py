"""The estimate that is shown and reserved before painting, against the bill of the fake fal, which has its own rates.

For every model: each value of each option alone, and many mixtures of them, as people could ask for them.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from bot.catalogue import Catalogue, Model, Option, OptionKind, arguments, load, parse
from bot.catalogue.prices import result_cost_usd
from bot.domain.job import RemotePicture, Result
from bot.domain.request import GenerationRequest
from bot.errors import InvalidOption
from sandbox.fal.bill import Bill, Reason, Work
from sandbox.fal.plan import plan
from tests.catalogue.parsing import NEEDS
from tests.catalogue.samples import SAMPLES

_MIXTURES = 150
#: `budget.assumed_usd_per_image`, for models whose price is unknown.
_ASSUMED_USD = Decimal("0.10")
KEYS = [model.key for model in load(has_openai_key=True).models]


def _values(option: Option) -> Sequence[object]:
    """Values of an option that its price could depend on: all of the listed ones, both ends, and sizes between."""
    match option.kind:
        case OptionKind.SIZE if option.custom_size:
            low, high = option.min_side_px or 256, option.max_side_px or 2048
            sides = [(low, low), (high, high), (high, low), (1000, 1001), (1023, 769), (1536, 1536), (1999, 1337)]
            return [*option.choices, *(f"{width}x{height}" for width, height in sides)]
        case OptionKind.CHOICE | OptionKind.SIZE:
            return list(option.choices)
        case OptionKind.BOOLEAN:
            return [True, False]
        case OptionKind.INTEGER | OptionKind.NUMBER:
            return sorted({option.minimum or 0, option.maximum or 0})
    return [SAMPLES[option.kind].typed(option)]


def _asked(model: Model) -> Iterator[dict[str, object]]:
    options = [option for option in model.offered if option.name != "prompt"]
    values = {option.name: _values(option) for option in options}
    yield {}
    yield from ({option.name: value} for option in options for value in values[option.name])
    chance = random.Random(model.endpoint)
    for _ in range(_MIXTURES):
        some = chance.sample(options, chance.randint(1, min(5, len(options))))
        yield {option.name: chance.choice(values[option.name]) for option in some}


def _requests(model: Model) -> Iterator[GenerationRequest]:
    needed: dict[str, object] = {
        "prompt": "a red panda in the snow, in the style of a linocut",
        **NEEDS.get(model.key, {}),
    }
    for asked in _asked(model):
        plain = {name: value for name, value in asked.items() if not name.endswith("image_url")}
        try:
            yield parse(model, {**needed, "options": plain} if plain else needed)
        except InvalidOption:
            continue  # some mixtures exclude each other, or come to more pixels than the model takes


def _billed(model: Model, request: GenerationRequest, seed: int) -> tuple[Decimal, Result]:
    """What the fake fal bills for a request, and the result with its units."""
    sent = arguments(model, request, safety_checker=True, openai_api_key="sk-x")
    made, bill = plan(model, sent, seed=seed), Bill()
    units = bill.charge("x", model, Work.of(model, sent, made.sizes_px), Reason.DELIVERED)
    tells = model.output.has_nsfw_concepts  # partners' pictures come without their sizes
    pictures = tuple(RemotePicture("https://x", None, *(size if tells else (None, None))) for size in made.sizes_px)
    return bill.usd, Result(pictures, billable_units=Decimal(units))


def _estimated(request: GenerationRequest) -> Decimal:
    return _ASSUMED_USD * request.images if request.cost_usd is None else request.cost_usd


@pytest.mark.parametrize("key", KEYS)
def test_the_estimate_is_never_below_the_bill(catalogue: Catalogue, key: str) -> None:
    model = catalogue.get(key)
    requests = list(_requests(model))
    assert len(requests) > 60
    for request in requests:
        for seed in (1, 2, 3):
            billed, _ = _billed(model, request, seed)
            assert billed <= _estimated(request), request.options


def test_the_estimate_is_close_to_the_bill(catalogue: Catalogue) -> None:
    ratios = {
        model.key: [float(_estimated(request) / _billed(model, request, 7)[0]) for request in _requests(model)]
        for model in catalogue.models
    }
    medians = {key: statistics.median(those) for key, those in ratios.items()}
    assert statistics.median(ratio for those in ratios.values() for ratio in those) <= 1.1
    # Where fal decides how many pictures come or how large they are, the worst case is above what is usual.
    assert {key for key, median in medians.items() if median > 1.1} <= {"seedream-v4", "z-image-inpaint", "gpt-image-1"}


@pytest.mark.parametrize("key", KEYS)
def test_what_is_counted_is_what_fal_billed(catalogue: Catalogue, key: str) -> None:
    """To the millionth, with fal's units, or by the pictures where units do not tell."""
    model = catalogue.get(key)
    for request in _requests(model):
        billed, result = _billed(model, request, 7)
        counted = result_cost_usd(model, request, result)
        if model.key == "gpt-image-1":
            assert counted is not None  # nobody tells which quality `auto` was
            assert counted >= billed
        elif model.price.is_known:
            assert counted == billed, request.options
        else:
            assert counted is None
