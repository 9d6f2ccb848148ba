"""LoRAs in the ways people write them, and links to pages instead of files."""

from __future__ import annotations

from bot.catalogue import Catalogue, parse
from cogs.ui.messages import say
from tests.catalogue.parsing import each, refused, request
from tests.english import LOCALE, english

HUB = "https://huggingface.co/o/r"
FILE = f"{HUB}/resolve/main/x.safetensors"


def loras(catalogue: Catalogue, typed: object) -> object:
    return request(catalogue, "qwen-image", options={"loras": typed}).options["loras"]


@each(
    ("typed", "read"),
    [
        ("owner/name:0.8", [("owner/name", 0.8)]),
        ("owner/name 0.8", [("owner/name", 0.8)]),
        ("owner/name @0.8", [("owner/name", 0.8)]),
        ("owner/name@.8", [("owner/name", 0.8)]),
        ("owner/name=1", [("owner/name", 1.0)]),
        ("owner/name*1", [("owner/name", 1.0)]),
        ("owner/name", [("owner/name", None)]),
        ("a/b:0.5, c/d 1.5, e/f", [("a/b", 0.5), ("c/d", 1.5), ("e/f", None)]),
        ("a/b c/d", [("a/b", None), ("c/d", None)]),
        ("a/b 0.5 c/d", [("a/b", 0.5), ("c/d", None)]),
        ("<lora:owner/name:0.8>", [("owner/name", 0.8)]),
        ("lora:owner/name:0.8", [("owner/name", 0.8)]),
        ("https://w.example/x.safetensors:0.8", [("https://w.example/x.safetensors", 0.8)]),
        ("https://w.example:8443/x", [("https://w.example:8443/x", None)]),
        ('{"path":"a/b","scale":0.5}', [("a/b", 0.5)]),
        ('{"url":"https://w.example/x","weight":0.5}', [("https://w.example/x", 0.5)]),
        ('{"a/b":0.5,"c/d":1}', [("a/b", 0.5), ("c/d", 1.0)]),
        ('[{"path":"a/b"},"c/d@2"]', [("a/b", None), ("c/d", 2.0)]),
        ('["a/b","c/d 2"]', [("a/b", None), ("c/d", 2.0)]),
    ],
)
def test_common_forms_are_read(catalogue: Catalogue, typed: str, read: list[tuple[str, float | None]]) -> None:
    wanted = [{"path": path} if scale is None else {"path": path, "scale": scale} for path, scale in read]
    assert loras(catalogue, typed) == wanted
    line = request(catalogue, "qwen-image", options=f"acceleration=high loras={typed} output_format=png")
    assert (line.options["loras"], line.given) == (wanted, ("acceleration", "loras", "output_format"))


@each(
    ("typed", "sent"),
    [
        (f"{HUB}/blob/main/x.safetensors", FILE),
        (f"{HUB}/blob/main/x.safetensors?download=true", FILE),
        (f"{HUB}/raw/main/sub/x.safetensors", f"{HUB}/resolve/main/sub/x.safetensors"),
        ("huggingface.co/o/r/blob/main/x.safetensors", FILE),
        ("http://huggingface.co/o/r/blob/main/x.safetensors", FILE),
        ("https://www.huggingface.co/o/r/blob/main/x.safetensors", FILE),
        ("hf.co/o/r/blob/main/x.safetensors", FILE),
        ("https://github.com/o/r/blob/main/x.safetensors", "https://github.com/o/r/raw/main/x.safetensors"),
        ("https://www.dropbox.com/s/1/x.safetensors?dl=0", "https://www.dropbox.com/s/1/x.safetensors?dl=1"),
    ],
)
@each("scale", ["", "@0.8", ":0.8", " 0.8"])
def test_a_link_to_a_files_page_becomes_one_to_the_file_with_a_notice(
    catalogue: Catalogue, typed: str, sent: str, scale: str
) -> None:
    placed = request(catalogue, "qwen-image", options=f"loras={typed}{scale}")
    assert placed.options["loras"] == [{"path": sent, **({"scale": 0.8} if scale else {})}]
    assert [say(LOCALE, notice) for notice in placed.notices] == [f"I took the link to the file itself: `{sent}`."]
    again = parse(catalogue.get("qwen-image"), {"prompt": "a fox", **placed.options})
    assert (again.options, again.notices) == (placed.options, ())


