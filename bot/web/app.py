"""`GET /health` for Docker, load balancers and monitors; `GET /metrics` for Prometheus; fal's callbacks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot import metrics
from bot.errors import SettingsInvalid
from bot.settings import WebSettings
from bot.web.callbacks import CallbackReceiver

log = logging.getLogger(__name__)
_http_log = logging.getLogger(f"{__name__}.http")


def _is_our_fault(record: logging.LogRecord) -> bool:
    """False for malformed HTTP: anybody can send it, it is answered 400 and worth no traceback."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_http_log.addFilter(_is_our_fault)

#: Asks each part whether it works, e.g. `{"discord": True, "store": True}`.
Health = Callable[[], Awaitable[Mapping[str, bool]]]

#: What does not work as it should though the bot does, by name, a sentence each.
Detail = Callable[[], Mapping[str, str]]


def _no_detail() -> Mapping[str, str]:
    return {}


#: A part that does not answer within this is unhealthy; Docker's own limit is longer.
ANSWER_WITHIN_S = 3.0
#: How long the rest of a refused request is read and discarded before the connection is closed.
LINGER_S = 1.0
#: An idle connection is closed after this.
KEEP_ALIVE_S = 30.0
#: How often it is checked that the server still listens.
WATCH_EVERY_S = 5.0
#: Requests under way at a stop get this long to finish.
FINISH_S = 1.0


def make_app(
    health: Health,
    *,
    detail: Detail = _no_detail,
    callbacks: CallbackReceiver | None = None,
    with_metrics: bool = False,
) -> web.Application:
    """The application. `/health` answers 200 when every part works, else 503, with the parts by name.

    Args:
        detail: what is told besides, and makes no part unhealthy: a restart would not mend it.
    """

    async def get_health(_request: web.Request) -> web.Response:
        parts = await _ask(health)
        ready = bool(parts) and all(parts.values())
        body: dict[str, object] = {"status": "ready" if ready else "not ready", "parts": dict(parts)}
        if told := detail():
            body["detail"] = dict(told)
        return web.json_response(body, status=200 if ready else 503, headers={"Cache-Control": "no-store"})

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/health", get_health)
    if with_metrics:
        app.router.add_get("/metrics", _get_metrics)
    if callbacks is not None:
        callbacks.add_to(app)
    return app


async def _get_metrics(_request: web.Request) -> web.Response:
    headers = {"Content-Type": metrics.CONTENT_TYPE, "Cache-Control": "no-store"}
    return web.Response(body=metrics.exposition(), headers=headers)


async def _ask(health: Health) -> Mapping[str, bool]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await health()
    except TimeoutError:
        log.warning("health check took too long", extra={"limit_s": ANSWER_WITHIN_S})
    except Exception:  # reported as unhealthy
        log.exception("health check failed")
    return {}


async def until_broken(runner: web.AppRunner, *, every_s: float = WATCH_EVERY_S) -> None:
    """Raise RuntimeError when the server does not listen any more, whatever closed its socket."""
    while True:
        await asyncio.sleep(every_s)
        if not runner.addresses:
            raise RuntimeError("the web server listens no more")


async def start(
    settings: WebSettings,
    health: Health,
    *,
    detail: Detail = _no_detail,
    callbacks: CallbackReceiver | None = None,
) -> web.AppRunner:
    """Listen on the configured address; `cleanup()` of the returned runner stops it.

    Args:
        detail: see `make_app`.
        callbacks: receives fal's callbacks below `/fal/`; closed with the server.

    Raises:
        SettingsInvalid: the address is taken or not ours.
    """
    runner = web.AppRunner(
        make_app(health, detail=detail, callbacks=callbacks, with_metrics=settings.metrics),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=FINISH_S,
        keepalive_timeout=KEEP_ALIVE_S,
        lingering_time=LINGER_S,
        logger=_http_log,
        auto_decompress=False,  # a signature is over the bytes as sent, and nothing here is worth compressing
    )
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
