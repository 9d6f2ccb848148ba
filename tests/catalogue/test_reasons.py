"""A refused size, LoRA or style says which part of it is wrong, and what is possible instead."""

from __future__ import annotations

from bot.catalogue import Catalogue
from tests.catalogue.parsing import each, refused
from tests.english import english


@each(
    ("model", "size", "why"),
    [
        ("z-image", "1:50", "too long and narrow. The long side can be at most 8 times the short one"),
        ("z-image", "50:1", "too long and narrow. The long side can be at most 8 times the short one"),
        ("seedream-v4", "1:50", "at most 4 times the short one. It takes"),
        ("imagen4", "1:50", "too long and narrow. It takes one of `1:1`, `16:9`"),
        ("z-image", "9000x9000", "too large. It takes"),
        ("z-image", "1024x100", "too small. It takes"),
        ("z-image-turbo", "4096x4096", "too large. It takes"),
        ("z-image", "banana", "It takes one of"),
    ],
)
def test_a_size_beyond_the_limits_names_them(catalogue: Catalogue, model: str, size: str, why: str) -> None:
    for raw in ({"size": size}, {"prompt": f"a fox --ar {size}"}):
        refusal = refused(catalogue, model, **raw)
        assert refusal.option == "size"
        assert why in english(refusal)
        if model == "z-image":
            assert "(256 to 2,048 pixels a side)" in english(refusal)
        assert f"can't be `{size}`" in english(refusal)


@each(
    ("loras", "why"),
    [
        ("http://x.example/a.safetensors", "begins with `http://`. Only links that begin with `https://` are taken."),
        (
            "owner/name@9",
            "The strength `9` behind the LoRA `owner/name` can't be used. It takes a number from -4 to 4.",
        ),
        ("owner/name@x", "The strength `x` behind the LoRA `owner/name`"),
        ("foo", "`loras` can't be `foo`: that is neither a link"),
        ("a/b,http://x.example/l.safetensors@0.5", "LoRA 2 of 2: The link `http://x.example/l.safetensors`"),
        ("a/b@9,c/d@0.5", "LoRA 1 of 2: The strength `9`"),
        ("a/b,c/d,https://civitai.com/models/3", "LoRA 3 of 3: The link given as `loras` leads to a page"),
        ("a/b,c/d,e/f,g/h", "4 LoRAs are too many. `loras` takes up to 3 LoRAs"),
    ],
)
def test_a_lora_is_refused_for_the_part_that_is_wrong(catalogue: Catalogue, loras: str, why: str) -> None:
    refusal = refused(catalogue, "qwen-image", options=f"loras={loras}")
    assert refusal.option == "loras"
    assert why in english(refusal)
