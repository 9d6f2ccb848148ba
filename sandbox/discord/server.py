"""Discord on loopback: one aiohttp application, and a Python API to be the people in it."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from sandbox.discord import validate
from sandbox.discord.chaos import RateLimitChaos, Scope
from sandbox.discord.commands import Commands, NotOffered, add_person
from sandbox.discord.compose import Composer
from sandbox.discord.fault_injection import Counters, Faults, PlannedFailure, RateLimit
from sandbox.discord.files import FileStore
from sandbox.discord.gateway import Drop, Gateway
from sandbox.discord.interactions import InteractionRecord, Interactions, NotAnswered
from sandbox.discord.messages import Messages
from sandbox.discord.page import ChatPage
from sandbox.discord.rest import RejectedCall, Rest
from sandbox.discord.wire import ChannelType, Obj, sandbox_token
from sandbox.discord.world import Channel, Message, Person, World, walk


class TroubleSource(Protocol):
    """Somebody else's switches in the page's drawer."""

    def describe(self) -> list[dict[str, Any]]:
        """`{name, label, about, kind, value}` each."""
        ...

    def set(self, name: str, value: Any) -> Any:
        """Turn one."""
        ...


class FakeDiscord:
    """Gateway, REST API, world, page API.

    Everything public here is for the same event loop the stand-in runs in.

    Args:
        token: the bot token to accept; the sandbox's own by default.
        answer_deadline_s: how long the bot has for its first answer.
        token_lifetime_s: how long an interaction token lives.
    """

    def __init__(
        self, *, token: str | None = None, answer_deadline_s: float = 3.0, token_lifetime_s: float = 15 * 60.0
    ) -> None:
        self.token = token or sandbox_token()
        self.world = World()
        self.faults = Faults()
        self.refusals: deque[RejectedCall] = deque(maxlen=10_000)
        self.base_url = ""
        self._ahead_s = 0.0
        self._uploads: dict[str, Obj] = {}
        self._waiters: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._check_planned = False
        self._runner: web.AppRunner | None = None
        self._sources: list[TroubleSource] = []
        self._actions: dict[str, tuple[Obj, Callable[[Any], Awaitable[None]]]] = {}
        self.files = FileStore(self.world.snowflakes)
        self.composer = Composer(self.world, self.files)
        self.page = ChatPage(self)
        self.unseen_files: deque[str] = deque(maxlen=10_000)
        self.composer.on_unseen.append(self._unseen)
        self.gateway = Gateway(self.world, token=self.token, clock=self.now_s, on_presence=self._presence)
        self.board = Messages(self.world, self.composer, self.gateway, self.now_s, self.page.push)
        self.interactions = Interactions(self.world, self.board, self.gateway, self.now_s)
        self.interactions.answer_deadline_s = answer_deadline_s
        self.interactions.token_lifetime_s = token_lifetime_s
        self.commands = Commands(self.world, self._commands_changed)
        self.rest = Rest(
            world=self.world,
            board=self.board,
            interactions=self.interactions,
            commands=self.commands,
            gateway=self.gateway,
            faults=self.faults,
            clock=self.now_s,
            on_refusal=self._refused,
        )
        self.rest.token = self.token
        self.board.on_change.append(self._changed)
        self.interactions.on_change.append(self._changed)

    # ------------------------------------------------------------------ life

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None) -> str:
        """Listen (on a socket bound already, if one is given); answers the base URL."""
        app = web.Application(client_max_size=validate.MAX_REQUEST_BYTES, middlewares=[_calm])
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
        self.base_url = self.files.base_url = f"http://{host}:{port}"
        self.gateway.url = self.gateway_url
        return self.base_url

    async def stop(self) -> None:
        """Close every socket and cancel every timer."""
        self.interactions.close()
        await self.page.close()
        await self.gateway.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for _, future in self._waiters:
            future.cancel()
        self._waiters.clear()

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
        """The stand-in's clock: real time plus what `advance` added."""
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let time pass for tokens, links, nonces and message ages (not for the three seconds)."""
        self._ahead_s += seconds

    # ------------------------------------------------------------------ being a person

    def person(self, who: Person | str) -> Person:
        """By object, id, user name or name.

        Raises:
            LookupError: nobody of that name.
        """
        if isinstance(who, Person):
            return who
        if who in self.world.people:
            return self.world.people[who]
        for one in self.world.people.values():
            if who.lower() in {one.username, one.name.lower()} and not one.bot:
                return one
        raise LookupError(f"there is nobody called {who}")

    def channel(self, where: Channel | str, person: Person | None = None) -> Channel:
        """By object, id or name; "dm" is the person's own with the bot.

        Raises:
            LookupError: no such channel.
        """
        if isinstance(where, Channel):
            return where
        if where in self.world.channels:
            return self.world.channels[where]
        if where == "dm" and person is not None:
            return self.world.dm(person.id)
        for one in self.world.channels.values():
            if where == one.kind == "group" or (one.name == where.lstrip("#") and one.kind != "dm"):
                return one
        raise LookupError(f"there is no channel {where}")

    def upload(self, person: Person | str, filename: str, body: bytes) -> Obj:
        """A file picked by a person; its `id` is the value of an attachment option."""
        file = self.files.keep(self.person(person).id, filename, body, now_s=self.now_s(), ephemeral=True)
        self._uploads[file.id] = file.object
        return file.object

    @property
    def uploads(self) -> Mapping[str, Obj]:
        """Everything people have picked."""
        return self._uploads

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
        return self.run(who, where, command, typed, own_app=own_app, unchecked=unchecked)

    def run(
        self,
        person: Person,
        channel: Channel,
        command: Obj,
        options: Sequence[Obj],
        *,
        own_app: bool = False,
        unchecked: bool = False,
        kind: int = ChannelType.COMMAND,
        target_id: str | None = None,
    ) -> InteractionRecord:
        """A command with its options as interactions carry them.

        Raises:
            NotOffered: Discord would not let this person do that there.
        """
        if not unchecked:
            why = self.commands.why_not(command, person, channel)
            if why is not None:
                raise NotOffered(why)
            self.commands.check(command.get("options") or (), options, complete=kind == ChannelType.COMMAND)
        resolved = self.commands.resolved(options, self._uploads, channel)
        data: Obj = {"id": command["id"], "name": command["name"], "type": command["type"]}
        if options:
            data["options"] = list(options)
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        if target_id is not None:
            data["target_id"] = target_id
            self._resolve_target(resolved, command["type"], target_id, channel)
        if resolved:
            data["resolved"] = resolved
        name = " ".join([command["name"], *_sub_names(options)])
        return self.interactions.start(kind, person, channel, data, name=name, own_app=own_app)

    def _resolve_target(self, resolved: Obj, kind: int, target_id: str, channel: Channel) -> None:
        if kind == 2:
            if target_id not in self.world.people:
                raise NotOffered("There is no such person.")
            add_person(resolved, self.world.people[target_id], self.world, channel)
            return
        message = channel.messages.get(target_id)
        if message is None:
            raise NotOffered("That message is gone.")
        resolved["messages"] = {target_id: message.data}

    async def context_menu(
        self, person: Person | str, channel: Channel | str, name: str, target: Message | Person
    ) -> InteractionRecord:
        """Run a message or user command."""
        who = self.person(person)
        kind = 3 if isinstance(target, Message) else 2
        return self.run(who, self.channel(channel, who), self.commands.find(name, kind), (), target_id=target.id)

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
            NotAnswered: the bot stayed silent.
        """
        who = self.person(person)
        first, *path = name.lstrip("/").split()
        command = self.commands.find(first)
        given = dict(options or {})
        given.setdefault(focused, "")
        typed = self.commands.typed(command, path, given, focused=focused)
        record = self.run(who, self.channel(channel, who), command, typed, kind=ChannelType.AUTOCOMPLETE)
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
        return self.use_component(self.person(person), target, component, values)

    def use_component(
        self, person: Person, message: Message, component: Obj, values: Sequence[str] | None = None
    ) -> InteractionRecord:
        """Send the interaction of one component."""
        if message.id not in message.channel.messages or message.visible_to not in {None, person.id}:
            raise NotOffered("That message is gone.")
        if component.get("disabled"):
            raise NotOffered("That component is disabled.")
        data: Obj = {
            "custom_id": component["custom_id"],
            "component_type": component["type"],
            "id": component["id"],
        }
        if component["type"] in validate.SELECTS:
            chosen = [str(one) for one in values or ()]
            if not component["min_values"] <= len(chosen) <= component["max_values"]:
                raise NotOffered(f"Choose {component['min_values']} to {component['max_values']}.")
            data["values"] = chosen
            self._resolve_values(data, component, chosen, message.channel)
        return self.interactions.start(
            ChannelType.COMPONENT, person, message.channel, data, name=str(component["custom_id"]), source=message
        )

    def _resolve_values(self, data: Obj, component: Obj, chosen: Sequence[str], channel: Channel) -> None:
        if component["type"] == validate.SELECT:
            known = {one["value"] for one in component["options"]}
            if set(chosen) - known:
                raise NotOffered("That choice is not in the list.")
            return
        resolved: Obj = {}
        for one in chosen:
            if one in self.world.people:
                add_person(resolved, self.world.people[one], self.world, channel)
            elif one in self.world.roles:
                resolved.setdefault("roles", {})[one] = self.world.roles[one].object()
            elif one in self.world.channels:
                resolved.setdefault("channels", {})[one] = self.world.channel_object(self.world.channels[one])
        data["resolved"] = resolved

    async def submit_modal(
        self, opener: InteractionRecord, values: Mapping[str, object] | None = None, *, unchecked: bool = False
    ) -> InteractionRecord:
        """Fill the modal an interaction opened and send it; fields not given keep their prefilled value.

        Args:
            opener: the interaction that was answered with a modal.
            values: by custom_id or label.
            unchecked: send it even though Discord's client would not.

        Raises:
            NotOffered: no modal, no such field, or a value Discord's client would not send.
        """
        if opener.modal is None:
            raise NotOffered(f"{opener.name} did not open a modal")
        given = dict(values or {})
        resolved: Obj = {}
        shown = [self._fill(one, given, resolved, unchecked=unchecked) for one in opener.modal["components"]]
        if given:
            raise NotOffered(f"the modal has no field {sorted(given)}")
        data: Obj = {"custom_id": opener.modal["custom_id"], "components": shown}
        if resolved:
            data["resolved"] = resolved
        return self.interactions.start(
            ChannelType.MODAL,
            opener.person,
            opener.channel,
            data,
            name=str(data["custom_id"]),
            source=opener.source,
            opener=opener,
        )

    def _fill(self, component: Obj, given: dict[str, object], resolved: Obj, *, unchecked: bool) -> Obj:
        """One part of a modal as it is sent back; takes what it uses out of `given`."""
        kind = component["type"]
        filled: Obj = {"type": kind, "id": component["id"]}
        if kind == validate.ROW:
            filled["components"] = [
                self._fill(one, given, resolved, unchecked=unchecked) for one in component["components"]
            ]
        elif kind == validate.LABEL:
            child = component["component"]
            if component["label"] in given:
                given[child["custom_id"]] = given.pop(component["label"])
            filled["component"] = self._fill(child, given, resolved, unchecked=unchecked)
        elif kind != validate.TEXT:
            if component.get("label") in given:
                given[component["custom_id"]] = given.pop(component["label"])
            value = given.pop(component["custom_id"], None)
            filled |= {"custom_id": component["custom_id"], **self._value(component, value, resolved, unchecked)}
        return filled

    def _value(self, field: Obj, value: Any, resolved: Obj, unchecked: bool) -> Obj:
        kind = field["type"]
        if kind == validate.TEXT_INPUT:
            text = str(value if value is not None else field.get("value") or "")
            if not unchecked:
                _check_length(field, text)
            return {"value": text}
        if kind == validate.RADIO:
            preset = next((one["value"] for one in field["options"] if one.get("default")), None)
            return {"value": value if value is not None else preset}
        if kind == validate.CHECKBOX:
            return {"value": bool(field.get("default")) if value is None else bool(value)}
        preset = [one["value"] for one in field.get("options") or () if one.get("default")]
        chosen = [
            str(one["id"] if isinstance(one, dict) else one)
            for one in ([value] if isinstance(value, str | dict) else value or preset)
        ]
        if not chosen and field.get("required", True) and not unchecked:
            raise NotOffered(f"{field['custom_id']} is required.")
        for one in chosen if kind == validate.UPLOAD else ():
            if one not in self._uploads:
                raise NotOffered("There is no such upload.")
            resolved.setdefault("attachments", {})[one] = self._uploads[one]
        return {"values": chosen}

    def say(self, person: Person | str, channel: Channel | str, content: str, uploads: Sequence[str] = ()) -> Message:
        """A plain chat message of a person."""
        who = self.person(person)
        where = self.channel(channel, who)
        now_s = self.now_s()
        message = self.world.new_message(where, who, now_s=now_s)
        message.data["content"] = content
        message.data["attachments"] = [self._uploads[one] for one in uploads]
        message.data["mentions"] = [
            self.world.people[one].user() for one in re.findall(r"<@!?(\d+)>", content) if one in self.world.people
        ]
        self.board.messages[message.id] = message
        self.board.announce("create", message)
        return message

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
        """Wait until `predicate()` is true; answers its value. Re-checked after every change.

        Raises:
            NotAnswered: it did not become true in time.
        """
        value = predicate()
        if value:
            return value
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        entry = (predicate, future)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise NotAnswered(f"not true within {timeout_s} s") from None
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)

    async def wait_ready(self, timeout_s: float = 10.0, *, commands: int = 1) -> None:
        """Wait until a bot is connected and that many commands are registered."""
        await self.wait_for(lambda: self.gateway.online and len(list(self.commands.all())) >= commands, timeout_s)

    def _changed(self, _what: object = None) -> None:
        if self._waiters and not self._check_planned:
            self._check_planned = True
            asyncio.get_running_loop().call_soon(self._check_waiters)

    def _check_waiters(self) -> None:
        self._check_planned = False
        for entry in list(self._waiters):
            predicate, future = entry
            if future.done():
                continue
            try:
                value = predicate()
            except Exception as error:  # it belongs to the one who waits
                future.set_exception(error)
                continue
            if value:
                future.set_result(value)

    # ------------------------------------------------------------------ trouble

    async def drop_gateway(self, how: Drop = "close") -> None:
        """Break the bot's gateway connection; see `Gateway.drop`."""
        await self.gateway.drop(how)

    def kill_token(self, record: InteractionRecord) -> None:
        """Let an interaction's token die now (50027 from then on)."""
        record.killed = True

    def deliver_twice(self, record: InteractionRecord) -> None:
        """Send the same interaction event again, as an overlapping replay would."""
        self.interactions.send(record)

    def delete_message(self, message: Message) -> None:
        """A moderator deletes it."""
        self.board.delete(message)

    def remove_bot_from_channel(self, channel: Channel | str) -> None:
        """The bot may not even see the channel any more."""
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

    def usual_rate_limits(self) -> None:
        """About what Discord enforces: 50/s in all, 5 posts and 5 edits per 5 s and channel, 5 per 2 s per token."""
        self.set_rate_limit(50, 1, scope="global")
        self.set_rate_limit(5, 5, method="POST", path=r"/channels/\d+/messages$")
        self.set_rate_limit(5, 5, method="PATCH", path=r"/channels/\d+/messages/")
        self.set_rate_limit(5, 2, path=r"/webhooks/")

    def rate_limit_chaos(self, storm: RateLimitChaos) -> RateLimitChaos:
        """Refuse a share of all requests with 429s of every kind, and keep account of what comes early."""
        self.faults.forced = storm
        return storm

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

    def clear_faults(self) -> None:
        """Take every fault back."""
        self.faults.clear()

    # ------------------------------------------------------------------ the page's drawer

    def add_trouble_source(self, source: TroubleSource) -> None:
        """Another stand-in's switches."""
        self._sources.append(source)

    def add_action(self, name: str, label: str, about: str, act: Callable[[Any], Awaitable[None]]) -> None:
        """A button of the drawer."""
        shown = {"name": name, "label": label, "about": about, "kind": "action", "value": None}
        self._actions[name] = (shown, act)

    @property
    def troubles(self) -> list[dict[str, Any]]:
        """Everything in the drawer, with its present value."""
        shown = [one for source in self._sources for one in source.describe()]
        shown.append(
            {
                "name": "rate_limit",
                "label": "Rate limits",
                "about": "Discord answers many requests with 429.",
                "kind": "switch",
                "value": self.faults.storm,
            }
        )
        shown.append(
            {
                "name": "gateway_drop",
                "label": "Drop the gateway",
                "about": "Cuts the bot's connection; it resumes without losing anything.",
                "kind": "action",
                "value": None,
            }
        )
        return shown + [one for one, _ in self._actions.values()]

    async def set_trouble(self, name: str, value: Any) -> list[dict[str, Any]]:
        """Turn a switch or do an action.

        Raises:
            LookupError: no such trouble.
        """
        if name == "rate_limit":
            self.faults.storm = bool(value)
        elif name == "gateway_drop":
            await self.drop_gateway()
        elif name in self._actions:
            await self._actions[name][1](value)
        else:
            source = next((one for one in self._sources if name in {each["name"] for each in one.describe()}), None)
            if source is None:
                raise LookupError(f"there is no trouble {name}")
            done = source.set(name, value)
            if isinstance(done, Awaitable):
                await done
        self.troubles_changed()
        return self.troubles

    def troubles_changed(self) -> None:
        """Show the drawer anew on every open page."""
        self.page.push("troubles", {"troubles": self.troubles})

    # ------------------------------------------------------------------ inside

    def _presence(self, online: bool) -> None:
        self.page.push("bot", {"online": online})
        self._changed()

    def _commands_changed(self) -> None:
        self.page.commands_changed()
        self._changed()

    def _refused(self, refusal: RejectedCall) -> None:
        self.refusals.append(refusal)
        if refusal.faulty:
            self.page.push("refused", refusal.public())
        self._changed()

    def _unseen(self, message: Message, names: list[str]) -> None:
        self.unseen_files.extend(names)
        self.page.log(f"Nobody sees {', '.join(names)}: no component of message {message.id} shows it.")

    async def _attachment(self, request: web.Request) -> web.StreamResponse:
        found = self.files.open(request.path, dict(request.query), now_s=self.now_s())
        if found is None:
            return web.Response(status=404, text="This content is no longer available.")
        body, content_type = found
        headers = {"Content-Type": content_type, "X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=86400"}
        if not content_type.startswith("image/") or content_type == "image/svg+xml":
            headers["Content-Disposition"] = "attachment"
        return web.Response(body=body, headers=headers)


def _check_length(field: Obj, text: str) -> None:
    """What Discord's client checks before it sends a text input."""
    required = field.get("required", True)
    least, most = field.get("min_length") or int(bool(required)), field.get("max_length") or 4000
    if not least <= len(text) <= most and (text or required):
        raise NotOffered(f"{field['custom_id']} must be {least} to {most} characters long.")


def _sub_names(options: Sequence[Obj]) -> list[str]:
    for one in options:
        if one["type"] in {1, 2}:
            return [one["name"], *_sub_names(one.get("options") or ())]
    return []


@web.middleware
async def _calm(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A connection cut on purpose is no error worth a traceback."""
    try:
        return await handler(request)
    except ConnectionResetError:
        return web.Response(status=500)


__all__ = ["FakeDiscord", "InteractionRecord", "Message", "NotAnswered", "NotOffered", "sandbox_token", "walk"]
