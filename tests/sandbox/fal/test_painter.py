from __future__ import annotations

import base64
import io
import time
from dataclasses import replace
from xml.etree import ElementTree

import aiohttp
import pytest
from PIL import Image, ImageChops

from bot.catalogue.model import Model, OptionKind
from bot.domain.request import Json
from sandbox.fal import FakeFal, durations
from sandbox.fal.art import caption
from sandbox.fal.painter import PictureSpec, black, flat, paint
from sandbox.fal.plan import Format, plan, size_px
from tests.sandbox.fal.conftest import StartFakeFal, finish, png, send, submit

CAT = PictureSpec("fal-ai/flux-1/schnell", "FLUX.1 schnell", "a cat by the sea", 7, 0, 400, 300, "png")


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


def apart(first: bytes, second: bytes) -> float:
    """Mean difference per channel, without the caption, 0 to 255."""
    pictures = [opened(body).convert("RGB").crop((0, 0, 400, 200)).resize((40, 20)) for body in (first, second)]
    spread = ImageChops.difference(*pictures).convert("L").histogram()
    return sum(value * count for value, count in enumerate(spread)) / 800


def test_the_same_order_paints_the_same_bytes() -> None:
    assert paint(CAT) == paint(replace(CAT))


@pytest.mark.parametrize(
    "other",
    [
        replace(CAT, prompt="a castle in a snowy forest at night"),
        replace(CAT, seed=8),
        replace(CAT, index=1),
        replace(CAT, endpoint="fal-ai/qwen-image"),
    ],
    ids=["prompt", "seed", "index", "model"],
)
def test_another_prompt_seed_index_or_model_paints_another_picture(other: PictureSpec) -> None:
    assert apart(paint(CAT), paint(other)) > 2


def test_different_prompts_look_clearly_different() -> None:
    prompts = ("a red rose", "the blue sea", "a neon city at night", "desert dunes", "snowy mountains", "green forest")
    painted = [paint(replace(CAT, prompt=prompt)) for prompt in prompts]
    distances = [apart(one, other) for number, one in enumerate(painted) for other in painted[:number]]
    assert min(distances) > 12


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(1, 1), (31, 47), (512, 512), (300, 900), (900, 300)])
def test_size_and_format_are_what_was_asked_for(format_: Format, size: tuple[int, int]) -> None:
    picture = opened(paint(replace(CAT, format=format_, width=size[0], height=size[1])))
    picture.load()
    assert (picture.format, picture.size) == (format_.upper(), size)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "🐱" * 50,
        "قطة على كرسي أحمر",
        "日本の桜、猫が眠る庭",
        "z̷̢a̸͓l̴̦g̵o",
        "\u202egnp.tac\u200b\x00\ud800",
        "no" * 3000,
        "a\nb\tc " * 900,
        "**@everyone** <@1> `x`",
    ],
    ids=["empty", "emoji", "arabic", "japanese", "zalgo", "controls", "one word", "long", "markdown"],
)
def test_any_prompt_can_be_painted_and_captioned(prompt: str) -> None:
    assert paint(replace(CAT, prompt=prompt))
    assert paint(replace(CAT, prompt=prompt, format="svg"))


@pytest.mark.parametrize(
    "words",
    [
        "cat dog", "fox bunny", "owl birds", "fish flower", "house castle", "boat on the ocean", "lighthouse robot",
        "woman rocket", "balloon mushroom", "cup planet", "cactus heart", "butterfly tree", "pumpkin in the rain",
        "aurora mountains in fog", "abstract waves", "mosaic", "bauhaus poster", "impressionist wind", "minimalist",
        "pixel art desert", "noir city with fireflies", "vintage meadow with petals", "photo galaxy", "autumn woods",
    ],
)  # fmt: skip
def test_every_part_of_the_vocabulary_can_be_painted(words: str) -> None:
    assert opened(paint(replace(CAT, prompt=words))).size == (400, 300)


