"""The fake fal's own bill: what every end of a request costs, and how each model bills."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import aiohttp
import fal_client
import pytest

from bot.catalogue.model import Model
from bot.domain.request import Json
from sandbox.fal import FakeFal, Status
from sandbox.fal.bill import Bill, Reason, Work, rate_of
from tests.sandbox.fal.conftest import INPAINT, KEY, SCHNELL, StartFakeFal, finish, png, send, submit
from tests.sandbox.fal.test_painter import by_endpoint

SEEDREAM = "fal-ai/bytedance/seedream/v4/text-to-image"
IMAGEN = "fal-ai/imagen4/preview"


def _said(response: aiohttp.ClientResponse) -> str | None:
    return response.headers.get("X-Fal-Billable-Units")


async def _painting(fake_fal: FakeFal, answer: dict[str, Any]) -> None:
    async with asyncio.timeout(5):
        while fake_fal.job(answer["request_id"]).painting_px is None:
            await asyncio.sleep(0.01)


async def _cancel(http: aiohttp.ClientSession, answer: dict[str, Any]) -> None:
    async with http.put(answer["cancel_url"]) as response:
        assert response.status == 202


async def test_what_is_delivered_is_billed_once_and_told(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal, num_images=3)
    response = await finish(http, answer)
    async with http.get(answer["response_url"]) as again:
        assert _said(again) == _said(response) == "3"
    [line] = fake_fal.bill.of(answer["request_id"])
    assert (line.reason, line.units, line.usd) == (Reason.DELIVERED, Decimal(3), Decimal("0.009"))
    assert fake_fal.bill.usd == Decimal("0.009")


async def test_a_flagged_picture_is_billed_like_any_other(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    response = await finish(http, await submit(http, fake_fal, prompt="nsfw", num_images=2))
    assert (response.status, _said(response)) == (200, "2")
    assert fake_fal.bill.usd_by_reason == {"flagged": Decimal("0.006")}


async def test_a_partner_that_refuses_what_it_painted_bills_it(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    response = await finish(http, await submit(http, fake_fal, IMAGEN, prompt="nsfw", num_images=2))
    assert (response.status, _said(response)) == (422, "2")
    assert fake_fal.bill.usd_by_reason == {"refused": Decimal("0.0796")}


async def test_cancelling_bills_what_is_being_painted_and_not_what_waits(
    start: StartFakeFal, http: aiohttp.ClientSession
) -> None:
    fake_fal = await start(concurrency=1, paint_s=60.0)
    painted, waiting = await submit(http, fake_fal, num_images=4), await submit(http, fake_fal)
    await _painting(fake_fal, painted)
    await _cancel(http, waiting)
    await _cancel(http, painted)
    assert _said(await finish(http, waiting)) == "0"
    response = await finish(http, painted)
    assert (response.status, _said(response)) == (499, "4")
    assert fake_fal.bill.usd_by_reason == {"cancelled": Decimal("0.012")}
    assert not fake_fal.bill.of(waiting["request_id"])


async def test_a_cancel_that_comes_too_late_is_billed_as_delivered(
    start: StartFakeFal, http: aiohttp.ClientSession
) -> None:
    fake_fal = await start(paint_s=0.2)
    fake_fal.set("late_cancel", True)
    answer = await submit(http, fake_fal)
    await _painting(fake_fal, answer)
    await _cancel(http, answer)
    assert (await finish(http, answer)).status == 200
    assert [line.reason for line in fake_fal.bill.charges] == [Reason.DELIVERED]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "fault", "answer"),
    [
        (SCHNELL, {"num_images": 9}, None, (422, "0")),
        (SCHNELL, {"prompt": "forbidden-content"}, None, (422, "0")),
        (IMAGEN, {}, "content_policy", (422, "0")),
        (INPAINT, {"image_url": "https://nowhere.example/a.png", "mask_image_url": "data:,"}, None, (422, "0")),
        (SCHNELL, {}, "job_error", (503, None)),
    ],
)
async def test_what_fails_before_or_by_fals_own_fault_costs_nothing(
    start: StartFakeFal, endpoint: str, arguments: dict[str, Json], fault: str | None, answer: tuple[int, str | None]
) -> None:
    fake_fal = await start()
    if fault is not None:
        fake_fal.set(fault, True)
    async with aiohttp.ClientSession(headers={"Authorization": f"Key {KEY}"}) as http:
        response = await finish(http, await send(http, fake_fal, endpoint, arguments))
    assert (response.status, _said(response)) == answer
    assert fake_fal.bill.usd == 0


async def test_what_never_started_costs_nothing(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("stuck_queue", True)
    headers = {"X-Fal-Request-Timeout": "0.05"}
    async with http.post(f"{fake_fal.url}/{SCHNELL}", json={"prompt": "a cat"}, headers=headers) as response:
        answer = await response.json()
    response = await finish(http, answer)
    assert (response.status, _said(response)) == (504, "0")
    assert fake_fal.bill.usd == 0


async def test_a_submit_whose_answer_got_lost_is_billed_all_the_same(
    fake_fal: FakeFal, http: aiohttp.ClientSession
) -> None:
    fake_fal.faults.lost_answers = 1.0
    with pytest.raises(aiohttp.ClientError):
        await submit(http, fake_fal)
    fake_fal.faults.lost_answers = 0.0
    await finish(http, await submit(http, fake_fal))
    async with asyncio.timeout(5):
        while not all(job.status is Status.COMPLETED for job in fake_fal.queue.jobs.values()):
            await asyncio.sleep(0.01)
    assert fake_fal.bill.usd == Decimal("0.006")


async def test_a_result_that_nobody_can_fetch_any_more_is_billed(
    fake_fal: FakeFal, http: aiohttp.ClientSession
) -> None:
    fake_fal.set("result_expired", True)
    assert (await finish(http, await submit(http, fake_fal))).status == 404
    assert fake_fal.bill.usd == Decimal("0.003")


async def test_fal_can_keep_its_bill_to_itself(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.faults.bill_untold = True
    assert _said(await finish(http, await submit(http, fake_fal))) is None
    assert fake_fal.bill.usd == Decimal("0.003")
    fake_fal.faults.clear()
    assert _said(await finish(http, await submit(http, fake_fal))) == "1"


async def test_the_bill_can_be_read_from_outside(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    first = await submit(http, fake_fal)
    await finish(http, first)
    await finish(http, await submit(http, fake_fal, IMAGEN))
    async with http.get(f"{fake_fal.url}/bill") as response:
        assert await response.json() == {
            "usd": "0.0428",
            "charges": 2,
            "usd_by_reason": {"delivered": "0.0428"},
            "usd_by_endpoint": {SCHNELL: "0.003", IMAGEN: "0.0398"},
        }
    async with http.get(f"{fake_fal.url}/bill?lines=1") as response:
        lines = (await response.json())["lines"]
    assert lines[0] == {
        "request_id": first["request_id"],
        "endpoint_id": SCHNELL,
        "reason": "delivered",
        "units": "1",
        "usd": "0.003",
    }
    async with aiohttp.ClientSession() as stranger, stranger.get(f"{fake_fal.url}/bill") as response:
        assert response.status == 401


async def test_an_edited_picture_is_billed_in_its_own_size_up_to_four_megapixels(
    fake_fal: FakeFal, http: aiohttp.ClientSession, fal: fal_client.AsyncClient
) -> None:
    for size, said in (((640, 480), "0.31"), ((3000, 2000), "4.19")):
        urls = [await fal.upload(png(colour, size), "image/png") for colour in ((10, 20, 30), (255, 255, 255))]
        answer = await submit(http, fake_fal, INPAINT, image_url=urls[0], mask_image_url=urls[1])
        response = await finish(http, answer)
        assert (response.status, _said(response)) == (200, said)


RATES: list[tuple[str, dict[str, Json], list[tuple[int, int]], str]] = [
    (SCHNELL, {}, [(1024, 768)], "0.003"),
    (SCHNELL, {}, [(1024, 768), (1024, 1024)], "0.009"),
    ("fal-ai/z-image/turbo", {}, [(1000, 1000)], "0.005"),
    ("fal-ai/z-image/turbo", {"enable_prompt_expansion": True}, [(1000, 1000)] * 2, "0.0125"),
    (INPAINT, {"enable_prompt_expansion": True}, [(640, 480)] * 2, "0.0086"),
    (SEEDREAM, {"max_images": 6}, [(4096, 4096)] * 5, "0.15"),
    ("fal-ai/stable-diffusion-v35-large", {}, [(2048, 2048)] * 4, "1.0907"),
    ("fal-ai/hidream-i1-full", {}, [(1024, 1024)], "0.0525"),
    ("fal-ai/ideogram/v3", {"rendering_speed": "TURBO"}, [(1024, 1024)], "0.03"),
    ("fal-ai/ideogram/v3", {}, [(1024, 1024)], "0.06"),
    ("fal-ai/ideogram/v3", {"rendering_speed": "QUALITY"}, [(1024, 1024)] * 8, "0.72"),
    ("fal-ai/recraft/v2/text-to-image", {}, [(1024, 1024)], "0.022"),
    ("fal-ai/recraft/v2/text-to-image", {"style": "icon/outline"}, [(1024, 1024)], "0.044"),
    ("fal-ai/gpt-image-1/text-to-image/byok", {"quality": "low", "prompt": "x" * 400}, [(1024, 1024)], "0.0115"),
    ("fal-ai/gpt-image-1/text-to-image/byok", {"prompt": "x" * 4}, [(1536, 1024)] * 2, "0.500005"),
    ("fal-ai/z-image/base", {}, [(2048, 2048)], "0.1"),
]


@pytest.mark.parametrize(("endpoint", "arguments", "sizes_px", "usd"), RATES)
def test_every_model_bills_in_its_own_way(
    models: tuple[Model, ...], endpoint: str, arguments: dict[str, Json], sizes_px: list[tuple[int, int]], usd: str
) -> None:
    model, bill = by_endpoint(models, endpoint), Bill()
    said = bill.charge("x", model, Work.of(model, arguments, sizes_px), Reason.DELIVERED)
    assert bill.usd == Decimal(usd)
    assert Decimal(said) * rate_of(model).usd == bill.usd


def test_every_model_of_ours_is_on_the_rate_card(models: tuple[Model, ...]) -> None:
    import sandbox.fal.bill

    assert set(sandbox.fal.bill._RATES) == {model.endpoint for model in models}


async def test_prices_are_told_as_documented(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    wanted = f"{SCHNELL},fal-ai/ideogram/v3,fal-ai/z-image/base,fal-ai/nothing"
    async with http.get(f"{fake_fal.url}/v1/models/pricing?endpoint_id={wanted}") as response:
        assert (await response.json())["prices"] == [
            {"endpoint_id": SCHNELL, "unit_price": 0.003, "unit": "megapixels", "currency": "USD"},
            {"endpoint_id": "fal-ai/ideogram/v3", "unit_price": 0.03, "unit": "images", "currency": "USD"},
        ]
    for query in ("", "?endpoint_id=" + ",".join(f"a/{number}" for number in range(51))):
        async with http.get(f"{fake_fal.url}/v1/models/pricing{query}") as response:
            assert response.status == 400
    fake_fal.faults.pricing_refused = True
    async with http.get(f"{fake_fal.url}/v1/models/pricing?endpoint_id={SCHNELL}") as response:
        assert response.status == 403
