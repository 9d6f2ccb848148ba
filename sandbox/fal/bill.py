"""What the account is billed, by a rate card of the fake fal's own: a bill to hold the bot's books against.

The rates are written down from what fal publishes (https://fal.ai/models/<endpoint>/llms.txt and its price lists),
not from the bot's model files, and nothing here knows how the bot reckons. fal bills whole units and parts of them:
`X-Fal-Billable-Units` of an answer, with two decimals, times the endpoint's unit price.

What fal does not publish is decided here at the bot's expense: a job cancelled while it is painted, and one that is
refused for what was painted, is billed in full.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from bot.catalogue.model import Model
from bot.domain.request import Json

_TWO_DECIMALS = Decimal("0.01")
_KEPT_CHARGES = 100_000


class Reason(StrEnum):
    """What a charge is for."""

    DELIVERED = "delivered"
    #: The safety checker blacked the pictures out.
    FLAGGED = "flagged"
    #: A partner painted, and then refused to hand out what it had painted.
    REFUSED = "refused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Work:
    """What a runner painted, or had begun to paint."""

    #: The request's arguments, with the model's defaults.
    arguments: Mapping[str, Json]
    #: Width and height of each picture.
    sizes_px: Sequence[tuple[int, int]]

    @classmethod
    def of(cls, model: Model, arguments: Mapping[str, Json], sizes_px: Sequence[tuple[int, int]]) -> Work:
        """The work for a request."""
        defaults = {option.name: option.default for option in model.options if option.default is not None}
        given = {name: value for name, value in arguments.items() if value is not None}
        return cls({**defaults, **given}, sizes_px)


@dataclass(frozen=True, slots=True)
class Rate:
    """How one endpoint bills."""

    #: In fal's words, as its pricing API has them.
    unit: str
    usd: Decimal
    units: Callable[[Work], Decimal]
    #: Whether fal's pricing API tells it.
    is_published: bool = True


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the bill."""

    request_id: str
    endpoint: str
    reason: Reason
    units: Decimal
    usd: Decimal

    def as_json(self) -> dict[str, Json]:
        """The line as it is listed; amounts are text."""
        return {
            "request_id": self.request_id,
            "endpoint_id": self.endpoint,
            "reason": self.reason.value,
            "units": _plain(self.units),
            "usd": _plain(self.usd),
        }


@dataclass
class Bill:
    """Everything that was charged. Totals hold for ever, lines for the last hundred thousand."""

    usd: Decimal = Decimal(0)
    charges: deque[Charge] = field(default_factory=lambda: deque(maxlen=_KEPT_CHARGES))
    usd_by_reason: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    usd_by_endpoint: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def charge(self, request_id: str, model: Model, work: Work, reason: Reason) -> str:
        """Bill some work; returns what X-Fal-Billable-Units says."""
        rate = rate_of(model)
        units = rate.units(work).quantize(_TWO_DECIMALS, ROUND_HALF_UP)
        line = Charge(request_id, model.endpoint, reason, units, units * rate.usd)
        self.charges.append(line)
        self.usd += line.usd
        self.usd_by_reason[reason.value] += line.usd
        self.usd_by_endpoint[model.endpoint] += line.usd
        return _plain(units)

    def of(self, request_id: str) -> list[Charge]:
        """The lines of one request; empty when it cost nothing."""
        return [line for line in self.charges if line.request_id == request_id]

    def as_json(self, *, lines: bool) -> dict[str, Json]:
        """The totals, and the lines if wanted; amounts are text."""
        content: dict[str, Json] = {
            "usd": _plain(self.usd),
            "charges": len(self.charges),
            "usd_by_reason": {name: _plain(usd) for name, usd in sorted(self.usd_by_reason.items())},
            "usd_by_endpoint": {name: _plain(usd) for name, usd in sorted(self.usd_by_endpoint.items())},
        }
        return content | {"lines": [line.as_json() for line in self.charges]} if lines else content


def _plain(amount: Decimal) -> str:
    """`0.0428`: neither zeros at the end nor an exponent."""
    return f"{amount.normalize() + 0:f}"


def rate_of(model: Model) -> Rate:
    """How an endpoint bills; one that is not on the card is an operator's, and billed as its file says."""
    known = _RATES.get(model.endpoint)
    if known is not None:
        return known
    if model.price.usd is None:
        return _UNPUBLISHED
    usd = model.price.usd
    if model.price.unit == "megapixel":
        return Rate("megapixels", usd, _megapixels)
    return Rate("images", usd, _images)


