"""Who may speak to the sandbox's servers: its own page and the bot, not whatever other site a browser is on.

A page anywhere in the web can make its reader's browser ask 127.0.0.1, directly or, by DNS rebinding, under a name of
its own. So every request has to name this server (Host) and to come from nowhere or from our own page (Origin,
Sec-Fetch-Site). What only a browser uses needs a token besides, new at each start: the address that is printed carries
it, then a cookie does.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OTHER_HOST = "This is not the sandbox's own address. `--host-name` adds names under which it may be reached."
_OTHER_ORIGIN = "Only the sandbox's own page may ask."
_NO_TOKEN = (
    "Open the address that the sandbox printed when it started: it holds a token, and each start makes a new one."
)


class AccessControl:
    """Refuses requests that are neither the bot's nor the page's.

    Args:
        host_names: names beside those of loopback under which the server may be reached, each with a port or at any.
        open_to_bot: beginnings of the paths that the bot asks for; there no token of the page is due, and any port will
            do, because a proxy may stand between.
    """

    def __init__(self, host_names: Iterable[str] = (), *, open_to_bot: tuple[str, ...] = ("/",)) -> None:
        self.token = secrets.token_urlsafe(24)
        self.port: int | None = None
        self._names = frozenset(name.lower().rstrip(".") for name in host_names)
        self._open_to_bot = open_to_bot

    def install(self, app: web.Application) -> None:
        """Guard every route of an application, WebSockets included."""
        app.middlewares.append(self._middleware)
        app.on_response_prepare.append(_add_headers)

    @property
    def cookie(self) -> str:
        """The name of the cookie; browsers tell ports apart by nothing else."""
        return f"easel_sandbox_{self.port}"

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        for_bot = request.path.startswith(self._open_to_bot)
        refusal = self._refusal(request, for_bot=for_bot)
        if refusal is not None:
            return web.json_response({"error": refusal, "message": refusal}, status=403)
        if for_bot:
            return await handler(request)
        given = request.query.get("token") if request.path == "/" else None
        if not self._is_token(given) and not self._is_token(request.cookies.get(self.cookie)):
            return web.json_response({"error": _NO_TOKEN, "message": _NO_TOKEN}, status=403)
        response = await handler(request)
        if self._is_token(given):
            response.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict", path="/")
        return response

    def _refusal(self, request: web.Request, *, for_bot: bool) -> str | None:
        # A request line may name a host, too, and then that one counts.
        named = [urlsplit(request.raw_path).netloc] if "://" in request.raw_path.partition("?")[0] else []
        if not all(self._is_ours(host, any_port=for_bot) for host in [request.headers.get("Host", ""), *named]):
            return _OTHER_HOST
        origins = request.headers.getall("Origin", [])
        if not all(self._is_our_origin(origin) for origin in origins):
            return _OTHER_ORIGIN
        from_elsewhere = request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
        # A link to the page may stand anywhere: only who has the token gets further by it.
        opened = request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
        return _OTHER_ORIGIN if from_elsewhere and not (opened and not for_bot) else None

    def _is_our_origin(self, origin: str) -> bool:
        scheme, separator, host = origin.partition("://")
        return separator != "" and scheme in ("http", "https") and self._is_ours(host, any_port=False)

    def _is_ours(self, host: str, *, any_port: bool) -> bool:
        """Whether a Host header, or the host of an origin, names this server."""
        if re.fullmatch(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?", host) is None:
            return False
        parts = urlsplit(f"//{host}")
        name = (parts.hostname or "").rstrip(".")
        if name in self._names or host.lower() in self._names:
            return True
        return name in _LOOPBACK and (any_port or (parts.port or 80) == self.port)

    def _is_token(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(errors="surrogateescape"), self.token.encode())


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def address(scheme: str, host: str, port: int) -> str:
    """`http://127.0.0.1:8765`, `http://[::1]:8765`."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
