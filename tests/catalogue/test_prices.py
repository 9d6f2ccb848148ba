"""What an order can cost at worst."""

from __future__ import annotations

from decimal import Decimal

from bot.catalogue import Catalogue, load, price_text
from bot.catalogue.prices import result_cost_usd
from bot.domain.job import RemotePicture, Result
from tests.catalogue.parsing import each, request

ONE = RemotePicture("https://x", None, None, None)


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
        # OpenAI decides quality and size: the dearest; and eleven tokens at most
        ("gpt-image-1", {"count": 2}, "0.5001"),
        ("gpt-image-1", {"size": "1024x1024", "options": "quality=low"}, "0.0111"),
        ("gpt-image-1", {"size": "1024x1536", "options": "quality=medium"}, "0.0631"),
        ("gpt-image-1", {"size": "1024x1024"}, "0.1671"),
        ("f-lite", {}, None),
    ],
)
def test_the_worst_case(catalogue: Catalogue, key: str, raw: dict[str, object], usd: str | None) -> None:
    cost = request(catalogue, key, **raw).cost_usd
    assert cost == (Decimal(usd) if usd else None)


MADE: list[tuple[str, dict[str, object], Result, str | None]] = [
    # by fal's units
    ("flux-schnell", {}, Result((ONE,), billable_units=Decimal(2)), "0.006"),
    ("ideogram-v3", {"options": "rendering_speed=QUALITY"}, Result((ONE,), billable_units=Decimal(1)), "0.09"),
    # by what came: fewer than asked for, another size than asked for
    ("seedream-v4", {"count": 2, "options": "max_images=3"}, Result((ONE, ONE)), "0.06"),
    ("flux-schnell", {"size": "1000x1000"}, Result((RemotePicture("x", None, 2000, 1000),)), "0.006"),
    ("flux-schnell", {"size": "1000x1000", "count": 4}, Result((ONE, ONE)), "0.006"),
    ("z-image-turbo", {"size": "1000x1000", "options": "enable_prompt_expansion=yes"}, Result((ONE,)), "0.0075"),
    # units that can't be right
    ("imagen4-fast", {"count": 3}, Result((ONE, ONE), billable_units=Decimal(0)), "0.04"),
    ("z-image", {}, Result((ONE,), billable_units=Decimal(3)), None),
]


@each(("key", "raw", "result", "usd"), MADE)
def test_what_came_is_priced(
    catalogue: Catalogue, key: str, raw: dict[str, object], result: Result, usd: str | None
) -> None:
    made = request(catalogue, key, **raw)
    cost = result_cost_usd(catalogue.get(key), made, result)
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
