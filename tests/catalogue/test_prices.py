"""What an order can cost at worst."""

from __future__ import annotations

from decimal import Decimal

from bot.catalogue import Catalogue, load, price_text
from tests.catalogue.parsing import each, request


@each(
    ("key", "raw", "usd"),
    [
        ("flux-schnell", {}, "0.003"),
        ("flux-schnell", {"size": "1024x1024"}, "0.006"),  # 1.05 megapixels, rounded up
        ("flux-schnell", {"size": "1000x1000", "count": 4}, "0.012"),
        ("z-image-turbo", {"size": "1000x1000"}, "0.005"),
        ("z-image-turbo", {"size": "1000x1000", "count": 2, "options": "enable_prompt_expansion=yes"}, "0.0125"),
        ("z-image-turbo", {"size": "1000x1000", "options": "enable_prompt_expansion=no"}, "0.005"),
        ("z-image-inpaint", {"size": "1000x1000"}, "0.01"),
        ("z-image-inpaint", {}, "0.042"),  # the size of the picture sent is unknown: the largest counts
        ("sd35-large", {"size": "1000x1000"}, "0.065"),
        ("hidream", {}, "0.0525"),
        ("seedream-v4", {"size": "4096x4096", "count": 2, "options": "max_images=5"}, "0.3"),
        ("ideogram-v3", {}, "0.06"),
        ("ideogram-v3", {"options": "rendering_speed=turbo"}, "0.03"),
        ("ideogram-v3", {"count": 8, "options": "rendering_speed=QUALITY"}, "0.72"),
        ("recraft-v2", {}, "0.022"),
        ("recraft-v2", {"style": "vector_illustration"}, "0.044"),
        ("recraft-v2", {"style": "vector_illustration/linocut"}, "0.044"),
        ("recraft-v2", {"style": "icon/outline"}, "0.044"),
        ("recraft-v2", {"style": "digital_illustration/kawaii"}, "0.022"),
        ("imagen4-fast", {"count": 3}, "0.06"),
        ("z-image", {}, None),
        ("ideogram-v2", {}, None),
        ("gpt-image-1", {"count": 2}, None),
        ("f-lite", {}, None),
    ],
)
def test_the_worst_case(catalogue: Catalogue, key: str, raw: dict[str, object], usd: str | None) -> None:
    cost = request(catalogue, key, **raw).cost_usd
    assert cost == (Decimal(usd) if usd else None)


@each(
    ("key", "text"),
    [
        ("flux-schnell", "$0.003 per megapixel"),
        ("seedream-v4", "$0.03 per image"),
        ("ideogram-v3", "$0.03 to $0.09 per image"),
        ("recraft-v2", "about $0.022 to $0.044 per image"),
        ("imagen4", "about $0.0398 per image"),
        ("z-image", "price unknown"),
    ],
)
def test_prices_in_words(catalogue: Catalogue, key: str, text: str) -> None:
    assert price_text(catalogue.get(key)) == text


def test_the_operators_price_replaces_ours_and_keeps_proportions() -> None:
    prices = {"flux-schnell": Decimal("0.5"), "fal-ai/ideogram/v3": Decimal("0.12"), "f-lite": Decimal("0.1")}
    catalogue = load(prices_usd=prices)
    assert price_text(catalogue.get("flux-schnell")) == "$0.50 per megapixel"
    assert price_text(catalogue.get("ideogram-v3")) == "$0.06 to $0.18 per image"
    assert request(catalogue, "ideogram-v3", options="rendering_speed=QUALITY").cost_usd == Decimal("0.18")
    assert request(catalogue, "f-lite", count=2).cost_usd == Decimal("0.2")
