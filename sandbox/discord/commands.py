"""Registered commands: stored, offered to those who may use them, filled in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sandbox.discord import validate
from sandbox.discord.wire import DiscordError, Obj, Permission, dumps
from sandbox.discord.world import Channel, Person, World

SUB_COMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(1, 12)


#: The type of the command that opens an application's Activity.
ENTRY_POINT = 4


#: A person, role or channel mentioned within a text.
_MENTION = re.compile(r"<(@!?|@&|#)(\d+)>")


class NotOffered(Exception):
    """Discord's own client would not let this person do that; `str()` says why."""


#: How many commands of new names an application may make a day.
CREATES_A_DAY = 200


class Commands:
    """All commands of the application, global ones and those of the server."""

    def __init__(self, world: World, on_change: Callable[[], None]) -> None:
        self.world = world
        self._by_scope: dict[str | None, dict[str, Obj]] = {None: {}, world.guild_id: {}}
        self._on_change = on_change
        self.overwrites = 0
        self.creates_left = CREATES_A_DAY

    # ------------------------------------------------------------------ registration

    def listed(self, scope: str | None) -> list[Obj]:
        """All of one scope."""
        return list(self._by_scope[scope].values())

    def overwrite(self, scope: str | None, given: object) -> list[Obj]:
        """Replace all of one scope; ids of unchanged names stay."""
        validate.commands(given)
        old = {(one["name"], one["type"]): one for one in self._by_scope[scope].values()}
        self._check_entry_point(scope, _listed(given))
        self._count_creates(sum((one["name"], one.get("type") or 1) not in old for one in _listed(given)))
        fresh = [self._full(scope, one, old.get((one["name"], one.get("type") or 1))) for one in _listed(given)]
        self._by_scope[scope] = {one["id"]: one for one in fresh}
        self.overwrites += 1
        self._on_change()
        return fresh

    def add_entry_point(self, name: str = "launch") -> Obj:
        """What Discord makes for an application with an Activity, or its owner in the developer portal."""
        return self.upsert(None, {"name": name, "type": ENTRY_POINT, "handler": 2, "integration_types": [0, 1]})

    def _check_entry_point(self, scope: str | None, given: list[Obj]) -> None:
        kept = {one["name"] for one in given if one.get("type") == ENTRY_POINT}
        held = {one["name"] for one in self._by_scope[scope].values() if one["type"] == ENTRY_POINT}
        if held - kept:
            raise DiscordError(
                400,
                50240,
                "You cannot remove this app's Entry Point command in a bulk update operation. Please include the Entry "
                "Point command in your update request or delete it separately.",
            )

    def _count_creates(self, count: int) -> None:
        if count > self.creates_left:
            raise DiscordError(
                400, 30034, f"Max number of daily application command creates has been reached ({CREATES_A_DAY})"
            )
        self.creates_left -= count

    def upsert(self, scope: str | None, given: Obj) -> Obj:
        """Create one, or replace the one of that name."""
        validate.command(given)
        key = (given["name"], given.get("type") or 1)
        old = next((one for one in self._by_scope[scope].values() if (one["name"], one["type"]) == key), None)
        full = self._full(scope, given, old)
        self._by_scope[scope][full["id"]] = full
        self._on_change()
        return full

    def get(self, scope: str | None, number: str) -> Obj:
        """One by id.

        Raises:
            DiscordError: 10063.
        """
        found = self._by_scope[scope].get(number)
        if found is None:
            raise DiscordError(404, 10063, "Unknown application command")
        return found

    def edit(self, scope: str | None, number: str, given: Obj) -> Obj:
        """Change some fields of one."""
        old = self.get(scope, number)
        validate.command(given | {"type": old["type"]}, partial=True)
        full = self._full(scope, old | given, old)
        self._by_scope[scope][number] = full
        self._on_change()
        return full

    def delete(self, scope: str | None, number: str) -> None:
        """Remove one."""
        self.get(scope, number)
        del self._by_scope[scope][number]
        self._on_change()

    def _full(self, scope: str | None, given: Obj, old: Obj | None) -> Obj:
        permissions = given.get("default_member_permissions")
        full: Obj = {
            "id": old["id"] if old else self.world.snowflakes.next(),
            "application_id": self.world.application_id,
            "version": "0",
            "default_member_permissions": None if permissions is None else str(permissions),
            "type": given.get("type") or 1,
            "name": given["name"],
            "name_localizations": given.get("name_localizations"),
            "description": given.get("description") or "",
            "description_localizations": given.get("description_localizations"),
            "dm_permission": given.get("dm_permission", True) if scope is None else None,
            "contexts": given.get("contexts") if scope is None else None,
            "integration_types": given.get("integration_types") or [0],
            "nsfw": bool(given.get("nsfw")),
        }
        if given.get("handler"):
            full["handler"] = given["handler"]
        if given.get("options"):
            full["options"] = [_clean_option(one) for one in given["options"]]
        if scope is not None:
            full["guild_id"] = scope
        unchanged = old is not None and dumps(full | {"version": old["version"]}) == dumps(old)
        full["version"] = old["version"] if old is not None and unchanged else self.world.snowflakes.next()
        return full

    # ------------------------------------------------------------------ offering

    def all(self) -> Iterable[Obj]:
        """Global ones and the server's."""
        for commands in self._by_scope.values():
            yield from commands.values()

    def find(self, name: str, kind: int = 1) -> Obj:
        """By name.

        Raises:
            NotOffered: the bot registered no such command.
        """
        for command in self.all():
            if command["name"] == name and command["type"] == kind:
                return command
        raise NotOffered(f"/{name} is not registered; registered are {sorted(one['name'] for one in self.all())}")

    def by_id(self, number: str) -> Obj:
        """By id.

        Raises:
            NotOffered: no such command.
        """
        for commands in self._by_scope.values():
            if number in commands:
                return commands[number]
        raise NotOffered("That command is no longer registered.")

    def why_not(self, command: Obj, person: Person, channel: Channel) -> str | None:
        """Why Discord would not offer it to this person there; None when it would."""
        world = self.world
        if command.get("guild_id") not in {None, channel.guild_id}:
            return "The command belongs to another server."
        contexts = command.get("contexts")
        in_private = contexts is None and (
            channel.kind == "group" or (channel.kind == "dm" and not command["dm_permission"])
        )
        if (contexts is not None and channel.context not in contexts) or in_private:
            return "The command is not available in this kind of channel."
        types = command["integration_types"]
        installed = (0 in types and (world.bot_is_in(channel))) or (1 in types and person.id in world.user_installs)
        if not installed:
            return "The app is not installed here."
        if command["nsfw"] and channel.kind == "guild" and not channel.nsfw:
            return "The command is for age-restricted channels only."
        if channel.kind != "guild":
            return None
        can = world.permissions(person, channel)
        if not can & Permission.USE_APPLICATION_COMMANDS:
            return "You lack Use Application Commands here."
        if command["type"] == 1 and not can & Permission.SEND_MESSAGES:
            return "You may not write in this channel, and commands are written."  # the client's line is shut
        needed = command["default_member_permissions"]
        if needed is not None and 0 in types and world.bot_is_in(channel):
            bits = int(needed)
            if not can & Permission.ADMINISTRATOR and (bits == 0 or bits & ~can):
                return "You lack the permissions this command asks for."
        return None

    def offered(self, person: Person) -> list[Obj]:
        """The person's commands, each with `allowed` by channel."""
        channels = [one for one in self.world.channels.values() if self.world.person_can_see(person, one)]
        shown = []
        for command in self.all():
            allowed = {one.id: self.why_not(command, person, one) is None for one in channels}
            if any(allowed.values()):
                shown.append(command | {"allowed": allowed})
        return shown

    # ------------------------------------------------------------------ filling in

    def typed(
        self, command: Obj, path: Sequence[str], given: Mapping[str, object], *, focused: str | None = None
    ) -> list[Obj]:
        """Options as interactions carry them, from plain values by name.

        Raises:
            NotOffered: no such option or sub-command.
        """
        definitions: Sequence[Obj] = command.get("options") or ()
        wrappers: list[Obj] = []
        for step in path:
            found = next(
                (one for one in definitions if one["name"] == step and one["type"] in {SUB_COMMAND, GROUP}), None
            )
            if found is None:
                raise NotOffered(f"/{command['name']} has no sub-command {step}")
            wrappers.append({"type": found["type"], "name": step})
            definitions = found.get("options") or ()
        options: list[Obj] = []
        known = {one["name"]: one for one in definitions}
        for name, value in given.items():
            if value is None:
                continue
            if name not in known:
                raise NotOffered(f"/{command['name']} has no option {name}; it has {sorted(known)}")
            option: Obj = {"name": name, "type": known[name]["type"], "value": value}
            if name == focused:
                option["focused"] = True
            options.append(option)
        for wrapper in reversed(wrappers):
            options = [wrapper | {"options": options}]
        return options

    def check(self, definitions: Sequence[Obj], options: Sequence[Obj], *, complete: bool) -> None:
        """What Discord's client checks before it sends; `complete` is False for autocomplete.

        Raises:
            NotOffered: says which option and why.
        """
        known = {one["name"]: one for one in definitions}
        for option in options:
            definition = known.get(option.get("name", ""))
            if definition is None or definition["type"] != option.get("type"):
                raise NotOffered(f"There is no option {option.get('name')} of that type.")
            if definition["type"] in {SUB_COMMAND, GROUP}:
                self.check(definition.get("options") or (), option.get("options") or (), complete=complete)
            elif complete:
                _check_value(definition, option.get("value"))
        if complete:
            present = {one["name"] for one in options}
            for definition in definitions:
                if definition.get("required") and definition["name"] not in present:
                    raise NotOffered(f"{definition['name']} is required.")
            subs = [one["name"] for one in definitions if one["type"] in {SUB_COMMAND, GROUP}]
            if subs and not present & set(subs):
                raise NotOffered(f"Choose one of {', '.join(subs)}.")

    def resolved(self, options: Sequence[Obj], uploads: Mapping[str, Obj], channel: Channel) -> Obj:
        """`data.resolved` for what the options point to.

        Raises:
            NotOffered: an option points to nothing.
        """
        found: Obj = {}
        for option in _leaves(options):
            kind, value = option["type"], str(option.get("value"))
            if kind == ATTACHMENT:
                if value not in uploads:
                    raise NotOffered(f"{option['name']}: there is no such upload.")
                found.setdefault("attachments", {})[value] = uploads[value]
            elif kind in {USER, MENTIONABLE} and value in self.world.people:
                add_person(found, self.world.people[value], self.world, channel)
            elif kind in {ROLE, MENTIONABLE} and value in self.world.roles:
                found.setdefault("roles", {})[value] = self.world.roles[value].object()
            elif kind == CHANNEL and value in self.world.channels:
                target = self.world.channels[value]
                shown = self.world.channel_object(target) | {"permissions": str(self.world.bot_permissions(target))}
                found.setdefault("channels", {})[value] = shown
            elif kind in {USER, MENTIONABLE, ROLE, CHANNEL}:
                raise NotOffered(f"{option['name']} points to nothing.")
            elif kind == STRING:
                self._resolve_mentions(found, value, channel)
        return found

    def _resolve_mentions(self, found: Obj, typed: str, channel: Channel) -> None:
        """What is mentioned within a text, as far as it exists here."""
        for sign, one in _MENTION.findall(typed):
            if sign == "@&" and one in self.world.roles:
                found.setdefault("roles", {})[one] = self.world.roles[one].object()
            elif sign == "#" and one in self.world.channels:
                target = self.world.channels[one]
                permissions = {"permissions": str(self.world.bot_permissions(target))}
                found.setdefault("channels", {})[one] = self.world.channel_object(target) | permissions
            elif sign in {"@", "@!"} and one in self.world.people:
                add_person(found, self.world.people[one], self.world, channel)


