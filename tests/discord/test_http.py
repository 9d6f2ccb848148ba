"""What is sent to Discord, and when it no longer may be."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.discord import http


@pytest.mark.parametrize(("hangs_s", "arrives"), [(0.0, True), (0.3, False)])
async def test_an_edit_is_not_sent_after_its_deadline(
    monkeypatch: pytest.MonkeyPatch, hangs_s: float, arrives: bool
) -> None:
    """The process hangs after the last check of the time, while it waits for a connection."""
    arrived: list[str] = []

    async def note(request: web.Request) -> web.Response:
        arrived.append(request.path)
        return web.json_response({})

    connect = aiohttp.TCPConnector.connect

    async def hanging(self: Any, *given: Any) -> Any:
        connection = await connect(self, *given)
        time.sleep(hangs_s)  # noqa: ASYNC251 - as SIGSTOP does
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", hanging)
    application = web.Application()
    application.router.add_patch("/api/v10/webhooks/1/2/messages/@original", note)
    throttle = http.Throttle()
    async with (
        TestServer(application) as server,
        aiohttp.ClientSession(connector=throttle.connector(), trace_configs=[throttle.trace()]) as session,
    ):
        url = server.make_url("/api/v10/webhooks/1/2/messages/@original")
        with http.as_progress(until=time.monotonic() + 0.2):
            if arrives:
                (await session.patch(url)).release()
            else:
                with pytest.raises(http.DeadlineExceeded):
                    await session.patch(url)
        assert len(arrived) == arrives
        (await session.patch(url)).release()  # any other call still goes throttle
        assert len(arrived) == arrives + 1
