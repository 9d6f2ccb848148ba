"""The discord.py bot: minimal intents, cogs loaded by name, commands registered only when the tree changed."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aiohttp
import discord
import yarl
from discord import app_commands
from discord.ext import commands

from bot.discord.age_restrictions import AgeRestrictions
from bot.discord.command_sync import CommandSync
from bot.discord.http import Throttle
from bot.proxies import Proxies
from bot.services import Services
from bot.settings import DiscordSettings

log = logging.getLogger(__name__)

#: Extensions, loaded in this order; nothing in `bot` imports them.
COGS = (
    "cogs.errors",
    "cogs.access",
    "cogs.components",
    "cogs.imagine",
    "cogs.results",
    "cogs.fixes",
    "cogs.models",
    "cogs.usage",
    "cogs.costs",
    "cogs.settings",
    "cogs.help",
    "cogs.privacy",
    "cogs.alerts",
    # After the commands: it looks for translations of those that are registered.
    "cogs.translations",
    # Last: its messages have the buttons that the others register.
    "cogs.delivery",
)

#: The longest pause between attempts to reach the gateway.
MAX_RECONNECT_PAUSE_S = 15.0
#: A request is abandoned when Discord sends nothing for this long (aiohttp's own limit: five minutes).
READ_TIMEOUT_S = 20.0
#: How long a stop waits for commands under way to respond.
ANSWERS_TIMEOUT_S = 0.8
#: Prefixes of the names that discord.py gives its tasks for commands, components and listeners.
_COMMAND_TASKS = ("CommandTree-invoker", "discord-ui-", "discord.py: on_interaction")


class BeforeIdentify(Protocol):
    """May delay an identify."""

    async def __call__(self, *, initial: bool) -> None:
        """Return when the identify may be sent."""


def point_discord_at(settings: DiscordSettings) -> None:
    """Make discord.py use the configured API and gateway URLs, if they differ from the defaults.

    discord.py 2.7.1 has no option for this; `Route.BASE` and `DEFAULT_GATEWAY` are read at call time.
    """
    usual = DiscordSettings()
    if settings.api_url != usual.api_url:
        discord.http.Route.BASE = settings.api_url.rstrip("/")
    if settings.gateway_url != usual.gateway_url:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway_url)


class CappedBackoff(discord.backoff.ExponentialBackoff[Any]):
    """discord.py's pauses between attempts to reach the gateway, capped; its own grow to a quarter of an hour.

    Capped only where no connection was made: such an attempt sends no identify, so it uses nothing of the daily limit.
    """

    def delay(self) -> Any:
        """Seconds until the next attempt; called while the error of the last one is handled."""
        pause_s = float(super().delay())
        return pause_s if isinstance(sys.exception(), discord.ConnectionClosed) else min(pause_s, MAX_RECONNECT_PAUSE_S)


# discord.py 2.7.1 has no option for it; `Client.connect` looks the name up in its module when it is called.
vars(discord.client)["ExponentialBackoff"] = CappedBackoff


class GatedTree(app_commands.CommandTree["EaselBot"]):
    """discord.py's commands behind a gate; without one, none of them runs."""

    #: Decides about every command, context menu and completion; where it says no, it has answered the person.
    gate: Callable[[discord.Interaction[Any]], Awaitable[bool]] | None = None

    async def interaction_check(self, interaction: discord.Interaction[EaselBot], /) -> bool:
        """Called by discord.py before it looks up what was asked for."""
        return self.gate is not None and await self.gate(interaction)


class EaselBot(commands.Bot):
    """The discord.py client; cogs find their services here as `bot.services`."""

    tree: GatedTree

    def __init__(self, services: Services) -> None:
        self.services = services
        #: Called before each identify; it may wait. `initial`: it is the first one of this process.
        self.before_identify: BeforeIdentify | None = None
        #: From the first login on, where commands are registered at all.
        self.command_sync: CommandSync | None = None
        self._throttle = Throttle()
        self._proxies = Proxies.of(services.settings.proxy)
        intents = discord.Intents.none()
        # Guilds only: no messages, no members, nothing privileged.
        intents.guilds = True
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=GatedTree,
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            # Edits of messages older than an hour may be limited for up to an hour; a new message is better then.
            max_ratelimit_timeout=60.0,
            connector=self._throttle.connector(self._proxies),
            http_trace=self._throttle.trace(),
            activity=discord.CustomActivity(name="/imagine"),
        )
        self._throttle.install(self.http)
        self.age_restrictions = AgeRestrictions(self.http)

    async def forget_connections(self) -> None:
        """Close the connections of a failed login; closing its session closes the connector, so a new one is set."""
        await self.http.close()
        self.http.connector = self._throttle.connector(self._proxies)

    async def setup_hook(self) -> None:
        """Load the cogs, then offer the commands to Discord if they changed."""
        self._set_read_timeout()
        for name in COGS:
            if name not in self.extensions:  # loaded already when a login failed half-way and is repeated
                await self.load_extension(name)
        if self.services.settings.discord.sync_commands:
            await self._offer_commands()

    async def _offer_commands(self) -> None:
        """Offer the commands to Discord; where it does not take them at once, that goes on beside everything else.

        Raises:
            discord.LoginFailure: Discord does not accept the token any more.
        """
        if self.command_sync is None:
            self.command_sync = CommandSync(self.tree, self.http, self.services.store.kv)
            self.services.supervisor.start(self.command_sync.run(), name="commands")
        await self.command_sync.first_attempt()

    def _set_read_timeout(self) -> None:
        """Set a read timeout on discord.py's session, for which it has no option.

        A timeout around the calls would not do: a discord.py call that is cancelled during the pause of a global rate
        limit never ends that limit for the other calls.
        """
        session = getattr(self.http, "_HTTPClient__session", None)
        if isinstance(session, aiohttp.ClientSession):
            session._timeout = aiohttp.ClientTimeout(total=300.0, sock_connect=10.0, sock_read=READ_TIMEOUT_S)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for `before_identify`; discord.py itself only keeps five seconds between two identifies."""
        await super().before_identify_hook(shard_id, initial=initial)
        if self.before_identify is not None:
            await self.before_identify(initial=initial)

    async def close(self) -> None:
        """Let commands under way respond, then disconnect; jobs that they accepted are already stored."""
        await _wait_until_ended(_commands_under_way(), ANSWERS_TIMEOUT_S)
        await self.age_restrictions.close()
        await super().close()

    async def on_ready(self) -> None:
        """Log the moment the bot can be used."""
        log.info("ready", extra={"bot_user": str(self.user), "servers": len(self.guilds)})


def _commands_under_way() -> set[asyncio.Task[Any]]:
    """The tasks of commands, components and listeners, found by name because discord.py keeps no list of them."""
    own = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not own and task.get_name().startswith(_COMMAND_TASKS)}


async def _wait_until_ended(tasks: set[asyncio.Task[Any]], within_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)
