"""Progress edits step back while first answers are under way."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from bot.catalogue import load
from bot.domain.events import Queued
from cogs.delivery import DiscordDelivery
from tests.cogs.values import a_job


async def test_progress_edits_wait_while_first_answers_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = SimpleNamespace(backpressure=True)
    discord = SimpleNamespace(progress_interval_s=0.01, progress_edits_per_s=1000)
    bot: Any = SimpleNamespace(services=SimpleNamespace(settings=SimpleNamespace(discord=discord), runner=runner))
    delivery = DiscordDelivery(bot)
    edited: list[str] = []

    async def edit(live: Any) -> None:
        edited.append(live.job.id)

    monkeypatch.setattr(delivery, "_edit", edit)
    monkeypatch.setattr(delivery, "_token_lives", lambda _: True)
    editor = asyncio.create_task(delivery.edit_forever())
    job = a_job()
    delivery.progress(job, Queued(3))
    await asyncio.sleep(0.15)
    assert edited == []

    runner.backpressure = False
    async with asyncio.timeout(5):
        while not edited:
            await asyncio.sleep(0.005)
    editor.cancel()


@pytest.mark.parametrize(("hangs_s", "mended"), [(0.0, []), (0.7, ["job"])])
async def test_an_edit_of_a_process_that_hung_meanwhile_is_made_good(
    monkeypatch: pytest.MonkeyPatch, hangs_s: float, mended: list[str]
) -> None:
    found: list[str] = []
    runner = SimpleNamespace(lease_remaining_s=lambda _: 0.1, repair_message=lambda _: found.append("job"))
    discord = SimpleNamespace(progress_interval_s=0.01, progress_edits_per_s=1000)
    bot: Any = SimpleNamespace(services=SimpleNamespace(settings=SimpleNamespace(discord=discord), runner=runner))
    delivery = DiscordDelivery(bot)

    async def patch(*_: Any) -> None:
        time.sleep(hangs_s)  # noqa: ASYNC251 - as SIGSTOP does

    monkeypatch.setattr(delivery, "_patch_original", patch)
    monkeypatch.setattr(delivery, "_model", lambda _: load().get("flux-schnell"))
    delivery.progress(a_job(), Queued(3))
    live = next(iter(delivery._messages.values()))
    assert await delivery._patch_progress(live)
    assert found == mended
