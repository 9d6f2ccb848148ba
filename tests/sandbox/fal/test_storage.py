from __future__ import annotations

import asyncio
import base64
import io
from contextlib import suppress

import aiohttp
import fal_client
import pytest
from PIL import Image
from yarl import URL

from sandbox.fal import FakeFal
from tests.sandbox.fal.conftest import INPAINT, StartFakeFal, finish, png, submit

OMNIGEN = "fal-ai/omnigen-v2"


async def picture(anyone: aiohttp.ClientSession, result: aiohttp.ClientResponse, index: int = 0) -> Image.Image:
    async with anyone.get((await result.json())["images"][index]["url"]) as response:
        return Image.open(io.BytesIO(await response.read())).convert("RGB")


async def test_an_upload_by_the_client_is_public_and_unchanged(
    fake_fal: FakeFal, fal: fal_client.AsyncClient, anyone: aiohttp.ClientSession
) -> None:
    url = await fal.upload(b"\x89PNG-bytes", "image/png", "cat photo.png", repository="fal_v3", fallback_repository=[])
    async with anyone.get(url) as response:
        assert await response.read() == b"\x89PNG-bytes"
        assert response.content_type == "image/png"
    assert url.startswith(f"{fake_fal.url}/files/b/")
    assert url.endswith("catphoto.png")
    assert dict(fake_fal.counters.requests) == {"token": 1, "upload": 1, "media": 1}


async def test_a_large_upload_goes_in_parts(
    fake_fal: FakeFal, fal: fal_client.AsyncClient, anyone: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fal_client.client.MULTIPART_THRESHOLD", 10)
    monkeypatch.setattr("fal_client.client.MULTIPART_CHUNK_SIZE", 7)
    url = await fal.upload(b"0123456789abcdefghij", "image/png", "big.png")
    async with anyone.get(url) as response:
        assert await response.read() == b"0123456789abcdefghij"


async def test_the_old_upload_way_works_and_its_key_leak_is_noticed(
    fake_fal: FakeFal, fal: fal_client.AsyncClient, anyone: aiohttp.ClientSession
) -> None:
    url = await fal.upload(b"old", "image/png", "old.png", repository="fal", fallback_repository=[])
    async with anyone.get(url) as response:
        assert await response.read() == b"old"
    assert fake_fal.counters.keys_sent_to_media == 1


async def test_an_upload_that_breaks_off_is_no_error_of_ours(
    fake_fal: FakeFal, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with http.post(f"{fake_fal.url}/storage/auth/token?storage_type=fal-cdn-v3") as response:
        token = (await response.json())["token"]
    address = URL(fake_fal.url)
    reading, writing = await asyncio.open_connection(address.host, address.port)
    head = f"POST /files/upload HTTP/1.1\r\nHost: {address.authority}\r\nAuthorization: Bearer {token}\r\n"
    head += "Content-Length: 100\r\n\r\nhalf"
    writing.write(head.encode())
    async with asyncio.timeout(10):
        while not fake_fal.counters.requests["upload"]:
            await asyncio.sleep(0.01)
    writing.transport.abort()
    with suppress(ConnectionError):
        await reading.read()
    await asyncio.sleep(0.1)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_uploads_need_a_token(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{fake_fal.url}/files/upload", data=b"x") as response:
        assert response.status == 401


async def test_public_files_refuse_credentials(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    result = await (await finish(http, await submit(http, fake_fal))).json()
    async with http.get(result["images"][0]["url"]) as response:
        assert response.status == 400
    assert fake_fal.counters.keys_sent_to_media == 1


async def test_the_oldest_files_go_when_there_are_too_many(
    start: StartFakeFal, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession
) -> None:
    fake_fal = await start(paint="real")
    fake_fal.files.limit_bytes = 1
    urls = [
        (await (await finish(http, await submit(http, fake_fal, seed=n))).json())["images"][0]["url"] for n in (1, 2)
    ]
    statuses = []
    for url in urls:
        async with anyone.get(url) as response:
            statuses.append(response.status)
    assert statuses == [404, 200]


async def test_sync_mode_returns_the_picture_inside_the_answer(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    result = await (await finish(http, await submit(http, fake_fal, sync_mode=True))).json()
    head, _, payload = result["images"][0]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(payload))).size == (1024, 768)


async def test_inpainting_keeps_what_is_outside_the_mask(
    start: StartFakeFal, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession
) -> None:
    fake_fal = await start(paint="real")
    mask = Image.new("L", (320, 240), 0)
    mask.paste(255, (80, 60, 240, 200))
    out = io.BytesIO()
    mask.save(out, "PNG")
    given = "data:image/png;base64," + base64.b64encode(png((10, 200, 30))).decode()
    result = await finish(
        http,
        await submit(
            http,
            fake_fal,
            INPAINT,
            image_url=given,
            mask_image_url="data:image/png;base64," + base64.b64encode(out.getvalue()).decode(),
        ),
    )
    image = await picture(anyone, result)
    assert image.size == (320, 240)
    assert image.crop((0, 0, 320, 58)).getcolors() == [(320 * 58, (10, 200, 30))]
    assert image.crop((0, 202, 320, 240)).getcolors() == [(320 * 38, (10, 200, 30))]
    assert len(image.crop((80, 60, 240, 200)).getcolors(1 << 16) or range(99)) > 50


async def test_an_edit_shows_the_given_picture_through(
    start: StartFakeFal, fal: fal_client.AsyncClient, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession
) -> None:
    fake_fal = await start(paint="real")
    plain = await picture(anyone, await finish(http, await submit(http, fake_fal, OMNIGEN, seed=3)))
    red = "data:image/png;base64," + base64.b64encode(png((255, 0, 0))).decode()
    edited = await picture(
        anyone, await finish(http, await submit(http, fake_fal, OMNIGEN, seed=3, input_image_urls=[red]))
    )
    reddened = [
        image.crop((0, 0, 1024, 600)).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) for image in (plain, edited)
    ]
    assert reddened[0] != reddened[1]
    assert reddened[1][1] < reddened[0][1]  # type: ignore[index]


async def test_pictures_are_downloaded_from_own_storage_only(
    fake_fal: FakeFal, fal: fal_client.AsyncClient, http: aiohttp.ClientSession
) -> None:
    own = await fal.upload(png((1, 2, 3)), "image/png", "a.png")
    stranger = "http://127.0.0.1:9/cat.png"
    good = await finish(http, await submit(http, fake_fal, OMNIGEN, input_image_urls=[own]))
    bad = await finish(http, await submit(http, fake_fal, OMNIGEN, input_image_urls=[own, stranger]))
    entry = (await bad.json())["detail"][0]
    assert (good.status, bad.status) == (200, 422)
    assert (entry["type"], entry["loc"]) == ("file_download_error", ["body", "input_image_urls", 1])


async def test_what_is_no_picture_is_refused(
    fake_fal: FakeFal, fal: fal_client.AsyncClient, http: aiohttp.ClientSession
) -> None:
    url = await fal.upload(b"not a picture", "image/png", "a.png")
    result = await finish(http, await submit(http, fake_fal, OMNIGEN, input_image_urls=[url]))
    assert (await result.json())["detail"][0]["type"] == "image_load_error"
