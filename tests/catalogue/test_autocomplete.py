"""Autocomplete."""

from __future__ import annotations

import time

from hypothesis import given as examples
from hypothesis import strategies as st

from bot.catalogue import Catalogue, load, option_completions, size_choices, style_choices
from bot.catalogue.option_syntax import without_hints
from tests.catalogue.facts import QUICK
from tests.catalogue.parsing import each, request

CATALOGUE = load(has_openai_key=True)


def _values(catalogue: Catalogue, key: str, typed: str) -> list[str]:
    return [value for _, value in option_completions(catalogue.get(key), typed)]


def test_keys_without_a_field_of_their_own_come_first(catalogue: Catalogue) -> None:
    assert _values(catalogue, "ideogram-v3", "")[:4] == [
        "rendering_speed=",
        "color_palette=",
        "style_codes=",
        "expand_prompt=",
    ]
    assert "prompt=" not in _values(catalogue, "flux-schnell", "")
    assert not [value for value in _values(catalogue, "gpt-image-1", "") if "key" in value]


@each(
    ("key", "typed", "first"),
    [
        ("flux-schnell", "acc", "acceleration="),
        ("flux-schnell", "acceleration=", "acceleration=none"),
        ("flux-schnell", "acceleration=h", "acceleration=high"),
        ("flux-schnell", "acceleration=high ", "acceleration=high output_format="),
        ("flux-schnell", "acceleration=high, out", "acceleration=high output_format="),
        ("flux-schnell", "steps=3 acceleration=r", "steps=3 acceleration=regular"),
        ("flux-schnell", "steps=", "steps=4"),
        ("flux-schnell", "steps=7", "steps=7"),
        ("flux-schnell", "steps=99", "steps=4"),
        ("ideogram-v3", "style=gold", "style=GOLDEN_HOUR"),
        ("ideogram-v3", "color_palette=m", "color_palette=MAGIC"),
        ("ideogram-v3", "style_codes=A1B2C3D4,B1B2C3D4", "style_codes=A1B2C3D4,B1B2C3D4"),
        ("qwen-image", 'negative_prompt="dull sky" use', 'negative_prompt="dull sky" use_turbo='),
        ("qwen-image", "use_turbo=", "use_turbo=true"),
        ("imagen4", "size=wide", "size=16:9"),
        ("flux-schnell", "size=1280x720", "size=1280x720"),
    ],
)
def test_keys_then_values_with_earlier_pairs_kept(catalogue: Catalogue, key: str, typed: str, first: str) -> None:
    assert _values(catalogue, key, typed)[0] == first


def test_a_key_already_given_is_not_offered_again(catalogue: Catalogue) -> None:
    assert not [value for value in _values(catalogue, "flux-schnell", "steps=3 ") if value.count("steps") > 1]


def test_an_unknown_key_brings_close_keys_and_the_held_ones_nothing(catalogue: Catalogue) -> None:
    assert _values(catalogue, "flux-schnell", "accel=")[0] == "acceleration="
    assert _values(catalogue, "flux-schnell", "sync_mode=") == []


def test_few_keys_bring_their_values_along(catalogue: Catalogue) -> None:
    assert _values(catalogue, "flux-schnell", "acc") == [
        "acceleration=",
        "acceleration=none",
        "acceleration=regular",
        "acceleration=high",
    ]
    assert all(value.endswith("=") for value in _values(catalogue, "flux-schnell", ""))


def test_a_number_brings_its_default_and_the_ends_of_its_range(catalogue: Catalogue) -> None:
    assert _values(catalogue, "flux-schnell", "steps=") == ["steps=4", "steps=1", "steps=12"]
    assert _values(catalogue, "flux-schnell", "seed=") == []


def test_typing_on_from_a_label_is_typing_on_from_its_value(catalogue: Catalogue) -> None:
    """Discord writes the label into the field; whatever is typed behind it must mean the same as behind the value."""
    for model in catalogue.models:
        for typed in ("", "s", "seed=1 ", "steps=", "output_format=", "expand", "num_images=1, ", "acc", "lo"):
            for label, value in option_completions(model, typed):
                assert without_hints(model, label) == value, (model.key, label)
                for rest in ("", "h", "high", " high", "1 output_format="):
                    assert option_completions(model, label + rest) == option_completions(model, value + rest)


