from __future__ import annotations

import asyncio
import io
import re

import aiohttp
import fal_client
import httpx
import pytest
from fal_client.client import FalClientHTTPError
from PIL import Image

from bot.domain.request import Json
from sandbox.fal import FakeFal
from tests.sandbox.fal.conftest import SCHNELL, StartFakeFal, finish, send, submit

IMAGEN = "fal-ai/imagen4/preview"


async def refused(
    fake_fal: FakeFal, http: aiohttp.ClientSession, endpoint: str = SCHNELL, **arguments: Json
) -> tuple[int, dict[str, Json]]:
    async with http.post(f"{fake_fal.url}/{endpoint}", json={"prompt": "a cat", **arguments}) as response:
        return response.status, await response.json()


async def test_bad_arguments_are_accepted_and_then_refused_by_the_result(
    fake_fal: FakeFal, http: aiohttp.ClientSession
) -> None:
    answer = await submit(http, fake_fal, num_images=9, output_format="bmp", num_inference_steps="many")
    result = await finish(http, answer)
    detail = (await result.json())["detail"]
    assert result.status == 422
    assert result.headers["X-Fal-Billable-Units"] == "0"
    assert {(entry["loc"][1], entry["type"]) for entry in detail} == {
        ("num_images", "less_than_equal"),
        ("output_format", "enum"),
        ("num_inference_steps", "int_parsing"),
    }
    assert {entry["loc"][0] for entry in detail} == {"body"}
    assert next(entry for entry in detail if entry["loc"][1] == "num_images")["input"] == 9


async def test_the_client_shows_validation_as_a_list(fake_fal: FakeFal, fal: fal_client.AsyncClient) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        await fal.subscribe(SCHNELL, arguments={})
    assert caught.value.status_code == 422
    assert caught.value.message[0]["type"] == "missing"  # type: ignore[index]
    assert caught.value.error_type is None


@pytest.mark.parametrize(
    ("endpoint", "name", "value", "kind"),
    [
        (SCHNELL, "image_size", "huge", "enum"),
        (SCHNELL, "image_size", {"width": 0, "height": 512}, "greater_than_equal"),
        (SCHNELL, "image_size", 7, "model_type"),
        (SCHNELL, "prompt", 3, "string_type"),
        (SCHNELL, "enable_safety_checker", "yes", "bool_type"),
        ("fal-ai/qwen-image", "guidance_scale", "much", "float_type"),
        ("fal-ai/qwen-image", "loras", [{}, {}, {}, {}], "sequence_too_long"),
        ("fal-ai/qwen-image", "loras", [{"scale": 1}], "missing"),
        ("fal-ai/recraft/v2/text-to-image", "colors", [{"r": 300}], "less_than_equal"),
        ("fal-ai/ideogram/v3", "color_palette", {}, "one_of"),
        ("fal-ai/ideogram/v3", "style_codes", "abc", "list_type"),
        ("fal-ai/stable-diffusion-v35-large", "controlnet", {"path": "x"}, "missing"),
        ("fal-ai/imagen4/preview", "aspect_ratio", "7:5", "enum"),
    ],
)
async def test_each_kind_of_option_is_checked(
    fake_fal: FakeFal, http: aiohttp.ClientSession, *, endpoint: str, name: str, value: Json, kind: str
) -> None:
    result = await finish(http, await send(http, fake_fal, endpoint, {name: value}))
    assert result.status == 422
    assert kind in {entry["type"] for entry in (await result.json())["detail"]}


