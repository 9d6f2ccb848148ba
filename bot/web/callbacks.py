"""`POST /fal/{job_id}/{attempt}/{proof}`: fal tells that a request has ended.

A callback is a hint: whoever hears it looks at fal itself, nothing in the payload is believed. It is heard only when
fal signed it (Ed25519, see `keys`), lately, and when it came to an address that we gave away: every customer of fal can
have fal sign a callback to any address, so each attempt's address carries a proof that nobody else can make.

Every refusal looks the same, and every delivery goes through the same checks whatever the first of them says.
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
from bot.web.jwks import JwksCache

log = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 1024 * 1024
#: A body takes this long at most; fal sends it in one go.
BODY_WITHIN_S = 5.0
#: All bodies being read weigh this much at most, so that a flood ends as refusals and not as an empty memory.
ALL_BODIES_BYTES = 64 * 1024 * 1024
#: fal waits 15 s for the first answer.
HANDLED_WITHIN_S = 5.0
#: How far fal's clock and ours may differ.
TOLERANCE_S = 300
#: A signature is remembered while it could be sent again, and this many at most; beyond them the oldest goes.
REMEMBERED_S = 2 * TOLERANCE_S
REMEMBERED = 50_000
#: Refusals are logged together, this often.
REPORT_EVERY_S = 60.0

Status = Literal["OK", "ERROR"]
#: Why a delivery was refused; for the operator's log alone.
Reason = Literal["body", "shape", "address", "time", "signature"]

_JOB_ID = re.compile(r"[0-9a-z]{8,20}")
_ATTEMPT = re.compile(r"[1-9][0-9]{0,5}")
_PROOF = re.compile(r"[0-9a-f]{64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_USER_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")
_HEADERS = ("Request-Id", "User-Id", "Timestamp", "Signature")


@dataclass(frozen=True, slots=True)
class Callback:
    """A genuine callback: the request of this attempt has ended."""

    job_id: str
    attempt: int
    request_id: str
    gateway_request_id: str | None
    status: Status
    #: Aware UTC.
    received_at: datetime


#: Acts on a callback; may hear about the same request more than once. Raising makes fal call again.
CallbackHandler = Callable[[Callback], Awaitable[None]]


def url_signature(key: bytes, job_id: str, attempt: int | str) -> str:
    """What makes the address of an attempt unguessable."""
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


# ---------------------------------------------------------------------- what is believed


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """One callback as it came over the wire; nothing in it is checked."""

    job_id: str
    attempt: str
    proof: str
    request_id: str
    user_id: str
    timestamp: str
    signature: str
    body: bytes

    @property
    def well_formed(self) -> bool:
        """Whether every part looks as it must."""
        parts = (
            (_JOB_ID, self.job_id),
            (_ATTEMPT, self.attempt),
            (_PROOF, self.proof),
            (_REQUEST_ID, self.request_id),
            (_USER_ID, self.user_id),
            (_TIMESTAMP, self.timestamp),
            (_SIGNATURE, self.signature),
        )
        return all(pattern.fullmatch(text) is not None for pattern, text in parts)


class Verifier:
    """Tells fal's callbacks from everything else.

    Args:
        key: the secret behind the addresses.
        clock: aware UTC now.
    """

    def __init__(self, key: bytes, keys: JwksCache, *, clock: Callable[[], datetime]) -> None:
        _check_key(key)
        self._key = key
        self._keys = keys
        self._clock = clock

    async def verify(self, delivery: CallbackRequest) -> Callback | Reason:
        """The callback, or why it is none. All checks are made whatever the first ones say.

        Keys are fetched only for what came to an address of ours, in time: forgeries by others cost no call.
        """
        now = self._clock()
        well_formed = delivery.well_formed and len(delivery.body) <= LARGEST_BODY_BYTES
        known = hmac.compare_digest(
            url_signature(self._key, delivery.job_id, delivery.attempt).encode(),
            delivery.proof.encode("utf-8", "surrogateescape"),
        )
        stamp = int(delivery.timestamp) if _TIMESTAMP.fullmatch(delivery.timestamp) else 0
        timely = abs(now.timestamp() - stamp) <= TOLERANCE_S
        message = _signed_message(delivery)
        signature = bytes.fromhex(delivery.signature if _SIGNATURE.fullmatch(delivery.signature) else "00" * 64)
        expected = well_formed and known and timely
        keys = await self._keys.known() if expected else self._keys.cached
        signed = _signed_by_one(keys, signature, message)
        if expected and not signed:
            signed = _signed_by_one(await self._keys.newer(keys), signature, message)
        checks: tuple[tuple[bool, Reason], ...] = (
            (well_formed, "shape"),
            (known, "address"),
            (timely, "time"),
            (signed, "signature"),
        )
        failed = next((reason for fits, reason in checks if not fits), None)
        return failed or _read(delivery, now)


def _signed_message(delivery: CallbackRequest) -> bytes:
    digest = hashlib.sha256(delivery.body).hexdigest()
    text = "\n".join((delivery.request_id, delivery.user_id, delivery.timestamp, digest))
    return text.encode("utf-8", "surrogateescape")


def _signed_by_one(keys: tuple[Ed25519PublicKey, ...], signature: bytes, message: bytes) -> bool:
    """Whether one of the keys made the signature; every key is tried."""
    return sum(_fits(key, signature, message) for key in keys) > 0


def _fits(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _read(delivery: CallbackRequest, now: datetime) -> Callback:
    """What fal signed. A body that can't be read still tells that the request has ended."""
    try:
        content = orjson.loads(delivery.body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        content = {}
    request_id = _id(content.get("request_id")) or delivery.request_id
    status: Status = "OK" if content.get("status") == "OK" else "ERROR"
    gateway_id = _id(content.get("gateway_request_id"))
    return Callback(delivery.job_id, int(delivery.attempt), request_id, gateway_id, status, now)


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else None


# ---------------------------------------------------------------------- said before


class Replays:
    """What became of signatures seen lately. Only genuine ones enter, so forgeries can't fill it."""

    def __init__(self, *, clock: Callable[[], datetime], most: int = REMEMBERED) -> None:
        self._clock = clock
        self._most = most
        self._seen: OrderedDict[bytes, tuple[float, asyncio.Future[bool]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def earlier(self, delivery: CallbackRequest) -> asyncio.Future[bool] | None:
        """The outcome, perhaps still to come, of the same delivery before."""
        self._forget_old()
        known = self._seen.get(_fingerprint(delivery))
        return known[1] if known is not None else None

    def remember(self, delivery: CallbackRequest, outcome: asyncio.Future[bool]) -> None:
        """This delivery is being handled; a failure is forgotten again, so that it may be repeated."""
        fingerprint = _fingerprint(delivery)
        self._seen[fingerprint] = (self._clock().timestamp(), outcome)
        if len(self._seen) > self._most:
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
    said = "\n".join((delivery.request_id, delivery.timestamp, delivery.signature.lower()))
    return hashlib.blake2b(said.encode("utf-8", "surrogateescape"), digest_size=16).digest()


# ---------------------------------------------------------------------- the door


class CallbackReceiver:
    """The route. `close()` when the web server has stopped.

    Args:
        key: see `callback_url`.
        heard: is told each callback once, except where it failed or took longer than `handled_within_s`: then fal is
            answered 500 and calls again.
        rest_url: where fal publishes its keys, when not the usual place.
        clock: aware UTC now.
    """

    def __init__(
        self,
        *,
        key: bytes,
        heard: CallbackHandler,
        rest_url: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        keys: JwksCache | None = None,
        body_within_s: float = BODY_WITHIN_S,
        handled_within_s: float = HANDLED_WITHIN_S,
    ) -> None:
        self._handler = heard
        self._keys = keys or JwksCache(rest_url)
        self.verifier = Verifier(key, self._keys, clock=clock)
        self._replays = Replays(clock=clock)
        self._body_within_s = body_within_s
        self._handled_within_s = handled_within_s
        self.refusals: Counter[Reason] = Counter()
        self._reading_bytes = 0
        self._handling: set[asyncio.Task[bool]] = set()
        self._reported_at = float("-inf")

    def add_to(self, app: web.Application) -> None:
        """Answer below `/fal/`: one route, so that a wrong path is refused like a wrong signature."""
        app.router.add_post("/fal/{path:.*}", self.receive)

        async def close(_: web.Application) -> None:
            await self.close()

        app.on_cleanup.append(close)

    async def close(self) -> None:
        """Give up what is still being handled; fal calls again."""
        for task in self._handling:
            task.cancel()
        await asyncio.gather(*self._handling, return_exceptions=True)
        await self._keys.close()

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one POST: 200 handled (now or before), 500 call again, 401 anything else."""
        body = await self._body(request)
        outcome = await self.take(_delivery(request, body or b""), readable=body is not None)
        if outcome == "refused":
            return _refusal()
        return _answer(500 if outcome == "unhandled" else 200)

    async def take(self, delivery: CallbackRequest, *, readable: bool = True) -> metrics.CallbackOutcome:
        """Judge one delivery and hand it on if it is a genuine one that was not heard before.

        Args:
            readable: whether its body arrived whole; else it is refused after the same checks.
        """
        verdict = await self.verifier.verify(delivery)
        if not readable:
            verdict = "body"
        outcome: metrics.CallbackOutcome = "refused"
        if isinstance(verdict, Callback):
            outcome = await self._hand_on(delivery, verdict)
        else:
            self._note_refusal(verdict)
        metrics.CALLBACKS[outcome].inc()
        return outcome

    async def _hand_on(self, delivery: CallbackRequest, callback: Callback) -> metrics.CallbackOutcome:
        earlier = self._replays.earlier(delivery)
        handling = earlier
        if handling is None:
            handling = self._start(callback)
            self._replays.remember(delivery, handling)
        await asyncio.wait((handling,))
        if handling.cancelled() or not handling.result():
            return "unhandled"
        return "accepted" if earlier is None else "repeated"

    async def _body(self, request: web.Request) -> bytes | None:
        """The raw body; None where it is too long, too slow or cut off."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_within_s):
                async for chunk in request.content.iter_any():
                    body += chunk
                    self._reading_bytes += len(chunk)
                    if len(body) > LARGEST_BODY_BYTES or self._reading_bytes > ALL_BODIES_BYTES:
                        return None
        except (TimeoutError, OSError, aiohttp.ClientError, HttpProcessingError):
            return None
        finally:
            self._reading_bytes -= len(body)
        return bytes(body)

    def _start(self, callback: Callback) -> asyncio.Task[bool]:
        """Handle it in a task of its own, which a caller who hangs up does not end."""
        task = asyncio.get_running_loop().create_task(self._handle(callback), name="fal-callback")
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)
        return task

    async def _handle(self, callback: Callback) -> bool:
        about = {"job": callback.job_id, "attempt": callback.attempt, "request": callback.request_id}
        try:
            async with asyncio.timeout(self._handled_within_s):
                await self._handler(callback)
        except TimeoutError:
            log.warning("a callback was not handled in time", extra=about)
        except Exception:  # whatever it was, fal shall call again
            log.exception("a callback could not be handled", extra=about)
        else:
            return True
        return False

    def _note_refusal(self, reason: Reason) -> None:
        self.refusals[reason] += 1
        now = asyncio.get_running_loop().time()
        if now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            log.warning("callbacks were refused", extra={"so_far": dict(self.refusals)})


def _delivery(request: web.Request, body: bytes) -> CallbackRequest:
    """The parts of the request; what is missing or there twice becomes empty, which no shape allows."""
    parts = request.match_info["path"].split("/")
    job_id, attempt, proof = parts if len(parts) == 3 else ("", "", "")
    given = (request.headers.getall(f"X-Fal-Webhook-{name}", ()) for name in _HEADERS)
    request_id, user_id, timestamp, signature = (values[0] if len(values) == 1 else "" for values in given)
    return CallbackRequest(job_id, attempt, proof, request_id, user_id, timestamp, signature, body)


def _answer(status: int) -> web.Response:
    return web.Response(status=status, headers={"Cache-Control": "no-store"})


def _refusal() -> web.Response:
    """The same for everything, and the connection is closed: a body may not have been read to its end."""
    response = _answer(401)
    response.force_close()
    return response
