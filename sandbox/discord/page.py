"""The API of the browser page: the world as one person sees it, and what they do in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox.discord import validate
from sandbox.discord.commands import NotOffered
from sandbox.discord.devtools import DevTools
from sandbox.discord.files import read_json
from sandbox.discord.interactions import InteractionRecord
from sandbox.discord.page_feed import PageFeed
from sandbox.discord.user_actions import UserActions
from sandbox.discord.wire import PERMISSION_NAMES, ChannelType, DiscordError, Obj, Permission, dumps
from sandbox.discord.world import Channel, Message, Person, World

_PAGE = Path(__file__).resolve().parent.parent / "page"
_SHOWN_MESSAGES = 100
_NO_STORE = {"Cache-Control": "no-cache"}


class ChatPage:
    """Routes under /sandbox/api and the page's own files.

    Args:
        world: what is shown.
        actions: what the person at the page can do in it.
        devtools: switches and actions of the page's devtools.
        feed: events for open pages.
        bot_online: whether the bot is connected to the gateway, now.
    """

    def __init__(
        self,
        *,
        world: World,
        actions: UserActions,
        devtools: DevTools,
        feed: PageFeed,
        bot_online: Callable[[], bool],
    ) -> None:
        self._world = world
        self._actions = actions
        self._devtools = devtools
        self._feed = feed
        self._bot_online = bot_online

    def add_routes(self, app: web.Application) -> None:
        """Everything the page calls."""
        app.router.add_get("/sandbox/api/world", self._guard(self._shown_world))
        app.router.add_get("/sandbox/api/events", self._events)
        app.router.add_post("/sandbox/api/interact", self._guard(self._interact))
        app.router.add_post("/sandbox/api/upload", self._guard(self._upload))
        app.router.add_post("/sandbox/api/message", self._guard(self._say))
        app.router.add_post("/sandbox/api/dismiss", self._guard(self._dismiss))
        app.router.add_post("/sandbox/api/delete", self._guard(self._delete))
        app.router.add_post("/sandbox/api/fault", self._guard(self._set_fault))
        app.router.add_get("/", self._file)
        app.router.add_get("/{path:.+}", self._file)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        try:
            person = self._actions.person(request.query.get("person", ""))
        except LookupError as error:
            return _answer({"error": str(error)}, status=404)
        return await self._feed.stream(person, request)

    # ------------------------------------------------------------------ asking

    def _guard(
        self, handler: Callable[[web.Request], Awaitable[Obj]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Errors as `{error}` with a sentence."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return _answer(await handler(request))
            except (NotOffered, ValueError) as error:
                return _answer({"error": str(error)}, status=400)
            except LookupError as error:
                return _answer({"error": str(error.args[0]) if error.args else "unknown"}, status=404)
            except DiscordError as error:
                return _answer({"error": error.message}, status=error.status)

        return handle

    async def _shown_world(self, request: web.Request) -> Obj:
        world = self._world
        person = self._actions.person(request.query.get("person") or world.ada.id)
        channels = [one for one in world.channels.values() if world.person_can_see(person, one)]
        since = request.query.get("since", "")
        if since and not since.isdigit():
            raise NotOffered("since must be what an earlier answer said.")
        return {
            "person": person.id,
            "since": since or world.snowflakes.next(),
            "people": [self._shown_person(one) for one in _cast(world)],
            "channels": [self._shown_channel(one, person) for one in channels],
            "guild": {
                "id": world.guild_id,
                "name": world.guild_name,
                "roles": [{"id": one.id, "name": one.name} for one in world.roles.values() if one.id != world.guild_id],
            },
            "bot": {"id": world.bot.id, "name": world.bot.name, "online": self._bot_online()},
            "commands": self._actions.commands.offered(person),
            "messages": {one.id: self._shown_messages(one, person, int(since or 0)) for one in channels},
            "faults": self._devtools.describe(),
            "can_delete": True,
        }

    def _shown_person(self, person: Person) -> Obj:
        world = self._world
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
        world = self._world
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
            "file_limit_bytes": world.file_limit_bytes(channel),
        }

    def _shown_messages(self, channel: Channel, person: Person, since: int) -> list[Obj]:
        """The newest; of those that only this person sees, what came while the page has been open.

        Discord's client forgets them when it is loaded again. `since` is 0 then.
        """
        newest = list(channel.messages.values())[-_SHOWN_MESSAGES * 3 :]
        seen = [one for one in newest if one.visible_to is None or (since and _is_kept(one, person, since))]
        return [one.data for one in seen[-_SHOWN_MESSAGES:]]

    # ------------------------------------------------------------------ doing

    async def _interact(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._actions.person(str(given.get("person", "")))
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
        channel = self._world.channels.get(channel_id)
        if channel is None or not self._world.person_can_see(person, channel):
            raise LookupError("There is no such channel for this person.")
        return channel

    async def _command(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        command = self._actions.commands.by_id(str(given.get("command_id")))
        return self._actions.run(person, channel, command, _options(given))

    async def _autocomplete(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        command = self._actions.commands.by_id(str(given.get("command_id")))
        return self._actions.run(person, channel, command, _options(given), kind=ChannelType.AUTOCOMPLETE)

    async def _context_menu(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        command = self._actions.commands.by_id(str(given.get("command_id")))
        return self._actions.run(person, channel, command, (), target_id=str(given.get("target_id")))

    async def _component(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        message = self._message(person, channel, given)
        custom_id = given.get("custom_id")
        component = next((one for one in message.components() if one.get("custom_id") == custom_id), None)
        if component is None:
            raise NotOffered("That component is no longer there.")
        return self._actions.use_component(person, message, component, given.get("values"))

    def _message(self, person: Person, channel: Channel, given: Obj) -> Message:
        message = channel.messages.get(str(given.get("message_id")))
        if message is None or message.visible_to not in {None, person.id}:
            raise NotOffered("That message is gone.")
        return message

    async def _modal(self, person: Person, channel: Channel, given: Obj) -> InteractionRecord:
        opener = self._actions.interactions.by_id.get(str(given.get("modal_interaction_id")))
        if opener is None or opener.person.id != person.id or opener.modal is None:
            raise NotOffered("That form is no longer open.")
        values: dict[str, Any] = {}
        for one in given.get("components") or ():
            if one.get("custom_id"):
                values[str(one["custom_id"])] = one["values"] if "values" in one else one.get("value")
        return await self._actions.submit_modal(opener, values)

    async def _upload(self, request: web.Request) -> Obj:
        person = self._actions.person(request.query.get("person", ""))
        form = await request.post()
        field = form.get("file")
        if not isinstance(field, web.FileField):
            raise NotOffered("Send the file as the multipart field `file`.")
        body = field.file.read()
        channel = self._visible(person, request.query.get("channel", ""))
        if len(body) > self._world.file_limit_bytes(channel):
            raise DiscordError(413, 40005, "The file is too large for this server.")
        return self._actions.upload(person, field.filename, body)

    async def _say(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._actions.person(str(given.get("person", "")))
        channel = self._visible(person, str(given.get("channel_id", "")))
        content = str(given.get("content") or "")
        uploads = [str(one) for one in given.get("uploads") or ()]
        if validate.length(content) > validate.MAX_CONTENT:
            raise NotOffered(f"A message has at most {validate.MAX_CONTENT} characters.")
        if len(uploads) > validate.MAX_FILES:
            raise NotOffered(f"A message has at most {validate.MAX_FILES} files.")
        if not content.strip() and not uploads:
            raise NotOffered("An empty message cannot be sent.")
        if not self._world.may_send(person, channel):
            raise NotOffered("You may not write in this channel.")
        if set(uploads) - set(self._actions.uploads):
            raise NotOffered("There is no such upload.")
        return {"message": self._actions.say(person, channel, content, uploads).data}

    async def _dismiss(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._actions.person(str(given.get("person", "")))
        channel = self._visible(person, str(given.get("channel_id", "")))
        message = self._message(person, channel, given)
        if message.visible_to != person.id:
            raise NotOffered("Only a message that nobody else sees can be dismissed.")
        message.dismissed = True
        self._feed.push("message_delete", {"channel_id": channel.id, "message_id": message.id}, person.id)
        return {}

    async def _delete(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        person = self._actions.person(str(given.get("person", "")))
        channel = self._visible(person, str(given.get("channel_id", "")))
        message = self._message(person, channel, given)
        if message.ephemeral:
            raise NotOffered("A message that only you see is dismissed, not deleted.")
        if not self._world.may_delete(person, message):
            raise NotOffered("You may delete your own messages only; others' take Manage Messages.")
        self._actions.message_store.delete(message)
        return {}

    async def _set_fault(self, request: web.Request) -> Obj:
        given = read_json(await request.read())
        return {"faults": await self._devtools.set(str(given.get("name")), given.get("value"))}

    # ------------------------------------------------------------------ files of the page

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("path") or "index.html"
        path = (_PAGE / name).resolve()
        if not path.is_relative_to(_PAGE) or not await asyncio.to_thread(path.is_file):
            return web.Response(status=404, text="Not found")
        return web.FileResponse(path, headers=_NO_STORE)


def _cast(world: World) -> list[Person]:
    """The named people; synthetic ones are not for the page."""
    return [world.ada, world.mo, world.nia, world.pat]


def _is_kept(message: Message, person: Person, since: int) -> bool:
    return message.visible_to == person.id and not message.dismissed and int(message.id) > since


def _options(given: Obj) -> list[Obj]:
    options = given.get("options") or []
    if not isinstance(options, list):
        raise NotOffered("options must be a list.")
    return options


def _answer(body: Obj, status: int = 200) -> web.Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return web.Response(status=status, body=dumps(body), headers=headers)