def test_a_label_that_was_cut_off_is_understood_too(catalogue: Catalogue) -> None:
    model = catalogue.get("flux-schnell")
    label, value = option_completions(model, "acc")[0]
    assert label == "acceleration= · How much to hurry; faster can cost some quality."
    for cut in range(len(value), len(label)):
        for end in ("…", "..."):
            parsed = request(catalogue, "flux-schnell", options=f"{label[:cut]}{end}high steps=3")
            assert parsed.given == ("acceleration", "num_inference_steps"), label[:cut]


def test_what_has_a_field_of_its_own_is_not_offered_again() -> None:
    for model in CATALOGUE.models:
        named = {option.name: option for option in model.offered}
        keys = [value.removesuffix("=") for _, value in option_completions(model, "")]
        assert all(named[key].alias is None for key in keys)
        assert set(keys) == {name for name, option in named.items() if option.alias is None and name != "prompt"}
        for label, value in option_completions(model, ""):
            assert label == f"{value} · {named[value.removesuffix('=')].description}"[: len(label)]


def test_completed_choices_are_taken(catalogue: Catalogue) -> None:
    for model in catalogue.models:
        for option in model.offered:
            if option.name != "prompt":
                for value in _values(catalogue, model.key, f"{option.name}="):
                    assert request(catalogue, model.key, options=value).given, value


def test_completions_that_discord_would_not_take_are_left_out(catalogue: Catalogue) -> None:
    long = f'negative_prompt="{"x" * 75}" '
    assert _values(catalogue, "z-image", f"{long}acc") == []
    assert _values(catalogue, "z-image", f'{long[:60]}" acc') != []
    assert _values(catalogue, "omnigen-v2", "negative_prompt=") == []
    assert size_choices(catalogue.get("flux-schnell"), "1024x768" + " " * 200) == []


def test_styles_are_pretty_and_searchable(catalogue: Catalogue) -> None:
    recraft = catalogue.get("recraft-v2")
    line_art = ("Vector illustration / Line art · about $0.044", "vector_illustration/line_art")  # vectors cost more
    assert line_art in style_choices(recraft, "line art")
    assert len(style_choices(recraft)) == 25
    assert ("Golden hour", "GOLDEN_HOUR") in style_choices(catalogue.get("ideogram-v3"), "golden")
    assert style_choices(catalogue.get("flux-schnell")) == []
    assert style_choices(recraft, "zzz") == []


@each("key", ["recraft-v2", "ideogram-v3", "ideogram-v2"])
def test_every_style_can_be_found_by_typing_it(catalogue: Catalogue, key: str) -> None:
    model = catalogue.get(key)
    styles = [choice for option in model.offered if option.alias == "style" for choice in option.choices]
    assert styles
    for style in styles:
        assert style in [value for _, value in style_choices(model, style)]
        request(catalogue, key, style=style)


@QUICK
@examples(
    st.integers(0, 17), st.text(max_size=120) | st.from_regex(r"\A([a-z_]{1,12}=[^ ]{0,10}[ ,]){0,4}[a-z_=]{0,12}\Z")
)
def test_completions_always_fit_discord(model: int, typed: str) -> None:
    offered = CATALOGUE.models[model]
    for choices in (option_completions(offered, typed), size_choices(offered, typed), style_choices(offered, typed)):
        assert len(choices) <= 25
        assert all(0 < len(label) <= 100 and 0 < len(value) <= 100 for label, value in choices)
        assert len({value for _, value in choices}) == len(choices)
    assert len(CATALOGUE.search(typed)) <= 25


@each("typed", ["a " * 2_950, "a=" * 2_950, "1,2 " * 1_475, "x" * 5_900, "… " * 2_950])
def test_thousands_of_characters_are_completed_at_once(typed: str) -> None:
    began_s = time.process_time()
    for model in load(has_openai_key=True).models:
        style_choices(model, typed)
        size_choices(model, typed)
    assert time.process_time() - began_s < 1
