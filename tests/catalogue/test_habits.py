"""Flags and settings that other programs have people write into the prompt, and sentences that only look like them."""

from __future__ import annotations

import time

import pytest
from hypothesis import example
from hypothesis import given as examples
from hypothesis import strategies as st

from bot.catalogue import Catalogue, Model, load, parse, with_prompt
from bot.catalogue.habits import read
from bot.errors import InvalidOption
from cogs.ui.messages import say
from tests.catalogue.facts import QUICK
from tests.catalogue.parsing import each, refused, request
from tests.english import LOCALE

CATALOGUE = load(has_openai_key=True)


def notices(catalogue: Catalogue, key: str, **raw: object) -> str:
    return "\n".join(say(LOCALE, notice) for notice in request(catalogue, key, **raw).notices)


# ---------------------------------------------------------------------- what is read


@each(
    ("typed", "painted", "wanted"),
    [
        ("a cat --ar 16:9 --no dogs --seed 5 --n 2", "a cat",
         {"size": "16:9", "negative_prompt": "dogs", "seed": "5", "count": "2"}),
        ("a cat —ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat –ar 16:9 —no dogs, people", "a cat", {"size": "16:9", "negative_prompt": "dogs, people"}),
        ("a cat --aspect 4:3", "a cat", {"size": "4:3"}),
        ("a cat --AR 4:3", "a cat", {"size": "4:3"}),
        ("a cat --ar=3/2", "a cat", {"size": "3/2"}),
        ("a cat --ar3:2", "a cat", {"size": "3:2"}),
        ("a cat --aspect-ratio portrait", "a cat", {"size": "portrait"}),
        ("a cat --size 1024x768", "a cat", {"size": "1024x768"}),
        ("a cat --w 1024 --h 768", "a cat", {"size": "1024x768"}),
        ("--ar 16:9 a cat", "a cat", {"size": "16:9"}),
        ("a cat --ar 16:9, sunny --no dogs", "a cat, sunny", {"size": "16:9", "negative_prompt": "dogs"}),
        ("a cat\n--ar 16:9\n--neg dogs", "a cat", {"size": "16:9", "negative_prompt": "dogs"}),
        ("a cat --steps 20 --cfg 7.5", "a cat", {"steps": "20", "guidance": "7.5"}),
        ("a cat --seed random", "a cat", {"seed": "random"}),
        ("a cat Negative prompt: dogs, blurry Steps: 20, CFG scale: 7, Seed: 1", "a cat",
         {"negative_prompt": "dogs, blurry", "steps": "20", "guidance": "7", "seed": "1"}),
        ("a (cat:1.2), ((sun))\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 1, "
         "Size: 512x768, Model hash: 0a1b, Model: dream", "a (cat:1.2), ((sun))",
         {"negative_prompt": "bad", "steps": "20", "guidance": "7.5", "seed": "1", "size": "512x768"}),
        ("a cat\nSteps: 20, CFG scale: 7", "a cat", {"steps": "20", "guidance": "7"}),
        ("a cat negative prompt: dogs", "a cat", {"negative_prompt": "dogs"}),
        ("a cat ---ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat ——ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat −−ar 16:9 ――no dogs", "a cat", {"size": "16:9", "negative_prompt": "dogs"}),
        ("a cat ‒seed 5, sunny", "a cat, sunny", {"seed": "5"}),
        ("a cat －－ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat --exclude trees", "a cat", {"negative_prompt": "trees"}),
        # less than two hyphens: at the end only
        ("a cat neg: dog", "a cat", {"negative_prompt": "dog"}),
        ("a cat, neg=dogs, people.", "a cat", {"negative_prompt": "dogs, people"}),
        ("a cat, negative: blurry", "a cat", {"negative_prompt": "blurry"}),
        ("a cat negative: blurry, low quality", "a cat", {"negative_prompt": "blurry, low quality"}),
        ("a cat\nNEGATIVE PROMPTS: blurry", "a cat", {"negative_prompt": "blurry"}),
        ("a cat -ar 3:2", "a cat", {"size": "3:2"}),
        ("a cat -ar:9:16", "a cat", {"size": "9:16"}),
        ("a cat -AR portrait", "a cat", {"size": "portrait"}),
        ("a cat —ar 3:2", "a cat", {"size": "3:2"}),
        ("a cat -no dogs -ar 3:2 -n 4", "a cat", {"negative_prompt": "dogs", "size": "3:2", "count": "4"}),
        ("a cat -ar 3:2 -no dogs, people", "a cat", {"negative_prompt": "dogs, people", "size": "3:2"}),
        ("a cat seed:-1", "a cat", {"seed": "-1"}),
        ("a cat. seed = 42", "a cat.", {"seed": "42"}),
        ("a cat, seed 42", "a cat", {"seed": "42"}),
        ("a cat ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat, aspect ratio 16:9", "a cat", {"size": "16:9"}),
        ("a cat | aspect ratio: 4/5.", "a cat", {"size": "4/5"}),
        ("a cat | seed 5 | ar 1:1", "a cat", {"seed": "5", "size": "1:1"}),
        ("a cat / ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat, size: 1024x768", "a cat", {"size": "1024x768"}),
        ("a cat, steps: 30, cfg 7", "a cat", {"steps": "30", "guidance": "7"}),
        ("a cat cfg scale 7.5 steps: 30", "a cat", {"steps": "30", "guidance": "7.5"}),
        ("a cat [no text]", "a cat", {"negative_prompt": "text"}),
        ("a cat, [no text], [no dogs, people]", "a cat", {"negative_prompt": "dogs, people"}),
        ("a cat neg: dog --ar 16:9", "a cat", {"negative_prompt": "dog", "size": "16:9"}),
    ],
)  # fmt: skip
def test_what_is_meant_is_read(typed: str, painted: str, wanted: dict[str, str]) -> None:
    reading = read(typed)
    assert reading.prompt == painted
    assert {wish.key: wish.value for wish in reading.wishes if wish.key} == wanted


