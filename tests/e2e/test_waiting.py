"""Waiting as people see it: the position shown, the reason given, and a restart in between."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.domain.job import JobState
from sandbox.discord import InteractionRecord
from tests.e2e.faults.outcomes import ALREADY_ACKNOWLEDGED
from tests.e2e.sandbox_driver import GENEROUS, Child, PausedPainting, SandboxDriver, child_bot, in_process_bot

WHY = "Why am I waiting?"
RESTARTED = "I was restarted. Your picture is safe and will be finished."


@pytest.fixture
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SandboxDriver]:
    async with in_process_bot(tmp_path, **request.param) as made:
        yield made


def under(*, limits: dict[str, Any] | None = None, **fal: int) -> pytest.MarkDecorator:
    sections = {"fal": fal, "limits": {**dict(GENEROUS), **(limits or {})}}
    return pytest.mark.parametrize("sandbox", [sections], indirect=True, ids=[""])


async def reason(sandbox: SandboxDriver, record: InteractionRecord, person: str = "ada") -> str:
    answer = (await sandbox.press(person, record.message, WHY)).message
    assert answer.ephemeral
    return answer.text()


@under(max_in_flight=1)
async def test_a_full_queue_shows_the_place_and_says_why(sandbox: SandboxDriver) -> None:
    paused = PausedPainting(sandbox.fal)
    first = await sandbox.imagine("nia", prompt="first")
    await sandbox.painting("first")
    others = [await sandbox.imagine("nia", prompt=f"other {number}") for number in range(2)]
    mine = await sandbox.imagine("ada", prompt="mine")
    # People take turns: the other's second one comes after mine.
    await sandbox.until(lambda: "Next in line." in mine.message.text() or "1 request before" in mine.message.text())

    said = await reason(sandbox, mine)
    assert re.search(r"Next in line|1 request before it", said)
    assert "3 requests are waiting in total." in said
    assert "The one place at fal.ai is taken." in said
    assert "At fal.ai now: 1 of 1" in said
    assert "My guess: it starts in about" in said
    assert "restarted" not in said
    assert "yours" not in await reason(sandbox, mine, "pat")

    for prompt in ("first", "other 0", "other 1", "mine"):
        paused.finish(prompt)
    for record in (first, *others, mine):
        await sandbox.picture(record)
    assert WHY not in mine.message.buttons()


@under(max_in_flight=1)
@pytest.mark.parametrize("lost", [0, 2], ids=["", "and what is there is out of reach at first"])
async def test_an_event_replayed_after_erasing_leaves_the_picture_while_its_answer_is_slow(
    sandbox: SandboxDriver, lost: int
) -> None:
    record = await sandbox.imagine("ada", prompt="mine")
    card = await sandbox.picture(record)
    paused = PausedPainting(sandbox.fal)
    first = await sandbox.imagine("nia", prompt="first")
    await sandbox.painting("first")
    page = (await sandbox.run("ada", "general", "privacy")).message
    question = (await sandbox.press("ada", page, "Delete my data")).message
    await sandbox.press("ada", question, "Yes, delete everything")
    await sandbox.until(lambda: "Deleted:" in question.text())

    # The new job waits in the queue for as long as its answer is under way, and is due to show its place meanwhile.
    sandbox.expected.add(ALREADY_ACKNOWLEDGED)
    sandbox.discord.slow_rest(1.0, "/callback")
    sandbox.discord.fail_next("GET", "/messages/@original", drop=True, times=lost)
    sandbox.discord.deliver_twice(record)
    await sandbox.state(record, JobState.CANCELLED)
    paused.finish("first")
    await sandbox.picture(first)

    assert card.files
    assert not sandbox.discord.unseen_files
    assert len(sandbox.at_fal("mine")) == 1


@under(max_in_flight=10, guild_jobs_in_flight=1)
async def test_a_server_at_its_cap_waits_while_others_go_on_and_the_card_says_so(sandbox: SandboxDriver) -> None:
    paused = PausedPainting(sandbox.fal)
    first = await sandbox.imagine("nia", prompt="first")
    await sandbox.painting("first")
    second = await sandbox.imagine("ada", prompt="second")
    await sandbox.until(lambda: "another picture of this server" in second.message.text())
    assert "1 request of this server is at fal.ai. That is the most at once for one server." in await reason(
        sandbox, second
    )

    elsewhere = await sandbox.imagine("ada", "dm", prompt="elsewhere")
    paused.finish("elsewhere")
    await sandbox.picture(elsewhere)
    assert not sandbox.at_fal("second")

    paused.free()
    await sandbox.picture(first)
    await sandbox.picture(second)


@under(max_in_flight=10, user_jobs_in_flight=1)
async def test_a_person_at_their_cap_is_told_that_it_is_their_own(sandbox: SandboxDriver) -> None:
    paused = PausedPainting(sandbox.fal)
    await sandbox.imagine("ada", prompt="first")
    await sandbox.painting("first")
    second = await sandbox.imagine("ada", prompt="second")
    await sandbox.until(lambda: "one of your other pictures" in second.message.text())
    assert "1 of your requests is at fal.ai. That is the most at once for one person." in await reason(sandbox, second)
    paused.free()
    await sandbox.picture(second)


@under(max_in_flight=10)
async def test_where_fal_is_what_one_waits_for_that_is_said(sandbox: SandboxDriver) -> None:
    sandbox.fal.queue.concurrency = 1
    paused = PausedPainting(sandbox.fal)
    await sandbox.imagine(prompt="first")
    await sandbox.painting("first")
    await sandbox.imagine(prompt="second")
    await sandbox.until(lambda: sandbox.at_fal("second"))
    third = await sandbox.imagine(prompt="third")
    await sandbox.until(lambda: "Waiting at fal.ai: 1 request before yours." in third.message.text())
    said = await reason(sandbox, third)
    assert "It has left my queue. It is now at fal.ai, with 1 request before it." in said
    paused.free()
    await sandbox.picture(third)
    press = await sandbox.press("ada", third.message, "Details")
    assert press.message.ephemeral


@under(max_in_flight=1, limits={"max_waiting_jobs": 2})
async def test_too_many_are_turned_away_at_once_with_what_is_left_and_when_to_come_back(sandbox: SandboxDriver) -> None:
    paused = PausedPainting(sandbox.fal)
    records = [await sandbox.imagine(prompt="first")]
    await sandbox.painting("first")
    records += [await sandbox.imagine(prompt=f"waiting {number}") for number in range(2)]

    message = (await sandbox.imagine("nia", prompt="too much")).message

    assert message.ephemeral
    assert "2 requests are already waiting" in message.text()
    assert "You still have 10,000 pictures today. No quota was used." in message.text()
    (moment,) = re.findall(r"after <t:(\d+):t>", message.text())
    assert int(moment) % 60 == 0
    assert 20 < int(moment) - datetime.now(UTC).timestamp() < 120
    assert not sandbox.at_fal("too much")
    assert await sandbox.counted("nia") == (0, 3)
    paused.free()
    for record in records:
        await sandbox.picture(record)
    await sandbox.paint("nia", prompt="later")


# ---------------------------------------------------------------------- a restart in between


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[SandboxDriver, Child, PausedPainting]]:
    async with child_bot(
        tmp_path,
        EASEL_FAL__MAX_IN_FLIGHT="1",
        EASEL_DISCORD__PROGRESS_INTERVAL_S="1",
        EASEL_LIMITS__DEFAULT__CONCURRENT_JOBS="9",
    ) as (sandbox, child):
        paused = PausedPainting(sandbox.fal)
        await child.start()
        yield sandbox, child, paused


def long_ago(sandbox: SandboxDriver, seconds: int) -> None:
    """As if the jobs had last been cared for so much earlier."""
    with sqlite3.connect(sandbox.database_url.removeprefix("sqlite:///")) as connection:
        for column in ("created_us", "submitted_us", "started_us"):
            connection.execute(f"UPDATE jobs SET {column} = {column} - {seconds * 1_000_000}")
        connection.execute("DELETE FROM kv WHERE key = 'alive_at'")
    connection.close()


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
async def test_a_restart_is_mentioned_where_it_took_long_and_only_there(
    running: tuple[SandboxDriver, Child, PausedPainting], long: bool
) -> None:
    sandbox, child, paused = running
    painting = await sandbox.imagine(prompt="being painted")
    await sandbox.painting("being painted")
    waiting = await sandbox.imagine(prompt="waiting")
    await sandbox.state(waiting, JobState.QUEUED)
    before = {record.id: record.message.text() for record in (painting, waiting)}
    await child.end(signal.SIGKILL)
    if long:
        long_ago(sandbox, 60)
    edits = {record.id: len(record.message.edit_times_s) for record in (painting, waiting)}
    await child.start()

    await sandbox.until(
        lambda: all(len(record.message.edit_times_s) > edits[record.id] for record in (painting, waiting))
    )
    for record in (painting, waiting):
        assert RESTARTED not in before[record.id]
        assert (RESTARTED in record.message.text()) is long
    assert "restarted a moment ago" in await reason(sandbox, waiting)
    paused.free()
    for record in (painting, waiting):
        assert RESTARTED not in (await sandbox.picture(record)).text()


async def test_what_is_asked_for_during_a_stop_is_taken_said_so_and_painted_after_it(
    running: tuple[SandboxDriver, Child, PausedPainting],
) -> None:
    sandbox, child, paused = running
    sandbox.fal.faults.slow_submit_s = 2.5
    first = await sandbox.imagine(prompt="first")
    await sandbox.until(lambda: sandbox.at_fal("first"))
    ending = asyncio.create_task(child.end(signal.SIGTERM))
    await sandbox.until(lambda: "stopping" in child.log)

    late = await sandbox.imagine("nia", prompt="late")
    assert "I am restarting. Your picture is safe" in late.message.text()
    assert (await reason(sandbox, late, "nia")).startswith("### Why am I waiting?")
    unwanted = await sandbox.imagine("nia", prompt="unwanted")
    await sandbox.press("nia", unwanted.message, "Cancel")
    assert "nothing was charged" in (await sandbox.ended(unwanted)).text()

    assert await ending == 0
    sandbox.fal.faults.clear()
    paused.free()
    await child.start()
    for record, prompt in ((first, "first"), (late, "late")):
        await sandbox.picture(record)
        assert len(sandbox.at_fal(prompt)) == 1
    assert not sandbox.at_fal("unwanted")
