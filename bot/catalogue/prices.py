"""What a request can cost at worst, what it has cost, and prices as text.

fal bills in units of its own: what an answer's header X-Fal-Billable-Units says, times the endpoint's one unit price
(docs: platform-apis/v1/models/pricing). So the header is the bill where a model has one price for everything. Where
options, sizes or tokens decide, a unit is not known to be ours, and the pictures that came are reckoned instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_UP, Decimal

from bot.catalogue import sizes
from bot.catalogue.arguments import input_pictures
from bot.catalogue.model import Model, Price, PriceTable
from bot.domain.job import Result
from bot.domain.request import GenerationRequest, Json

_MILLION = Decimal(1_000_000)
_CENT_OF_A_CENT = Decimal("0.0001")
_MICRO = Decimal("0.000001")
#: How fal rounds parts of a megapixel is not known; rounded up to this, a sum is not too low.
_PART_OF_A_MEGAPIXEL = Decimal("0.01")
#: A bill of so many times the worst case, or of less than such a part of what came, is a mistake: no person's budget,
#: and nobody else's, is to pay for that.
_MOST_TIMES, _LEAST_SHARE = 10, Decimal("0.01")
#: Options that say how many pictures there are, on models that give them no alias.
_COUNTS = frozenset({"num_images", "max_images"})


def images_of(model: Model, options: Mapping[str, Json]) -> int:
    """The most pictures that a request can yield: `num_images` times `max_images`, and whatever else is called `count`.

    Each is 1 if the model lacks it.
    """
    counts = _COUNTS | {option.name for option in model.options if option.alias == "count"}
    return math.prod(_whole(options.get(name)) for name in counts)


def _whole(value: Json) -> int:
    """A count that was chosen as a number, or as digits from a list; 1 where it is none."""
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return max(1, int(digits)) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 1


def request_size(model: Model, options: Mapping[str, Json]) -> tuple[int, int] | None:
    """The expected width and height in pixels; None where fal decides."""
    option = model.option(model.size_option or "")
    return sizes.pixels_of(option, options.get(option.name)) if option else None


def request_cost_usd(model: Model, request: GenerationRequest) -> Decimal | None:
    """The worst-case cost in USD; None where the price is unknown.

    Where fal decides the size, the largest one that the model can paint is assumed.
    """
    expected = _expected_pixels(model, request)
    usd = _usd(model, request, [expected] * request.images)
    return None if usd is None else usd.quantize(_CENT_OF_A_CENT, ROUND_UP).normalize() + 0


def result_cost_usd(model: Model, request: GenerationRequest, result: Result) -> Decimal | None:
    """The cost of what came, in USD and to the millionth: as fal billed it, else by the number and the sizes of the
    pictures. None where the price is unknown.

    Units and sizes that can't be right are not believed.
    """
    expected = _expected_pixels(model, request)
    pixels = [
        picture.width * picture.height if picture.width and picture.height else expected for picture in result.pictures
    ]
    came = _usd(model, request, pixels, result.usage)
    worst = _usd(model, request, [expected] * max(request.images, len(pixels)))
    if came is not None and worst is not None and came > worst * _MOST_TIMES:
        came = worst
    told = None if not result.billable_units else _told_usd(model, request, result.billable_units)
    if told is not None and (came is None or told >= min(came, worst or came) * _LEAST_SHARE):
        return _to_the_millionth(told)
    return None if came is None else _to_the_millionth(came)


def billed_usd(model: Model, request: GenerationRequest, units: Decimal) -> Decimal | None:
    """The cost in USD of a request that brought no picture, by the header X-Fal-Billable-Units of its answer.

    Where the units do not tell (see above), anything but 0 is the worst case. None where the price is unknown and
    something was billed.
    """
    if units == 0:
        return Decimal(0)
    told = _told_usd(model, request, units)
    return request_cost_usd(model, request) if told is None else _to_the_millionth(told)


def is_billed_in_units(model: Model, request: GenerationRequest, units: Decimal) -> bool:
    """Whether so many of fal's units are a sum by themselves, so that nothing has to be assumed."""
    return units == 0 or _told_usd(model, request, units) is not None