@each(
    ("typed", "painted", "flags"),
    [
        ("a cat --v 6 --stylize 250 --chaos 20", "a cat", ["--v 6", "--stylize 250", "--chaos 20"]),
        ("a cat —v 6", "a cat", ["—v 6"]),
        ("a cat --tile --q 2", "a cat", ["--tile", "--q 2"]),
        ("a --v 6 cat", "a cat", ["--v 6"]),
        ("a cat --sref https://x.example/a.png --iw 2", "a cat", ["--sref https://x.example/a.png", "--iw 2"]),
        ("a cat --banana", "a cat", ["--banana"]),
        ("a cat --sampler euler --ar 1:1", "a cat", ["--sampler euler"]),
        ("a cat <lora:cute:0.8>, sunny", "a cat, sunny", ["<lora:cute:0.8>"]),
        ("<lyco:x> a cat", "a cat", ["<lyco:x>"]),
    ],
)
def test_what_means_nothing_here_is_pointed_at_and_not_painted(typed: str, painted: str, flags: list[str]) -> None:
    reading = read(typed)
    assert reading.prompt == painted
    assert [wish.written for wish in reading.wishes if wish.key in (None, "lora")] == flags


@each(
    "typed",
    [
        "a 16:9 film still – night",
        "state-of-the-art --- art",
        "a man –no coat– in snow",
        "He said: —no sé qué hacer, amigo.",
        "An orchestra -- no conductor",
        "a cat--no dogs",
        "war --no-- peace",
        "film noir – 1:1 – portrait, 3–5 people, –5 degrees",
        'a sign that says "--no dogs"',
        "a sign that says “--ar 16:9”",
        "the flag `--seed 5` on a screen",
        "a --raw denim jacket",
        "Steps: 3 stairs, Size: huge, a house",
        "Seed: the story of a plant, Steps: growth",
        "(word:1.2) and [word] and {word}, hot::2 dog",
        "ratio 16:9, 8k -- masterpiece",
        "a < b and c > d, <3",
        "The negative, prompt: a photo",
        "  a   cat  ",
        "— no dogs",
        "Chapter One — No Way Home",
        "a clock that says 16:9",
        "a man ——no coat—— in snow",
        "−5 degrees, a frozen lake",
        "a cat ―No Way Home",
        "steps to heaven",
        "a seed: close-up",
        "photo - 3:2 crop - of a dog",
        "a cat -ar 16:9 in the snow",
        "a man -no-nonsense type- in a suit",
        "a yes-no question",
        "a canvas, size 10x12",
        "a dress in size 10",
        "size: huge",
        "Luke 4:5",
        "a scale 1:10 model",
        "negative space: a lone tree",
        "a jersey with number 7",
        "a dance, step by step, two steps",
        "the guidance of a star",
        "ar 16:9",
        "a screen with `seed: 5`",
        'a card that says "neg: dog"',
        "[no text] a cat",
        "a cat [no] text",
        "steps: 900",
        "a cat, cfg 700",
        "image 3 of a series, count 4",
    ],
)
def test_ordinary_prompts_stay_as_they_are(typed: str) -> None:
    assert read(typed).prompt == typed
    assert read(typed).wishes == ()


