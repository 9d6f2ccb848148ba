"""Raw input → order: names, what belongs together, prompts, and refusals that help."""

from __future__ import annotations

import pytest

from bot.catalogue import Catalogue, with_prompt, with_seed
from bot.errors import InvalidOption
from tests.catalogue import samples
from tests.catalogue.parsing import each, given, refused, request
from tests.english import english


def test_an_order_carries_what_was_given_and_the_documents_defaults(catalogue: Catalogue) -> None:
    placed = request(catalogue, "z-image", steps=20, options="output_format=webp")
    assert placed.endpoint == "fal-ai/z-image/base"
    assert placed.given == ("num_inference_steps", "output_format")
    assert placed.options == {
        "image_size": "landscape_4_3",
        "num_inference_steps": 20,
        "num_images": 1,
        "output_format": "webp",
        "acceleration": "regular",
        "guidance_scale": 4,
        "negative_prompt": "",
    }
    assert (placed.images, placed.size, placed.seed) == (1, (1024, 768), None)


@each(
    ("key", "raw", "sent"),
    [
        ("flux-schnell", {"steps": 3}, {"num_inference_steps": 3}),
        ("flux-schnell", {"num_inference_steps": 3}, {"num_inference_steps": 3}),
        ("flux-schnell", {"count": "2"}, {"num_images": 2}),
        ("omnigen-v2", {"guidance": 4}, {"text_guidance_scale": 4.0}),
        ("z-image", {"guidance": 4}, {"guidance_scale": 4.0}),
        ("omnigen-v2", {"image": "https://x.example/a"}, {"input_image_urls": ["https://x.example/a"]}),
        ("ideogram-v3", {"image": "https://x.example/a"}, {"image_urls": ["https://x.example/a"]}),
        ("imagen4", {"size": "1:1"}, {"aspect_ratio": "1:1"}),
        ("ideogram-v3", {"style": "golden hour"}, {"style_preset": "GOLDEN_HOUR"}),
        ("ideogram-v3", {"style": "Realistic"}, {"style": "REALISTIC"}),
        ("ideogram-v2", {"style": "render 3d"}, {"style": "render_3D"}),
        ("ideogram-v3", {"style": "jazzy", "options": "style=AUTO"}, {"style_preset": "JAZZY", "style": "AUTO"}),
        ("seedream-v4", {"options": "max_images=6"}, {"max_images": 6}),
        (
            "gpt-image-1",
            {"options": "quality=low background=transparent"},
            {"quality": "low", "background": "transparent"},
        ),
        ("recraft-v2", {"options": "style_id=4b1c-22"}, {"style_id": "4b1c-22"}),
    ],
)
def test_names_mean_the_models_own_parameter(
    catalogue: Catalogue, key: str, raw: dict[str, object], sent: dict[str, object]
) -> None:
    assert given(catalogue, key, **raw) == sent


def test_inpainting_maps_image_and_mask(catalogue: Catalogue) -> None:
    placed = request(catalogue, "z-image-inpaint", image="https://x.example/i", mask="https://x.example/m")
    assert placed.options["image_url"] == "https://x.example/i"
    assert placed.options["mask_image_url"] == "https://x.example/m"


def test_every_offered_option_can_be_reached_through_the_options_field(catalogue: Catalogue) -> None:
    reached = 0
    for model in catalogue.models:
        for option in model.offered:
            if option.name in {"prompt", "image_url", "mask_image_url"}:
                continue
            text = f"{option.name}={samples.typed(option)}"
            assert option.name in request(catalogue, model.key, options=text).given, (model.key, option.name)
            reached += 1
    assert reached > 120


@each(
    ("key", "raw", "has"),
    [
        ("flux-schnell", {"negative_prompt": "dull"}, "It has `size`, `steps`"),
        ("flux-schnell", {"style": "anime"}, "FLUX.1 schnell has no option `style`."),
        (
            "recraft-v2",
            {"seed": 5},
            "It chooses its own seed every time. It has `size`, `style`, `colors` and `style_id`.",
        ),
        ("ideogram-v2", {"count": 2}, "It paints one picture at a time."),
        ("recraft-v2", {"count": "4"}, "It paints one picture at a time."),
        ("sd35-large", {"image": "https://x.example/a"}, "Stable Diffusion 3.5 Large has no option `image`."),
        ("flux-schnell", {"mask": "https://x.example/a"}, "has no option `mask`"),
        ("gpt-image-1", {"steps": 5}, "`quality` and `background`"),
    ],
)
def test_a_name_the_model_lacks_is_refused_with_what_it_has(
    catalogue: Catalogue, key: str, raw: dict[str, object], has: str
) -> None:
    assert has in english(refused(catalogue, key, **raw))


