"""Discord on loopback: one aiohttp application, and a Python API to be the people in it."""

from __future__ import annotations

import re
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from sandbox.access import AccessControl, address
from sandbox.discord import validate
from sandbox.discord.chaos import RateLimitChaos, Scope
from sandbox.discord.commands import Commands, NotOffered
from sandbox.discord.compose import Composer
from sandbox.discord.conditions import ConditionWaiter
from sandbox.discord.devtools import DevTools
from sandbox.discord.fault_injection import Counters, Faults, PlannedFailure, RateLimit
from sandbox.discord.files import FileStore
from sandbox.discord.gateway import Drop, Gateway
from sandbox.discord.interactions import InteractionRecord, Interactions, NotAnswered
from sandbox.discord.messages import Messages
from sandbox.discord.page import ChatPage
from sandbox.discord.page_feed import PageFeed
from sandbox.discord.rest import RejectedCall, Rest
from sandbox.discord.user_actions import UserActions
from sandbox.discord.wire import ChannelType, Obj, sandbox_token
from sandbox.discord.world import Channel, Message, Person, World, walk

#: What the bot asks for, which knows nothing of the page's token.
_OPEN_TO_BOT = ("/api/", "/gateway", "/attachments/")


class FakeDiscord:
    """Gateway, REST API, world, page API.

    Call it from the event loop that it was started in.

    Args:
        token: the bot token to accept; the sandbox's own by default.
        answer_deadline_s: how long the bot has for its first answer.
        token_lifetime_s: how long an interaction token lives.
        host_names: under which the page may be reached, beside those of loopback.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        answer_deadline_s: float = 3.0,
        token_lifetime_s: float = 15 * 60.0,
        host_names: Sequence[str] = (),
    ) -> None:
        self.access = AccessControl(host_names, open_to_bot=_OPEN_TO_BOT)
        self.token = token or sandbox_token()
        self.world = World()
        self.faults = Faults()
        self.refusals: deque[RejectedCall] = deque(maxlen=10_000)
        self.base_url = ""
        self._ahead_s = 0.0
        self._runner: web.AppRunner | None = None
        self._waiter = ConditionWaiter()
        self.files = FileStore(self.world.snowflakes)
        self.composer = Composer(self.world, self.files, self.faults.blocked_words)
        self.page_feed = PageFeed(self.world)
        self.unseen_files: deque[str] = deque(maxlen=10_000)
        self.composer.on_unseen.append(self._unseen)
        self.gateway = Gateway(self.world, token=self.token, clock=self.now_s, on_presence=self._presence)
        self.message_store = Messages(self.world, self.composer, self.gateway, self.now_s, self.page_feed.push)
        self.interactions = Interactions(self.world, self.message_store, self.gateway, self.now_s)
        self.interactions.answer_deadline_s = answer_deadline_s
        self.interactions.token_lifetime_s = token_lifetime_s
        self.commands = Commands(self.world, self._commands_changed)
        self.actions = UserActions(
            world=self.world,
            commands=self.commands,
            interactions=self.interactions,
            message_store=self.message_store,
            files=self.files,
            clock=self.now_s,
        )
        self.devtools = DevTools(self.faults, self.drop_gateway, self.page_feed.push)
        self.page = ChatPage(
            world=self.world,
            actions=self.actions,
            devtools=self.devtools,
            feed=self.page_feed,
            bot_online=lambda: self.gateway.online,
        )
        self.rest = Rest(
            world=self.world,
            message_store=self.message_store,
            interactions=self.interactions,
            commands=self.commands,
            gateway=self.gateway,
            faults=self.faults,
            clock=self.now_s,
            on_refusal=self._refused,
        )
        self.rest.token = self.token
        self.message_store.on_change.append(self._waiter.changed)
        self.interactions.on_change.append(self._waiter.changed)

    # ------------------------------------------------------------------ life

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None) -> str:
        """Listen (on a socket bound already, if one is given); returns the base URL."""
        app = web.Application(client_max_size=validate.MAX_REQUEST_BYTES, middlewares=[_calm])
        self.access.install(app)
        self.rest.add_routes(app)
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/gateway/", self.gateway.handle)
        app.router.add_get("/attachments/{channel}/{id}/{filename}", self._attachment)
        self.page.add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site: web.BaseSite
        if sock is not None:
            site = web.SockSite(self._runner, sock, backlog=2048)
        else:
            site = web.TCPSite(self._runner, host, port, backlog=2048)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.access.port = port
        self.base_url = self.files.base_url = address("http", host, port)
        self.gateway.url = self.gateway_url
        return self.base_url

    async def stop(self) -> None:
        """Close every socket and cancel every timer."""
        self.interactions.close()
        await self.page_feed.close()
        await self.gateway.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._waiter.close()

    @property
    def page_url(self) -> str:
        """For a browser: the page, with the token that this start made."""
        return f"{self.base_url}/?token={self.access.token}"

    @property
    def api_url(self) -> str:
        """For `discord.http.Route.BASE`."""
        return f"{self.base_url}/api/v10"

    @property
    def gateway_url(self) -> str:
        """For `DiscordWebSocket.DEFAULT_GATEWAY`."""
        return f"{self.base_url.replace('http', 'ws', 1)}/gateway"

    @property
    def counters(self) -> Counters:
        """What the bot did."""
        return self.faults.counters

    def now_s(self) -> float:
        """This server's clock: real time plus what `advance` added."""
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let time pass for tokens, links, nonces and message ages (not for the three seconds)."""
        self._ahead_s += seconds

    # ------------------------------------------------------------------ being a person

    def person(self, who: Person | str) -> Person:
        """See `UserActions.person`."""
        return self.actions.person(who)

    def channel(self, where: Channel | str, person: Person | None = None) -> Channel:
        """See `UserActions.channel`."""
        return self.actions.channel(where, person)

    def upload(self, person: Person | str, filename: str, body: bytes) -> Obj:
        """See `UserActions.upload`."""
        return self.actions.upload(person, filename, body)

    def say(self, person: Person | str, channel: Channel | str, content: str, uploads: Sequence[str] = ()) -> Message:
        """See `UserActions.say`."""
        return self.actions.say(person, channel, content, uploads)

    async def submit_modal(
        self, opener: InteractionRecord, values: Mapping[str, object] | None = None, *, unchecked: bool = False
    ) -> InteractionRecord:
        """See `UserActions.submit_modal`."""
        return await self.actions.submit_modal(opener, values, unchecked=unchecked)

    async def command(
        self,
        person: Person | str,
        channel: Channel | str,
        name: str,
        options: Mapping[str, object] | None = None,
        *,
        own_app: bool = False,
        unchecked: bool = False,
    ) -> InteractionRecord:
        """Run a slash command; `name` may hold sub-commands ("settings model").

        Args:
            person: who.
            channel: where.
            name: the command, with its sub-commands after spaces.
            options: plain values by option name; an upload's object or id for an attachment.
            own_app: as from an installation on the person's own account.
            unchecked: send it even though Discord's client would not offer it.

        Raises:
            NotOffered: Discord would not let this person do that there.
        """
        who = self.person(person)
        where = self.channel(channel, who)
        first, *path = name.lstrip("/").split()
        command = self.commands.find(first)
        plain = {key: value["id"] if isinstance(value, dict) else value for key, value in (options or {}).items()}
        typed = self.commands.typed(command, path, plain)
        return self.actions.run(who, where, command, typed, own_app=own_app, unchecked=unchecked)

    async def context_menu(
        self, person: Person | str, channel: Channel | str, name: str, target: Message | Person
    ) -> InteractionRecord:
        """Run a message or user command."""
        who = self.person(person)
        kind = 3 if isinstance(target, Message) else 2
        return self.actions.run(
            who, self.channel(channel, who), self.commands.find(name, kind), (), target_id=target.id
        )

    async def autocomplete(
        self,
        person: Person | str,
        channel: Channel | str,
        name: str,
        focused: str,
        options: Mapping[str, object] | None = None,
        *,
        timeout_s: float = 3.5,
    ) -> list[Obj]:
        """The choices offered for one option while the others stand as given.

        Raises:
            NotAnswered: the bot did not answer.
        """
        who = self.person(person)
        first, *path = name.lstrip("/").split()
        command = self.commands.find(first)
        given = dict(options or {})
        given.setdefault(focused, "")
        typed = self.commands.typed(command, path, given, focused=focused)
        record = self.actions.run(who, self.channel(channel, who), command, typed, kind=ChannelType.AUTOCOMPLETE)
        await record.answered(timeout_s)
        if record.choices is None:
            raise NotAnswered(f"no choices for {focused} of /{name}")
        return record.choices

    async def press(
        self,
        person: Person | str,
        message: Message | InteractionRecord,
        which: str,
        values: Sequence[str] | None = None,
    ) -> InteractionRecord:
        """Press a button or choose in a select, by custom_id or label.

        Raises:
            NotOffered: there is no such component, it is disabled, or the message cannot be seen.
        """
        target = message.message if isinstance(message, InteractionRecord) else message
        component = next(
            (
                one
                for one in target.components()
                if which in {one.get("custom_id"), one.get("label")} and "custom_id" in one
            ),
            None,
        )
        if component is None:
            there = sorted(target.buttons())
            raise NotOffered(f"the message has no component {which}; it has {there}")
        return self.actions.use_component(self.person(person), target, component, values)

    def messages(self, channel: Channel | str, person: Person | str | None = None) -> list[Message]:
        """What a person sees there, oldest first; without a person, everything."""
        who = None if person is None else self.person(person)
        where = self.channel(channel, who)
        return [
            one
            for one in where.messages.values()
            if who is None or one.visible_to is None or (one.visible_to == who.id and not one.dismissed)
        ]

    def read(self, message: Message) -> list[bytes]:
        """The bodies of a message's files."""
        bodies = [self.files.read(str(one.object["url"])) for one in message.files]
        return [one for one in bodies if one is not None]

    # ------------------------------------------------------------------ waiting

    async def wait_for(self, predicate: Callable[[], Any], timeout_s: float = 5.0) -> Any:
        """Wait until `predicate()` is true; returns its value. Checked again after every change.

        Raises:
            NotAnswered: it did not become true in time.
        """
        return await self._waiter.wait_for(predicate, timeout_s)

    async def wait_ready(self, timeout_s: float = 10.0, *, commands: int = 1) -> None:
        """Wait until a bot is connected and that many commands are registered."""
        await self.wait_for(lambda: self.gateway.online and len(list(self.commands.all())) >= commands, timeout_s)

    # ------------------------------------------------------------------ making it fail

    async def drop_gateway(self, how: Drop = "close") -> None:
        """Break the bot's gateway connection; see `Gateway.drop`."""
        await self.gateway.drop(how)

    def kill_token(self, record: InteractionRecord) -> None:
        """Let an interaction's token expire now (50027 from then on)."""
        record.killed = True

    def deliver_twice(self, record: InteractionRecord) -> None:
        """Send the same interaction event again, as an overlapping replay would."""
        self.interactions.send(record)

    def delete_message(self, message: Message) -> None:
        """A moderator deletes it."""
        self.message_store.delete(message)

    def remove_bot_from_channel(self, channel: Channel | str) -> None:
        """Take View Channel and everything else from the bot in a channel."""
        where = self.channel(channel)
        where.overwrites[self.world.bot.id] = (1, 0, (1 << 53) - 1)
        self._channel_changed(where)

    def let_bot_into_channel(self, channel: Channel | str) -> None:
        """Undo `remove_bot_from_channel`."""
        where = self.channel(channel)
        where.overwrites.pop(self.world.bot.id, None)
        self._channel_changed(where)

    def deny_bot(self, channel: Channel | str, permissions: int) -> None:
        """Take single permissions from the bot in a channel."""
        where = self.channel(channel)
        where.overwrites[self.world.bot.id] = (1, 0, permissions)
        self._channel_changed(where)

    def _channel_changed(self, channel: Channel) -> None:
        if channel.guild_id is not None:
            data = self.world.channel_object(channel)
            self.gateway.dispatch("CHANNEL_UPDATE", data, guild_id=channel.guild_id, intents=1)

    def set_rate_limit(
        self,
        limit: int,
        window_s: float,
        *,
        scope: Scope = "user",
        method: str | None = None,
        path: str = "",
        retry_after_s: float | None = None,
    ) -> RateLimit:
        """Add a rate limit; see `Faults.set_rate_limit`."""
        return self.faults.set_rate_limit(
            limit, window_s, scope=scope, method=method, path=path, retry_after_s=retry_after_s
        )

    def rate_limit_chaos(self, chaos: RateLimitChaos) -> RateLimitChaos:
        """Refuse a share of all requests with 429s of every kind, and keep account of what comes early."""
        self.faults.chaos = chaos
        return chaos

    def slow_rest(self, seconds: float, path: str = "") -> None:
        """Answer late; `path` is a regular expression."""
        self.faults.delay_s = seconds
        self.faults.delay_path = re.compile(path)

    def fail_next(
        self,
        method: str,
        path_regex: str,
        status: int = 500,
        *,
        drop: bool = False,
        after: bool = False,
        times: int = 1,
        code: int = 0,
        message: str = "",
    ) -> None:
        """Break the next matching answer(s): with a status, or by cutting the connection.

        Args:
            method: HTTP method, or "*".
            path_regex: searched in the path.
            status: of the broken answer.
            drop: cut the connection instead.
            after: only after the request was carried out (the answer is lost, not the request).
            times: how many.
            code: Discord's code in the body.
            message: the words in the body.
        """
        self.faults.failures.append(
            PlannedFailure(method, re.compile(path_regex), status, drop, after, times, code, message)
        )

    def refuse_commands(self, code: int, *, status: int = 400, method: str = "PUT") -> None:
        """Refuse the application's commands until `clear_faults`, as Discord does for a day or for good."""
        self.fail_next(method, r"/applications/\d+/commands$", status, code=code, times=1_000_000)

    def clear_faults(self) -> None:
        """Stop injecting faults."""
        self.faults.clear()

    # ------------------------------------------------------------------ inside

    def _presence(self, online: bool) -> None:
        self.page_feed.push("bot", {"online": online})
        self._waiter.changed()

    def _commands_changed(self) -> None:
        self.page_feed.push_commands(self.commands.offered)
        self._waiter.changed()

    def _refused(self, refusal: RejectedCall) -> None:
        self.refusals.append(refusal)
        if refusal.faulty:
            self.page_feed.push("refused", refusal.public())
        self._waiter.changed()

    def _unseen(self, message: Message, names: list[str]) -> None:
        self.unseen_files.extend(names)
        self.page_feed.log(f"Nobody sees {', '.join(names)}: no component of message {message.id} shows it.")

    async def _attachment(self, request: web.Request) -> web.StreamResponse:
        found = self.files.open(request.path, dict(request.query), now_s=self.now_s())
        if found is None:
            return web.Response(status=404, text="This content is no longer available.")
        body, content_type = found
        headers = {"Content-Type": content_type, "X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=86400"}
        if not content_type.startswith("image/") or content_type == "image/svg+xml":
            headers["Content-Disposition"] = "attachment"
        return web.Response(body=body, headers=headers)


@web.middleware
async def _calm(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A connection cut by fault injection is not logged as an error."""
    try:
        return await handler(request)
    except ConnectionResetError:
        return web.Response(status=500)


__all__ = ["FakeDiscord", "InteractionRecord", "Message", "NotAnswered", "NotOffered", "sandbox_token", "walk"]
