"""What a request may cost, or did."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """A count of images and their price: reserved at its worst case, settled as billed."""

    images: int
    #: US dollars; None where the price is not known.
    usd: Decimal | None = None
