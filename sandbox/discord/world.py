"""The server, its people and channels, and what has been said in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sandbox.discord.wire import APPLICATION_ID, Flag, Obj, Permission, Snowflakes, timestamp

#: Real-looking ids that stay the same from start to start.
GUILD_ID = "1204105100330106880"
OTHER_GUILD_ID = "1187439422031159297"
BOT_ROLE_ID = "1204105214817841153"
MODERATOR_ROLE_ID = "1204105214817841154"
PATRON_ROLE_ID = "1204105214817841155"
MEMBER_ROLE_ID = "1204105214817841156"
#: The channels of the server have ids from here on; #budget is the fifth.
_FIRST_CHANNEL = int(GUILD_ID) + 1_000_000_000
BUDGET_CHANNEL_ID = str(_FIRST_CHANNEL + 4)

_JOINED_AT = "2024-02-05T19:00:00.000000+00:00"
_PERSON_BASE = 1_204_106_000_000_000_000
_DM_OFFSET = 7_000_000_000
#: The largest file of a message, in bytes, by the boosts of the server; outside of one it is that of none.
_FILE_LIMITS = {0: 10 << 20, 1: 10 << 20, 2: 50 << 20, 3: 100 << 20}
_MEMBER_CAN = (
    Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.SEND_MESSAGES_IN_THREADS
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.ADD_REACTIONS
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.USE_EXTERNAL_APPS
)
_DM_PERMISSIONS = _MEMBER_CAN | Permission.MENTION_EVERYONE
_OUTSIDE_PERMISSIONS = (
    Permission.SEND_MESSAGES | Permission.EMBED_LINKS | Permission.ATTACH_FILES | Permission.MENTION_EVERYONE
)


@dataclass(frozen=True)
class Role:
    """A role of the server."""

    id: str
    name: str
    permissions: int
    position: int
    color: int = 0
    bot_id: str | None = None

    def object(self) -> Obj:
        """As the API shows it."""
        role: Obj = {
            "id": self.id,
            "name": self.name,
            "permissions": str(self.permissions),
            "position": self.position,
            "color": self.color,
            "colors": {"primary_color": self.color, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": self.bot_id is not None,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        if self.bot_id is not None:
            role["tags"] = {"bot_id": self.bot_id}
        return role


@dataclass
class Person:
    """A person, or the bot."""

    id: str
    username: str
    name: str
    about: str
    color: str
    roles: tuple[str, ...] = ()
    locale: str = "en-US"
    bot: bool = False
    in_guild: bool = True
    _user: Obj | None = field(default=None, repr=False)

    def user(self) -> Obj:
        """The public user object; shared between messages, so not to be changed."""
        if self._user is None:
            self._user = {
                "id": self.id,
                "username": self.username,
                "avatar": None,
                "discriminator": "0" if not self.bot else "4242",
                "public_flags": 0,
                "flags": 0,
                "bot": self.bot,
                "banner": None,
                "accent_color": int(self.color.lstrip("#"), 16),
                "global_name": None if self.bot else self.name,
                "avatar_decoration_data": None,
                "collectibles": None,
                "primary_guild": None,
            }
        return self._user

    def member(self, *, with_user: bool = True) -> Obj:
        """The member object in the server."""
        member: Obj = {
            "avatar": None,
            "banner": None,
            "communication_disabled_until": None,
            "flags": 0,
            "joined_at": _JOINED_AT,
            "nick": None,
            "pending": False,
            "premium_since": None,
            "roles": list(self.roles),
            "mute": False,
            "deaf": False,
        }
        if with_user:
            member["user"] = self.user()
        return member


@dataclass(frozen=True)
class StoredFile:
    """One attachment of a message."""

    id: str
    filename: str
    size_bytes: int
    object: Obj


@dataclass
class Message:
    """One message: the API object, and what only this server knows about it."""

    data: Obj
    channel: Channel
    created_s: float
    visible_to: str | None = None  # person id of an ephemeral message
    files: list[StoredFile] = field(default_factory=list)
    interaction_id: str | None = None
    edit_times_s: list[float] = field(default_factory=list)
    dismissed: bool = False

    @property
    def id(self) -> str:
        """Snowflake."""
        return str(self.data["id"])

    @property
    def content(self) -> str:
        """The text of a plain message."""
        return str(self.data["content"])

    @property
    def flags(self) -> int:
        """Message flags."""
        return int(self.data["flags"])

    @property
    def ephemeral(self) -> bool:
        """Seen by one person only."""
        return bool(self.flags & Flag.EPHEMERAL)

    @property
    def loading(self) -> bool:
        """A deferred answer that has not come yet."""
        return bool(self.flags & Flag.LOADING)

    def components(self) -> Iterable[Obj]:
        """Every component, depth first."""
        return walk(self.data["components"])

    def text(self) -> str:
        """Content, embeds and text displays together: what a person can read."""
        parts = [self.content]
        parts += [str(one["content"]) for one in self.components() if one["type"] == 10]
        for embed in self.data["embeds"]:
            parts += [str(embed[key]) for key in ("title", "description") if embed.get(key)]
        return "\n".join(part for part in parts if part)

    def buttons(self) -> dict[str, Obj]:
        """Label (or custom_id, for one without a label) to button."""
        return {str(one.get("label") or one.get("custom_id")): one for one in self.components() if one["type"] == 2}


def walk(components: Sequence[Obj]) -> Iterable[Obj]:
    """Every component of a tree, depth first."""
    for one in components:
        yield one
        yield from walk(one.get("components") or ())
        for key in ("accessory", "component"):
            if isinstance(one.get(key), dict):
                yield from walk([one[key]])


@dataclass
class Channel:
    """A channel of the server, a DM with the bot, or a group the bot is not in."""

    id: str
    name: str
    kind: str  # "guild", "dm" (with the bot) or "group" (the bot is not in it)
    topic: str = ""
    nsfw: bool = False
    phone: bool = False
    guild_id: str | None = None
    position: int = 0
    overwrites: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # id → (type, allow, deny)
    recipients: tuple[str, ...] = ()
    messages: dict[str, Message] = field(default_factory=dict)
    last_message_id: str | None = None

    @property
    def context(self) -> int:
        """Interaction context: 0 server, 1 DM with the bot, 2 other private channel."""
        return {"guild": 0, "dm": 1, "group": 2}[self.kind]


class World:
    """All people, roles, channels and messages. No I/O; the only clock is the one in the ids."""

    def __init__(self) -> None:
        self.snowflakes = Snowflakes()
        self.guild_id = GUILD_ID
        self.guild_name = "Easel Studio"
        self.guild_names = {GUILD_ID: self.guild_name, OTHER_GUILD_ID: "Neighbours' server"}
        self.application_id = APPLICATION_ID
        self.roles: dict[str, Role] = {}
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.boost_tier = 0  # of the server: 0 to 3
        self.user_installs: set[str] = set()  # people who also have the app on their account
        self._dms: dict[str, str] = {}
        self.bot = Person(APPLICATION_ID, "Easel", "Easel", "The bot.", "#8b7cf6", roles=(BOT_ROLE_ID,), bot=True)
        self._settle()

    def _settle(self) -> None:
        moderator_can = _MEMBER_CAN | Permission.MANAGE_MESSAGES | Permission.MANAGE_GUILD
        bot_can = _MEMBER_CAN | Permission.MANAGE_MESSAGES
        for role in (
            Role(GUILD_ID, "@everyone", _MEMBER_CAN, 0),
            Role(MEMBER_ROLE_ID, "Regular", 0, 1, 0x4FA3E0),
            Role(PATRON_ROLE_ID, "Patron", 0, 2, 0xE0B04F),
            Role(MODERATOR_ROLE_ID, "Moderator", moderator_can, 3, 0x57C785),
            Role(BOT_ROLE_ID, "Easel", bot_can, 4, 0x8B7CF6, bot_id=APPLICATION_ID),
        ):
            self.roles[role.id] = role
        self.people[self.bot.id] = self.bot
        self.ada = self._person(
            1, "ada", name="Ada", about="A regular member.", color="#4fa3e0", roles=(MEMBER_ROLE_ID,)
        )
        self.mo = self._person(
            2,
            "mo",
            name="Mo",
            about="A moderator: Manage Messages and Manage Server.",
            color="#57c785",
            roles=(MODERATOR_ROLE_ID,),
        )
        self.nia = self._person(3, "nia", name="Nia", about="A newcomer without any role.", color="#e07a5f")
        self.pat = self._person(
            4,
            "pat",
            name="Pat",
            about="A patron: that role doubles the limits.",
            color="#e0b04f",
            roles=(PATRON_ROLE_ID,),
        )
        self.user_installs.update({self.ada.id, self.pat.id})
        self._channels()

    def _person(
        self, number: int, username: str, *, name: str, about: str, color: str, roles: tuple[str, ...] = ()
    ) -> Person:
        person = Person(str(_PERSON_BASE + number * 4_194_304), username, name, about, color, roles)
        self.people[person.id] = person
        return person

    def _channels(self) -> None:
        deny_bot = Permission.SEND_MESSAGES | Permission.ATTACH_FILES | Permission.SEND_MESSAGES_IN_THREADS
        rows: tuple[tuple[str, str, bool, bool, dict[str, tuple[int, int, int]]], ...] = (
            ("general", "Paint here.", False, False, {}),
            ("after-dark", "Age-restricted: flagged pictures are shown behind a spoiler.", True, False, {}),
            ("phone", "The same server on a phone-sized screen.", False, True, {}),
            ("read-only", "The bot may not post or attach here.", False, False, {BOT_ROLE_ID: (0, 0, deny_bot)}),
            (
                "budget",
                "What pictures may cost here; who runs the bot hears here when money runs low.",
                False,
                False,
                {},
            ),
        )
        for position, (name, topic, nsfw, phone, overwrites) in enumerate(rows):
            number = _FIRST_CHANNEL + position
            self._add(
                Channel(str(number), name, "guild", topic, nsfw, phone, GUILD_ID, position, overwrites=dict(overwrites))
            )
        self.general, self.after_dark, self.phone, self.read_only, self.budget = tuple(self.channels.values())
        for person in (self.ada, self.mo, self.nia, self.pat):
            self.dm(person.id)
        self.group = self._add(
            Channel(
                str(int(OTHER_GUILD_ID) + 5_000_000),
                "Ada & Pat",
                "group",
                "A private chat the bot is not in: it works here as your own app.",
                recipients=(self.ada.id, self.pat.id),
            )
        )
        self.elsewhere = self._add(
            Channel(
                str(int(OTHER_GUILD_ID) + 6_000_000),
                "elsewhere",
                "guild",
                "Another server, without the bot: only apps on your own account work here.",
                guild_id=OTHER_GUILD_ID,
            )
        )

    def _add(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        return channel

    # ------------------------------------------------------------------ growing

    def add_people(self, count: int, *, roles: tuple[str, ...] = ()) -> list[Person]:
        """Many more people, for load tests."""
        start = len(self.people)
        return [
            self._person(
                1000 + index, f"guest{index}", name=f"Guest {index}", about="A guest.", color="#9aa0a6", roles=roles
            )
            for index in range(start, start + count)
        ]

    def dm(self, person_id: str) -> Channel:
        """The direct message channel of the bot and this person."""
        known = self._dms.get(person_id)
        if known is not None:
            return self.channels[known]
        person = self.people[person_id]
        channel = self._add(
            Channel(
                str(int(person_id) + _DM_OFFSET),
                person.name,
                "dm",
                "Direct messages with the bot.",
                recipients=(person_id,),
            )
        )
        self._dms[person_id] = channel.id
        return channel

    # ------------------------------------------------------------------ permissions

    def permissions(self, person: Person, channel: Channel) -> int:
        """Everything this person may do there, overwrites included."""
        if channel.kind != "guild":
            return _DM_PERMISSIONS
        base = self.roles[GUILD_ID].permissions
        for role_id in person.roles:
            base |= self.roles[role_id].permissions
        if base & Permission.ADMINISTRATOR:
            return Permission.ALL
        allow = deny = 0
        for target in (GUILD_ID, None, person.id):
            ids = person.roles if target is None else (target,)
            allow = deny = 0
            for one in ids:
                _, more_allow, more_deny = channel.overwrites.get(one, (0, 0, 0))
                allow |= more_allow
                deny |= more_deny
            base = (base & ~deny) | allow
        return base

    def bot_permissions(self, channel: Channel) -> int:
        """What the bot may do there: REST obeys it and interactions carry it."""
        if channel.kind == "dm":
            return _DM_PERMISSIONS
        if not self.bot_is_in(channel):
            return _OUTSIDE_PERMISSIONS
        return self.permissions(self.bot, channel)

    def file_limit_bytes(self, channel: Channel) -> int:
        """The largest file that may be posted there."""
        return _FILE_LIMITS[self.boost_tier if channel.guild_id == GUILD_ID else 0]

    def bot_is_in(self, channel: Channel) -> bool:
        """Whether the bot user itself is there (not only somebody's own app)."""
        return channel.kind == "dm" or channel.guild_id == GUILD_ID

    def bot_can_see(self, channel: Channel) -> bool:
        """View Channel."""
        return self.bot_is_in(channel) and bool(self.bot_permissions(channel) & Permission.VIEW_CHANNEL)

    def person_can_see(self, person: Person, channel: Channel) -> bool:
        """Whether the channel is in this person's list."""
        if channel.kind != "guild":
            return person.id in channel.recipients
        if channel.guild_id != GUILD_ID:
            return person.id in self.user_installs
        return person.in_guild and bool(self.permissions(person, channel) & Permission.VIEW_CHANNEL)

    def may_send(self, person: Person, channel: Channel) -> bool:
        """Whether this person may write messages there."""
        return bool(self.permissions(person, channel) & Permission.SEND_MESSAGES)

    def may_delete(self, person: Person, message: Message) -> bool:
        """Their own messages; others' with Manage Messages, which nobody has outside the server."""
        if message.data["author"]["id"] == person.id:
            return True
        channel = message.channel
        return channel.guild_id == GUILD_ID and bool(self.permissions(person, channel) & Permission.MANAGE_MESSAGES)

    # ------------------------------------------------------------------ objects

    def channel_object(self, channel: Channel, *, viewer: Person | None = None) -> Obj:
        """As the API shows it; with `viewer`, as in interactions (their permissions there)."""
        if channel.kind != "guild":
            private: Obj = {
                "id": channel.id,
                "type": 1 if channel.kind == "dm" else 3,
                "flags": 0,
                "last_message_id": channel.last_message_id,
                "recipients": [self.people[one].user() for one in channel.recipients],
            }
            if channel.kind == "group":
                private |= {"name": channel.name, "icon": None, "owner_id": channel.recipients[0]}
            if viewer is not None:
                private["permissions"] = str(self.permissions(viewer, channel))
            return private
        shown: Obj = {
            "id": channel.id,
            "type": 0,
            "guild_id": channel.guild_id,
            "name": channel.name,
            "topic": channel.topic or None,
            "nsfw": channel.nsfw,
            "position": channel.position,
            "parent_id": None,
            "rate_limit_per_user": 0,
            "flags": 0,
            "last_message_id": channel.last_message_id,
            "permission_overwrites": [
                {"id": one, "type": kind, "allow": str(allow), "deny": str(deny)}
                for one, (kind, allow, deny) in channel.overwrites.items()
            ],
        }
        if viewer is not None:
            shown["permissions"] = str(self.permissions(viewer, channel))
        return shown

    def guild_object(self) -> Obj:
        """As `GET guilds/{id}` shows it."""
        return {
            "id": self.guild_id,
            "name": self.guild_name,
            "icon": None,
            "description": None,
            "home_header": None,
            "splash": None,
            "discovery_splash": None,
            "features": ["COMMUNITY"],
            "banner": None,
            "owner_id": self.mo.id,
            "application_id": None,
            "region": "us-east",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "widget_enabled": False,
            "widget_channel_id": None,
            "verification_level": 1,
            "roles": [role.object() for role in self.roles.values()],
            "default_message_notifications": 1,
            "mfa_level": 0,
            "explicit_content_filter": 2,
            "max_presences": None,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "vanity_url_code": None,
            "premium_tier": self.boost_tier,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "rules_channel_id": None,
            "safety_alerts_channel_id": None,
            "public_updates_channel_id": None,
            "premium_progress_bar_enabled": False,
            "incidents_data": None,
            "nsfw": False,
            "nsfw_level": 0,
            "emojis": [],
            "stickers": [],
        }

    def guild_create(self) -> Obj:
        """The data of GUILD_CREATE; only the bot among the members, as without the members intent."""
        visible = [one for one in self.channels.values() if one.guild_id == self.guild_id]
        return self.guild_object() | {
            "joined_at": _JOINED_AT,
            "large": False,
            "unavailable": False,
            "member_count": sum(one.in_guild for one in self.people.values()),
            "voice_states": [],
            "members": [self.bot.member()],
            "channels": [self.channel_object(one) for one in visible],
            "threads": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    def application_object(self) -> Obj:
        """As `GET applications/@me` shows it."""
        return {
            "id": self.application_id,
            "name": "Easel",
            "icon": None,
            "description": "Paints on demand.",
            "type": None,
            "bot": self.bot.user(),
            "bot_public": True,
            "bot_require_code_grant": False,
            "summary": "",
            "verify_key": "0" * 64,
            "flags": 0,
            "flags_new": "0",
            "hook": True,
            "storefront_available": False,
            "integration_types_config": {"0": {}, "1": {}},
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "owner": self.mo.user(),
            "team": None,
            "approximate_guild_count": 1,
            "approximate_user_install_count": len(self.user_installs),
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": [],
            "event_webhooks_url": None,
            "event_webhooks_status": 1,
        }

    # ------------------------------------------------------------------ messages

    def new_message(
        self, channel: Channel, author: Person, *, now_s: float, flags: int = 0, message_type: int = 0
    ) -> Message:
        """An empty message, already in its channel."""
        data: Obj = {
            "id": self.snowflakes.next(now_s),
            "type": message_type,
            "channel_id": channel.id,
            "author": author.user(),
            "content": "",
            "timestamp": timestamp(now_s),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": flags,
        }
        message = Message(data, channel, now_s)
        channel.messages[message.id] = message
        channel.last_message_id = message.id
        return message
