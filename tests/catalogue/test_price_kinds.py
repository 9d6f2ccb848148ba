"""Every way in which fal bills, as a model file writes it: the worst case before painting and what came after."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bot.catalogue import Catalogue, Model, load, parse, price_text, with_prompt
from bot.catalogue.price_file import UNITS
from bot.catalogue.prices import billed_usd, known_prices, result_cost_usd
from bot.domain.job import RemotePicture, Result
from bot.errors import SettingsInvalid
from tests.catalogue.parsing import each

_MODEL = """
endpoint = "fal-ai/meter"
key = "meter"
title = "Meter"
summary = "Has every sort of option that a price can depend on."
typical_s = 3
size_option = "image_size"

[output]
pictures = "image"
usage = true

[price]
confidence = "high"
{price}

[[options]]
name = "prompt"
kind = "text"
description = "What to paint."
required = true
ours = {{ max_length = 4000 }}

[[options]]
name = "image_urls"
kind = "pictures"
alias = "image"
description = "Pictures to change."
max_items = 8

[[options]]
name = "image_size"
kind = "size"
alias = "size"
description = "Size."
choices = ["square_hd", "square"]
ours = {{ min_side_px = 256, max_side_px = 2048 }}

[[options]]
name = "num_images"
kind = "integer"
alias = "count"
description = "Pictures."
default = 1
minimum = 1
maximum = 4

[[options]]
name = "quality"
kind = "choice"
description = "Quality."
default = "auto"
choices = ["auto", "low", "high"]

[[options]]
name = "resolution"
kind = "choice"
description = "Resolution."
default = "1K"
choices = ["auto", "1K", "2K", "4K"]

[[options]]
name = "duration"
kind = "choice"
description = "Seconds."
choices = ["5", "10s"]