def test_a_transparent_background_is_transparent() -> None:
    picture = opened(paint(replace(CAT, transparent=True)))
    assert picture.mode == "RGBA"
    assert picture.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert picture.getpixel((200, 110))[3] == 255  # type: ignore[index]


def test_vectors_are_well_formed_and_say_what_they_show() -> None:
    root = ElementTree.fromstring(paint(replace(CAT, format="svg", prompt="a <cat> & a dog")))
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert (root.get("width"), root.get("height")) == ("400", "300")
    assert texts == ["FLUX.1 schnell", "seed 7", "a <cat> & a dog"]


def test_the_caption_is_wrapped_cut_and_large_enough_for_a_thumbnail() -> None:
    font = caption._font(30)
    lines = caption.wrapped(caption.legible("a quiet cabin by the lake " * 20), font, 700, 2)
    assert len(lines) == 2
    assert lines[1].endswith("…")
    assert all(font.getlength(line) <= 700 for line in lines)
    words = caption.Caption("FLUX.1 schnell", "a cat", 7)
    layout = caption._lay_out(words, 1024, 768)
    assert layout.text_px * 400 / 1024 >= 12
    assert caption.strip_px(words, 1536, 512) <= 512 * 0.36


def test_accents_lose_their_marks_and_foreign_letters_are_left_out() -> None:
    assert caption.legible("café — naïve “x”…") == "cafe - naive “x”…"
    assert caption.legible("кот cat 🐱, red") == "cat , red"
    assert caption.legible("猫が眠る") == "(in letters this font does not have)"


def test_flat_pictures_are_made_once() -> None:
    assert flat(1024, 768, "png", 3) is flat(1024, 768, "png", 3)
    assert opened(black(64, 48, "jpeg")).convert("L").getextrema() == (0, 0)


def test_painting_is_quick() -> None:
    prompts = ("a cat on a hill", "stormy sea", "city at night", "galaxy", "snowy forest", "abstract")
    paint(replace(CAT, width=1024, height=768))
    began_s = time.thread_time()
    for prompt in prompts:
        paint(replace(CAT, prompt=prompt, width=1024, height=768))
    # Some 45 ms of CPU each on an idle machine.
    assert (time.thread_time() - began_s) / len(prompts) < 0.25


def required(model: Model) -> dict[str, Json]:
    """The least arguments a model takes."""
    url = "data:image/png;base64," + base64.b64encode(png((9, 99, 199))).decode()
    values: dict[OptionKind, Json] = {
        OptionKind.TEXT: "a lighthouse by the sea",
        OptionKind.PICTURE: url,
        OptionKind.PICTURES: [url],
    }
    return {option.name: values[option.kind] for option in model.options if option.required}


async def test_all_models_give_pictures_of_their_own_shape(
    start: StartFakeFal, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession, models: tuple[Model, ...]
) -> None:
    fake_fal = await start(paint="real")
    assert len(models) == 18
    for model in models:
        arguments = required(model)
        result = await finish(http, await send(http, fake_fal, model.endpoint, arguments))
        content = await result.json()
        assert result.status == 200, model.endpoint
        await check(fake_fal, anyone, model, content)


async def check(fake_fal: FakeFal, anyone: aiohttp.ClientSession, model: Model, content: dict[str, Json]) -> None:
    output, images = model.output, content["images"]
    assert isinstance(images, list)
    image = images[0]
    assert isinstance(image, dict)
    for name, there in (
        ("seed", output.seed),
        ("timings", output.timings),
        ("has_nsfw_concepts", output.has_nsfw_concepts),
        ("usage", output.usage),
    ):
        assert (name in content) == there, (model.endpoint, name)
    async with anyone.get(str(image["url"])) as response:
        body = await response.read()
        assert response.headers["Content-Type"] == image["content_type"]
    picture = opened(body)
    expected = (320, 240) if model.option("mask_image_url") else size_px(model, {})
    assert picture.size == expected, model.endpoint
    if output.has_nsfw_concepts:
        assert (image["width"], image["height"]) == expected
    else:
        assert image["file_size"] == len(body)


