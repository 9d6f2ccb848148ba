"""Very many polled jobs: misses are paid for out of one budget, and ends are found nevertheless."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import replace

import pytest
from aiohttp import web

from bot.fal import CompletedStatus, Fal, Status
from bot.fal.poller import DurationEstimator, PollBudget, PolledJob
from tests.fal.fake import COMPLETED, FAST, WORKING, FakeFal, event, json_reply, streams

#: Misses: none saved, five a second.
POOR = replace(FAST, misses_saved=1.0, misses_per_s=5.0)


async def watched(fal: Fal, fake: FakeFal, number: int, *, age_s: float | None = None) -> list[Status]:
    """Everything said until the end."""
    async with (
        asyncio.timeout(20),
        aclosing(fal.watch(fake.request(number), expected_s=0.01, age_s=age_s)) as statuses,
    ):
        return [status async for status in statuses]


async def test_jobs_that_go_on_are_polled_as_often_as_the_budget_allows(fake: FakeFal) -> None:
    fake.always("status", json_reply(WORKING))
    async with fake.fal(max_streams=0, timings=POOR) as fal:
        watches = [asyncio.create_task(watched(fal, fake, number)) for number in range(300)]
        await asyncio.sleep(1)
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    assert 1 <= fake.calls("status") <= 12


async def test_polls_that_find_an_end_cost_the_budget_nothing(fake: FakeFal) -> None:
    fake.always("status", json_reply(COMPLETED))
    async with fake.fal(max_streams=0, timings=POOR) as fal:
        began = asyncio.get_running_loop().time()
        ends = await asyncio.gather(*(watched(fal, fake, number) for number in range(300)))
        took_s = asyncio.get_running_loop().time() - began

    assert ends == [[CompletedStatus()]] * 300
    assert fake.calls("status") == 300
    assert took_s < 300 / POOR.misses_per_s / 3


async def test_once_ends_are_known_jobs_are_polled_when_they_should_have_ended(fake: FakeFal) -> None:
    """Jobs of unknown duration: after the first ends nearly every poll finds one."""
    takes_s, loop = 1.0, asyncio.get_running_loop()
    began: dict[str, float] = {}
    polls: Counter[str] = Counter()

    async def status(request: web.Request) -> web.StreamResponse:
        polls[request.path] += 1
        done = loop.time() >= began[request.path] + takes_s
        return web.json_response(COMPLETED if done else WORKING)

    async def one(fal: Fal, number: int) -> float:
        """Watch it from a moment of its own; how late its end was known."""
        await asyncio.sleep(number / 300)
        path = f"/owner/alias/requests/r{number}/status"
        began[path] = loop.time()
        assert (await watched(fal, fake, number))[-1] == CompletedStatus()
        return loop.time() - began[path] - takes_s

    fake.always("status", status)
    async with fake.fal(max_streams=0, timings=replace(POOR, misses_per_s=30.0)) as fal:
        late_s = sorted(await asyncio.gather(*(one(fal, number) for number in range(300))))

    assert sum(polls.values()) < 300 * 1.6
    assert late_s[150] < 0.5


async def test_what_an_earlier_process_left_is_polled_at_once_and_first(fake: FakeFal) -> None:
    fake.always("status", json_reply(WORKING))
    async with fake.fal(max_streams=0, timings=replace(POOR, polls_at_once=1)) as fal:
        own = [asyncio.create_task(watched(fal, fake, number)) for number in range(50)]
        await fake.received(2)
        fake.always("status", json_reply(COMPLETED))
        left = await asyncio.gather(*(watched(fal, fake, number, age_s=100.0) for number in range(100, 150)))
        asked = [seen.path for seen in fake.seen]
        for watch in own:
            watch.cancel()
        await asyncio.gather(*own, return_exceptions=True)

    assert left == [[CompletedStatus()]] * 50
    assert sum("/r1" in path and len(path.split("/")[-2]) == 4 for path in asked[:60]) >= 50


async def test_an_adopted_job_with_a_stream_costs_no_poll(fake: FakeFal, fal: Fal) -> None:
    fake.always("stream", streams(event(WORKING), event(COMPLETED)))

    assert (await watched(fal, fake, 1, age_s=10.0))[-1] == CompletedStatus()
    assert fake.kinds() == ["stream"]


async def test_a_callback_is_polled_before_all_that_waits_for_the_budget(fake: FakeFal) -> None:
    fake.always("status", json_reply(WORKING))
    async with fake.fal(max_streams=0, timings=replace(POOR, misses_per_s=0.01)) as fal:
        watches = [asyncio.create_task(watched(fal, fake, number)) for number in range(20)]
        await fake.received(1)
        await asyncio.sleep(0.1)
        fake.always("status", json_reply(COMPLETED))
        fal.wake("r19")
        assert (await watches[19])[-1] == CompletedStatus()
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


# ---------------------------------------------------------------------- the rules


def test_the_budget_fills_more_slowly_where_very_many_share_it() -> None:
    timings = replace(FAST, misses_per_s=20.0, misses_saved=10.0, unbudgeted_polls=2000)
    budget = PollBudget(timings, 0.0)
    for _ in range(10):
        budget.take()

    assert budget.wait_s(0.0, 1.0, 2000) == pytest.approx(1 / 20)
    assert budget.wait_s(0.0, 1.0, 20_000) == pytest.approx(1 / 2)
    assert budget.wait_s(100.0, 1.0, 20_000) == 0
    budget.refund()


def test_the_estimate_follows_ends_and_a_single_slow_job_moves_it_little() -> None:
    estimator = DurationEstimator()
    assert estimator.end_of(PolledJob("a", 5.0)) is None

    estimator.record_streamed_end(PolledJob("a", 0.0), 10.0)
    assert estimator.end_of(PolledJob("a", 5.0)) == 15.0
    assert estimator.end_of(PolledJob("b", 5.0)) is None

    slow = PolledJob("a", 0.0)
    for now in range(20, 100):
        estimator.record_miss(slow, float(now))
    later = estimator.end_of(PolledJob("a", 0.0))
    assert later is not None
    assert 10 < later < 10.3


def test_the_estimate_falls_when_an_end_is_found_sooner() -> None:
    estimator = DurationEstimator()
    estimator.record_streamed_end(PolledJob("a", 0.0), 100.0)
    assert estimator.end_of(PolledJob("a", 0.0)) == 100.0
    estimator.record_hit(PolledJob("a", 0.0), 30.0)

    assert estimator.has_dropped(PolledJob("a", 0.0))
    assert not estimator.has_dropped(PolledJob("a", 0.0))
    end = estimator.end_of(PolledJob("a", 0.0))
    assert end is not None
    assert end < 30