@each(
    ("typed", "option"),
    [
        ("a photo negative: a ghost", "negative_prompt"),
        ("the test was negative: he was relieved. Rain", "negative_prompt"),
        ("a stage, negative: a man who walks in the rain alone", "negative_prompt"),
        ("a sign that says [no parking]", "negative_prompt"),
        ("a shirt that reads ar 16:9", "size"),
        ("the golden ratio 16:9", "size"),
        ("a poster about the aspect ratio: 16:9", "size"),
        ("a stone path of steps 30", "steps"),
        ("a packet, on it a seed: 5", "seed"),
    ],
)
def test_what_may_be_part_of_the_picture_stays_and_is_pointed_at(catalogue: Catalogue, typed: str, option: str) -> None:
    reading = read(typed)
    assert (reading.prompt, reading.wishes) == (typed, ())
    placed = request(catalogue, "z-image", prompt=typed)
    assert placed.prompt == typed
    assert placed.given == ()
    said = notices(catalogue, "z-image", prompt=typed)
    assert f"is painted as words. If you meant the option, use its own field, `{option}`." in said


def test_an_option_that_the_model_does_not_have_is_not_pointed_at(catalogue: Catalogue) -> None:
    assert notices(catalogue, "flux-schnell", prompt="a photo negative: a ghost") == ""


PIECES = st.sampled_from(
    ["a cat", "--ar 16:9", "—ar 4:3", "--no dogs", "–no dogs", "--seed", "5", "--", "—", "–", "--v 6", "--foo", ",",
     "\n", '"', "<lora:a:1>", "<lora:", ">", "Negative prompt:", "Steps: 20,", "CFG scale: 7,", "Seed: 1", "--w 64",
     "--h 64", "no", "--style raw", "random", "--no", "-ar 3:2", "neg: dog", "seed: 7", "cfg 7", "[no text]",
     "steps 30", "-no dogs", "a", "ar", "16:9", "negative:"]
)  # fmt: skip


@QUICK
@examples(st.lists(PIECES, max_size=10).map(" ".join) | st.text(max_size=60))
@example("Negative prompt: --no dogs Negative prompt: x")
def test_what_is_left_is_read_no_further(typed: str) -> None:
    """So Again, Edit and a pasted line give the same picture."""
    left = read(typed)
    again = read(left.prompt)
    assert (again.prompt, again.wishes) == (left.prompt, ())
    assert len(left.prompt) <= len(typed)


@each("typed", ["--a" * 2000, "1" * 6000 + "(", "--v " + "1" * 5990 + "(", "<lora:" * 1000, '"' * 6000,
                "Steps: 1, " * 600, "“" * 6000, "<lora:" * 500 + ">" * 500, "\\" * 6000, "a" * 6000,
                "negative prompt: " * 300, "--no " * 1200, "—" * 6000, "-no a" * 1200, " cfg 7" * 1000, "[no " * 1500,
                "[no a]" * 1000, "neg: " * 1200, "seed " * 1200, " -no a" * 1000, "steps: 1 " * 600])  # fmt: skip
def test_reading_takes_no_time_whatever_is_typed(typed: str) -> None:
    began = time.perf_counter()
    read(typed)
    assert time.perf_counter() - began < 0.5


