"""Progress edits step back while first answers are under way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bot.jobs.events import WaitingHere
from cogs.delivery import DiscordDelivery
from tests.cogs.values import a_job


async def test_progress_edits_wait_while_first_answers_press(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = SimpleNamespace(pressed=True)
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
    delivery.progress(job, WaitingHere(3))
    await asyncio.sleep(0.15)
    assert edited == []

    runner.pressed = False
    async with asyncio.timeout(5):
        while not edited:
            await asyncio.sleep(0.005)
    editor.cancel()
