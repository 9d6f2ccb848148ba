"""One GET up to a size limit. The session given here must carry no key."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import aiohttp
from yarl import URL

CHUNK_BYTES = 64 * 1024
MAX_REDIRECTS = 5


class DownloadTooLarge(Exception):
    """The server announced or sent more than the limit."""


class BadAddress(Exception):
    """An address that is not fetched: neither https, nor http to this machine."""


class BadStatus(Exception):
    """A response other than 200."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"status {status}")


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address is this machine."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def followable(url: URL) -> bool:
    """Whether a URL may be fetched: https anywhere, http to loopback only (the sandbox)."""
    return url.host is not None and (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host)))


async def get_capped(
    session: aiohttp.ClientSession,
    address: str,
    *,
    max_bytes: int,
    timeout_s: float,
    may_follow: Callable[[URL], bool] = followable,
    max_redirects: int = MAX_REDIRECTS,
) -> bytes:
    """The body of one picture, at most `max_bytes` long, within `timeout_s` in all.

    A redirect from elsewhere to loopback is not followed, so that no outside page can make us read our own machine.

    Raises:
        DownloadTooLarge, BadAddress, BadStatus: as they say.
        aiohttp.ClientError, TimeoutError, OSError: the network's own.
    """
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(10.0, timeout_s))
    url = _parsed(address)
    was_loopback = is_loopback(url.host)
    for _ in range(max_redirects + 1):
        if not may_follow(url) or (is_loopback(url.host) and not was_loopback):
            raise BadAddress
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            location = response.headers.get("Location")
            if response.status in (301, 302, 303, 307, 308) and location:
                url = url.join(_parsed(location))
                continue
            if response.status != 200:
                raise BadStatus(response.status)
            return await _read_capped(response, max_bytes)
    raise BadAddress


def _parsed(address: str) -> URL:
    try:
        return URL(address, encoded="%" in address)
    except (ValueError, TypeError) as error:
        raise BadAddress from error


async def _read_capped(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if response.content_length is not None and response.content_length > max_bytes:
        raise DownloadTooLarge
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        if len(body) + len(chunk) > max_bytes:
            raise DownloadTooLarge
        body += chunk
    return bytes(body)


_DATA_HEAD = re.compile(r"data:([\w.+-]{1,64}/[\w.+-]{1,64})?((?:;[\w.+-]{1,64}=[\w.+-]{1,64}){0,4})(;base64)?,", re.I)


def decode_data_uri(address: str, *, max_bytes: int) -> bytes:
    """The bytes inside a `data:` URI.

    Raises:
        DownloadTooLarge: more than `max_bytes` once decoded.
        BadAddress: not a data URI that can be read.
    """
    head = _DATA_HEAD.match(address[:512])
    if head is None:
        raise BadAddress
    text = address[head.end() :]
    if len(text) > max_bytes * 3 + 16 or (head[3] and len(text) > (max_bytes + 2) // 3 * 4 + 1024):
        raise DownloadTooLarge
    try:
        body = base64.b64decode(text) if head[3] else unquote_to_bytes(text)
    except (binascii.Error, ValueError) as error:
        raise BadAddress from error
    if len(body) > max_bytes:
        raise DownloadTooLarge
    return body


__all__ = [
    "BadAddress",
    "BadStatus",
    "DownloadTooLarge",
    "decode_data_uri",
    "followable",
    "get_capped",
    "is_loopback",
]
