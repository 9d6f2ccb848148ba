from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from bot.errors import BadPicture
from bot.media import Attachments, fetch_input, inputs, inspect, mask_matches
from bot.media.inputs import from_discord
from tests.english import english, raises_saying
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
async def attachments(host: Host) -> AsyncIterator[Attachments]:
    async with Attachments(extra_origins=[host.url], max_bytes=2_000_000) as attachments:
        yield attachments


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_clean_picture_is_taken_as_it_is_whatever_its_name(
    host: Host, attachments: Attachments, kind: str
) -> None:
    body = saved(noise(40, 30), kind)
    host.gives(body, Content_Type="text/html")

    taken = await attachments.fetch(f"{host.url}/attachments/1/2/evil.exe?ex=1&is=2&hm=%2F3", option="image")

    assert taken.body == body
    assert (taken.width, taken.height) == (40, 30)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_cameras_notes_are_taken_out_and_the_picture_turned_upright(
    host: Host, attachments: Attachments, kind: str
) -> None:
    body = saved(noise(40, 30), kind, exif=exif(orientation=6))
    assert opened(body).getexif()
    host.gives(body)

    taken = await attachments.fetch(f"{host.url}/x", option="image")

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

    assert b"xmpmeta" not in (await attachments.fetch(f"{host.url}/x", option="image")).body


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty"),
    "text in a png": (b"hello", "it is something else, not a picture"),
    "a page": (b"<html></html>", "it is a web page, not a picture"),
    "a GIF": (saved(noise(40, 30), "GIF"), "it is a GIF file"),
    "an SVG": (b"<svg></svg>", "it is a SVG file"),
    "a bomb": (bomb(), r"it is too large to handle \(14265×14265, more than 32 megapixels\)"),
    "33 megapixels": (png_of(6600, 5000), r"it is too large to handle \(6600×5000"),
    "0×0": (png_of(0, 0), "it has no size"),
    "cut off": (saved(noise(40, 30), "PNG")[:-20], "it is cut off"),
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
        await attachments.fetch(f"{host.url}/x.png", option="mask")

    assert "No quota was used" in english(caught.value)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "FETCH_PAUSES_S", (0.0, 0.0))


@pytest.mark.parametrize("status", [403, 404])
async def test_an_expired_attachment_is_said(host: Host, attachments: Attachments, status: int) -> None:
    host.gives(b"", status)
    with raises_saying(BadPicture, match="attach it again"):
        await attachments.fetch(f"{host.url}/x.png", option="image")

    assert host.calls == 1


@pytest.mark.usefixtures("hasty")
async def test_a_broken_connection_and_a_servers_error_are_tried_again(host: Host, attachments: Attachments) -> None:
    async def fail_once(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if host.calls == 1:
            request.transport.abort()
        return web.Response(status=503) if host.calls == 2 else web.Response(body=picture(8, 8).body)

    host.reply = fail_once
    await attachments.fetch(f"{host.url}/x.png", option="image")
    assert host.calls == 3


@pytest.mark.usefixtures("hasty")
async def test_a_server_that_keeps_failing_is_said(host: Host, attachments: Attachments) -> None:
    host.gives(b"", 500)
    with raises_saying(BadPicture, match="please try again"):
        await attachments.fetch(f"{host.url}/x.png", option="image")
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
        await attachments.fetch(f"{host.url}/x.png", option="image")


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
        await attachments.fetch(url, option="image")


async def test_without_an_extra_origin_loopback_is_not_asked(host: Host) -> None:
    async with aiohttp.ClientSession() as session:
        with raises_saying(BadPicture, match="not a Discord attachment"):
            await fetch_input(session, f"{host.url}/x.png", option="image", max_bytes=1000)
    assert host.calls == 0


async def test_a_redirect_out_of_discord_is_not_followed(host: Host, attachments: Attachments) -> None:
    host.gives(b"", 302, Location="http://127.0.0.1:9/secret.png")
    with raises_saying(BadPicture, match="not a Discord attachment"):
        await attachments.fetch(f"{host.url}/x.png", option="image")


def test_discords_two_hosts_are_known() -> None:
    assert from_discord(URL("https://cdn.discordapp.com/attachments/1/2/x.png?ex=1"))
    assert from_discord(URL("https://media.discordapp.net/attachments/1/2/x.png"))


# ---------------------------------------------------------------------- masks


async def test_an_equal_mask_is_left_alone() -> None:
    mask = picture(64, 48)
    assert await mask_matches(picture(64, 48), mask) is mask


async def test_a_mask_of_the_same_shape_is_resized_with_hard_edges() -> None:
    image = noise(32, 24, "L").point(lambda value: 255 if value > 127 else 0)

    resized = await mask_matches(picture(64, 48), inspect(saved(image, "PNG")))

    assert (resized.width, resized.height) == (64, 48)
    colours = opened(resized.body).getcolors()
    assert colours is not None
    assert {value for _, value in colours} == {0, 255}


async def test_a_mask_of_another_shape_is_refused_with_both_sizes() -> None:
    with raises_saying(BadPicture, match="it is 64×64 but the picture is 64×48"):
        await mask_matches(picture(64, 48), picture(64, 64))


async def test_a_mask_that_does_not_decode_is_refused() -> None:
    with raises_saying(BadPicture, match="it is damaged"):
        await mask_matches(picture(64, 48), inspect(png_of(32, 24, b"rubbish" * 50)))
