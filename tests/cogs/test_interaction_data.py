from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import discord
import pytest

from bot.errors import BadPicture, CannotPostHere
from cogs import interaction_data
from tests.cogs.interactions import CHANNEL, GUILD, PERSON, a_client, a_thread, an_interaction
from tests.english import raises_saying

POSTING = discord.Permissions(view_channel=True, send_messages=True, attach_files=True)


def a_channel(**changes: Any) -> dict[str, Any]:
    return {"id": str(CHANNEL), "type": 0, "name": "x", "guild_id": str(GUILD), "position": 0, "nsfw": False, **changes}


def an_attachment(**changes: Any) -> discord.Attachment:
    data = {
        "id": "1",
        "filename": "cat.png",
        "size": 1000,
        "url": "https://cdn.discordapp.com/attachments/1/2/cat.png?ex=1&is=2&hm=3",
        "proxy_url": "https://media.discordapp.net/x",
        "content_type": "image/png",
        "width": 640,
        "height": 480,
        **changes,
    }
    return discord.Attachment(data=data, state=a_client()._connection)  # type: ignore[arg-type]


async def test_who_asks_and_from_where_is_read_once() -> None:
    actor = interaction_data.actor_of(an_interaction(roles=(5, 6)))
    assert (actor.user_id, actor.channel_id, actor.guild_id) == (PERSON, CHANNEL, GUILD)
    assert {5, 6} <= set(actor.role_ids)


@pytest.mark.parametrize("cached", [True, False])
async def test_roles_are_those_of_the_interaction_whatever_is_cached(cached: bool) -> None:
    client = a_client()
    if cached:
        role: Any = {"id": "5", "name": "r", "permissions": "0", "position": 1, "color": 0, "flags": 0}
        everyone = {**role, "id": str(GUILD), "position": 0}
        data: Any = {"id": str(GUILD), "name": "s", "channels": [], "roles": [role, everyone], "emojis": []}
        client._connection._add_guild(discord.Guild(data=data, state=client._connection))
    assert set(interaction_data.actor_of(an_interaction(client, roles=(5, 6))).role_ids) == {GUILD, 5, 6}


async def test_a_server_the_bot_is_not_in_has_no_role_for_everybody() -> None:
    assert interaction_data.actor_of(an_interaction(roles=(5,), bot_is_member=False)).role_ids == (5,)


async def test_in_direct_messages_there_is_no_server_and_no_role() -> None:
    actor = interaction_data.actor_of(an_interaction(guild=False))
    assert (actor.guild_id, actor.role_ids) == (None, ())


async def test_the_reply_holds_what_the_channel_allows() -> None:
    reply = interaction_data.reply_of(an_interaction(channel=a_channel(nsfw=True)))
    assert reply.age_restricted
    assert reply.bot_can_post
    assert not reply.ephemeral
    assert reply.upload_limit_bytes == 10 * 1024 * 1024
    assert reply.locale == "en-GB"
    assert reply.token_expires_at.tzinfo is not None


async def test_a_thread_names_its_parent_and_the_cache_is_not_asked() -> None:
    client = a_client()
    data: Any = {"id": str(GUILD), "name": "s", "channels": [a_channel(nsfw=True)], "roles": [], "emojis": []}
    client._connection._add_guild(discord.Guild(data=data, state=client._connection))
    interaction = an_interaction(client, channel=a_thread())

    assert interaction_data.thread_parent(interaction) == CHANNEL
    assert not interaction_data.reply_of(interaction).age_restricted
    assert interaction_data.thread_parent(an_interaction(channel=a_channel())) is None


async def test_threads_have_a_permission_of_their_own() -> None:
    with raises_saying(CannotPostHere, match="Send Messages in Threads"):
        interaction_data.check_can_post(an_interaction(channel=a_thread(), app_permissions=POSTING.value))


@pytest.mark.parametrize(
    ("where", "can_post"),
    [
        ({"guild": True, "bot_is_member": True}, True),
        ({"guild": True, "bot_is_member": False}, False),
        ({"guild": False, "context": 1}, True),
        ({"guild": False, "context": 2}, False),
    ],
)
async def test_the_bots_token_reaches_its_servers_and_its_direct_messages(
    where: dict[str, Any], can_post: bool
) -> None:
    assert interaction_data.reply_of(an_interaction(**where)).bot_can_post is can_post


