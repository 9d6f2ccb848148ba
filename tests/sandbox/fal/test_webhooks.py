from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sandbox.fal import FakeFal
from tests.sandbox.fal.conftest import StartFakeFal, finish, submit

Received = asyncio.Queue[tuple[Mapping[str, str], bytes]]
Listen = Callable[..., Awaitable[tuple[str, Received]]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """A bot's callback address that answers with the given statuses, then 200."""
    runners: list[web.AppRunner] = []

    async def begin(*statuses: int) -> tuple[str, Received]:
        received: Received = asyncio.Queue()
        answers = list(statuses)

        async def take(request: web.Request) -> web.Response:
            received.put_nowait((dict(request.headers), await request.read()))
            return web.Response(status=answers.pop(0) if answers else 200, headers={"Location": "/elsewhere"})

        app = web.Application()
        app.router.add_post("/fal/{job}", take)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/fal/job-1?attempt=1", received

    yield begin
    for runner in runners:
        await runner.cleanup()


async def one(received: Received) -> tuple[Mapping[str, str], bytes]:
    async with asyncio.timeout(10):
        return await received.get()


async def verified(http: aiohttp.ClientSession, fake_fal: FakeFal, headers: Mapping[str, str], body: bytes) -> None:
    async with http.get(f"{fake_fal.url}/.well-known/jwks.json") as response:
        encoded = (await response.json())["keys"][0]["x"]
    stamp = headers["X-Fal-Webhook-Timestamp"]
    assert abs(time.time() - int(stamp)) < 300
    parts = (
        headers["X-Fal-Webhook-Request-Id"],
        headers["X-Fal-Webhook-User-Id"],
        stamp,
        hashlib.sha256(body).hexdigest(),
    )
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(encoded))
    key.verify(bytes.fromhex(headers["X-Fal-Webhook-Signature"]), "\n".join(parts).encode())


async def test_a_finished_job_calls_back_signed(fake_fal: FakeFal, http: aiohttp.ClientSession, listen: Listen) -> None:
    url, received = await listen()
    answer = await submit(http, fake_fal, query=f"?fal_webhook={quote(url, safe='')}")
    headers, body = await one(received)
    await verified(http, fake_fal, headers, body)
    content = json.loads(body)
    assert (content["request_id"], content["status"]) == (answer["request_id"], "OK")
    assert content["gateway_request_id"] == answer["gateway_request_id"]
    assert content["payload"] == await (await finish(http, answer)).json()


async def test_a_failed_job_calls_back_with_its_detail(
    fake_fal: FakeFal, http: aiohttp.ClientSession, listen: Listen
) -> None:
    url, received = await listen()
    await submit(http, fake_fal, query=f"?fal_webhook={quote(url, safe='')}", num_images=0)
    content = json.loads((await one(received))[1])
    assert (content["status"], content["error"]) == ("ERROR", "Invalid status code: 422")
    assert content["payload"]["detail"][0]["type"] == "greater_than_equal"


async def test_a_callback_is_repeated_until_it_is_taken(
    start: StartFakeFal, http: aiohttp.ClientSession, listen: Listen
) -> None:
    fake_fal = await start(webhook_pause_s=0.001)
    url, received = await listen(500, 503)
    await submit(http, fake_fal, query=f"?fal_webhook={quote(url, safe='')}")
    bodies = {(await one(received))[1] for _ in range(3)}
    assert len(bodies) == 1


async def test_a_redirect_ends_the_callback(start: StartFakeFal, http: aiohttp.ClientSession, listen: Listen) -> None:
    fake_fal = await start(webhook_pause_s=0.001)
    url, received = await listen(302)
    await submit(http, fake_fal, query=f"?fal_webhook={quote(url, safe='')}")
    await one(received)
    async with asyncio.timeout(10):
        while not fake_fal.counters.webhooks_failed:
            await asyncio.sleep(0.005)
    assert received.empty()


async def test_nobody_outside_this_machine_is_called(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    await finish(http, await submit(http, fake_fal, query="?fal_webhook=https%3A%2F%2Fexample.org%2Ffal"))
    async with asyncio.timeout(10):
        while not fake_fal.counters.webhooks_failed:
            await asyncio.sleep(0.005)
    assert fake_fal.counters.webhooks_delivered == 0
