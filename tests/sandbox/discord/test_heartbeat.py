"""The heartbeat, as unmodified discord.py measures it."""

from __future__ import annotations

import asyncio
import logging
import time
import types
from typing import Any

import discord.gateway
import pytest
from discord.gateway import DiscordWebSocket, KeepAliveHandler

from sandbox.discord.server import FakeDiscord
from tests.sandbox.discord.conftest import RunBot

_BEATS = 3
#: What passes on a busy machine until discord.py's thread notes that the heartbeat has left.
_WAKING_S = 0.015


class Beats:
    """A clock that stands still but for 40 s at each heartbeat, and whether an ACK has come after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.acknowledged = 0
        clock = types.SimpleNamespace(perf_counter=lambda: self.now_s, time=time.time)
        monkeypatch.setattr(discord.gateway, "time", clock)
        send, ack = DiscordWebSocket.send_heartbeat, KeepAliveHandler.ack

        async def sending(socket: DiscordWebSocket, data: Any) -> None:
            self.now_s += 40
            await send(socket, data)
            await asyncio.sleep(_WAKING_S)

        def acknowledging(handler: KeepAliveHandler) -> None:
            ack(handler)
            self.acknowledged += 1

        monkeypatch.setattr(DiscordWebSocket, "send_heartbeat", sending)
        monkeypatch.setattr(KeepAliveHandler, "ack", acknowledging)

    async def over(self) -> None:
        async with asyncio.timeout(20):
            while self.acknowledged < _BEATS:
                await asyncio.sleep(0.01)


async def test_discord_py_never_finds_itself_behind(
    fake_discord: FakeDiscord, run_bot: RunBot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beats = Beats(monkeypatch)
    fake_discord.gateway.heartbeat_interval_ms = 400

    with caplog.at_level(logging.WARNING, logger="discord"):
        bot = await run_bot(lambda _bot: None)
        await beats.over()

    assert [one.getMessage() for one in caplog.records if "behind" in one.getMessage()] == []
    assert bot.latency == 0


async def test_an_acknowledgement_without_a_round_trip_would_make_it_warn(
    fake_discord: FakeDiscord, run_bot: RunBot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beats = Beats(monkeypatch)
    fake_discord.gateway.heartbeat_interval_ms = 400
    fake_discord.gateway.ack_delay_s = 0

    with caplog.at_level(logging.WARNING, logger="discord"):
        await run_bot(lambda _bot: None)
        await beats.over()

    assert "websocket is 40.0s behind" in caplog.text