async def test_without_use_external_apps_answers_elsewhere_are_private() -> None:
    without = discord.Permissions.all()
    without.use_external_apps = False
    assert interaction_data.must_be_private(an_interaction(bot_is_member=False, permissions=without.value))
    assert not interaction_data.must_be_private(an_interaction(bot_is_member=False))
    assert not interaction_data.must_be_private(an_interaction(bot_is_member=True, permissions=without.value))


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ({"attach_files": False}, "Attach Files"),
        ({"send_messages": False}, "I lack this permission: Send Messages. Ask a moderator to allow it, or"),
        (
            {"view_channel": False, "attach_files": False},
            "I lack these permissions: View Channel and Attach Files. Ask a moderator to allow them, or",
        ),
    ],
)
async def test_a_missing_permission_is_named_before_anything_is_spent(lacking: dict[str, bool], named: str) -> None:
    held = discord.Permissions(POSTING.value)
    held.update(**lacking)
    with raises_saying(CannotPostHere, match=named):
        interaction_data.check_can_post(an_interaction(app_permissions=held.value))


async def test_enough_permissions_and_foreign_servers_pass() -> None:
    interaction_data.check_can_post(an_interaction(app_permissions=POSTING.value))
    interaction_data.check_can_post(an_interaction(app_permissions=discord.Permissions(administrator=True).value))
    interaction_data.check_can_post(an_interaction(app_permissions=0, bot_is_member=False))
    interaction_data.check_can_post(an_interaction(app_permissions=0, guild=False))


async def test_a_picture_passes_with_its_link() -> None:
    assert interaction_data.picture_url("image", None) is None
    assert interaction_data.picture_url("image", an_attachment()) == an_attachment().url


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"content_type": "text/html; charset=utf-8"}, "it is a web page, not a picture"),
        ({"content_type": "text/plain"}, "it is a text file, not a picture"),
        ({"content_type": "video/quicktime"}, "it is a video, not a picture"),
        ({"content_type": "audio/ogg"}, "it is a sound file, not a picture"),
        ({"content_type": "application/pdf"}, "it is a PDF, not a picture"),
        ({"content_type": "application/zip"}, "it is an archive, not a picture"),
        ({"content_type": "image/jxl"}, "JPEG XL"),
        ({"content_type": "image/svg+xml; charset=utf-8"}, "SVG"),
        ({"size": 21 * 1024 * 1024}, "larger than 20 MiB"),
        ({"width": 20_000, "height": 15_000}, "20000×15000 is too large"),
        ({"width": 9_000, "height": 9_000}, "64 megapixels"),
        ({"width": 20_000, "height": 15_000, "content_type": "image/jpeg"}, "200 megapixels"),
    ],
)
async def test_what_no_model_reads_is_refused_from_its_metadata(changes: dict[str, Any], why: str) -> None:
    with raises_saying(BadPicture, match=why):
        interaction_data.picture_url("image", an_attachment(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"content_type": None},
        {"content_type": "application/octet-stream"},
        {"content_type": "binary/octet-stream"},
        {"content_type": "application/x-httpd-php"},
        {"content_type": "nonsense"},
        {"content_type": "image/heic"},
        {"content_type": "image/avif"},
        {"content_type": "image/gif"},
        {"width": 8160, "height": 6144},
        {"width": 12_000, "height": 3_000},
    ],
)
async def test_what_its_bytes_decide_passes(changes: dict[str, Any]) -> None:
    attachment = an_attachment(**changes)
    assert interaction_data.picture_url("image", attachment) == attachment.url


def test_signed_links_are_known_to_die() -> None:
    now = datetime.fromtimestamp(0x6500_0000, UTC)
    assert interaction_data.link_expired("https://cdn.discordapp.com/a.png?ex=64ffffff&is=1&hm=2", now)
    assert not interaction_data.link_expired("https://cdn.discordapp.com/a.png?ex=65000001&is=1&hm=2", now)
    assert not interaction_data.link_expired("https://example.org/a.png?ex=soon", now)
    assert not interaction_data.link_expired("https://example.org/a.png", now)
