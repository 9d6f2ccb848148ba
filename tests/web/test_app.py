from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest

import bot.web.app
from bot.errors import SettingsInvalid
from bot.settings import WebSettings
from bot.web import Health, start


async def ask(health: Health) -> tuple[int, dict[str, object]]:
    runner = await start(WebSettings(), health)
    try:
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/health") as response:
            return response.status, await response.json()
    finally:
        await runner.cleanup()


async def test_the_bot_is_ready_when_all_its_parts_work() -> None:
    async def health() -> Mapping[str, bool]:
        return {"discord": True, "store": True}

    assert await ask(health) == (200, {"status": "ready", "parts": {"discord": True, "store": True}})


async def test_one_broken_part_is_named() -> None:
    async def health() -> Mapping[str, bool]:
        return {"discord": False, "store": True}

    assert await ask(health) == (503, {"status": "not ready", "parts": {"discord": False, "store": True}})


async def test_a_part_that_breaks_while_asked_is_an_answer_too() -> None:
    async def health() -> Mapping[str, bool]:
        raise RuntimeError("disk on fire")

    assert await ask(health) == (503, {"status": "not ready", "parts": {}})


async def test_a_part_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.web.app, "ANSWER_WITHIN_S", 0.01)

    async def health() -> Mapping[str, bool]:
        await asyncio.Event().wait()
        return {}

    assert (await ask(health))[0] == 503


async def test_a_taken_port_is_told_to_the_operator() -> None:
    async def health() -> Mapping[str, bool]:
        return {}

    first = await start(WebSettings(), health)
    try:
        port = first.addresses[0][1]
        with pytest.raises(SettingsInvalid, match=f"can't listen on 127.0.0.1:{port}"):
            await start(WebSettings(port=port), health)
    finally:
        await first.cleanup()
