from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.media.fetch import BadAddress, get_capped


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
