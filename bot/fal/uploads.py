"""Uploads of pictures to fal's storage, through fal_client. Imported with the first of them: fal_client is large.

fal_client takes `FAL_RUN_HOST` and `FAL_QUEUE_RUN_HOST` from the environment at import and knows no setting for the
hosts of uploads, so a configured URL is written over its module constants while a `Fal` is open.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import cached_property

import fal_client
import fal_client.client
import httpx
from fal_client.auth import AuthCredentials
from fal_client.client import USER_AGENT, AsyncCDNTokenManager, CDNToken
from yarl import URL

from bot.errors import BalanceExhausted, KeyRefused, OptionsRefused, ProviderUnreachable
from bot.fal.failures import BALANCE_WORDS
from bot.media.fetch import followable
from bot.phrase import phrase

log = logging.getLogger(__name__)


class _Tokens(AsyncCDNTokenManager):
    """fal_client's, with the TLS context of the uploads."""

    def __init__(self, key: str, tls: Callable[[], Awaitable[ssl.SSLContext]]) -> None:
        super().__init__(AuthCredentials("Key", key))
        self._tls = tls

    async def _refresh_token(self) -> CDNToken:
        async with httpx.AsyncClient(verify=await self._tls()) as client:
            answer = await client.post(self._url, headers=self._headers, json={})
        answer.raise_for_status()
        told = answer.json()
        expires_at = datetime.fromisoformat(told["expires_at"])
        return CDNToken(told["token"], told["token_type"], told["base_url"], expires_at)


class _Client(fal_client.AsyncClient):
    """fal_client's, with one TLS context for all uploads and the tokens that they take."""

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    async def _tls_context(self) -> ssl.SSLContext:
        return await asyncio.to_thread(lambda: self._tls)

    @cached_property
    def _tokens(self) -> _Tokens:
        return _Tokens(self.key or "", self._tls_context)

    @property
    async def _token_manager(self) -> AsyncCDNTokenManager:
        return self._tokens

    @asynccontextmanager
    async def _cdn_client(self) -> AsyncIterator[httpx.AsyncClient]:
        tls = await self._tls_context()
        headers = {"User-Agent": USER_AGENT}
        async with httpx.AsyncClient(headers=headers, timeout=self.default_timeout, verify=tls) as client:
            yield client


class Uploader:
    """Uploads through repository `fal_v3` only.

    fal_client's own fallback (`fal`) sends our key along to a storage host that is not fal's, so there is none. A
    picture that can't be uploaded is not sent as a data URI either: fal keeps payloads for 30 days and advises
    against it beyond a few KB; the job waits instead (ProviderUnreachable).

    fal_client makes a TLS context for each upload and each token, which holds the event loop for 20 to 100 ms; here all
    share one.
    """

    def __init__(self, key: str, *, at_once: int, timeout_s: float) -> None:
        self._client = _Client(key=key)
        self._slots = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s

    async def upload(self, body: bytes, content_type: str, file_name: str) -> str:
        """The https address of the stored picture.

        Raises:
            KeyRefused, BalanceExhausted, OptionsRefused (too large): fal refused.
            ProviderUnreachable: no usable answer within fal_client's own retries.
        """
        try:
            async with self._slots:
                async with asyncio.timeout(self._timeout_s):
                    address = await self._client.upload(
                        body, content_type, file_name, repository="fal_v3", fallback_repository=[]
                    )
            usable = followable(URL(address))
        except fal_client.FalClientHTTPError as error:
            raise _refusal(error.status_code, str(error.message)) from error
        except httpx.HTTPStatusError as error:  # the storage token is asked for without fal_client's error handling
            raise _refusal(error.response.status_code, error.response.text) from error
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            raise ProviderUnreachable("fal.ai's storage did not answer.") from error
        if not usable:
            raise ProviderUnreachable("fal.ai's storage answered with an address that can't be used.")
        return address


def _refusal(status: int, text: str) -> KeyRefused | BalanceExhausted | OptionsRefused | ProviderUnreachable:
    log.warning("an upload to fal's storage failed", extra={"status": status})
    if status == 402 or (status == 403 and any(word in text.lower() for word in BALANCE_WORDS)):
        return BalanceExhausted()
    if status in (401, 403):
        return KeyRefused()
    if status == 413:
        return OptionsRefused(phrase("refused_picture_too_large"))
    return ProviderUnreachable("fal.ai's storage did not take the picture.")


@contextmanager
def fal_client_pointed(*, queue: str, rest_url: str | None, cdn_url: str | None) -> Iterator[None]:
    """Point fal_client at the configured hosts inside this context, and at its own again after it."""
    module = fal_client.client
    before = (module.QUEUE_URL_FORMAT, module.RUN_URL_FORMAT, module.REST_URL, module.CDN_URL)
    if queue != module.QUEUE_URL_FORMAT:
        module.QUEUE_URL_FORMAT = module.RUN_URL_FORMAT = queue
    if rest_url is not None:
        module.REST_URL = rest_url.rstrip("/")
    if cdn_url is not None:
        module.CDN_URL = cdn_url.rstrip("/")
    try:
        yield
    finally:
        module.QUEUE_URL_FORMAT, module.RUN_URL_FORMAT, module.REST_URL, module.CDN_URL = before
