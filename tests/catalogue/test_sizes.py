"""Sizes in every model's own way."""

from __future__ import annotations

import time

import pytest

from bot.catalogue import Catalogue, size_choices
from tests.catalogue.parsing import each, given, refused, request
from tests.english import english

_PRESET_MODELS = [
    "flux-schnell",
    "z-image",
    "hidream",
    "sd35-large",
    "omnigen-v2",
    "recraft-v2",
    "qwen-image",
    "f-lite",
]
BAD_SIZES = [
    "0x0", "99999x99999", "-512x512", "1024x-1", "1024x", "x1024", "1024", "🖼️", "huge", "1024x768x3", "1e3x1e3",
    "10.5x20", "0:0", "16:0", ":9", "16:", "NaN", "١٠٢٤x١٠٢٤", "1024xx768", "1" * 500,
    "1" + " " * 6000 + "x", "1:99999", "99999:1", "[]",
]  # fmt: skip


@each("key", _PRESET_MODELS)
@each(
    ("typed", "sent"),
    [
        ("square_hd", "square_hd"),
        ("Square HD", "square_hd"),
        ("PORTRAIT_16_9", "portrait_16_9"),
        ("landscape 16:9", "landscape_16_9"),
        ("16:9", "landscape_16_9"),
        ("9:16", "portrait_16_9"),
        ("4:3", "landscape_4_3"),
        ("3 : 4", "portrait_4_3"),
        ("3/4", "portrait_4_3"),
        ("1920:1080", "landscape_16_9"),
        ("1:1", "square_hd"),
        ("square", "square"),
        ("portrait", "portrait_4_3"),
        ("landscape", "landscape_4_3"),
        ("Wide", "landscape_16_9"),
        ("tall", "portrait_16_9"),
        ("widescreen", "landscape_16_9"),
        ("16:9 landscape", "landscape_16_9"),
        ("4/3, Landscape", "landscape_4_3"),
        ("1:1 (square)", "square_hd"),
        ("1024x768 landscape", {"width": 1024, "height": 768}),
        ("1024x768", {"width": 1024, "height": 768}),
        ("1024×768", {"width": 1024, "height": 768}),
        (" 1024 X 768 ", {"width": 1024, "height": 768}),
        ("1024px x 768px", {"width": 1024, "height": 768}),
        ("3:2", {"width": 1248, "height": 832}),
        ("21:9", {"width": 1568, "height": 672}),
        ({"width": 512, "height": 640}, {"width": 512, "height": 640}),
    ],
)
def test_a_model_of_presets_takes_presets_shapes_words_and_pixels(
    catalogue: Catalogue, key: str, typed: object, sent: object
) -> None:
    assert given(catalogue, key, size=typed) == {"image_size": sent}


@each("model", range(18))
@each("typed", BAD_SIZES)
def test_a_size_that_is_none_is_refused_with_what_is_allowed(catalogue: Catalogue, model: int, typed: str) -> None:
    key = catalogue.models[model].key
    refusal = refused(catalogue, key, size=typed)
    assert refusal.option == "size"
    assert english(refusal).startswith("`size` can't be `")
    choices = catalogue.get(key).option(catalogue.get(key).size_option or "")
    assert choices
    assert all(f"`{choice}`" in english(refusal) for choice in choices.choices)


@each("key", ["imagen4", "imagen4-fast"])
@each(
    ("typed", "sent"),
    [
        ("16:9", "16:9"), ("1920x1080", "16:9"), ("1344x768", "16:9"), ("1024x1024", "1:1"), ("768 x 1024", "3:4"),
        ("square", "1:1"), ("portrait", "3:4"), ("landscape", "4:3"), ("wide", "16:9"), ("tall", "9:16"),
        ("8:6", "4:3"),
    ],
)  # fmt: skip
def test_a_model_of_ratios_takes_the_nearest_listed_one(catalogue: Catalogue, key: str, typed: str, sent: str) -> None:
    assert given(catalogue, key, size=typed) == {"aspect_ratio": sent}


@each("typed", ["21:9", "2:1", "1000x400", "auto", "square_hd"])
def test_a_shape_that_is_near_no_listed_ratio_is_refused(catalogue: Catalogue, typed: str) -> None:
    assert "`1:1`, `16:9`, `9:16`, `3:4` or `4:3`" in english(refused(catalogue, "imagen4", size=typed))


