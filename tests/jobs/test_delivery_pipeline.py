"""How much of the finished pictures is in memory at once."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import Callable
from typing import cast

import pytest

from bot.domain.job import Job, JobState, RemotePicture
from bot.domain.ports import DeliverableImages
from tests.bench.pictures import noise_png
from tests.jobs.scripted import Build, ScriptedFal, a_png

MIB = 1024 * 1024


class LargePictures(ScriptedFal):
    """Pictures whose size is known before they are read; how many bytes of them are under way or in hand."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self.body = noise_png(math.isqrt(size_bytes // 3))
        self.size_bytes = len(self.body)
        self.in_hand_bytes = self.most_bytes = self.downloads = 0

    async def download(
        self, picture: RemotePicture, *, max_bytes: int, reserve: Callable[[int], None] | None = None
    ) -> bytes:
        assert reserve is not None
        reserve(self.size_bytes)
        self.downloads += 1
        self.in_hand_bytes += self.size_bytes
        self.most_bytes = max(self.most_bytes, self.in_hand_bytes)
        await asyncio.sleep(0.01)
        return self.body


def posting(fal: LargePictures, posted: list[str]) -> Callable[[Job, DeliverableImages], object]:
    async def deliver(job: Job, ready: DeliverableImages) -> int | None:
        await asyncio.sleep(0.01)
        fal.in_hand_bytes -= fal.size_bytes * len(ready.pictures)
        posted.append(job.id)
        return 4242

    return deliver


@pytest.mark.parametrize(("size_mib", "most_mib"), [(2, 6), (5, 5), (9, 9)])
async def test_pictures_in_hand_stay_within_the_budget_however_many_jobs_end_together(
    build: Build, monkeypatch: pytest.MonkeyPatch, size_mib: int, most_mib: int
) -> None:
    """Also those larger than was guessed; and one larger than the whole budget passes alone."""
    fal = LargePictures(size_mib * MIB)
    fal.hold.clear()
    runner_fixture = await build(fal, pictures_in_hand_mib=6, max_in_flight=0)
    posted: list[str] = []
    monkeypatch.setattr(runner_fixture.shown, "deliver", posting(fal, posted))
    jobs = [await runner_fixture.ask(user=number) for number in range(12)]
    for job in jobs:
        await runner_fixture.until(job, JobState.RUNNING)
    fal.hold.set()
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)
    assert len(posted) == 12
    assert fal.most_bytes <= most_mib * MIB * 1.001


async def test_several_pictures_of_one_job_larger_than_guessed_are_fetched_together(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    fal = LargePictures(3 * MIB)
    fal.nsfw = (False, False, False)
    fal.hold.clear()
    runner_fixture = await build(fal, pictures_in_hand_mib=10, max_in_flight=0)
    posted: list[str] = []
    monkeypatch.setattr(runner_fixture.shown, "deliver", posting(fal, posted))
    jobs = [await runner_fixture.ask(user=number, count=3) for number in range(4)]
    for job in jobs:
        await runner_fixture.until(job, JobState.RUNNING)
    fal.hold.set()
    for job in jobs:
        await runner_fixture.until(job, JobState.DELIVERED)
    assert len(posted) == 4
    # What was begun for a job that found no room is thrown away, which the count above does not see.
    assert fal.downloads >= 12


@pytest.mark.parametrize("in_memory", [0, 3])
async def test_of_jobs_that_wait_for_room_few_are_kept_in_memory_and_of_the_others_only_their_rows(
    build: Build, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    runner_fixture = await build(timings={"waiting_in_memory": in_memory}, pictures_in_hand_mib=1)
    away, in_hand = asyncio.Event(), asyncio.Event()
    deliver = runner_fixture.shown.deliver

    async def slowly(job: Job, ready: DeliverableImages) -> int | None:
        in_hand.set()
        await away.wait()
        return await deliver(job, ready)

    monkeypatch.setattr(runner_fixture.shown, "deliver", slowly)
    runner_fixture.fal.picture = noise_png(700)  # more than the whole budget
    first = await runner_fixture.ask(user=1)
    await in_hand.wait()
    waiting = [await runner_fixture.ask(user=user) for user in range(2, 7)]
    for job in waiting:
        await runner_fixture.until(job, JobState.RUNNING)
    ids = {job.id for job in waiting}

    def jobs_in_memory() -> int:
        runner_fixture.shown.latest.clear()
        runner_fixture.shown.events.clear()
        gc.collect()
        held = [one for one in gc.get_objects() if isinstance(one, Job) and one.id in ids and one not in waiting]
        return len({one.id for one in held})

    deadline = asyncio.get_running_loop().time() + 5
    # The store's thread keeps the result of its latest transaction.
    while not in_memory <= jobs_in_memory() <= in_memory + 1:
        assert asyncio.get_running_loop().time() < deadline, jobs_in_memory()
        await asyncio.sleep(0.05)
    away.set()
    for job in (first, *waiting):
        await runner_fixture.until(job, JobState.DELIVERED)


class _Bytes(bytearray):
    """Bytes that weak references can follow."""


class FollowedPictures(ScriptedFal):
    """Keeps a weak reference to every picture."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[weakref.ref[_Bytes]] = []

    async def download(
        self, picture: RemotePicture, *, max_bytes: int, reserve: Callable[[int], None] | None = None
    ) -> bytes:
        body = _Bytes(a_png())
        self.bodies.append(weakref.ref(body))
        return cast("bytes", body)


@pytest.mark.parametrize("pictures", [1, 3])
async def test_no_picture_outlives_its_delivery_without_the_collector(
    build: Build, monkeypatch: pytest.MonkeyPatch, pictures: int
) -> None:
    fal = FollowedPictures()
    fal.nsfw = (False,) * pictures
    runner_fixture = await build(fal)

    async def deliver(job: Job, ready: DeliverableImages) -> int | None:
        return 4242

    monkeypatch.setattr(runner_fixture.shown, "deliver", deliver)
    gc.collect()
    gc.disable()
    try:
        for number in range(3):
            job = await runner_fixture.ask(user=number, count=pictures)
            await runner_fixture.until(job, JobState.DELIVERED)
        await asyncio.sleep(0.05)
        assert len(fal.bodies) == 3 * pictures
        assert [body() for body in fal.bodies if body() is not None] == []
    finally:
        gc.enable()
