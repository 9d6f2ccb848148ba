"""Orders as JSON for the store. Unknown keys are ignored, so that older code reads newer rows."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from bot.catalogue.model import Json, Order


def order_to_json(order: Order) -> dict[str, Json]:
    """Lossless; money travels as text."""
    return {
        "endpoint": order.endpoint,
        "prompt": order.prompt,
        "options": {name: copy.deepcopy(value) for name, value in order.options.items()},
        "given": list(order.given),
        "images": order.images,
        "size": list(order.size) if order.size else None,
        "cost_usd": None if order.cost_usd is None else str(order.cost_usd),
    }


def order_from_json(data: Mapping[str, Json]) -> Order:
    """The order as it was. Raises KeyError or TypeError on what was never an order."""
    size, cost = cast("list[int] | None", data.get("size")), data.get("cost_usd")
    return Order(
        # Interned: thousands of orders under way share their names.
        endpoint=sys.intern(str(data["endpoint"])),
        prompt=str(data["prompt"]),
        options={sys.intern(name): value for name, value in cast("Mapping[str, Json]", data["options"]).items()},
        given=tuple(map(sys.intern, cast("list[str]", data.get("given") or ()))),
        images=cast("int", data.get("images", 1)),
        size=(size[0], size[1]) if size else None,
        cost_usd=None if cost is None else Decimal(str(cost)),
    )