def test_hostile_size_text_is_refused_quickly(catalogue: Catalogue) -> None:
    start = time.process_time()
    refused(catalogue, "flux-schnell", size="1" + " " * 6000 + "x")
    assert time.process_time() - start < 0.05


def test_ideogram_v2_has_eleven_ratios_of_its_own(catalogue: Catalogue) -> None:
    for typed in ("10:16", "16:10", "1:3", "3:1", "3:2", "2:3"):
        assert given(catalogue, "ideogram-v2", size=typed) == {"aspect_ratio": typed}
    assert given(catalogue, "ideogram-v2", size="1600x1000") == {"aspect_ratio": "16:10"}


@each(
    ("typed", "sent"),
    [
        ("1024x1024", "1024x1024"), ("1536×1024", "1536x1024"), ("1:1", "1024x1024"), ("3:2", "1536x1024"),
        ("2:3", "1024x1536"), ("square", "1024x1024"), ("wide", "1536x1024"), ("tall", "1024x1536"),
        ("portrait", "1024x1536"), ("auto", "auto"), ("Auto", "auto"),
    ],
)  # fmt: skip
def test_openais_three_sizes(catalogue: Catalogue, typed: str, sent: str) -> None:
    assert given(catalogue, "gpt-image-1", size=typed) == {"image_size": sent}


@each("typed", ["2048x2048", "1024x768", "16:9", "4:3", "512x512"])
def test_pixels_are_not_rounded_to_another_size(catalogue: Catalogue, typed: str) -> None:
    assert "`1024x1024`, `1536x1024` or `1024x1536`" in english(refused(catalogue, "gpt-image-1", size=typed))


@each(
    ("key", "fine", "not_fine"),
    [
        ("seedream-v3", ["512x512", "2048x2048", "512x2048"], ["511x512", "2049x512", "auto"]),
        ("seedream-v4", ["1024x1024", "4096x4096", "1024x4096"], ["1023x1024", "4097x1024", "960x960"]),
        ("z-image-turbo", ["2048x2048", "4096x1024", "256x256"], ["2049x2048", "4096x1025", "255x256"]),
        ("flux-schnell", ["256x2048"], ["255x2048", "2049x256"]),
    ],
)
def test_the_bounds_of_each_model(catalogue: Catalogue, key: str, fine: list[str], not_fine: list[str]) -> None:
    for typed in fine:
        width, height = map(int, typed.split("x"))
        assert given(catalogue, key, size=typed) == {"image_size": {"width": width, "height": height}}
    for typed in not_fine:
        refused(catalogue, key, size=typed)


@each(("typed", "sent"), [("auto", "auto"), ("auto_2k", "auto_2K"), ("Auto 4K", "auto_4K")])
def test_seedream_4_decides_itself_when_asked(catalogue: Catalogue, typed: str, sent: str) -> None:
    placed = request(catalogue, "seedream-v4", size=typed)
    assert placed.options["image_size"] == sent
    assert placed.size is None


def test_a_shape_on_a_model_of_large_pictures_is_computed_within_its_bounds(catalogue: Catalogue) -> None:
    assert given(catalogue, "seedream-v4", size="16:9") == {"image_size": {"width": 1824, "height": 1024}}
    assert given(catalogue, "seedream-v4", size="1:1") == {"image_size": "square_hd"}
    assert given(catalogue, "seedream-v4", size="1:4") == {"image_size": {"width": 1024, "height": 4096}}
    refused(catalogue, "seedream-v4", size="1:5")


def test_a_preset_outside_a_models_own_bounds_promises_no_pixels(catalogue: Catalogue) -> None:
    assert request(catalogue, "seedream-v4", size="square").size is None
    assert request(catalogue, "seedream-v3", size="square").size == (512, 512)


@each("ratio", [(16, 9), (3, 2), (5, 4), (21, 9), (2, 1), (7, 5), (1, 3), (4, 1)])
@each("key", ["flux-schnell", "seedream-v3", "seedream-v4", "z-image-turbo", "ideogram-v3"])
def test_a_computed_size_has_the_shape_and_even_sides(catalogue: Catalogue, key: str, ratio: tuple[int, int]) -> None:
    size = request(catalogue, key, size=f"{ratio[0]}:{ratio[1]}").size
    assert size is not None
    assert size[0] / size[1] == pytest.approx(ratio[0] / ratio[1], rel=0.03)
    assert size[0] % 16 == size[1] % 16 == 0