@each("count", [1, "1", 1.0])
@each("key", ["ideogram-v2", "recraft-v2"])
def test_one_picture_is_fine_where_there_is_no_count(catalogue: Catalogue, key: str, count: object) -> None:
    placed = request(catalogue, key, count=count)
    assert placed.images == 1
    assert "num_images" not in placed.options


@each(("typed", "near"), [("accel", "acceleration"), ("num_inference_step", "num_inference_steps"), ("stepz", "steps")])
def test_an_unknown_key_is_refused_with_close_ones(catalogue: Catalogue, typed: str, near: str) -> None:
    refusal = refused(catalogue, "flux-schnell", options=f"{typed}=1")
    assert f"Did you mean `{near}`" in english(refusal)
    assert refusal.option == typed


@each("key", ["sync_mode", "enable_safety_checker", "openai_api_key", "Sync-Mode"])
@each("model", ["flux-schnell", "gpt-image-1", "imagen4", "recraft-v2"])
def test_what_the_operator_holds_is_refused_everywhere(catalogue: Catalogue, model: str, key: str) -> None:
    for raw in ({"options": f"{key}=true"}, {key: True}, {"options": f'{{"{key}": false}}'}):
        assert "set by whoever runs the bot" in english(refused(catalogue, model, **raw))


@each(
    "raw",
    [
        {"options": "steps=3 steps=4"},
        {"options": "steps=3 num_inference_steps=3"},
        {"steps": 3, "options": "steps=3"},
        {"steps": 3, "options": "num_inference_steps=3"},
        {"steps": 3, "num_inference_steps": 3},
        {"options": '{"steps": 3, "num-inference-steps": 4}'},
    ],
)
def test_an_option_given_twice_is_refused(catalogue: Catalogue, raw: dict[str, object]) -> None:
    assert "given twice" in english(refused(catalogue, "flux-schnell", **raw))


# ---------------------------------------------------------------------- what belongs together


def test_ideograms_style_codes_exclude_style_and_references(catalogue: Catalogue) -> None:
    together = "can't be used together on Ideogram V3"
    assert together in english(refused(catalogue, "ideogram-v3", style="AUTO", options="style_codes=A1B2C3D4"))
    picture = "https://x.example/a"
    assert together in english(refused(catalogue, "ideogram-v3", image=picture, options="style_codes=A1B2C3D4"))
    given(catalogue, "ideogram-v3", style="JAZZY", image=picture)


def test_ranges_must_not_fall(catalogue: Catalogue) -> None:
    refusal = refused(catalogue, "omnigen-v2", options="cfg_range_start=0.8 cfg_range_end=0.2")
    assert "`cfg_range_start` above `cfg_range_end` (0.8, 0.2)" in english(refusal)
    assert "(0.9, 0.8)" in english(refused(catalogue, "z-image-inpaint", options="control_start=0.9"))
    given(catalogue, "z-image-inpaint", options="control_start=0.5 control_end=0.5")


def test_one_order_yields_ten_pictures_at_most(catalogue: Catalogue) -> None:
    assert request(catalogue, "seedream-v4", count=2, options="max_images=5").images == 10
    assert "makes 12; at most 10 is allowed" in english(
        refused(catalogue, "seedream-v4", count=2, options="max_images=6")
    )


# ---------------------------------------------------------------------- prompts


@each(
    "prompt",
    ["🐼", "👩🏽‍🚀🏴󠁧󠁢󠁥󠁮󠁧󠁿", "لوحة لقطة نائمة تحت شجرة الزيتون", "שועל אדום ביער", "กระต่ายใต้แสงจันทร์", "नमस्ते दुनिया",
     "một con mèo", "**bold** cat", "line one\nline two\ttab", "猫", "7", "x" * 4000, "re\u0301sume\u0301", "$5"],
)  # fmt: skip
def test_prompts_that_say_something_pass_unchanged(catalogue: Catalogue, prompt: str) -> None:
    assert request(catalogue, "flux-schnell", prompt=f"  {prompt} ").prompt == prompt


