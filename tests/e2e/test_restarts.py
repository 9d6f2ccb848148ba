"""The bot ends wherever it stands and comes back: one picture a request, one submit a request, exact quota."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.job import JobState
from sandbox.discord import InteractionRecord
from sandbox.fal.jobs import Status
from tests.buttons import FAILURE_BUTTONS
from tests.e2e.sandbox_driver import Child, PausedPainting, SandboxDriver, child_bot

INVALID_TOKEN = 50027
INVALID_FORM = 50035
FOREVER_S = 3600.0
ENDS = pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[SandboxDriver, Child, PausedPainting]]:
    async with child_bot(
        tmp_path,
        EASEL_FAL__MAX_IN_FLIGHT="2",
        EASEL_DISCORD__PROGRESS_INTERVAL_S="60",
        EASEL_LIMITS__DEFAULT__CONCURRENT_JOBS="9",
    ) as (sandbox, child):
        sandbox.fal.queue.concurrency = 1
        paused = PausedPainting(sandbox.fal)
        await child.start()
        yield sandbox, child, paused


def check_single(sandbox: SandboxDriver, record: InteractionRecord, prompt: str) -> None:
    """One submit, one message with one picture."""
    assert len(sandbox.at_fal(prompt)) == 1
    (message,) = sandbox.pictures(prompt)
    assert len(message.files) == 1
    assert message is record.message


@ENDS
async def test_every_job_goes_on_where_it_stood(
    running: tuple[SandboxDriver, Child, PausedPainting], end: signal.Signals
) -> None:
    sandbox, child, paused = running
    sandbox.discord.slow_rest(FOREVER_S, "/webhooks/")  # answers go out, edits hang
    done = await sandbox.imagine(prompt="finished, but not delivered")
    paused.finish("finished, but not delivered")
    await sandbox.state(done, JobState.FINISHED)
    sandbox.fal.faults.set("content_policy", True)
    refused = await sandbox.imagine(prompt="refused, but not told")
    await sandbox.state(refused, JobState.FAILED, notified=False)
    painting = await sandbox.imagine(prompt="being painted")
    await sandbox.painting("being painted")
    there = await sandbox.imagine(prompt="in the queue at fal")
    await sandbox.until(lambda: sandbox.at_fal("in the queue at fal"))
    await sandbox.state(there, JobState.RUNNING)
    here = await sandbox.imagine(prompt="in our own queue")
    unwanted = await sandbox.imagine(prompt="not wanted any more")
    await sandbox.state(here, JobState.QUEUED)
    assert sandbox.at_fal("in the queue at fal")[0].status is Status.IN_QUEUE

    code = await child.end(end)
    assert code == (0 if end is signal.SIGTERM else -signal.SIGKILL)
    sandbox.discord.clear_faults()
    await child.start()

    # Buttons of cards that the earlier process made.
    await sandbox.press("ada", unwanted.message, "Cancel")
    assert "nothing was charged" in (await sandbox.ended(unwanted)).text()
    paused.free()
    for record, prompt in (
        (done, "finished, but not delivered"),
        (painting, "being painted"),
        (there, "in the queue at fal"),
        (here, "in our own queue"),
    ):
        await sandbox.picture(record)
        check_single(sandbox, record, prompt)
    told = await sandbox.ended(refused)
    assert "content policy refused this prompt" in told.text()
    assert len(sandbox.at_fal("refused, but not told")) == 1
    assert sandbox.fal.counters.duplicates == 0
    assert (await sandbox.usage()).images_today == 4
    assert not sandbox.at_fal("not wanted any more")
    assert "Traceback" not in child.log
    again = await sandbox.press("ada", done.message, "Again")
    await sandbox.picture(again)
    assert (await sandbox.press("nia", painting.message, "Details")).message.ephemeral
    await sandbox.delete("ada", painting.message)
    await sandbox.until(lambda: painting.message.id not in painting.message.channel.messages)


@ENDS
async def test_windows_that_were_open_are_sent_to_the_bot_that_came_back(
    running: tuple[SandboxDriver, Child, PausedPainting], end: signal.Signals
) -> None:
    sandbox, child, paused = running
    paused.free()
    old = await sandbox.paint(prompt="to be deleted")
    refused = await sandbox.imagine(prompt="mended later", steps=99, seed=7)
    fix = await sandbox.press("ada", refused.message, "Fix it")
    delete = await sandbox.press("ada", old, "Delete")

    await child.end(end)
    await child.start()

    mended = await sandbox.discord.submit_modal(fix, {"steps": "4"})
    picture = await sandbox.picture(await mended.answered())
    (job,) = sandbox.at_fal("mended later")
    assert (job.arguments["num_inference_steps"], job.arguments["seed"]) == (4, 7)
    for again in (
        await sandbox.press("ada", refused.message, "Fix it"),
        await (await sandbox.discord.submit_modal(fix, {"steps": "5"})).answered(),
    ):
        assert "This was asked for already" in again.message.text()
        assert str(picture.id) in again.message.text()
    assert len(sandbox.at_fal("mended later")) == 1
    await (await sandbox.discord.submit_modal(delete)).answered()
    await sandbox.until(lambda: old.id not in old.channel.messages)


async def test_what_was_done_but_never_confirmed_is_not_done_again(
    running: tuple[SandboxDriver, Child, PausedPainting],
) -> None:
    sandbox, child, paused = running
    sandbox.expected |= {INVALID_TOKEN, INVALID_FORM}
    edited = await sandbox.imagine("ada", prompt="an edit")
    await sandbox.painting("an edit")
    posted = await sandbox.imagine("nia", prompt="a post")
    await sandbox.state(posted, JobState.RUNNING)
    sandbox.discord.kill_token(posted)
    sandbox.discord.fail_next("PATCH", "/channels/", status=400, code=INVALID_FORM, times=1000)
    sandbox.discord.fail_next("PATCH", "/webhooks/", drop=True, after=True, times=1000)
    sandbox.discord.fail_next("POST", "/messages$", drop=True, after=True, times=1000)
    paused.free()
    await sandbox.until(lambda: sandbox.pictures("an edit") and sandbox.pictures("a post"))
    sandbox.fal.faults.slow_submit_s = FOREVER_S
    submitted = await sandbox.imagine("pat", prompt="a submit")
    await sandbox.until(lambda: sandbox.at_fal("a submit"))

    await child.end(signal.SIGKILL)
    sandbox.discord.clear_faults()
    sandbox.discord.fail_next("PATCH", "/channels/", status=400, code=INVALID_FORM, times=1000)
    sandbox.fal.faults.clear()
    await child.start()

    await sandbox.state(edited, JobState.DELIVERED)
    check_single(sandbox, edited, "an edit")
    await sandbox.state(posted, JobState.DELIVERED)
    assert len(sandbox.pictures("a post")) == len(sandbox.at_fal("a post")) == 1
    await sandbox.picture(submitted)  # found in fal's list, not sent again
    check_single(sandbox, submitted, "a submit")
    assert [(await sandbox.usage(one)).images_today for one in ("ada", "nia", "pat")] == [1, 1, 1]


async def test_a_request_that_fal_forgot_meanwhile_ends_with_a_sentence_and_holds_nobody_up(
    running: tuple[SandboxDriver, Child, PausedPainting],
) -> None:
    sandbox, child, paused = running
    lost = await sandbox.imagine(prompt="forgotten")
    await sandbox.painting("forgotten")
    await child.end(signal.SIGKILL)
    sandbox.fal.queue.jobs.clear()
    await child.start()
    told = await sandbox.ended(lost)
    assert "fal.ai no longer knows this request" in told.text()
    assert list(told.buttons()) == FAILURE_BUTTONS
    assert (await sandbox.usage()).images_today == 0
    failed = await sandbox.state(lost, JobState.FAILED, notified=True)
    assert failed.failure is not None
    assert failed.failure.code == "request_not_found"
    paused.free()
    await sandbox.picture(await sandbox.press("ada", lost.message, "Again"))


async def test_a_submit_under_way_is_brought_to_its_end_by_a_stop(
    running: tuple[SandboxDriver, Child, PausedPainting],
) -> None:
    sandbox, child, paused = running
    sandbox.fal.faults.slow_submit_s = 1.0
    record = await sandbox.imagine()
    await sandbox.until(sandbox.at_fal)
    assert await child.end(signal.SIGTERM) == 0
    await sandbox.state(record, JobState.RUNNING)
    paused.free()
    await child.start()
    await sandbox.picture(record)
    check_single(sandbox, record, "a lighthouse in a storm")
    assert (await sandbox.usage()).images_today == 1
