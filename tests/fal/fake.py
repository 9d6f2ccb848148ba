"""A scripted fal on loopback: says what a test enqueued and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from aiohttp import web
from multidict import CIMultiDict

from bot.catalogue.model import Model, Output, Price, Retired
from bot.domain.job import FalRequest
from bot.fal import Fal, Timings

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: The same manners without the waiting. Timeouts stay long: only tests of timeouts shorten them.
FAST = replace(
    Timings(),
    margin_s=0.01,
    first_poll_s=0.05,
    poll_min_s=0.01,
    poll_max_s=0.05,
    poll_queued_max_s=0.05,
    polls_per_s=10_000,
    breaker_min_s=0.01,
    breaker_max_s=0.05,
    streams_per_s=10_000,
    retry_s=0.005,
    retry_max_s=0.02,
    callback_grace_s=0.01,
    list_pause_s=0.0,
)

KEY = "made-up-key"


def model(**changes: Any) -> Model:
    """A model without options; tests change what they need."""
    plain = Model(
        endpoint="owner/alias",
        key="alias",
        title="Alias One",
        summary="tests",
        typical_s=1,
        options=(),
        output=Output("image"),
        price=Price(None, "image", "none"),
        size_option=None,
    )
    return replace(plain, **changes)


RETIRED = model(retired=Retired("gone", successor="owner/newer"))


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it."""

    kind: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: CIMultiDict[str]
    body: bytes


# ---------------------------------------------------------------------- replies


def json_reply(body: object, status: int = 200, **headers: str) -> Reply:
    """JSON."""

    async def reply(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(
            body=json.dumps(body).encode(), status=status, headers=named, content_type="application/json"
        )

    return reply


def sends(body: bytes, status: int = 200, content_type: str = "application/octet-stream", **headers: str) -> Reply:
    """Bytes."""

    async def reply(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, content_type=content_type, headers=named)

    return reply


HTML = b"<html><body>502 Bad Gateway<hr>nginx</body></html>"


def html(status: int, body: bytes = HTML, **headers: str) -> Reply:
    """The page of a gateway."""
    return sends(body, status, "text/html", **headers)


async def drops(request: web.Request) -> web.StreamResponse:
    """Takes the request and closes the connection without a word."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hangs(request: web.Request) -> web.StreamResponse:
    """Takes the request and never answers."""
    await request.read()
    await asyncio.Event().wait()
    return web.Response()


def tears(body: bytes, announced: int, status: int = 200, content_type: str = "application/json") -> Reply:
    """Announces more than it sends, then closes."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            status=status, headers={"Content-Length": str(announced), "Content-Type": content_type}
        )
        await response.prepare(request)
        await response.write(body)
        assert request.transport is not None
        request.transport.close()
        return response

    return reply


def event(body: object, newline: str = "\n") -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(body)}{newline}{newline}".encode()


def streams(*chunks: bytes, then: Reply | None = None, **headers: str) -> Reply:
    """An event stream in exactly these chunks, then its end (or `then`)."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", **headers})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        if then is not None:
            await then(request)
        return response

    return reply


QUEUED = {"status": "IN_QUEUE", "queue_position": 2}
WORKING = {"status": "IN_PROGRESS", "logs": []}
COMPLETED = {"status": "COMPLETED", "logs": [], "metrics": {}}


def line(message: str, at: str | None = None) -> dict[str, str]:
    """One log entry."""
    return {"message": message} | ({"timestamp": at} if at else {})


# ---------------------------------------------------------------------- the server


class FakeFal:
    """Queue, storage and media under one origin. Scripts run out into the standing reply of their kind."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self.most_at_once: Counter[str] = Counter()
        self._at_once: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._scripts: dict[str, deque[Reply]] = {}
        self._standing: dict[str, Reply] = {
            "submit": self._accept,
            "stream": streams(event(COMPLETED)),
            "status": json_reply(COMPLETED),
            "cancel": json_reply({"status": "CANCELLATION_REQUESTED"}, 202),
            "token": self._token,
            "upload": self._stored,
            "media": sends(b"picture", content_type="image/png"),
            "result": self._result,
            "list": json_reply({"items": [], "next_cursor": None, "has_more": False}),
        }
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=200 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def enqueue(self, kind: str, *replies: Reply) -> Self:
        """The next replies of this kind, in order."""
        self._scripts.setdefault(kind, deque()).extend(replies)
        return self

    def always(self, kind: str, reply: Reply) -> Self:
        """The reply once the script has run out."""
        self._standing[kind] = reply
        return self

    def calls(self, *kinds: str) -> int:
        """How many requests came (of these kinds)."""
        return sum(not kinds or one.kind in kinds for one in self.seen)

    async def received(self, count: int) -> None:
        """Wait until that many requests have come."""
        async with asyncio.timeout(20):
            while len(self.seen) < count:
                self._news.clear()
                await self._news.wait()

    def kinds(self) -> list[str]:
        """What was asked, in order."""
        return [one.kind for one in self.seen]

    def request(self, number: int = 1) -> FalRequest:
        """A request this server would know."""
        base = f"{self.url}/owner/alias/requests/r{number}"
        return FalRequest(f"r{number}", f"{base}/status", base, f"{base}/cancel")

    def fal(self, *, timings: Timings = FAST, max_streams: int = 100, **more: Any) -> Fal:
        """A client of this server."""
        here = {"queue_url": self.url, "rest_url": self.url, "cdn_url": self.url, "api_url": self.url}
        return Fal(**{"key": KEY, "timings": timings, "max_streams": max_streams, **here, **more})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        kind = _kind(request)
        self._at_once[kind] += 1
        self.most_at_once[kind] = max(self.most_at_once[kind], self._at_once[kind])
        try:
            body = await request.read() if request.can_read_body else b""
            self.seen.append(
                Seen(kind, request.method, request.path, dict(request.query), CIMultiDict(request.headers), body)
            )
            self._news.set()
            script = self._scripts.get(kind)
            return await (script.popleft() if script else self._standing[kind])(request)
        finally:
            self._at_once[kind] -= 1

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        one = self.request(self.calls("submit"))
        return web.json_response(
            {
                "status": "IN_QUEUE",
                "request_id": one.request_id,
                "response_url": one.response_url,
                "status_url": one.status_url,
                "cancel_url": one.cancel_url,
                "queue_position": 0,
            }
        )

    async def _result(self, request: web.Request) -> web.StreamResponse:
        body = {"images": [{"url": f"{self.url}/media/one.png", "content_type": None}], "seed": 7}
        return web.json_response(body, headers={"X-Fal-Billable-Units": "1.5"})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"token": "t", "token_type": "Bearer", "base_url": self.url, "expires_at": "2999-01-01T00:00:00+00:00"}
        )

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"access_url": f"{self.url}/media/stored.png"})


def _kind(request: web.Request) -> str:
    path = request.path
    for ending, kind in (("/status/stream", "stream"), ("/status", "status"), ("/cancel", "cancel")):
        if "/requests/" in path and path.endswith(ending):
            return kind
    for part, kind in (
        ("/v1/models/requests/by-endpoint", "list"),
        ("/requests/", "result"),
        ("/storage/auth/token", "token"),
        ("/files/upload", "upload"),
        ("/media/", "media"),
    ):
        if part in path:
            return kind
    return "submit"


def bodies(*statuses: object) -> Sequence[Reply]:
    """One JSON reply a status."""
    return [json_reply(status) for status in statuses]
