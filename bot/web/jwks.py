"""fal's public keys for its callbacks: fetched when first needed, kept for a day at most, asked for again with care."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import re
import time
from collections.abc import Callable

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

log = logging.getLogger(__name__)

DEFAULT_REST_URL = "https://rest.fal.ai"
PATH = "/.well-known/jwks.json"

#: Older keys are not believed any more.
KEPT_S = 24 * 3600.0
#: From this age on new ones are fetched in the background, so that an outage of half a day goes unnoticed.
FRESH_S = 6 * 3600.0
#: The key set is asked for no more often than this, however many callbacks can't be verified.
LEAST_PAUSE_S = 30.0
FETCH_S = 5.0
LARGEST_BYTES = 64 * 1024
#: fal publishes one or two; every signature is tried against all.
MOST_KEYS = 8

_ENCODED = re.compile(r"[A-Za-z0-9_-]{43}=?")


class JwksCache:
    """The keys at `{rest_url}/.well-known/jwks.json`.

    Args:
        least_pause_s: between the beginnings of two fetches, whatever they brought.
        monotonic: seconds that never jump.
    """

    def __init__(
        self,
        rest_url: str | None = None,
        *,
        least_pause_s: float = LEAST_PAUSE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = (rest_url or DEFAULT_REST_URL).rstrip("/") + PATH
        self._least_pause_s = least_pause_s
        self._monotonic = monotonic
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    @property
    def cached(self) -> tuple[Ed25519PublicKey, ...]:
        """The keys that are here and not too old."""
        return self._keys if self._monotonic() - self._fetched_at <= KEPT_S else ()

    async def known(self) -> tuple[Ed25519PublicKey, ...]:
        """The keys, fetched where they are missing or too old; none when that fails."""
        if not self.cached:
            await self._refreshed()
        elif self._monotonic() - self._fetched_at > FRESH_S:
            self._refresh()
        return self.cached

    async def newer(self, than: tuple[Ed25519PublicKey, ...]) -> tuple[Ed25519PublicKey, ...]:
        """What was published since `than` was read, after one more fetch; none where that brings nothing else."""
        if self.cached == than:
            await self._refreshed()
        return () if self.cached == than else self.cached

    async def close(self) -> None:
        """Give up a fetch under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _refreshed(self) -> None:
        """Wait for the one fetch, if there may be one."""
        fetching = self._refresh()
        if fetching is not None:
            await asyncio.wait((fetching,))  # one caller's cancellation is not everybody's

    def _refresh(self) -> asyncio.Task[None] | None:
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._monotonic() - self._asked_at < self._least_pause_s:
            return None
        self._asked_at = self._monotonic()
        self._fetching = asyncio.get_running_loop().create_task(self._fetch(), name="fal-callback-keys")
        return self._fetching

    async def _fetch(self) -> None:
        try:
            keys = read_keys(await self._get())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.warning("fal's callback keys can't be read", extra={"error": type(error).__name__})
            return
        if self._keys and keys != self._keys:
            log.info("fal has changed its callback keys", extra={"keys": len(keys)})
        self._keys = keys
        self._fetched_at = self._monotonic()

    async def _get(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=FETCH_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(self._url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
        ):
            if response.status != 200:
                raise ValueError(f"answered {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > LARGEST_BYTES:
                    raise ValueError("larger than any key set")
            return bytes(body)


def read_keys(body: bytes) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys of a JSON Web Key Set, at most `MOST_KEYS`; other kinds of keys are passed over.

    `x` is base64url, padded (as fal writes it) or not. `kty`, `crv` and `use` may be left out, but not be others.

    Raises:
        ValueError: no such set, or no usable key in it.
    """
    try:
        parsed = json.loads(body)
    except RecursionError:
        raise ValueError("no key set") from None
    entries = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no key set")
    keys: dict[bytes, Ed25519PublicKey] = {}
    for entry in entries:
        raw = _read_key(entry)
        if raw is not None and len(keys) < MOST_KEYS:
            keys.setdefault(raw, Ed25519PublicKey.from_public_bytes(raw))
    if not keys:
        raise ValueError("no usable key")
    return tuple(keys.values())


def _read_key(entry: object) -> bytes | None:
    if not isinstance(entry, dict):
        return None
    fits = all(entry.get(name, value) == value for name, value in (("kty", "OKP"), ("crv", "Ed25519"), ("use", "sig")))
    encoded = entry.get("x")
    if not fits or not isinstance(encoded, str) or not _ENCODED.fullmatch(encoded):
        return None
    try:
        return base64.b64decode(encoded[:43] + "=", altchars=b"-_", validate=True)
    except binascii.Error:
        return None
