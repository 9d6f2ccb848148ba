"""Read plain values from an interaction. No I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import discord

from bot.catalogue.mentions import key_of, with_names
from bot.domain.job import Actor, Reply
from bot.errors import BadPicture, CannotPostHere
from bot.phrase import Phrase, phrase

if TYPE_CHECKING:
    from bot.discord.client import EaselBot
    from bot.services import Services

T = TypeVar("T")

#: An interaction received by an `EaselBot`; `services_of` does the cast.
Interaction: TypeAlias = "discord.Interaction[Any]"

#: Bounds of attachments, checked by the metadata that Discord sends, before anything is fetched.
MAX_INPUT_BYTES = 20 * 1024 * 1024
MAX_INPUT_PIXELS = 64_000_000
#: JPEG is decoded at a fraction of its size.
MAX_JPEG_PIXELS = 200_000_000

#: Image formats that are not read, with the name shown to people.
_UNREADABLE = {"svg+xml": "SVG", "jxl": "JPEG XL", "jp2": "JPEG 2000", "x-icon": "ICO", "vnd.microsoft.icon": "ICO"}
#: What is certainly no picture, by type or by what stands before its slash. Any other type may be wrong or say nothing:
#: the bytes are looked at later.
_NO_PICTURES = {
    "video": "file_video",
    "audio": "file_sound",
    "text/html": "file_web_page",
    "text": "file_text",
    "application/json": "file_text",
    "application/pdf": "file_pdf",
    "application/zip": "file_archive",
    "application/gzip": "file_archive",
    "application/vnd.rar": "file_archive",
    "application/x-7z-compressed": "file_archive",
    "application/x-rar-compressed": "file_archive",
    "application/x-tar": "file_archive",
    "application/x-zip-compressed": "file_archive",
}


def locale_of(interaction: Interaction) -> str:
    """The person's locale in Discord, e.g. `en-GB`."""
    return interaction.locale.value


def client_of(interaction: Interaction) -> EaselBot:
    """The client that received the interaction."""
    return cast("EaselBot", interaction.client)


def services_of(interaction: Interaction) -> Services:
    """The services of the client that received the interaction."""
    return client_of(interaction).services


def new_seed() -> int:
    """A random seed within the range of every model."""
    return random.randrange(2**31)


def actor_of(interaction: Interaction) -> Actor:
    """The person, channel, server and roles of the interaction."""
    return Actor(interaction.user.id, interaction.channel_id or 0, interaction.guild_id, _role_ids(interaction))


def _role_ids(interaction: Interaction) -> tuple[int, ...]:
    """The person's role ids, with that of @everyone (the server's id), which Discord does not send."""
    user = interaction.user
    if not isinstance(user, discord.Member):
        return ()
    everyone = (user.guild.id,) if interaction.is_guild_integration() else ()
    # `Member.roles` looks roles up in the gateway's cache; the ids themselves came with the interaction.
    return (*everyone, *user._roles)


def reply_of(interaction: Interaction) -> Reply:
    """The interaction's token and ids, and what its channel allows."""
    return Reply(
        application_id=interaction.application_id,
        interaction_id=interaction.id,
        token=interaction.token,
        token_expires_at=interaction.expires_at,
        upload_limit_bytes=interaction.filesize_limit,
        age_restricted=_is_age_restricted(interaction.channel),
        bot_can_post=bot_can_post(interaction),
        ephemeral=must_be_private(interaction),
        locale=interaction.locale.value,
    )


def _is_age_restricted(channel: Any) -> bool:
    """What the interaction says of its channel. A thread is as restricted as its parent; see `thread_parent`."""
    return isinstance(channel, discord.abc.GuildChannel) and bool(getattr(channel, "is_nsfw", bool)())


def thread_parent(interaction: Interaction) -> int | None:
    """The id of the channel that the thread belongs to; None outside threads."""
    channel = interaction.channel
    return channel.parent_id if isinstance(channel, discord.Thread) else None


def bot_can_post(interaction: Interaction) -> bool:
    """Whether the bot's own token can post in the channel: in its servers and its direct messages."""
    if interaction.guild_id is not None:
        return interaction.is_guild_integration()
    return bool(interaction.context.dm_channel)


