"""The options field as people type it."""

from __future__ import annotations

import contextlib
import time

import pytest

from bot.catalogue import Catalogue
from bot.catalogue.kinds import read_json
from bot.catalogue.option_syntax import read_pairs, without_hints
from bot.catalogue.pasted_line import escape, unescape
from bot.errors import InvalidOption
from tests.catalogue.parsing import each, given, refused
from tests.english import raises_saying


@each(
    ("text", "pairs"),
    [
        ("", []),
        ("steps=3", [("steps", "3")]),
        ("steps=3 seed=4", [("steps", "3"), ("seed", "4")]),
        ("steps=3,seed=4", [("steps", "3"), ("seed", "4")]),
        ("steps=3\nseed=4\r\n", [("steps", "3"), ("seed", "4")]),
        (" steps = 3 ; seed = 4 ", [("steps", "3"), ("seed", "4")]),
        ("Num-Images=2", [("num_images", "2")]),
        ('a="x y" b=1', [("a", "x y"), ("b", "1")]),
        ("a='x y',b=1", [("a", "x y"), ("b", "1")]),
        ("a=“x y” b=1", [("a", "x y"), ("b", "1")]),
        ("a=„x y“", [("a", "x y")]),
        ('a="x \\"y\\" z"', [("a", 'x "y" z')]),
        ('a="b=1"', [("a", "b=1")]),
        ("a=#f00,#0f0 b=1", [("a", "#f00,#0f0"), ("b", "1")]),
        ("a=blurry, ugly hands b=1", [("a", "blurry, ugly hands"), ("b", "1")]),
        ("a=https://x.example/p?q=1&r=2,b=1", [("a", "https://x.example/p?q=1&r=2"), ("b", "1")]),
        ('a=[1,2] b={"c":[3]}', [("a", [1, 2]), ("b", {"c": [3]})]),
        ('{"a": 1, "b": "x y"}', [("a", 1), ("b", "x y")]),
        ("a=", [("a", "")]),
        ("a= b=1", [("a", ""), ("b", "1")]),
        ("a= \n b=1", [("a", ""), ("b", "1")]),
        ("a=,b=1", [("a", ""), ("b", "1")]),
        ("a=\n5", [("a", "5")]),
        ("a=3,5", [("a", "3,5")]),
    ],
)
def test_pairs_are_read_as_meant(text: str, pairs: list[tuple[str, object]]) -> None:
    assert read_pairs(text) == pairs


@each(
    "text",
    ["steps", "=3", "3=4", "steps:3", 'a="open', "a='open", "a=“open", "a=[1", 'a={"b"', "a=[NaN]", "{", "{1}", "[1]",
     '{"a":1,"a":2}', 'a={"b":1,"b":2}', 'a="x"y', "a=[1]b=2", "a=" + "[" * 20000, "{" * 5000, "🙂=1", "x" * 7000,
     'a={"b":Infinity}', "a=[" + "9" * 5000 + "]", '{"a":1} b=2'],
)  # fmt: skip
def test_text_that_is_no_pairs_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        read_pairs(text)
    assert caught.value.option == "options"


def test_text_beyond_the_limit_is_refused_with_its_length() -> None:
    with raises_saying(InvalidOption, match=r"has 7,004 characters; at most 6,000 are allowed"):
        read_pairs(f'a="{"x" * 7000}"')


@each("typed", ['{"a":' * 20000, "[" * 20000, '{"colors":' + "[" * 20000])
def test_bottomless_json_is_refused(catalogue: Catalogue, typed: str) -> None:
    refused(catalogue, "recraft-v2", colors=typed)
    refused(catalogue, "recraft-v2", options=typed[:5900])
    with pytest.raises(ValueError, match="deep"):
        read_json("[" * 20000)


def test_an_empty_value_is_not_given(catalogue: Catalogue) -> None:
    assert given(catalogue, "flux-schnell", options="steps= seed=4") == {"seed": 4}


@each("value", [5, ["steps=3"], b"steps=3", True])
def test_options_that_are_no_text_are_refused(catalogue: Catalogue, value: object) -> None:
    assert refused(catalogue, "flux-schnell", options=value).option == "options"


def test_options_may_come_as_a_mapping(catalogue: Catalogue) -> None:
    assert given(catalogue, "flux-schnell", options={"steps": 3}) == {"num_inference_steps": 3}


@each("text", ["a=1" + " " * 5900 + "x", "a=1" + ", " * 2900 + "x", "a= " * 1900, "a," * 2900, "a=1 " + "a" * 5900])
def test_reading_stays_quick_on_hostile_text(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(InvalidOption):
        read_pairs(text)
    assert time.process_time() - start < 0.05


@each(
    "typed", ["a" * 6000, "a=" * 3000, "acceleration= · " * 400, "·" * 6000, "\\" * 5990 + "⏎", "prompt" + "\\" * 5000]
)
def test_hints_and_escapes_are_taken_out_in_no_time(catalogue: Catalogue, typed: str) -> None:
    began = time.perf_counter()
    without_hints(catalogue.get("flux-schnell"), typed)
    unescape(escape(typed))
    assert time.perf_counter() - began < 0.5


@each(
    ("options", "wanted"),
    [
        ("acceleration: high", {"acceleration": "high"}),
        ("--acceleration high --seed 5", {"acceleration": "high", "seed": 5}),
        ("Acceleration high, seed 5", {"acceleration": "high", "seed": 5}),
        ("-steps 8\nguidance: 7,5", {"num_inference_steps": 8, "guidance_scale": 7.5}),
        ("output_format: jpg", {"output_format": "jpeg"}),
        ("output_format=JPG", {"output_format": "jpeg"}),
    ],
)
def test_pairs_with_other_signs_and_names_are_understood(
    catalogue: Catalogue, options: str, wanted: dict[str, object]
) -> None:
    assert given(catalogue, "flux-schnell", options=options) == wanted


@each("options", ["png", "hello world", "a high acceleration", "acceleration", "--", "{acceleration: high}"])
def test_what_names_no_option_is_still_refused(catalogue: Catalogue, options: str) -> None:
    assert refused(catalogue, "flux-schnell", options=options).option == "options"


@each(("typed", "value"), [("7,5", 7.5), ("3,25", 3.25), ("0,5", 0.5), ("7.5", 7.5), ("12", 12.0)])
def test_a_comma_before_decimals_is_read(catalogue: Catalogue, typed: str, value: float) -> None:
    assert given(catalogue, "flux-schnell", guidance=typed) == {"guidance_scale": value}
    assert refused(catalogue, "flux-schnell", steps="7,5").option == "steps"
