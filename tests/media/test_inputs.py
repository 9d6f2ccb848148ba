from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from PIL import Image
from yarl import URL

from bot.domain.picture import InputNeeds, PreparedInput
from bot.errors import BadPicture
from bot.media import inputs
from bot.media.inputs import Attachments, fetch_attachment, from_discord, prepare_input, prepare_mask
from bot.media.workers import ImageWorkers
from tests.english import english, raises_saying
from tests.media.hostile import two_headers_png
from tests.media.paint import bomb, exif, noise, opened, picture, png_of, saved


@dataclass
class Host:
    """A server that answers with whatever a test sets."""

    url: str
    reply: Callable[[web.Request], Awaitable[web.StreamResponse]]
    calls: int = 0

    def gives(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Always this answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def reply(_: web.Request) -> web.StreamResponse:
            return web.Response(body=body, status=status, headers=named)

        self.reply = reply


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async def nothing(_: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    here = Host("", nothing)

    async def handle(request: web.Request) -> web.StreamResponse:
        here.calls += 1
        return await here.reply(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield here
    await runner.cleanup()


@pytest.fixture
async def attachments(host: Host, workers: ImageWorkers) -> AsyncIterator[Attachments]:
    async with Attachments(workers, extra_origins=[host.url], max_bytes=2_000_000) as attachments:
        yield attachments


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_clean_picture_is_taken_as_it_is_whatever_its_name(
    host: Host, attachments: Attachments, kind: str
) -> None:
    body = saved(noise(40, 30), kind)
    host.gives(body, Content_Type="text/html")

    taken = (
        await attachments.fetch(f"{host.url}/attachments/1/2/evil.exe?ex=1&is=2&hm=%2F3", option="image", owner=1)
    ).picture

    assert taken.body == body
    assert (taken.width, taken.height) == (40, 30)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_cameras_notes_are_taken_out_and_the_picture_turned_upright(
    host: Host, attachments: Attachments, kind: str
) -> None:
    body = saved(noise(40, 30), kind, exif=exif(orientation=6))
    assert opened(body).getexif()
    host.gives(body)

    taken = (await attachments.fetch(f"{host.url}/x", option="image", owner=1)).picture

    assert opened(taken.body).format == kind
    assert not opened(taken.body).getexif()
    assert b"Camera & Co" not in taken.body
    assert (taken.width, taken.height) == (30, 40)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_xmp_is_taken_out(host: Host, attachments: Attachments, kind: str) -> None:
    xmp = b"<x:xmpmeta><gps>52.5</gps></x:xmpmeta>"
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        notes = PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", xmp.decode())
        body = saved(noise(40, 30), kind, pnginfo=notes)
    else:
        body = saved(noise(40, 30), kind, xmp=xmp)
    assert b"xmpmeta" in body
    host.gives(body)

    assert b"xmpmeta" not in (await attachments.fetch(f"{host.url}/x", option="image", owner=1)).picture.body


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty"),
    "text in a png": (b"hello", "it is something else, not a picture"),
    "a page": (b"<html></html>", "it is a web page, not a picture"),
    "a JPEG XL": (b"\xff\x0a" + b"\0" * 40, "models can't read JPEG XL files"),
    "a film": (b"\0\0\0\x18ftypmp42\0\0\0\0", "it is a video, not a picture"),
    "an SVG": (b"<svg></svg>", "models can't read SVG files"),
    "a bomb": (bomb(), r"it is too large to handle \(14265×14265, more than 64 megapixels\)"),
    "65 megapixels": (png_of(13_000, 5000), r"it is too large to handle \(13000×5000"),
    "0×0": (png_of(0, 0), "it has no size"),
    "cut off": (saved(noise(40, 30), "PNG")[:-400], "it is cut off"),
    "a JPEG cut off": (saved(noise(300, 200), "JPEG")[:-4_000], "it is cut off"),
    "two headers": (two_headers_png(), "it is built in a way"),
    "too many bytes": (saved(noise(900, 900), "PNG"), "it is larger than 1 MiB"),
    "damaged, with notes": (
        saved(noise(40, 30), "WEBP", exif=exif())[:60]
        + b"\xff" * 800
        + saved(noise(40, 30), "WEBP", exif=exif())[860:],
        "it is damaged",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_every_bad_attachment_gets_its_sentence(host: Host, attachments: Attachments, case: str) -> None:
    body, words = REFUSED[case]
    host.gives(body)

    with raises_saying(BadPicture, match=f"given as `mask`: {words}") as caught:
        await attachments.fetch(f"{host.url}/x.png", option="mask", owner=1)

    assert "No quota was used" in english(caught.value)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "FETCH_PAUSES_S", (0.0, 0.0))


@pytest.mark.parametrize("status", [403, 404])
async def test_an_expired_attachment_is_said(host: Host, attachments: Attachments, status: int) -> None:
    host.gives(b"", status)
    with raises_saying(BadPicture, match="attach it again"):
        await attachments.fetch(f"{host.url}/x.png", option="image", owner=1)

    assert host.calls == 1


@pytest.mark.usefixtures("hasty")
async def test_a_broken_connection_and_a_servers_error_are_tried_again(host: Host, attachments: Attachments) -> None:
    async def fail_once(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if host.calls == 1:
            request.transport.abort()
        return web.Response(status=503) if host.calls == 2 else web.Response(body=picture(8, 8).body)

    host.reply = fail_once
    await attachments.fetch(f"{host.url}/x.png", option="image", owner=1)
    assert host.calls == 3


@pytest.mark.usefixtures("hasty")
async def test_a_server_that_keeps_failing_is_said(host: Host, attachments: Attachments) -> None:
    host.gives(b"", 500)
    with raises_saying(BadPicture, match="Please try again"):
        await attachments.fetch(f"{host.url}/x.png", option="image", owner=1)
    assert host.calls == 3


@pytest.mark.usefixtures("hasty")
async def test_an_unreachable_host_is_said(host: Host, attachments: Attachments) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        await asyncio.sleep(0)
        return web.Response()

    host.reply = drop
    with raises_saying(BadPicture, match="try again"):
        await attachments.fetch(f"{host.url}/x.png", option="image", owner=1)


OTHERS = [
    "https://example.com/attachments/1/2/x.png",
    "http://cdn.discordapp.com/attachments/1/2/x.png",
    "https://cdn.discordapp.com.example.com/x.png",
    "https://cdn.discordapp.com:8443/x.png",
    "https://cdn.discordapp.com@example.com/x.png",
    "https://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:1/x.png",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
    "",
    "https://[::1",
]


@pytest.mark.parametrize("url", OTHERS)
async def test_only_discord_and_the_sandbox_are_asked(attachments: Attachments, url: str) -> None:
    assert not attachments.is_attachment(url)
    with raises_saying(BadPicture, match="not a Discord attachment"):
        await attachments.fetch(url, option="image", owner=1)


async def test_without_an_extra_origin_loopback_is_not_asked(host: Host) -> None:
    async with aiohttp.ClientSession() as session:
        with raises_saying(BadPicture, match="not a Discord attachment"):
            await fetch_attachment(session, f"{host.url}/x.png", option="image", max_bytes=1000)
    assert host.calls == 0


async def test_a_redirect_out_of_discord_is_not_followed(host: Host, attachments: Attachments) -> None:
    host.gives(b"", 302, Location="http://127.0.0.1:9/secret.png")
    with raises_saying(BadPicture, match="not a Discord attachment"):
        await attachments.fetch(f"{host.url}/x.png", option="image", owner=1)


def test_discords_two_hosts_are_known() -> None:
    assert from_discord(URL("https://cdn.discordapp.com/attachments/1/2/x.png?ex=1"))
    assert from_discord(URL("https://media.discordapp.net/attachments/1/2/x.png"))


# ---------------------------------------------------------------------- masks


async def masked(workers: ImageWorkers, mask: bytes, of: bytes | None = None) -> PreparedInput:
    """A mask for a picture of 64 × 48, or for this one."""
    image = await prepare_input(workers, of or picture(64, 48).body, option="image", owner=1)
    return await prepare_mask(workers, mask, picture=image, owner=1)


def halves(size: tuple[int, int] = (64, 48), dark: int = 0, light: int = 255) -> Image.Image:
    """A mask: the left half dark, the right half light."""
    image = Image.new("L", size, dark)
    image.paste(light, (size[0] // 2, 0, *size))
    return image


async def test_a_sound_mask_is_left_alone(workers: ImageWorkers) -> None:
    body = saved(halves(), "PNG")
    assert (await masked(workers, body)).picture.body == body


async def test_a_mask_of_the_same_shape_is_resized_with_hard_edges(workers: ImageWorkers) -> None:
    image = noise(32, 24, "L").point(lambda value: 255 if value > 127 else 0)

    resized = (await masked(workers, saved(image, "PNG"))).picture

    assert (resized.width, resized.height) == (64, 48)
    colours = opened(resized.body).getcolors()
    assert colours is not None
    assert {value for _, value in colours} == {0, 255}


async def test_a_mask_is_made_as_small_as_its_picture_has_become(workers: ImageWorkers) -> None:
    image = await prepare_input(
        workers, saved(noise(640, 480), "JPEG"), option="image", owner=1, needs=InputNeeds(max_pixels=320 * 240)
    )
    mask = await prepare_mask(workers, saved(halves((640, 480)), "PNG"), picture=image, owner=1)
    assert (mask.picture.width, mask.picture.height) == (image.picture.width, image.picture.height) == (320, 240)


async def test_a_mask_of_another_shape_is_refused_with_both_sizes(workers: ImageWorkers) -> None:
    with raises_saying(BadPicture, match="it is 64×64 but the picture is 64×48"):
        await masked(workers, picture(64, 64).body)


async def test_a_mask_that_does_not_decode_is_refused(workers: ImageWorkers) -> None:
    with raises_saying(BadPicture, match="it is damaged"):
        await masked(workers, png_of(32, 24, b"rubbish" * 50))


def strokes(ground: tuple[int, int, int, int], colour: tuple[int, int, int, int]) -> bytes:
    """A square drawn on a ground."""
    image = Image.new("RGBA", (64, 48), ground)
    image.paste(colour, (20, 10, 40, 30))
    return saved(image, "PNG")


FLATTENED = {
    "white strokes on transparent white": (strokes((255, 255, 255, 0), (255, 255, 255, 255)), "mask_light_is_drawn"),
    "white strokes on transparent black": (strokes((0, 0, 0, 0), (255, 255, 255, 255)), "mask_light_is_drawn"),
    "black with an erased hole": (strokes((0, 0, 0, 255), (0, 0, 0, 0)), "mask_erased_is_white"),
    "black with an erased hole that hides white": (strokes((0, 0, 0, 255), (255, 255, 255, 0)), "mask_erased_is_white"),
    "a photo with an erased hole": (strokes((90, 60, 120, 255), (90, 60, 120, 0)), "mask_erased_is_white"),
    "black strokes on nothing": (strokes((0, 0, 0, 0), (0, 0, 0, 255)), "mask_drawn_is_white"),
}


@pytest.mark.parametrize("case", FLATTENED)
async def test_a_masks_transparency_is_flattened_so_that_the_square_is_white(workers: ImageWorkers, case: str) -> None:
    body, rule = FLATTENED[case]

    mask = await masked(workers, body)

    image = opened(mask.picture.body)
    assert image.mode == "L"
    assert (image.getpixel((30, 20)), image.getpixel((5, 5))) == (255, 0)
    (notice,) = mask.notices
    assert notice.code == rule


def square(ground: str, colour: str, kind: str = "PNG") -> bytes:
    """A square painted on a ground, without transparency."""
    image = Image.new("RGB", (64, 48), ground)
    image.paste(colour, (20, 10, 40, 30))
    return saved(image, kind)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("ground", "colour"),
    [("white", "blue"), ("white", "red"), ("black", "green"), ("white", "yellow"), ("gray", "lime")],
)
async def test_what_is_painted_in_colour_is_white_whatever_the_ground(
    workers: ImageWorkers, ground: str, colour: str, kind: str
) -> None:
    mask = await masked(workers, square(ground, colour, kind))

    image = opened(mask.picture.body).convert("L")
    assert (image.getpixel((30, 20)), image.getpixel((5, 5))) == (255, 0)
    assert [notice.code for notice in mask.notices] == ["mask_colour_is_white"]


async def test_masks_in_black_and_white_and_of_two_colours_stay_as_they_are(workers: ImageWorkers) -> None:
    for ground, colour in [("white", "black"), ("black", "white"), ("blue", "yellow")]:
        assert (await masked(workers, square(ground, colour))).notices == ()


SENSELESS = {
    "all black": (saved(Image.new("L", (64, 48)), "PNG"), "all black"),
    "all white": (saved(Image.new("RGB", (64, 48), "white"), "JPEG"), "all white"),
    "nearly black": (saved(Image.new("L", (64, 48), 3), "JPEG", quality=50), "all black"),
    "one grey": (saved(Image.new("L", (64, 48), 128), "PNG"), "one grey"),
    "nothing drawn": (saved(Image.new("RGBA", (64, 48), (255, 255, 255, 0)), "PNG"), "empty"),
}


@pytest.mark.parametrize("case", SENSELESS)
async def test_a_mask_that_can_only_waste_money_is_refused(workers: ImageWorkers, case: str) -> None:
    body, words = SENSELESS[case]
    with raises_saying(BadPicture, match=words):
        await masked(workers, body)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_the_photo_itself_is_no_mask(workers: ImageWorkers, kind: str) -> None:
    photo = noise(16, 12).resize((640, 480))
    again = saved(photo.resize((320, 240)), kind)

    with raises_saying(BadPicture, match="the picture itself"):
        await masked(workers, again, of=saved(photo, "JPEG"))


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("hides", [False, True], ids=["emptied", "hidden"])
@pytest.mark.parametrize("hole", [(200, 100, 400, 300), (10, 10, 600, 440)], ids=["small", "large"])
async def test_of_the_photo_itself_with_an_erased_hole_the_hole_is_white(
    workers: ImageWorkers, hole: tuple[int, int, int, int], hides: bool, light: bool
) -> None:
    photo = noise(16, 12).resize((640, 480))
    if light:
        photo = photo.point(lambda value: 150 + value * 100 // 255)
    kept = Image.new("L", photo.size, 255)
    kept.paste(0, hole)
    erased = photo.convert("RGBA")
    if not hides:
        erased.paste((0, 0, 0, 0), hole)
    erased.putalpha(kept)

    mask = await masked(workers, saved(erased, "PNG"), of=saved(photo, "JPEG"))

    image = opened(mask.picture.body)
    assert (image.getpixel((300, 200)), image.getpixel((5, 470))) == (255, 0)
    assert [notice.code for notice in mask.notices] == ["mask_erased_is_white"]


async def test_the_photo_itself_with_a_useless_alpha_is_no_mask(workers: ImageWorkers) -> None:
    photo = noise(16, 12).resize((640, 480))
    opaque = photo.convert("RGBA")
    opaque.putalpha(250)
    with raises_saying(BadPicture, match="the picture itself"):
        await masked(workers, saved(opaque, "PNG"), of=saved(photo, "JPEG"))


async def test_the_same_file_is_no_mask(workers: ImageWorkers) -> None:
    body = saved(noise(64, 48), "PNG")
    with raises_saying(BadPicture, match="the picture itself"):
        await masked(workers, body, of=body)


async def test_a_black_and_white_drawing_may_have_a_mask_that_looks_like_it(workers: ImageWorkers) -> None:
    mask = await masked(workers, saved(halves(), "PNG"), of=saved(halves((640, 480)), "JPEG"))
    assert (mask.picture.width, mask.picture.height) == (640, 480)