def _told_usd(model: Model, request: GenerationRequest, units: Decimal) -> Decimal | None:
    """The sum that fal's units are; None where they are not ours, or can't be right."""
    each = _unit_usd(model.price, request, None) if _has_one_price(model.price) else None
    if each is None or units < 0:
        return None
    worst = _usd(model, request, [_expected_pixels(model, request)] * request.images)
    usd = each * units
    return None if worst is not None and usd > worst * _MOST_TIMES else usd


def _to_the_millionth(usd: Decimal) -> Decimal:
    return usd.quantize(_MICRO, ROUND_UP).normalize() + 0


def _has_one_price(price: Price) -> bool:
    """Whether one price per unit is all there is, so that fal's units are ours."""
    several = price.table or price.by_pixels or price.further_usd is not None or price.tokens
    return price.usd is not None and not several and not price.fixed_usd and not price.input_picture_usd


# ---------------------------------------------------------------------- the sum


def _usd(
    model: Model,
    request: GenerationRequest,
    pixels: Sequence[int | None],
    usage: Mapping[str, Json] | None = None,
) -> Decimal | None:
    """The sum for pictures of these sizes, at worst where a size or the tokens are not known."""
    price = model.price
    given = sum(map(len, input_pictures(model, request).values()))
    painted = _painted_usd(model, request, pixels, given)
    if painted is None:
        return None
    usd = painted + price.fixed_usd + price.input_picture_usd * max(0, given - price.free_input_pictures)
    usd += sum((extra for name, extra in price.surcharges.items() if request.options.get(name) is True), Decimal(0))
    return usd + _tokens_usd(price, request, given, len(pixels), usage or {})


def _painted_usd(model: Model, request: GenerationRequest, pixels: Sequence[int | None], given: int) -> Decimal | None:
    """What the units cost that the price is for."""
    price = model.price
    if price.unit in {"request", "second"}:
        each = _unit_usd(price, request, max(filter(None, pixels), default=None))
        times = _seconds(price, request) * len(pixels) if price.unit == "second" else Decimal(1)
        return None if each is None else each * times
    painted = [_picture_usd(price, request, size) for size in pixels]
    known = [usd for usd in painted if usd is not None]
    if len(known) < len(painted):
        return None
    return sum(known, Decimal(0)) + _given_usd(price, request, given)


def _picture_usd(price: Price, request: GenerationRequest, pixels: int | None) -> Decimal | None:
    """One picture painted; None where its price or its size is unknown."""
    each = _unit_usd(price, request, pixels)
    if each is None or price.unit == "image":
        return each
    if pixels is None:
        return None
    megapixels = _rounded(price, pixels)
    if price.further_usd is None:
        return each * megapixels
    # A first megapixel that is begun is paid as a whole.
    return each + price.further_usd * max(Decimal(0), megapixels - 1)


def _given_usd(price: Price, request: GenerationRequest, given: int) -> Decimal:
    """The megapixels of the pictures given, where they count."""
    if price.unit != "processed_megapixel":
        return Decimal(0)
    each = price.further_usd if price.further_usd is not None else _unit_usd(price, request, None)
    megapixels = _rounded(price, int((price.most_input_megapixels or 0) * _MILLION))
    return (each or Decimal(0)) * megapixels * given


def _tokens_usd(
    price: Price, request: GenerationRequest, given: int, painted: int, usage: Mapping[str, Json]
) -> Decimal:
    tokens = price.tokens
    if tokens is None:
        return Decimal(0)
    most_input = len(request.prompt.encode("utf-8", "surrogatepass")) + tokens.most_per_input_picture * given
    read = _count(usage.get("input_tokens"), most_input)
    made = _count(usage.get("output_tokens"), tokens.most_output * max(1, painted))
    return (tokens.input_usd * read + tokens.output_usd * made) / _MILLION