async def test_content_policy_refuses_the_next_prompt_only(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("content_policy", True)
    result = await finish(http, await submit(http, fake_fal))
    entry = (await result.json())["detail"][0]
    assert result.status == 422
    assert (entry["type"], entry["loc"], entry["input"]) == ("content_policy_violation", ["body", "prompt"], "a cat")
    assert (await finish(http, await submit(http, fake_fal))).status == 200


async def test_an_nsfw_picture_is_black_and_flagged(
    start: StartFakeFal, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession
) -> None:
    fake_fal = await start(paint="real")
    fake_fal.set("nsfw", True)
    content = await (await finish(http, await submit(http, fake_fal, num_images=2))).json()
    async with anyone.get(content["images"][0]["url"]) as response:
        picture = Image.open(io.BytesIO(await response.read()))
    assert content["has_nsfw_concepts"] == [True, True]
    assert picture.size == (1024, 768)
    assert picture.convert("RGB").getextrema() == ((0, 0), (0, 0), (0, 0))
    assert fake_fal.faults.nsfw == 0


async def test_a_partner_model_refuses_instead_of_flagging(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("nsfw", True)
    assert (await finish(http, await submit(http, fake_fal, IMAGEN))).status == 422


async def test_nothing_is_flagged_with_the_checker_off(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal, enable_safety_checker=False, prompt="nsfw")
    assert (await (await finish(http, answer)).json())["has_nsfw_concepts"] == [False]


async def test_flags_can_be_missing(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("no_flags", True)
    assert "has_nsfw_concepts" not in await (await finish(http, await submit(http, fake_fal))).json()


async def test_an_exhausted_balance_refuses_submits_and_upload_tokens(
    fake_fal: FakeFal, http: aiohttp.ClientSession
) -> None:
    fake_fal.set("balance_exhausted", True)
    status, body = await refused(fake_fal, http)
    assert status == 403
    assert "Exhausted balance" in str(body["detail"])
    async with http.post(f"{fake_fal.url}/storage/auth/token?storage_type=fal-cdn-v3", json={}) as response:
        assert response.status == 403
    assert fake_fal.counters.jobs == 0


async def test_a_wrong_or_missing_key_is_401(fake_fal: FakeFal, anyone: aiohttp.ClientSession) -> None:
    for headers in ({}, {"Authorization": "Key other"}, {"Authorization": "Bearer key-id:key-secret"}):
        async with anyone.post(f"{fake_fal.url}/{SCHNELL}", json={"prompt": "x"}, headers=headers) as response:
            assert response.status == 401
    assert fake_fal.counters.unauthorised == 3


async def test_a_gone_model_is_404_at_submit_or_in_the_result(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.faults.gone_endpoints.add(IMAGEN)
    assert await refused(fake_fal, http, IMAGEN) == (404, {"detail": "Path /preview not found"})
    fake_fal.faults.gone_at_result = True
    assert (await finish(http, await submit(http, fake_fal, IMAGEN))).status == 404


async def test_429_is_retried_by_the_client(fake_fal: FakeFal, fal: fal_client.AsyncClient) -> None:
    fake_fal.faults.rate_limited = 2
    await fal.submit(SCHNELL, arguments={"prompt": "a cat"})
    assert fake_fal.counters.jobs == 1


async def test_a_full_queue_is_429(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("stuck_queue", True)
    await submit(http, fake_fal)
    async with http.post(f"{fake_fal.url}/{SCHNELL}?fal_max_queue_length=1", json={"prompt": "x"}) as response:
        assert response.status == 429


async def test_fals_own_500_is_not_retried_but_nginx_502_is(fake_fal: FakeFal, fal: fal_client.AsyncClient) -> None:
    fake_fal.set("server_error", True)
    with pytest.raises(FalClientHTTPError) as caught:
        await fal.submit(SCHNELL, arguments={"prompt": "a cat"})
    assert caught.value.status_code == 500
    assert "x-fal-request-id" in caught.value.response_headers
    fake_fal.faults.gateway_error = 2
    await fal.submit(SCHNELL, arguments={"prompt": "a cat"})
    assert fake_fal.counters.jobs == 1


async def test_a_lost_answer_makes_the_naive_client_submit_twice(
    fake_fal: FakeFal, fal: fal_client.AsyncClient
) -> None:
    fake_fal.faults.lost_answers = 0.5
    await fal.submit(SCHNELL, arguments={"prompt": "a cat", "seed": 1})
    await fal.submit(SCHNELL, arguments={"prompt": "a cat", "seed": 2})
    assert fake_fal.counters.jobs == 3
    assert fake_fal.counters.duplicates == 1


async def test_a_slow_submit_has_taken_the_job_all_the_same(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.faults.slow_submit_s = 30
    with pytest.raises(TimeoutError):
        await http.post(f"{fake_fal.url}/{SCHNELL}", json={"prompt": "x"}, timeout=aiohttp.ClientTimeout(total=0.2))
    assert fake_fal.counters.jobs == 1


async def test_fal_down_answers_503_or_nothing(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("fal_down", True)
    async with http.post(f"{fake_fal.url}/{SCHNELL}", json={}) as response:
        assert response.status == 503
        assert "nginx" in await response.text()
        assert "x-fal-request-id" not in response.headers
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.post(f"{fake_fal.url}/{SCHNELL}", json={})
    assert fake_fal.counters.jobs == 0


async def test_the_client_gives_up_on_a_fal_that_is_down(
    fake_fal: FakeFal, fal: fal_client.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fal_client.client.MAX_ATTEMPTS", 2)
    fake_fal.set("fal_down", True)
    with pytest.raises((FalClientHTTPError, httpx.TransportError)):
        await fal.submit(SCHNELL, arguments={"prompt": "a cat"})


async def test_a_job_can_break_on_fals_side(fake_fal: FakeFal, fal: fal_client.AsyncClient) -> None:
    fake_fal.set("job_error", True)
    handle = await fal.submit(SCHNELL, arguments={"prompt": "a cat"})
    last = [event async for event in handle.iter_events(interval=0.001)][-1]
    with pytest.raises(FalClientHTTPError) as caught:
        await handle.get()
    assert isinstance(last, fal_client.Completed)
    assert last.error_type == "runner_disconnected"
    assert (caught.value.status_code, caught.value.error_type) == (503, "runner_disconnected")


async def test_a_slow_fal_takes_longer(start: StartFakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal = await start(paint_s=0.02)
    fake_fal.set("fal_slow", True)
    answer = await submit(http, fake_fal)
    await finish(http, answer)
    assert fake_fal.job(answer["request_id"]).inference_s == pytest.approx(0.12)


async def test_streams_can_be_missing_or_break_off(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("stuck_queue", True)
    answer = await submit(http, fake_fal)
    fake_fal.set("no_stream", True)
    async with http.get(answer["status_url"] + "/stream") as response:
        assert response.status == 404
    fake_fal.set("no_stream", False)
    fake_fal.set("dropped_streams", True)
    async with http.get(answer["status_url"] + "/stream") as response:
        fake_fal.set("stuck_queue", False)
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    assert fake_fal.counters.open_streams == 0


async def test_results_can_fail_once_or_be_gone(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal)
    fake_fal.set("result_error", True)
    assert (await finish(http, answer)).status == 503
    assert (await finish(http, answer)).status == 200
    fake_fal.set("result_expired", True)
    assert (await finish(http, answer)).status == 404


async def test_pictures_can_be_missing_broken_or_cut_short(
    fake_fal: FakeFal, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession
) -> None:
    url = (await (await finish(http, await submit(http, fake_fal))).json())["images"][0]["url"]
    fake_fal.set("media_error", True)
    async with anyone.get(url) as response:
        assert response.status == 500
    fake_fal.set("broken_picture", True)
    async with anyone.get(url) as response:
        assert response.content_type == "text/html"
    fake_fal.set("truncated_picture", True)
    with pytest.raises(aiohttp.ClientPayloadError):
        async with anyone.get(url) as response:
            await response.read()
    async with anyone.get(url) as response:
        assert response.status == 200


async def test_the_devtools_list_every_fault_and_are_told_when_one_is_used_up(
    fake_fal: FakeFal, http: aiohttp.ClientSession
) -> None:
    changes: list[bool] = []
    fake_fal.faults.on_change = lambda: changes.append(bool(fake_fal.faults.nsfw))
    entries = {str(entry["name"]): entry for entry in fake_fal.describe()}
    assert {"nsfw", "content_policy", "fal_slow", "fal_down", "balance_exhausted", "lost_answers"} <= set(entries)
    assert all(set(entry) == {"name", "label", "about", "kind", "value"} for entry in entries.values())
    hard = re.compile(r"API|\bsubmit|\bjob|\bstream|nginx|endpoint|NSFW|gateway|poll|truncat|_|\d{3} |\bfal\b(?!\.ai)")
    assert [entry for entry in entries.values() if hard.search(f"{entry['label']} {entry['about']}")] == []
    assert entries["balance_exhausted"]["label"] == "fal.ai is out of credit"
    assert {entry["kind"] for entry in entries.values()} == {"switch", "number"}
    fake_fal.set("nsfw", "on")
    await finish(http, await submit(http, fake_fal))
    assert changes == [True, False]


async def test_faults_refuse_nonsense_and_can_be_cleared(fake_fal: FakeFal) -> None:
    with pytest.raises(KeyError):
        fake_fal.set("on_change", True)
    with pytest.raises(ValueError, match="number"):
        fake_fal.set("lost_answers", [])
    fake_fal.set("lost_answers", "0.25")
    fake_fal.set("fal_down", "on")
    assert (fake_fal.faults.lost_answers, fake_fal.faults.fal_down) == (0.25, True)
    fake_fal.faults.clear()
    assert not any(entry["value"] for entry in fake_fal.describe())
    await asyncio.sleep(0)
