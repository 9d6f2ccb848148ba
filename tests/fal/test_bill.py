"""What Easel counts for a picture is what the sandbox's fal.ai billed for it, for every model, over HTTP."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal

import pytest
from PIL import Image

from bot.catalogue import Catalogue, Model, arguments, load, parse
from bot.catalogue.prices import result_cost_usd
from bot.domain.job import FalRequest, Result
from bot.domain.request import GenerationRequest
from bot.fal import Fal
from sandbox.fal import FakeFal
from tests.catalogue.parsing import each

_ASKED: list[tuple[str, dict[str, object]]] = [
    ("flux-schnell", {"size": "1024x1024", "count": 3}),
    ("flux-schnell", {"size": "777x1333"}),
    ("z-image-turbo", {"options": "enable_prompt_expansion=yes", "count": 2}),
    ("z-image-inpaint", {}),
    ("qwen-image", {"size": "1999x1337"}),
    ("seedream-v3", {}),
    ("seedream-v4", {"count": 2, "options": "max_images=3"}),
    ("ideogram-v3", {"options": "rendering_speed=TURBO", "count": 2}),
    ("ideogram-v3", {"options": "rendering_speed=QUALITY"}),
    ("hidream", {"size": "2048x2048"}),
    ("hidream-fast", {}),
    ("sd35-large", {"size": "landscape_16_9", "count": 4}),
    ("omnigen-v2", {"count": 2}),
    ("recraft-v2", {"style": "vector_illustration/linocut"}),
    ("recraft-v2", {}),
    ("imagen4", {"count": 4}),
    ("imagen4-fast", {}),
    ("gpt-image-1", {"size": "1024x1536", "options": "quality=medium", "count": 2}),
]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(has_openai_key=True)


@pytest.fixture
async def sandbox_fal() -> AsyncIterator[FakeFal]:
    async with FakeFal(paint="flat", paint_s=0.01) as running:
        yield running


@pytest.fixture
async def client(sandbox_fal: FakeFal) -> AsyncIterator[Fal]:
    here = sandbox_fal.url
    async with Fal(key="a:b", queue_url=here, rest_url=here, cdn_url=here, api_url=here) as client:
        yield client


async def _request(model: Model, raw: dict[str, object], client: Fal) -> GenerationRequest:
    pictures = {}
    for option in model.needs:
        out = io.BytesIO()
        Image.new("RGB", (1500, 1100), (40, 90, 200)).save(out, "PNG")
        pictures[option.label] = await client.upload(out.getvalue(), "image/png", "picture.png")
    return parse(model, {"prompt": "a red panda in the snow", **pictures, **raw})


async def _painted(client: Fal, model: Model, request: GenerationRequest) -> tuple[FalRequest, Result]:
    body = arguments(model, request, safety_checker=True, openai_api_key="sk-x")
    sent = await client.submit(model.endpoint, body, start_timeout_s=60)
    async with asyncio.timeout(20), aclosing(client.watch(sent, expected_s=0.01)) as statuses:
        async for _ in statuses:
            pass
    return sent, await client.result(sent, model=model)


@each(("key", "raw"), _ASKED)
async def test_what_is_counted_is_what_was_billed(
    catalogue: Catalogue, client: Fal, sandbox_fal: FakeFal, key: str, raw: dict[str, object]
) -> None:
    model = catalogue.get(key)
    request = await _request(model, raw, client)
    sent, result = await _painted(client, model, request)

    counted = result_cost_usd(model, request, result)

    assert counted == sum((line.usd for line in sandbox_fal.bill.of(sent.request_id)), Decimal(0))
    assert request.cost_usd is not None
    assert 0 < counted <= request.cost_usd


@each(("key", "raw"), [one for one in _ASKED if one[0] not in {"z-image-turbo", "z-image-inpaint"}])
async def test_where_fal_tells_no_units_the_pictures_are_counted(
    catalogue: Catalogue, client: Fal, sandbox_fal: FakeFal, key: str, raw: dict[str, object]
) -> None:
    sandbox_fal.faults.bill_untold = True
    model = catalogue.get(key)
    request = await _request(model, raw, client)
    _, result = await _painted(client, model, request)

    counted = result_cost_usd(model, request, result)

    assert result.billable_units is None
    assert counted is not None
    assert sandbox_fal.bill.usd <= counted <= sandbox_fal.bill.usd * Decimal("1.01")
