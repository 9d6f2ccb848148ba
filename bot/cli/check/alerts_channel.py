"""Whether the bot may post in `operator.alerts_channel`; nothing is posted to find out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import discord

from bot.cli.check.findings import DiscordAnswered, Finding, fault, ok

Get = Callable[[str], Awaitable[Any]]

_THREADS = frozenset({10, 11, 12})
#: Discord's kinds of channels that take no messages of their own: categories, directories, forums, media channels.
_WITHOUT_MESSAGES = frozenset({4, 14, 15, 16})
_ELSE = (
    "Set EASEL_OPERATOR__ALERTS_CHANNEL to the id of a text channel where the bot may post: with Discord's Developer "
    "Mode on, right-click the channel, Copy Channel ID."
)


async def examine(get: Get, channel_id: int, bot_id: str) -> Finding:
    """Examine one channel.

    Args:
        get: asks Discord for a path.

    Raises:
        ExaminationEnded: Discord can't be asked.
    """
    try:
        channel = await get(f"/channels/{channel_id}")
    except DiscordAnswered as answer:
        if answer.status not in {403, 404}:
            raise
        return fault(f"Alerts: the bot can't see the channel {channel_id} of operator.alerts_channel", _ELSE)
    name = f"#{channel.get('name') or channel_id}"
    if channel.get("type") in _WITHOUT_MESSAGES:
        return fault(f"Alerts: {name} of operator.alerts_channel takes no messages", _ELSE)
    missing = [] if channel.get("guild_id") is None else await _missing(get, channel, bot_id)
    if missing:
        return fault(
            f"Alerts: the bot may not post in {name} of operator.alerts_channel, it lacks {', '.join(missing)}",
            "Edit Channel, Permissions, the bot's role: allow it there; or name another channel.",
        )
    return ok(f"Alerts: go to {name}")


async def _missing(get: Get, channel: Mapping[str, Any], bot_id: str) -> list[str]:
    guild_id, is_thread = channel["guild_id"], channel.get("type") in _THREADS
    guild, member = await get(f"/guilds/{guild_id}"), await get(f"/guilds/{guild_id}/members/{bot_id}")
    # A thread has its parent's permissions.
    place = await get(f"/channels/{channel['parent_id']}") if is_thread else channel
    granted = permissions_in(guild, member, bot_id, place)
    to_send = ("Send Messages in Threads", granted.send_messages_in_threads)
    needed = (
        ("View Channel", granted.view_channel),
        to_send if is_thread else ("Send Messages", granted.send_messages),
    )
    return [label for label, is_granted in needed if not is_granted]


def permissions_in(
    guild: Mapping[str, Any], member: Mapping[str, Any], member_id: str, channel: Mapping[str, Any]
) -> discord.Permissions:
    """What a member may do in a channel, as Discord reckons it: roles, then the channel's exceptions in their order."""
    roles = {guild["id"], *member.get("roles", ())}
    granted = 0
    for role in guild.get("roles", ()):
        granted |= int(role["permissions"]) if role["id"] in roles else 0
    if guild.get("owner_id") == member_id or discord.Permissions(granted).administrator:
        return discord.Permissions.all()
    written = channel.get("permission_overwrites") or ()
    for group in (
        [one for one in written if one["id"] == guild["id"]],
        [one for one in written if one["id"] in roles - {guild["id"]}],
        [one for one in written if one["id"] == member_id],
    ):
        granted = granted & ~_union(group, "deny") | _union(group, "allow")
    return discord.Permissions(granted)


def _union(overwrites: Iterable[Mapping[str, Any]], part: str) -> int:
    bits = 0
    for one in overwrites:
        bits |= int(one.get(part) or 0)
    return bits
