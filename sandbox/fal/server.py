"""fal.ai on loopback: the HTTP API of queue, storage, media and platform API under one origin."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import orjson
from aiohttp import web

from bot.catalogue.model import Model
from bot.domain.request import Json
from sandbox.access import AccessControl, address
from sandbox.fal.bill import Bill, rate_of
from sandbox.fal.fault_injection import InjectedFaults
from sandbox.fal.files import Files
from sandbox.fal.jobs import Accepted, Counters, Job, Status
from sandbox.fal.queue import Queue
from sandbox.fal.webhooks import WebhookSender

_REQUEST_PATH = re.compile(
    r"/(?P<app>[^/]+/[^/]+)(?:/[^/]+)*?/requests/(?P<id>[^/]+)"
    r"(?P<verb>/status/stream|/status|/cancel|/response|)"
)
_VERBS: Mapping[tuple[str, str], str] = {
    ("GET", "/status"): "status",
    ("GET", "/status/stream"): "stream",
    ("GET", ""): "result",
    ("GET", "/response"): "result",
    ("PUT", "/cancel"): "cancel",
}
_NOT_FOUND: Json = {"status": "NOT_FOUND"}
_LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
_NGINX_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
#: A stream that has nothing to say sends a comment this often (clients give up after 15 s of silence).
_HEARTBEAT_S = 10.0
_LARGEST_BODY_BYTES = 128 * 1024 * 1024
_KEPT_HEADERS = (
    "X-Fal-Request-Timeout",
    "X-Fal-Store-IO",
    "X-Fal-Queue-Priority",
    "X-Fal-Runner-Hint",
    "X-Fal-Object-Lifecycle-Preference",
    "X-Fal-No-Retry",
    "User-Agent",
)
_PUBLIC = ("/files/", "/.well-known/")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeFal:
    """A local server for all of queue.fal.run, rest.fal.ai, v3.fal.media and api.fal.ai.

    Args:
        models: the endpoints that exist; without it, the catalogue's.
        key: the one key that is accepted; None accepts every `Key …`.
        concurrency: jobs painted at once, the rest waits IN_QUEUE; 0 is unlimited (a new fal account has 2).
        speed: factor on every plausible duration; 0.01 makes a 5 s picture take 50 ms.
        paint_s: fixed seconds from acceptance to completion, whatever the model.
        paint: `real` pictures, or `flat` ones that cost next to nothing (for load tests).
        host_names: under which it may be asked, beside those of loopback.

    All but `models` may be changed while it runs, through `queue`, `faults` and `key`.
    """

    def __init__(
        self,
        *,
        models: Iterable[Model] | None = None,
        key: str | None = None,
        concurrency: int = 0,
        speed: float = 1.0,
        paint_s: float | None = None,
        paint: Literal["real", "flat"] = "real",
        webhook_attempts: int = 6,
        webhook_pause_s: float = 0.5,
        host_names: Sequence[str] = (),
    ) -> None:
        self._access = AccessControl(host_names)
        self.key = key
        self.url = ""
        self.models = {model.endpoint: model for model in (_catalogue() if models is None else models)}
        self.faults = InjectedFaults()
        self.counters = Counters()
        #: Submits taken whose answers got lost.
        self.lost = 0
        #: How answers of `lost_answers` get lost, one after the other: "drop", "half", "gateway", "error".
        self.lost_how: Sequence[str] = ("drop",)
        self.accepted: deque[Accepted] = deque(maxlen=20_000)
        self.files = Files(self.faults, self.counters, lambda: self.url, self._authorised)
        self.callbacks = WebhookSender(self.counters, attempts=webhook_attempts, pause_s=webhook_pause_s)
        self.queue = Queue(
            files=self.files,
            faults=self.faults,
            counters=self.counters,
            ended=self.callbacks.send,
            concurrency=concurrency,
            speed=speed,
            paint_s=paint_s,
            paint=paint,
        )
        self.bill: Bill = self.queue.bill
        self.heartbeat_s = _HEARTBEAT_S
        self._credit_lost = 0.0
        self._outages = 0
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> str:
        """Listen, and return the base URL for queue_url, rest_url and cdn_url alike."""
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        self._access.install(app)
        app.middlewares.append(self._guard)
        app.add_routes(self.files.routes())
        app.add_routes(
            [
                web.get("/.well-known/jwks.json", self._jwks),
                web.get("/v1/models/requests/by-endpoint", self._list_requests),
                web.get("/v1/models/pricing", self._pricing),
                web.get("/bill", self._bill),
                web.route("*", "/{path:.*}", self._queue_call),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=2048, ssl_context=tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = address("http" if tls is None else "https", host, port)
        return self.url

    async def stop(self) -> None:
        """Stop listening, painting and calling back."""
        await self.queue.close()
        await self.callbacks.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> FakeFal:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ------------------------------------------------------------------ for tests and the page

    def job(self, request_id: str) -> Job:
        """One job by its request id; KeyError when unknown."""
        return self.queue.jobs[request_id]

    def requests_of(self, job: Job | str) -> Counter[str]:
        """How many HTTP requests one job has cost, by kind; downloads of its pictures included."""
        return Counter((self.job(job) if isinstance(job, str) else job).requests)

    def describe(self) -> list[dict[str, Json]]:
        """Entries for the page's devtools."""
        return self.faults.describe()

    def set(self, name: str, value: Json) -> None:
        """Start or stop injecting a fault by name; see `InjectedFaults.set`."""
        self.faults.set(name, value)
        if self._runner is not None:
            self.queue.resume()

    # ------------------------------------------------------------------ every request

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path.startswith(_PUBLIC) and not request.path.startswith("/files/upload"):
            return await handler(request)
        refusal = self._outage(request)
        if refusal is not None:
            return refusal
        if not request.path.startswith("/files/") and not self._authorised(request):
            self.counters.unauthorised += 1
            return _json(401, {"detail": "Cannot access application. Authentication is required to access this app."})
        return await handler(request)

    def _outage(self, request: web.Request) -> web.Response | None:
        if self.faults.fal_down:
            self._outages += 1
            return _nginx(503, "503 Service Temporarily Unavailable") if self._outages % 2 else _dropped(request)
        if self.faults.take("gateway_error"):
            return _nginx(502, "502 Bad Gateway")
        if self.faults.take("rate_limited"):
            headers = {"Retry-After": "1", "X-Fal-Needs-Retry": "1"}
            return _json(429, {"detail": "Too many requests", "error_type": "concurrent_requests_limit"}, headers)
        if self.faults.balance_exhausted and request.path.startswith("/storage/"):
            return _json(403, {"detail": _LOCKED})
        return None

    def _authorised(self, request: web.Request) -> bool:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if self.faults.key_refused or scheme != "Key" or not key:
            return False
        return self.key is None or key == self.key

    async def _queue_call(self, request: web.Request) -> web.StreamResponse:
        match = _REQUEST_PATH.fullmatch(request.path)
        if match is None:
            if request.method == "POST":
                return await self._submit(request)
            self.counters.requests["unknown"] += 1
            return _json(404, {"detail": f"Path {request.path} not found"})
        kind = _VERBS.get((request.method, match["verb"]))
        if kind is None:
            return _json(405, {"detail": "Method Not Allowed"})
        self.counters.requests[kind] += 1
        job = self.queue.jobs.get(match["id"])
        if job is None or job.app != match["app"]:
            return _json(404, _NOT_FOUND)
        job.requests[kind] += 1
        match kind:
            case "status":
                return self._status(request, job)
            case "stream":
                return await self._stream(request, job)
            case "cancel":
                return self._cancel(job)
            case _:
                return self._result(job)

    # ------------------------------------------------------------------ submit

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        self.counters.requests["submit"] += 1
        endpoint = request.path.strip("/")
        body = await request.read()
        refusal = self._submit_refusal(request, endpoint)
        if refusal is not None:
            return refusal
        try:
            arguments = orjson.loads(body)
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            return _json(400, {"detail": "The request body is not a JSON object", "error_type": "bad_request"})
        job = self._accept(request, endpoint, arguments)
        if self._answer_is_lost():
            return await self._lost(request, job)
        if self.faults.slow_submit_s:
            await asyncio.sleep(self.faults.slow_submit_s)
        content = {"status": "IN_QUEUE", **job.urls(), "logs": None, "metrics": {}, "queue_position": job.position}
        content["gateway_request_id"] = job.gateway_id
        return _json(200, content, {"x-fal-request-id": job.id})

    async def _lost(self, request: web.Request, job: Job) -> web.StreamResponse:
        """Any of the ways in which an answer does not arrive although the job was taken."""
        match self.lost_how[self.counters.jobs % len(self.lost_how)]:
            case "error":
                return _json(500, {"detail": "Internal Server Error"}, {"x-fal-request-id": job.id})
            case "gateway":
                return _nginx(504, "504 Gateway Time-out")
            case "half":
                return await _half(request, orjson.dumps({"status": "IN_QUEUE", **job.urls()}))
            case _:
                return _dropped(request)

    def _submit_refusal(self, request: web.Request, endpoint: str) -> web.Response | None:
        gone = endpoint in self.faults.gone_endpoints and not self.faults.gone_at_result
        if endpoint not in self.models or gone:
            path = "/" + "/".join(endpoint.split("/")[2:])
            return _json(404, {"detail": f"Path {path} not found"}, {"X-Fal-Billable-Units": "0"})
        if self.faults.balance_exhausted:
            return _json(403, {"detail": _LOCKED})
        if self.faults.take("server_error"):
            return _json(500, {"detail": "Internal Server Error", "error_type": "internal_error"})
        longest = request.query.get("fal_max_queue_length", "")
        if longest.isdigit() and self.queue.waiting >= int(longest):
            return _json(429, {"detail": "The queue is full"})
        return None

    def _accept(self, request: web.Request, endpoint: str, arguments: Mapping[str, Json]) -> Job:
        headers = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
        job = self.queue.accept(
            self.models[endpoint],
            arguments,
            base_url=self.url,
            webhook=request.query.get("fal_webhook"),
            start_timeout_s=_number(headers.get("X-Fal-Request-Timeout")),
            store_io=headers.get("X-Fal-Store-IO") != "0",
        )
        job.requests["submit"] += 1
        self.counters.jobs += 1
        self.counters.jobs_by_fingerprint[_fingerprint(endpoint, arguments)] += 1
        self.accepted.append(Accepted(job.id, endpoint, arguments, headers, job.created_at))
        return job

    def _answer_is_lost(self) -> bool:
        """Spread `lost_answers` evenly: 0.25 loses exactly every fourth answer."""
        self._credit_lost += min(1.0, self.faults.lost_answers)
        if self._credit_lost < 1.0 - 1e-9:
            return False
        self._credit_lost -= 1.0
        self.lost += 1
        return True

    # ------------------------------------------------------------------ following a job

    def _status(self, request: web.Request, job: Job) -> web.Response:
        if job.status is Status.IN_QUEUE:
            self.queue.position_of(job)
        text = job.status_json(with_logs=_wants_logs(request))
        return _raw(200 if job.done else 202, text.encode(), {"x-fal-request-id": job.id})

    async def _stream(self, request: web.Request, job: Job) -> web.StreamResponse:
        if self.faults.no_stream:
            return _json(404, {"detail": f"Path {request.path} not found"})
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "x-fal-request-id": job.id}
        )
        counters = self.counters
        counters.open_streams += 1
        counters.most_open_streams = max(counters.most_open_streams, counters.open_streams)
        try:
            await response.prepare(request)
            await self._send_events(request, response, job)
            await response.write_eof()
        except ConnectionError:
            pass  # the watcher has left
        finally:
            counters.open_streams -= 1
        return response

    async def _send_events(self, request: web.Request, response: web.StreamResponse, job: Job) -> None:
        with_logs = _wants_logs(request)
        sent_lines, last = 0, ""
        while True:
            if job.status is Status.IN_QUEUE:
                self.queue.position_of(job)
            seen, lines = job.version, len(job.logs)
            event = job.status_json(with_logs=with_logs, since=sent_lines)
            if event != last or (with_logs and lines > sent_lines):
                await response.write(f"data: {event}\n\n".encode())
                last = event
            sent_lines = lines
            if job.done:
                return
            while not await job.changed(seen, self.heartbeat_s):
                await response.write(b": ping\n\n")
            if self.faults.take("dropped_streams"):
                _dropped(request)
                raise ConnectionResetError

    def _result(self, job: Job) -> web.Response:
        headers = {"x-fal-request-id": job.id}
        if job.answer is None:
            return _json(400, {"detail": "Request is still in progress"}, headers)
        if self.faults.take("result_error"):
            return _json(503, {"detail": "Service unavailable", "error_type": "runner_connection_error"}, headers)
        if self.queue.expired(job, datetime.now(UTC)):
            return _json(404, _NOT_FOUND, headers)
        told = {
            name: value
            for name, value in job.answer.headers.items()
            if name != "X-Fal-Billable-Units" or not self.faults.bill_untold
        }
        return _raw(job.answer.status, job.answer.body, {**headers, **told})

    def _cancel(self, job: Job) -> web.Response:
        if self.queue.cancel(job):
            return _json(202, {"status": "CANCELLATION_REQUESTED"})
        return _json(400, {"status": "ALREADY_COMPLETED"})

    # ------------------------------------------------------------------ platform

    async def _jwks(self, _: web.Request) -> web.Response:
        self.counters.requests["jwks"] += 1
        return _json(200, self.callbacks.jwks())

    async def _list_requests(self, request: web.Request) -> web.Response:
        """As documented: ends newest first, `end` exclusive, nothing that has not started."""
        self.counters.requests["list"] += 1
        if self.faults.list_refused:
            return _json(403, {"error": {"type": "permission_error", "message": "This key may not list requests."}})
        query = request.query
        endpoints = {one for given in query.getall("endpoint_id", []) for one in given.split(",") if one}
        if not 1 <= len(endpoints) <= 50:
            return _json(400, {"error": {"type": "validation_error", "message": "endpoint_id: 1 to 50 are needed."}})
        limit = max(1, min(100, int(_number(query.get("limit")) or 50)))
        first = int(_number(query.get("cursor")) or 0)
        start = _moment(query.get("start")) or datetime.now(UTC) - timedelta(hours=24)
        end = _moment(query.get("end")) or datetime.max.replace(tzinfo=UTC)
        found = [
            job
            for job in reversed(self.queue.jobs.values())
            if job.model.endpoint in endpoints
            and job.started_at is not None
            and start <= job.created_at < end
            and query.get("request_id", job.id) == job.id
        ]
        found.sort(key=lambda job: job.ended_at or datetime.max.replace(tzinfo=UTC), reverse=True)
        payloads = "payloads" in query.getall("expand", [])
        items: list[Json] = [_listed(job, payloads) for job in found[first : first + limit]]
        more = len(found) > first + limit
        return _json(200, {"items": items, "next_cursor": str(first + limit) if more else None, "has_more": more})

    async def _pricing(self, request: web.Request) -> web.Response:
        """As documented: the one unit price of each endpoint asked for; those without a published one are left out."""
        self.counters.requests["pricing"] += 1
        if self.faults.pricing_refused:
            return _json(403, {"error": {"type": "permission_error", "message": "This key may not read prices."}})
        wanted = [one for given in request.query.getall("endpoint_id", []) for one in given.split(",") if one]
        if not 1 <= len(wanted) <= 50:
            return _json(400, {"error": {"type": "validation_error", "message": "endpoint_id: 1 to 50 are needed."}})
        priced = [self.models[endpoint] for endpoint in dict.fromkeys(wanted) if endpoint in self.models]
        prices: list[Json] = [
            {
                "endpoint_id": model.endpoint,
                "unit_price": float(rate.usd),
                "unit": rate.unit,
                "currency": "USD",
            }
            for model in priced
            if (rate := rate_of(model)).is_published
        ]
        return _json(200, {"prices": prices, "has_more": False, "next_cursor": None})

    async def _bill(self, request: web.Request) -> web.Response:
        """Not fal's: the whole bill, for tests in other processes; `?lines=1` with its lines."""
        return _json(200, self.bill.as_json(lines=request.query.get("lines") == "1"))


