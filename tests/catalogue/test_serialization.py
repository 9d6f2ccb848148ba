"""Orders in the store."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal

from bot.catalogue import Catalogue, request_from_json, request_to_json
from bot.domain.request import GenerationRequest
from tests.catalogue.parsing import each, request

_RAW: list[tuple[str, dict[str, object]]] = [
    ("flux-schnell", {"seed": 2**32 - 1, "size": "1000x1000", "count": 4}),
    ("recraft-v2", {"options": "colors=#ff0000,#0f0"}),
    ("ideogram-v3", {"options": "color_palette=#aabbcc:0.5,#112233 style_codes=A1B2C3D4"}),
    ("hidream", {"options": "loras=a/b@0.8"}),
    ("z-image", {"prompt": "🐼 \u202bلوحة\n**bold**"}),
]


@each(("key", "raw"), _RAW)
def test_an_order_survives_the_store_unchanged(catalogue: Catalogue, key: str, raw: dict[str, object]) -> None:
    placed = request(catalogue, key, **raw)
    read = request_from_json(json.loads(json.dumps(request_to_json(placed), allow_nan=False)))
    assert read == placed
    assert type(read.given) is tuple
    assert type(read.size) is type(placed.size)
    assert type(read.cost_usd) is type(placed.cost_usd)


def test_money_is_exact() -> None:
    placed = GenerationRequest("fal-ai/x", "p", {}, (), 1, None, Decimal("0.10"))
    assert str(request_from_json(json.loads(json.dumps(request_to_json(placed)))).cost_usd) == "0.10"


def test_every_field_is_stored() -> None:
    placed = GenerationRequest("fal-ai/x", "p", {"a": 1}, ("a",), 3, (5, 6), Decimal(1))
    assert set(request_to_json(placed)) == {field.name for field in dataclasses.fields(GenerationRequest)}


def test_keys_of_a_newer_version_are_ignored(catalogue: Catalogue) -> None:
    placed = request(catalogue, "flux-schnell")
    assert request_from_json({**request_to_json(placed), "mood": "new"}) == placed


def test_the_stored_form_shares_nothing_with_the_order(catalogue: Catalogue) -> None:
    placed = request(catalogue, "hidream")
    stored = request_to_json(placed)
    stored["options"]["image_size"]["width"] = 1  # type: ignore[index,call-overload]
    assert placed.options["image_size"] == {"width": 1024, "height": 1024}
