"""From a request's payload to a message: validation, attachments, components, mentions."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from sandbox.discord import validate
from sandbox.discord.files import FileStore, Upload, clean_name
from sandbox.discord.wire import DiscordError, Flag, Obj, timestamp
from sandbox.discord.world import Channel, Message, StoredFile, World, walk

#: Fields of a message and its components that people read.
_READ = frozenset({"content", "title", "name", "value", "text", "label", "placeholder", "description"})
_SETTABLE = Flag.SUPPRESS_EMBEDS | Flag.SUPPRESS_NOTIFICATIONS | Flag.COMPONENTS_V2
_USER_MENTION = re.compile(r"<@!?(\d+)>")
_ROLE_MENTION = re.compile(r"<@&(\d+)>")
_ATTACHMENT = "attachment://"


class Composer:
    """Fills and changes messages the way Discord does."""

    def __init__(self, world: World, files: FileStore, blocked_words: Collection[str] = ()) -> None:
        self.world = world
        self.files = files
        #: Words that the server's AutoMod refuses, in any case, anywhere in a message of its channels.
        self._blocked_words = blocked_words
        #: The largest file in bytes, where it is to be another than what the server's boosts give.
        self.file_limit_bytes: int | None = None
        #: Called with files of a Components V2 message that no component shows, so that nobody sees them.
        self.on_unseen: list[Callable[[Message, list[str]], None]] = []

    def check(
        self,
        payload: Obj,
        uploads: Sequence[Upload],
        *,
        channel: Channel,
        at: validate.Path = (),
        old: Message | None = None,
    ) -> None:
        """Refuse what Discord refuses; changes nothing.

        Raises:
            DiscordError: 50035, 50006, 40005, or 200000 by the server's word filter.
        """
        named = _named(payload, uploads)
        kept = self._kept(payload, uploads, old, at)
        validate.message(
            payload,
            validate.Files(
                [(name, len(upload.body)) for upload, name, _ in named],
                [file.filename for file in kept],
                self.limit_bytes(channel),
            ),
            at=at,
            old=None if old is None else old.data,
        )
        if channel.guild_id is not None and self._blocked_words:
            said = "\n".join(_texts(payload)).casefold()
            if any(word.casefold() in said for word in self._blocked_words):
                raise DiscordError(400, 200000, "Message was blocked by automatic moderation", provoked=True)

    def limit_bytes(self, channel: Channel) -> int:
        """The largest file that may be posted there."""
        return self.file_limit_bytes or self.world.file_limit_bytes(channel)

    def fill(self, message: Message, payload: Obj, uploads: Sequence[Upload], *, now_s: float) -> None:
        """Put a checked payload into a new (or still loading) message."""
        self._apply(message, payload, uploads, self._kept(payload, uploads, message, ()), now_s)

    def edit(self, message: Message, payload: Obj, uploads: Sequence[Upload], *, now_s: float) -> None:
        """Apply a checked payload to an existing message; absent fields stay."""
        self._apply(message, payload, uploads, self._kept(payload, uploads, message, ()), now_s)
        message.data["edited_timestamp"] = timestamp(now_s)

    def _apply(
        self, message: Message, payload: Obj, uploads: Sequence[Upload], kept: list[StoredFile], now_s: float
    ) -> None:
        data = message.data
        for gone in message.files:
            if gone not in kept:
                self.files.forget(gone)
        new = [
            self.files.keep(
                message.channel.id,
                name,
                upload.body,
                now_s=now_s,
                description=description,
                ephemeral=message.visible_to is not None,
            )
            for upload, name, description in _named(payload, uploads)
        ]
        message.files = kept + new
        data["flags"] |= int(payload.get("flags") or 0) & _SETTABLE
        if "content" in payload:
            data["content"] = (payload["content"] or "").strip()
        if "embeds" in payload:
            data["embeds"] = [self._embed(one, message.files) for one in payload["embeds"] or ()]
        if "components" in payload:
            data["components"] = render_components(payload["components"] or [], message.files)
        if payload.get("tts"):
            data["tts"] = True
        used = _referenced(data)
        # Discord lists only what no embed and no component shows.
        data["attachments"] = [file.object for file in message.files if file.id not in used]
        if data["flags"] & Flag.COMPONENTS_V2 and data["attachments"]:
            for listener in self.on_unseen:
                listener(message, [one["filename"] for one in data["attachments"]])
        self._mentions(data, payload, quiet=message.visible_to is not None)

    def _kept(
        self, payload: Obj, uploads: Sequence[Upload], old: Message | None, at: validate.Path
    ) -> list[StoredFile]:
        """The attachments an edit keeps: those listed, or all when there is no list."""
        existing = {file.id: file for file in old.files} if old is not None else {}
        listed = payload.get("attachments")
        if not isinstance(listed, list):
            return [] if "attachments" in payload else list(existing.values())
        indices = {str(upload.index) for upload in uploads}
        kept: list[StoredFile] = []
        problems = validate.Problems()
        for position, entry in enumerate(listed):
            number = str(entry.get("id")) if isinstance(entry, dict) else ""
            if number in existing:
                kept.append(existing[number])
            elif number not in indices:
                problems.add((*at, "attachments", position), "ATTACHMENT_NOT_FOUND", "Attachment data not found")
        problems.raise_if_any()
        return kept

    def _embed(self, embed: Obj, files: Sequence[StoredFile]) -> Obj:
        shown = {"type": "rich"} | {key: value for key, value in embed.items() if value is not None}
        for key in ("image", "thumbnail"):
            if isinstance(shown.get(key), dict) and shown[key].get("url"):
                shown[key] = _media(shown[key], files)
        return shown

    def _mentions(self, data: Obj, payload: Obj, *, quiet: bool) -> None:
        texts = [data["content"]] + [one["content"] for one in walk(data["components"]) if one["type"] == 10]
        text = "\n".join(texts)
        if quiet or ("@" not in text):
            data["mentions"], data["mention_roles"], data["mention_everyone"] = [], [], False
            return
        allowed = payload.get("allowed_mentions")
        parse = ["users", "roles", "everyone"] if allowed is None else list(allowed.get("parse") or ())
        users = None if "users" in parse else {str(one) for one in (allowed or {}).get("users") or ()}
        roles = None if "roles" in parse else {str(one) for one in (allowed or {}).get("roles") or ()}
        data["mentions"] = [
            self.world.people[one].user()
            for one in dict.fromkeys(_USER_MENTION.findall(text))
            if one in self.world.people and (users is None or one in users)
        ]
        data["mention_roles"] = [
            one for one in dict.fromkeys(_ROLE_MENTION.findall(text)) if roles is None or one in roles
        ]
        data["mention_everyone"] = "everyone" in parse and ("@everyone" in text or "@here" in text)


def _named(payload: Obj, uploads: Sequence[Upload]) -> list[tuple[Upload, str, str | None]]:
    """Each upload with its kept name and its alt text."""
    listed = payload.get("attachments")
    described = {str(one.get("id")): one for one in listed if isinstance(one, dict)} if isinstance(listed, list) else {}
    named = []
    for upload in sorted(uploads, key=lambda one: one.index):
        entry = described.get(str(upload.index), {})
        filename = clean_name(str(entry.get("filename") or upload.filename))
        if entry.get("is_spoiler") and not filename.startswith("SPOILER_"):
            filename = f"SPOILER_{filename}"
        named.append((upload, filename, entry.get("description")))
    return named


def _referenced(data: Obj) -> set[str]:
    """Ids of the attachments that embeds and components show."""
    media = [one.get(key) for one in walk(data["components"]) for key in ("media", "file")]
    media += [item["media"] for one in walk(data["components"]) for item in one.get("items") or ()]
    media += [embed.get(key) for embed in data["embeds"] for key in ("image", "thumbnail")]
    return {str(one["attachment_id"]) for one in media if one and "attachment_id" in one}


def _media(given: Obj, files: Sequence[StoredFile]) -> Obj:
    url = str(given["url"])
    name = url.removeprefix(_ATTACHMENT)
    # The newest wins when a kept and a new file share a name.
    file = next((one for one in reversed(files) if one.filename == name), None)
    if file is None:
        return {
            "id": "0",
            "url": url,
            "proxy_url": url,
            "width": None,
            "height": None,
            "content_type": None,
            "loading_state": 2,
            "flags": 0,
        }
    return {
        "id": file.id,
        "url": file.object["url"],
        "proxy_url": file.object["proxy_url"],
        "width": file.object.get("width"),
        "height": file.object.get("height"),
        "content_type": file.object["content_type"],
        "attachment_id": file.id,
        "loading_state": 2,
        "flags": 0,
    }


def render_components(components: Sequence[Obj], files: Sequence[StoredFile] = ()) -> list[Obj]:
    """Components as the API gives them back: numbered, with defaults and with unfurled media."""
    taken = {int(one["id"]) for one in walk(components) if one.get("id")}
    counter = _Counter(taken)
    return [_component(one, files, counter) for one in components]


class _Counter:
    def __init__(self, taken: set[int]) -> None:
        self._taken = taken
        self._last = 0

    def next(self) -> int:
        self._last += 1
        while self._last in self._taken:
            self._last += 1
        return self._last


_DEFAULTS: dict[int, dict[str, Any]] = {
    11: {"description": None, "spoiler": False},
    13: {"spoiler": False},
    14: {"spacing": 1, "divider": True},
    17: {"accent_color": None, "spoiler": False},
}


def _component(given: Obj, files: Sequence[StoredFile], counter: _Counter) -> Obj:
    kind = int(given["type"])
    shown: Obj = {"type": kind, "id": int(given.get("id") or 0) or counter.next(), **_DEFAULTS.get(kind, {})}
    shown |= {key: value for key, value in given.items() if value is not None and key not in {"type", "id"}}
    if kind in validate.SELECTS:
        shown.setdefault("min_values", 1)
        shown.setdefault("max_values", 1)
    if "components" in shown:
        shown["components"] = [_component(one, files, counter) for one in given["components"]]
    if isinstance(shown.get("accessory"), dict):
        shown["accessory"] = _component(given["accessory"], files, counter)
    if isinstance(shown.get("component"), dict):
        shown["component"] = _component(given["component"], files, counter)
    if isinstance(shown.get("media"), dict):
        shown["media"] = _media(given["media"], files)
    if kind == validate.GALLERY:
        shown["items"] = [_gallery_item(one, files) for one in given["items"]]
    if kind == validate.FILE:
        _file(shown, given, files)
    return shown


def _gallery_item(given: Obj, files: Sequence[StoredFile]) -> Obj:
    return {
        "media": _media(given["media"], files),
        "description": given.get("description"),
        "spoiler": bool(given.get("spoiler")),
    }


def _file(shown: Obj, given: Obj, files: Sequence[StoredFile]) -> None:
    shown["file"] = _media(given["file"], files)
    name = str(given["file"]["url"]).removeprefix(_ATTACHMENT)
    shown["name"] = name
    shown["size"] = next(one.size_bytes for one in reversed(files) if one.filename == name)


__all__ = ["Composer", "DiscordError", "render_components"]


def _texts(part: object, field: str = "") -> Iterator[str]:
    """Everything that people would read of a payload."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _texts(value, key)
    elif isinstance(part, list):
        for one in part:
            yield from _texts(one, field)
    elif isinstance(part, str) and field in _READ:
        yield part
