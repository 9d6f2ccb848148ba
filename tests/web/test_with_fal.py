"""From the submit to the callback and back to fal, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from bot.catalogue import load
from bot.domain.request import Json
from bot.errors import SubmitUnconfirmed
from bot.fal import CompletedStatus, Fal, Status
from bot.jobs.request_match import matches
from bot.settings import WebSettings
from bot.web import CallbackReceiver, FalCallback, callback_url, start
from sandbox.fal import FakeFal
from tests.web.signing import JOB, KEY

SCHNELL = "fal-ai/flux-1/schnell"
MODEL = load().get(SCHNELL)
ARGUMENTS: dict[str, Json] = {"prompt": "a hare", "seed": 4711}


@dataclass
class WebFixture:
    """Everything between us and fal."""

    fake_fal: FakeFal
    fal: Fal
    runner: web.AppRunner
    callbacks: CallbackReceiver
    handled: list[FalCallback] = field(default_factory=list)
    troubles: list[BaseException] = field(default_factory=list)

    async def record(self, callback: FalCallback) -> None:
        if self.troubles:
            raise self.troubles.pop()
        self.handled.append(callback)
        self.fal.wake(callback.request_id)

    def address(self, attempt: int = 1, key: bytes = KEY) -> str:
        host, port = self.runner.addresses[0][:2]
        return callback_url(f"http://{host}:{port}", JOB, attempt, key)

    async def until_received(self, count: int = 1) -> None:
        async with asyncio.timeout(20):
            while len(self.handled) < count:
                await asyncio.sleep(0.002)


@pytest.fixture
async def fixture() -> AsyncIterator[WebFixture]:
    houses: list[WebFixture] = []

    async def record(callback: FalCallback) -> None:
        await houses[0].record(callback)

    async with FakeFal(paint="flat", paint_s=0.05, webhook_pause_s=0.01) as fake_fal:
        callbacks = CallbackReceiver(key=KEY, handler=record, rest_url=fake_fal.url)
        here = fake_fal.url
        fal = Fal(key="a:b", queue_url=here, rest_url=here, cdn_url=here, api_url=here, max_streams=0)
        async with fal:
            runner = await start(WebSettings(), _health, callbacks=callbacks)
            houses.append(WebFixture(fake_fal, fal, runner, callbacks))
            yield houses[0]
            await runner.cleanup()


async def _health() -> dict[str, bool]:
    return {"all": True}


async def test_with_callbacks_a_job_costs_three_calls(fixture: WebFixture) -> None:
    request = await fixture.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=fixture.address())
    handled: list[Status] = []
    async with asyncio.timeout(20), aclosing(fixture.fal.watch(request, expected_s=600)) as statuses:
        async for status in statuses:
            handled.append(status)  # noqa: PERF401 - a list of what came until it ended
    await fixture.fal.result(request, model=MODEL)
    assert isinstance(handled[-1], CompletedStatus)
    assert fixture.fake_fal.requests_of(request.request_id) == {"submit": 1, "status": 1, "result": 1}
    (callback,) = fixture.handled
    assert (callback.job_id, callback.attempt, callback.request_id, callback.status) == (
        JOB,
        1,
        request.request_id,
        "OK",
    )
    assert callback.gateway_request_id == fixture.fake_fal.job(request.request_id).gateway_id


async def test_a_failed_job_calls_back_too(fixture: WebFixture) -> None:
    refused: dict[str, Json] = {**ARGUMENTS, "num_images": 0}
    await fixture.fal.submit(SCHNELL, refused, start_timeout_s=60, webhook_url=fixture.address(2))
    await fixture.until_received()
    assert (fixture.handled[0].attempt, fixture.handled[0].status) == (2, "ERROR")


async def test_fal_calls_again_when_our_handler_fails(fixture: WebFixture) -> None:
    fixture.troubles += [RuntimeError("disk on fire"), RuntimeError("still")]
    await fixture.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=fixture.address())
    await fixture.until_received()
    assert len(fixture.handled) == 1


async def test_an_address_of_somebody_elses_making_is_refused_though_fal_signs_it(fixture: WebFixture) -> None:
    url = fixture.address(key=b"another secret of another bot")
    await fixture.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=url)
    async with asyncio.timeout(20):
        while not fixture.fake_fal.counters.webhooks_failed:
            await asyncio.sleep(0.005)
    assert fixture.handled == []
    assert set(fixture.callbacks.refusals) == {"address"}


async def test_a_lost_answer_is_found_by_its_callback(fixture: WebFixture) -> None:
    fixture.fake_fal.faults.lost_answers = 1.0
    with pytest.raises(SubmitUnconfirmed):
        await fixture.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=fixture.address())
    await fixture.until_received()
    request = fixture.fal.request_for(SCHNELL, fixture.handled[0].request_id)
    await fixture.fal.result(request, model=MODEL)
    assert fixture.fake_fal.counters.jobs == 1


async def test_a_lost_answer_is_found_in_the_list(fixture: WebFixture) -> None:
    await fixture.fal.submit(SCHNELL, {**ARGUMENTS, "seed": 1}, start_timeout_s=60)
    fixture.fake_fal.faults.lost_answers = 1.0
    since = datetime.now(UTC) - timedelta(minutes=2)
    with pytest.raises(SubmitUnconfirmed):
        await fixture.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60)
    fitting: list[str] = []
    async with asyncio.timeout(20):
        while not fitting:
            until = datetime.now(UTC) + timedelta(minutes=2)
            found = await fixture.fal.find_requests(SCHNELL, since=since, until=until)
            fitting = [one.request_id for one in found or () if matches(ARGUMENTS, one)]
    assert fitting == [fixture.fake_fal.accepted[-1].request_id]


async def test_a_payload_that_fal_does_not_keep_is_not_matched(fixture: WebFixture) -> None:
    request = await fixture.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, store_payload=False)
    async with asyncio.timeout(20), aclosing(fixture.fal.watch(request, expected_s=0.05)) as statuses:
        async for _ in statuses:
            pass
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    found = await fixture.fal.find_requests(SCHNELL, since=now - hour, until=now + hour)
    assert [(one.request_id, one.arguments) for one in found or ()] == [(request.request_id, None)]


async def test_a_key_without_the_right_gets_no_list(fixture: WebFixture) -> None:
    fixture.fake_fal.faults.list_refused = True
    now = datetime.now(UTC)
    assert await fixture.fal.find_requests(SCHNELL, since=now, until=now) is None
