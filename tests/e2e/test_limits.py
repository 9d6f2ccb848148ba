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
from sandbox.discord import Message
from sandbox.discord.world import PATRON_ROLE_ID
from tests.e2e.sandbox_driver import Easel, Place, a_place

WHEN = re.compile(r"<t:(\d+):R>")
GENEROUS = {"images_per_hour": 10_000, "burst_images": 1000, "images_per_day": 10_000, "concurrent_jobs": 50}


def limits(**changes: Any) -> dict[str, Any]:
    """Sections for `a_place`: generous but for what is named."""
    server = changes.pop("guild_images_per_day", 100_000)
    made = LimitSettings(
        default=Tier(**{**GENEROUS, **changes}),
        tiers={PATRON_ROLE_ID: Tier(**GENEROUS)},
        guild_images_per_day=server,
    )
    return {"limits": dict(made)}


@pytest.fixture
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path, **request.param) as made:
        yield made


def under(**changes: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("place", [limits(**changes)], indirect=True, ids=[""])


async def refusal(place: Place, person: str = "ada", channel: str = "general", **options: Any) -> str:
    used, submitted = await place.counted(person, channel), len(place.fal.accepted)
    message = (await place.imagine(person, channel, **options)).message
    assert message.ephemeral, message.text()
    assert "Nothing was started and no quota was used." in message.text()
    assert await place.counted(person, channel) == used
    assert len(place.fal.accepted) == submitted
    return message.text()


def moments(text: str) -> list[datetime]:
    return [datetime.fromtimestamp(int(found), UTC) for found in WHEN.findall(text)]


@under(images_per_hour=60, burst_images=2, images_per_day=50)
async def test_too_fast_says_what_is_left_and_when_it_goes_on(place: Place) -> None:
    await place.paint()
    said = await refusal(place, count=2)
    assert "you have 1 picture left for the moment" in said
    assert "49 left today" in said.replace(" pictures", "")
    (when,) = moments(said)
    assert 0 < (when - datetime.now(UTC)).total_seconds() <= 61
    await place.paint()
    assert "you have none left for the moment" in await refusal(place)
    assert moments((await place.run("ada", "general", "usage")).message.text())
    await place.paint("pat", count=4)  # a patron


@under(images_per_day=3)
async def test_the_day_ends_with_the_count_and_a_failure_gives_it_back(place: Place) -> None:
    place.fal.troubles.set("content_policy", True)
    await place.ended(await place.imagine(count=3))
    assert await place.counted() == (0, 0)
    await place.paint(count=2)
    said = await refusal(place, count=2)
    assert "your 3 pictures a day" in said
    assert "You have 1 left today" in said
    midnight = moments(said)[0]
    assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    await place.paint()
    assert "none left today" in await refusal(place, channel="dm")


@under(concurrent_jobs=1)
async def test_one_at_a_time_until_it_is_done_or_cancelled(place: Place) -> None:
    easel = Easel(place.fal)
    first = await place.imagine()
    await place.painting()
    message = (await place.imagine()).message
    assert message.ephemeral
    assert "already have 1 request under way" in message.text()
    await place.press("ada", first.message, "Cancel")
    await place.ended(first)
    easel.free()
    await place.paint()
    assert await place.counted() == (1, 1)


@under(guild_images_per_day=2)
async def test_a_servers_day_holds_for_everybody_in_it_and_not_elsewhere(place: Place) -> None:
    await place.paint("ada", count=2)
    said = await refusal(place, "pat")
    assert "this server's 2 pictures a day" in said
    assert "The server has none left today" in said
    assert moments(said)
    await place.paint("pat", "dm")


@under()
async def test_a_servers_own_limits_hold_at_once_and_leave_no_trace_when_they_are_lifted(place: Place) -> None:
    await place.run("mo", "general", "settings limits", {"burst": 1, "images_per_hour": 1.0})
    await place.paint("nia")
    said = await refusal(place, "nia")
    assert 50 < (moments(said)[0] - datetime.now(UTC)).total_seconds() / 60 <= 61
    await place.run("mo", "general", "settings limits", {"reset": True})
    # 10,000 an hour and 1,000 at once: the hour that the strict pace took counts for six minutes at most.
    later = await refusal(place, "nia")
    assert (moments(later)[0] - datetime.now(UTC)).total_seconds() <= 2
    await place.until(lambda: datetime.now(UTC) >= moments(later)[0])
    await place.paint("nia")


@under()
async def test_a_server_bounds_the_requests_under_way_in_it_and_says_so(place: Place) -> None:
    shown = (await place.run("mo", "general", "settings limits", {"server_concurrent": 1})).message.text()
    assert "1 request at the same time for the whole server" in shown
    assert "Set by this server: requests at the same time for the whole server." in shown
    easel = Easel(place.fal)
    first = await place.imagine("nia", prompt="first")
    message = (await place.imagine("ada", prompt="second")).message
    assert message.ephemeral
    assert "This server already has 1 request under way, the most at once." in message.text()
    left = (await place.run("ada", "general", "usage")).message.text()
    assert "This server has as many requests under way as it may" in left
    assert "**0 pictures** right now." in left
    elsewhere = await place.imagine("ada", "dm", prompt="elsewhere")
    easel.free()
    await place.picture(first)
    await place.picture(elsewhere)
    await place.state(first, JobState.DELIVERED)
    await place.paint("ada")
    shown = (await place.run("mo", "general", "settings limits", {"server_concurrent": 0})).message.text()
    assert "for the whole server\n" not in shown.split("Set by")[0].replace("a day for the whole server", "")


@pytest.mark.parametrize(
    "place",
    [{**limits(concurrent_jobs=3), "fal": {"max_in_flight": 2}}],
    indirect=True,
    ids=[""],
)
async def test_forty_people_at_once_are_not_starved_by_one_who_floods(place: Place) -> None:
    place.fal.queue.paint = "flat"
    easel = Easel(place.fal)
    flood = [await place.imagine("nia", prompt=f"flood {number}", count=4) for number in range(8)]
    taken = [record for record in flood if not record.message.ephemeral]
    assert len(taken) == 3
    people = place.standin.world.add_people(40)
    asked = [await place.standin.command(one, "general", "imagine", {"prompt": f"of {one.name}"}) for one in people]
    for record in asked:
        assert (await record.answered(30)).state == "answered"
    easel.free()
    for record, person in zip(asked, people, strict=True):
        await place.picture(record)
        assert len(place.at_fal(f"of {person.name}")) == 1
    for record in taken:
        await place.picture(record)
    order = [str(one.arguments["prompt"]) for one in place.fal.accepted]
    assert order.index("flood 2") > 38, "twelve pictures of one person went before those of forty"
    assert place.fal.counters.duplicates == 0


# ---------------------------------------------------------------------- progress


def edited(message: Message, times: int) -> bool:
    return len(message.edit_times_s) >= times


@pytest.mark.parametrize("place", [{"discord": {"progress_interval_s": 0.3}}], indirect=True, ids=[""])
async def test_edits_keep_their_distance_and_happen_only_when_something_changed(place: Place) -> None:
    easel = Easel(place.fal)
    record = await place.imagine()
    job = await place.painting()
    place.fal.troubles.set("stuck_queue", True)
    waiting = await place.imagine(prompt="stays where it is")
    texts: dict[str, list[str]] = {record.message.id: [], waiting.message.id: []}
    place.standin.board.on_change.append(lambda message: texts[message.id].append(message.text()))
    for step in range(210, 330):
        job.log(f" {step // 4}%|█████     | {step}/400 [00:01<00:01,  2.00it/s]", job.created_at)
        await place.until(partial(edited, record.message, (step - 200) // 30))
    edits = list(record.message.edit_times_s)
    assert len(edits) >= 3
    assert all(after - before >= 0.29 for before, after in pairwise(edits))
    for shown in texts.values():
        assert all(before != after for before, after in pairwise(shown))
    easel.finish()
    await place.picture(record)


@pytest.mark.parametrize("place", [{"discord": {"progress_interval_s": 0.05}}], indirect=True, ids=[""])
async def test_a_model_with_logs_shows_steps_and_one_without_shows_the_time_it_learned(place: Place) -> None:
    easel = Easel(place.fal)
    record = await place.imagine()
    await place.until(lambda: "Step 2 of 4" in record.message.text())
    assert "50 %" in record.message.text()
    easel.finish()
    await place.picture(record)

    async def silent(_job: Any, _duration_s: float) -> None:
        await gates.wait()

    gates = asyncio.Event()
    vars(place.fal.queue)["_log_progress"] = silent
    quiet = await place.imagine(model="imagen4", prompt="without a word")
    await place.until(lambda: "Painting…" in quiet.message.text())
    assert "left" in quiet.message.text() or "almost done" in quiet.message.text()
    gates.set()
    await place.picture(quiet)
    async with place.store() as store:
        learned: dict[str, float] = {}
        while "fal-ai/imagen4/preview" not in learned:
            learned = await store.durations()
            await asyncio.sleep(0.01)
    assert learned["fal-ai/imagen4/preview"] < 5
