"""Discord is slow, limits the bot's rate, drops connections or replays events: one picture all the same."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from bot.domain.job import JobState
from tests.e2e.faults.outcomes import ALREADY_ACKNOWLEDGED, INVALID_TOKEN, UNKNOWN_INTERACTION, single
from tests.e2e.sandbox_driver import PROMPT, PausedPainting, SandboxDriver

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("scope", ["user", "shared", "cloudflare"])
async def test_rate_limits_delay_a_picture_and_lose_nothing(
    sandbox: SandboxDriver, paused: PausedPainting, scope: Any
) -> None:
    limit = sandbox.discord.set_rate_limit(1, 0.2, scope=scope, path=r"/webhooks/", retry_after_s=0.2)
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    await sandbox.until(lambda: sandbox.discord.counters.rate_limited or limit.take("probe", 0))
    paused.finish()
    await single(sandbox, record)


async def test_the_global_rate_limit_delays_a_picture_and_loses_nothing(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    sandbox.expected.add(INVALID_TOKEN)
    before = sandbox.discord.counters.rate_limited
    record = await sandbox.imagine()
    await sandbox.painting()
    sandbox.discord.kill_token(record)  # the bot's own routes are the ones that it counts
    sandbox.discord.set_rate_limit(0, 0.3, scope="global", retry_after_s=0.1)
    paused.finish()
    await sandbox.until(lambda: sandbox.discord.counters.rate_limited > before)
    sandbox.discord.clear_faults()
    await single(sandbox, record)


async def test_an_address_banned_by_cloudflare_is_left_alone_for_as_long_as_it_asks(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    counters, before = sandbox.discord.counters, sandbox.discord.counters.rate_limited
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.discord.set_rate_limit(0, 1000, scope="cloudflare", path=r"/webhooks/", retry_after_s=0.5)
    paused.finish()
    await sandbox.until(lambda: counters.rate_limited > before)
    refused_s = time.monotonic()
    sandbox.discord.clear_faults()  # the bot has been told otherwise
    await single(sandbox, record)
    assert time.monotonic() - refused_s > 0.45
    assert counters.rate_limited == before + 1


@pytest.mark.parametrize("how", [{"status": 503}, {"drop": True, "times": 3}, {"drop": True, "after": True}])
async def test_a_delivery_that_discord_breaks_is_repeated(
    sandbox: SandboxDriver, paused: PausedPainting, how: dict[str, Any]
) -> None:
    record = await sandbox.imagine()
    await sandbox.painting()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.discord.fail_next("PATCH", "/webhooks/", **how)
    paused.finish()
    await single(sandbox, record)
    assert not sandbox.discord.faults.failures


async def test_slow_answers_of_discord_are_waited_for(sandbox: SandboxDriver) -> None:
    sandbox.discord.slow_rest(0.2)
    await single(sandbox, await sandbox.imagine())


async def test_a_first_answer_that_comes_too_late_spends_nothing(sandbox: SandboxDriver) -> None:
    sandbox.expected.add(UNKNOWN_INTERACTION)
    used = await sandbox.counted()
    sandbox.discord.interactions.answer_deadline_s = 0.1
    sandbox.discord.slow_rest(0.3, "/callback")
    try:
        record = await sandbox.imagine()
        assert record.state == "failed"
        job = await sandbox.state(record, JobState.CANCELLED)
    finally:
        sandbox.discord.interactions.answer_deadline_s = 3.0
    assert job.notified
    assert await sandbox.counted() == used
    assert not sandbox.at_fal()


@pytest.mark.parametrize("how", ["abort", "reconnect", "invalid", "close"])
async def test_a_dropped_gateway_neither_loses_nor_repeats_a_request(
    sandbox: SandboxDriver, paused: PausedPainting, how: Any
) -> None:
    record = await sandbox.imagine()
    await sandbox.painting()
    await sandbox.discord.drop_gateway(how)
    await sandbox.discord.wait_ready(30)
    sandbox.discord.deliver_twice(record)
    sandbox.discord.deliver_twice(record)
    paused.finish()
    await single(sandbox, record)
    assert record.callbacks == 1


@pytest.mark.parametrize("erased", [False, True], ids=["its record is there", "its record is erased"])
async def test_an_event_replayed_after_its_picture_paints_nothing(sandbox: SandboxDriver, erased: bool) -> None:
    record = await sandbox.imagine()
    await single(sandbox, record)
    if erased:
        page = (await sandbox.run("ada", "general", "privacy")).message
        question = (await sandbox.press("ada", page, "Delete my data")).message
        await sandbox.press("ada", question, "Yes, delete everything")
        await sandbox.until(lambda: "Deleted:" in question.text())
        sandbox.expected.add(ALREADY_ACKNOWLEDGED)
    sandbox.discord.deliver_twice(record)
    later = await sandbox.imagine(prompt="the next one")
    await single(sandbox, later, prompt="the next one")
    assert len(sandbox.at_fal()) == 1
    await asyncio.sleep(0.2)
    assert len(sandbox.at_fal()) == 1


async def test_events_replayed_at_once_start_one_job(sandbox: SandboxDriver) -> None:
    record = await sandbox.discord.command("ada", "general", "imagine", {"prompt": PROMPT})
    for _ in range(5):
        sandbox.discord.deliver_twice(record)
    await record.answered(30)
    await single(sandbox, record)
    assert len([job for job in await sandbox.jobs() if job.reply.interaction_id == int(record.id)]) == 1
