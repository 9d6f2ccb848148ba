"""The worst-case cost of a request, and prices as text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_UP, Decimal

from bot.catalogue import sizes
from bot.catalogue.model import Model, Price
from bot.domain.job import Result
from bot.domain.request import GenerationRequest, Json

_MEGAPIXEL = Decimal(1_000_000)
_CENT_OF_A_CENT = Decimal("0.0001")


def images_of(options: Mapping[str, Json]) -> int:
    """The most pictures that a request can yield: `num_images` times `max_images`, each 1 if the model lacks it."""
    most = 1
    for name in ("num_images", "max_images"):
        value = options.get(name)
        most *= value if isinstance(value, int) else 1
    return most


def request_size(model: Model, options: Mapping[str, Json]) -> tuple[int, int] | None:
    """The expected width and height in pixels; None where fal decides."""
    option = model.option(model.size_option or "")
    return sizes.pixels_of(option, options.get(option.name)) if option else None


def request_cost_usd(model: Model, request: GenerationRequest) -> Decimal | None:
    """The worst-case cost in USD; None where the price is unknown.

    Where fal decides the size, the largest one that the model can paint is assumed.
    """
    each = _unit_usd(model.price, request)
    if each is None:
        return None
    if model.price.unit == "megapixel":
        each *= _megapixels(model, request)
    extra = sum((usd for name, usd in model.price.surcharges.items() if request.options.get(name) is True), Decimal(0))
    return (each * request.images + extra).quantize(_CENT_OF_A_CENT, ROUND_UP).normalize() + 0


def result_cost_usd(model: Model, request: GenerationRequest, result: Result) -> Decimal | None:
    """The cost of what came, in USD: by the units that fal billed, else by the number and the sizes of the pictures.

    None where the price is unknown.
    """
    each = _unit_usd(model.price, request)
    if each is None:
        return None
    units = result.billable_units
    if units is None or units <= 0:
        units = _units_of(model, request, result)
    extra = sum((usd for name, usd in model.price.surcharges.items() if request.options.get(name) is True), Decimal(0))
    return (each * units + extra).quantize(_CENT_OF_A_CENT, ROUND_UP).normalize() + 0


def _units_of(model: Model, request: GenerationRequest, result: Result) -> Decimal:
    if model.price.unit != "megapixel":
        return Decimal(len(result.pictures))
    expected = _megapixels(model, request)
    return sum(
        (
            _rounded(model, picture.width * picture.height) if picture.width and picture.height else expected
            for picture in result.pictures
        ),
        Decimal(0),
    )


def _unit_usd(price: Price, request: GenerationRequest) -> Decimal | None:
    if price.by_option:
        name, by_value = price.by_option
        return by_value.get(str(request.options.get(name)), price.usd)
    return price.usd


def _megapixels(model: Model, request: GenerationRequest) -> Decimal:
    option = model.option(model.size_option or "")
    largest = sizes.most_pixels(option) if option else 0
    pixels = request.size[0] * request.size[1] if request.size else largest
    return _rounded(model, pixels)


def _rounded(model: Model, pixels: int) -> Decimal:
    megapixels = Decimal(pixels) / _MEGAPIXEL
    return megapixels.to_integral_value(ROUND_CEILING) if model.price.round_up_megapixels else megapixels


def usd_text(usd: Decimal) -> str:
    """Format US dollars with all their decimals, at least two: `$0.003`, `$0.50`."""
    exact = f"{usd.normalize():f}"
    return f"${usd:.2f}" if len(exact.partition(".")[2]) < 2 else f"${exact}"


def known_prices(price: Price) -> list[Decimal]:
    """Every USD price of a unit, which may depend on options, in ascending order; empty where none is known."""
    by_option = price.by_option[1].values() if price.by_option else ()
    return sorted({*by_option, *([price.usd] if price.usd is not None else [])})


def is_well_known(price: Price) -> bool:
    """Whether the price is certain enough to be shown without "about"."""
    return price.confidence in {"high", "medium"}


def price_text(model: Model) -> str:
    """The price for the operator's console, e.g. `$0.003 per megapixel`; with `about` where it is uncertain."""
    known = known_prices(model.price)
    if not known:
        return "price unknown"
    about = "" if is_well_known(model.price) else "about "
    amount = usd_text(known[0]) if len(known) == 1 else f"{usd_text(known[0])} to {usd_text(known[-1])}"
    return f"{about}{amount} per {model.price.unit}"
