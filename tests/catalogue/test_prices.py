"""What an order can cost at worst."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from bot.catalogue import Catalogue, load, parse, price_text
from bot.catalogue.load import read_model
from bot.catalogue.prices import billed_usd, is_billed_in_units, result_cost_usd
from bot.domain.job import RemotePicture, Result
from tests.catalogue.parsing import each, request
from tests.catalogue.test_load import VALID_MODEL

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
    ("imagen4-fast", {"count": 3}, Result((ONE, ONE), billable_units=Decimal("0.000001")), "0.04"),
    ("flux-schnell", {"size": "1000x1000"}, Result((ONE,), billable_units=Decimal(999_999)), "0.003"),
    ("imagen4-fast", {}, Result((ONE,), billable_units=Decimal("10.5")), "0.02"),
    # much, but it may be
    ("imagen4-fast", {}, Result((ONE,), billable_units=Decimal(10)), "0.2"),
    ("imagen4-fast", {"count": 4}, Result((ONE,), billable_units=Decimal(1)), "0.02"),
    ("z-image", {}, Result((ONE,), billable_units=Decimal(3)), None),
    # sizes that can't be right: at worst
    ("flux-schnell", {"size": "1000x1000"}, Result((RemotePicture("x", None, 10**6, 10**6),)), "0.003"),
    ("flux-schnell", {"size": "1000x1000", "count": 2}, Result((RemotePicture("x", None, 10**6, 9000),)), "0.006"),
]


@each(("key", "raw", "result", "usd"), MADE)
def test_what_came_is_priced(
    catalogue: Catalogue, key: str, raw: dict[str, object], result: Result, usd: str | None
) -> None:
    made = request(catalogue, key, **raw)
    cost = result_cost_usd(catalogue.get(key), made, result)
    assert cost == (Decimal(usd) if usd else None)


@each(
    ("key", "units", "usd", "is_told"),
    [
        ("flux-schnell", "0", "0", True),
        ("flux-schnell", "2", "0.006", True),
        ("flux-schnell", "10", "0.03", True),
        ("flux-schnell", "11", "0.003", False),  # the worst case, not a fortune
        ("flux-schnell", "1000000", "0.003", False),
        ("imagen4-fast", "1e30", "0.02", False),
        ("recraft-v2", "1", "0.022", False),
        ("z-image", "1", None, False),
    ],
)
def test_what_fal_says_of_a_request_without_a_picture(
    catalogue: Catalogue, key: str, units: str, usd: str | None, is_told: bool
) -> None:
    model, made = catalogue.get(key), request(catalogue, key, size="1000x1000" if key == "flux-schnell" else None)
    assert billed_usd(model, made, Decimal(units)) == (Decimal(usd) if usd else None)
    assert is_billed_in_units(model, made, Decimal(units)) is is_told


@each(
    ("name", "kind", "images"),
    [
        ("num_outputs", 'kind = "integer"\nminimum = 1\nmaximum = 4', 4),
        ("batch_size", 'kind = "integer"\nminimum = 1\nmaximum = 4', 4),
        ("n", 'kind = "choice"\nchoices = ["1", "2", "4"]', 4),
        ("quantity", 'kind = "choice"\nchoices = ["one", "4 pictures"]', 1),
    ],
)
def test_however_an_endpoint_calls_the_count_every_picture_is_reserved(
    tmp_path: Path, name: str, kind: str, images: int
) -> None:
    option = f'[[options]]\nname = "{name}"\n{kind}\nalias = "count"\ndescription = "How many."\n'
    (tmp_path / "counted.toml").write_text(f"{VALID_MODEL}\n{option}", encoding="utf-8")
    model = read_model(tmp_path / "counted.toml")[1]
    asked = parse(model, {"prompt": "a red panda", "count": "4" if images > 1 else "4 pictures"})
    assert asked.images == images
    assert asked.cost_usd == images * (parse(model, {"prompt": "a red panda"}).cost_usd or 0)


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
