"""The bot ends wherever it stands and comes back: one picture a request, one submit a request, exact quota."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.job import JobState
from sandbox.discord import InteractionRecord
from sandbox.fal.jobs import Status
from tests.e2e.sandbox_driver import Child, Easel, Place, a_childs_place

INVALID_TOKEN = 50027
UNKNOWN_MESSAGE = 10008
FOREVER_S = 3600.0
ENDS = pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Place, Child, Easel]]:
    async with a_childs_place(
        tmp_path,
        EASEL_FAL__MAX_IN_FLIGHT="2",
        EASEL_DISCORD__PROGRESS_INTERVAL_S="60",
        EASEL_LIMITS__DEFAULT__CONCURRENT_JOBS="9",
    ) as (place, child):
        place.fal.queue.concurrency = 1
        easel = Easel(place.fal)
        await child.start()
        yield place, child, easel


def check_single(place: Place, record: InteractionRecord, prompt: str) -> None:
    """One submit, one message with one picture."""
    assert len(place.at_fal(prompt)) == 1
    (message,) = place.pictures(prompt)
    assert len(message.files) == 1
    assert message is record.message


@ENDS
async def test_every_job_goes_on_where_it_stood(house: tuple[Place, Child, Easel], end: signal.Signals) -> None:
    place, child, easel = house
    place.standin.slow_rest(FOREVER_S, "/webhooks/")  # answers go out, edits hang
    done = await place.imagine(prompt="finished, but not delivered")
    easel.finish("finished, but not delivered")
    await place.state(done, JobState.FINISHED)
    place.fal.troubles.set("content_policy", True)
    refused = await place.imagine(prompt="refused, but not told")
    await place.state(refused, JobState.FAILED, told=False)
    painting = await place.imagine(prompt="being painted")
    await place.painting("being painted")
    there = await place.imagine(prompt="in the queue at fal")
    await place.until(lambda: place.at_fal("in the queue at fal"))
    await place.state(there, JobState.RUNNING)
    here = await place.imagine(prompt="in our own queue")
    unwanted = await place.imagine(prompt="not wanted any more")
    await place.state(here, JobState.QUEUED)
    assert place.at_fal("in the queue at fal")[0].status is Status.IN_QUEUE

    code = await child.end(end)
    assert code == (0 if end is signal.SIGTERM else -signal.SIGKILL)
    place.standin.fine_weather()
    await child.start()

    # Buttons of cards that the earlier process made.
    await place.press("ada", unwanted.message, "Cancel")
    assert "nothing was charged" in (await place.ended(unwanted)).text()
    easel.free()
    for record, prompt in (
        (done, "finished, but not delivered"),
        (painting, "being painted"),
        (there, "in the queue at fal"),
        (here, "in our own queue"),
    ):
        await place.picture(record)
        check_single(place, record, prompt)
    told = await place.ended(refused)
    assert "content policy refused this prompt" in told.text()
    assert len(place.at_fal("refused, but not told")) == 1
    assert place.fal.counters.duplicates == 0
    assert (await place.usage()).images_today == 4
    assert not place.at_fal("not wanted any more")
    assert "Traceback" not in child.log
    again = await place.press("ada", done.message, "Again")
    await place.picture(again)
    assert (await place.press("nia", painting.message, "Details")).message.ephemeral
    await place.press("ada", painting.message, "Delete")
    await place.until(lambda: painting.message.id not in painting.message.channel.messages)


async def test_what_was_done_but_never_confirmed_is_not_done_again(house: tuple[Place, Child, Easel]) -> None:
    place, child, easel = house
    place.expected |= {INVALID_TOKEN, UNKNOWN_MESSAGE}
    edited = await place.imagine("ada", prompt="an edit")
    await place.painting("an edit")
    posted = await place.imagine("nia", prompt="a post")
    await place.state(posted, JobState.RUNNING)
    place.standin.kill_token(posted)
    place.standin.delete_message(posted.message)
    place.standin.fail_next("PATCH", "/webhooks/", drop=True, after=True, times=1000)
    place.standin.fail_next("POST", "/messages$", drop=True, after=True, times=1000)
    easel.free()
    await place.until(lambda: place.pictures("an edit") and place.pictures("a post"))
    place.fal.troubles.slow_submit_s = FOREVER_S
    submitted = await place.imagine("pat", prompt="a submit")
    await place.until(lambda: place.at_fal("a submit"))

    await child.end(signal.SIGKILL)
    place.standin.fine_weather()
    place.fal.troubles.clear()
    await child.start()

    await place.state(edited, JobState.DELIVERED)
    check_single(place, edited, "an edit")
    await place.state(posted, JobState.DELIVERED)
    assert len(place.pictures("a post")) == len(place.at_fal("a post")) == 1
    await place.picture(submitted)  # found in fal's list, not sent again
    check_single(place, submitted, "a submit")
    assert [(await place.usage(one)).images_today for one in ("ada", "nia", "pat")] == [1, 1, 1]


async def test_a_request_that_fal_forgot_meanwhile_ends_with_a_sentence_and_holds_nobody_up(
    house: tuple[Place, Child, Easel],
) -> None:
    place, child, easel = house
    lost = await place.imagine(prompt="forgotten")
    await place.painting("forgotten")
    await child.end(signal.SIGKILL)
    place.fal.queue.jobs.clear()
    await child.start()
    told = await place.ended(lost)
    assert "fal.ai no longer knows this request" in told.text()
    assert list(told.buttons()) == ["Again", "Edit prompt", "Details", "Delete"]
    assert (await place.usage()).images_today == 0
    failed = await place.state(lost, JobState.FAILED, told=True)
    assert failed.failure is not None
    assert failed.failure.code == "request_unknown"
    easel.free()
    await place.picture(await place.press("ada", lost.message, "Again"))


async def test_a_submit_under_way_is_brought_to_its_end_by_a_stop(house: tuple[Place, Child, Easel]) -> None:
    place, child, easel = house
    place.fal.troubles.slow_submit_s = 1.0
    record = await place.imagine()
    await place.until(place.at_fal)
    assert await child.end(signal.SIGTERM) == 0
    await place.state(record, JobState.RUNNING)
    easel.free()
    await child.start()
    await place.picture(record)
    check_single(place, record, "a lighthouse in a storm")
    assert (await place.usage()).images_today == 1
