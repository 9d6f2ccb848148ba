"""`GET /health` for Docker, load balancers and monitors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from bot.errors import SettingsInvalid
from bot.settings import WebSettings

log = logging.getLogger(__name__)

#: Asks each part whether it works, e.g. `{"discord": True, "store": True}`.
Health = Callable[[], Awaitable[Mapping[str, bool]]]

#: A part that does not answer in this time is not healthy; Docker's own limit is longer.
ANSWER_WITHIN_S = 3.0


def make_app(health: Health) -> web.Application:
    """The application; answers 200 when every part works, else 503, with the parts by name."""

    async def get_health(_request: web.Request) -> web.Response:
        parts = await _ask(health)
        ready = bool(parts) and all(parts.values())
        body = {"status": "ready" if ready else "not ready", "parts": dict(parts)}
        return web.json_response(body, status=200 if ready else 503, headers={"Cache-Control": "no-store"})

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/health", get_health)
    return app


async def _ask(health: Health) -> Mapping[str, bool]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await health()
    except TimeoutError:
        log.warning("health check took too long", extra={"limit_s": ANSWER_WITHIN_S})
    except Exception:  # a broken part is an answer, too
        log.exception("health check failed")
    return {}


async def start(settings: WebSettings, health: Health) -> web.AppRunner:
    """Listen on the configured address; `cleanup()` of the returned runner stops it.

    Raises:
        SettingsInvalid: the address is taken or not ours.
    """
    runner = web.AppRunner(make_app(health), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port or 0).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsInvalid(
            f"The web server can't listen on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Choose another EASEL_WEB__PORT or stop what uses it."
        ) from error
    log.info("web server listens", extra={"address": str(runner.addresses[0])})
    return runner