@each(
    "prompt",
    ["", "   ", None, "***", "```\n```", "~~ __ ~~", "<@123456789012345678>", "<@!1> <@&22> <#333>", "@everyone @here",
     "</imagine:123>", "<t:1700000000:R>", "\u200b\u200d\u2060", "\u202e\u2066", "\u0301\u0336\u0489", "> - # |", "???",
     "\u3164\u115f", "\u2800\u2800", "https://x.example/a.png", "**<@1>**", "\ufe0f", "…"],
)  # fmt: skip
def test_prompts_with_nothing_to_paint_are_refused(catalogue: Catalogue, prompt: object) -> None:
    refusal = refused(catalogue, "flux-schnell", prompt=prompt)
    assert refusal.option == "prompt"
    assert "nothing to paint" in english(refusal) or "is empty" in english(refusal)


def test_zalgo_is_refused_and_accents_are_not(catalogue: Catalogue) -> None:
    zalgo = "".join(letter + "\u0336\u0321\u0349\u0301\u0302\u0308" for letter in "a cat")
    assert "too many accents" in english(refused(catalogue, "flux-schnell", prompt=zalgo))


def test_a_long_prompt_is_refused_with_its_length_and_the_limit(catalogue: Catalogue) -> None:
    assert "`prompt` has 6,000 characters; at most 4,000 are allowed." in english(
        refused(catalogue, "flux-schnell", prompt="x" * 6000)
    )
    assert "at most 2,000 are allowed" in english(refused(catalogue, "z-image", negative_prompt="x" * 2001))
    assert given(catalogue, "z-image", negative_prompt="x" * 2000)


@each("prompt", ["a\x00cat", "a\x1b[31mcat", "a\ud800cat", 5, ["a cat"], b"cat"])
def test_prompts_that_are_no_plain_text_are_refused(catalogue: Catalogue, prompt: object) -> None:
    english(refused(catalogue, "flux-schnell", prompt=prompt)).encode()


def test_the_prompt_does_not_go_into_the_options_field(catalogue: Catalogue) -> None:
    assert "field of its own" in english(refused(catalogue, "flux-schnell", options="prompt=cat"))


def test_every_refusal_says_that_nothing_was_spent(catalogue: Catalogue) -> None:
    for raw in (
        {"prompt": ""},
        {"steps": 99},
        {"options": "x"},
        {"mask": "https://x.example"},
        {"options": "sync_mode=1"},
    ):
        assert "No quota was used." in english(refused(catalogue, "flux-schnell", **raw))


def test_what_was_given_is_shown_short_and_harmless(catalogue: Catalogue) -> None:
    refusal = refused(catalogue, "flux-schnell", steps="`\u202e\n" + "x" * 500 + "`")
    assert len(refusal.given) <= 60
    assert not {"`", "\u202e", "\n"} & set(refusal.given)


# ---------------------------------------------------------------------- changing an order


def test_a_new_seed_leaves_the_rest_alone(catalogue: Catalogue) -> None:
    model, placed = catalogue.get("flux-schnell"), request(catalogue, "flux-schnell", seed=5, steps=3)
    again = with_seed(model, placed, 77)
    assert (again.seed, again.given) == (77, ("num_inference_steps",))
    assert with_seed(model, placed, None).seed is None
    assert {**again.options, "seed": 5} == placed.options
    for seed in (-1, 2**32):
        with pytest.raises(InvalidOption):
            with_seed(model, placed, seed)
    assert with_seed(model, placed, 2**32 - 1).seed == 2**32 - 1


def test_a_model_without_seed_ignores_a_new_one(catalogue: Catalogue) -> None:
    placed = request(catalogue, "recraft-v2")
    assert with_seed(catalogue.get("recraft-v2"), placed, 5) == placed


def test_a_new_prompt_is_checked_again(catalogue: Catalogue) -> None:
    model, placed = catalogue.get("flux-schnell"), request(catalogue, "flux-schnell", seed=5)
    assert with_prompt(model, placed, " a blue panda ").prompt == "a blue panda"
    assert with_prompt(model, placed, "a blue panda").options == placed.options
    for prompt in ("", "x" * 4001, "<@1>"):
        with pytest.raises(InvalidOption):
            with_prompt(model, placed, prompt)


def test_orders_do_not_share_their_values_with_the_model(catalogue: Catalogue) -> None:
    size = request(catalogue, "hidream").options["image_size"]
    assert isinstance(size, dict)
    size["width"] = 1
    assert request(catalogue, "hidream").size == (1024, 1024)
