"""Limits and progress as people meet them: the whole bot, limits on, over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bot.domain.job import JobState
from bot.settings import LimitSettings, Tier
from bot.store.durations import PastGeneration
from sandbox.discord import Message
from sandbox.discord.world import PATRON_ROLE_ID
from tests.e2e.sandbox_driver import PausedPainting, SandboxDriver, in_process_bot

WHEN = re.compile(r"<t:(\d+):[ft]>")
GENEROUS: dict[str, Any] = {
    "images_per_hour": 10_000,
    "burst_images": 1000,
    "images_per_day": 10_000,
    "concurrent_jobs": 50,
}


def limits(**changes: Any) -> dict[str, Any]:
    """Sections for `in_process_bot`: generous but for what is named."""
    server = changes.pop("guild_images_per_day", 100_000)
    made = LimitSettings(
        default=Tier(**{**GENEROUS, **changes}),
        tiers={PATRON_ROLE_ID: Tier(**GENEROUS)},
        guild_images_per_day=server,
    )
    return {"limits": dict(made)}


@pytest.fixture
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SandboxDriver]:
    async with in_process_bot(tmp_path, **request.param) as made:
        yield made


def under(**changes: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sandbox", [limits(**changes)], indirect=True, ids=[""])


async def refusal(sandbox: SandboxDriver, person: str = "ada", channel: str = "general", **options: Any) -> str:
    used, submitted = await sandbox.counted(person, channel), len(sandbox.fal.accepted)
    message = (await sandbox.imagine(person, channel, **options)).message
    assert message.ephemeral, message.text()
    assert "No quota was used." in message.text()
    assert await sandbox.counted(person, channel) == used
    assert len(sandbox.fal.accepted) == submitted
    return message.text()


def moments(text: str) -> list[datetime]:
    return [datetime.fromtimestamp(int(found), UTC) for found in WHEN.findall(text)]


@under(images_per_hour=60, burst_images=2, images_per_day=50)
async def test_too_fast_says_what_is_left_and_when_it_goes_on(sandbox: SandboxDriver) -> None:
    await sandbox.paint()
    said = await refusal(sandbox, count=2)
    assert "you have 1 picture left for now" in said
    assert "49 left today" in said.replace(" pictures", "")
    (when,) = moments(said)
    assert when.second == 0  # rounded up: a time of day shows no seconds
    assert 0 < (when - datetime.now(UTC)).total_seconds() <= 121
    await sandbox.paint()
    assert "you have none left for now" in await refusal(sandbox)
    usage = (await sandbox.run("ada", "general", "usage")).message.text()
    assert "0 of 2 pictures left for now; 60 more come back every hour, and all are back from <t:" in usage
    assert moments(usage)
    await sandbox.paint("pat", count=4)  # a patron


@under(images_per_day=3)
async def test_the_day_ends_with_the_count_and_a_failure_gives_it_back(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("content_policy", True)
    await sandbox.ended(await sandbox.imagine(count=3))
    assert await sandbox.counted() == (0, 0)
    await sandbox.paint(count=2)
    said = await refusal(sandbox, count=2)
    assert "your 3 pictures a day" in said
    assert "You have 1 left today" in said
    midnight = moments(said)[0]
    assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    await sandbox.paint()
    assert "none left today" in await refusal(sandbox, channel="dm")


@under(concurrent_jobs=1)
async def test_one_at_a_time_until_it_is_done_or_cancelled(sandbox: SandboxDriver) -> None:
    paused = PausedPainting(sandbox.fal)
    first = await sandbox.imagine()
    await sandbox.painting()
    message = (await sandbox.imagine()).message
    assert message.ephemeral
    assert "already have 1 request in progress" in message.text()
    await sandbox.press("ada", first.message, "Cancel")
    await sandbox.ended(first)
    paused.free()
    await sandbox.paint()
    assert await sandbox.counted() == (1, 1)


@under(guild_images_per_day=2)
async def test_a_servers_day_holds_for_everybody_in_it_and_not_elsewhere(sandbox: SandboxDriver) -> None:
    await sandbox.paint("ada", count=2)
    said = await refusal(sandbox, "pat")
    assert "this server's 2 pictures a day" in said
    assert "The server has none left today" in said
    assert moments(said)
    await sandbox.paint("pat", "dm")


@under()
async def test_a_servers_own_limits_hold_at_once_and_leave_no_trace_when_they_are_lifted(
    sandbox: SandboxDriver,
) -> None:
    await sandbox.run("mo", "general", "settings limits", {"burst": 1, "images_per_hour": 1.0})
    await sandbox.paint("nia")
    said = await refusal(sandbox, "nia")
    assert 50 < (moments(said)[0] - datetime.now(UTC)).total_seconds() / 60 <= 62
    await sandbox.run("mo", "general", "settings limits", {"reset": True})
    # The hour that the strict rate took counts under that rate alone.
    await sandbox.paint("nia")


@under()
async def test_painting_in_direct_messages_leaves_a_stricter_server_its_pace(sandbox: SandboxDriver) -> None:
    await sandbox.run("mo", "general", "settings limits", {"images_per_hour": 9_000, "burst": 3})
    before = (await sandbox.run("nia", "general", "usage")).message.text()
    await sandbox.picture(await sandbox.imagine("nia", "dm", prompt="elsewhere", count=2))
    assert "**3 pictures** right now." in before
    assert "**3 pictures** right now." in (await sandbox.run("nia", "general", "usage")).message.text()


@under()
async def test_a_server_bounds_the_requests_under_way_in_it_and_says_so(sandbox: SandboxDriver) -> None:
    shown = (await sandbox.run("mo", "general", "settings limits", {"server_concurrent": 1})).message.text()
    assert "1 request at the same time for the whole server" in shown
    assert "Set by this server: requests at the same time for the whole server." in shown
    paused = PausedPainting(sandbox.fal)
    first = await sandbox.imagine("nia", prompt="first")
    message = (await sandbox.imagine("ada", prompt="second")).message
    assert message.ephemeral
    assert "This server already has 1 request in progress. That is the most at once for a server." in message.text()
    left = (await sandbox.run("ada", "general", "usage")).message.text()
    assert "This server has as many requests in progress as are possible at once" in left
    assert "**0 pictures** right now." in left
    elsewhere = await sandbox.imagine("ada", "dm", prompt="elsewhere")
    paused.free()
    await sandbox.picture(first)
    await sandbox.picture(elsewhere)
    await sandbox.state(first, JobState.DELIVERED)
    await sandbox.paint("ada")
    shown = (await sandbox.run("mo", "general", "settings limits", {"server_concurrent": 0})).message.text()
    assert "for the whole server\n" not in shown.split("Set by")[0].replace("a day for the whole server", "")


@pytest.mark.parametrize(
    "sandbox",
    [{**limits(concurrent_jobs=3), "fal": {"max_in_flight": 2}}],
    indirect=True,
    ids=[""],
)
async def test_forty_people_at_once_are_not_starved_by_one_who_floods(sandbox: SandboxDriver) -> None:
    sandbox.fal.queue.paint = "flat"
    paused = PausedPainting(sandbox.fal)
    flood = [await sandbox.imagine("nia", prompt=f"flood {number}", count=4) for number in range(8)]
    taken = [record for record in flood if not record.message.ephemeral]
    assert len(taken) == 3
    people = sandbox.discord.world.add_people(40)
    asked = [await sandbox.discord.command(one, "general", "imagine", {"prompt": f"of {one.name}"}) for one in people]
    for record in asked:
        assert (await record.answered(30)).state == "answered"
    paused.free()
    for record, person in zip(asked, people, strict=True):
        await sandbox.picture(record)
        assert len(sandbox.at_fal(f"of {person.name}")) == 1
    for record in taken:
        await sandbox.picture(record)
    order = [str(one.arguments["prompt"]) for one in sandbox.fal.accepted]
    assert order.index("flood 2") > 38, "twelve pictures of one person went before those of forty"
    assert sandbox.fal.counters.duplicates == 0


# ---------------------------------------------------------------------- progress


def edited(message: Message, times: int) -> bool:
    return len(message.edit_times_s) >= times


@pytest.mark.timing
@pytest.mark.parametrize("sandbox", [{"discord": {"progress_interval_s": 0.3}}], indirect=True, ids=[""])
async def test_edits_keep_their_distance_and_happen_only_when_something_changed(sandbox: SandboxDriver) -> None:
    paused = PausedPainting(sandbox.fal)
    record = await sandbox.imagine()
    job = await sandbox.painting()
    sandbox.fal.faults.set("stuck_queue", True)
    waiting = await sandbox.imagine(prompt="stays where it is")
    texts: dict[str, list[str]] = {record.message.id: [], waiting.message.id: []}
    sandbox.discord.message_store.on_change.append(lambda message: texts[message.id].append(message.text()))
    for step in range(210, 330):
        job.log(f" {step // 4}%|█████     | {step}/400 [00:01<00:01,  2.00it/s]", job.created_at)
        await sandbox.until(partial(edited, record.message, (step - 200) // 30))
    edits = list(record.message.edit_times_s)
    assert len(edits) >= 3
    assert all(after - before >= 0.29 for before, after in pairwise(edits))
    for shown in texts.values():
        assert all(before != after for before, after in pairwise(shown))
    paused.finish()
    await sandbox.picture(record)


@pytest.mark.parametrize("sandbox", [{"discord": {"progress_interval_s": 0.05}}], indirect=True, ids=[""])
async def test_a_model_with_logs_shows_steps_and_one_without_shows_the_time_it_learned(sandbox: SandboxDriver) -> None:
    paused = PausedPainting(sandbox.fal)
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    assert "50 %" in record.message.text()
    paused.finish()
    await sandbox.picture(record)

    async def silent(_job: Any, _duration_s: float) -> None:
        await gates.wait()

    gates = asyncio.Event()
    vars(sandbox.fal.queue)["_log_progress"] = silent
    quiet = await sandbox.imagine(model="imagen4", prompt="without a word")
    await sandbox.until(lambda: "Painting…" in quiet.message.text())
    assert "left" in quiet.message.text() or "almost done" in quiet.message.text()
    gates.set()
    await sandbox.picture(quiet)
    async with sandbox.store() as store:
        learned: list[PastGeneration] = []
        while not learned:
            learned = [one for one in await store.durations.recent() if one.endpoint == "fal-ai/imagen4/preview"]
            await asyncio.sleep(0.01)
    assert learned[0].seconds < 5
    assert learned[0].images == 1
