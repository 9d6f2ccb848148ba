from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import discord
import pytest
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from sandbox.discord.server import FakeDiscord

Setup = Callable[["SmallBot"], None]
RunBot = Callable[..., Awaitable["SmallBot"]]


class SmallBot(discord.Client):
    """Unmodified discord.py with a command tree."""

    def __init__(self, setup: Setup, intents: discord.Intents) -> None:
        super().__init__(intents=intents, guild_ready_timeout=0.05, allowed_mentions=discord.AllowedMentions.none())
        self.tree = app_commands.CommandTree(self)
        self.seen: list[tuple[str, object]] = []
        setup(self)

    async def setup_hook(self) -> None:
        if self.tree.get_commands():
            await self.tree.sync()

    async def on_resumed(self) -> None:
        self.seen.append(("resumed", None))

    async def on_message(self, message: discord.Message) -> None:
        self.seen.append(("message", message))


@pytest.fixture
async def fake_discord() -> AsyncIterator[FakeDiscord]:
    one = FakeDiscord()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def pointed(fake_discord: FakeDiscord) -> Iterator[None]:
    """discord.py speaks to the fake server while the test runs."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE = fake_discord.api_url
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(fake_discord.gateway_url)
    yield
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@pytest.fixture
async def run_bot(fake_discord: FakeDiscord, pointed: None) -> AsyncIterator[RunBot]:
    """Start a SmallBot and wait until it is ready; it is closed after the test."""
    running: list[tuple[SmallBot, asyncio.Task[None]]] = []

    async def start(setup: Setup, intents: discord.Intents | None = None) -> SmallBot:
        bot = SmallBot(setup, intents or discord.Intents.default())
        task = asyncio.create_task(bot.start(fake_discord.token))
        running.append((bot, task))
        ready = asyncio.create_task(bot.wait_until_ready())
        await asyncio.wait({task, ready}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        await ready
        return bot

    yield start
    for bot, task in running:
        await bot.close()
        await asyncio.wait({task}, timeout=5)
        if not task.cancelled() and task.done():
            task.exception()
