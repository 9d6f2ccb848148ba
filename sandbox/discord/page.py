"""The API of the browser page: the world as one person sees it, and what they do in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from sandbox.discord import validate
from sandbox.discord.commands import NotOffered
from sandbox.discord.files import read_json
from sandbox.discord.wire import PERMISSION_NAMES, ChannelType, DiscordError, Obj, Permission, dumps
from sandbox.discord.world import Channel, Message, Person

if TYPE_CHECKING:
    from sandbox.discord.interactions import InteractionRecord
    from sandbox.discord.server import FakeDiscord

_PAGE = Path(__file__).resolve().parent.parent / "page"
_SHOWN_MESSAGES = 100
_NO_STORE = {"Cache-Control": "no-cache"}


class _Viewer:
    """One open page."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()


class ChatPage:
    """Routes under /sandbox/api and the page's own files."""

    def __init__(self, standin: FakeDiscord) -> None:
        self._standin = standin
        self._viewers: set[_Viewer] = set()
        self._log: list[str] = []

    def add_routes(self, app: web.Application) -> None:
        """Everything the page calls."""
        app.router.add_get("/sandbox/api/world", self._guard(self._world))
        app.router.add_get("/sandbox/api/events", self._events)
        app.router.add_post("/sandbox/api/interact", self._guard(self._interact))
        app.router.add_post("/sandbox/api/upload", self._guard(self._upload))
        app.router.add_post("/sandbox/api/message", self._guard(self._say))
        app.router.add_post("/sandbox/api/dismiss", self._guard(self._dismiss))
        app.router.add_post("/sandbox/api/delete", self._guard(self._delete))
        app.router.add_post("/sandbox/api/trouble", self._guard(self._trouble))
        app.router.add_get("/", self._file)
        app.router.add_get("/{path:.+}", self._file)

    # ------------------------------------------------------------------ pushing

    def push(self, what: str, shown: Obj, only: str | None = None, channel: Channel | None = None) -> None:
        """Send an event to every open page it concerns."""
        if not self._viewers:
            return
        packed = dumps({"type": what, **shown})
        for viewer in self._viewers:
            if only is not None and viewer.person.id != only:
                continue
            if channel is not None and not self._standin.world.person_can_see(viewer.person, channel):
                continue
            viewer.queue.put_nowait(packed)

    def commands_changed(self) -> None:
        """Each person gets the commands they may use."""
        for viewer in self._viewers:
            offered = self._standin.commands.offered(viewer.person)
            viewer.queue.put_nowait(dumps({"type": "commands", "commands": offered}))

    def log(self, line: str) -> None:
        """A line of the bot's own log."""
        self._log.append(line)
        del self._log[:-500]
        self.push("log", {"line": line})

    async def close(self) -> None:
        """End every event stream."""
        for viewer in self._viewers:
            viewer.queue.put_nowait(None)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if not _same_origin(request):
            return _answer({"error": "Only the sandbox's own page may listen."}, status=403)
        try:
            person = self._standin.person(request.query.get("person", ""))
        except LookupError as error:
            return _answer({"error": str(error)}, status=404)
        socket = web.WebSocketResponse(heartbeat=20, compress=False, timeout=2)
        await socket.prepare(request)
        viewer = _Viewer(person)
        self._viewers.add(viewer)
        for line in self._log[-100:]:
            viewer.queue.put_nowait(dumps({"type": "log", "line": line}))
        pump = asyncio.create_task(self._pump(viewer, socket))
        try:
            async for frame in socket:
                if frame.type is WSMsgType.ERROR:
                    break
        finally:
            self._viewers.discard(viewer)
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
        return socket

    @staticmethod
    async def _pump(viewer: _Viewer, socket: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            while (packed := await viewer.queue.get()) is not None:
                await socket.send_str(packed.decode())
            await socket.close()

    # ------------------------------------------------------------------ asking

    def _guard(
        self, handler: Callable[[web.Request], Awaitable[Obj]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Errors as `{error}` with a sentence; foreign pages are kept out."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if not _same_origin(request):
                return _answer({"error": "Only the sandbox's own page may ask."}, status=403)
            try:
                return _answer(await handler(request))
            except (NotOffered, ValueError) as error:
                return _answer({"error": str(error)}, status=400)
            except LookupError as error:
                return _answer({"error": str(error.args[0]) if error.args else "unknown"}, status=404)
            except DiscordError as error:
                return _answer({"error": error.message}, status=error.status)

        return handle

    async def _world(self, request: web.Request) -> Obj:
        standin, world = self._standin, self._standin.world
        person = standin.person(request.query.get("person") or world.ada.id)
        channels = [one for one in world.channels.values() if world.person_can_see(person, one)]
        return {
            "person": person.id,
            "people": [self._shown_person(one) for one in _cast(standin)],
            "channels": [self._shown_channel(one, person) for one in channels],
            "guild": {"id": world.guild_id, "name": world.guild_name},
            "bot": {"id": world.bot.id, "name": world.bot.name, "online": standin.gateway.online},
            "commands": standin.commands.offered(person),
            "messages": {one.id: self._shown_messages(one, person) for one in channels},
            "troubles": standin.troubles,
            "uploads_limit_bytes": standin.composer.file_limit_bytes,
            "can_delete": True,
        }

    def _shown_person(self, person: Person) -> Obj:
        world = self._standin.world
        can = world.permissions(person, world.general)
        return {
            "id": person.id,
            "name": person.name,
            "about": person.about,
            "color": person.color,
            "roles": [
                {"id": one, "name": world.roles[one].name, "color": world.roles[one].color} for one in person.roles
            ],
            "permissions": str(can),
            "can": [name for bit, name in PERMISSION_NAMES.items() if can & bit],
        }

    def _shown_channel(self, channel: Channel, person: Person) -> Obj:
        world = self._standin.world
        others = [world.people[one].name for one in channel.recipients if one != person.id]
        names = {"dm": world.bot.name, "group": ", ".join([*others, "you"])}
        bot_needs = Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES
        return {
            "id": channel.id,
            "name": names.get(channel.kind, channel.name),
            "topic": channel.topic,
            "nsfw": channel.nsfw,
            "kind": "guild" if channel.kind == "guild" else "dm",
            "phone": channel.phone,
            "guild_id": channel.guild_id,
            "guild_name": world.guild_names.get(channel.guild_id or ""),
            "bot_inside": world.bot_is_in(channel),
            # Where the bot is not at all, nobody expects it to post; `bot_inside` tells that.
            "bot_can_post": not world.bot_is_in(channel)
            or channel.kind == "dm"
            or world.bot_permissions(channel) & bot_needs == bot_needs,
            "can_send": world.may_send(person, channel),
        }

    def _shown_messages(self, channel: Channel, person: Person) -> list[Obj]:
        newest = list(channel.messages.values())[-_SHOWN_MESSAGES * 3 :]
        seen = [one for one in newest if one.visible_to is None or (one.visible_to == person.id and not one.dismissed)]
        return [one.data for one in seen[-_SHOWN_MESSAGES:]]

    # ------------------------------------------------------------------ doing

    async def _interact(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._standin.person(str(given.get("person", "")))
        channel = self._visible(person, str(given.get("channel_id", "")))
        acts: dict[str, Callable[[Person, Channel, Obj], Awaitable[InteractionRecord]]] = {
            "command": self._command,
            "autocomplete": self._autocomplete,
            "component": self._component,
            "modal": self._modal,
            "message_command": self._context_menu,
            "user_command": self._context_menu,
        }
        act = acts.get(str(given.get("kind")))
        if act is None:
            raise NotOffered(f"kind must be one of {', '.join(acts)}.")
        record = await act(person, channel, given)
        return {"interaction_id": record.id}

    def _visible(self, person: Person, channel_id: str) -> Channel:
        channel = self._standin.world.channels.get(channel_id)
        if channel is None or not self._standin.world.person_can_see(person, channel):
            raise LookupError("There is no such channel for this person.")
        return channel

    async def _command(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        command = self._standin.commands.by_id(str(given.get("command_id")))
        return self._standin.run(person, channel, command, _options(given))

    async def _autocomplete(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        command = self._standin.commands.by_id(str(given.get("command_id")))
        return self._standin.run(person, channel, command, _options(given), kind=ChannelType.AUTOCOMPLETE)

    async def _context_menu(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        command = self._standin.commands.by_id(str(given.get("command_id")))
        return self._standin.run(person, channel, command, (), target_id=str(given.get("target_id")))

    async def _component(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        message = self._message(person, channel, given)
        custom_id = given.get("custom_id")
        component = next((one for one in message.components() if one.get("custom_id") == custom_id), None)
        if component is None:
            raise NotOffered("That component is no longer there.")
        return self._standin.use_component(person, message, component, given.get("values"))

    def _message(self, person: Person, channel: Channel, given: Obj) -> Message:
        message = channel.messages.get(str(given.get("message_id")))
        if message is None or message.visible_to not in {None, person.id}:
            raise NotOffered("That message is gone.")
        return message

    async def _modal(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        opener = self._standin.interactions.by_id.get(str(given.get("modal_interaction_id")))
        if opener is None or opener.person.id != person.id or opener.modal is None:
            raise NotOffered("That form is no longer open.")
        values: dict[str, Any] = {}
        for one in given.get("components") or ():
            if one.get("custom_id"):
                values[str(one["custom_id"])] = one["values"] if "values" in one else one.get("value")
        return await self._standin.submit_modal(opener, values)

    async def _upload(self, request: web.Request) -> Obj:
        person = self._standin.person(request.query.get("person", ""))
        form = await request.post()
        field = form.get("file")
        if not isinstance(field, web.FileField):
            raise NotOffered("Send the file as the multipart field `file`.")
        body = field.file.read()
        if len(body) > self._standin.composer.file_limit_bytes:
            raise DiscordError(413, 40005, "The file is too large for this server.")
        return self._standin.upload(person, field.filename, body)

    async def _say(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._standin.person(str(given.get("person", "")))
        channel = self._visible(person, str(given.get("channel_id", "")))
        content = str(given.get("content") or "")
        uploads = [str(one) for one in given.get("uploads") or ()]
        if len(content) > validate.MAX_CONTENT:
            raise NotOffered(f"A message has at most {validate.MAX_CONTENT} characters.")
        if not content.strip() and not uploads:
            raise NotOffered("An empty message cannot be sent.")
        if not self._standin.world.may_send(person, channel):
            raise NotOffered("You may not write in this channel.")
        if set(uploads) - set(self._standin.uploads):
            raise NotOffered("There is no such upload.")
        return {"message": self._standin.say(person, channel, content, uploads).data}

    async def _dismiss(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._standin.person(str(given.get("person", "")))
        channel = self._visible(person, str(given.get("channel_id", "")))
        message = self._message(person, channel, given)
        if message.visible_to != person.id:
            raise NotOffered("Only a message that nobody else sees can be dismissed.")
        message.dismissed = True
        self.push("message_delete", {"channel_id": channel.id, "message_id": message.id}, person.id)
        return {}

    async def _delete(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._standin.person(str(given.get("person", "")))
        channel = self._visible(person, str(given.get("channel_id", "")))
        message = self._message(person, channel, given)
        if message.ephemeral:
            raise NotOffered("A message that only you see is dismissed, not deleted.")
        if not self._standin.world.may_delete(person, message):
            raise NotOffered("You may delete your own messages only; others' take Manage Messages.")
        self._standin.delete_message(message)
        return {}

    async def _trouble(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        return {"troubles": await self._standin.set_trouble(str(given.get("name")), given.get("value"))}

    # ------------------------------------------------------------------ files of the page

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("path") or "index.html"
        path = (_PAGE / name).resolve()
        if not path.is_relative_to(_PAGE) or not await asyncio.to_thread(path.is_file):
            return web.Response(status=404, text="Not found")
        return web.FileResponse(path, headers=_NO_STORE)


def _cast(standin: FakeDiscord) -> list[Person]:
    """The named people; synthetic ones are not for the page."""
    world = standin.world
    return [world.ada, world.mo, world.nia, world.pat]


def _options(given: Obj) -> list[Obj]:
    options = given.get("options") or []
    if not isinstance(options, list):
        raise NotOffered("options must be a list.")
    return options


def _same_origin(request: web.Request) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or origin == f"{request.scheme}://{request.host}"


def _answer(body: Obj, status: int = 200) -> web.Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return web.Response(status=status, body=dumps(body), headers=headers)