[[options]]
name = "enable_web_search"
kind = "boolean"
description = "Search."
"""


def _model(folder: Path, price: str) -> Model:
    (folder / "meter.toml").write_text(_MODEL.format(price=price), encoding="utf-8")
    return load(folder=folder).get("meter")


def _pictures(count: int) -> list[str]:
    return [f"https://pictures.example/{number}.png" for number in range(count)]


_PER_IMAGE = 'unit = "image"\nusd = "0.04"'
_FIRST = 'unit = "megapixel"\nusd = "0.03"\nfurther_usd = "0.015"\nround_up_megapixels = true'
_PROCESSED = (
    'unit = "processed_megapixel"\nusd = "0.07"\nfurther_usd = "0.03"\nround_up_megapixels = true\n'
    "most_input_megapixels = 4"
)
_IN_AND_OUT = 'unit = "processed_megapixel"\nusd = "0.05"\nround_up_megapixels = true\nmost_input_megapixels = 2.5'
_TABLE = """unit = "image"
[price.by_options]
options = ["quality", "resolution"]
[price.by_options.usd.low]
1K = "0.01"
2K = "0.02"
4K = "0.03"
[price.by_options.usd.high]
1K = "0.1"
2K = "0.2"
4K = "0.4"
"""
_TIERS = """unit = "image"
[price.by_option]
option = "resolution"
usd = { 1K = "0.15", 2K = "0.15", 4K = "0.3" }
[price.surcharges]
enable_web_search = "0.015"
"""
_BY_PIXELS = 'unit = "image"\nby_pixels = { 2359296 = "0.0675", 4194304 = "0.135" }'
_INPUTS = 'unit = "image"\nusd = "0.06"\ninput_picture_usd = "0.0045"\nfree_input_pictures = 1'
_SECONDS = 'unit = "second"\nusd = "0.05"\nseconds_option = "duration"\nmost_seconds = 10'
_COMPUTE = 'unit = "second"\nusd = "0.001"\nmost_seconds = 12.5'
_TOKENS = """unit = "request"
usd = "0.01"
[price.tokens]
input_usd = "5"
output_usd = "40"
most_per_input_picture = 1000
most_output = 4160
"""
_FIXED = 'unit = "image"\nusd = "0.02"\nfixed_usd = "0.005"'

_WORST = [
    (_PER_IMAGE, {"count": 3}, "0.12"),
    # the first megapixel and further ones, of each picture
    (_FIRST, {"size": "512x512"}, "0.03"),
    (_FIRST, {"size": "1000x1000"}, "0.03"),
    (_FIRST, {"size": "1000x1001"}, "0.045"),
    (_FIRST, {"size": "2000x2000", "count": 2}, "0.15"),
    (_FIRST, {}, "0.09"),  # fal decides the size: 2048 × 2048, five megapixels
    # parts of a megapixel, rounded up to hundredths
    ('unit = "megapixel"\nusd = "0.1"', {"size": "1024x768"}, "0.079"),
    ('unit = "megapixel"\nusd = "1"', {"size": "1000x1000", "count": 2}, "2"),
    ('unit = "megapixel"\nusd = "0.1"\nmost_megapixels = 24', {}, "2.4"),
    # what is given counts as well: at the largest that it can be
    (_PROCESSED, {"size": "1000x1000"}, "0.07"),
    (_PROCESSED, {"size": "1000x1000", "image": _pictures(2)}, "0.31"),
    (_IN_AND_OUT, {"size": "1000x1000", "image": _pictures(1)}, "0.2"),
    # by two options; what is left open costs what the dearest possible does
    (_TABLE, {"quality": "low", "resolution": "2K"}, "0.02"),
    (_TABLE, {"quality": "high", "resolution": "4K", "count": 2}, "0.8"),
    (_TABLE, {"resolution": "2K"}, "0.2"),
    (_TABLE, {"quality": "low", "resolution": "auto"}, "0.03"),
    (_TABLE, {"resolution": "auto"}, "0.4"),
    (_TIERS, {}, "0.15"),
    (_TIERS, {"resolution": "4K", "options": "enable_web_search=yes"}, "0.315"),
    (_TIERS, {"resolution": "auto", "options": "enable_web_search=no"}, "0.3"),
    # by the size of the picture
    (_BY_PIXELS, {"size": "1536x1536"}, "0.0675"),
    (_BY_PIXELS, {"size": "1537x1536"}, "0.135"),
    (_BY_PIXELS, {"size": "2048x2048"}, "0.135"),
    (_BY_PIXELS, {}, "0.135"),
    ('unit = "image"\nby_pixels = { 65536 = "0.01", 1000000 = "0.02" }', {"size": "2048x2048"}, "0.02"),
    # by pictures given
    (_INPUTS, {}, "0.06"),
    (_INPUTS, {"image": _pictures(1)}, "0.06"),
    (_INPUTS, {"image": _pictures(4), "count": 2}, "0.1335"),
    # by seconds
    (_SECONDS, {"duration": "5"}, "0.25"),
    (_SECONDS, {"duration": "10s", "count": 2}, "1"),
    (_SECONDS, {}, "0.5"),
    (_COMPUTE, {}, "0.0125"),
    # a fixed price and tokens: "a red panda" has at most eleven
    (_TOKENS, {}, "0.1765"),
    (_TOKENS, {"image": _pictures(2), "count": 2}, "0.3529"),
    (_FIXED, {"count": 2}, "0.045"),
    # nothing known
    ('unit = "image"', {}, None),
    ('unit = "megapixel"\nfurther_usd = "0.01"', {}, None),
]


@each(("price", "raw", "usd"), _WORST)
def test_the_worst_case_of_every_kind(tmp_path: Path, price: str, raw: dict[str, object], usd: str | None) -> None:
    request = parse(_model(tmp_path, price), {"prompt": "a red panda", **raw})
    assert request.cost_usd == (Decimal(usd) if usd else None)


def _came(*sizes: tuple[int, int] | None, units: str | None = None, tokens: tuple[int, int] | None = None) -> Result:
    return Result(
        tuple(RemotePicture("https://x", None, *(size or (None, None))) for size in sizes),
        billable_units=Decimal(units) if units else None,
        usage={"input_tokens": tokens[0], "output_tokens": tokens[1]} if tokens else None,
    )


_AFTER = [
    # one price for everything: fal's units are the bill
    (_PER_IMAGE, {"count": 3}, _came(None, None, units="2"), "0.08"),
    ('unit = "megapixel"\nusd = "0.065"', {}, _came(None, units="4.19"), "0.27235"),
    (_SECONDS, {}, _came(None, units="5.008"), "0.2504"),
    # else the pictures are
    (_FIRST, {"count": 2}, _came((1000, 1000), (2000, 1000), units="7"), "0.075"),
    (_TABLE, {"quality": "low", "count": 4}, _came(None, units="3"), "0.01"),
    (_BY_PIXELS, {"count": 2}, _came((1024, 1024), (2048, 2048)), "0.2025"),
    (_INPUTS, {"image": _pictures(3), "count": 4}, _came(None, units="9"), "0.069"),
    (_TIERS, {"options": "enable_web_search=yes", "count": 4}, _came(None), "0.165"),
    (_FIXED, {"count": 4}, _came(None), "0.025"),
    # tokens as told, or the most there can be
    (_TOKENS, {}, _came(None, tokens=(4, 1056)), "0.05226"),
    (_TOKENS, {}, _came(None), "0.176455"),
    (_TOKENS, {}, _came(None, tokens=(-4, 10**9)), "0.176455"),
    # units that can't be right
    (_PER_IMAGE, {"count": 3}, _came(None, None, units="1e30"), "0.08"),
    (_PER_IMAGE, {"count": 3}, _came(None, None, units="-2"), "0.08"),
    ('unit = "image"', {}, _came(None, units="2"), None),
]


@each(("price", "raw", "result", "usd"), _AFTER)
def test_what_came_of_every_kind(
    tmp_path: Path, price: str, raw: dict[str, object], result: Result, usd: str | None
) -> None:
    model = _model(tmp_path, price)
    request = parse(model, {"prompt": "a red panda", **raw})
    assert result_cost_usd(model, request, result) == (Decimal(usd) if usd else None)


@each(
    ("price", "raw", "units", "usd"),
    [
        (_PER_IMAGE, {"count": 3}, "0", "0"),
        (_PER_IMAGE, {"count": 3}, "2", "0.08"),
        (_PER_IMAGE, {"count": 3}, "1e30", "0.12"),
        (_FIRST, {"size": "2000x2000"}, "0", "0"),
        (_FIRST, {"size": "2000x2000"}, "2.5", "0.075"),
        (_TABLE, {"quality": "low", "count": 4}, "1", "0.04"),
        ('unit = "image"', {}, "0", "0"),
        ('unit = "image"', {}, "1", None),
    ],
)
def test_what_is_billed_without_a_picture(
    tmp_path: Path, price: str, raw: dict[str, object], units: str, usd: str | None
) -> None:
    model = _model(tmp_path, price)
    request = parse(model, {"prompt": "a red panda", **raw})
    assert billed_usd(model, request, Decimal(units)) == (Decimal(usd) if usd else None)


@each(
    ("price", "text"),
    [
        (_FIRST, "$0.015 to $0.03 per megapixel"),
        (_PROCESSED, "$0.03 to $0.07 per processed megapixel"),
        (_TABLE, "$0.01 to $0.40 per image"),
        (_BY_PIXELS, "$0.0675 to $0.135 per image"),
        (_INPUTS, "$0.06 per image + $0.0045 per picture given"),
        (_SECONDS, "$0.05 per second"),
        (_TOKENS, "$0.01 per request + $5.00 per million tokens given + $40.00 per million tokens made"),
        (_FIXED, "$0.02 per image + $0.005 per request"),
    ],
)
def test_every_kind_in_words(tmp_path: Path, price: str, text: str) -> None:
    assert price_text(_model(tmp_path, price)) == text


@each(
    ("price", "sentence"),
    [
        ('unit = "smile"', "`price.unit` is `smile`, and Easel can't reckon by that. It knows `image`,"),
        ('unit = "images"', "Did you mean `image`?"),
        ('unit = "Output Megapixels"', "Did you mean `megapixel`?"),
        ('unit = "processed megapixels"', "Did you mean `processed_megapixel`?"),
        ('unit = "secnd"', "Did you mean `second`?"),
        ('unit = "1m tokens"', "leave `usd` out"),
        ('unit = ""', "`price.unit` is ``"),
        ('unit = "second"\nusd = "1"', "`most_seconds`"),
        ('unit = "second"\nmost_seconds = 5\nseconds_option = "length"', "names `length`"),
        ('unit = "processed_megapixel"\nusd = "1"', "`most_input_megapixels`"),
        ('unit = "image"\nfurther_usd = "1"', "`price.further_usd` is for"),
        ('unit = "image"\ntokens = { output_usd = "40" }', "`most_output`"),
        ('unit = "image"\nusd = "1e9"', "`price.usd`"),
        ('unit = "image"\nby_pixels = { 0 = "1" }', "`price.by_pixels.0"),
        ('unit = "image"\nby_pixels = { large = "1" }', "`price.by_pixels.large"),
        (
            'unit = "image"\nby_options = { options = ["quality", "resolution"], usd = { low = { 8K = "1" } } }',
            "`price.by_options.usd` has `8K`, which is no value of `resolution`",
        ),
        (
            'unit = "image"\nby_options = { options = ["quality", "colour"], usd = { low = { 8K = "1" } } }',
            "`price.by_options` names `colour`",
        ),
        ('unit = "image"\nby_options = { options = ["quality"], usd = { low = { 8K = "1" } } }', "`price.by_options"),
        (
            'unit = "image"\nby_option = { option = "quality", usd = { low = 1 } }\n'
            'by_options = { options = ["quality", "resolution"], usd = { low = { 1K = "1" } } }',
            "can't both be there",
        ),
    ],
)
def test_a_price_that_makes_no_sense_is_refused_with_a_sentence(tmp_path: Path, price: str, sentence: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        _model(tmp_path, price)
    assert sentence in str(caught.value)
    assert "meter.toml" in str(caught.value)


def test_every_unit_can_be_used(tmp_path: Path) -> None:
    for unit in UNITS:
        needs = "most_seconds = 5\nmost_input_megapixels = 4"
        model = _model(tmp_path, f'unit = "{unit}"\nusd = "0.5"\n{needs}')
        assert parse(model, {"prompt": "a red panda"}).cost_usd


def test_a_longer_prompt_costs_its_tokens(tmp_path: Path) -> None:
    model = _model(tmp_path, _TOKENS)
    request = parse(model, {"prompt": "a red panda"})
    assert with_prompt(model, request, "red panda " * 200).cost_usd == Decimal("0.1864")


def test_the_operators_price_scales_what_hangs_on_it(tmp_path: Path) -> None:
    def repriced(price: str) -> Catalogue:
        _model(tmp_path, price)
        return load(folder=tmp_path, prices_usd={"meter": Decimal("0.06")})

    assert known_prices(repriced(_FIRST).get("meter").price) == [Decimal("0.03"), Decimal("0.06")]
    # without a price of its own there is nothing to scale by: it holds for all
    assert known_prices(repriced(_TABLE).get("meter").price) == [Decimal("0.06")]
    assert known_prices(repriced(_BY_PIXELS).get("meter").price) == [Decimal("0.06")]
