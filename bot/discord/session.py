"""The bot's session with Discord: log in, identify within the daily budget, connect and stay connected.

An unreachable Discord never ends the process; a refused token or refused intents do (`DiscordRefused`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

import aiohttp
import discord

from bot.discord.client import EaselBot
from bot.discord.http import is_rate_limit, retry_after_s
from bot.discord.identify_budget import IdentifyHistory, SessionStartLimit, pause_before_identify
from bot.errors import DiscordRefused, StoreUnusable
from bot.retry import Attempt, Sleep, repeat_last, retry
from bot.store.kv import KeyValueStore

log = logging.getLogger(__name__)

#: Pauses between attempts to reach Discord at start; the last one repeats.
LOGIN_PAUSES_S = (1, 2, 5, 10, 15)
#: The store's key for the identify history; the name is older than the class.
IDENTIFY_HISTORY_KEY = "starts"
#: The gateway's close code for a token that is not (or no longer) valid.
_AUTHENTICATION_FAILED = 4004
_NOT_ACCEPTED = (
    "Discord does not accept the bot token. Copy it again from the Bot page of your application in Discord's developer "
    "portal (Reset Token shows a new one) and set it as DISCORD_TOKEN."
)
_NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)


class DiscordSession:
    """Login and gateway connection of one process.

    Every identify is recorded in the store before it is sent, so that a crash loop is slowed down before Discord's
    daily limit is reached (see `bot.discord.identify_budget`).

    Args:
        clock: aware UTC now.
        sleep: for the pauses between attempts.
    """

    def __init__(
        self, bot: EaselBot, kv: KeyValueStore, clock: Callable[[], datetime], *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._bot = bot
        self._kv = kv
        self._clock = clock
        self._sleep = sleep

    async def login(self, token: str) -> None:
        """Log in and register the commands; retries for as long as Discord can't be reached.

        Raises:
            DiscordRefused: Discord does not accept the token.
            discord.HTTPException: Discord refused the login for another reason (4xx, but no rate limit).
        """
        async for attempt in retry(repeat_last(LOGIN_PAUSES_S), sleep=self._sleep):
            try:
                await self._bot.login(token)
            except discord.LoginFailure as error:
                raise DiscordRefused(_NOT_ACCEPTED) from error
            except (discord.HTTPException, discord.RateLimited, *_NETWORK_ERRORS) as error:
                if isinstance(error, discord.HTTPException) and error.status < 500 and not is_rate_limit(error):
                    raise
                await self._bot.forget_connections()
                _log_retry(attempt, error)
            else:
                return

    async def run(self) -> None:
        """Identify when that is safe, then stay connected; returns when the bot is closed.

        Raises:
            DiscordRefused: Discord does not accept the token or the intents.
        """
        await self._wait_until_identify_is_safe()
        self._bot.before_identify = self._before_identify
        async for attempt in retry(repeat_last(LOGIN_PAUSES_S), sleep=self._sleep):
            try:
                await self._bot.connect(reconnect=True)
            except discord.PrivilegedIntentsRequired as error:
                raise DiscordRefused(
                    "Discord refused the gateway intents, though Easel asks for no privileged one."
                ) from error
            except discord.ConnectionClosed as error:
                if error.code == _AUTHENTICATION_FAILED:
                    raise DiscordRefused(_NOT_ACCEPTED) from error
                raise
            except AttributeError as error:
                # discord.py 2.7.1 reconnects with its previous websocket; when the very first connection failed there
                # is none, and it raises AttributeError while it handles the real error.
                if getattr(self._bot, "ws", None) is not None:
                    raise
                _log_retry(attempt, error.__context__ or error)
            else:
                return

    async def record_end(self, *, crashed: bool) -> None:
        """Store how this run ended; a failure to store is only logged, so that it hides no error that ended the run."""
        try:
            history = await self._history()
            await self._save(history.crashed(self._clock()) if crashed else history.ended_well())
        except StoreUnusable:
            log.warning("the end of this run is not on record")

    async def _before_identify(self, *, initial: bool) -> None:
        """Wait and store an identify; called before each one, also when discord.py starts a new session by itself."""
        try:
            if not initial:  # `run` has waited before the first one
                await self._wait_until_identify_is_safe()
            await self._save((await self._history()).with_identify(self._clock()))
        except StoreUnusable:
            log.warning("this identify is not on record")

    async def _wait_until_identify_is_safe(self) -> None:
        """Wait until another identify stays well below Discord's daily limit."""
        history = await self._history()
        while (wait := pause_before_identify(history, await self._session_start_limit(), self._clock())) is not None:
            log.warning(
                "no session with Discord yet: commands have to wait, pictures under way go on",
                extra={"pause_s": round(wait.seconds, 1), "reason": wait.reason},
            )
            await self._sleep(wait.seconds)

    async def _session_start_limit(self) -> SessionStartLimit | None:
        """Read Discord's own count, waiting out rate limits; None when there is no usable answer."""
        async for attempt in retry(repeat_last(LOGIN_PAUSES_S), sleep=self._sleep):
            try:
                _, _, limit = await self._bot.http.get_bot_gateway()
            except (discord.DiscordException, KeyError, *_NETWORK_ERRORS) as error:
                if not is_rate_limit(error):
                    return None
                _log_retry(attempt, error)
            else:
                return SessionStartLimit.read({"session_start_limit": limit})
        raise AssertionError("the pauses are endless")

    async def _history(self) -> IdentifyHistory:
        return IdentifyHistory.from_text(await self._kv.get(IDENTIFY_HISTORY_KEY))

    async def _save(self, history: IdentifyHistory) -> None:
        await self._kv.set(IDENTIFY_HISTORY_KEY, history.to_text())


def _log_retry(attempt: Attempt, error: BaseException) -> None:
    """Log that Discord can't be reached, and make the pause at least as long as Discord asked for."""
    attempt.wait_at_least(retry_after_s(error))
    log.warning(
        "Discord is out of reach; trying again",
        extra={"pause_s": round(attempt.pause_s or 0.0, 1), "error": type(error).__name__},
    )