@each(
    "typed", [FILE, "https://civitai.com/api/download/models/456?type=Model", "o/r", "https://w.example/x", f"{FILE}@1"]
)
def test_what_is_a_file_already_needs_no_notice(catalogue: Catalogue, typed: str) -> None:
    assert request(catalogue, "qwen-image", options=f"loras={typed}").notices == ()


@each(
    ("typed", "copied"),
    [
        (HUB, ["`o/r`", f"`{HUB}/resolve/main/….safetensors`"]),
        ("huggingface.co/o/r", ["`o/r`"]),
        (f"{HUB}/tree/main", ["`o/r`"]),
        (f"{HUB}@0.8", ["`o/r`"]),
        ("https://civitai.com/models/123", ["Download button", "`https://civitai.com/api/download/models/…`"]),
        ("https://civitai.com/models/123/a-name", ["Download button"]),
        ("civitai.com/models/123?modelVersionId=456", ["`https://civitai.com/api/download/models/456`"]),
        ("https://civitai.com/models/123?modelVersionId=456@0.8", ["`https://civitai.com/api/download/models/456`"]),
        ("urn:air:sdxl:lora:civitai:123@456", ["`https://civitai.com/api/download/models/456`"]),
        ("https://github.com/o/r", ["Copy the link of the file itself"]),
        ("https://drive.google.com/file/d/1/view", ["Copy the link of the file itself"]),
        ("https://w.example/lora.html", ["Copy the link of the file itself"]),
        ("https://w.example/preview.png", ["Copy the link of the file itself"]),
        ("https://huggingface.co/spaces/o/r", ["Copy the link of the file itself"]),
    ],
)
def test_a_page_is_refused_with_the_link_to_copy(catalogue: Catalogue, typed: str, copied: list[str]) -> None:
    said = english(refused(catalogue, "qwen-image", options=f"loras={typed}"))
    assert "page" in said
    assert all(words in said for words in copied), said
    assert "No quota was used." in said


def test_other_weights_are_held_to_the_same(catalogue: Catalogue) -> None:
    control = "controlnet.control_image_url=https://x.example/a.png controlnet.path="
    placed = request(catalogue, "sd35-large", options=f"{control}{HUB}/blob/main/x.safetensors")
    assert str(placed.options["controlnet"]).count(FILE) == 1
    assert len(placed.notices) == 1
    assert "`o/r`" in english(refused(catalogue, "sd35-large", options=f"{control}{HUB}"))


@each(
    "typed",
    ["mylora", "mylora:0.8", "mylora@0.8", "<lora:mylora:0.8>", '{"path":"mylora"}', '[{"scale":1}]', "owner/name@9",
     '{"path":{"a":1}}', "[1]", "[null]", "[[]]", '{"a":{"b":1}}', "owner/name:high", "True",
     '{"path":"a/b","scale":[]}'],
)  # fmt: skip
def test_a_refusal_never_shows_python(catalogue: Catalogue, typed: str) -> None:
    for options in (f"loras={typed}", {"loras": typed}):
        said = english(refused(catalogue, "qwen-image", options=options))
        for python in ("{'", "'}", "None", "['", "']", "False", "True`" if typed != "True" else "{'"):
            assert python not in said, said


@each("given", [{"a": [1, None, True]}, [True], True, 1.5, {"x": "y"}, b"x", {1: 2}, [{"k": 'v"'}]])
def test_no_option_shows_python_in_a_refusal(catalogue: Catalogue, given: object) -> None:
    for name in ("size", "steps", "acceleration", "output_format"):
        said = english(refused(catalogue, "flux-schnell", options={name: given}))
        for python in ("{'", "None", "True", "b'", "['"):
            assert python not in said, said


def test_a_bare_name_is_told_what_a_lora_looks_like(catalogue: Catalogue) -> None:
    said = english(refused(catalogue, "qwen-image", options="loras=mylora:0.8"))
    assert "`loras` can't be `mylora:0.8`" in said
    assert "each with its strength after `@` as in `owner/name@0.8`" in said
