from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bot.catalogue import Catalogue, model_label, option_completions, size_choices, style_choices, value_prices
from bot.catalogue.price_labels import without_price, without_prices


def test_a_models_label_has_its_price_before_what_it_is_good_at(catalogue: Catalogue) -> None:
    assert model_label(catalogue.get("flux-schnell")).startswith("FLUX.1 schnell · $0.003 per megapixel · Quick")
    assert model_label(catalogue.get("z-image")).startswith("Z-Image · price unknown · ")
    assert model_label(catalogue.get("omnigen-v2")).startswith("OmniGen 2 · about $0.088 per image · ")


def test_sizes_styles_and_values_have_theirs_where_it_differs(catalogue: Catalogue) -> None:
    sizes = dict(size_choices(catalogue.get("qwen-image")))
    assert sizes["Square · 1024 × 1024 · $0.021"] == "square_hd"
    assert not any("$" in label for label, _ in size_choices(catalogue.get("ideogram-v3")))
    styles = dict(style_choices(catalogue.get("recraft-v2"), "vector"))
    assert styles["Vector illustration · about $0.044"] == "vector_illustration"
    assert option_completions(catalogue.get("ideogram-v3"), "rendering_speed=") == [
        ("rendering_speed=TURBO · $0.03", "rendering_speed=TURBO"),
        ("rendering_speed=BALANCED · $0.06", "rendering_speed=BALANCED"),
        ("rendering_speed=QUALITY · $0.09", "rendering_speed=QUALITY"),
    ]
    expansion = option_completions(catalogue.get("z-image-turbo"), "enable_prompt_expansion=")
    assert [label for label, _ in expansion] == [
        "enable_prompt_expansion=true · $0.0065",
        "enable_prompt_expansion=false · $0.004",
    ]
    assert option_completions(catalogue.get("flux-schnell"), "acceleration=")[0][0] == "acceleration=none"


def test_values_cost_what_a_request_with_them_costs(catalogue: Catalogue) -> None:
    model = catalogue.get("ideogram-v3")
    speed = model.option("rendering_speed")
    assert speed is not None
    assert value_prices(model, speed, ["QUALITY", "TURBO"]) == [Decimal("0.09"), Decimal("0.03")]
    assert value_prices(model, speed, ["TURBO"]) == [Decimal("0.03")]
    assert value_prices(model, speed, []) == []
    unknown = replace(model, price=replace(model.price, usd=None, table=None))
    assert value_prices(unknown, speed, ["QUALITY", "TURBO"]) == ()


@pytest.mark.parametrize(
    ("label", "bare"),
    [
        ("Square · 1024 × 1024 · $0.021", "square · 1024 x 1024"),
        ("Any · about $0.022", "any"),
        ("Any · about $0.0…", "any"),
        ("Any · abou...", "any"),
        ("Any · $", "any"),
        ("Any", "Any"),
        ("16:9 · landscape", "16:9 · landscape"),
        ("$5 · a note", "$5 · a note"),
        ("Any · $0.02 · more", "Any · $0.02 · more"),
        ("", ""),
    ],
)
def test_a_price_behind_a_label_is_taken_off_cut_or_not(label: str, bare: str) -> None:
    assert without_price(label) == bare


@pytest.mark.parametrize(
    ("typed", "bare"),
    [
        ("rendering_speed=TURBO · $0.03", "rendering_speed=TURBO"),
        ("rendering_speed=TURBO · $0.03 seed=7", "rendering_speed=TURBO seed=7"),
        ("STYLE=ANY · ABOUT $0.022", "STYLE=ANY"),
        ('negative_prompt="a sign · $5"', 'negative_prompt="a sign · $5"'),
        ("note · $5", "note · $5"),
        ("a=b · $5x", "a=b · $5x"),
    ],
)
def test_prices_behind_values_are_taken_out_of_the_options(typed: str, bare: str) -> None:
    assert without_prices(typed) == bare