def _count(told: Json, most: int) -> int:
    """The number of tokens that fal told, or the most there can be."""
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= most else most


# ---------------------------------------------------------------------- one unit


def _unit_usd(price: Price, request: GenerationRequest, pixels: int | None) -> Decimal | None:
    """USD per unit for this request's options and a picture of so many pixels; the dearest where that is open."""
    if price.table:
        return _listed_usd(price.table, request.options, price.usd)
    if price.by_pixels:
        fitting = [usd for most, usd in price.by_pixels if pixels is not None and pixels <= most]
        return fitting[0] if fitting else max(usd for _, usd in price.by_pixels)
    return price.usd


def _listed_usd(table: PriceTable, options: Mapping[str, Json], other_usd: Decimal | None) -> Decimal:
    chosen = tuple(_as_text(options.get(name)) for name in table.options)
    exact = table.usd.get(chosen)
    if exact is not None:
        return exact
    if other_usd is not None:
        return other_usd
    listed = [{values[position] for values in table.usd} for position in range(len(chosen))]
    agreeing = [
        usd
        for values, usd in table.usd.items()
        if all(
            value == wanted or wanted not in known for value, wanted, known in zip(values, chosen, listed, strict=True)
        )
    ]
    return max(agreeing or table.usd.values())


def _as_text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seconds(price: Price, request: GenerationRequest) -> Decimal:
    """The seconds asked for, such as 5 or `5s`; the most there can be where nothing says."""
    most = price.most_seconds or Decimal(0)
    text = str(request.options.get(price.seconds_option or "")).removesuffix("s")
    return Decimal(text) if text.isascii() and text.isdigit() and len(text) < 6 else most


def _expected_pixels(model: Model, request: GenerationRequest) -> int | None:
    """Pixels of a picture as asked for, else of the largest one that the model can paint; None where nothing tells."""
    if request.size:
        return request.size[0] * request.size[1]
    if model.price.most_megapixels is not None:
        return int(model.price.most_megapixels * _MILLION)
    option = model.option(model.size_option or "")
    return sizes.most_pixels(option) if option else None


def _rounded(price: Price, pixels: int) -> Decimal:
    megapixels = Decimal(pixels) / _MILLION
    if price.round_up_megapixels:
        return megapixels.to_integral_value(ROUND_CEILING)
    return megapixels.quantize(_PART_OF_A_MEGAPIXEL, ROUND_CEILING)


# ---------------------------------------------------------------------- in words


def usd_text(usd: Decimal) -> str:
    """Format US dollars with all their decimals, at least two: `$0.003`, `$0.50`."""
    exact = f"{usd.normalize():f}"
    return f"${usd:.2f}" if len(exact.partition(".")[2]) < 2 else f"${exact}"


def known_prices(price: Price) -> list[Decimal]:
    """Every USD price of a unit, which may depend on options and sizes, ascending; empty where none is known."""
    listed = price.table.usd.values() if price.table else [usd for _, usd in price.by_pixels]
    plain = [usd for usd in (price.usd, price.further_usd) if usd is not None]
    return sorted({*listed, *plain})


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
    return f"{about}{amount} per {model.price.unit.replace('_', ' ')}{_besides(model.price)}"


def _besides(price: Price) -> str:
    """What is added to the units, e.g. ` + $0.0045 per picture given`."""
    extras = [f"{usd_text(price.fixed_usd)} per request"] if price.fixed_usd else []
    if price.input_picture_usd:
        extras.append(f"{usd_text(price.input_picture_usd)} per picture given")
    if price.tokens and price.tokens.input_usd:
        extras.append(f"{usd_text(price.tokens.input_usd)} per million tokens given")
    if price.tokens and price.tokens.output_usd:
        extras.append(f"{usd_text(price.tokens.output_usd)} per million tokens made")
    return "".join(f" + {extra}" for extra in extras)