def _catalogue() -> tuple[Model, ...]:
    from bot.catalogue import load

    return load(has_openai_key=True).models


def _listed(job: Job, payloads: bool) -> dict[str, Json]:
    item: dict[str, Json] = {
        "request_id": job.id,
        "endpoint_id": job.model.endpoint,
        "started_at": _stamp(job.started_at),
        "sent_at": _stamp(job.created_at),
        "ended_at": _stamp(job.ended_at),
        "status_code": job.answer.status if job.answer else None,
        "duration": job.inference_s if job.answer else None,
    }
    if payloads and job.store_io:
        item["json_input"] = dict(job.arguments)
        item["json_output"] = orjson.loads(job.answer.body) if job.answer else None
    return item


def _stamp(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment is not None else None


def _json(status: int, content: Json, headers: Mapping[str, str] | None = None) -> web.Response:
    return _raw(status, orjson.dumps(content), headers or {"x-fal-request-id": "00000000-0000-0000-0000-000000000000"})


def _raw(status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
    reason = "Client Closed Request" if status == 499 else None
    return web.Response(
        status=status, reason=reason, body=body, headers={"Content-Type": "application/json", **headers}
    )


def _nginx(status: int, title: str) -> web.Response:
    return web.Response(status=status, text=_NGINX_PAGE.format(title), content_type="text/html")


async def _half(request: web.Request, body: bytes) -> web.StreamResponse:
    """Send the first half of an answer, then close the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _dropped(request: web.Request) -> web.Response:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _wants_logs(request: web.Request) -> bool:
    return request.query.get("logs", "").lower() in ("1", "true")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _fingerprint(endpoint: str, arguments: Mapping[str, Json]) -> str:
    digest = hashlib.blake2b(orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS), digest_size=12)
    return f"{endpoint}#{digest.hexdigest()}"
