"""Orders of every model as people could place them, what was estimated for each, and what the fake fal bills for it."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.catalogue import Model, Option, OptionKind, arguments, load, parse
from bot.domain.job import RemotePicture, Result
from bot.domain.request import GenerationRequest
from bot.errors import InvalidOption
from sandbox.fal.bill import Bill, Reason, Work
from sandbox.fal.plan import plan, sized_like
from tests.catalogue.parsing import NEEDS
from tests.catalogue.samples import SAMPLES

#: `budget.assumed_usd_per_image`, for models whose price is unknown.
ASSUMED_USD = Decimal("0.10")
_PROMPT = "a red panda in the snow, in the style of a linocut"
#: From one character to 4,000 bytes, in several scripts.
_PROMPTS = ("x", _PROMPT, "多摩川の夕焼け、版画", "🦊" * 60, "word " * 700, "Ж" * 1900)


def values(option: Option) -> Sequence[object]:
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


def _any_value(option: Option, chance: random.Random) -> object:
    """One of those, or any other that the option takes."""
    low, high = option.minimum or 0, option.maximum or 0
    if option.kind is OptionKind.SIZE and option.custom_size and chance.random() < 0.7:
        low_px, high_px = option.min_side_px or 64, option.max_side_px or 4096
        return f"{chance.randint(low_px, high_px)}x{chance.randint(low_px, high_px)}"
    if option.kind is OptionKind.INTEGER:
        return chance.randint(int(low), int(high))
    if option.kind is OptionKind.NUMBER:
        return round(chance.uniform(low, high), 2)
    return chance.choice(values(option))


def _needed(model: Model, prompt: str) -> dict[str, object]:
    return {"prompt": prompt, **NEEDS.get(model.key, {})}


def _placed(model: Model, prompt: str, asked: dict[str, object]) -> GenerationRequest | None:
    """The order; None where the options exclude each other, or come to more pixels than the model takes."""
    plain = {name: value for name, value in asked.items() if not name.endswith("image_url")}
    try:
        return parse(model, _needed(model, prompt) | ({"options": plain} if plain else {}))
    except InvalidOption:
        return None


def each_value(model: Model) -> Iterator[GenerationRequest]:
    """The plain order, and one for every value of every option."""
    options = [option for option in model.offered if option.name != "prompt"]
    asked: list[dict[str, object]] = [{}, *({option.name: value} for option in options for value in values(option))]
    yield from filter(None, (_placed(model, _PROMPT, one) for one in asked))


def mixtures(model: Model, number: int, seed: object) -> Iterator[GenerationRequest]:
    """So many orders by chance: up to six options at once with any values that they take, and any prompt."""
    chance = random.Random(f"{model.endpoint} {seed}")
    options = [option for option in model.offered if option.name != "prompt"]
    # Those that the price depends on, more often than the others.
    dear = {model.size_option, "num_images", "max_images", *(model.price.table.options if model.price.table else ())}
    weights = [6 if option.name in dear else 1 for option in options]
    tries = placed = 0
    while placed < number:
        tries += 1
        assert tries < 50 * number, f"{model.key} takes next to nothing"
        chosen = {one.name: one for one in chance.choices(options, weights, k=chance.randint(1, 6))}
        asked = {name: _any_value(option, chance) for name, option in chosen.items()}
        if (order := _placed(model, chance.choice(_PROMPTS), asked)) is not None:
            placed += 1
            yield order


# ---------------------------------------------------------------------- estimate and bill


def estimated(order: GenerationRequest) -> Decimal:
    """What is shown, and reserved, before it is painted."""
    return ASSUMED_USD * order.images if order.cost_usd is None else order.cost_usd


def billed(model: Model, order: GenerationRequest, seed: int) -> tuple[Decimal, Result]:
    """What the fake fal bills for an order, and the result with its units; `seed` decides what is left open."""
    sent = arguments(model, order, safety_checker=True, openai_api_key="sk-x")
    made, bill = plan(model, sent, seed=seed), Bill()
    if made.size_of_input:
        chance = random.Random(seed)
        made = sized_like(made, chance.randint(64, 6000), chance.randint(64, 6000))
    units = bill.charge("x", model, Work.of(model, sent, made.sizes_px), Reason.DELIVERED)
    tells = model.output.has_nsfw_concepts  # partners' pictures come without their sizes
    pictures = tuple(RemotePicture("https://x", None, *(size if tells else (None, None))) for size in made.sizes_px)
    return bill.usd, Result(pictures, billable_units=Decimal(units))


@dataclass(frozen=True, slots=True)
class Ratios:
    """Estimate over bill, for one model."""

    key: str
    all: Sequence[float]
    #: Orders that were estimated too low.
    below: int

    @property
    def median(self) -> float:
        return statistics.median(self.all)


def ratios(model: Model, number: int, seed: object) -> Ratios:
    """Of every value and so many mixtures."""
    found, below = [], 0
    for place, order in enumerate((*each_value(model), *mixtures(model, number, seed))):
        usd, estimate = billed(model, order, place)[0], estimated(order)
        found.append(float(estimate / usd))
        below += estimate < usd
    return Ratios(model.key, found, below)


def estimates(number: int, seed: object) -> dict[str, float | int]:
    """The figures for all models together, and the median and the lowest ratio of each."""
    of_models = [ratios(model, number, seed) for model in load(has_openai_key=True).models]
    every = [ratio for one in of_models for ratio in one.all]
    figures: dict[str, float | int] = {
        "orders": len(every),
        "below_the_bill": sum(one.below for one in of_models),
        "median": statistics.median(every),
        "lowest": min(every),
        "highest": max(every),
    }
    return figures | {f"{one.key}_median": one.median for one in of_models}
