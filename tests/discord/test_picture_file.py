from __future__ import annotations

import gc
import io
import weakref

import aiohttp
import discord
import pytest
from aiohttp import web

from bot.discord.picture_file import SLICE_BYTES, PictureFile

BODY = bytes(range(256)) * (SLICE_BYTES // 100)


class Server:
    """Keeps the files that were posted to it."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.url = ""

    async def _take(self, request: web.Request) -> web.Response:
        async for part in await request.multipart():
            assert isinstance(part, aiohttp.BodyPartReader)
            self.files.append((part.filename or "", bytes(await part.read())))
        return web.Response()

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        return runner


def form(file: discord.File) -> aiohttp.FormData:
    """As discord.py makes it for every attempt."""
    data = aiohttp.FormData(quote_fields=False)
    data.add_field("files[0]", file.fp, filename=file.filename, content_type="application/octet-stream")
    return data


async def test_a_picture_is_posted_from_its_buffer_as_often_as_needed() -> None:
    server = Server()
    runner = await server.start()
    file = discord.File(PictureFile(BODY), filename="a.png")
    async with aiohttp.ClientSession() as session:
        for attempt in range(2):
            file.reset(seek=attempt)
            async with session.post(server.url, data=form(file)) as response:
                assert response.status == 200
    await runner.cleanup()
    assert server.files == [("a.png", BODY)] * 2


async def test_it_is_sent_in_slices_that_are_no_copies() -> None:
    class Writer:
        slices: list[memoryview] = []  # noqa: RUF012

        async def write(self, chunk: memoryview) -> None:
            self.slices.append(chunk)

    await aiohttp.get_payload(PictureFile(BODY)).write(Writer())  # type: ignore[arg-type]
    assert all(chunk.obj is BODY for chunk in Writer.slices)
    assert b"".join(Writer.slices) == BODY
    assert max(map(len, Writer.slices)) == SLICE_BYTES


async def test_a_closed_file_is_freed_without_the_collector() -> None:
    """discord.File, once closed, leaves other objects in a reference cycle with their own `close`."""
    gc.collect()
    gc.disable()
    try:
        picture = PictureFile(BODY)
        file = discord.File(picture, filename="a.png")
        aiohttp.get_payload(file.fp)
        file.close()
        gone = weakref.ref(picture)
        del picture, file
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("offset", "whence"), [(3, io.SEEK_SET), (-5, io.SEEK_END), (0, io.SEEK_CUR)])
def test_it_reads_as_any_file(offset: int, whence: int) -> None:
    ours, usual = PictureFile(BODY), io.BytesIO(BODY)
    for file in (ours, usual):
        file.read(7)
    assert ours.seek(offset, whence) == usual.seek(offset, whence)
    assert (ours.read(4), ours.tell(), ours.read()) == (usual.read(4), usual.tell(), usual.read())
    assert ours.readable()
    assert ours.seekable()
