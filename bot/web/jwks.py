"""fal's public keys for its callbacks (JWKS): fetched on first use, cached for a day, refreshed at a bounded rate."""

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

from bot.proxies import DIRECT, ProxiedConnector, Proxies

log = logging.getLogger(__name__)

DEFAULT_REST_URL = "https://rest.fal.ai"
PATH = "/.well-known/jwks.json"

#: Older keys are no longer used.
MAX_AGE_S = 24 * 3600.0
#: From this age on they are refreshed in the background, so that an outage of half a day goes unnoticed.
REFRESH_AFTER_S = 6 * 3600.0
#: Least time between two fetches, however many callbacks can't be verified.
MIN_FETCH_INTERVAL_S = 30.0
FETCH_TIMEOUT_S = 5.0
MAX_BYTES = 64 * 1024
#: fal publishes one or two; every signature is tried against all.
MAX_KEYS = 8

_ENCODED = re.compile(r"[A-Za-z0-9_-]{43}=?")


class JwksCache:
    """The keys at `{rest_url}/.well-known/jwks.json`.

    Args:
        min_fetch_interval_s: between the beginnings of two fetches, successful or not.
        monotonic: clock in seconds.
    """

    def __init__(
        self,
        rest_url: str | None = None,
        *,
        min_fetch_interval_s: float = MIN_FETCH_INTERVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._url = (rest_url or DEFAULT_REST_URL).rstrip("/") + PATH
        self._min_fetch_interval_s = min_fetch_interval_s
        self._monotonic = monotonic
        self._proxies = proxies
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at = float("-inf")
        self._last_fetch_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    @property
    def cached(self) -> tuple[Ed25519PublicKey, ...]:
        """The keys in memory, unless they are too old."""
        return self._keys if self._monotonic() - self._fetched_at <= MAX_AGE_S else ()

    async def known(self) -> tuple[Ed25519PublicKey, ...]:
        """The keys, fetched where they are missing or too old; empty when that fails."""
        if not self.cached:
            await self._wait_for_refresh()
        elif self._monotonic() - self._fetched_at > REFRESH_AFTER_S:
            self._refresh()
        return self.cached

    async def newer(self, than: tuple[Ed25519PublicKey, ...]) -> tuple[Ed25519PublicKey, ...]:
        """Keys other than `than`, after a fetch if need be; empty where there are none."""
        if self.cached == than:
            await self._wait_for_refresh()
        return () if self.cached == than else self.cached

    async def close(self) -> None:
        """Cancel a fetch under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _wait_for_refresh(self) -> None:
        """Wait for a fetch; returns at once where the last one was too recent."""
        fetching = self._refresh()
        if fetching is not None:
            await asyncio.wait((fetching,))  # not awaited itself: one caller's cancellation must not cancel it for all

    def _refresh(self) -> asyncio.Task[None] | None:
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._monotonic() - self._last_fetch_at < self._min_fetch_interval_s:
            return None
        self._last_fetch_at = self._monotonic()
        self._fetching = asyncio.get_running_loop().create_task(self._fetch(), name="fal-callback-keys")
        self._fetching.add_done_callback(_log_unexpected)
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
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(
                connector=ProxiedConnector(self._proxies), timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(self._url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
        ):
            if response.status != 200:
                raise ValueError(f"answered {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError("larger than any key set")
            return bytes(body)


def _log_unexpected(fetch: asyncio.Task[None]) -> None:
    if not fetch.cancelled() and (error := fetch.exception()) is not None:
        log.error("fetching fal's callback keys broke", exc_info=error)


def read_keys(body: bytes) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys of a JSON Web Key Set, at most `MAX_KEYS`; other kinds of keys are skipped.

    `x` is base64url, padded (as fal writes it) or not. `kty`, `crv` and `use` may be missing, but must not differ.

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
        if raw is not None and len(keys) < MAX_KEYS:
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
