"""Connections to public addresses only: whatever name or number a URL has, what counts is where it leads.

A picture's address comes from elsewhere (fal, a partner, somebody's attachment), and a name may resolve to this machine
or its network. So the check is made on resolved addresses, inside the connector: what was checked is what is connected
to, at every redirect too, and an answer of DNS that changes in between changes nothing.

A proxy resolves names by itself, so it is not told any: a name is resolved here, and the proxy is asked for a tunnel
to the address that was found to be public (TLS inside still checks the name). Only the names under which Discord and
fal keep their own files go to the proxy as names; they also work where the proxy alone knows the Internet's names.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from bot.proxies import DIRECT, Proxies, send_through

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: IPv6 networks whose last 32 bits are an IPv4 address: NAT64, translated (SIIT), compatible (deprecated).
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))


class PrivateAddress(OSError):
    """The name leads to this machine, its network, or no usable address at all."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet, also looked at through IPv6 forms that wrap an IPv4 one."""
    parsed = _parse(address)
    return parsed is not None and all(one.is_global and not one.is_multicast for one in _meanings(parsed))


def is_loopback_address(address: str) -> bool:
    """Whether an IP address is this machine's own."""
    parsed = _parse(address)
    if parsed is None:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _parse(address: str) -> _Address | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None


def _meanings(address: _Address) -> list[_Address]:
    """What the address may stand for: an IPv4 address that is wrapped in it, else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if any(address in network for network in _EMBEDDING):
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    return [address, *(address.teredo or ())]


class PublicConnector(aiohttp.TCPConnector):
    """Connects to public addresses, and to this machine where that is allowed (the sandbox, tests).

    Names are judged by what they resolve to, and once more every address just before its socket is made, which is where
    a number instead of a name is met.

    Args:
        allow_loopback: this machine's own addresses may be connected to as well.
        resolver: asks DNS; the system's by default.
        proxies: which hosts are reached through a proxy; its own address may be anywhere.
        proxied_by_name: domains whose names are handed to the proxy without being resolved here.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool,
        limit: int,
        tls: ssl.SSLContext,
        ttl_dns_cache: int = 60,
        resolver: AbstractResolver | None = None,
        proxies: Proxies = DIRECT,
        proxied_by_name: Collection[str] = (),
    ) -> None:
        def may_connect(address: str) -> bool:
            return is_public(address) or (allow_loopback and is_loopback_address(address))

        def make_socket(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, where = info
            if not may_connect(str(where[0])):
                raise PrivateAddress
            return socket.socket(family, kind, protocol)

        super().__init__(
            limit=limit,
            ssl=tls,
            ttl_dns_cache=ttl_dns_cache,
            resolver=_PublicResolver(resolver or DefaultResolver(), may_connect),
            socket_factory=make_socket,
        )
        self._may_connect = may_connect
        self._proxies = proxies
        self._proxied_by_name = tuple(proxied_by_name)
        # Its connections lead to the proxy, and may do so wherever that is.
        self._tunnels = aiohttp.TCPConnector(limit=limit, ssl=tls)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        """Like aiohttp's, through the proxy where there is one for the request's URL.

        Raises:
            aiohttp.ClientConnectorError: caused by `PrivateAddress` where the URL leads inside.
        """
        proxy = self._proxies.for_url(req.url)
        if proxy is None:
            return await super().connect(req, traces, timeout)
        url, name = req.url, req.server_hostname
        address = await self._checked(req)
        send_through(proxy, req)
        if address is not None and address != url.host:
            req.url, req.server_hostname = url.with_host(address), url.host
        try:
            return await self._tunnels.connect(req, traces, timeout)
        finally:
            req.url, req.server_hostname = url, name

    async def _checked(self, request: aiohttp.ClientRequest) -> str | None:
        """A public address that the request's host stands for; None where its name goes to the proxy as it is."""
        host = request.host.rstrip(".")
        if any(host == domain or host.endswith(f".{domain}") for domain in self._proxied_by_name):
            return None
        try:
            found = await self._resolve_host(host, request.url.port or 443)
            address = next((one["host"] for one in found if self._may_connect(one["host"])), None)
            if address is None:
                raise PrivateAddress
        except OSError as error:
            raise aiohttp.ClientConnectorDNSError(request.connection_key, error) from error
        return address

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Like aiohttp's, with the connections to the proxy."""
        await super().close(abort_ssl=abort_ssl)
        await self._tunnels.close(abort_ssl=abort_ssl)


class _PublicResolver(AbstractResolver):
    """Leaves out of DNS's answers whatever may not be connected to."""

    def __init__(self, resolver: AbstractResolver, may_connect: Callable[[str], bool]) -> None:
        self._resolver = resolver
        self._may_connect = may_connect

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As the resolver inside says.

        Raises:
            PrivateAddress: nothing of that is left.
        """
        found = await self._resolver.resolve(host, port, family)
        allowed = [one for one in found if self._may_connect(one["host"])]
        if found and not allowed:
            raise PrivateAddress
        return allowed

    async def close(self) -> None:
        """Close the resolver inside."""
        await self._resolver.close()


def leads_inside(error: BaseException) -> bool:
    """Whether a request failed because its address may not be connected to."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, PrivateAddress) or isinstance(getattr(link, "os_error", None), PrivateAddress):
            return True
        link = link.__cause__
    return False
