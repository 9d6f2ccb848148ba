"""What people attach on its way to fal: whose turn it is, what is told, and what is nobody's fault."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import pytest

from bot.domain.job import Job, JobState
from bot.domain.picture import InputNeeds, PreparedInput
from bot.errors import DecoderBusy, DecoderUnavailable
from bot.jobs import input_upload
from bot.media.picture import inspect
from bot.phrase import phrase
from tests.jobs.scripted import Build, RunnerFixture, a_png, turns, until

SMALLER = phrase("picture_shrunk", before="9000×9000", after="4096×4096")


class ScriptedAttachments:
    """Attachments that are there at once, but for what a test says."""

    def __init__(self) -> None:
        self.fetched: Counter[str] = Counter()
        #: Those that wait until this is set.
        self.slow: dict[str, asyncio.Event] = {}
        self.unavailable = False
        self.told: dict[str, list[Any]] = {}
        #: What they take, and what is taken at once.
        self.sizes: dict[str, int] = {}
        self.in_hand_bytes = self.most_in_hand_bytes = 0
        #: Nothing is read before this is set.
        self.open = asyncio.Event()
        self.open.set()

    def is_attachment(self, url: str) -> bool:
        return url.startswith("https://cdn.discordapp.com/")

    async def fetch(
        self,
        url: str,
        *,
        option: str,
        owner: Hashable,
        needs: InputNeeds | None = None,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        self.fetched[url] += 1
        if self.unavailable:
            raise DecoderUnavailable
        if url in self.slow:
            if not may_take_long:
                raise DecoderBusy
            await self.slow[url].wait()
        if reserve is not None:
            await self._read(self.sizes.get(url, 0), reserve)
        return PreparedInput(inspect(a_png()), tuple(self.told.get(url, ())))

    async def _read(self, size_bytes: int, reserve: Callable[[int], None]) -> None:
        reserve(size_bytes)
        self.in_hand_bytes += size_bytes
        self.most_in_hand_bytes = max(self.most_in_hand_bytes, self.in_hand_bytes)
        await self.open.wait()
        await asyncio.sleep(0.02)
        self.in_hand_bytes -= size_bytes

    async def fetch_mask(
        self,
        url: str,
        *,
        picture: PreparedInput,
        option: str,
        owner: Hashable,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        return await self.fetch(url, option=option, owner=owner, may_take_long=may_take_long, reserve=reserve)


def link(name: str) -> str:
    return f"https://cdn.discordapp.com/attachments/1/2/{name}.png"


async def stands(fixture: RunnerFixture, job: Job) -> Job:
    found = await fixture.store.jobs.get(job.id)
    assert found is not None
    return found


async def test_what_was_set_right_is_told_with_the_job_and_once_only(build: Build) -> None:
    attachments = ScriptedAttachments()
    attachments.told[link("huge")] = [SMALLER, SMALLER]
    fixture = await build(inputs=attachments)

    done = await fixture.until(await fixture.ask(image=link("huge")), JobState.DELIVERED)

    assert done.request.notices == (SMALLER,)
    delivered, _ = fixture.shown.delivered[0]
    assert delivered.request.notices == (SMALLER,)
    assert done.request.options["input_image_urls"] == [link("huge")]  # not the copy


async def test_where_nothing_can_be_decoded_the_picture_is_not_blamed_and_the_quota_is_back(build: Build) -> None:
    attachments = ScriptedAttachments()
    attachments.unavailable = True
    fixture = await build(inputs=attachments)

    failed = await fixture.until(await fixture.ask(image=link("sound")), JobState.FAILED)

    assert failed.failure is not None
    assert failed.failure.code == "decoder_unavailable"
    assert failed.failure.worth_retrying
    assert fixture.fal.submitted == []
    assert (await fixture.store.usage.of(failed.actor)).images_today == 0


async def test_slow_pictures_hold_up_nobody_elses(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at the places where attachments are prepared, nor at those of jobs that are claimed ahead."""
    monkeypatch.setattr(input_upload, "_PLACES", 2)
    attachments, gate = ScriptedAttachments(), asyncio.Event()
    attachments.slow = {link(f"slow{number}"): gate for number in range(6)}
    fixture = await build(inputs=attachments, max_in_flight=0, timings={"claimed_ahead": 4})
    slow = [await fixture.ask(user=number, image=link(f"slow{number}")) for number in range(6)]
    await until(lambda: sum(attachments.fetched.values()) >= 6 + 2)

    await fixture.until(await fixture.ask(user=99, image=link("quick")), JobState.DELIVERED)
    await fixture.until(await fixture.ask(user=98), JobState.DELIVERED)

    assert {(await stands(fixture, job)).state for job in slow} == {JobState.SUBMITTING}
    gate.set()
    for job in slow:
        await fixture.until(job, JobState.DELIVERED)


async def test_no_more_are_claimed_than_may_be_prepared(build: Build) -> None:
    attachments, gate = ScriptedAttachments(), asyncio.Event()
    attachments.slow = {link(f"slow{number}"): gate for number in range(9)}
    fixture = await build(inputs=attachments, max_in_flight=0, timings={"claimed_ahead": 2, "most_preparing": 3})
    jobs = [await fixture.ask(user=number, image=link(f"slow{number}")) for number in range(9)]
    await until(lambda: len(fixture.runner._active.preparing) >= 4)
    await turns(fixture.store)

    states = Counter([(await stands(fixture, job)).state for job in jobs])
    assert states[JobState.QUEUED] >= 3
    gate.set()
    for job in jobs:
        await fixture.until(job, JobState.DELIVERED)


async def test_one_persons_pictures_are_prepared_one_job_after_another(build: Build) -> None:
    attachments, gate = ScriptedAttachments(), asyncio.Event()
    attachments.slow = {link(f"slow{number}"): gate for number in range(3)}
    fixture = await build(inputs=attachments, max_in_flight=0)
    jobs = [await fixture.ask(user=7, image=link(f"slow{number}")) for number in range(3)]
    await until(lambda: sum(attachments.fetched.values()) >= 4)  # one of them twice: in the lane of the slow ones
    await turns(fixture.store)

    assert max(attachments.fetched.values()) == 2
    assert sum(count == 2 for count in attachments.fetched.values()) == 1
    gate.set()
    for job in jobs:
        await fixture.until(job, JobState.DELIVERED)


@pytest.mark.parametrize("slow", [False, True])
async def test_attachments_in_memory_are_bounded_in_bytes_and_a_larger_one_passes_alone(
    build: Build, slow: bool
) -> None:
    limit_bytes = input_upload.IN_HAND_BYTES_OF_SLOW if slow else input_upload.IN_HAND_BYTES
    attachments = ScriptedAttachments()
    fixture = await build(inputs=attachments, max_in_flight=0)
    for name in range(8):
        attachments.sizes[link(f"{name}")] = limit_bytes * 2 // 5
        if slow:
            attachments.slow[link(f"{name}")] = asyncio.Event()
            attachments.slow[link(f"{name}")].set()

    async def all_of_them() -> None:
        attachments.open.clear()
        jobs = [await fixture.ask(user=user, image=link(f"{user}")) for user in range(8)]
        await turns(fixture.store)
        attachments.open.set()
        for job in jobs:
            await fixture.until(job, JobState.DELIVERED)

    await all_of_them()
    assert attachments.most_in_hand_bytes == limit_bytes * 2 // 5 * 2  # two fit, and went side by side

    attachments.sizes[link("7")] = limit_bytes + 1
    attachments.most_in_hand_bytes = 0
    await all_of_them()
    assert attachments.most_in_hand_bytes == limit_bytes + 1
