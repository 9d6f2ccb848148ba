"""Registering the slash commands with Discord: a courtesy, so whatever Discord answers, the bot goes on without it.

Discord keeps an application's commands. Where it does not take ours (the day's limit, an entry point command, a missing
right, an outage), people use those that it holds, and ours are offered again later.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import discord
from discord import app_commands

from bot.discord.http import retry_after_s
from bot.errors import StoreUnusable
from bot.retry import Sleep, repeat_last, retry
from bot.store.kv import KeyValueStore

log = logging.getLogger(__name__)

#: Pauses before the commands are offered again; the last one repeats. Discord's limit of new commands is one a day.
RETRY_PAUSES_S = (1, 5, 15, 60, 600, 3600)
#: How long a start waits for the first attempt before the bot goes online without its end.
START_PATIENCE_S = 10.0
#: Where `check` reads what Discord refused last; empty when nothing.
REFUSAL_KEY = "commands_refused"
#: An app's "Launch" command, made by Discord or in the developer portal: no code of ours, but the PUT has to hold it.
_ENTRY_POINT = 4
#: What Discord takes of a command that it has listed.
_ENTRY_POINT_FIELDS = (
    "id",
    "type",
    "name",
    "name_localizations",
    "description",
    "description_localizations",
    "default_member_permissions",
    "dm_permission",
    "contexts",
    "integration_types",
    "nsfw",
    "handler",
)
_EXPECTED = (discord.DiscordException, StoreUnusable, aiohttp.ClientError, OSError, TimeoutError)
#: Why Discord refused, by its code.
_REASONS: Mapping[int, str] = {
    30032: "the application has too many commands",
    30034: "today's limit of new commands is reached",
    50001: "the bot lacks access to its own commands",
    50240: "the application has an entry point command that was not carried along",
}


class CommandSync:
    """Keeps Discord's list of our commands like ours, as far as Discord lets us.

    Args:
        kv: holds a digest of what was registered last, and what Discord refused last.
        sleep: for the pauses between attempts.
    """

    def __init__(
        self,
        tree: app_commands.CommandTree[Any],
        http: discord.http.HTTPClient,
        kv: KeyValueStore,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._tree = tree
        self._http = http
        self._kv = kv
        self._sleep = sleep
        self._tried = asyncio.Event()
        self._unauthorized: discord.HTTPException | None = None
        #: A sentence on what Discord does not take; None while it holds what we have.
        self.problem: str | None = None

    async def run(self) -> None:
        """Offer the commands until Discord has taken them; then wait to be cancelled, as every long-lived part."""
        async for attempt in retry(repeat_last(RETRY_PAUSES_S), sleep=self._sleep):
            try:
                await self._register()
            except Exception as error:  # a courtesy: whatever is wrong with it, people can paint
                if not isinstance(error, _EXPECTED):
                    log.exception("the commands could not be offered")
                if isinstance(error, discord.HTTPException) and error.status == 401:
                    self._unauthorized = error
                attempt.wait_at_least(retry_after_s(error))
                await self._set_problem(_sentence(error))
                log.warning(
                    "Discord did not take the commands; people use those it holds until it does",
                    extra={"why": self.problem, "pause_s": round(attempt.pause_s or 0.0, 1)},
                )
            else:
                await self._set_problem(None)
                break
            finally:
                self._tried.set()
        await asyncio.Event().wait()

    async def first_attempt(self) -> None:
        """Wait for the end of the first attempt, but not for long.

        Raises:
            discord.LoginFailure: Discord does not accept the token any more.
        """
        waiting = asyncio.create_task(self._tried.wait())
        await asyncio.wait({waiting}, timeout=START_PATIENCE_S)
        waiting.cancel()
        if self._unauthorized is not None:
            raise discord.LoginFailure("the token was not accepted") from self._unauthorized

    async def _register(self) -> None:
        """PUT the command tree unless Discord still has exactly what we registered last."""
        application = self._tree.client.application_id
        assert application is not None
        route = discord.http.Route("GET", "/applications/{application_id}/commands", application_id=application)
        held: list[Mapping[str, Any]] = await self._http.request(route, params={"with_localizations": "true"})
        payload = [*await self._own_commands(), *map(_entry_point, filter(_is_entry_point, held))]
        key, digest = f"commands:{application}", _digest(payload)
        if held and await self._kv.get(key) == digest + _ids_digest(held):
            log.info("commands unchanged", extra={"commands": len(held)})
            return
        held = [*await self._http.bulk_upsert_global_commands(application, payload=payload)]
        await self._kv.set(key, digest + _ids_digest(held))
        log.info("commands synced", extra={"commands": len(held)})

    async def _own_commands(self) -> list[dict[str, Any]]:
        translator, known = self._tree.translator, self._tree.get_commands()
        if translator is None:
            return [command.to_dict(self._tree) for command in known]
        return [await command.get_translated_payload(self._tree, translator) for command in known]

    async def _set_problem(self, problem: str | None) -> None:
        if problem is None and self.problem is not None:
            log.info("Discord takes the commands again")
        self.problem = problem
        try:
            if (await self._kv.get(REFUSAL_KEY) or "") != (problem or ""):
                await self._kv.set(REFUSAL_KEY, problem or "")
        except StoreUnusable:
            log.warning("what Discord says to the commands is not on record")


def _is_entry_point(command: Mapping[str, Any]) -> bool:
    return command.get("type") == _ENTRY_POINT


def _entry_point(command: Mapping[str, Any]) -> dict[str, Any]:
    """A command that is not ours, as it has to be sent back so that it stays."""
    return {name: command[name] for name in _ENTRY_POINT_FIELDS if command.get(name) not in (None, "")}


def _sentence(error: BaseException) -> str:
    """Why, in words that hold no token and nothing that people typed."""
    if isinstance(error, discord.HTTPException):
        if not error.code:
            return f"Discord answered {error.status}"
        why = _REASONS.get(error.code, "Easel does not know this code")
        return f"Discord answered {error.status} (code {error.code}: {why})"
    if isinstance(error, discord.RateLimited):
        return "Discord limits the bot's calls"
    if isinstance(error, StoreUnusable):
        return "the database does not answer"
    return "Discord did not answer" if isinstance(error, _EXPECTED) else "Discord's answer could not be read"


def _digest(payload: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(discord.utils._to_json(payload).encode()).hexdigest()[:24]


def _ids_digest(held: Sequence[Mapping[str, Any]]) -> str:
    """A digest of the commands' ids, which change when a command was deleted and registered anew."""
    return ":" + hashlib.sha256(",".join(sorted(str(command["id"]) for command in held)).encode()).hexdigest()[:16]
