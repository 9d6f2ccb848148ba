"""What a request may cost, or has cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

_MICROS = Decimal(1_000_000)
_CENT = Decimal("0.01")
#: Amounts are shown no finer than this.
LEAST_USD = Decimal("0.0001")


def micros_of(usd: Decimal) -> int:
    """Millionths of a US dollar, rounded up."""
    return int((usd * _MICROS).to_integral_value(ROUND_CEILING))


def usd_of(micros: int) -> Decimal:
    """US dollars; exact."""
    return Decimal(micros) / _MICROS


def to_show_as_left(usd: Decimal) -> Decimal:
    """What is left, in whole cents (below one: as fine as prices are); never more than there is."""
    return usd.quantize(_CENT if usd >= _CENT else LEAST_USD, ROUND_FLOOR)


def to_show_as_spent(usd: Decimal) -> Decimal:
    """A sum that was spent, in whole cents; below one as fine as prices are, so that something is never nothing."""
    return usd.quantize(_CENT) if usd >= _CENT else usd.quantize(LEAST_USD).normalize() + 0


@dataclass(frozen=True, slots=True)
class Cost:
    """A count of images and their price: reserved at its worst case, settled as billed."""

    images: int
    #: US dollars; None where the price is not known.
    usd: Decimal | None = None

    @property
    def usd_micros(self) -> int | None:
        """Millionths of a US dollar, rounded up so that sums are never too low; None where the price is unknown."""
        return None if self.usd is None else micros_of(self.usd)

    def share(self, images: int) -> Cost:
        """The cost of this many of the images, at an equal price for each."""
        return Cost(images, None if self.usd is None else self.usd * images / self.images)


@dataclass(frozen=True, slots=True)
class Charge:
    """What was settled in the end; kept with a failure, because people are told."""

    #: Pictures that count towards the person's day.
    counted: int = 0
    #: Pictures that fal made and that don't count, because nobody was shown them.
    forgiven: int = 0
    #: Millionths of a US dollar that count, for all submissions together.
    usd_micros: int = 0
    #: Whether nobody can know if fal has painted it.
    uncertain: bool = False
