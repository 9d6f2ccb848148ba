"""Links that people type or attach."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_MOST_URL_CHARACTERS = 2048  # fal refuses longer ones


def is_attachment(url: str) -> bool:
    """Whether the URL is a Discord attachment: on Discord's hosts, or on loopback in the sandbox."""
    parts = urlsplit(url)
    return parts.hostname in {"cdn.discordapp.com", "media.discordapp.net", "127.0.0.1", "localhost", "::1"}


def usable_link(text: object, *, attachment: bool = False) -> str | None:
    """The text if it is a usable https URL, else None. Plain http is for attachments in the sandbox only."""
    if (
        not isinstance(text, str)
        or len(text) > _MOST_URL_CHARACTERS
        or re.search(r"[\s\x00-\x1f\x7f\"<>\\^`{|}]", text)
    ):
        return None
    try:
        text.encode()
        parts = urlsplit(text)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.password is not None:
        return None
    if parts.scheme == "http":
        return text if attachment and host in {"127.0.0.1", "localhost", "::1"} else None
    return text if parts.scheme == "https" and "." in host.strip(".") and not _numeric(host) else None


def _numeric(host: str) -> bool:
    """Whether the host is an IP address: public pictures are served under names, and some addresses are private."""
    return ":" in host or not re.search(r"[A-Za-z]", host.rpartition(".")[2] or host)
