"""Requests as JSON for the store. Unknown keys are ignored, so that older code reads newer rows."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

from bot.domain.request import GenerationRequest, Json
from bot.phrase import Phrase


def request_to_json(request: GenerationRequest) -> dict[str, Json]:
    """The request as JSON, lossless; the cost is text."""
    return {
        "endpoint": request.endpoint,
        "prompt": request.prompt,
        "options": {name: copy.deepcopy(value) for name, value in request.options.items()},
        "given": list(request.given),
        "images": request.images,
        "size": list(request.size) if request.size else None,
        "cost_usd": None if request.cost_usd is None else str(request.cost_usd),
        "notices": [notice.to_json() for notice in request.notices],
    }


def request_from_json(data: Mapping[str, Json]) -> GenerationRequest:
    """The request from its JSON. Raises KeyError or TypeError on anything else."""
    size, cost = cast("list[int] | None", data.get("size")), data.get("cost_usd")
    return GenerationRequest(
        # Interned, so that thousands of requests in memory share these strings.
        endpoint=sys.intern(str(data["endpoint"])),
        prompt=str(data["prompt"]),
        options={sys.intern(name): value for name, value in cast("Mapping[str, Json]", data["options"]).items()},
        given=tuple(map(sys.intern, cast("list[str]", data.get("given") or ()))),
        images=cast("int", data.get("images", 1)),
        size=(size[0], size[1]) if size else None,
        cost_usd=None if cost is None else Decimal(str(cost)),
        notices=tuple(map(Phrase.from_json, cast("list[dict[str, Json]]", data.get("notices") or ()))),
    )
