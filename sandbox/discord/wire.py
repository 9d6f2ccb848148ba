"""Discord's wire: JSON, snowflakes, timestamps, permission bits and message flags."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

#: One JSON object as Discord sends it; its shape is not typed.
Obj = dict[str, Any]

dumps: Callable[[object], bytes]
loads: Callable[[bytes | str], Any]
try:
    import orjson
except ImportError:  # orjson is a convenience: the fake server is only slower without it

    def _dumps(value: object) -> bytes:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()

    dumps = _dumps
    loads = json.loads
else:
    dumps = orjson.dumps
    loads = orjson.loads

_EPOCH_MS = 1_420_070_400_000


class Snowflakes:
    """Ids that grow with time and never repeat, like Discord's."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, now_s: float | None = None) -> str:
        """A fresh id for this moment (or for `now_s`, seconds since 1970)."""
        moment_ms = int((time.time() if now_s is None else now_s) * 1000)
        self._last = max(self._last + 1, (moment_ms - _EPOCH_MS) << 22)
        return str(self._last)


def timestamp(now_s: float | None = None) -> str:
    """ISO 8601 with microseconds and offset, as Discord writes it."""
    moment_s = time.time() if now_s is None else now_s
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="microseconds")


#: Of the bot's application and its user; it looks real and stays the same from start to start.
APPLICATION_ID = "1204104999880728576"


def sandbox_token() -> str:
    """A bot token of the right form that is good for nothing outside the sandbox."""
    head = base64.b64encode(APPLICATION_ID.encode()).decode().rstrip("=")
    return f"{head}.sandbx.only-the-sandbox-ever-takes-this-one"


class Flag:
    """Message flags."""

    SUPPRESS_EMBEDS = 1 << 2
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    COMPONENTS_V2 = 1 << 15


class Permission:
    """The permission bits the world uses."""

    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    MANAGE_ROLES = 1 << 28
    USE_APPLICATION_COMMANDS = 1 << 31
    SEND_MESSAGES_IN_THREADS = 1 << 38
    USE_EXTERNAL_APPS = 1 << 50

    ALL = (1 << 53) - 1


PERMISSION_NAMES: dict[int, str] = {
    Permission.ADMINISTRATOR: "Administrator",
    Permission.MANAGE_CHANNELS: "Manage Channels",
    Permission.MANAGE_GUILD: "Manage Server",
    Permission.VIEW_CHANNEL: "View Channel",
    Permission.SEND_MESSAGES: "Send Messages",
    Permission.MANAGE_MESSAGES: "Manage Messages",
    Permission.EMBED_LINKS: "Embed Links",
    Permission.ATTACH_FILES: "Attach Files",
    Permission.READ_MESSAGE_HISTORY: "Read Message History",
    Permission.MANAGE_ROLES: "Manage Roles",
    Permission.USE_APPLICATION_COMMANDS: "Use Application Commands",
    Permission.USE_EXTERNAL_APPS: "Use External Apps",
}


class ChannelType:
    """Interaction types."""

    PING = 1
    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL = 5


class Callback:
    """Interaction callback types."""

    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    CHOICES = 8
    MODAL = 9


class DiscordError(Exception):
    """An error answer of the REST API.

    Args:
        status: HTTP status.
        code: Discord's numeric code.
        message: Discord's own words.
        errors: the nested `errors` object of a 50035.
        body: further top-level fields (`retry_after`, `global`).
        headers: further response headers.
        provoked: whether somebody switched this trouble on (a planned failure, the word filter).
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        errors: Obj | None = None,
        body: Obj | None = None,
        headers: dict[str, str] | None = None,
        provoked: bool = False,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors
        self.provoked = provoked
        self.body = body or {}
        self.headers = headers or {}
        super().__init__(f"{status} {code}: {message}")

    def payload(self) -> Obj:
        """The JSON body."""
        answer: Obj = {"message": self.message, "code": self.code, **self.body}
        if self.errors:
            answer["errors"] = self.errors
        return answer


def unauthorized() -> DiscordError:
    """No or a wrong bot token."""
    return DiscordError(401, 0, "401: Unauthorized")


def unknown_channel() -> DiscordError:
    """10003."""
    return DiscordError(404, 10003, "Unknown Channel")


def unknown_message() -> DiscordError:
    """10008."""
    return DiscordError(404, 10008, "Unknown Message")


def unknown_webhook() -> DiscordError:
    """10015: also what a token without an answered interaction gets."""
    return DiscordError(404, 10015, "Unknown Webhook")


def unknown_interaction() -> DiscordError:
    """10062: too late, or never was."""
    return DiscordError(404, 10062, "Unknown interaction")


def already_acknowledged() -> DiscordError:
    """40060."""
    return DiscordError(400, 40060, "Interaction has already been acknowledged.")


def invalid_token() -> DiscordError:
    """50027: the fifteen minutes are over."""
    return DiscordError(401, 50027, "Invalid Webhook Token")


def missing_access() -> DiscordError:
    """50001: the channel cannot be seen."""
    return DiscordError(403, 50001, "Missing Access")


def missing_permissions() -> DiscordError:
    """50013: the channel can be seen, the act is not allowed."""
    return DiscordError(403, 50013, "Missing Permissions")


def too_large() -> DiscordError:
    """40005: a file or the request as a whole."""
    return DiscordError(413, 40005, "Request entity too large")
