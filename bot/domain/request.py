"""What a person asked for, once every option has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bot.domain.money import Cost

#: Anything JSON can hold; what travels to fal and into the store.
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A request that passed `parse`: after this nothing checks an option again.

    `options` holds every offered option with a value (given or default), in fal's names and
    forms. Picture options hold their URL(s) as given (a Discord attachment URL or an https link).
    `size` is what we expect back, (width, height) in pixels, or None where fal decides.
    """

    endpoint: str
    #: Empty for a model that works from a picture alone.
    prompt: str = field(repr=False)
    options: Mapping[str, Json]
    #: Names of options the person set themselves (shown in Details; defaults are greyed).
    given: tuple[str, ...]
    #: The most pictures this request can yield (num_images × max_images).
    images: int
    size: tuple[int, int] | None
    #: Worst-case price in USD, or None where unknown.
    cost_usd: Decimal | None

    @property
    def cost(self) -> Cost:
        """The worst case: every image that it can yield, at the highest price."""
        return Cost(self.images, self.cost_usd)

    @property
    def seed(self) -> int | None:
        """The seed the person chose, or the one chosen for them by `with_seed`."""
        value = self.options.get("seed")
        return value if isinstance(value, int) else None

    @property
    def is_deleted(self) -> bool:
        """Whether nothing is left of it: the person had the content deleted."""
        return not self.prompt and not self.options
