from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import aiohttp
import fal_client
import pytest

from bot.domain.request import Json
from sandbox.fal import FakeFal
from tests.sandbox.fal.conftest import SCHNELL, StartFakeFal, finish, submit


async def events(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    text = (await response.read()).decode()
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]


async def test_the_unmodified_client_gets_a_picture(fake_fal: FakeFal, fal: fal_client.AsyncClient) -> None:
    handle = await fal.submit(SCHNELL, arguments={"prompt": "a cat", "seed": 7})
    seen = [type(event) async for event in handle.iter_events(with_logs=True, interval=0.001)]
    result = await handle.get()
    assert seen[-1] is fal_client.Completed
    assert result["seed"] == 7
    assert result["has_nsfw_concepts"] == [False]
    assert (result["images"][0]["width"], result["images"][0]["height"]) == (1024, 768)


async def test_submit_answers_with_urls_of_owner_and_alias_only(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal, "fal-ai/bytedance/seedream/v4/text-to-image")
    base = f"{fake_fal.url}/fal-ai/bytedance/requests/{answer['request_id']}"
    assert answer["status"] == "IN_QUEUE"
    assert answer["queue_position"] == 0
    assert answer["response_url"] == base
    assert answer["status_url"] == f"{base}/status"
    assert answer["cancel_url"] == f"{base}/cancel"
    assert answer["gateway_request_id"] != answer["request_id"]


async def test_a_handle_rebuilt_from_the_id_is_the_same(fake_fal: FakeFal, fal: fal_client.AsyncClient) -> None:
    handle = await fal.submit(SCHNELL, arguments={"prompt": "a cat"})
    rebuilt = await fal.get_handle(SCHNELL, handle.request_id)
    assert (rebuilt.status_url, rebuilt.response_url) == (handle.status_url, handle.response_url)


async def test_statuses_are_202_until_completed_and_logs_are_null_unless_asked_for(
    fake_fal: FakeFal, http: aiohttp.ClientSession
) -> None:
    fake_fal.set("stuck_queue", True)
    answer = await submit(http, fake_fal)
    async with http.get(answer["status_url"]) as response:
        waiting = await response.json()
        assert response.status == 202
    fake_fal.set("stuck_queue", False)
    await finish(http, answer)
    async with http.get(answer["status_url"]) as response:
        ended = await response.json()
        assert response.status == 200
    async with http.get(answer["status_url"] + "?logs=1") as response:
        with_logs = await response.json()
    assert (waiting["status"], waiting["queue_position"], waiting["logs"]) == ("IN_QUEUE", 0, None)
    assert (ended["status"], ended["logs"]) == ("COMPLETED", None)
    assert ended["metrics"]["inference_time"] > 0
    assert "error" not in ended
    assert len(with_logs["logs"]) == 5