# ---------------------------------------------------------------------- what becomes of it


def test_flags_become_options_and_the_card_says_so(catalogue: Catalogue) -> None:
    placed = parse(catalogue.get("z-image"), {"prompt": "a cat --ar 16:9 --no dogs --seed 5 --n 2"})
    assert placed.prompt == "a cat"
    assert {name: placed.options[name] for name in placed.given} == {
        "image_size": "landscape_16_9",
        "negative_prompt": "dogs",
        "seed": 5,
        "num_images": 2,
    }
    assert placed.images == 2
    said = notices(catalogue, "z-image", prompt="a cat --ar 16:9 --seed 5")
    assert said == "From your prompt I read `--ar 16:9` as `size`, `--seed 5` as `seed`."


def test_settings_at_the_end_become_options_and_the_card_says_so(catalogue: Catalogue) -> None:
    placed = parse(catalogue.get("z-image"), {"prompt": "a cat, steps: 30, cfg 7, seed:-1 -ar 3:2 [no text]"})
    assert placed.prompt == "a cat"
    assert (placed.options["num_inference_steps"], placed.options["guidance_scale"]) == (30, 7.0)
    assert placed.options["negative_prompt"] == "text"
    assert placed.size is not None
    assert round(placed.size[0] / placed.size[1], 1) == 1.5
    assert "seed" not in placed.given
    said = say(LOCALE, placed.notices[0])
    assert said.startswith("From your prompt I read `steps: 30` as `steps`, `cfg 7` as `guidance`")
    assert "as a random `seed`" in said
    too_many = notices(catalogue, "flux-schnell", prompt="a cat, steps: 30")
    assert too_many == "`steps: 30` was not used: `steps` takes a whole number from 1 to 12 here."


LINKS = [
    "https://example.com/cat.png",
    "<https://example.com/pictures/cat.JPG?width=300&height=2>",
    "https://cdn.discordapp.com/attachments/1/2/a?ex=1&is=2",
    "media.discordapp.net/attachments/1/2/cat.webp",
    "HTTP://example.com/a/b.jpeg#top",
]


@each("link", LINKS)
@each("around", ["{} a cat like this", "a cat like {}", "a cat ({}), sunny"])
def test_a_link_in_the_prompt_is_painted_on_with_a_word_about_the_picture(
    catalogue: Catalogue, link: str, around: str
) -> None:
    prompt = around.format(link)
    placed = request(catalogue, "omnigen-v2", prompt=prompt)
    assert placed.prompt == prompt
    told = notices(catalogue, "omnigen-v2", prompt=prompt)
    assert told == "I don't open links in the prompt. To use a picture, attach it as `image`."
    told = notices(catalogue, "flux-schnell", prompt=prompt)
    assert told.startswith("I don't open links in the prompt, and FLUX.1 schnell can't start from a picture.")
    edited = with_prompt(catalogue.get("omnigen-v2"), placed, f"{prompt} again")
    assert [one.code for one in edited.notices] == ["notice_prompt_link_picture"]


def test_a_link_to_a_page_is_told_too_and_a_word_with_a_dot_is_none(catalogue: Catalogue) -> None:
    told = notices(catalogue, "flux-schnell", prompt="a cat as on https://example.com/cats")
    assert told == "I don't open links in the prompt: describe in words what you want to see."
    for prompt in ("a cat.png icon", "a site called example.com", "http and https", "a cat, e.g.www", "24/7.png"):
        assert notices(catalogue, "flux-schnell", prompt=prompt) == ""


def test_what_a_model_does_not_have_is_left_out_with_a_notice(catalogue: Catalogue) -> None:
    said = notices(catalogue, "flux-schnell", prompt="a cat --no dogs")
    assert said == "`--no dogs` was not used: FLUX.1 schnell has no `negative_prompt`."
    assert "dogs" not in str(request(catalogue, "flux-schnell", prompt="a cat --no dogs").options)
    assert "Left out, because it means nothing here: `--v 6` and `--tile`." in notices(
        catalogue, "flux-schnell", prompt="a cat --v 6 --tile"
    )
    assert "`<lora:cute:0.8>` was left out. Give LoRAs" in notices(catalogue, "hidream", prompt="a <lora:cute:0.8> cat")
    assert notices(catalogue, "recraft-v2", prompt="a cat --n 1") == ""


