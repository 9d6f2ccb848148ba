from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.media.fetch import RESERVE_STEP_BYTES, BadAddress, get_capped


class Everywhere(AbstractResolver):
    """Every name is this machine, so that a test can have an outside host."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Everywhere())) as session:
        yield session


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/in":
            raise web.HTTPFound(f"http://127.0.0.1:{request.url.port}/secret")
        if request.path == "/away":
            raise web.HTTPFound(f"http://elsewhere.example:{request.url.port}/picture")
        if request.path == "/unknown-length":
            answer = web.StreamResponse()
            await answer.prepare(request)
            for _ in range(30):
                await answer.write(b"x" * 100_000)
            return answer
        return web.Response(body=request.path.encode())

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_an_outside_host_can_not_send_us_to_our_own_machine(session: aiohttp.ClientSession, port: int) -> None:
    with pytest.raises(BadAddress):
        await get_capped(
            session, f"http://outside.example:{port}/in", max_bytes=100, timeout_s=5, may_follow=lambda _: True
        )


async def test_an_outside_host_may_send_us_to_another(session: aiohttp.ClientSession, port: int) -> None:
    body = await get_capped(
        session, f"http://outside.example:{port}/away", max_bytes=100, timeout_s=5, may_follow=lambda _: True
    )
    assert body == b"/picture"


async def test_what_it_takes_is_reserved_before_it_is_read(session: aiohttp.ClientSession, port: int) -> None:
    reserved: list[int] = []
    url = f"http://127.0.0.1:{port}/picture"
    assert await get_capped(session, url, max_bytes=100, timeout_s=5, reserve=reserved.append) == b"/picture"
    assert reserved == [8]


async def test_of_a_body_of_unknown_length_some_more_is_reserved_as_it_grows(
    session: aiohttp.ClientSession, port: int
) -> None:
    reserved: list[int] = []
    url = f"http://127.0.0.1:{port}/unknown-length"
    body = await get_capped(session, url, max_bytes=4_000_000, timeout_s=5, reserve=reserved.append)
    assert body == b"x" * 3_000_000
    assert reserved == [RESERVE_STEP_BYTES * steps for steps in (1, 2, 3)]


@pytest.mark.parametrize("path", ["/picture", "/unknown-length"])
async def test_a_reservation_that_is_refused_ends_the_download(
    session: aiohttp.ClientSession, port: int, path: str
) -> None:
    class Full(Exception):
        pass

    def refuse(_: int) -> None:
        raise Full

    with pytest.raises(Full):
        await get_capped(session, f"http://127.0.0.1:{port}{path}", max_bytes=4_000_000, timeout_s=5, reserve=refuse)


async def test_a_server_that_promises_more_than_it_sends_gives_no_picture(session: aiohttp.ClientSession) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\nhalf")
        writer.close()

    async with await asyncio.start_server(half, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(aiohttp.ClientPayloadError):
            await get_capped(session, url, max_bytes=9_000_000, timeout_s=5)


@pytest.mark.parametrize(
    "address", ["https://xn--/", f"https://{'a' * 300}.example/", "https://0/", "https://[::1", "//"]
)
async def test_a_host_that_is_none_is_a_bad_address(address: str) -> None:
    async with aiohttp.ClientSession() as plain:
        with pytest.raises(BadAddress):
            await get_capped(plain, address, max_bytes=100, timeout_s=5)
