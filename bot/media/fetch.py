"""One GET up to a size limit. The session given here must carry no key."""

from __future__ import annotations

import base64
import binascii
import io
import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import aiohttp
from yarl import URL

from bot.media.public_addresses import leads_inside

MAX_REDIRECTS = 5
#: Memory set aside on a server's word that so much is coming.
MOST_PREALLOCATED_BYTES = 16 * 1024 * 1024
#: How much more is reserved at a time where a body has no known length.
RESERVE_STEP_BYTES = 1024 * 1024


class DownloadTooLarge(Exception):
    """The server announced or sent more than the limit."""


class BadAddress(Exception):
    """An address that is not fetched: neither https, nor http to this machine, or one that leads into our network."""


class BadStatus(Exception):
    """A response other than 200."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"status {status}")


@lru_cache(256)
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
    reserve: Callable[[int], None] | None = None,
) -> bytes:
    """The body of one picture, at most `max_bytes` long, within `timeout_s` in all.

    A redirect from elsewhere to loopback is not followed, so that no outside page can make us read our own machine.
    Where names lead is the business of the session's connector (`PublicConnector`).

    Args:
        reserve: told how many bytes the body takes, before it is read where the server says it, else whenever it has
            grown by another `RESERVE_STEP_BYTES`. What it raises ends the download.

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
        try:
            async with session.get(url, allow_redirects=False, timeout=timeout) as response:
                location = response.headers.get("Location")
                if response.status in (301, 302, 303, 307, 308) and location:
                    url = url.join(_parsed(location))
                    continue
                if response.status != 200:
                    raise BadStatus(response.status)
                return await _read_capped(response, max_bytes, reserve)
        except (aiohttp.InvalidURL, UnicodeError) as error:  # a host that is none, such as one with a label too long
            raise BadAddress from error
        except aiohttp.ClientConnectionError as error:
            if leads_inside(error):
                raise BadAddress from error
            raise
    raise BadAddress


def _parsed(address: str) -> URL:
    try:
        url = URL(address, encoded="%" in address)
        _ = url.host  # read only now, and it may be none: `xn--`
        return url
    except (ValueError, TypeError) as error:
        raise BadAddress from error


async def _read_capped(
    response: aiohttp.ClientResponse, max_bytes: int, reserve: Callable[[int], None] | None
) -> bytes:
    """The body in one buffer: BytesIO fills a bytes object, and hands out that very one at the end."""
    size = response.content_length
    if size is not None and size > max_bytes:
        raise DownloadTooLarge
    reserved = size or 0
    if reserve is not None and reserved:
        reserve(reserved)
    body = io.BytesIO()
    if 1 < reserved <= MOST_PREALLOCATED_BYTES:
        body.seek(reserved - 1)
        body.write(b"\0")
        body.seek(0)
    async for chunk in response.content.iter_any():
        if body.tell() + len(chunk) > max_bytes:
            raise DownloadTooLarge
        while reserve is not None and body.tell() + len(chunk) > reserved:
            reserved += RESERVE_STEP_BYTES
            reserve(reserved)
        body.write(chunk)
    body.truncate()
    return body.getvalue()


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