def test_inpainting_keeps_the_size_of_the_picture_unless_told(catalogue: Catalogue) -> None:
    assert request(catalogue, "z-image-inpaint").options["image_size"] == "auto"
    assert request(catalogue, "z-image-inpaint").size is None
    assert request(catalogue, "z-image-inpaint", size="640x480").size == (640, 480)


def test_the_default_sizes_are_those_of_the_documents(catalogue: Catalogue) -> None:
    assert request(catalogue, "hidream").options["image_size"] == {"width": 1024, "height": 1024}
    assert request(catalogue, "flux-schnell").size == (1024, 768)
    assert "image_size" not in request(catalogue, "seedream-v3").options


def test_a_control_picture_switches_the_default_size_off(catalogue: Catalogue) -> None:
    assert request(catalogue, "sd35-large").options["image_size"] == "landscape_4_3"
    control = {"path": "owner/name", "control_image_url": "https://pictures.example/c.png"}
    assert "image_size" not in request(catalogue, "sd35-large", controlnet=control).options
    assert request(catalogue, "sd35-large", controlnet=control, size="1:1").options["image_size"] == "square_hd"


def test_size_choices_are_for_people_and_lead_to_the_value(catalogue: Catalogue) -> None:
    assert ("Landscape 16:9 · 1024 × 576 · $0.003", "landscape_16_9") in size_choices(catalogue.get("flux-schnell"))
    assert ("1:1 · square", "1:1") in size_choices(catalogue.get("imagen4"))
    assert size_choices(catalogue.get("flux-schnell"), "1280x720")[0] == ("1280 × 720", "1280x720")
    assert size_choices(catalogue.get("flux-schnell"), "wide")[0][1] == "landscape_16_9"
    assert size_choices(catalogue.get("flux-schnell"), "no such size") == []


@each("model", range(18))
def test_every_size_choice_is_taken_by_its_model(catalogue: Catalogue, model: int) -> None:
    offered = catalogue.models[model]
    choices = [choice for typed in ("", "1:1", "16:9", "3:2", "1024x1024") for choice in size_choices(offered, typed)]
    assert choices
    for label, value in choices:
        assert 0 < len(label) <= 100
        request(catalogue, offered.key, size=value)


@each("key", _PRESET_MODELS)
def test_the_usual_square_comes_before_the_small_one(catalogue: Catalogue, key: str) -> None:
    offered = [value for _, value in size_choices(catalogue.get(key), "square")]
    assert offered[:2] == ["square_hd", "square"]
    assert next(value for _, value in reversed(size_choices(catalogue.get(key)))) in {"square", "auto"}


@each(
    ("typed", "first"),
    [("squ", "square_hd"), ("small", "square"), ("portrait", "portrait_4_3"), ("16:9", "landscape_16_9"),
     ("9:16", "portrait_16_9"), ("wide", "landscape_16_9"), ("640x480", "640x480")],
)  # fmt: skip
def test_the_best_size_comes_first(catalogue: Catalogue, typed: str, first: str) -> None:
    assert size_choices(catalogue.get("flux-schnell"), typed)[0][1] == first


@each("typed", ["16 : 9", "16∶9", "16：9", "16x9", "16/9", "Landscape 16:9", "landscape, 16:9", "１６:９"])
def test_a_ratio_in_other_signs(catalogue: Catalogue, typed: str) -> None:
    assert given(catalogue, "flux-schnell", size=typed) == {"image_size": "landscape_16_9"}
    assert given(catalogue, "imagen4", size=typed) == {"aspect_ratio": "16:9"}


@each("typed", ["1024×768", "1024 ✕ 768", "1024\u202f×\u202f768", "1024 by 768", "1024*768", "1024X768 px", "1024х768"])
def test_pixels_in_other_signs(catalogue: Catalogue, typed: str) -> None:
    assert given(catalogue, "flux-schnell", size=typed) == {"image_size": {"width": 1024, "height": 768}}