async def test_the_stream_tells_each_log_line_once_and_closes(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("stuck_queue", True)
    answer = await submit(http, fake_fal, num_inference_steps=12)
    async with http.get(answer["status_url"] + "/stream?logs=1") as response:
        fake_fal.set("stuck_queue", False)
        told = await events(response)
    lines = [line["message"] for event in told for line in event["logs"] or []]
    assert response.content_type == "text/event-stream"
    assert [told[0]["status"], told[-1]["status"]] == ["IN_QUEUE", "COMPLETED"]
    assert [re.search(r"\d+/12", line)[0] for line in lines] == ["0/12", "3/12", "6/12", "9/12", "12/12"]  # type: ignore[index]
    assert re.fullmatch(r" 50%\|█████     \| 6/12 \[00:00<00:00, +[\d.]+it/s\]", lines[2])


async def test_polled_logs_are_cumulative(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal)
    await finish(http, answer)
    sizes = []
    for _ in range(2):
        async with http.get(answer["status_url"] + "?logs=true") as response:
            sizes.append(len((await response.json())["logs"]))
    assert sizes == [5, 5]


async def test_partner_models_log_nothing(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal, "fal-ai/imagen4/preview")
    await finish(http, answer)
    async with http.get(answer["status_url"] + "?logs=1") as response:
        assert (await response.json())["logs"] == []


async def test_a_silent_stream_sends_heartbeats(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.heartbeat_s = 0.01
    fake_fal.set("stuck_queue", True)
    answer = await submit(http, fake_fal)
    async with http.get(answer["status_url"] + "/stream") as response:
        assert (await response.content.readline()).startswith(b"data:")
        await response.content.readline()
        assert await response.content.readline() == b": ping\n"


async def test_jobs_beyond_the_account_cap_wait_and_move_up(start: StartFakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal = await start(concurrency=2, paint_s=30)
    answers = [await submit(http, fake_fal, seed=number) for number in range(5)]
    await asyncio.sleep(0)
    assert (fake_fal.queue.running, fake_fal.queue.waiting) == (2, 3)
    async with http.get(answers[4]["status_url"]) as response:
        assert (await response.json())["queue_position"] == 2
    async with http.put(answers[2]["cancel_url"]):
        pass
    async with http.get(answers[4]["status_url"]) as response:
        assert (await response.json())["queue_position"] == 1
    fake_fal.queue.concurrency = 0
    fake_fal.queue.resume()
    assert (fake_fal.queue.running, fake_fal.queue.waiting) == (4, 0)


async def test_a_waiting_job_hears_on_its_stream_that_it_moved_up(
    start: StartFakeFal, http: aiohttp.ClientSession
) -> None:
    fake_fal = await start(concurrency=1, paint_s=0.05)
    answers = [await submit(http, fake_fal, seed=number) for number in range(3)]
    async with http.get(answers[2]["status_url"] + "/stream") as response:
        told = await events(response)
    assert [event["status"] for event in told][-1] == "COMPLETED"
    assert told[0]["queue_position"] == 1


async def test_the_result_before_completion_is_400(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("stuck_queue", True)
    answer = await submit(http, fake_fal)
    async with http.get(answer["response_url"]) as response:
        assert response.status == 400
        assert await response.json() == {"detail": "Request is still in progress"}


async def test_a_job_that_does_not_start_in_time_is_given_up(fake_fal: FakeFal, fal: fal_client.AsyncClient) -> None:
    fake_fal.set("stuck_queue", True)
    handle = await fal.submit(SCHNELL, arguments={"prompt": "a cat"}, start_timeout=1.01)
    last = [event async for event in handle.iter_events(interval=0.05)][-1]
    with pytest.raises(fal_client.client.FalClientHTTPError) as caught:
        await handle.get()
    assert isinstance(last, fal_client.Completed)
    assert last.error_type == "request_timeout"
    assert caught.value.status_code == 504
    assert caught.value.response_headers["x-fal-request-timeout-type"] == "user"


async def test_cancelling_a_waiting_job_removes_it_at_once(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.set("stuck_queue", True)
    answer = await submit(http, fake_fal)
    async with http.put(answer["cancel_url"]) as response:
        assert (response.status, await response.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    async with http.get(answer["status_url"]) as response:
        status = await response.json()
    async with http.get(answer["response_url"]) as response:
        assert response.status == 499
        assert response.headers["X-Fal-Billable-Units"] == "0"
    assert (status["status"], status["error_type"]) == ("COMPLETED", "client_cancelled")
    assert fake_fal.queue.waiting == 0


async def test_cancelling_what_is_being_painted_stops_it_soon(start: StartFakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal = await start(paint_s=60)
    answer = await submit(http, fake_fal)
    await asyncio.sleep(0.01)
    async with http.put(answer["cancel_url"]) as response:
        assert response.status == 202
    assert (await finish(http, answer)).status == 499
    assert fake_fal.queue.running == 0


async def test_cancelling_too_late_is_said(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal)
    await finish(http, answer)
    async with http.put(answer["cancel_url"]) as response:
        assert (response.status, await response.json()) == (400, {"status": "ALREADY_COMPLETED"})
    async with http.put(f"{fake_fal.url}/fal-ai/flux-1/requests/nobody/cancel") as response:
        assert (response.status, await response.json()) == (404, {"status": "NOT_FOUND"})


async def test_a_late_cancel_lets_the_painting_finish(start: StartFakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal = await start(paint_s=0.1)
    fake_fal.set("late_cancel", True)
    answer = await submit(http, fake_fal)
    await asyncio.sleep(0.01)
    async with http.put(answer["cancel_url"]) as response:
        assert response.status == 202
    assert (await finish(http, answer)).status == 200


async def test_unknown_requests_and_endpoints_are_404(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{fake_fal.url}/fal-ai/flux-1/requests/nobody/status") as response:
        assert (response.status, await response.json()) == (404, {"status": "NOT_FOUND"})
    async with http.post(f"{fake_fal.url}/fal-ai/flux-1/nothing", json={}) as response:
        assert (response.status, await response.json()) == (404, {"detail": "Path /nothing not found"})


async def test_a_job_is_not_found_under_another_app(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal)
    async with http.get(answer["status_url"].replace("flux-1", "qwen-image")) as response:
        assert response.status == 404


async def test_the_full_endpoint_form_and_response_are_served_too(
    fake_fal: FakeFal, http: aiohttp.ClientSession
) -> None:
    answer = await submit(http, fake_fal)
    await finish(http, answer)
    async with http.get(f"{fake_fal.url}/{SCHNELL}/requests/{answer['request_id']}/response") as response:
        assert response.status == 200


async def test_the_result_says_what_is_billed(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    size: Json = {"width": 1500, "height": 1000}
    result = await finish(http, await submit(http, fake_fal, num_images=3, image_size=size))
    assert result.headers["X-Fal-Billable-Units"] == "6"
    assert len((await result.json())["images"]) == 3


async def test_large_or_unstored_results_expire(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal.queue.result_life_s = -1
    kept = await finish(http, await submit(http, fake_fal))
    async with http.post(
        f"{fake_fal.url}/{SCHNELL}", json={"prompt": "a cat"}, headers={"X-Fal-Store-IO": "0"}
    ) as response:
        unstored = await finish(http, await response.json())
    assert (kept.status, unstored.status) == (200, 404)


async def test_requests_can_be_listed_with_what_was_sent(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    first = await submit(http, fake_fal, seed=1)
    await finish(http, first)
    second = await submit(http, fake_fal, seed=2)
    await finish(http, second)
    await finish(http, await submit(http, fake_fal, "fal-ai/qwen-image"))
    url = f"{fake_fal.url}/v1/models/requests/by-endpoint?endpoint_id={SCHNELL}&expand=payloads&limit=1"
    async with http.get(url) as response:
        page = await response.json()
    async with http.get(f"{url}&cursor={page['next_cursor']}") as response:
        rest = await response.json()
    assert [item["request_id"] for item in page["items"]] == [second["request_id"]]
    assert page["items"][0]["json_input"]["seed"] == 2
    assert page["items"][0]["status_code"] == 200
    assert [item["request_id"] for item in rest["items"]] == [first["request_id"]]
    assert not rest["has_more"]


async def test_requests_that_have_not_started_are_not_listed(start: StartFakeFal, http: aiohttp.ClientSession) -> None:
    fake_fal = await start(paint_s=30.0, concurrency=1)
    answers = [await submit(http, fake_fal, seed=number) for number in range(2)]
    async with http.get(answers[0]["status_url"] + "/stream") as stream:
        while b"IN_PROGRESS" not in await stream.content.readline():
            pass
    async with http.get(f"{fake_fal.url}/v1/models/requests/by-endpoint?endpoint_id={SCHNELL}") as response:
        items = (await response.json())["items"]
    assert [item["request_id"] for item in items] == [answers[0]["request_id"]]
    assert items[0]["ended_at"] is None
    assert "json_input" not in items[0]


async def test_every_call_is_counted_per_job(
    fake_fal: FakeFal, http: aiohttp.ClientSession, anyone: aiohttp.ClientSession
) -> None:
    answer = await submit(http, fake_fal, seed=5)
    result = await (await finish(http, answer)).json()
    async with anyone.get(result["images"][0]["url"]) as response:
        assert response.content_type == "image/png"
        await response.read()
    asked = fake_fal.requests_of(answer["request_id"])
    assert asked == {"submit": 1, "stream": 1, "result": 1, "media": 1}
    assert fake_fal.counters.calls == 4
    assert fake_fal.accepted[0].arguments == {"prompt": "a cat", "seed": 5}
    assert fake_fal.accepted[0].request_id == answer["request_id"]


async def test_arguments_the_model_does_not_know_are_noticed(fake_fal: FakeFal, http: aiohttp.ClientSession) -> None:
    answer = await submit(http, fake_fal, sharpness=3)
    assert fake_fal.job(answer["request_id"]).unknown_arguments == ("sharpness",)
    assert (await finish(http, answer)).status == 200


async def test_hundreds_of_watched_jobs_are_cheap(start: StartFakeFal) -> None:
    fake_fal = await start(paint_s=0.2)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers={"Authorization": "Key key-id:key-secret"}, connector=connector) as http:
        began_s = time.process_time()
        answers = await asyncio.gather(*(submit(http, fake_fal, seed=number) for number in range(300)))
        results = await asyncio.gather(*(finish(http, answer) for answer in answers))
        spent_s = time.process_time() - began_s
    assert {result.status for result in results} == {200}
    assert fake_fal.counters.duplicates == 0
    # Client and server together; some 2 ms a job on an idle machine.
    assert spent_s / 300 < 0.02
