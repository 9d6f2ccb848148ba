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
from bot.catalogue.model import Json
from bot.errors import AnswerLost
from bot.fal import Completed, Fal, Status, matches
from bot.settings import WebSettings
from bot.web import Callback, Callbacks, callback_url, start
from sandbox.fal import FalStandIn
from tests.web.signing import JOB, KEY

SCHNELL = "fal-ai/flux-1/schnell"
MODEL = load().get(SCHNELL)
ARGUMENTS: dict[str, Json] = {"prompt": "a hare", "seed": 4711}


@dataclass
class House:
    """Everything between us and fal."""

    standin: FalStandIn
    fal: Fal
    runner: web.AppRunner
    callbacks: Callbacks
    heard: list[Callback] = field(default_factory=list)
    troubles: list[BaseException] = field(default_factory=list)

    async def hear(self, callback: Callback) -> None:
        if self.troubles:
            raise self.troubles.pop()
        self.heard.append(callback)
        self.fal.wake(callback.request_id)

    def address(self, attempt: int = 1, key: bytes = KEY) -> str:
        host, port = self.runner.addresses[0][:2]
        return callback_url(f"http://{host}:{port}", JOB, attempt, key)

    async def until_heard(self, count: int = 1) -> None:
        async with asyncio.timeout(20):
            while len(self.heard) < count:
                await asyncio.sleep(0.002)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    houses: list[House] = []

    async def hear(callback: Callback) -> None:
        await houses[0].hear(callback)

    async with FalStandIn(paint="flat", paint_s=0.05, webhook_pause_s=0.01) as standin:
        callbacks = Callbacks(key=KEY, heard=hear, rest_url=standin.url)
        here = standin.url
        fal = Fal(key="a:b", queue_url=here, rest_url=here, cdn_url=here, api_url=here, max_streams=0)
        async with fal:
            runner = await start(WebSettings(), _health, callbacks=callbacks)
            houses.append(House(standin, fal, runner, callbacks))
            yield houses[0]
            await runner.cleanup()


async def _health() -> dict[str, bool]:
    return {"all": True}


async def test_with_callbacks_a_job_costs_three_calls(house: House) -> None:
    request = await house.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=house.address())
    heard: list[Status] = []
    async with asyncio.timeout(20), aclosing(house.fal.watch(request, expected_s=600)) as statuses:
        async for status in statuses:
            heard.append(status)  # noqa: PERF401 - a list of what came until it ended
    await house.fal.result(request, model=MODEL)
    assert isinstance(heard[-1], Completed)
    assert house.standin.requests_of(request.request_id) == {"submit": 1, "status": 1, "result": 1}
    (callback,) = house.heard
    assert (callback.job_id, callback.attempt, callback.request_id, callback.status) == (
        JOB,
        1,
        request.request_id,
        "OK",
    )
    assert callback.gateway_request_id == house.standin.job(request.request_id).gateway_id


async def test_a_failed_job_calls_back_too(house: House) -> None:
    refused: dict[str, Json] = {**ARGUMENTS, "num_images": 0}
    await house.fal.submit(SCHNELL, refused, start_timeout_s=60, webhook_url=house.address(2))
    await house.until_heard()
    assert (house.heard[0].attempt, house.heard[0].status) == (2, "ERROR")


async def test_fal_calls_again_when_we_stumble(house: House) -> None:
    house.troubles += [RuntimeError("disk on fire"), RuntimeError("still")]
    await house.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=house.address())
    await house.until_heard()
    assert len(house.heard) == 1


async def test_an_address_of_somebody_elses_making_is_refused_though_fal_signs_it(house: House) -> None:
    url = house.address(key=b"another secret of another bot")
    await house.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=url)
    async with asyncio.timeout(20):
        while not house.standin.counters.webhooks_failed:
            await asyncio.sleep(0.005)
    assert house.heard == []
    assert set(house.callbacks.refusals) == {"address"}


async def test_a_lost_answer_is_found_by_its_callback(house: House) -> None:
    house.standin.troubles.lost_answers = 1.0
    with pytest.raises(AnswerLost):
        await house.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, webhook_url=house.address())
    await house.until_heard()
    request = house.fal.request_for(SCHNELL, house.heard[0].request_id)
    await house.fal.result(request, model=MODEL)
    assert house.standin.counters.jobs == 1


async def test_a_lost_answer_is_found_in_the_list(house: House) -> None:
    await house.fal.submit(SCHNELL, {**ARGUMENTS, "seed": 1}, start_timeout_s=60)
    house.standin.troubles.lost_answers = 1.0
    since = datetime.now(UTC) - timedelta(minutes=2)
    with pytest.raises(AnswerLost):
        await house.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60)
    fitting: list[str] = []
    async with asyncio.timeout(20):
        while not fitting:
            until = datetime.now(UTC) + timedelta(minutes=2)
            found = await house.fal.find_requests(SCHNELL, since=since, until=until)
            fitting = [one.request_id for one in found or () if matches(ARGUMENTS, one)]
    assert fitting == [house.standin.accepted[-1].request_id]


async def test_a_payload_that_fal_does_not_keep_is_not_matched(house: House) -> None:
    request = await house.fal.submit(SCHNELL, ARGUMENTS, start_timeout_s=60, store_payload=False)
    async with asyncio.timeout(20), aclosing(house.fal.watch(request, expected_s=0.05)) as statuses:
        async for _ in statuses:
            pass
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    found = await house.fal.find_requests(SCHNELL, since=now - hour, until=now + hour)
    assert [(one.request_id, one.arguments) for one in found or ()] == [(request.request_id, None)]


async def test_a_key_without_the_right_gets_no_list(house: House) -> None:
    house.standin.troubles.list_refused = True
    now = datetime.now(UTC)
    assert await house.fal.find_requests(SCHNELL, since=now, until=now) is None
