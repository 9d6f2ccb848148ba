"""Creates, edits and deletes messages, and notifies the gateway, the page and waiting tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sandbox.discord import wire
from sandbox.discord.compose import Composer
from sandbox.discord.files import Upload
from sandbox.discord.gateway import Gateway
from sandbox.discord.wire import DiscordError, Obj
from sandbox.discord.world import Channel, Message, Person, World

#: type, payload, the only person who may see it (None: everybody who sees the channel), channel
Push = Callable[[str, Obj, str | None, Channel | None], None]

_NONCE_WINDOW_S = 300.0
_HOUR_S = 3600.0


class Messages:
    """All messages of the world."""

    def __init__(
        self, world: World, composer: Composer, gateway: Gateway, clock: Callable[[], float], push: Push
    ) -> None:
        self.world = world
        self.composer = composer
        self.gateway = gateway
        self.clock = clock
        self.push = push
        self.messages: dict[str, Message] = {}
        self.edits_of_old_messages_per_hour = 30
        self.on_change: list[Callable[[Message], None]] = []
        self._nonces: dict[tuple[str, str], tuple[str, float]] = {}
        self._old_edits: dict[str, list[float]] = {}

    # ------------------------------------------------------------------ creating

    def post(
        self,
        channel: Channel,
        author: Person,
        payload: Obj,
        uploads: Sequence[Upload],
        *,
        flags: int = 0,
        message_type: int = 0,
        visible_to: str | None = None,
        extra: Obj | None = None,
        interaction_id: str | None = None,
    ) -> Message:
        """A new message from a payload that was checked already."""
        now_s = self.clock()
        message = self.world.new_message(channel, author, now_s=now_s, flags=flags, message_type=message_type)
        message.visible_to = visible_to
        message.interaction_id = interaction_id
        message.data |= extra or {}
        self.composer.fill(message, payload, uploads, now_s=now_s)
        self.messages[message.id] = message
        self.announce("create", message)
        return message

    def post_once(self, channel: Channel, payload: Obj, uploads: Sequence[Upload], *, extra: Obj) -> Message:
        """The bot's own channel post; with `enforce_nonce` the same nonce gives the first message back.

        Raises:
            DiscordError: 10008 when that first message was deleted meanwhile.
        """
        nonce = payload.get("nonce")
        key = (channel.id, str(nonce))
        now_s = self.clock()
        if nonce is not None and payload.get("enforce_nonce"):
            first = self._nonces.get(key)
            if first is not None and now_s - first[1] < _NONCE_WINDOW_S:
                return self.find(channel, first[0])
        if nonce is not None:
            extra = extra | {"nonce": nonce}
        message = self.post(
            channel,
            self.world.bot,
            payload,
            uploads,
            extra=extra,
            message_type=19 if "message_reference" in extra else 0,
        )
        if nonce is not None:
            self._nonces[key] = (message.id, now_s)
        return message

    def find(self, channel: Channel, message_id: str, *, ephemeral: bool = False) -> Message:
        """A message by id.

        Raises:
            DiscordError: 10008.
        """
        message = channel.messages.get(message_id)
        if message is None or (message.visible_to is not None and not ephemeral):
            raise wire.unknown_message()
        return message

    # ------------------------------------------------------------------ changing

    def edit(self, message: Message, payload: Obj, uploads: Sequence[Upload], *, at: tuple[str, ...] = ()) -> None:
        """Check and apply an edit.

        Raises:
            DiscordError: 50035, 40005 or 30046.
        """
        self.composer.check(payload, uploads, channel=message.channel, at=at, old=message)
        now_s = self.clock()
        self._limit_old_edits(message, now_s)
        if message.loading:
            self.composer.fill(message, payload, uploads, now_s=now_s)
            message.data["flags"] &= ~wire.Flag.LOADING
        else:
            self.composer.edit(message, payload, uploads, now_s=now_s)
        message.edit_times_s.append(now_s)
        self.announce("update", message)

    def _limit_old_edits(self, message: Message, now_s: float) -> None:
        if now_s - message.created_s < _HOUR_S:
            return
        recent = [one for one in self._old_edits.get(message.channel.id, ()) if one > now_s - _HOUR_S]
        if len(recent) >= self.edits_of_old_messages_per_hour:
            raise DiscordError(
                429,
                30046,
                "Maximum number of edits to messages older than 1 hour reached. Try again later",
                body={"retry_after": round(recent[0] + _HOUR_S - now_s, 3), "global": False},
                headers={"Via": "1.1 google", "Retry-After": str(int(recent[0] + _HOUR_S - now_s) + 1)},
            )
        self._old_edits[message.channel.id] = [*recent, now_s]

    def delete(self, message: Message) -> None:
        """Delete it for everybody, files included."""
        message.channel.messages.pop(message.id, None)
        self.messages.pop(message.id, None)
        for file in message.files:
            self.composer.files.forget(file)
        for answer in message.channel.messages.values():
            if (answer.data.get("message_reference") or {}).get("message_id") == message.id:
                answer.data["referenced_message"] = None
        self.announce("delete", message)

    # ------------------------------------------------------------------ notifying

    def announce(self, what: str, message: Message) -> None:
        """Notify gateway, page and waiting tests that a message was created, updated or deleted."""
        channel = message.channel
        if what == "delete":
            shown: Obj = {"channel_id": channel.id, "message_id": message.id}
        else:
            shown = {"channel_id": channel.id, "message": message.data}
        self.push(f"message_{what}", shown, message.visible_to, channel)
        if message.visible_to is None and self.gateway.sessions and self.world.bot_can_see(channel):
            self._dispatch(what, message)
        for listener in self.on_change:
            listener(message)

    def _dispatch(self, what: str, message: Message) -> None:
        channel = message.channel
        if what == "delete":
            data: Obj = {"id": message.id, "channel_id": channel.id}
        else:
            data = dict(message.data)
        if channel.guild_id is not None:
            data["guild_id"] = channel.guild_id
            author = self.world.people.get(str(message.data["author"]["id"]))
            if what != "delete" and author is not None:
                data["member"] = author.member(with_user=False)
        own = message.data["author"]["id"] == self.world.bot.id
        mentioned = any(one["id"] == self.world.bot.id for one in message.data["mentions"])
        self.gateway.dispatch_message(
            f"MESSAGE_{what.upper()}",
            data,
            guild_id=channel.guild_id,
            content_public=own or mentioned or channel.kind == "dm",
        )