def add_person(found: Obj, person: Person, world: World, channel: Channel) -> None:
    """Put a person into a `resolved` object."""
    found.setdefault("users", {})[person.id] = person.user()
    if channel.guild_id is not None and person.in_guild:
        member = person.member(with_user=False) | {"permissions": str(world.permissions(person, channel))}
        for hidden in ("deaf", "mute"):
            member.pop(hidden)
        found.setdefault("members", {})[person.id] = member


def _leaves(options: Sequence[Obj]) -> Iterable[Obj]:
    for option in options:
        if option["type"] in {SUB_COMMAND, GROUP}:
            yield from _leaves(option.get("options") or ())
        else:
            yield option


def _check_value(definition: Obj, value: Any) -> None:
    name, kind = definition["name"], definition["type"]
    choices = [one["value"] for one in definition.get("choices") or ()]
    if kind == STRING:
        _check_string(definition, value)
    elif kind == INTEGER and (isinstance(value, bool) or not isinstance(value, int)):
        raise NotOffered(f"{name} takes a whole number.")
    elif kind == NUMBER and (isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)):
        raise NotOffered(f"{name} takes a number.")
    elif kind == BOOLEAN and not isinstance(value, bool):
        raise NotOffered(f"{name} is yes or no.")
    if kind in {INTEGER, NUMBER}:
        low, high = definition.get("min_value"), definition.get("max_value")
        if (low is not None and value < low) or (high is not None and value > high):
            raise NotOffered(f"{name} must be from {low} to {high}.")
    if choices and value not in choices:
        raise NotOffered(f"{name} must be one of {', '.join(str(one) for one in choices)}.")


def _check_string(definition: Obj, value: Any) -> None:
    name = definition["name"]
    if not isinstance(value, str) or not value:
        raise NotOffered(f"{name} takes text.")
    low, high = definition.get("min_length") or 0, definition.get("max_length") or 6000
    if len(value) < low or validate.length(value) > high:
        raise NotOffered(f"{name} must be {low} to {high} characters long; it is {validate.length(value)}.")


def _listed(given: object) -> list[Obj]:
    return list(given) if isinstance(given, list) else []


def _clean_option(given: Obj) -> Obj:
    option = {key: value for key, value in given.items() if value is not None and value != [] and key != "options"}
    if given.get("options"):
        option["options"] = [_clean_option(one) for one in given["options"]]
    return option
