"""Every kind of option: what it takes, and what it refuses."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.catalogue import Catalogue, OptionKind, descriptions
from bot.catalogue.descriptions import describe_option, takes
from bot.catalogue.kinds import (
    CONTROLNET_MEMBERS,
    CONTROLNET_REQUIRED,
    IP_ADAPTER_MEMBERS,
    IP_ADAPTER_REQUIRED,
    PARSERS,
    parse_value,
)
from bot.catalogue.model import Option
from bot.catalogue.sizes import PRESETS_PX
from bot.domain.request import Json
from bot.errors import InvalidOption
from sandbox.fal import argument_checks
from tests.catalogue import samples
from tests.catalogue.facts import NESTED
from tests.catalogue.parsing import each, given, refused
from tests.english import english


def _option(catalogue: Catalogue, key: str, name: str) -> Option:
    option = catalogue.get(key).option(name)
    assert option is not None
    return option


#: The tables that have an entry for each kind, by the place where one is to be added.
KIND_TABLES: dict[str, Mapping[OptionKind, object]] = {
    "PARSERS in bot/catalogue/kinds.py": PARSERS,
    "_TAKES in bot/catalogue/descriptions.py": descriptions._TAKES,
    "_CHECKS in sandbox/fal/argument_checks.py": argument_checks._CHECKS,
    "SAMPLES in tests/catalogue/samples.py": samples.SAMPLES,
}


@each("table", KIND_TABLES)
@each("kind", OptionKind)
def test_every_table_has_an_entry_for_every_kind(table: str, kind: OptionKind) -> None:
    assert kind in KIND_TABLES[table], f"{table} has no entry for OptionKind.{kind.name}"


@each("kind", OptionKind)
def test_every_kind_takes_its_sample_and_what_it_made_of_it(catalogue: Catalogue, kind: OptionKind) -> None:
    options = [option for model in catalogue.models for option in model.offered if option.kind is kind]
    for option in options or [Option("x", kind, "")]:
        value = parse_value(option, "x", samples.typed(option))
        assert parse_value(option, "x", value) == value
        shown = descriptions.value_text(value)
        assert not shown or parse_value(option, "x", shown) == value, shown


def test_every_kind_is_in_the_list_for_people_who_write_model_files() -> None:
    readme = (Path(descriptions.__file__).parent / "README.md").read_text("utf-8")
    listed = re.search(r"`kind` \(([^)]+)\)", readme)
    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == set(OptionKind), "bot/catalogue/README.md"


def test_every_kind_has_one_function_and_words_of_its_own() -> None:
    assert len(set(PARSERS.values())) == len(OptionKind)
    for kind in OptionKind:
        assert english(takes(Option("name", kind, "", choices=("a", "b"), max_items=3)))


@each("kind", OptionKind)
@each(
    "bounds",
    [
        {},
        {"minimum": 1},
        {"minimum": 1, "maximum": 3},
        {"max_length": 9, "max_items": 3, "pattern_says": "of eight digits"},
        {"choices": tuple(f"choice {number}" for number in range(40)), "custom_size": False},
    ],
)
def test_what_a_kind_takes_begins_without_an_article_in_lists(kind: OptionKind, bounds: dict[str, Any]) -> None:
    described = english(describe_option(Option("name", kind, "", **{"choices": ("a", "b"), **bounds})))
    assert not re.match(r"(an?|the) ", described), "its message in cogs/ui/messages/en/options.ftl needs a `.brief`"


@each(("typed", "value"), [("1", 1), (" 12 ", 12), ("+3", 3), (4, 4), (4.0, 4), ("007", 7)])
def test_an_integer_is_digits(catalogue: Catalogue, typed: object, value: int) -> None:
    sent = given(catalogue, "flux-schnell", steps=typed)
    assert sent == {"num_inference_steps": value}
    assert type(sent["num_inference_steps"]) is int


@each(
    "typed",
    ["4.5", "4.0", 4.5, "0", "13", -1, "1,000", "1e1", "four", "٤", "²", True, False, "0x10", "1_0", math.nan, math.inf,
     "nan", "inf", b"4", [4], {"a": 4}, "9" * 5000, 10**5000, "4 5", "--4", "NaN", "½"],
)  # fmt: skip
def test_an_integer_that_is_none_or_out_of_range_is_refused_with_the_range(catalogue: Catalogue, typed: object) -> None:
    refusal = refused(catalogue, "flux-schnell", steps=typed)
    assert "a whole number from 1 to 12" in english(refusal)
    assert "No quota was used." in english(refusal)


@each(
    ("typed", "value"),
    [
        ("4", 4),
        ("3.5", 3.5),
        (".5", 0.5),
        ("5.", 5),
        (7, 7),
        (2.25, 2.25),
        ("+1.5", 1.5),
        ("20", 20),
        ("3,5", 3.5),
        ("0,25", 0.25),
    ],
)
def test_a_number_has_a_dot_or_a_comma_at_most(catalogue: Catalogue, typed: object, value: float) -> None:
    assert given(catalogue, "flux-schnell", guidance=typed) == {"guidance_scale": value}


@each(
    "typed",
    ["3,5,1", "1,000.5", "nan", "inf", "-inf", math.nan, math.inf, -math.inf, True, "1e3", "20.01", "-0.1", "", " . ",
     "3.5.1", "½", "٣", b"1", None, [], "1" * 400, 10**400],
)  # fmt: skip
def test_a_number_that_is_none_is_refused_or_counts_as_not_given(catalogue: Catalogue, typed: object) -> None:
    if typed in (None, "", []):
        assert given(catalogue, "flux-schnell", guidance=typed) == {}
    else:
        assert "a number from 0 to 20" in english(refused(catalogue, "flux-schnell", guidance=typed))


@each("typed", [True, "true", "Yes", "ON", "1", " y "])
def test_true_in_the_usual_words(catalogue: Catalogue, typed: object) -> None:
    assert given(catalogue, "qwen-image", use_turbo=typed) == {"use_turbo": True}


@each("typed", [False, "false", "no", "Off", "0", "n"])
def test_false_in_the_usual_words(catalogue: Catalogue, typed: object) -> None:
    assert given(catalogue, "qwen-image", use_turbo=typed) == {"use_turbo": False}


@each("typed", ["maybe", 1, 0, 2, "2", 1.0, ["true"]])
def test_neither_true_nor_false_is_refused(catalogue: Catalogue, typed: object) -> None:
    assert "`true` or `false`" in english(refused(catalogue, "qwen-image", use_turbo=typed))


@each("typed", ["high", "HIGH", " High "])
def test_a_choice_does_not_mind_capitals(catalogue: Catalogue, typed: str) -> None:
    assert given(catalogue, "flux-schnell", acceleration=typed) == {"acceleration": "high"}


def test_a_choice_outside_the_list_is_refused_with_the_list_and_the_nearest(catalogue: Catalogue) -> None:
    assert "one of `none`, `regular` or `high`" in english(refused(catalogue, "flux-schnell", acceleration="fast"))
    assert "did you mean `regular`" in english(refused(catalogue, "flux-schnell", acceleration="reglar"))
    refused(catalogue, "flux-schnell", acceleration=3)


def test_a_style_may_be_named_by_its_last_part_where_that_is_unique(catalogue: Catalogue) -> None:
    assert given(catalogue, "recraft-v2", style="line art") == {"style": "vector_illustration/line_art"}
    refusal = refused(catalogue, "recraft-v2", style="kawaii")
    assert "`digital_illustration/kawaii` or `vector_illustration/kawaii`" in english(refusal)


# ---------------------------------------------------------------------- pictures


@each(
    "typed",
    ["https://pictures.example/a.png", "https://cdn.discordapp.com/attachments/1/2/a.png?ex=6&is=5&hm=ab",
     "https://pictures.example:8443/ü.png"],
)  # fmt: skip
def test_a_picture_is_an_https_link(catalogue: Catalogue, typed: str) -> None:
    assert given(catalogue, "omnigen-v2", image=typed) == {"input_image_urls": [typed]}
    assert given(catalogue, "omnigen-v2", options=f"image={typed}") == {"input_image_urls": [typed]}


@each(
    "typed",
    ["http://pictures.example/a.png", "ftp://pictures.example/a", "file:///etc/passwd", "data:image/png;base64,AAAA",
     "javascript:alert(1)", "pictures.example/a.png", "https://", "https://localhost/a", "https://127.0.0.1/a",
     "https://[::1]/a", "https://10.0.0.7/a.png", "https://user:pass@pictures.example/a", "https://pictures.example:x/",
     "https://pictures.example/" + "a" * 2048, "https://a b.example/", "http://169.254.169.254/latest", "cat.png",
     "https://pictures.example/\ud800", "https://[oops/a"],
)  # fmt: skip
def test_anything_else_is_no_picture(catalogue: Catalogue, typed: str) -> None:
    assert "https link" in english(refused(catalogue, "omnigen-v2", image=typed))
    refused(catalogue, "omnigen-v2", options=f'image="{typed}"')


def test_loopback_is_for_attachments_and_never_for_what_a_person_typed(catalogue: Catalogue) -> None:
    url = "http://127.0.0.1:8765/attachments/1/2/a.png?ex=1"
    assert given(catalogue, "omnigen-v2", image=url) == {"input_image_urls": [url]}
    assert given(catalogue, "omnigen-v2", image=[url, url])["input_image_urls"] == [url, url]
    refused(catalogue, "omnigen-v2", options=f"image={url}")
    refused(catalogue, "omnigen-v2", options=f"input_image_urls={url}")
    refused(catalogue, "sd35-large", options=f"controlnet.path=a/b controlnet.control_image_url={url}")


def test_several_pictures_up_to_the_models_limit(catalogue: Catalogue) -> None:
    links = [f"https://pictures.example/{number}.png" for number in range(4)]
    three = {"input_image_urls": links[:3]}
    assert given(catalogue, "omnigen-v2", options=f"image={','.join(links[:3])}") == three
    assert given(catalogue, "omnigen-v2", options=f"image={' '.join(links[:3])}") == three
    assert given(catalogue, "omnigen-v2", options=f"image={str(links[:3]).replace(chr(39), chr(34))}") == three
    assert "up to 3 pictures" in english(refused(catalogue, "omnigen-v2", options=f"image={','.join(links)}"))


def test_inpainting_needs_picture_and_mask(catalogue: Catalogue) -> None:
    needed = "needs `image` and `mask`"
    assert needed in english(refused(catalogue, "z-image-inpaint", image=None, mask=None))
    missing = refused(catalogue, "z-image-inpaint", mask="")
    assert "`mask` is missing" in english(missing)
    assert missing.option == "mask"


# ---------------------------------------------------------------------- style codes, colours, palettes


def test_style_codes_are_eight_hexadecimal_characters(catalogue: Catalogue) -> None:
    sent = given(catalogue, "ideogram-v3", options="style_codes=A1B2C3D4,00ff00FF")
    assert sent == {"style_codes": ["A1B2C3D4", "00ff00FF"]}
    for typed in ("A1B2C3D", "A1B2C3D45", "G1B2C3D4", "[1]", "[[]]", "{}x", "A1B2C3D4,"):
        if typed == "A1B2C3D4,":
            assert given(catalogue, "ideogram-v3", options=f"style_codes={typed}") == {"style_codes": ["A1B2C3D4"]}
        else:
            refused(catalogue, "ideogram-v3", options=f"style_codes={typed}")
    assert "8 hexadecimal characters" in english(refused(catalogue, "ideogram-v3", style_codes="xyz"))


RED, BLUE = {"r": 255, "g": 0, "b": 0}, {"r": 0, "g": 0, "b": 255}


@each(
    "typed",
    ["colors=#ff0000,#0000ff", "colors=#f00 #00f", "colors=ff0000, 0000FF", 'colors=["#ff0000", "#00f"]',
     'colors=[{"r":255,"g":0,"b":0},{"b":255}]', 'colors="#ff0000,#0000ff"'],
)  # fmt: skip
def test_colours_in_every_form(catalogue: Catalogue, typed: str) -> None:
    assert given(catalogue, "recraft-v2", options=typed) == {"colors": [RED, BLUE]}


@each(
    "typed",
    ["red", "#ff00", "#gg0000", '[{"r":256,"g":0,"b":0}]', '[{"r":-1}]', '[{"r":1.5}]', '[{"r":true}]', '[{"x":1}]',
     "[1]", "[null]", "[{}]", "#fff," * 11],
)  # fmt: skip
def test_colours_that_are_none(catalogue: Catalogue, typed: str) -> None:
    assert "up to 10 colours such as `#ff0000,#00ff00`" in english(
        refused(catalogue, "recraft-v2", options=f"colors={typed}")
    )


@each(
    ("typed", "sent"),
    [
        ("EMBER", {"name": "EMBER"}),
        ("ember", {"name": "EMBER"}),
        ('{"name": "MELON"}', {"name": "MELON"}),
        ("#ff0000", {"members": [{"rgb": RED}]}),
        ("#ff0000:0.5,#00f", {"members": [{"rgb": RED, "color_weight": 0.5}, {"rgb": BLUE}]}),
        (
            '{"members":[{"rgb":{"r":255,"g":0,"b":0},"color_weight":1}]}',
            {"members": [{"rgb": RED, "color_weight": 1.0}]},
        ),
        ('[{"rgb":"#0000ff"}]', {"members": [{"rgb": BLUE}]}),
    ],
)
def test_a_palette_by_name_or_by_members(catalogue: Catalogue, typed: str, sent: object) -> None:
    assert given(catalogue, "ideogram-v3", options=f"color_palette={typed}") == {"color_palette": sent}


@each(
    "typed",
    ["PURPLE", '{"name":"EMBER","members":[{"rgb":"#ff0000"}]}', '{"name":"PURPLE"}', '{"members":[]}', '{"name":3}',
     "#ff0000:2", "#ff0000:nan", "#ff0000:", '{"members":"#fff"}', "{}x", '{"rgb":"#fff","x":1}', "#fff," * 9],
)  # fmt: skip
def test_a_palette_is_never_both_and_never_strange(catalogue: Catalogue, typed: str) -> None:
    refused(catalogue, "ideogram-v3", options=f"color_palette={typed}")


# ---------------------------------------------------------------------- weights


@each(
    ("typed", "sent"),
    [
        (
            "https://weights.example/x.safetensors@0.8",
            [{"path": "https://weights.example/x.safetensors", "scale": 0.8}],
        ),
        ("owner/name", [{"path": "owner/name"}]),
        ("owner/name@1.5,https://w.example/y", [{"path": "owner/name", "scale": 1.5}, {"path": "https://w.example/y"}]),
        ('[{"path":"owner/name","scale":-1}]', [{"path": "owner/name", "scale": -1.0}]),
        ('{"path":"owner/name"}', [{"path": "owner/name"}]),
    ],
)
def test_loras_in_short_and_as_json(catalogue: Catalogue, typed: str, sent: object) -> None:
    for key in ("qwen-image", "sd35-large", "hidream"):
        assert given(catalogue, key, options=f"loras={typed}") == {"loras": sent}


@each(
    "typed",
    ["http://w.example/x", "https://127.0.0.1/x", "owner", "../../etc/passwd", "a/../b", "owner/name@5", "owner/name@x",
     "owner/name@", '[{"scale":1}]', '[{"path":"a/b","extra":1}]', "[1]", '[{"path":["a/b"]}]', "/etc/passwd"],
)  # fmt: skip
def test_loras_that_are_none(catalogue: Catalogue, typed: str) -> None:
    refused(catalogue, "qwen-image", options=f"loras={typed}")


def test_qwen_takes_three_loras_and_only_hidream_a_file_name(catalogue: Catalogue) -> None:
    assert "up to 3 LoRAs" in english(refused(catalogue, "qwen-image", options="loras=a/b,a/c,a/d,a/e"))
    named = 'loras=[{"path":"a/b","weight_name":"x.safetensors"}]'
    assert given(catalogue, "hidream", options=named) == {"loras": [{"path": "a/b", "weight_name": "x.safetensors"}]}
    refused(catalogue, "qwen-image", options=named)
    refused(catalogue, "hidream", options='loras=[{"path":"a/b","weight_name":"../x"}]')


CONTROLNET = {
    "path": "owner/name",
    "control_image_url": "https://pictures.example/c.png",
    "conditioning_scale": 0.5,
    "start_percentage": 0.1,
    "end_percentage": 0.9,
}
IP_ADAPTER = {
    "path": "owner/name",
    "subfolder": "models",
    "weight_name": "ip.safetensors",
    "image_encoder_path": "openai/clip-vit-large-patch14",
    "image_encoder_subfolder": "encoder",
    "image_encoder_weight_name": "model.safetensors",
    "image_url": "https://pictures.example/i.png",
    "mask_image_url": "https://pictures.example/m.png",
    "mask_threshold": 0.4,
    "scale": 0.6,
}


@each(("name", "whole"), [("controlnet", CONTROLNET), ("ip_adapter", IP_ADAPTER)])
def test_nested_values_as_json_and_with_dots(catalogue: Catalogue, name: str, whole: dict[str, object]) -> None:
    as_json = str(whole).replace("'", '"')
    dotted = " ".join(f"{name}.{member}={value}" for member, value in whole.items())
    for typed in (f"{name}={as_json}", dotted, dotted.replace(" ", ", ")):
        assert given(catalogue, "sd35-large", options=typed) == {name: whole}


@each(
    "typed",
    ["controlnet=x", 'controlnet={"path":"a/b"}', "controlnet.path=a/b", "controlnet=[1]",
     "controlnet.path=a/b controlnet.control_image_url=http://x.example/a",
     "controlnet.path=a/b controlnet.control_image_url=https://x.example/a controlnet.conditioning_scale=9",
     "controlnet.path=a/b controlnet.control_image_url=https://x.example/a controlnet.nonsense=1",
     "controlnet.path=a/b controlnet.control_image_url=https://x.example/a controlnet.start_percentage=.9 "
     "controlnet.end_percentage=.2",
     "controlnet.path=a/b controlnet.control_image_url=https://x.example/a controlnet.path=c/d",
     "controlnet.path=a/b controlnet={}",
     "controlnet.control_image_url=https://x.example/a controlnet={\"path\":\"a/b\"}",
     "controlnet={\"path\":\"a/b\",\"control_image_url\":\"https://x.example/a\"} controlnet.path=a/b",
     "ip_adapter.path=a/b", 'ip_adapter={"path":"a/b","image_encoder_path":"c/d","image_url":"https://x.example/a"}'],
)  # fmt: skip
def test_nested_values_that_lack_or_clash_are_refused(catalogue: Catalogue, typed: str) -> None:
    assert refused(catalogue, "sd35-large", options=typed).option.startswith(("controlnet", "ip_adapter"))


def test_a_nested_value_given_whole_and_in_parts_is_given_twice(catalogue: Catalogue) -> None:
    whole = 'controlnet={"path":"a/b","control_image_url":"https://x.example/a"}'
    for typed in (f"{whole} controlnet.path=c/d", f"controlnet.path=c/d {whole}"):
        assert "given twice" in english(refused(catalogue, "sd35-large", options=typed))


def test_the_members_of_nested_values_are_those_of_the_documents() -> None:
    for name, members, required in (
        ("ControlNet", CONTROLNET_MEMBERS, CONTROLNET_REQUIRED),
        ("IPAdapter", IP_ADAPTER_MEMBERS, IP_ADAPTER_REQUIRED),
    ):
        facts = NESTED[name]
        assert set(members) == set(facts)
        assert set(required) == {member for member, said in facts.items() if said.partition(" ")[0].endswith("*")}
    assert {name: list(size) for name, size in PRESETS_PX.items()} == NESTED["presets"]


@each("kind", OptionKind)
@each("junk", [object(), b"\xff", 10**6000, {1: 2}, [[[]]], float("nan"), "\ud800", "\x00", (), set()])
def test_no_kind_breaks_on_junk(kind: OptionKind, junk: object) -> None:
    option = Option("name", kind, "", choices=("a", "b"), fields=("path",))
    try:
        parse_value(option, "name", junk)
    except InvalidOption as refusal:
        english(refusal).encode()


@each(
    ("value", "typed"),
    [(True, "true"), (3.0, "3"), ({"width": 640, "height": 480}, "640x480"), ({"name": "EMBER"}, "EMBER"),
     (["a", "b"], "a,b"), ({"path": "a/b"}, ""), ([{"r": 1}], ""), (None, "")],
)  # fmt: skip
def test_a_value_is_written_as_it_could_be_typed(value: Json, typed: str) -> None:
    assert descriptions.value_text(value) == typed


def test_options_in_words(catalogue: Catalogue) -> None:
    def described(model: str, name: str) -> str:
        return english(describe_option(_option(catalogue, model, name)))

    assert described("z-image", "num_inference_steps") == "whole number from 1 to 50, default 28"
    assert described("flux-schnell", "acceleration") == "one of `none`, `regular` or `high`, default regular"
    assert described("flux-schnell", "prompt") == "text of up to 4,000 characters, required"
    assert "default 1024x1024" in described("hidream", "image_size")
    assert described("qwen-image", "use_turbo") == "`true` or `false`"


@each(
    ("alias", "typed", "number"),
    [("count", "4 pictures", 4), ("count", "1 Picture.", 1), ("count", "x4", 4), ("count", "4x", 4),
     ("count", "four", 4),
     ("count", "two images", 2), ("steps", "8 steps", 8), ("steps", "8step", 8),

     ("seed", "#42", 42), ("seed", "Seed: 42", 42), ("seed", "no. 42", 42), ("seed", "４２", 42),
     ("seed", "#1,234", 1234),
     ("seed", "42.", 42)],
)  # fmt: skip
def test_what_is_counted_may_be_said_with_the_number(alias: str, typed: str, number: int) -> None:
    assert parse_value(Option("x", OptionKind.INTEGER, "", alias=alias), "x", typed) == number


@each(
    ("alias", "typed"),
    [("steps", "8 pictures"), ("count", "4 dogs"), ("count", "4 steps"), ("seed", "four"), ("count", "²"),
     ("count", "#"),
     ("count", "4.5 pictures"), ("count", "pictures"), ("seed", "0x2a"), ("seed", "##42"), ("count", "4 5")],
)  # fmt: skip
def test_a_number_of_something_else_is_refused(alias: str, typed: str) -> None:
    with pytest.raises(InvalidOption):
        parse_value(Option("x", OptionKind.INTEGER, "", alias=alias), "x", typed)