def test_a_field_wins_over_a_flag(catalogue: Catalogue) -> None:
    for raw in ({"size": "square"}, {"options": "image_size=square"}):
        placed = request(catalogue, "flux-schnell", prompt="a cat --ar 16:9", **raw)
        assert placed.options["image_size"] == "square"
        assert "because you gave `size` in its own field" in say(LOCALE, placed.notices[0])


def test_a_flag_with_a_value_that_the_model_refuses_is_refused_like_its_field(catalogue: Catalogue) -> None:
    assert refused(catalogue, "flux-schnell", prompt="a cat --n 99").option == "count"
    assert refused(catalogue, "imagen4", prompt="a cat --ar 5:1").option == "size"


def test_settings_pasted_from_elsewhere_are_left_out_where_they_do_not_fit(catalogue: Catalogue) -> None:
    prompt = "a cat\nNegative prompt: dogs\nSteps: 20, CFG scale: 7, Seed: 1"
    placed = request(catalogue, "flux-schnell", prompt=prompt)
    assert (placed.prompt, placed.options["seed"], placed.options["guidance_scale"]) == ("a cat", 1, 7.0)
    assert placed.options["num_inference_steps"] == 4
    assert "`Steps: 20` was not used: `steps` takes a whole number from 1 to 12 here." in notices(
        catalogue, "flux-schnell", prompt=prompt
    )


@each("typed", [-1, "-1", "random", "RANDOM", " rand "])
def test_a_random_seed_is_no_seed(catalogue: Catalogue, typed: object) -> None:
    for raw in ({"seed": typed}, {"options": f"seed={typed}"}, {"prompt": f"a cat --seed {typed}"}):
        placed = request(catalogue, "flux-schnell", **raw)
        assert "seed" not in placed.options
        assert "random" in say(LOCALE, placed.notices[0])
        assert request(catalogue, "recraft-v2", **raw).options  # it has no seed


def test_a_seed_that_is_out_of_range_is_still_refused(catalogue: Catalogue) -> None:
    for seed in (-2, "-17", "x"):
        with pytest.raises(InvalidOption):
            request(catalogue, "flux-schnell", seed=seed)


def test_a_prompt_that_is_edited_is_read_too_and_keeps_the_rest(catalogue: Catalogue) -> None:
    model = catalogue.get("z-image")
    before = parse(model, {"prompt": "a cat --seed 3", "steps": 12, "negative_prompt": "dogs"})
    after = with_prompt(model, before, "a fox --ar 16:9 --no hens --n 3")
    assert after.prompt == "a fox"
    assert (after.images, after.size) == (3, (1024, 576))
    assert after.options["negative_prompt"] == "hens"
    assert (after.options["seed"], after.options["num_inference_steps"]) == (3, 12)
    assert after.cost_usd == parse(model, {"prompt": "x", "size": "16:9", "count": 3}).cost_usd
    assert with_prompt(model, after, after.prompt).notices == ()


@QUICK
@examples(st.sampled_from(CATALOGUE.models), st.lists(PIECES, max_size=8).map(" ".join))
def test_parsing_what_was_understood_again_changes_nothing(model: Model, typed: str) -> None:
    needs = (
        {"image": "https://x.example/a.png", "mask": "https://x.example/m.png"} if model.key.endswith("inpaint") else {}
    )
    try:
        placed = parse(model, {"prompt": f"a fox {typed}", **needs})
    except InvalidOption:
        return
    again = parse(model, {"prompt": placed.prompt, **placed.options})
    assert again.options == placed.options
    assert again.prompt == placed.prompt


# ---------------------------------------------------------------------- prompts that were made to keep us busy


