"""The discord.py bot: minimal intents, cogs by dotted name, commands registered when the tree changed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
from typing import Any, Protocol

import aiohttp
import discord
import yarl
from discord.ext import commands

from bot.discord.http import Throttle
from bot.services import Services
from bot.settings import DiscordSettings

log = logging.getLogger(__name__)

#: Loaded in this order; nothing in `bot` imports them.
COGS = (
    "cogs.errors",
    "cogs.components",
    "cogs.imagine",
    "cogs.results",
    "cogs.models",
    "cogs.usage",
    "cogs.settings",
    "cogs.help",
    "cogs.privacy",
    # Last: it draws cards with the buttons that the others register.
    "cogs.delivery",
)

#: The longest pause between attempts to reach the gateway.
LONGEST_RECONNECT_S = 15.0
#: A connection to Discord that is silent for this long in the middle of a request is given up (aiohttp: five minutes).
SILENCE_S = 20.0
#: How long a stop waits for commands to say their answer.
ANSWERS_S = 0.8
#: How the names of discord.py's tasks for commands, components and listeners begin.
_COMMAND_TASKS = ("CommandTree-invoker", "discord-ui-", "discord.py: on_interaction")


class BeforeIdentify(Protocol):
    """What may hold an identify back."""

    async def __call__(self, *, initial: bool) -> None:
        """Return when it may go out."""


def point_discord_at(settings: DiscordSettings) -> None:
    """Make discord.py use the configured hosts, where they were configured.

    discord.py 2.7.1 has no option for this; `Route.BASE` and `DEFAULT_GATEWAY` are read at call time.
    """
    usual = DiscordSettings()
    if settings.api_url != usual.api_url:
        discord.http.Route.BASE = settings.api_url.rstrip("/")
    if settings.gateway_url != usual.gateway_url:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway_url)


class ReconnectPauses(discord.backoff.ExponentialBackoff[Any]):
    """discord.py's pauses between attempts to reach the gateway, which grow to a quarter of an hour, bounded.

    Only where no connection came about: such an attempt identifies nobody, so it costs none of the day's identifies.
    """

    def delay(self) -> Any:
        """Seconds until the next attempt; called while the error of the last one is handled."""
        pause_s = float(super().delay())
        return pause_s if isinstance(sys.exception(), discord.ConnectionClosed) else min(pause_s, LONGEST_RECONNECT_S)


# discord.py 2.7.1 has no option for it; `Client.connect` looks the name up in its module when it is called.
vars(discord.client)["ExponentialBackoff"] = ReconnectPauses


class EaselBot(commands.Bot):
    """A client that holds the services and nothing else of its own."""

    def __init__(self, services: Services) -> None:
        self.services = services
        #: Called before each identify; it may wait. `initial`: it is the first one of this process.
        self.before_identify: BeforeIdentify | None = None
        self._throttle = Throttle()
        intents = discord.Intents.none()
        # Guilds only: channel permissions and the age restriction of a thread's parent. Nothing privileged.
        intents.guilds = True
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            # Rather another way to the person than an hour's wait (edits of messages older than an hour).
            max_ratelimit_timeout=60.0,
            connector=self._throttle.connector(),
            http_trace=self._throttle.trace(),
            activity=discord.CustomActivity(name="/imagine"),
        )
        self._throttle.install(self.http)

    async def forget_connections(self) -> None:
        """Close what a failed login opened; its session closes the connector too, so the next one gets a new one."""
        await self.http.close()
        self.http.connector = self._throttle.connector()

    async def setup_hook(self) -> None:
        """Load the cogs, then register the commands if they changed."""
        self._mind_silence()
        for name in COGS:
            if name not in self.extensions:  # a login that Discord let fail half-way is tried again
                await self.load_extension(name)
        if self.services.settings.discord.sync_commands:
            await self._register_commands()

    def _mind_silence(self) -> None:
        """Give up requests that Discord does not answer; discord.py makes its session, and has no option for this.

        Not around the calls: cancelled in the middle of a rate limit's pause, discord.py would forget to end it.
        """
        session = getattr(self.http, "_HTTPClient__session", None)
        if isinstance(session, aiohttp.ClientSession):
            session._timeout = aiohttp.ClientTimeout(total=300.0, sock_connect=10.0, sock_read=SILENCE_S)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Not more identifies than Discord allows; discord.py itself only keeps five seconds between two."""
        await super().before_identify_hook(shard_id, initial=initial)
        if self.before_identify is not None:
            await self.before_identify(initial=initial)

    async def _register_commands(self) -> None:
        """PUT the command tree unless Discord already holds exactly what we put there last."""
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        key = f"commands:{self.application_id}"
        digest = _digest(payload)
        held = await self.tree.fetch_commands()
        if held and await self.services.store.kv.get(key) == digest + _versions(held):
            log.info("commands unchanged", extra={"commands": len(held)})
            return
        held = await self.tree.sync()
        await self.services.store.kv.set(key, digest + _versions(held))
        log.info("commands synced", extra={"commands": len(held)})

    async def close(self) -> None:
        """Let commands under way say their answer, then leave: a job they accepted is on record by now."""
        await _ended(_commands_under_way(), ANSWERS_S)
        await super().close()

    async def on_ready(self) -> None:
        """Log the moment the bot can be used."""
        log.info("ready", extra={"bot_user": str(self.user), "servers": len(self.guilds)})


def _commands_under_way() -> set[asyncio.Task[Any]]:
    """Commands, components and listeners; discord.py keeps no list of them, but it names them."""
    own = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not own and task.get_name().startswith(_COMMAND_TASKS)}


async def _ended(tasks: set[asyncio.Task[Any]], within_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)


def _digest(payload: list[dict[str, Any]]) -> str:
    return hashlib.sha256(discord.utils._to_json(payload).encode()).hexdigest()[:24]


def _versions(held: list[discord.app_commands.AppCommand]) -> str:
    """Discord gives every command a new id when it was deleted and made again."""
    return ":" + hashlib.sha256(",".join(sorted(str(command.id) for command in held)).encode()).hexdigest()[:16]