def must_be_private(interaction: Interaction) -> bool:
    """Whether responses must be ephemeral: for members without Use External Apps, where the bot is no member."""
    if interaction.guild_id is None or interaction.is_guild_integration():
        return False
    return not interaction.permissions.use_external_apps


def check_can_post(interaction: Interaction) -> None:
    """Check, before a job is accepted, that the bot can post a picture in the channel.

    Raises:
        CannotPostHere: with the permissions that the bot lacks.
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
    """Whether the person may cancel and delete other people's jobs here (Manage Messages)."""
    return interaction.guild_id is not None and interaction.permissions.manage_messages


def mention_names(interaction: Interaction) -> dict[str, str]:
    """Names for the mentions in what was typed: those that came with the interaction, by `mentions.key_of`."""
    data = cast("Mapping[str, Any]", interaction.data or {})
    resolved: Mapping[str, Any] = data.get("resolved") or {}
    names = {key_of("@", interaction.user.id): interaction.user.display_name}
    channel_name = getattr(interaction.channel, "name", None)
    if isinstance(channel_name, str):
        names[key_of("#", interaction.channel_id)] = channel_name
    for sign, kind in (("@&", "roles"), ("#", "channels")):
        names |= {key_of(sign, one): thing.get("name") or "" for one, thing in (resolved.get(kind) or {}).items()}
    members = resolved.get("members") or {}
    for one, user in (resolved.get("users") or {}).items():
        nick = (members.get(one) or {}).get("nick")
        names[key_of("@", one)] = nick or user.get("global_name") or user.get("username") or ""
    return names


def named_mentions(interaction: Interaction, typed: Mapping[str, T]) -> dict[str, T]:
    """What was typed, with names in place of mentions as far as they came with the interaction."""
    if not any("<" in value or "://" in value for value in typed.values() if isinstance(value, str)):
        return dict(typed)  # as most requests, without any
    names = mention_names(interaction)
    return {
        name: cast("T", with_names(str(value), names)) if type(value) is str else value for name, value in typed.items()
    }


def files_of(interaction: Interaction, ids: Mapping[str, Sequence[str]]) -> dict[str, list[discord.Attachment]]:
    """The files that a submitted modal holds, by field."""
    data = cast("Mapping[str, Any]", interaction.data or {})
    resolved = (data.get("resolved") or {}).get("attachments") or {}
    return {
        name: [discord.Attachment(data=resolved[one], state=interaction._state) for one in given if one in resolved]
        for name, given in ids.items()
    }


def picture_url(option: str, attachment: discord.Attachment | None) -> str | None:
    """Check an attachment's metadata and return its URL; None for None.

    Raises:
        BadPicture: it is no picture, of an unsupported format, or too large.
    """
    if attachment is None:
        return None
    why = _why_unusable(attachment)
    if why is not None:
        raise BadPicture(option, why)
    return attachment.url


def _why_unusable(attachment: discord.Attachment) -> Phrase | None:
    content_type = (attachment.content_type or "").partition(";")[0].strip().lower()
    family, _, kind = content_type.partition("/")
    if (no_picture := _NO_PICTURES.get(content_type) or _NO_PICTURES.get(family)) is not None:
        return phrase("picture_none.given", kind=phrase(no_picture))
    if kind in _UNREADABLE:
        return phrase("file_unreadable", format=_UNREADABLE[kind])
    if attachment.size > MAX_INPUT_BYTES:
        return phrase("file_too_large", mebibytes=MAX_INPUT_BYTES // 1024**2)
    width, height = attachment.width or 0, attachment.height or 0
    most_pixels = MAX_INPUT_PIXELS if family == "image" and kind not in ("jpeg", "jpg") else MAX_JPEG_PIXELS
    if width * height > most_pixels:
        return phrase("file_too_many_pixels", size=f"{width}×{height}", megapixels=most_pixels // 10**6)
    return None


def link_expired(url: str, now: datetime) -> bool:
    """Whether a signed attachment URL has expired (`ex` is its expiry, in hexadecimal Unix seconds)."""
    if "ex=" not in url:
        return False
    ends = parse_qs(urlsplit(url).query).get("ex", [""])[0]
    try:
        return int(ends, 16) <= now.timestamp()
    except ValueError:
        return False