async def test_recraft_draws_vectors_in_vector_styles(
    fake_fal: FakeFal, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession
) -> None:
    endpoint = "fal-ai/recraft/v2/text-to-image"
    result = await finish(http, await submit(http, fake_fal, endpoint, style="vector_illustration"))
    image = (await result.json())["images"][0]
    async with anyone.get(image["url"]) as response:
        assert response.headers["Content-Type"] == "image/svg+xml"
        assert ElementTree.fromstring(await response.read()).tag.endswith("svg")


def by_endpoint(models: tuple[Model, ...], endpoint: str) -> Model:
    return next(model for model in models if model.endpoint == endpoint)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "size"),
    [
        ("fal-ai/flux-1/schnell", {"image_size": "portrait_16_9"}, (576, 1024)),
        ("fal-ai/flux-1/schnell", {"image_size": {"width": 640, "height": 480}}, (640, 480)),
        ("fal-ai/flux-1/schnell", {"image_size": {"width": 8192, "height": 4096}}, (4096, 2048)),
        ("fal-ai/ideogram/v2", {"aspect_ratio": "3:1"}, (1536, 512)),
        ("fal-ai/imagen4/preview", {"aspect_ratio": "16:9"}, (1408, 768)),
        ("fal-ai/gpt-image-1/text-to-image/byok", {"image_size": "1536x1024"}, (1536, 1024)),
        ("fal-ai/gpt-image-1/text-to-image/byok", {}, (1024, 1024)),
        ("fal-ai/bytedance/seedream/v4/text-to-image", {"image_size": "auto_4K"}, (4096, 4096)),
    ],
)
def test_each_way_to_say_a_size_is_understood(
    models: tuple[Model, ...], endpoint: str, arguments: dict[str, Json], size: tuple[int, int]
) -> None:
    assert size_px(by_endpoint(models, endpoint), arguments) == size


def test_sequences_give_between_one_and_all_pictures(models: tuple[Model, ...]) -> None:
    seedream = by_endpoint(models, "fal-ai/bytedance/seedream/v4/text-to-image")
    counts = {plan(seedream, {"num_images": 2, "max_images": 3}, seed=seed).count for seed in range(60)}
    assert counts == {2, 3, 4, 5, 6}


def test_more_steps_pixels_and_pictures_take_longer(models: tuple[Model, ...]) -> None:
    qwen = by_endpoint(models, "fal-ai/qwen-image")

    def painting_s(pixels: int = 1_000_000, pictures: int = 1, **arguments: Json) -> float:
        return durations.painting_s(qwen, arguments, pixels=pixels, pictures=pictures, chance=0.5)

    usual_s = painting_s()
    assert painting_s(pixels=4_000_000) > usual_s
    assert painting_s(pictures=4) > usual_s
    assert painting_s(num_inference_steps=50) > usual_s > painting_s(num_inference_steps=10)
    assert painting_s(acceleration="high") < usual_s


def test_progress_lines_look_like_tqdm() -> None:
    assert durations.bar(7, 20, 1.37) == " 35%|███▌      | 7/20 [00:01<00:02,  5.11it/s]"
    assert durations.bar(0, 20, 0) == "  0%|          | 0/20 [00:00<?, ?it/s]"
    assert durations.bar(2, 4, 130) == " 50%|█████     | 2/4 [02:10<02:10, 65.00s/it]"


def test_large_pictures_do_not_take_minutes(models: tuple[Model, ...]) -> None:
    seedream = by_endpoint(models, "fal-ai/bytedance/seedream/v4/text-to-image")
    assert durations.painting_s(seedream, {}, pixels=4096 * 2304, pictures=1, chance=1) < 40
