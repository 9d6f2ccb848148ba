"""`python -m bot check --health`: ask a running bot's /health.

Docker does so every half minute, so this imports next to nothing.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.errors import SettingsInvalid
from bot.redaction import strictly

if TYPE_CHECKING:
    from bot.settings import WebSettings

TIMEOUT_S = 5


def url_of(web: WebSettings) -> str:
    """Where the bot with these settings answers.

    Raises:
        SettingsInvalid: the web server is off.
    """
    if web.port is None:
        raise SettingsInvalid("The web server is off, so there is no /health. Set EASEL_WEB__PORT, e.g. to 8080.")
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    host = anywhere.get(web.host, web.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{web.port}/health"


def ask(url: str, write: Callable[[str], None]) -> int:
    """Print what the bot answers; 0 when it is ready, else 1.

    Raises:
        SettingsInvalid: no URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsInvalid(f"{strictly(url)} is no URL; write for example http://127.0.0.1:8080/health.")
    connection_type = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connection_type(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/health")
        answer = connection.getresponse()
        write(answer.read(4096).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        write(strictly(f"no answer from {url}: {error}"))
        return 1
    finally:
        connection.close()
    return 0 if answer.status == http.HTTPStatus.OK else 1
