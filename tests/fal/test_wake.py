from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from aiohttp import web

from bot.fal import CompletedStatus, Fal, InQueueStatus, Status
from tests.fal.fake import COMPLETED, FAST, QUEUED, WORKING, FakeFal, event, hangs, html, json_reply, model, streams

#: Polling by itself would ask once in an hour.
SELDOM_POLLED = replace(
    FAST, margin_s=3600.0, first_poll_s=3600.0, poll_min_s=3600.0, poll_max_s=3600.0, poll_queued_max_s=3600.0
)


@pytest.fixture
async def polling(fake: FakeFal) -> AsyncIterator[Fal]:
    async with fake.fal(timings=SELDOM_POLLED, max_streams=0) as client:
        yield client


async def following(fal: Fal, fake: FakeFal, seen: list[Status], number: int = 1) -> None:
    async with aclosing(fal.watch(fake.request(number), expected_s=3600)) as watching:
        async for status in watching:
            seen.append(status)  # noqa: PERF401 - read meanwhile


async def test_a_callback_makes_a_polled_job_cost_three_calls(fake: FakeFal, polling: Fal) -> None:
    request = await polling.submit("owner/alias", {"prompt": "x"}, start_timeout_s=60)
    statuses: list[Status] = []
    async with asyncio.timeout(20):
        watching = asyncio.create_task(following(polling, fake, statuses))
        await asyncio.sleep(0.02)
        assert polling.wake(request.request_id)
        await watching
    await polling.result(request, model=model())
    assert statuses == [CompletedStatus()]
    assert fake.kinds() == ["submit", "status", "result"]


async def test_a_poll_under_way_when_the_callback_comes_is_followed_by_another(fake: FakeFal) -> None:
    let_go = asyncio.Event()

    async def before_the_end(request: web.Request) -> web.StreamResponse:
        await let_go.wait()
        return await json_reply(WORKING)(request)

    fake.enqueue("status", before_the_end)
    async with fake.fal(timings=replace(SELDOM_POLLED, first_poll_s=0.0), max_streams=0) as fal, asyncio.timeout(20):
        statuses: list[Status] = []
        watching = asyncio.create_task(following(fal, fake, statuses))
        await fake.received(1)
        assert fal.wake("r1")
        let_go.set()
        await watching
        assert statuses[-1] == CompletedStatus()
        assert fake.kinds() == ["status", "status"]


async def test_a_callback_that_comes_too_early_is_followed_by_frequent_polls(fake: FakeFal) -> None:
    fake.enqueue("status", json_reply(QUEUED), json_reply(WORKING), json_reply(WORKING))
    async with fake.fal(timings=replace(SELDOM_POLLED, poll_min_s=0.01), max_streams=0) as fal, asyncio.timeout(20):
        statuses: list[Status] = []
        watching = asyncio.create_task(following(fal, fake, statuses))
        await asyncio.sleep(0.02)
        fal.wake("r1")
        await fake.received(1)
        assert isinstance(statuses[0] if statuses else InQueueStatus(2), InQueueStatus)
        fal.wake("r1")
        await watching
        assert statuses[-1] == CompletedStatus()


async def test_a_stream_that_reports_the_end_itself_costs_no_further_call(fake: FakeFal) -> None:
    let_go = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(event(WORKING))
        await let_go.wait()
        await response.write(event(COMPLETED))
        return response

    fake.always("stream", stream)
    async with fake.fal(timings=replace(SELDOM_POLLED, callback_grace_s=5.0)) as fal, asyncio.timeout(20):
        statuses: list[Status] = []
        watching = asyncio.create_task(following(fal, fake, statuses))
        while not statuses:
            await asyncio.sleep(0.001)
        assert fal.wake("r1")
        let_go.set()
        await watching
        assert statuses[-1] == CompletedStatus()
        assert fake.kinds() == ["stream"]


async def test_a_stream_that_stays_silent_is_left_for_a_poll(fake: FakeFal) -> None:
    fake.always("stream", streams(event(WORKING), then=hangs))
    async with fake.fal(timings=SELDOM_POLLED) as fal, asyncio.timeout(20):
        statuses: list[Status] = []
        watching = asyncio.create_task(following(fal, fake, statuses))
        while not statuses:
            await asyncio.sleep(0.001)
        assert fal.wake("r1")
        await watching
        assert statuses[-1] == CompletedStatus()
        assert fake.kinds() == ["stream", "status"]


async def test_a_stream_is_opened_again_after_a_false_callback(fake: FakeFal) -> None:
    fake.enqueue("stream", streams(event(WORKING), then=hangs))
    fake.enqueue("status", json_reply(WORKING))
    async with fake.fal(timings=SELDOM_POLLED) as fal, asyncio.timeout(20):
        statuses: list[Status] = []
        watching = asyncio.create_task(following(fal, fake, statuses))
        while not statuses:
            await asyncio.sleep(0.001)
        fal.wake("r1")
        await watching
        assert statuses[-1] == CompletedStatus()
        assert fake.kinds() == ["stream", "status", "stream"]


async def test_a_callback_that_overtakes_the_watch_is_remembered(fake: FakeFal, polling: Fal) -> None:
    assert not polling.wake("r1")
    statuses: list[Status] = []
    async with asyncio.timeout(20):
        await following(polling, fake, statuses)
    assert statuses == [CompletedStatus()]


async def test_unknown_callbacks_fill_no_memory(polling: Fal) -> None:
    for number in range(20_000):
        polling.wake(f"unknown-{number}")
    assert len(polling._watcher._early_callbacks) <= 4096


async def test_nothing_is_left_of_a_watch_that_has_ended(fake: FakeFal, polling: Fal) -> None:
    statuses: list[Status] = []
    watching = [asyncio.create_task(following(polling, fake, statuses, number)) for number in range(50)]
    await asyncio.sleep(0.02)
    assert sum(polling.wake(f"r{number}") for number in range(25)) == 25
    async with asyncio.timeout(20):
        await asyncio.gather(*watching[:25])
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    assert not polling._watcher._watches
    assert len(statuses) == 25


async def test_callbacks_in_an_outage_wait_with_the_polls(fake: FakeFal) -> None:
    fake.enqueue("status", *[html(502)] * 3)
    async with fake.fal(timings=SELDOM_POLLED, max_streams=0) as fal, asyncio.timeout(20):
        statuses: list[Status] = []
        watching = asyncio.create_task(following(fal, fake, statuses))
        await asyncio.sleep(0.02)
        fal.wake("r1")
        await watching
        assert statuses == [CompletedStatus()]
        assert fake.calls("status") == 4
