"""fal's side of a callback: keys, signatures, and a server that publishes the key set."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bot.web.callbacks import CallbackRequest, url_signature

KEY = b"sixteen bytes or more of secret"
JOB = "0mbq2k7x1abcdef"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class Clock:
    """Wall and monotonic time that tests move."""

    now: datetime = NOW
    monotonic_s: float = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.monotonic_s

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.monotonic_s += seconds


def jwk(key: Ed25519PrivateKey, *, padded: bool = True, **more: object) -> dict[str, object]:
    encoded = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": encoded if padded else encoded.rstrip("="), **more}


def body_of(request_id: str = "req-1", status: str = "OK", **more: object) -> bytes:
    content = {"request_id": request_id, "gateway_request_id": f"gw-{request_id}", "status": status, "payload": {}}
    return json.dumps({**content, **more}).encode()


def signed(
    key: Ed25519PrivateKey,
    *,
    at: datetime = NOW,
    job_id: str = JOB,
    attempt: int = 1,
    request_id: str = "req-1",
    body: bytes | None = None,
    secret: bytes = KEY,
) -> CallbackRequest:
    """A genuine callback."""
    body = body_of(request_id) if body is None else body
    blank = CallbackRequest(
        job_id,
        str(attempt),
        url_signature(secret, job_id, attempt),
        request_id,
        "user",
        str(int(at.timestamp())),
        "",
        body,
    )
    return resigned(key, blank)


def resigned(key: Ed25519PrivateKey, delivery: CallbackRequest) -> CallbackRequest:
    """The same with a signature that fits."""
    digest = hashlib.sha256(delivery.body).hexdigest()
    message = "\n".join((delivery.request_id, delivery.user_id, delivery.timestamp, digest))
    return replace(delivery, signature=key.sign(message.encode()).hex())


def headers_of(delivery: CallbackRequest) -> dict[str, str]:
    return {
        "X-Fal-Webhook-Request-Id": delivery.request_id,
        "X-Fal-Webhook-User-Id": delivery.user_id,
        "X-Fal-Webhook-Timestamp": delivery.timestamp,
        "X-Fal-Webhook-Signature": delivery.signature,
    }


def path_of(delivery: CallbackRequest) -> str:
    return f"/fal/{delivery.job_id}/{delivery.attempt}/{delivery.url_signature}"


@dataclass
class Published:
    """rest.fal.ai as far as key sets go."""

    answer: Callable[[], tuple[int, bytes]]
    asked: int = 0
    slow_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    _runner: web.AppRunner | None = None

    @classmethod
    def of(cls, *keys: Ed25519PrivateKey) -> Published:
        return cls(lambda: (200, json.dumps({"keys": [jwk(key) for key in keys]}).encode()))

    def publish(self, *keys: Ed25519PrivateKey | Mapping[str, Any]) -> None:
        entries = [jwk(key) if isinstance(key, Ed25519PrivateKey) else key for key in keys]
        self.answer = lambda: (200, json.dumps({"keys": entries}).encode())

    def fail(self, status: int = 503, body: bytes = b"<html>") -> None:
        self.answer = lambda: (status, body)

    async def _get(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        status, body = self.answer()
        return web.Response(status=status, body=body, headers=self.headers)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/.well-known/jwks.json", self._get)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
