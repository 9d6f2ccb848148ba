"""Which proxy a connection goes through: one rule for Discord (REST, gateway, CDN), fal, uploads and pictures.

aiohttp's own `trust_env` is not used: it knows no proxy for WebSockets, reads .netrc at every request, and asks the
environment alone. Here the rule is made once, from the settings, and `ProxiedConnector` applies it to every request.
fal_client's uploads read the environment by themselves, so the same rule is written there (`export`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from bot.errors import SettingsInvalid
from bot.settings import ProxySettings

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Reached directly, whatever is configured.
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_HEADER = "Proxy-Authorization"


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy listens, and the value of its `Proxy-Authorization` header."""

    url: URL
    authorization: str | None = field(default=None, repr=False)
    #: As it was configured, password included.
    given: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies for http:// and https:// (also ws:// and wss://), and what is reached without one."""

    http: Proxy | None = None
    https: Proxy | None = None
    #: Every host is reached directly.
    bypass_all: bool = False
    #: Names that are reached directly, with all names below them.
    bypass_names: tuple[str, ...] = ()
    bypass_networks: tuple[_Network, ...] = ()

    @classmethod
    def of(cls, settings: ProxySettings) -> Proxies:
        """The rule that the settings describe.

        Raises:
            SettingsInvalid: an address that is no http:// proxy's.
        """
        every = _read("ALL_PROXY", settings.all)
        names, networks = [], []
        entries = (settings.bypass or "").replace(",", " ").split()
        for entry in entries:
            network = _network(entry)
            if network is not None:
                networks.append(network)
            elif entry != "*":
                names.append(_without_port(entry).removeprefix("*").strip(".").lower())
        return cls(
            http=_read("HTTP_PROXY", settings.http) or every,
            https=_read("HTTPS_PROXY", settings.https) or every,
            bypass_all="*" in entries,
            bypass_names=tuple(filter(None, names)),
            bypass_networks=tuple(networks),
        )

    def for_url(self, url: URL) -> Proxy | None:
        """The proxy to connect through; None: directly."""
        proxy = self.https if url.scheme in ("https", "wss") else self.http
        if proxy is None or url.host is None or self.bypass_all or self._bypasses(url.host.lower().rstrip(".")):
            return None
        return proxy

    def _bypasses(self, host: str) -> bool:
        address = _address(host)
        if address is not None:
            return address.is_loopback or any(
                address.version == network.version and address in network for network in self.bypass_networks
            )
        names = (*self.bypass_names, "localhost")
        return any(host == name or host.endswith(f".{name}") for name in names)

    def export(self, environment: MutableMapping[str, str]) -> None:
        """Write the rule into environment variables, for libraries that read those; without proxies, nothing."""
        if self.http is None and self.https is None:
            return
        single = (str(network.network_address) for network in self.bypass_networks if network.num_addresses == 1)
        bypass = "*" if self.bypass_all else ",".join((*_THIS_MACHINE, *self.bypass_names, *single))
        rule = {
            "http_proxy": self.http.given if self.http is not None else "",
            "https_proxy": self.https.given if self.https is not None else "",
            "all_proxy": "",
            "no_proxy": bypass,
        }
        for name, value in rule.items():
            environment[name] = environment[name.upper()] = value


#: Everything is reached directly.
DIRECT = Proxies()


class ProxiedConnector(aiohttp.TCPConnector):
    """A connector that goes through a proxy where the rule says so.

    Args:
        proxies: the rule.
        options: aiohttp's own.
    """

    def __init__(self, proxies: Proxies = DIRECT, **options: Any) -> None:
        super().__init__(**options)
        self._proxies = proxies

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> Connection:
        """Like aiohttp's, through the proxy for the request's URL."""
        proxy = self._proxies.for_url(req.url)
        if proxy is not None:
            send_through(proxy, req)
        return await super().connect(req, traces, timeout)


def send_through(proxy: Proxy, request: aiohttp.ClientRequest) -> None:
    """Make a request that is not connected yet go through the proxy."""
    request.proxy = proxy.url
    request.proxy_headers = CIMultiDict()
    if proxy.authorization is None:
        return
    if request.is_ssl():
        request.proxy_headers[_HEADER] = proxy.authorization  # sent with CONNECT, never to the server behind it
    else:
        request.headers[_HEADER] = proxy.authorization


# ---------------------------------------------------------------------- reading


def _read(name: str, given: object) -> Proxy | None:
    """The proxy at an address; `given` is a secret, because it may hold a password."""
    text = given.get_secret_value().strip() if hasattr(given, "get_secret_value") else ""
    if not text:
        return None
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("not an http:// URL with a host")
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":
            raise ValueError("a password with / ? or # would be read as a host")
        url = URL.build(scheme="http", host=parts.hostname, port=parts.port or 80)
    except ValueError:
        raise SettingsInvalid(
            f"{name}: this is no address of a proxy that Easel can use. Write http://host:port, with user:password@ "
            "before the host if the proxy wants a login, and a /, ? or # in these as %2F, %3F or %23. The same http:// "
            "proxy serves HTTPS, and what passes through it stays encrypted; SOCKS is not supported."
        ) from None  # the cause quotes the address, and it may hold a password
    if parts.username is None:
        return Proxy(url, given=str(url))
    authorization = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
    return Proxy(url, authorization, f"http://{parts.netloc}")


def _without_port(entry: str) -> str:
    name, _, port = entry.rpartition(":")
    return name if name and port.isdigit() else entry


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _network(entry: str) -> _Network | None:
    for text in (entry, _without_port(entry)):
        try:
            return ipaddress.ip_network(text.strip("[]"), strict=False)
        except ValueError:
            continue
    return None
