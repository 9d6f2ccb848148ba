"""Cancelling what waits, what is painted, and what has just ended."""

from __future__ import annotations

import pytest

from bot.domain.job import JobState
from sandbox.fal.jobs import Status
from tests.e2e.faults.outcomes import single
from tests.e2e.sandbox_driver import PausedPainting, SandboxDriver

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_cancelling_what_waits_at_fal_costs_nothing(sandbox: SandboxDriver) -> None:
    used = await sandbox.counted()
    sandbox.fal.faults.set("stuck_queue", True)
    record = await sandbox.imagine()
    await sandbox.until(sandbox.at_fal)
    await sandbox.state(record, JobState.RUNNING)
    await sandbox.press("ada", record.message, "Cancel")
    said = (await sandbox.ended(record)).text()
    assert "Cancelled before fal.ai began. No quota was used." in said
    assert sandbox.at_fal()[0].status is Status.COMPLETED
    assert await sandbox.counted() == used


async def test_cancelling_what_is_painted_may_cost_and_gives_the_quota_back(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    used = await sandbox.counted()
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    await sandbox.press("ada", record.message, "Cancel")
    said = (await sandbox.ended(record)).text()
    assert "fal.ai had painted it by then and bills $0.003 for it. None of your pictures were used." in said
    assert await sandbox.counted() == used


async def test_cancelling_too_late_says_so_and_the_picture_comes(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.discord.slow_rest(0.5, "/messages/@original")
    paused.finish()
    await sandbox.until(lambda: sandbox.at_fal()[0].status is Status.COMPLETED)
    pressed = await sandbox.press("ada", record.message, "Cancel")
    await sandbox.until(lambda: pressed.messages or record.message.files)
    if pressed.messages:
        assert "Too late to cancel" in pressed.messages[-1].text()
    await single(sandbox, record)
