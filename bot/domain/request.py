"""What a person requested, after every option was validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bot.domain.money import Cost
from bot.phrase import Phrase

#: Any JSON value, as sent to fal and stored.
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A request validated by `bot.catalogue.parse`; no option is checked again after that.

    `options` holds every offered option with a value (given or default), by fal's names and in the form
    fal takes. Picture options hold their URL(s) as given (a Discord attachment URL or an https link).
    `size` is the expected size of the pictures, (width, height) in pixels, or None where fal decides.
    """

    endpoint: str
    #: Empty for a model that takes a picture only.
    prompt: str = field(repr=False)
    options: Mapping[str, Json]
    #: Names of the options that the person set, as opposed to defaults; shown in Details.
    given: tuple[str, ...]
    #: The most pictures this request can yield (`images_of` in `bot.catalogue.prices`).
    images: int
    size: tuple[int, int] | None
    #: Worst-case price in USD, or None where unknown.
    cost_usd: Decimal | None
    #: What was set right or left out of what was typed; told on the job's cards.
    notices: tuple[Phrase, ...] = field(default=(), repr=False)

    @property
    def cost(self) -> Cost:
        """The worst-case cost: every image that the request can yield, at the highest price."""
        return Cost(self.images, self.cost_usd)

    @property
    def seed(self) -> int | None:
        """The seed the person chose, or the one chosen for them by `with_seed`."""
        value = self.options.get("seed")
        return value if isinstance(value, int) else None

    @property
    def is_deleted(self) -> bool:
        """Whether the person had the content of the request deleted."""
        return not self.prompt and not self.options
