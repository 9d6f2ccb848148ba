"""Signed callbacks, as fal sends them to `?fal_webhook=`, and the key set to verify them with."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from yarl import URL

from bot.domain.request import Json
from sandbox.fal.jobs import Counters, Job, StoredResponse

USER_ID = "sandbox-account"


@dataclass
class WebhookSender:
    """Signs and delivers, with retries; to loopback addresses only."""

    counters: Counters
    #: Tries per callback, and the pause before the second; it doubles from there.
    attempts: int = 6
    pause_s: float = 0.5
    first_timeout_s: float = 15.0
    clock: Callable[[], float] = time.time
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _session: aiohttp.ClientSession | None = None

    def jwks(self) -> dict[str, Json]:
        """The public keys, the way rest.fal.ai publishes them (`x` padded)."""
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(public).decode()}]}

    def send(self, job: Job) -> None:
        """Deliver the end of `job` in the background."""
        if job.webhook is None or job.answer is None:
            return
        task = asyncio.get_running_loop().create_task(self._deliver(job.webhook, job, job.answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is not delivered yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def signed(self, job: Job, body: bytes) -> dict[str, str]:
        """The four headers that prove `body` came from here."""
        stamp = str(int(self.clock()))
        digest = hashlib.sha256(body).hexdigest()
        message = "\n".join((job.id, USER_ID, stamp, digest)).encode()
        return {
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": USER_ID,
            "X-Fal-Webhook-Timestamp": stamp,
            "X-Fal-Webhook-Signature": self.key.sign(message).hex(),
        }

    async def _deliver(self, url: str, job: Job, answer: StoredResponse) -> None:
        if not loopback(url):
            self.counters.webhooks_failed += 1
            return
        body = orjson.dumps(_content(job, answer))
        for attempt in range(self.attempts):
            status = await self._post(url, job, body)
            if status is not None and 200 <= status < 300:
                self.counters.webhooks_delivered += 1
                return
            if status is not None and 300 <= status < 400:
                break
            await asyncio.sleep(self.pause_s * 2**attempt)
        self.counters.webhooks_failed += 1

    async def _post(self, url: str, job: Job, body: bytes) -> int | None:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        headers = {"Content-Type": "application/json", **self.signed(job, body)}
        timeout = aiohttp.ClientTimeout(total=self.first_timeout_s)
        try:
            async with self._session.post(
                URL(url, encoded=True), data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return None


def loopback(url: str) -> bool:
    """Whether `url` stays on this machine; the fake fal calls nobody else."""
    try:
        host = URL(url).host or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _content(job: Job, answer: StoredResponse) -> dict[str, Json]:
    good = answer.status == 200
    content: dict[str, Json] = {
        "request_id": job.id,
        "gateway_request_id": job.gateway_id,
        "status": "OK" if good else "ERROR",
        "payload": orjson.loads(answer.body),
    }
    if not good:
        content["error"] = f"Invalid status code: {answer.status}"
    return content
