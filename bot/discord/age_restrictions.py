"""Whether a thread is age-restricted: Discord says so of its parent alone, which no interaction contains."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp
import discord

log = logging.getLogger(__name__)

#: What Discord said holds for so long …
TRUSTED_S = 300.0
#: … and where it could not be asked, it is asked again after this.
RETRY_S = 10.0
#: A person waits for the answer to a command meanwhile, and Discord allows three seconds for that.
PATIENCE_S = 1.0
#: Channels that are remembered.
_MOST = 10_000


class AgeRestrictions:
    """Asks for a channel by REST, once in five minutes.

    What is unknown is not age-restricted: the bot may not see the channel, or Discord does not answer in time.

    Args:
        http: the client's; may be logged in later.
        monotonic: clock in seconds.
    """

    def __init__(self, http: discord.http.HTTPClient, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._monotonic = monotonic
        #: By channel: the answer and until when it holds.
        self._known: dict[int, tuple[bool, float]] = {}
        self._asking: dict[int, asyncio.Task[bool]] = {}

    async def of(self, channel_id: int) -> bool:
        """Whether the channel is age-restricted."""
        restricted, until = self._known.get(channel_id, (False, 0.0))
        if self._monotonic() < until:
            return restricted
        asking = self._asking.get(channel_id)
        if asking is None:
            asking = asyncio.create_task(self._ask(channel_id), name="age-restriction")
            self._asking[channel_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(channel_id, None))
        # Not cancelled when it is late: discord.py never ends the pause of a global rate limit after that.
        await asyncio.wait((asking,), timeout=PATIENCE_S)
        return asking.done() and not asking.cancelled() and asking.result()

    async def close(self) -> None:
        """Stop asking."""
        asking = [*self._asking.values()]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, channel_id: int) -> bool:
        holds_s = TRUSTED_S
        try:
            channel = await self._http.get_channel(channel_id)
            restricted = channel.get("nsfw") is True
        except (discord.Forbidden, discord.NotFound):
            restricted = False
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = type(error).__name__
            log.warning("Discord does not say whether a channel is age-restricted", extra={"error": reason})
            restricted, holds_s = False, RETRY_S
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known.pop(channel_id, None)  # the newest stands last
        self._known[channel_id] = (restricted, self._monotonic() + holds_s)
        return restricted