@each(
    "prompt",
    [
        "steps: 1" + ", ab: x" * 20 + "\n! --v 1",
        "steps: 1" + ', ab:"x"' * 20 + "\n! --v 1",
        "Steps: 20, Seed:" + "  , ab:" * 22 + "\n!",
        "steps:" + " " * 1_900 + "x, ab:" + " " * 1_900 + "\n!",
        "„" * 3_900 + " --v 1",
        "“„«" * 1_300 + " --v 1",
        '""' * 1_000 + "--v 1 " * 300,
    ],
)
def test_no_prompt_keeps_the_bot_busy(prompt: str) -> None:
    began_s = time.process_time()
    read(prompt)
    assert time.process_time() - began_s < 0.5


@each(
    ("settings", "seed"),
    [
        ('Steps: 20, Lora hashes: "a: 1, b: 2", Seed: 5, Size: 512x768', "5"),
        ('Steps: 20, Hashes: "a" "b", Seed: 6, CFG scale: 7', "6"),
        ("Steps: 20, Model: a: b, Seed:  7, CFG scale: 7.", "7"),
    ],
)
def test_a_block_of_settings_with_quotes_and_colons_is_read(settings: str, seed: str) -> None:
    reading = read(f"a fox. {settings}")
    assert reading.prompt == "a fox."
    assert seed in [wish.value for wish in reading.wishes if wish.key == "seed"]


@each(
    ("typed", "painted", "wanted"),
    [
        ("a cat --ar 16:9--no dogs", "a cat", {"size": "16:9", "negative_prompt": "dogs"}),
        ("a cat --no dogs, cars--ar 3:2", "a cat", {"negative_prompt": "dogs, cars", "size": "3:2"}),
        ("a cat --ar 16:9—no dogs", "a cat", {"size": "16:9", "negative_prompt": "dogs"}),
        ("a cat --seed5--ar3:2--steps 4", "a cat", {"seed": "5", "size": "3:2", "steps": "4"}),
        ("a cat--ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat,--ar 16:9", "a cat", {"size": "16:9"}),
        ("a cat --ar 16:9;--no dogs", "a cat", {"size": "16:9", "negative_prompt": "dogs"}),
        ("a cat --ar 16:9.", "a cat", {"size": "16:9"}),
        ("a cat (ar 16:9)", "a cat", {"size": "16:9"}),
        ("a cat (--ar 16:9)", "a cat", {"size": "16:9"}),
        ("a cat [ar 16:9].", "a cat", {"size": "16:9"}),
        ("a cat {ratio: 3:2}", "a cat", {"size": "3:2"}),
        ("a cat (seed 5)", "a cat", {"seed": "5"}),
        ("a cat (seed 5, ar 3:2)", "a cat", {"seed": "5", "size": "3:2"}),
    ],
)  # fmt: skip
def test_settings_without_a_space_or_in_brackets_are_read(typed: str, painted: str, wanted: dict[str, str]) -> None:
    reading = read(typed)
    assert (reading.prompt, {wish.key: wish.value for wish in reading.wishes}) == (painted, wanted)


@each(
    "typed",
    ["a bridge--no cars", "a cat--no dogs", "well--seed pods", "a cat (guidance:1.2)", "a cat (old)", "a cat (size 9)",
     "a sign that says (seed 5)", "a cat (seed 5, sunny)", "a clock showing 10:30", "John 3:17", "16:9 a cat"],
)  # fmt: skip
def test_dashes_brackets_and_numbers_of_a_sentence_stay(typed: str) -> None:
    reading = read(typed)
    assert (reading.prompt, reading.wishes, reading.unsure) == (typed, (), ())


@each(
    ("typed", "key"),
    [("a cat 16:9", "size"), ("a cat, 4:3.", "size"), ("a cat (21:9)", "size"), ("a cat 1024x768", "size"),
     ("seed 5", "seed"), ("ar 16:9", "size"), ("cfg 7", "guidance"), ("16:9", "size"),
     ("neg: dogs", "negative_prompt")],
)  # fmt: skip
def test_a_shape_alone_and_a_prompt_of_one_setting_are_pointed_at(typed: str, key: str) -> None:
    reading = read(typed)
    assert (reading.prompt, reading.wishes, [wish.key for wish in reading.unsure]) == (typed, (), [key])
