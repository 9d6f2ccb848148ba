"""Pictures as people really attach them: what fal gets of them, and what the card tells about it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from sandbox.discord import Message
from tests.e2e.sandbox_driver import SandboxDriver, a_mask, a_picture, in_process_bot
from tests.media.hostile import heic, motion_photo
from tests.media.paint import noise, saved

pytestmark = pytest.mark.asyncio(loop_scope="module")

INPAINT = "z-image-inpaint"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxDriver]:
    async with in_process_bot(tmp_path_factory.mktemp("bot")) as made:
        yield made


def upload(sandbox: SandboxDriver, name: str, body: bytes, content_type: str | None = "image/png") -> dict[str, Any]:
    """An attachment of which Discord says nothing more than this."""
    made = sandbox.discord.upload("ada", name, body)
    for key in ("width", "height", "content_type"):
        made.pop(key, None)
    return {**made, **({"content_type": content_type} if content_type else {})}


def given_to_fal(sandbox: SandboxDriver, field: str = "input_image_urls") -> Image.Image:
    """The picture of the latest request."""
    value = list(sandbox.fal.queue.jobs.values())[-1].arguments[field]
    url = value[0] if isinstance(value, list) else value
    assert isinstance(url, str)
    image = Image.open(io.BytesIO(sandbox.fal.files.read(url)))
    image.load()
    return image


def frames(kind: str) -> bytes:
    return saved(noise(64, 48), kind, save_all=True, append_images=[Image.new("RGB", (64, 48))])


PHOTOS = {
    "HEIC with a PNG's name": ("cat.png", heic(noise(64, 48)), "image/png"),
    "HEIC without a type": ("IMG_1.heic", heic(noise(64, 48), b"mif1"), None),
    "AVIF": ("cat.avif", saved(noise(64, 48), "AVIF"), "image/avif"),
    "BMP of no known type": ("cat", saved(noise(64, 48), "BMP"), "application/octet-stream"),
    "a motion photo": ("PXL.MP.jpg", motion_photo(noise(64, 48)), "image/jpeg"),
    "CMYK": ("print.jpg", saved(noise(64, 48).convert("CMYK"), "JPEG"), "image/jpeg"),
    "a JPEG called video": ("clip.mp4.jpg", saved(noise(64, 48), "JPEG", comment=b"x"), "application/octet-stream"),
}


@pytest.mark.parametrize("case", PHOTOS)
async def test_whatever_the_file_is_called_fal_gets_a_plain_picture(sandbox: SandboxDriver, case: str) -> None:
    await sandbox.paint(model="omnigen-v2", image=upload(sandbox, *PHOTOS[case]))

    image = given_to_fal(sandbox)
    assert image.format in {"PNG", "JPEG"}
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert not image.getexif()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
async def test_that_only_the_first_frame_counts_is_said(sandbox: SandboxDriver, kind: str) -> None:
    message = await sandbox.paint(model="omnigen-v2", image=upload(sandbox, "cat.gif", frames(kind)))
    assert "only its first frame is used" in message.text()


async def test_a_huge_photo_is_made_smaller_and_its_owner_told_once(sandbox: SandboxDriver) -> None:
    photo = saved(Image.new("RGB", (8_160, 6_144), (90, 120, 30)), "JPEG")

    message = await sandbox.paint(model="omnigen-v2", image=upload(sandbox, "photo.jpg", photo, "image/jpeg"))

    width, height = given_to_fal(sandbox).size
    assert width * height <= 4_096 * 4_096
    assert abs(width / height - 8_160 / 6_144) < 0.01
    assert told(message) == [f"from 8160×6144 to {width}×{height}"]
    again = await sandbox.ended(await sandbox.press("ada", message, "Again"))
    assert told(again) == told(message)


def told(message: Message) -> list[str]:
    """What is said about a smaller picture."""
    lines = [line for line in message.text().splitlines() if "Your picture was made smaller" in line]
    return [line.partition(", ")[2].partition(":")[0] for line in lines]


async def test_how_a_mask_with_see_through_parts_is_understood_is_said(sandbox: SandboxDriver) -> None:
    mask = Image.new("RGBA", (96, 64), (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (10, 10, 50, 50))

    message = await sandbox.paint(
        model=INPAINT,
        image=upload(sandbox, "cat.png", saved(noise(96, 64), "PNG")),
        mask=upload(sandbox, "mask.png", saved(mask, "PNG")),
    )

    assert "see-through parts" in message.text()
    flat = given_to_fal(sandbox, "mask_image_url")
    assert (flat.mode, flat.getpixel((0, 0)), flat.getpixel((30, 30))) == ("L", 0, 255)


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (saved(Image.new("L", (96, 64)), "PNG"), "all black"),
        (saved(Image.new("RGB", (96, 64), "white"), "JPEG"), "all white"),
        (saved(Image.new("RGBA", (96, 64)), "PNG"), "empty"),
        (saved(noise(96, 64), "PNG"), "the picture itself"),
        (a_mask(64, 64), "64×64"),
    ],
)
async def test_a_mask_that_can_only_waste_money_costs_nothing(sandbox: SandboxDriver, mask: bytes, why: str) -> None:
    before, used = len(sandbox.fal.accepted), await sandbox.usage()

    message = await sandbox.ended(
        await sandbox.imagine(
            model=INPAINT,
            image=upload(sandbox, "cat.png", saved(noise(96, 64), "PNG")),
            mask=upload(sandbox, "mask.png", mask),
        )
    )

    assert why in message.text()
    assert "quota was" in message.text()
    assert len(sandbox.fal.accepted) == before
    assert (await sandbox.usage()).images_today == used.images_today


UNREADABLE = {
    "JPEG XL": (b"\xff\x0a" + b"x" * 100, "JPEG XL"),
    "a JPEG XL container": (b"\0\0\0\x0cJXL \r\n\x87\n" + b"x" * 100, "JPEG XL"),
    "SVG": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "PDF": (b"%PDF-1.7\n" + b"x" * 100, "PDF"),
    "a video": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"x" * 100, "video"),
    "a text": (b'{"prompt": "a fox"}', "text"),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_what_no_decoder_reads_is_refused_by_its_right_name(sandbox: SandboxDriver, case: str) -> None:
    body, name = UNREADABLE[case]
    before, used = len(sandbox.fal.accepted), await sandbox.usage()

    message = await sandbox.ended(await sandbox.imagine(model="omnigen-v2", image=upload(sandbox, "cat.png", body)))

    assert name in message.text()
    assert len(sandbox.fal.accepted) == before
    assert (await sandbox.usage()).images_today == used.images_today


async def test_a_sound_picture_is_not_commented_on(sandbox: SandboxDriver) -> None:
    message = await sandbox.paint(model="omnigen-v2", image=upload(sandbox, "cat.png", a_picture()))
    assert "Your picture" not in message.text()
