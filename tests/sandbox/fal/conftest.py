"""The fake fal, and the two clients that drive it: the unmodified fal_client and plain aiohttp."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import fal_client
import fal_client.client as fal_module
import pytest
from PIL import Image

from bot.catalogue import load
from bot.catalogue.model import Model
from bot.domain.request import Json
from sandbox.fal import FakeFal

KEY = "key-id:key-secret"
SCHNELL = "fal-ai/flux-1/schnell"
INPAINT = "fal-ai/z-image/turbo/inpaint"

StartFakeFal = Callable[..., Awaitable[FakeFal]]


@pytest.fixture(scope="session")
def models() -> tuple[Model, ...]:
    return load(has_openai_key=True).models


@pytest.fixture
async def start(models: tuple[Model, ...]) -> AsyncIterator[StartFakeFal]:
    """Starts servers that are stopped afterwards; fast and cheap unless told otherwise."""
    started: list[FakeFal] = []

    async def begin(**options: object) -> FakeFal:
        chosen: dict[str, object] = {"models": models, "key": KEY, "speed": 0.001, "paint": "flat", **options}
        fake_fal = FakeFal(**chosen)  # type: ignore[arg-type]
        await fake_fal.start()
        started.append(fake_fal)
        return fake_fal

    yield begin
    for fake_fal in started:
        await fake_fal.stop()


@pytest.fixture
async def fake_fal(start: StartFakeFal) -> FakeFal:
    return await start()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Key {KEY}"}) as session:
        yield session


@pytest.fixture
async def anyone() -> AsyncIterator[aiohttp.ClientSession]:
    """A session without credentials, for public files."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def fal(fake_fal: FakeFal, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[fal_client.AsyncClient]:
    """The unmodified client, pointed at the fake fal by its module constants."""
    monkeypatch.setattr(fal_module, "QUEUE_URL_FORMAT", fake_fal.url + "/")
    monkeypatch.setattr(fal_module, "REST_URL", fake_fal.url)
    monkeypatch.setattr(fal_module, "CDN_URL", fake_fal.url)
    monkeypatch.setattr(fal_module, "BASE_DELAY", 0.001)
    client = fal_client.AsyncClient(key=KEY)
    yield client
    await (await client._client).aclose()


async def submit(
    http: aiohttp.ClientSession, fake_fal: FakeFal, endpoint: str = SCHNELL, /, *, query: str = "", **arguments: Json
) -> dict[str, Any]:
    """One accepted request's answer."""
    return await send(http, fake_fal, endpoint, arguments, query=query)


async def send(
    http: aiohttp.ClientSession, fake_fal: FakeFal, endpoint: str, arguments: dict[str, Json], *, query: str = ""
) -> dict[str, Any]:
    """The same with the arguments in one piece."""
    async with http.post(f"{fake_fal.url}/{endpoint}{query}", json={"prompt": "a cat", **arguments}) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


async def finish(http: aiohttp.ClientSession, answer: dict[str, Any]) -> aiohttp.ClientResponse:
    """Wait on the stream until the job has ended; the result's response, read."""
    async with http.get(answer["status_url"] + "/stream") as stream:
        assert stream.status == 200
        await stream.read()
    async with http.get(answer["response_url"]) as response:
        await response.read()
        return response


def png(colour: tuple[int, int, int], size: tuple[int, int] = (320, 240)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()
