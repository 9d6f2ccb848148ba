"""Real `discord.Interaction`s from payloads as the gateway sends them, with answers recorded instead of sent."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import AsyncMock, create_autospec

import discord

GUILD, CHANNEL, PERSON, APPLICATION = 33, 22, 11, 44
EVERYTHING = discord.Permissions.all().value


def a_client() -> discord.Client:
    """A client that is connected to nothing."""
    client = discord.Client(intents=discord.Intents(guilds=True))
    user = {"id": str(APPLICATION), "username": "easel", "discriminator": "0", "avatar": None, "bot": True}
    client._connection.user = discord.ClientUser(state=client._connection, data=cast("Any", user))
    return client


def an_interaction(
    client: discord.Client | None = None,
    *,
    kind: int = 2,
    data: dict[str, Any] | None = None,
    guild: bool | int = True,
    bot_is_member: bool = True,
    context: int | None = None,
    permissions: int = EVERYTHING,
    app_permissions: int = EVERYTHING,
    channel: dict[str, Any] | None = None,
    roles: tuple[int, ...] = (),
    person: int = PERSON,
    message: dict[str, Any] | None = None,
) -> discord.Interaction[Any]:
    """One interaction; its `response` and `followup` are autospecs, so wrong keywords fail.

    Args:
        guild: the server's id; True for the usual one, False for a direct message.
    """
    guild_id = str(GUILD if guild is True else guild)
    user = {"id": str(person), "username": "ada", "discriminator": "0", "avatar": None, "global_name": "Ada"}
    payload: dict[str, Any] = {
        "id": "175928847299117063",
        "application_id": str(APPLICATION),
        "type": kind,
        "data": data or {},
        "token": "a-token",
        "version": 1,
        "locale": "en-GB",
        "attachment_size_limit": 10 * 1024 * 1024,
        "app_permissions": str(app_permissions),
        "entitlements": [],
        "authorizing_integration_owners": {"0": guild_id} if guild and bot_is_member else {"1": str(person)},
        "context": context if context is not None else 0 if guild else 1,
        "channel": channel or _channel(bool(guild)),
    }
    if guild:
        member = {"user": user, "roles": [str(role) for role in roles], "permissions": str(permissions), "flags": 0}
        payload |= {
            "guild_id": guild_id,
            "guild": {"id": guild_id, "locale": "en-US", "features": []},
            "member": {**member, "joined_at": "2020-01-01T00:00:00+00:00", "deaf": False, "mute": False},
        }
    else:
        payload["user"] = user
    if message is not None:
        payload["message"] = message
    interaction: Any = discord.Interaction(data=cast("Any", payload), state=(client or a_client())._connection)
    response = create_autospec(discord.InteractionResponse, instance=True)
    response.is_done.return_value = False
    interaction._cs_response = response
    interaction._cs_followup = create_autospec(discord.Webhook, instance=True)
    return cast("discord.Interaction[Any]", interaction)


def _channel(guild: bool) -> dict[str, Any]:
    if guild:
        return {"id": str(CHANNEL), "type": 0, "name": "general", "guild_id": str(GUILD), "position": 0, "nsfw": False}
    return {"id": str(CHANNEL), "type": 1, "recipients": [], "last_message_id": None}


def said(interaction: discord.Interaction[Any]) -> tuple[str, bool]:
    """The one sentence a person was told, and whether only they see it."""
    response = cast("AsyncMock", interaction.response.send_message)
    call = response.call_args or cast("AsyncMock", interaction.followup.send).call_args
    assert call is not None
    return str(call.args[0]), bool(call.kwargs.get("ephemeral"))


def a_thread() -> dict[str, Any]:
    """A public thread of the usual channel, as interactions describe it: without `nsfw`."""
    return {
        "id": "9",
        "type": 11,
        "name": "t",
        "parent_id": str(CHANNEL),
        "guild_id": str(GUILD),
        "owner_id": str(PERSON),
        "message_count": 0,
        "member_count": 1,
        "thread_metadata": {
            "archived": False,
            "auto_archive_duration": 60,
            "archive_timestamp": "2026-01-01T00:00:00+00:00",
            "locked": False,
        },
    }
