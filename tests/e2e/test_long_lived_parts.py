"""A long-lived part that breaks ends the process with its error; a bot that looks alive and does nothing is worse."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import discord
import pytest
from aiohttp import web

import bot.web
from bot.app import run
from bot.fal import Fal
from bot.fal.poller import Poller
from bot.settings import WebSettings
from bot.store.writer import Writer
from sandbox.discord import FakeDiscord
from sandbox.fal import FakeFal
from tests.e2e.sandbox_driver import COMMANDS, PATIENCE_S, SandboxDriver, settings

#: The message of every error made here.
BUG = "a bug of this test"


class Parts:
    """What a running bot is made of, as far as these tests break it."""

    sandbox: SandboxDriver
    process: asyncio.Task[int]
    fal: Fal
    server: web.AppRunner


@asynccontextmanager
async def running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    parts = Parts()
    start = bot.web.start

    def open_fal(**options: Any) -> Fal:
        parts.fal = Fal(**options)
        return parts.fal

    async def start_web(*given: Any, **options: Any) -> web.AppRunner:
        parts.server = await start(*given, **options)
        return parts.server

    monkeypatch.setattr("bot.app.Fal", open_fal)
    monkeypatch.setattr("bot.web.start", start_web)
    monkeypatch.setattr("bot.web.until_broken", partial(bot.web.until_broken, every_s=0.05))
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", None)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    async with FakeFal(speed=0.01) as fal:
        fake = FakeDiscord()
        await fake.start()
        parts.sandbox = SandboxDriver(fake, fal, f"sqlite:///{folder / 'easel.db'}")
        given = settings(fake, fal, parts.sandbox.database_url).model_copy(update={"web": WebSettings(port=port)})
        parts.process = asyncio.create_task(run(given))
        try:
            await fake.wait_ready(PATIENCE_S, commands=COMMANDS)
            yield parts
        finally:
            parts.process.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await parts.process
            await fake.stop()


async def break_writer(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Writer) -> None:
        raise ZeroDivisionError(BUG)

    monkeypatch.setattr(Writer, "_next", broken)
    await parts.sandbox.discord.command("ada", "general", "imagine", {"prompt": "a cat"})


async def break_poller(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Poller) -> None:
        raise ZeroDivisionError(BUG)

    monkeypatch.setattr(Poller, "_pump", broken)
    asyncio.get_running_loop().call_soon(parts.fal._poller._pump_or_break)


async def break_web_server(parts: Parts, _monkeypatch: pytest.MonkeyPatch) -> None:
    for site in list(parts.server.sites):
        await site.stop()


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (break_writer, BUG),
        (break_poller, BUG),
        (break_web_server, "the web server listens no more"),
    ],
)
async def test_a_part_that_breaks_ends_the_process_with_its_error(
    break_it: Callable[[Parts, pytest.MonkeyPatch], Awaitable[None]],
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(tmp_path, monkeypatch) as parts:
        await break_it(parts, monkeypatch)

        with pytest.raises((ZeroDivisionError, RuntimeError), match=error):
            await asyncio.wait_for(asyncio.shield(parts.process), PATIENCE_S)

    assert [record for record in caplog.records if record.message == "a long-lived task broke"]
