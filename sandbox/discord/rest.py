"""The REST API under /api/v10."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from sandbox.discord import chaos, validate, wire
from sandbox.discord.commands import Commands
from sandbox.discord.fault_injection import Faults, PlannedFailure
from sandbox.discord.files import Upload, read_json, read_multipart
from sandbox.discord.gateway import Gateway
from sandbox.discord.interactions import Interactions
from sandbox.discord.messages import Messages
from sandbox.discord.wire import DiscordError, Obj, Permission, dumps, loads
from sandbox.discord.world import Channel, Message, World

_log = logging.getLogger(__name__)

Handler = Callable[["RestCall"], Awaitable[object]]


@dataclass
class RestCall:
    """One request: route parameters, payload, uploads."""

    request: web.Request
    payload: Obj
    uploads: list[Upload]

    def __getitem__(self, name: str) -> str:
        return self.request.match_info[name]

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return self.request.query.get(name, "").lower() in {"1", "true"}


@dataclass(frozen=True)
class RejectedCall:
    """A request of the bot that was refused."""

    method: str
    path: str
    status: int
    code: int
    message: str
    errors: Obj | None
    payload: Obj
    #: Whether somebody switched this trouble on; then it is no fault of the bot.
    provoked: bool = False

    @property
    def faulty(self) -> bool:
        """Whether the bot did something wrong; deleted messages and expired tokens are normal."""
        return self.status in {400, 403, 413} or self.code == 0

    def public(self) -> Obj:
        """For the page."""
        return {
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "errors": self.errors or {},
            "payload": trimmed(self.payload) or None,
            "provoked": self.provoked,
        }


_LONGEST_SHOWN_TEXT, _MOST_SHOWN_ITEMS = 500, 30


def trimmed(value: object) -> object:
    """JSON with long texts and lists shortened, for the page."""
    match value:
        case str() if len(value) > _LONGEST_SHOWN_TEXT:
            return f"{value[:_LONGEST_SHOWN_TEXT]}… ({len(value):,} characters)"
        case list():
            more = len(value) - _MOST_SHOWN_ITEMS
            return [trimmed(one) for one in value[:_MOST_SHOWN_ITEMS]] + ([f"… and {more} more"] if more > 0 else [])
        case dict():
            return {key: trimmed(one) for key, one in value.items()}
    return value


class Rest:
    """Routes, authentication, injected faults, error answers."""

    def __init__(
        self,
        *,
        world: World,
        message_store: Messages,
        interactions: Interactions,
        commands: Commands,
        gateway: Gateway,
        faults: Faults,
        clock: Callable[[], float],
        on_refusal: Callable[[RejectedCall], None],
    ) -> None:
        self.world = world
        self.message_store = message_store
        self.interactions = interactions
        self.commands = commands
        self.gateway = gateway
        self.faults = faults
        self.token = ""
        self._clock = clock
        self._on_refusal = on_refusal

    # ------------------------------------------------------------------ routes

    def add_routes(self, app: web.Application) -> None:
        """Everything the bot may call."""
        free = "interactions/{interaction}/{token}/callback"
        hook = "webhooks/{application}/{token}"
        self._add(app, "POST", free, self._callback, auth=False)
        self._add(app, "POST", hook, self._followup, auth=False)
        self._add(app, "GET", hook + "/messages/{message}", self._hook_get, auth=False)
        self._add(app, "PATCH", hook + "/messages/{message}", self._hook_edit, auth=False)
        self._add(app, "DELETE", hook + "/messages/{message}", self._hook_delete, auth=False)
        self._add(app, "GET", "channels/{channel}/messages", self._messages)
        self._add(app, "POST", "channels/{channel}/messages", self._post)
        self._add(app, "GET", "channels/{channel}/messages/{message}", self._message)
        self._add(app, "PATCH", "channels/{channel}/messages/{message}", self._edit)
        self._add(app, "DELETE", "channels/{channel}/messages/{message}", self._delete)
        self._add(app, "POST", "channels/{channel}/typing", self._typing)
        self._add(app, "GET", "channels/{channel}", self._get_channel)
        self._add(app, "GET", "gateway", self._gateway, auth=False)
        self._add(app, "GET", "gateway/bot", self._gateway_bot)
        self._add(app, "GET", "users/@me", self._me)
        self._add(app, "GET", "users/@me/guilds", self._my_guilds)
        self._add(app, "POST", "users/@me/channels", self._open_dm)
        self._add(app, "GET", "users/{user}", self._user)
        self._add(app, "GET", "applications/@me", self._application)
        self._add(app, "GET", "oauth2/applications/@me", self._application)
        self._add(app, "GET", "applications/{application}/emojis", self._emojis)
        self._add(app, "GET", "applications/{application}/entitlements", self._empty)
        self._add(app, "GET", "applications/{application}/skus", self._empty)
        for scope in ("", "guilds/{guild}/"):
            base = f"applications/{{application}}/{scope}commands"
            self._add(app, "GET", base, self._list_commands)
            self._add(app, "PUT", base, self._put_commands)
            self._add(app, "POST", base, self._create_command)
            self._add(app, "GET", base + "/{command}", self._get_command)
            self._add(app, "PATCH", base + "/{command}", self._edit_command)
            self._add(app, "DELETE", base + "/{command}", self._delete_command)
        self._add(app, "GET", "applications/{application}/guilds/{guild}/commands/permissions", self._empty)
        self._add(app, "GET", "guilds/{guild}", self._guild)
        self._add(app, "GET", "guilds/{guild}/channels", self._channels)
        self._add(app, "GET", "guilds/{guild}/roles", self._roles)
        self._add(app, "GET", "guilds/{guild}/members", self._members)
        self._add(app, "GET", "guilds/{guild}/members/{user}", self._member)
        app.router.add_route("*", "/api/v10/{rest:.*}", self._unknown)

    def _add(self, app: web.Application, method: str, template: str, handler: Handler, *, auth: bool = True) -> None:
        route = f"/{template}"
        bucket = hashlib.blake2s(f"{method} {route}".encode(), digest_size=16).hexdigest()

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, handler, route, bucket, auth=auth)

        app.router.add_route(method, f"/api/v10{route}", handle)

    async def _handle(
        self, request: web.Request, handler: Handler, route: str, bucket: str, *, auth: bool
    ) -> web.StreamResponse:
        counters = self.faults.counters
        counters.requests[f"{request.method} {route}"] += 1
        call = RestCall(request, {}, [])
        headers: dict[str, str] = {}
        try:
            if self.faults.delay_s and self.faults.delay_path.search(request.path):
                await asyncio.sleep(self.faults.delay_s)
            major = "+".join(request.match_info.get(one, "") for one in ("channel", "guild", "application", "token"))
            if self.faults.chaos is not None:
                said = chaos.parse_heard(request.headers.get(chaos.HEARD))
                self.faults.chaos.admit(chaos.RequestInfo(request.method, route, f"{bucket}:{major}", auth, said))
            if auth and request.headers.get("Authorization") != f"Bot {self.token}":
                raise wire.unauthorized()
            headers = self.faults.limit(request.method, request.path, f"{bucket}:{major}", bucket, self._clock())
            await self._read(call)
            self._break(request, self.faults.failure(request.method, request.path, after=False))
            answer = await handler(call)
            self._break(request, self.faults.failure(request.method, request.path, after=True))
        except DiscordError as error:
            return self._error(call, error, headers)
        status = 204 if answer is None else 200
        counters.statuses[status] += 1
        if answer is None:
            return web.Response(status=204, headers=headers)
        return web.Response(body=dumps(answer), headers=headers | {"Content-Type": "application/json"})

    async def _read(self, call: RestCall) -> None:
        """Body to payload and uploads."""
        request = call.request
        if not request.can_read_body:
            return
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise wire.too_large() from None
        self.faults.counters.bytes_uploaded += len(body)
        content_type = request.headers.get("Content-Type", "")
        if content_type.startswith("multipart/form-data"):
            call.payload, call.uploads = read_multipart(body, content_type)
        elif request.method == "PUT":
            try:
                call.payload = {"list": loads(body)}
            except ValueError:
                raise DiscordError(400, 50109, "The request body contains invalid JSON.") from None
        else:
            call.payload = read_json(body)

    def _break(self, request: web.Request, failure: PlannedFailure | None) -> None:
        if failure is None:
            return
        if failure.drop:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("cut on purpose")
        message = failure.message or f"{failure.status}: broken on purpose"
        raise DiscordError(failure.status, failure.code, message, provoked=True)

    def _error(self, call: RestCall, error: DiscordError, headers: dict[str, str]) -> web.Response:
        counters = self.faults.counters
        counters.statuses[error.status] += 1
        counters.errors[error.code] += 1
        if error.status in {401, 403} or (error.status == 429 and error.headers.get("X-RateLimit-Scope") != "shared"):
            counters.invalid_requests += 1
        if error.status in {401, 403} and self.faults.chaos is not None:
            self.faults.chaos.count_denied()
        request = call.request
        if error.status not in {429} and error.status < 500:
            refusal = RejectedCall(
                request.method,
                _without_token(request.path),
                error.status,
                error.code,
                error.message,
                error.errors,
                call.payload,
                error.provoked,
            )
            self._on_refusal(refusal)
        headers = {**headers, "Content-Type": "application/json", **error.headers}
        spoken = headers["Content-Type"].startswith("text/")
        body = error.message.encode() if spoken else dumps(error.payload())
        return web.Response(status=error.status, body=body, headers=headers)

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        _log.warning("a route the fake Discord does not know: %s %s", request.method, _without_token(request.path))
        self.faults.counters.requests[f"{request.method} (unknown)"] += 1
        return self._error(RestCall(request, {}, []), DiscordError(404, 0, "404: Not Found"), {})

    # ------------------------------------------------------------------ interactions

    async def _callback(self, call: RestCall) -> object:
        record = self.interactions.callback(call["interaction"], call["token"], call.payload, call.uploads)
        return self.interactions.callback_response(record) if call.flag("with_response") else None

    async def _followup(self, call: RestCall) -> object:
        record = self.interactions.by_token(call["application"], call["token"])
        return self.interactions.followup(record, call.payload, call.uploads).data

    def _hook_message(self, call: RestCall) -> Message:
        record = self.interactions.by_token(call["application"], call["token"])
        return self.interactions.message_of(record, call["message"])

    async def _hook_get(self, call: RestCall) -> object:
        return self._fresh(self._hook_message(call))

    async def _hook_edit(self, call: RestCall) -> object:
        message = self._hook_message(call)
        self.message_store.edit(message, call.payload, call.uploads)
        return message.data

    async def _hook_delete(self, call: RestCall) -> object:
        self.message_store.delete(self._hook_message(call))
        return None

    # ------------------------------------------------------------------ channels and messages

    def _channel(self, call: RestCall, *, needs: int = 0) -> Channel:
        """The channel, when the bot may act there.

        Raises:
            DiscordError: 10003, 50001 or 50013.
        """
        channel = self.world.channels.get(call["channel"])
        if channel is None:
            raise wire.unknown_channel()
        if not self.world.bot_can_see(channel):
            raise wire.missing_access()
        if needs & ~self.world.bot_permissions(channel):
            raise wire.missing_permissions()
        return channel

    async def _messages(self, call: RestCall) -> object:
        channel = self._channel(call, needs=Permission.READ_MESSAGE_HISTORY)
        limit = min(100, max(1, int(call.request.query.get("limit", "50"))))
        seen = [one for one in channel.messages.values() if one.visible_to is None]
        query = call.request.query
        if "after" in query:
            chosen = [one for one in seen if int(one.id) > int(query["after"])][:limit]
        elif "around" in query:
            middle = int(query["around"])
            chosen = sorted(
                sorted(seen, key=lambda one: abs(int(one.id) - middle))[:limit], key=lambda one: int(one.id)
            )
        else:
            before = int(query.get("before", str(2**63)))
            chosen = [one for one in seen if int(one.id) < before][-limit:]
        return [self._fresh(one) for one in reversed(chosen)]

    async def _message(self, call: RestCall) -> object:
        channel = self._channel(call, needs=Permission.READ_MESSAGE_HISTORY)
        return self._fresh(self.message_store.find(channel, call["message"]))

    def _fresh(self, message: Message) -> Obj:
        """The message with links that still work."""
        now_s = self._clock()
        files = self.message_store.composer.files
        for file in message.files:
            old = str(file.object["url"])
            new = files.refresh(old, now_s=now_s)
            if new != old:
                file.object["url"] = file.object["proxy_url"] = new
                message.data = loads(dumps(message.data).replace(dumps(old), dumps(new)))
        return message.data

    async def _post(self, call: RestCall) -> object:
        needs = Permission.SEND_MESSAGES | (Permission.ATTACH_FILES if call.uploads else 0)
        channel = self._channel(call, needs=needs)
        self.message_store.composer.check(call.payload, call.uploads, channel=channel)
        extra = self._reply(channel, call.payload.get("message_reference"))
        return self.message_store.post_once(channel, call.payload, call.uploads, extra=extra).data

    def _reply(self, channel: Channel, reference: object) -> Obj:
        if not isinstance(reference, dict):
            return {}
        target = channel.messages.get(str(reference.get("message_id")))
        if target is None or target.visible_to is not None:
            if reference.get("fail_if_not_exists", True):
                problems = validate.Problems()
                problems.add(("message_reference",), "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message")
                problems.raise_if_any()
            return {}
        answered: Obj = {"type": 0, "channel_id": channel.id, "message_id": target.id}
        if channel.guild_id is not None:
            answered["guild_id"] = channel.guild_id
        return {"message_reference": answered, "referenced_message": target.data | {"referenced_message": None}}

    async def _edit(self, call: RestCall) -> object:
        channel = self._channel(call)
        message = self.message_store.find(channel, call["message"])
        if message.data["author"]["id"] != self.world.bot.id:
            raise DiscordError(403, 50005, "Cannot edit a message authored by another user")
        if call.uploads and not self.world.bot_permissions(channel) & Permission.ATTACH_FILES:
            raise wire.missing_permissions()
        self.message_store.edit(message, call.payload, call.uploads)
        return message.data

    async def _delete(self, call: RestCall) -> object:
        channel = self._channel(call)
        message = self.message_store.find(channel, call["message"])
        own = message.data["author"]["id"] == self.world.bot.id
        if not own and not self.world.bot_permissions(channel) & Permission.MANAGE_MESSAGES:
            raise wire.missing_permissions()
        self.message_store.delete(message)
        return None

    async def _typing(self, call: RestCall) -> object:
        self._channel(call, needs=Permission.SEND_MESSAGES)
        return None

    async def _get_channel(self, call: RestCall) -> object:
        return self.world.channel_object(self._channel(call))

    # ------------------------------------------------------------------ who and where

    async def _gateway(self, call: RestCall) -> object:
        return {"url": self.gateway.url}

    async def _gateway_bot(self, call: RestCall) -> object:
        return {"url": self.gateway.url, "shards": 1, "session_start_limit": self.gateway.session_start_limit()}

    async def _me(self, call: RestCall) -> object:
        return self.world.bot.user() | {"email": None, "mfa_enabled": True, "verified": True, "locale": "en-US"}

    async def _my_guilds(self, call: RestCall) -> object:
        world = self.world
        return [
            {
                "id": world.guild_id,
                "name": world.guild_name,
                "icon": None,
                "banner": None,
                "owner": False,
                "permissions": str(world.bot_permissions(world.general)),
                "features": ["COMMUNITY"],
            }
        ]

    async def _user(self, call: RestCall) -> object:
        person = self.world.people.get(call["user"])
        if person is None:
            raise DiscordError(404, 10013, "Unknown User")
        return person.user()

    async def _open_dm(self, call: RestCall) -> object:
        person = self.world.people.get(str(call.payload.get("recipient_id")))
        if person is None or person.bot:
            raise DiscordError(400, 50033, "Invalid Recipient(s)")
        return self.world.channel_object(self.world.dm(person.id))

    async def _application(self, call: RestCall) -> object:
        return self.world.application_object()

    async def _emojis(self, call: RestCall) -> object:
        return {"items": []}

    async def _empty(self, call: RestCall) -> object:
        return []

    def _check_guild(self, call: RestCall) -> None:
        if call["guild"] != self.world.guild_id:
            raise DiscordError(404, 10004, "Unknown Guild")

    async def _guild(self, call: RestCall) -> object:
        self._check_guild(call)
        return self.world.guild_object()

    async def _channels(self, call: RestCall) -> object:
        self._check_guild(call)
        return [self.world.channel_object(one) for one in self.world.channels.values() if one.guild_id == call["guild"]]

    async def _roles(self, call: RestCall) -> object:
        self._check_guild(call)
        return [one.object() for one in self.world.roles.values()]

    async def _members(self, call: RestCall) -> object:
        self._check_guild(call)
        limit = int(call.request.query.get("limit", "1"))
        return [one.member() for one in self.world.people.values() if one.in_guild][:limit]

    async def _member(self, call: RestCall) -> object:
        self._check_guild(call)
        person = self.world.people.get(call["user"])
        if person is None or not person.in_guild:
            raise DiscordError(404, 10007, "Unknown Member")
        return person.member()

    # ------------------------------------------------------------------ commands

    def _scope(self, call: RestCall) -> str | None:
        if call["application"] != self.world.application_id:
            raise DiscordError(403, 20012, "You are not authorized to perform this action on this application")
        guild = call.request.match_info.get("guild")
        if guild is not None and guild != self.world.guild_id:
            raise wire.missing_access()
        return guild

    async def _list_commands(self, call: RestCall) -> object:
        return self.commands.listed(self._scope(call))

    async def _put_commands(self, call: RestCall) -> object:
        return self.commands.overwrite(self._scope(call), call.payload.get("list"))

    async def _create_command(self, call: RestCall) -> object:
        return self.commands.upsert(self._scope(call), call.payload)

    async def _get_command(self, call: RestCall) -> object:
        return self.commands.get(self._scope(call), call["command"])

    async def _edit_command(self, call: RestCall) -> object:
        return self.commands.edit(self._scope(call), call["command"], call.payload)

    async def _delete_command(self, call: RestCall) -> object:
        self.commands.delete(self._scope(call), call["command"])
        return None


def _without_token(path: str) -> str:
    """Interaction tokens are secrets: they are not shown and not logged."""
    parts = path.split("/")
    for index, part in enumerate(parts[:-2]):
        if part in {"webhooks", "interactions"}:
            parts[index + 2] = "…"
    if len(parts) > 2 and parts[-3] in {"webhooks", "interactions"}:
        parts[-1] = "…"
    return "/".join(parts).removeprefix("/api/v10")
