"""What people do in Discord's client: run commands, press buttons, fill in forms, write, upload files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.discord import validate
from sandbox.discord.commands import Commands, NotOffered, add_person
from sandbox.discord.files import FileStore
from sandbox.discord.interactions import InteractionRecord, Interactions
from sandbox.discord.messages import Messages
from sandbox.discord.wire import ChannelType, Obj
from sandbox.discord.world import Channel, Message, Person, World


class UserActions:
    """Turns what a person does into the interaction or message that Discord would make of it."""

    def __init__(
        self,
        *,
        world: World,
        commands: Commands,
        interactions: Interactions,
        message_store: Messages,
        files: FileStore,
        clock: Callable[[], float],
    ) -> None:
        self.world = world
        self.commands = commands
        self.interactions = interactions
        self.message_store = message_store
        self.files = files
        self.clock = clock
        #: Everything people have picked, by id.
        self.uploads: dict[str, Obj] = {}

    # ------------------------------------------------------------------ who and where

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
        file = self.files.keep(self.person(person).id, filename, body, now_s=self.clock(), ephemeral=True)
        self.uploads[file.id] = file.object
        return file.object

    # ------------------------------------------------------------------ commands and components

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
        resolved = self.commands.resolved(options, self.uploads, channel)
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
        if message.ephemeral:
            raise NotOffered("Discord offers no commands on a message that only one person sees.")
        resolved["messages"] = {target_id: message.data}

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
            if len(set(chosen)) != len(chosen) or not (
                component["min_values"] <= len(chosen) <= component["max_values"]
            ):
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
        kind = component["type"]
        for one in chosen:
            if kind in {5, 7} and one in self.world.people:
                add_person(resolved, self.world.people[one], self.world, channel)
            elif kind in {6, 7} and one in self.world.roles:
                resolved.setdefault("roles", {})[one] = self.world.roles[one].object()
            elif kind == 8 and one in self.world.channels:
                resolved.setdefault("channels", {})[one] = self.world.channel_object(self.world.channels[one])
            else:
                raise NotOffered("That choice is not in the list.")
        data["resolved"] = resolved

    # ------------------------------------------------------------------ modals

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
            picked = value if value is not None else preset
            if not unchecked:
                _check_chosen(field, [] if picked is None else [str(picked)])
            return {"value": picked}
        if kind == validate.CHECKBOX:
            return {"value": bool(field.get("default")) if value is None else bool(value)}
        preset = [one["value"] for one in field.get("options") or () if one.get("default")]
        chosen = [
            str(one["id"] if isinstance(one, dict) else one)
            for one in ([value] if isinstance(value, str | dict) else preset if value is None else value)
        ]
        if not unchecked:
            _check_chosen(field, chosen)
        for one in chosen if kind == validate.UPLOAD else ():
            if one not in self.uploads:
                raise NotOffered("There is no such upload.")
            resolved.setdefault("attachments", {})[one] = self.uploads[one]
        return {"values": chosen}

    # ------------------------------------------------------------------ chat

    def say(self, person: Person | str, channel: Channel | str, content: str, uploads: Sequence[str] = ()) -> Message:
        """A plain chat message of a person."""
        who = self.person(person)
        where = self.channel(channel, who)
        now_s = self.clock()
        message = self.world.new_message(where, who, now_s=now_s)
        message.data["content"] = content
        message.data["attachments"] = [self.uploads[one] for one in uploads]
        message.data["mentions"] = [
            self.world.people[one].user() for one in re.findall(r"<@!?(\d+)>", content) if one in self.world.people
        ]
        self.message_store.messages[message.id] = message
        self.message_store.announce("create", message)
        return message


def _check_chosen(field: Obj, chosen: Sequence[str]) -> None:
    """What the client lets one choose in a field of a modal: listed choices, each once, not too few or too many."""
    name, options = field["custom_id"], field.get("options")
    if not chosen:
        if field.get("required", True):
            raise NotOffered(f"{name} is required.")
        return
    everything = len(options or ()) if field["type"] == validate.CHECKBOXES else 1
    least, most = field.get("min_values") or 0, field.get("max_values") or everything
    if not least <= len(chosen) <= most:
        raise NotOffered(f"{name} takes {least} to {most}.")
    if len(set(chosen)) != len(chosen):
        raise NotOffered(f"{name} takes each of its choices once.")
    if options is not None and set(chosen) - {one["value"] for one in options}:
        raise NotOffered(f"{name} has no such choice.")


def _check_length(field: Obj, text: str) -> None:
    """What Discord's client checks before it sends a text input."""
    required = field.get("required", True)
    least, most = field.get("min_length") or int(bool(required)), field.get("max_length") or 4000
    if (len(text.strip() and text) < least or validate.length(text) > most) and (text.strip() or required):
        raise NotOffered(f"{field['custom_id']} must be {least} to {most} characters long.")


def _sub_names(options: Sequence[Obj]) -> list[str]:
    for one in options:
        if one["type"] in {1, 2}:
            return [one["name"], *_sub_names(one.get("options") or ())]
    return []