# ---------------------------------------------------------------------- the rate card


def _images(work: Work) -> Decimal:
    return Decimal(len(work.sizes_px))


def _megapixels(work: Work) -> Decimal:
    return Decimal(sum(width * height for width, height in work.sizes_px)) / 1_000_000


def _whole_megapixels(work: Work) -> Decimal:
    """Each picture "by rounding up to the nearest megapixel"."""
    return Decimal(sum(math.ceil(width * height / 1_000_000) for width, height in work.sizes_px))


def _with_expansion(usd: str) -> Callable[[Work], Decimal]:
    """Megapixels, and $0.0025 a request for `enable_prompt_expansion`, in units of so many dollars."""
    extra = Decimal("0.0025") / Decimal(usd)
    return lambda work: _megapixels(work) + (extra if work.arguments.get("enable_prompt_expansion") is True else 0)


def _ideogram(work: Work) -> Decimal:
    """$0.03, $0.06 or $0.09 a picture."""
    return _images(work) * {"TURBO": 1, "QUALITY": 3}.get(str(work.arguments.get("rendering_speed")), 2)


def _recraft(work: Work) -> Decimal:
    """Vector pictures, icons among them, cost twice as much."""
    style = str(work.arguments.get("style"))
    return _images(work) * (2 if style.startswith(("vector_illustration", "icon")) else 1)


#: Thousandths of a dollar for one picture of OpenAI's: (square, any other size).
_OPENAI_MILLS: Mapping[str, tuple[int, int]] = {"low": (11, 16), "medium": (42, 63), "high": (167, 250)}


def prompt_tokens(prompt: str) -> int:
    """Tokens of a text, about one to four characters."""
    return max(1, len(prompt) // 4)


def _openai(work: Work) -> Decimal:
    """What OpenAI takes from the operator's key: pictures by quality and size, and $5 per million tokens of text.

    A unit is a millionth of a dollar. `auto` is painted, and billed, as `high`.
    """
    square, other = _OPENAI_MILLS.get(str(work.arguments.get("quality")), _OPENAI_MILLS["high"])
    mills = sum(square if width == height else other for width, height in work.sizes_px)
    return Decimal(1000 * mills + 5 * prompt_tokens(str(work.arguments.get("prompt") or "")))


#: A picture of a model for which no price can be found.
_UNPUBLISHED = Rate("images", Decimal("0.10"), _images, is_published=False)

_RATES: Mapping[str, Rate] = {
    "fal-ai/flux-1/schnell": Rate("megapixels", Decimal("0.003"), _whole_megapixels),
    "fal-ai/z-image/turbo": Rate("megapixels", Decimal("0.005"), _with_expansion("0.005")),
    "fal-ai/z-image/turbo/inpaint": Rate("megapixels", Decimal("0.01"), _with_expansion("0.01")),
    "fal-ai/bytedance/seedream/v3/text-to-image": Rate("images", Decimal("0.03"), _images),
    "fal-ai/bytedance/seedream/v4/text-to-image": Rate("images", Decimal("0.03"), _images),
    "fal-ai/stable-diffusion-v35-large": Rate("megapixels", Decimal("0.065"), _megapixels),
    "fal-ai/hidream-i1-full": Rate("megapixels", Decimal("0.05"), _megapixels),
    "fal-ai/hidream-i1-fast": Rate("megapixels", Decimal("0.01"), _megapixels),
    "fal-ai/qwen-image": Rate("megapixels", Decimal("0.02"), _megapixels),
    "fal-ai/ideogram/v3": Rate("images", Decimal("0.03"), _ideogram),
    "fal-ai/imagen4/preview": Rate("images", Decimal("0.0398"), _images),
    "fal-ai/imagen4/preview/fast": Rate("images", Decimal("0.02"), _images),
    "fal-ai/recraft/v2/text-to-image": Rate("images", Decimal("0.022"), _recraft),
    "fal-ai/omnigen-v2": Rate("images", Decimal("0.088"), _images),
    "fal-ai/gpt-image-1/text-to-image/byok": Rate("units", Decimal("0.000001"), _openai, is_published=False),
    "fal-ai/z-image/base": _UNPUBLISHED,
    "fal-ai/ideogram/v2": _UNPUBLISHED,
    "fal-ai/f-lite/standard": _UNPUBLISHED,
}
