"""A naive bot (defer, subscribe, download, follow up), the baseline of every ratio."""

from __future__ import annotations

import asyncio
import io
import os
from typing import Any

import aiohttp
import discord
import fal_client
import fal_client.client
import yarl

from tests.bench.lag import LagMonitor


class NaiveBot(discord.Client):
    """One command, no store, no limits, no progress."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True))
        self.tree = discord.app_commands.CommandTree(self)
        self.session: aiohttp.ClientSession | None = None
        self.fal = fal_client.AsyncClient(key=os.environ["FAL_KEY"])

    async def setup_hook(self) -> None:
        self.session = aiohttp.ClientSession()

        @self.tree.command(name="imagine", description="Paint a picture")
        async def imagine(interaction: discord.Interaction, prompt: str) -> None:
            await interaction.response.defer()
            result: dict[str, Any] = await self.fal.subscribe("fal-ai/flux-1/schnell", {"prompt": prompt})
            assert self.session is not None
            async with self.session.get(result["images"][0]["url"]) as answer:
                body = await answer.read()
            await interaction.followup.send(prompt, file=discord.File(io.BytesIO(body), "picture.png"))

        await self.tree.sync()


async def main() -> None:
    discord.http.Route.BASE = os.environ["EASEL_DISCORD__API_URL"]
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["EASEL_DISCORD__GATEWAY_URL"])
    # fal_client has no scheme setting; these are read at every call.
    base = os.environ["EASEL_FAL__QUEUE_URL"].rstrip("/") + "/"
    fal_client.client.QUEUE_URL_FORMAT = fal_client.client.RUN_URL_FORMAT = base
    async with LagMonitor(), NaiveBot() as bot:
        await bot.start(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    asyncio.run(main())
