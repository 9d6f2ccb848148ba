"""From an interaction to plain values, once. Nothing here waits for anything."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qs, urlsplit

import discord

from bot.domain.job import Actor, Reply
from bot.errors import BadPicture, CannotPostHere
from bot.phrase import Phrase, phrase

if TYPE_CHECKING:
    from bot.discord.client import EaselBot
    from bot.services import Services

#: `discord.Interaction[EaselBot]`; the client's type is named where it is used.
Interaction: TypeAlias = "discord.Interaction[Any]"

#: Bounds checked from the metadata Discord sends, before anything is fetched.
MAX_INPUT_BYTES = 20 * 1024 * 1024
MAX_INPUT_SIDE_PX = 8192
MAX_INPUT_PIXELS = 32_000_000

#: Pictures by name, but not ones that models read.
_UNREADABLE = {"svg+xml": "SVG", "heic": "HEIC", "heif": "HEIF", "tiff": "TIFF", "x-icon": "ICO"}


def locale_of(interaction: Interaction) -> str:
    """The language in which the person has Discord, e.g. `en-GB`."""
    return interaction.locale.value


def services_of(interaction: Interaction) -> Services:
    """The parts behind the commands, as the client holds them."""
    return cast("EaselBot", interaction.client).services


def new_seed() -> int:
    """A seed every model takes."""
    return secrets.randbelow(2**31)


def actor_of(interaction: Interaction) -> Actor:
    """Who asks, and from where."""
    return Actor(interaction.user.id, interaction.channel_id or 0, interaction.guild_id, _role_ids(interaction))


def _role_ids(interaction: Interaction) -> tuple[int, ...]:
    """The roles in the interaction; a server's id is that of its role @everyone, which is not among them."""
    user = interaction.user
    if not isinstance(user, discord.Member):
        return ()
    everyone = (user.guild.id,) if interaction.is_guild_integration() else ()
    # `Member.roles` asks the gateway's cache for the roles of servers; the ids came with the interaction.
    return (*everyone, *user._roles)


def reply_of(interaction: Interaction) -> Reply:
    """Where the answer goes, and what the channel allows."""
    return Reply(
        application_id=interaction.application_id,
        interaction_id=interaction.id,
        token=interaction.token,
        token_expires_at=interaction.expires_at,
        upload_limit_bytes=interaction.filesize_limit,
        age_restricted=is_age_restricted(interaction.channel),
        bot_can_post=bot_can_post(interaction),
        ephemeral=must_be_private(interaction),
        locale=interaction.locale.value,
    )


def is_age_restricted(channel: Any) -> bool:
    """Whether adult content may be shown; a thread inherits from its parent, which must be known."""
    return isinstance(channel, discord.abc.GuildChannel | discord.Thread) and bool(getattr(channel, "is_nsfw", bool)())


def bot_can_post(interaction: Interaction) -> bool:
    """Whether the bot's own token reaches the channel: its servers and its direct messages."""
    if interaction.guild_id is not None:
        return interaction.is_guild_integration()
    return bool(interaction.context.dm_channel)


def must_be_private(interaction: Interaction) -> bool:
    """In a server the bot is not in, a member without Use External Apps gets private answers only."""
    if interaction.guild_id is None or interaction.is_guild_integration():
        return False
    return not interaction.permissions.use_external_apps


def check_can_post(interaction: Interaction) -> None:
    """Make sure that a picture can be shown here, before anything is spent.

    Raises:
        CannotPostHere: naming the permissions the bot lacks.
    """
    if interaction.guild_id is None or not interaction.is_guild_integration():
        return
    held = interaction.app_permissions
    if held.administrator:
        return
    in_thread = isinstance(interaction.channel, discord.Thread)
    send = "send_messages_in_threads" if in_thread else "send_messages"
    missing = [name for name in ("view_channel", send, "attach_files") if not getattr(held, name)]
    if missing:
        raise CannotPostHere([Phrase(f"permission_{name}") for name in missing])


def may_moderate(interaction: Interaction) -> bool:
    """Whether the person may act on other people's pictures here."""
    return interaction.guild_id is not None and interaction.permissions.manage_messages


def picture_url(option: str, attachment: discord.Attachment | None) -> str | None:
    """The attachment's URL, once its metadata has passed.

    Raises:
        BadPicture: it is no picture, or larger than any model reads.
    """
    if attachment is None:
        return None
    why = _why_unusable(attachment)
    if why is not None:
        raise BadPicture(option, why)
    return attachment.url


def _why_unusable(attachment: discord.Attachment) -> Phrase | None:
    family, _, kind = (attachment.content_type or "").partition(";")[0].strip().lower().partition("/")
    if family != "image":
        return phrase("file_not_picture")
    if kind in _UNREADABLE:
        return phrase("file_unreadable", format=_UNREADABLE[kind])
    if attachment.size > MAX_INPUT_BYTES:
        return phrase("file_too_large", mebibytes=MAX_INPUT_BYTES // 1024**2)
    width, height = attachment.width or 0, attachment.height or 0
    if max(width, height) > MAX_INPUT_SIDE_PX or width * height > MAX_INPUT_PIXELS:
        size, megapixels = f"{width}×{height}", MAX_INPUT_PIXELS // 10**6
        return phrase("file_too_many_pixels", size=size, side=MAX_INPUT_SIDE_PX, megapixels=megapixels)
    return None


def link_expired(url: str, now: datetime) -> bool:
    """Whether a signed attachment link has died (`ex` is its end, in hexadecimal seconds)."""
    ends = parse_qs(urlsplit(url).query).get("ex", [""])[0]
    try:
        return int(ends, 16) <= now.timestamp()
    except ValueError:
        return False
