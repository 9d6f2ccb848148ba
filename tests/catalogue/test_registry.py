"""Finding a model, and not offering one."""

from __future__ import annotations

import pytest

from bot.catalogue import Catalogue, load
from bot.errors import ModelUnavailable, UnknownModel
from tests.catalogue.parsing import each
from tests.english import raises_saying


@each(
    "name",
    ["flux-schnell", "FLUX-Schnell", "fal-ai/flux-1/schnell", "flux-1/schnell", "FLUX.1 schnell", " flux-schnell "],
)
def test_a_model_answers_to_key_endpoint_and_title(catalogue: Catalogue, name: str) -> None:
    assert catalogue.get(name).endpoint == "fal-ai/flux-1/schnell"


def test_every_model_answers_to_all_its_names(catalogue: Catalogue) -> None:
    for model in catalogue.models:
        for name in (model.key, model.endpoint, model.title, model.title.upper()):
            assert catalogue.get(name) is model


@each(
    ("typed", "near"),
    [("fluks-schnell", "flux-schnell"), ("ideogram", "ideogram-v3"), ("flux", "flux-schnell"), ("imagen", "imagen4")],
)
def test_an_unknown_name_brings_close_ones(catalogue: Catalogue, typed: str, near: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        catalogue.get(typed)
    assert near in caught.value.close


@each(
    "typed", ["anime", "realistic", "pixel art", "photo", "pixelart", "anmie", "realstic", "good text", "cheap photo"]
)
def test_a_style_in_place_of_a_name_brings_models_that_are_good_at_it(catalogue: Catalogue, typed: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        catalogue.get(typed)
    assert caught.value.phrase.code == "unknown_model_good_at"
    assert list(caught.value.close) == [model.key for model in catalogue.search(typed, 3)]


@each("typed", ["flux", "imagen", "ideogram", "fluks-schnell", "z-imag", "seedraem"])
def test_a_name_that_is_nearly_right_is_no_style(catalogue: Catalogue, typed: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        catalogue.get(typed)
    assert caught.value.phrase.code == "unknown_model_close"


@each("typed", ["", "🙂", "x" * 5000, "'; drop table", "\ud800"])
def test_nonsense_is_an_unknown_model(catalogue: Catalogue, typed: str) -> None:
    with pytest.raises(UnknownModel):
        catalogue.get(typed)


def test_without_an_openai_key_the_model_that_needs_it_is_known_but_not_offered() -> None:
    catalogue = load()
    assert "gpt-image-1" not in {model.key for model in catalogue.models}
    assert catalogue.known("fal-ai/gpt-image-1/text-to-image/byok") is not None
    with raises_saying(ModelUnavailable, match="OpenAI key"):
        catalogue.get("gpt-image-1")


def test_a_model_switched_off_is_known_but_not_offered() -> None:
    catalogue = load(disabled=["flux-schnell", "fal-ai/qwen-image"])
    assert not {"flux-schnell", "qwen-image"} & {model.key for model in catalogue.models}
    assert catalogue.known("fal-ai/qwen-image") is not None
    assert catalogue.known("fal-ai/nothing") is None
    with raises_saying(ModelUnavailable, match="switched off"):
        catalogue.get("FLUX.1 schnell")
    assert all(model.key != "flux-schnell" for model in catalogue.search("flux"))


@each(
    ("typed", "first"),
    [("", "flux-schnell"), ("ideo", "ideogram-v3"), ("HIDREAM", "hidream"), ("seedream/v4", "seedream-v4"),
     ("z image inpaint", "z-image-inpaint"), ("vector", "recraft-v2"), ("flx", "flux-schnell"),
     ("qwne-image", "qwen-image")],
)  # fmt: skip
def test_searching_puts_the_best_first(catalogue: Catalogue, typed: str, first: str) -> None:
    assert catalogue.search(typed)[0].key == first


@each(
    ("typed", "keys"),
    [
        ("z-image", ["z-image", "z-image-turbo", "z-image-inpaint"]),
        ("Z Image", ["z-image", "z-image-turbo", "z-image-inpaint"]),
        ("text", ["qwen-image", "ideogram-v3", "ideogram-v2", "gpt-image-1", "imagen4", "seedream-v3"]),
        ("lettering", ["qwen-image", "ideogram-v3", "ideogram-v2", "gpt-image-1", "imagen4", "seedream-v3"]),
        ("text in pictures", ["qwen-image", "ideogram-v3", "ideogram-v2", "gpt-image-1", "imagen4", "seedream-v3"]),
        ("vector", ["recraft-v2"]),
        ("svg", ["recraft-v2"]),
        ("cheap", ["flux-schnell", "z-image-turbo"]),
        ("photo", ["z-image-turbo", "z-image"]),
        ("photorealistic", ["z-image-turbo", "z-image"]),
        ("pho", ["z-image-turbo", "z-image"]),
        ("cheap photo", ["z-image-turbo", "imagen4-fast"]),
        ("anime", ["qwen-image", "ideogram-v2", "hidream", "sd35-large"]),
        ("inpaint", ["z-image-inpaint"]),
        ("transparent", ["gpt-image-1"]),
        ("lora", ["qwen-image", "hidream", "sd35-large"]),
        ("hidream-i1 fast", ["hidream-fast"]),
        ("4k", ["seedream-v4"]),
        ("realistic", ["z-image-turbo", "z-image"]),
        ("pixel art", ["recraft-v2"]),
        ("pixelart", ["recraft-v2"]),
        ("anime style", ["qwen-image", "ideogram-v2", "hidream", "sd35-large"]),
        ("in the style of a comic", ["qwen-image", "ideogram-v2", "hidream", "sd35-large"]),
        ("something for logos", ["ideogram-v3", "ideogram-v2", "recraft-v2", "gpt-image-1"]),
        ("fantasy", ["hidream", "hidream-fast", "sd35-large"]),
        ("drawings", ["recraft-v2"]),
        ("black and white photo", ["z-image-turbo", "z-image"]),
        # misspelled
        ("anmie", ["qwen-image", "ideogram-v2", "hidream", "sd35-large"]),
        ("Animé style", ["qwen-image", "ideogram-v2", "hidream", "sd35-large"]),
        ("realstic", ["z-image-turbo", "z-image"]),
        ("photorealistc portrits", ["z-image-turbo"]),
        ("foto", ["z-image-turbo", "z-image"]),
        ("typografy", ["qwen-image", "ideogram-v3", "ideogram-v2", "gpt-image-1"]),
        ("ilustration", ["recraft-v2"]),
        ("watercolr", ["hidream"]),
        ("pixle art", ["recraft-v2"]),
    ],
)
def test_names_come_first_and_then_what_a_model_is_good_at(catalogue: Catalogue, typed: str, keys: list[str]) -> None:
    assert [model.key for model in catalogue.search(typed)][: len(keys)] == keys


@each(
    ("typed", "key"),
    [
        ("model: flux-schnell", "flux-schnell"),
        ("--model=Imagen 4 Fast", "imagen4-fast"),
        ("Model:z-image", "z-image"),
        ("https://fal.ai/models/fal-ai/imagen4/preview/api", "imagen4"),
        ("https://www.fal.ai/models/fal-ai/imagen4/preview/playground?share=1#top", "imagen4"),
        ("https://fal.ai/models/fal-ai/imagen4/preview/", "imagen4"),
    ],
)
def test_a_model_copied_from_elsewhere_is_known(catalogue: Catalogue, typed: str, key: str) -> None:
    assert catalogue.get(typed).key == key


def test_every_model_is_found_by_its_names_first_and_by_each_of_its_tags(catalogue: Catalogue) -> None:
    for model in catalogue.models:
        for name in (model.key, model.title, model.title.upper()):
            assert catalogue.search(name)[0] is model
        assert model.tags
        for tag in model.tags:
            assert model in catalogue.search(tag)


def test_searching_is_bounded(catalogue: Catalogue) -> None:
    assert len(catalogue.search("")) == 18
    assert len(catalogue.search("", limit=3)) == 3
    assert catalogue.search("zzzzzz") == []


def test_the_successor_is_a_model_that_people_can_ask_for_here(catalogue: Catalogue) -> None:
    old = catalogue.get("seedream-v3").endpoint
    assert catalogue.successor(old) == catalogue.get("seedream-v4")
    assert catalogue.successor(catalogue.get("gpt-image-1").endpoint) is None  # not among our models
    assert catalogue.successor(catalogue.get("flux-schnell").endpoint) is None
    assert catalogue.successor("fal-ai/unheard-of") is None
    assert load(disabled=["seedream-v4"]).successor(old) is None
