"""Interactions: what a person does, what the bot answers, and how long it took."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.discord import validate, wire
from sandbox.discord.compose import render_components
from sandbox.discord.files import Upload
from sandbox.discord.gateway import Gateway
from sandbox.discord.messages import Messages
from sandbox.discord.wire import Callback, ChannelType, DiscordError, Flag, Obj, Permission
from sandbox.discord.world import Channel, Message, Person, World

_MAX_OUTSIDE_FOLLOWUPS = 5
_COMMAND_REPLY, _REPLY, _MENU_REPLY = 20, 19, 23
_ALLOWED_CALLBACKS = {
    ChannelType.COMMAND: {Callback.MESSAGE, Callback.DEFERRED_MESSAGE, Callback.MODAL},
    ChannelType.COMPONENT: {
        Callback.MESSAGE,
        Callback.DEFERRED_MESSAGE,
        Callback.DEFERRED_UPDATE,
        Callback.UPDATE,
        Callback.MODAL,
    },
    ChannelType.AUTOCOMPLETE: {Callback.CHOICES},
    ChannelType.MODAL: {Callback.MESSAGE, Callback.DEFERRED_MESSAGE},
}


class NotAnswered(Exception):
    """The bot did not answer in time."""


@dataclass(eq=False)
class InteractionRecord:
    """One interaction and everything that followed from it. Latencies count from its dispatch."""

    id: str
    token: str
    kind: int
    person: Person
    channel: Channel
    payload: Obj
    created_at: datetime
    started_s: float  # event-loop time
    created_s: float  # by the fake server's clock
    outside: bool = False  # used as somebody's own app where the bot is not
    name: str = ""
    source: Message | None = None  # the message whose component was used
    state: str = "waiting"  # waiting, answered, failed
    callback_type: int | None = None
    deferred: bool = False
    ephemeral: bool = False
    original: Message | None = None
    messages: list[Message] = field(default_factory=list)
    followups: int = 0
    choices: list[Obj] | None = None
    modal: Obj | None = None
    opener: InteractionRecord | None = None  # of a modal submit: the interaction that opened it
    killed: bool = False
    first_answer_s: float | None = None
    shown_s: float | None = None
    picture_s: float | None = None
    picture_message: Message | None = None
    callbacks: int = 0
    failed_reason: str | None = None
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def message(self) -> Message:
        """The answer as a message.

        Raises:
            NotAnswered: there is none (yet).
        """
        if self.original is None:
            raise NotAnswered(f"{self.name}: no message answer, state {self.state}")
        return self.original

    def touch(self) -> None:
        """Wake everybody who waits on this interaction."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, test: Callable[[InteractionRecord], object], timeout_s: float = 5.0) -> InteractionRecord:
        """Wait until `test(self)` is true.

        Raises:
            NotAnswered: it was not in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not test(self):
                    await self._changed.wait()
        except TimeoutError:
            raise NotAnswered(f"{self.name}: nothing after {timeout_s} s, state {self.state}") from None
        return self

    async def answered(self, timeout_s: float = 5.0) -> InteractionRecord:
        """Wait for the first answer (or for the failure; see `state`)."""
        return await self.until(lambda one: one.state != "waiting", timeout_s)

    async def shown(self, timeout_s: float = 5.0) -> Message:
        """Wait for an answer that is a message and no longer loading."""
        await self.until(lambda one: one.shown_s is not None, timeout_s)
        return self.message

    async def pictures(self, timeout_s: float = 30.0) -> Message:
        """Wait for a message with files that belongs to this interaction."""
        await self.until(lambda one: one.picture_message is not None, timeout_s)
        assert self.picture_message is not None
        return self.picture_message


class Interactions:
    """All interactions of the world."""

    def __init__(self, world: World, message_store: Messages, gateway: Gateway, clock: Callable[[], float]) -> None:
        self.world = world
        self.message_store = message_store
        self.gateway = gateway
        self.clock = clock
        self.answer_deadline_s = 3.0
        self.token_lifetime_s = 15 * 60.0
        self.by_id: dict[str, InteractionRecord] = {}
        self._by_token: dict[str, InteractionRecord] = {}
        self.failed = 0
        self.on_change: list[Callable[[InteractionRecord], None]] = []
        message_store.on_change.append(self._message_changed)

    # ------------------------------------------------------------------ sending

    def start(
        self,
        kind: int,
        person: Person,
        channel: Channel,
        data: Obj,
        *,
        name: str,
        source: Message | None = None,
        opener: InteractionRecord | None = None,
        own_app: bool = False,
    ) -> InteractionRecord:
        """Create one and send it over the gateway."""
        now_s = self.clock()
        outside = not self.world.bot_is_in(channel)
        number, token = self.world.snowflakes.next(now_s), secrets.token_urlsafe(96)
        payload = self._payload(person, channel, own_app=own_app or outside)
        payload |= {"id": number, "token": token, "type": kind, "data": data}
        if source is not None:
            payload["message"] = source.data
        record = InteractionRecord(
            number,
            token,
            kind,
            person,
            channel,
            payload,
            datetime.fromtimestamp(now_s, UTC),
            asyncio.get_running_loop().time(),
            now_s,
            outside=outside,
            name=name,
            source=source,
            opener=opener,
        )
        self.by_id[number] = self._by_token[token] = record
        record._timer = asyncio.get_running_loop().call_later(self.answer_deadline_s, self._too_late, record)
        self.send(record)
        return record

    def send(self, record: InteractionRecord) -> None:
        """Send the event (again)."""
        guild_id = record.channel.guild_id if not record.outside else None
        self.gateway.dispatch("INTERACTION_CREATE", record.payload, guild_id=guild_id)

    def _payload(self, person: Person, channel: Channel, *, own_app: bool) -> Obj:
        world = self.world
        owners: dict[str, str] = {}
        if channel.guild_id == world.guild_id and not own_app:
            owners["0"] = world.guild_id
        if channel.kind == "dm":
            owners["0"] = "0"
        if own_app or person.id in world.user_installs:
            owners["1"] = person.id
        payload: Obj = {
            "application_id": world.application_id,
            "channel_id": channel.id,
            "channel": world.channel_object(channel, viewer=person),
            "version": 1,
            "locale": person.locale,
            "app_permissions": str(world.bot_permissions(channel)),
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": owners,
            "context": channel.context,
            "attachment_size_limit": self.message_store.composer.limit_bytes(channel),
        }
        if channel.guild_id is None:
            payload["user"] = person.user()
        else:
            permissions = world.permissions(person, channel)
            payload["member"] = person.member() | {"permissions": str(permissions)}
            payload["guild_id"] = channel.guild_id
            payload["guild"] = {"id": channel.guild_id, "locale": "en-US", "features": ["COMMUNITY"]}
            payload["guild_locale"] = "en-US"
        return payload

    def _too_late(self, record: InteractionRecord) -> None:
        if record.state != "waiting":
            return
        record.state = "failed"
        record.failed_reason = "The application did not respond"
        self.failed += 1
        shown = {"interaction_id": record.id, "channel_id": record.channel.id, "reason": record.failed_reason}
        self._push(record, "failed", shown)
        self._changed(record)

    # ------------------------------------------------------------------ callbacks

    def callback(self, number: str, token: str, payload: Obj, uploads: Sequence[Upload]) -> InteractionRecord:
        """The first answer.

        Raises:
            DiscordError: 10062, 40060, 50035 and friends; the interaction then stays unanswered.
        """
        record = self.by_id.get(number)
        if record is None or record.token != token or record.state == "failed":
            raise wire.unknown_interaction()
        record.callbacks += 1
        if record.state == "answered":
            raise wire.already_acknowledged()
        kind = payload.get("type")
        allowed = set(_ALLOWED_CALLBACKS[record.kind])
        if record.kind == ChannelType.MODAL and record.source is not None:
            allowed |= {Callback.DEFERRED_UPDATE, Callback.UPDATE}
        if kind not in allowed:
            problems = validate.Problems()
            problems.choice(("type",), kind, sorted(allowed), required=True)
            problems.raise_if_any()
        self._answer(record, int(kind or 0), payload.get("data") or {}, uploads)
        return record

    def _answer(self, record: InteractionRecord, kind: int, data: Obj, uploads: Sequence[Upload]) -> None:
        match kind:
            case Callback.MESSAGE:
                self.message_store.composer.check(data, uploads, channel=record.channel, at=("data",))
                self._acknowledge(record, kind)
                self._first_message(record, data, uploads, int(data.get("flags") or 0) & Flag.EPHEMERAL)
            case Callback.DEFERRED_MESSAGE:
                self._acknowledge(record, kind)
                record.deferred = True
                self._first_message(record, {}, (), (int(data.get("flags") or 0) & Flag.EPHEMERAL) | Flag.LOADING)
            case Callback.DEFERRED_UPDATE:
                self._acknowledge(record, kind)
                record.original = record.source
            case Callback.UPDATE:
                source = self._source(record)
                self.message_store.edit(source, data, uploads, at=("data",))
                self._acknowledge(record, kind)
                record.original = source
                record.shown_s = record.first_answer_s
            case Callback.CHOICES:
                validate.choices(data, kind=_focused_kind(record.payload["data"]) or 3)
                self._acknowledge(record, kind)
                record.choices = list(data.get("choices") or ())
                self._push(record, "autocomplete", {"interaction_id": record.id, "choices": record.choices})
            case Callback.MODAL:
                validate.modal(data)
                self._acknowledge(record, kind)
                record.modal = data | {"components": render_components(data["components"])}
                shown = {"interaction_id": record.id, "channel_id": record.channel.id, "modal": record.modal}
                self._push(record, "modal", shown)
            case _:  # pragma: no cover - checked by the caller
                raise AssertionError(kind)
        self._push(record, "answered", {"interaction_id": record.id})
        self._changed(record)

    def _source(self, record: InteractionRecord) -> Message:
        if record.source is None or record.source.id not in record.channel.messages:
            raise wire.unknown_message()
        return record.source

    def _acknowledge(self, record: InteractionRecord, kind: int) -> None:
        record.state = "answered"
        record.callback_type = kind
        record.first_answer_s = asyncio.get_running_loop().time() - record.started_s
        if record._timer is not None:
            record._timer.cancel()
            record._timer = None

    def _first_message(self, record: InteractionRecord, data: Obj, uploads: Sequence[Upload], flags: int) -> None:
        if record.outside and not self.world.permissions(record.person, record.channel) & Permission.USE_EXTERNAL_APPS:
            flags |= Flag.EPHEMERAL
        record.ephemeral = bool(flags & Flag.EPHEMERAL)
        message_type = 0
        extra: Obj = {}
        if record.kind == ChannelType.COMMAND:
            message_type = _COMMAND_REPLY if record.payload["data"]["type"] == 1 else _MENU_REPLY
        elif record.source is not None:
            message_type = _REPLY
            extra = _reference(record.source)
        record.original = self._post(record, data, uploads, flags=flags, message_type=message_type, extra=extra)

    def _post(
        self,
        record: InteractionRecord,
        data: Obj,
        uploads: Sequence[Upload],
        *,
        flags: int,
        message_type: int,
        extra: Obj,
    ) -> Message:
        hidden = record.person.id if flags & Flag.EPHEMERAL else None
        message = self.message_store.post(
            record.channel,
            self.world.bot,
            data,
            uploads,
            flags=flags,
            message_type=message_type,
            visible_to=hidden,
            extra=extra | self._origin(record),
            interaction_id=record.id,
        )
        record.messages.append(message)
        return message

    def _origin(self, record: InteractionRecord) -> Obj:
        metadata: Obj = {
            "id": record.id,
            "type": record.kind,
            "user": record.person.user(),
            "authorizing_integration_owners": record.payload["authorizing_integration_owners"],
        }
        if record.kind == ChannelType.COMMAND:
            metadata["name"] = record.name
        if record.source is not None:
            metadata["interacted_message_id"] = record.source.id
        if record.kind == ChannelType.MODAL and record.opener is not None:
            metadata["triggering_interaction_metadata"] = {
                "id": record.opener.id,
                "type": record.opener.kind,
                "user": record.person.user(),
                "authorizing_integration_owners": record.opener.payload["authorizing_integration_owners"],
            }
            if record.opener.kind == ChannelType.COMMAND:
                metadata["triggering_interaction_metadata"]["name"] = record.opener.name
        origin: Obj = {
            "webhook_id": self.world.application_id,
            "application_id": self.world.application_id,
            "interaction_metadata": metadata,
        }
        if record.kind == ChannelType.COMMAND:
            origin["interaction"] = {
                "id": record.id,
                "type": record.kind,
                "name": record.name,
                "user": record.person.user(),
            }
        return origin

    def callback_response(self, record: InteractionRecord) -> Obj:
        """For `with_response=true`."""
        shown: Obj = {"id": record.id, "type": record.kind, "channel_id": record.channel.id}
        if record.channel.guild_id is not None:
            shown["guild_id"] = record.channel.guild_id
        answer: Obj = {"interaction": shown}
        message = record.original
        if message is None:
            return answer
        shown["response_message_id"] = message.id
        shown["response_message_loading"] = message.loading
        shown["response_message_ephemeral"] = message.ephemeral
        answer["resource"] = {"type": record.callback_type}
        if record.callback_type != Callback.DEFERRED_UPDATE:
            answer["resource"]["message"] = message.data
        return answer

    # ------------------------------------------------------------------ webhooks

    def by_token(self, application_id: str, token: str) -> InteractionRecord:
        """The interaction behind a webhook token.

        Raises:
            DiscordError: 50027 for a dead token, 10015 for an unknown one or one not answered yet.
        """
        record = self._by_token.get(token)
        if record is None or application_id != self.world.application_id:
            raise wire.unknown_webhook()
        if record.killed or self.clock() - record.created_s > self.token_lifetime_s:
            raise wire.invalid_token()
        if record.state != "answered":
            raise wire.unknown_webhook()
        return record

    def message_of(self, record: InteractionRecord, message_id: str) -> Message:
        """`@original` or one of the follow-ups.

        Raises:
            DiscordError: 10008.
        """
        if message_id == "@original":
            message = record.original
        else:
            message = record.channel.messages.get(message_id)
            if message is not None and message.data.get("webhook_id") != self.world.application_id:
                message = None
            if message is not None and message.visible_to not in {None, record.person.id}:
                message = None
        if message is None or message.id not in record.channel.messages:
            raise wire.unknown_message()
        return message

    def followup(self, record: InteractionRecord, payload: Obj, uploads: Sequence[Upload]) -> Message:
        """POST webhooks/{app}/{token}; the first one after a defer becomes the deferred answer.

        Raises:
            DiscordError: 50035 and friends, 40094 above five where the app is not in the server.
        """
        original = record.original
        if original is not None and original.loading and original.id in record.channel.messages:
            self.message_store.edit(original, payload, uploads)
            self._changed(record)
            return original
        self.message_store.composer.check(payload, uploads, channel=record.channel)
        if record.outside and record.followups >= _MAX_OUTSIDE_FOLLOWUPS:
            raise DiscordError(400, 40094, "This interaction has reached the maximum number of follow-up messages.")
        record.followups += 1
        flags = int(payload.get("flags") or 0) & Flag.EPHEMERAL
        if record.outside and not self.world.permissions(record.person, record.channel) & Permission.USE_EXTERNAL_APPS:
            flags |= Flag.EPHEMERAL
        extra = _reference(original) if original is not None else {}
        kind = _REPLY if extra else 0
        message = self._post(record, payload, uploads, flags=flags, message_type=kind, extra=extra)
        self._changed(record)
        return message

    # ------------------------------------------------------------------ watching

    def _push(self, record: InteractionRecord, what: str, shown: Obj) -> None:
        self.message_store.push(what, shown, record.person.id, record.channel)

    def _message_changed(self, message: Message) -> None:
        record = self._owner(message)
        if record is None:
            return
        now_s = asyncio.get_running_loop().time() - record.started_s
        if record.shown_s is None and not message.loading:
            record.shown_s = now_s
        if message.files and record.picture_s is None and message is not record.source:
            record.picture_s = now_s
            record.picture_message = message
        self._changed(record)

    def _owner(self, message: Message) -> InteractionRecord | None:
        if message.interaction_id is not None:
            return self.by_id.get(message.interaction_id)
        answered = message.data.get("message_reference")
        target = self.message_store.messages.get(str(answered["message_id"])) if answered else None
        return self.by_id.get(target.interaction_id) if target is not None and target.interaction_id else None

    def _changed(self, record: InteractionRecord) -> None:
        record.touch()
        for listener in self.on_change:
            listener(record)

    def close(self) -> None:
        """Cancel all timers."""
        for record in self.by_id.values():
            if record._timer is not None:
                record._timer.cancel()
                record._timer = None


def _reference(message: Message) -> Obj:
    reference: Obj = {"type": 0, "channel_id": message.channel.id, "message_id": message.id}
    if message.channel.guild_id is not None:
        reference["guild_id"] = message.channel.guild_id
    # One level only: what the answered message itself answers is left out.
    answered = {key: value for key, value in message.data.items() if key != "referenced_message"}
    return {"message_reference": reference, "referenced_message": answered}


def _focused_kind(data: Mapping[str, Any]) -> int:
    for option in data.get("options") or ():
        if option.get("focused"):
            return int(option["type"])
        nested = _focused_kind(option)
        if nested:
            return nested
    return 0
