"""What people get wrong: each a private sentence, nothing spent, nothing at fal, no traceback."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from sandbox.discord import Message
from tests.e2e.sandbox_driver import SandboxDriver, a_picture, in_process_bot

pytestmark = pytest.mark.asyncio(loop_scope="module")

INPAINT = "z-image-inpaint"
#: The buttons of a refusal.
WAYS_ON = {"Fix it", "Other fields", "Leave it out", "Go on without the picture", "Try again"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxDriver]:
    async with in_process_bot(tmp_path_factory.mktemp("bot")) as made:
        yield made


async def refused(sandbox: SandboxDriver, **options: Any) -> str:
    """The private sentence; nothing was accepted, spent or submitted."""
    before, used, jobs = len(sandbox.fal.accepted), await sandbox.usage(), len(await sandbox.jobs())
    record = await sandbox.imagine(**options)
    message = record.message
    assert message.ephemeral, message.text()
    assert set(message.buttons()) <= WAYS_ON
    said = harmless(message)
    assert await sandbox.usage() == used
    assert len(await sandbox.jobs()) == jobs
    assert len(sandbox.fal.accepted) == before
    return said


async def failed(sandbox: SandboxDriver, **options: Any) -> str:
    """The sentence on the card of a job that was accepted before its files were looked into; nothing was spent."""
    before, used = len(sandbox.fal.accepted), await sandbox.usage()
    message = await sandbox.ended(await sandbox.imagine(**options))
    assert not message.files
    said = harmless(message)
    after = await sandbox.usage()
    assert (after.images_today, after.guild_images_today) == (used.images_today, used.guild_images_today)
    assert len(sandbox.fal.accepted) == before
    return said


def harmless(message: Message) -> str:
    """The text, free of tracebacks, pings and marks that make a mess of the line."""
    said = message.text()
    for sign in ("Traceback", "Error(", "broke on my side", "@everyone", "\u202e", "\u200b\u200b"):
        assert sign not in said
    assert not message.data["mentions"]
    assert not message.data["mention_everyone"]
    assert "No quota was used." in said
    return said


# ---------------------------------------------------------------------- words and numbers


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "flux-schnel"}, ["`flux-schnel`", "Did you mean `flux-schnell`"]),
        ({"model": "dall-e-9 `\u202e**x**`"}, ["`/models` lists them all"]),
        ({"model": "imagen4", "steps": 20}, ["steps", "Imagen"]),
        ({"style": "any"}, ["style", "FLUX"]),
        ({"negative_prompt": "boats"}, ["negative_prompt"]),
        ({"steps": 99}, ["`steps` can't be `99`", "whole number from 1 to 12"]),
        ({"count": 0}, ["`count` can't be `0`"]),
        ({"count": -3}, ["`count`"]),
        ({"count": 5000}, ["`count`", "from 1 to 4"]),
        ({"seed": -2}, ["`seed`"]),
        ({"guidance": 1e9}, ["`guidance`", "20"]),
        ({"size": "huge"}, ["`size` can't be `huge`"]),
        ({"size": "0x0"}, ["`size`"]),
        ({"size": "99999999x1"}, ["`size`"]),
        ({"size": "-5x5"}, ["`size`"]),
        ({"size": "1/0"}, ["`size`"]),
        ({"options": "openai_api_key=x"}, ["openai_api_key"]),
        ({"options": "enable_safety_checker=false"}, ["enable_safety_checker"]),
        ({"options": "sync_mode=true"}, ["sync_mode"]),
        ({"options": "acceleration=warp"}, ["acceleration", "`warp`"]),
        ({"options": 'num_images="4'}, ["options"]),
        ({"options": "steps=3", "steps": 4}, ["steps"]),
        ({"prompt": "x" * 6000}, ["`prompt`", "characters"]),
        ({"prompt": "**__~~||``"}, ["nothing to paint"]),
        ({"prompt": "# > - *"}, ["nothing to paint"]),
        ({"prompt": "@everyone @here <@1> <@&2> <#3>"}, ["nothing to paint"]),
        ({"prompt": "e" + "\u0301" * 500}, ["accents"]),
        ({"prompt": "\u200b\u2060\ufeff\u00ad \u3164\u115f"}, ["nothing to paint"]),
        ({"prompt": "\u202e\u2066\u2069"}, ["nothing to paint"]),
    ],
)
async def test_a_value_the_model_does_not_take_is_named_with_what_is_allowed(
    sandbox: SandboxDriver, options: dict[str, Any], expected: list[str]
) -> None:
    said = await refused(sandbox, **options)
    for part in expected:
        assert part in said


@pytest.mark.parametrize(
    ("prompt", "reads"),
    [
        ("a fox 🦊 👩‍👩‍👧‍👦 🏳️‍🌈", "🦊 👩‍👩‍👧‍👦"),
        ("קוף מצייר תמונה", "קוף מצייר תמונה"),
        ("قط يرسم على الجدار", "قط يرسم"),
        ("abc \u202edlrow olleh\u202c def", "abc"),
        ("# not a title\n> nor a quote\n-# nor small", "not a title"),
        ("||hidden|| **bold** `code` [link](https://x.example)", "hidden"),
        ("@everyone look at this", "look"),
        ("Z̴̡̛a̸͝l̵͠g̷o̶ in moderation", "in moderation"),
        ("日本語の浮世絵", "日本語の浮世絵"),
    ],
)
async def test_unusual_words_are_painted_as_typed_and_shown_harmlessly(
    sandbox: SandboxDriver, prompt: str, reads: str
) -> None:
    message = await sandbox.paint(prompt=prompt)
    assert sandbox.fal.accepted[-1].arguments["prompt"] == prompt
    said = message.text()
    assert reads in said
    for sign in ("\u202e", "\u202d", "@everyone"):
        assert sign not in said
    assert said.count("<@") == said.count("\\<@")
    assert not any(line.startswith(("# ", "> ", "-# nor")) for line in said.splitlines())
    assert not re.search(r"(?<!\\)\|\|", said)
    assert not message.data["mentions"]
    assert not message.data["mention_everyone"]


async def test_a_prompt_as_long_as_the_model_takes_is_painted_and_shown_shortened(sandbox: SandboxDriver) -> None:
    prompt = "a very long walk along the coast " * 100
    message = await sandbox.paint(prompt=prompt)
    assert sandbox.fal.accepted[-1].arguments["prompt"] == prompt.strip()
    assert "…" in message.text()
    assert len(message.text()) <= 4000


# ---------------------------------------------------------------------- attachments


async def test_a_picture_for_a_model_that_takes_none_is_refused(sandbox: SandboxDriver) -> None:
    upload = sandbox.discord.upload("ada", "cat.png", a_picture())
    assert "image" in await refused(sandbox, model="flux-schnell", image=upload)


async def test_a_file_that_says_itself_that_it_is_no_picture_is_refused(sandbox: SandboxDriver) -> None:
    upload = sandbox.discord.upload("ada", "notes.txt", b"hello")
    said = await refused(sandbox, model="omnigen-v2", image=upload)
    assert "it is a text file, not a picture" in said


@pytest.mark.parametrize(
    "body",
    [
        b"just some words, called a picture",
        b"",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
        a_picture(256, 256, noise=True)[:5000],
        b"<html><body>hello</body></html>",
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    ],
    ids=["text", "empty", "torn header", "cut off", "html", "gif", "svg"],
)
async def test_a_file_that_lies_about_being_a_picture_costs_nothing(sandbox: SandboxDriver, body: bytes) -> None:
    upload = sandbox.discord.upload("ada", "cat.png", body)
    assert upload["content_type"] == "image/png"
    said = await failed(sandbox, model="omnigen-v2", image=upload)
    assert "`image`" in said or "picture" in said


#: Decodes to 588 MB.
BOMB_SIDE_PX = 14_000


@cache
def a_bomb() -> bytes:
    """A PNG of half a megabyte that decodes to a thousand times as much."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    lines = (b"\0" * (BOMB_SIDE_PX * 3 + 1)) * 100
    packed = b"".join(packer.compress(lines) for _ in range(BOMB_SIDE_PX // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", BOMB_SIDE_PX, BOMB_SIDE_PX, 8, 2, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    assert len(body) < 1_000_000
    return body


async def test_a_small_file_that_decodes_to_hundreds_of_megabytes_is_refused_by_its_announced_size(
    sandbox: SandboxDriver,
) -> None:
    upload = sandbox.discord.upload("ada", "bomb.png", a_bomb())
    upload["width"] = upload["height"] = BOMB_SIDE_PX
    said = await refused(sandbox, model="omnigen-v2", image=upload)
    assert "14000×14000 is too large" in said


async def test_nor_is_it_decoded_when_discord_announces_no_size(sandbox: SandboxDriver) -> None:
    upload = sandbox.discord.upload("ada", "bomb.png", a_bomb())
    upload = {name: value for name, value in upload.items() if name not in {"width", "height"}}
    said = await failed(sandbox, model="omnigen-v2", image=upload)
    assert "`image`" in said


async def test_a_mask_of_another_shape_is_refused_with_both_sizes(sandbox: SandboxDriver) -> None:
    image = sandbox.discord.upload("ada", "cat.png", a_picture(96, 64))
    mask = sandbox.discord.upload("ada", "mask.png", a_picture(64, 64))
    said = await failed(sandbox, model=INPAINT, image=image, mask=mask)
    assert "`mask`" in said
    assert "64×64" in said
    assert "96×64" in said


async def test_a_mask_of_the_same_shape_is_brought_to_size(sandbox: SandboxDriver) -> None:
    image = sandbox.discord.upload("ada", "cat.png", a_picture(96, 64))
    mask = sandbox.discord.upload("ada", "mask.png", a_picture(48, 32, noise=True))
    await sandbox.paint(model=INPAINT, image=image, mask=mask)
    url = str(sandbox.fal.accepted[-1].arguments["mask_image_url"])
    assert Image.open(io.BytesIO(sandbox.fal.files.read(url))).size == (96, 64)


@pytest.mark.parametrize(("given", "missing"), [("image", "mask"), ("mask", "image")])
async def test_inpainting_needs_a_picture_and_a_mask(sandbox: SandboxDriver, given: str, missing: str) -> None:
    upload = sandbox.discord.upload("ada", "cat.png", a_picture())
    assert f"`{missing}`" in await refused(sandbox, model=INPAINT, **{given: upload})


async def test_a_link_that_discord_has_let_die_is_a_sentence(sandbox: SandboxDriver) -> None:
    upload = sandbox.discord.upload("ada", "cat.png", a_picture())
    upload["url"] = upload["url"].replace("hm=", "hm=0")
    assert "attach it again" in await failed(sandbox, model="omnigen-v2", image=upload)


# ---------------------------------------------------------------------- channels


async def test_where_the_bot_may_not_post_it_says_what_it_needs(sandbox: SandboxDriver) -> None:
    said = await refused(sandbox, channel="read-only")
    assert "Send Messages" in said
    assert "Attach Files" in said
