"""`POST /fal/{job_id}/{attempt}/{url_signature}`: fal calls back when a request has ended.

A callback is a hint: its receiver asks fal for the status and trusts nothing in the payload. It is accepted only with a
valid and recent signature of fal (Ed25519, see `jwks`) on an address that we issued: every customer of fal can have fal
sign a callback to any address, so each attempt's address carries an HMAC that only we can make.

All refusals look alike from outside, and every check is made whatever the earlier ones found, so that timing and
answers tell a forger nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import aiohttp
import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bot import metrics
from bot.proxies import DIRECT, Proxies
from bot.web.jwks import JwksCache

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
#: Longest time for a body to arrive; fal sends it in one piece.
BODY_TIMEOUT_S = 5.0
#: Most bytes of all bodies being read together: a flood is refused rather than filling the memory.
MAX_ALL_BODIES_BYTES = 64 * 1024 * 1024
#: Longest time for the handler; fal waits 15 s for the response.
HANDLER_TIMEOUT_S = 5.0
#: Largest difference between a callback's timestamp and our clock.
TOLERANCE_S = 300
#: A signature is remembered while it could be replayed; beyond `MAX_REMEMBERED` the oldest is forgotten.
REMEMBERED_S = 2 * TOLERANCE_S
MAX_REMEMBERED = 50_000
#: Refusals are logged together, at most this often.
REPORT_EVERY_S = 60.0

Status = Literal["OK", "ERROR"]
#: Why a delivery was refused; for the log only.
RefusalReason = Literal["body", "syntax", "address", "time", "signature"]

_JOB_ID = re.compile(r"[0-9a-z]{8,20}")
_ATTEMPT = re.compile(r"[1-9][0-9]{0,5}")
_URL_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_USER_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")
_HEADERS = ("Request-Id", "User-Id", "Timestamp", "Signature")


@dataclass(frozen=True, slots=True)
class FalCallback:
    """A verified callback: the request of this attempt has ended."""

    job_id: str
    attempt: int
    request_id: str
    gateway_request_id: str | None
    status: Status
    #: Aware UTC.
    received_at: datetime


#: Acts on a callback; may be called more than once for a request. Raising makes fal call again.
CallbackHandler = Callable[[FalCallback], Awaitable[None]]


def url_signature(key: bytes, job_id: str, attempt: int | str) -> str:
    """The HMAC (64 hex digits) in the callback address of an attempt."""
    message = f"fal-callback/{job_id}/{attempt}".encode("utf-8", "surrogateescape")
    return hmac.digest(key, message, "sha256").hex()


def callback_url(public_url: str, job_id: str, attempt: int, key: bytes) -> str:
    """The address to give to fal for one attempt.

    Args:
        public_url: `web.public_url`, where the web server is reached from outside.
        key: at least 16 secret bytes that outlive restarts.

    Raises:
        ValueError: no job id, attempt or key could look like this.
    """
    if not _JOB_ID.fullmatch(job_id) or not _ATTEMPT.fullmatch(str(attempt)):
        raise ValueError("no such job id or attempt")
    _check_key(key)
    return f"{public_url.rstrip('/')}/fal/{job_id}/{attempt}/{url_signature(key, job_id, attempt)}"


def _check_key(key: bytes) -> None:
    if len(key) < 16:
        raise ValueError("the key of the callbacks' addresses is too short")


# ---------------------------------------------------------------------- verification


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """One callback as received; nothing in it is checked yet."""

    job_id: str
    attempt: str
    url_signature: str
    request_id: str
    user_id: str
    timestamp: str
    signature: str
    body: bytes

    @property
    def well_formed(self) -> bool:
        """Whether every part has the expected syntax."""
        parts = (
            (_JOB_ID, self.job_id),
            (_ATTEMPT, self.attempt),
            (_URL_SIGNATURE, self.url_signature),
            (_REQUEST_ID, self.request_id),
            (_USER_ID, self.user_id),
            (_TIMESTAMP, self.timestamp),
            (_SIGNATURE, self.signature),
        )
        return all(pattern.fullmatch(text) is not None for pattern, text in parts)


class Verifier:
    """Verifies callbacks.

    Args:
        key: the secret behind the addresses.
        clock: aware UTC now.
    """

    def __init__(self, key: bytes, keys: JwksCache, *, clock: Callable[[], datetime]) -> None:
        _check_key(key)
        self._key = key
        self._keys = keys
        self._clock = clock

    async def verify(self, delivery: CallbackRequest) -> FalCallback | RefusalReason:
        """The callback, or why it is refused. All checks are made whatever the first ones find.

        Keys are fetched only where address and timestamp are right, so a stranger's forgeries cost no call.
        """
        now = self._clock()
        well_formed = delivery.well_formed and len(delivery.body) <= MAX_BODY_BYTES
        known = hmac.compare_digest(
            url_signature(self._key, delivery.job_id, delivery.attempt).encode(),
            delivery.url_signature.encode("utf-8", "surrogateescape"),
        )
        stamp = int(delivery.timestamp) if _TIMESTAMP.fullmatch(delivery.timestamp) else 0
        timely = abs(now.timestamp() - stamp) <= TOLERANCE_S
        message = _signed_message(delivery)
        signature = bytes.fromhex(delivery.signature if _SIGNATURE.fullmatch(delivery.signature) else "00" * 64)
        expected = well_formed and known and timely
        keys = await self._keys.known() if expected else self._keys.cached
        signed = _signed_by_any(keys, signature, message)
        if expected and not signed:
            signed = _signed_by_any(await self._keys.newer(keys), signature, message)
        checks: tuple[tuple[bool, RefusalReason], ...] = (
            (well_formed, "syntax"),
            (known, "address"),
            (timely, "time"),
            (signed, "signature"),
        )
        failed = next((reason for passed, reason in checks if not passed), None)
        return failed or _read(delivery, now)


def _signed_message(delivery: CallbackRequest) -> bytes:
    digest = hashlib.sha256(delivery.body).hexdigest()
    text = "\n".join((delivery.request_id, delivery.user_id, delivery.timestamp, digest))
    return text.encode("utf-8", "surrogateescape")


def _signed_by_any(keys: tuple[Ed25519PublicKey, ...], signature: bytes, message: bytes) -> bool:
    """Whether one of the keys made the signature; every key is tried, for equal timing."""
    return sum(_is_signed_by(key, signature, message) for key in keys) > 0


def _is_signed_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _read(delivery: CallbackRequest, now: datetime) -> FalCallback:
    """Parse the signed body. One that is no JSON object still says that the request has ended."""
    try:
        content = orjson.loads(delivery.body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        content = {}
    request_id = _id(content.get("request_id")) or delivery.request_id
    status: Status = "OK" if content.get("status") == "OK" else "ERROR"
    gateway_id = _id(content.get("gateway_request_id"))
    return FalCallback(delivery.job_id, int(delivery.attempt), request_id, gateway_id, status, now)


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else None


# ---------------------------------------------------------------------- replays


class Replays:
    """Outcomes of recently received signatures. Only verified ones are stored, so forgeries can't fill it."""

    def __init__(self, *, clock: Callable[[], datetime], max_entries: int = MAX_REMEMBERED) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._seen: OrderedDict[bytes, tuple[float, asyncio.Future[bool]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def find(self, delivery: CallbackRequest) -> asyncio.Future[bool] | None:
        """The outcome, perhaps pending, of an earlier identical delivery."""
        self._forget_old()
        known = self._seen.get(_fingerprint(delivery))
        return known[1] if known is not None else None

    def remember(self, delivery: CallbackRequest, outcome: asyncio.Future[bool]) -> None:
        """Store a delivery that is being handled. It is removed again if handling fails, so that fal may repeat it."""
        fingerprint = _fingerprint(delivery)
        self._seen[fingerprint] = (self._clock().timestamp(), outcome)
        if len(self._seen) > self._max_entries:
            self._seen.popitem(last=False)

        def forget_failure(ended: asyncio.Future[bool]) -> None:
            known = self._seen.get(fingerprint)
            if known is not None and known[1] is ended and (ended.cancelled() or not ended.result()):
                del self._seen[fingerprint]

        outcome.add_done_callback(forget_failure)

    def _forget_old(self) -> None:
        oldest = self._clock().timestamp() - REMEMBERED_S
        while self._seen and next(iter(self._seen.values()))[0] < oldest:
            self._seen.popitem(last=False)


def _fingerprint(delivery: CallbackRequest) -> bytes:
    signed = "\n".join((delivery.request_id, delivery.timestamp, delivery.signature.lower()))
    return hashlib.blake2b(signed.encode("utf-8", "surrogateescape"), digest_size=16).digest()


# ---------------------------------------------------------------------- receiving


class CallbackReceiver:
    """The route for callbacks. Call `close()` when the web server has stopped.

    Args:
        key: see `callback_url`.
        handler: called once for each callback; where it fails or takes longer than `handler_timeout_s`, fal gets a 500
            and calls again.
        rest_url: where fal publishes its keys, when not the usual place.
        clock: aware UTC now.
        proxies: for the way to fal's keys.
    """

    def __init__(
        self,
        *,
        key: bytes,
        handler: CallbackHandler,
        rest_url: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        proxies: Proxies = DIRECT,
        keys: JwksCache | None = None,
        body_timeout_s: float = BODY_TIMEOUT_S,
        handler_timeout_s: float = HANDLER_TIMEOUT_S,
    ) -> None:
        self._handler = handler
        self._keys = keys or JwksCache(rest_url, proxies=proxies)
        self.verifier = Verifier(key, self._keys, clock=clock)
        self._replays = Replays(clock=clock)
        self._body_timeout_s = body_timeout_s
        self._handler_timeout_s = handler_timeout_s
        self.refusals: Counter[RefusalReason] = Counter()
        self._reading_bytes = 0
        self._handling: set[asyncio.Task[bool]] = set()
        self._reported_at = float("-inf")

    def add_to(self, app: web.Application) -> None:
        """Register one route for all of `/fal/`, so that a wrong path is refused like a wrong signature."""
        app.router.add_post("/fal/{path:.*}", self.receive)

        async def close(_: web.Application) -> None:
            await self.close()

        app.on_cleanup.append(close)

    async def close(self) -> None:
        """Cancel handlers under way; fal calls again."""
        for task in self._handling:
            task.cancel()
        await asyncio.gather(*self._handling, return_exceptions=True)
        await self._keys.close()

    async def receive(self, request: web.Request) -> web.Response:
        """Handle one POST: 200 handled (now or before), 500 call again, 401 anything else."""
        body = await self._body(request)
        outcome = await self.process(_delivery(request, body or b""), readable=body is not None)
        if outcome == "refused":
            return _refusal()
        return _response(500 if outcome == "unhandled" else 200)

    async def process(self, delivery: CallbackRequest, *, readable: bool = True) -> metrics.CallbackOutcome:
        """Verify one delivery and call the handler unless it is a replay.

        Args:
            readable: whether the whole body arrived; else it is refused after the same checks.
        """
        verdict = await self.verifier.verify(delivery)
        if not readable:
            verdict = "body"
        outcome: metrics.CallbackOutcome = "refused"
        if isinstance(verdict, FalCallback):
            outcome = await self._dispatch(delivery, verdict)
        else:
            self._count_refusal(verdict)
        metrics.CALLBACKS[outcome].inc()
        return outcome

    async def _dispatch(self, delivery: CallbackRequest, callback: FalCallback) -> metrics.CallbackOutcome:
        earlier = self._replays.find(delivery)
        handling = earlier
        if handling is None:
            handling = self._start(callback)
            self._replays.remember(delivery, handling)
        await asyncio.wait((handling,))
        if handling.cancelled() or not handling.result():
            return "unhandled"
        return "accepted" if earlier is None else "repeated"

    async def _body(self, request: web.Request) -> bytes | None:
        """The raw body; None where it is too large, too slow or cut off."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_timeout_s):
                async for chunk in request.content.iter_any():
                    body += chunk
                    self._reading_bytes += len(chunk)
                    if len(body) > MAX_BODY_BYTES or self._reading_bytes > MAX_ALL_BODIES_BYTES:
                        return None
        except (TimeoutError, OSError, aiohttp.ClientError, HttpProcessingError):
            return None
        finally:
            self._reading_bytes -= len(body)
        return bytes(body)

    def _start(self, callback: FalCallback) -> asyncio.Task[bool]:
        """Run the handler in a task of its own, so that a disconnect of the caller does not cancel it."""
        task = asyncio.get_running_loop().create_task(self._handle(callback), name="fal-callback")
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)
        return task

    async def _handle(self, callback: FalCallback) -> bool:
        fields = {"job": callback.job_id, "attempt": callback.attempt, "request": callback.request_id}
        try:
            async with asyncio.timeout(self._handler_timeout_s):
                await self._handler(callback)
        except TimeoutError:
            log.warning("a callback was not handled in time", extra=fields)
        except Exception:  # fal gets a 500 and calls again
            log.exception("a callback could not be handled", extra=fields)
        else:
            return True
        return False

    def _count_refusal(self, reason: RefusalReason) -> None:
        self.refusals[reason] += 1
        now = asyncio.get_running_loop().time()
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            log.warning("callbacks were refused", extra={"total": dict(self.refusals)})


def _delivery(request: web.Request, body: bytes) -> CallbackRequest:
    """The parts of the request; a missing or repeated header becomes empty, which is not well formed."""
    parts = request.match_info["path"].split("/")
    job_id, attempt, address_signature = parts if len(parts) == 3 else ("", "", "")
    given = (request.headers.getall(f"X-Fal-Webhook-{name}", ()) for name in _HEADERS)
    request_id, user_id, timestamp, signature = (values[0] if len(values) == 1 else "" for values in given)
    return CallbackRequest(job_id, attempt, address_signature, request_id, user_id, timestamp, signature, body)


def _response(status: int) -> web.Response:
    return web.Response(status=status, headers={"Cache-Control": "no-store"})


def _refusal() -> web.Response:
    """401 for every refusal; the connection is closed because the body may not have been read."""
    response = _response(401)
    response.force_close()
    return response
