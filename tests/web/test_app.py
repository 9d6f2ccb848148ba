from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest
from pydantic import ValidationError

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


@pytest.mark.parametrize(
    "url", ["https://bot.example", "https://bot.example:8443/easel/", "http://127.0.0.1:8080", "http://localhost:1"]
)
def test_a_public_address_is_https_or_on_this_machine(url: str) -> None:
    assert WebSettings(public_url=url).public_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://bot.example",
        "bot.example",
        "ftp://bot.example",
        "https://",
        "https://bot.example/?a=b",
        "https://a:b@c.d",
        "https://bot.example#x",
        "https://böt.example",
        "https://bot.example/\n",
        "https://[::1",
        "https://a:port",
    ],
)
def test_other_public_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="starts with https://"):
        WebSettings(public_url=url)


async def test_what_a_restart_would_not_mend_is_told_and_makes_nothing_unhealthy() -> None:
    async def health() -> Mapping[str, bool]:
        return {"discord": True}

    runner = await start(WebSettings(), health, detail=lambda: {"commands": "Discord answered 400"})
    try:
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/health") as response:
            assert response.status == 200
            body = await response.json()
    finally:
        await runner.cleanup()

    assert body == {"status": "ready", "parts": {"discord": True}, "detail": {"commands": "Discord answered 400"}}
