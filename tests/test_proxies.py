"""One rule for proxies: what goes through which, what never does, and no picture from inside by way of one."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bot.errors import SettingsInvalid
from bot.media.fetch import BadAddress, get_capped
from bot.media.public_addresses import PublicConnector
from bot.proxies import DIRECT, ProxiedConnector, Proxies
from bot.settings import ProxySettings, load_settings
from bot.web.jwks import JwksCache
from tests.forward_proxy import Address, ForwardProxy, certificate_for


def rule(**given: str) -> Proxies:
    return Proxies.of(ProxySettings.model_validate(given))


# ---------------------------------------------------------------------- the rule

HTTPS_AND_SOCKETS = [
    "https://discord.com/api",
    "wss://gateway.discord.gg/",
    "https://queue.fal.run/x",
    "https://1.1.1.1/",
]


@pytest.mark.parametrize("url", HTTPS_AND_SOCKETS)
def test_https_and_secure_websockets_go_through_the_https_proxy(url: str) -> None:
    proxies = rule(https="http://proxy.corp:3128", http="http://other:8080")

    proxy = proxies.for_url(URL(url))

    assert proxy is not None
    assert str(proxy.url) == "http://proxy.corp:3128"


@pytest.mark.parametrize("url", ["http://fal.corp/x", "ws://discord.corp/"])
def test_plain_http_goes_through_the_http_proxy(url: str) -> None:
    proxy = rule(https="http://proxy.corp:3128", http="other:8080").for_url(URL(url))

    assert proxy is not None
    assert str(proxy.url) == "http://other:8080"


def test_one_proxy_for_all_serves_where_there_is_no_other() -> None:
    proxies = rule(all="http://all:1", http="http://plain:2")

    assert str(getattr(proxies.for_url(URL("https://a.example/")), "url", None)) == "http://all:1"
    assert str(getattr(proxies.for_url(URL("http://a.example/")), "url", None)) == "http://plain:2"


LOOPBACK = [
    "http://127.0.0.1:8000/x",
    "http://127.8.9.10/",
    "http://localhost:1/",
    "ws://a.localhost/",
    "https://[::1]/",
]


@pytest.mark.parametrize("url", LOOPBACK)
@pytest.mark.parametrize("bypass", ["", "example.com"])
def test_this_machine_is_never_reached_through_a_proxy(url: str, bypass: str) -> None:
    assert rule(all="http://proxy:3128", bypass=bypass).for_url(URL(url)) is None


@pytest.mark.parametrize(
    ("bypass", "url", "direct"),
    [
        ("fal.run", "https://queue.fal.run/", True),
        ("fal.run", "https://fal.run/", True),
        ("fal.run", "https://notfal.run/", False),
        (".fal.run", "https://queue.fal.run/", True),
        ("*.fal.run", "https://queue.fal.run/", True),
        ("FAL.RUN", "https://Queue.Fal.Run./", True),
        ("fal.run:443", "https://queue.fal.run/", True),
        ("a.example, fal.run b.example", "https://queue.fal.run/", True),
        ("*", "https://discord.com/", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("192.168.1.5", "http://192.168.1.5:9000/", True),
        ("192.168.1.5:9000", "http://192.168.1.5:9000/", True),
        ("fd00::/8", "http://[fd00::7]/", True),
        ("", "https://discord.com/", False),
        (",, ", "https://discord.com/", False),
    ],
)
def test_hosts_can_be_left_out(bypass: str, url: str, direct: bool) -> None:
    assert (rule(all="http://proxy:3128", bypass=bypass).for_url(URL(url)) is None) is direct


@pytest.mark.parametrize("password", ["12/hunter2", "12#hunter2", "12?hunter2", "1/2@hunter2"])
@pytest.mark.parametrize("scheme", ["", "http://"])
def test_half_a_password_is_never_taken_for_a_port(password: str, scheme: str) -> None:
    with pytest.raises(SettingsInvalid, match="%2F") as caught:
        rule(https=f"{scheme}ada:{password}@proxy:3128")
    assert "hunter2" not in caught.value.sentence


@pytest.mark.parametrize(
    "address", ["socks5://proxy:1080", "https://proxy:443", "http://", "http://proxy:x", "ftp://proxy", "http://[::1"]
)
def test_an_address_that_is_no_proxy_s_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        rule(https=address.replace("://", "://user:hunter2hunter2@"))

    assert "HTTPS_PROXY" in caught.value.sentence
    assert "hunter2" not in caught.value.sentence
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "EASEL_PROXY__HTTPS"])
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_the_usual_variables_are_read_in_the_environment_and_in_dotenv(tmp_path: Path, name: str, place: str) -> None:
    if place == ".env":
        (tmp_path / ".env").write_text(f"{name}=http://proxy:3128\nno_proxy=fal.run\n")
    environ = {name: "http://proxy:3128", "NO_PROXY": "fal.run"} if place == "environment" else {}

    proxies = Proxies.of(load_settings(environ=environ, cwd=tmp_path).proxy)

    assert proxies.for_url(URL("https://discord.com/")) is not None
    assert proxies.for_url(URL("https://queue.fal.run/")) is None


def test_a_proxy_s_password_is_not_shown_with_the_settings() -> None:
    settings = ProxySettings.model_validate({"https": "http://user:hunter2hunter2@proxy:1"})

    assert "hunter2" not in repr(settings) + repr(Proxies.of(settings))


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("https://v3.fal.media/x", True),
        ("http://plain.example/x", True),
        ("https://deep.left.out/x", False),
        ("https://left.out/x", False),
        ("http://127.0.0.1:5/x", False),
        ("http://localhost:5/x", False),
        ("http://[::1]:5/x", False),
    ],
)
def test_libraries_that_read_the_environment_follow_the_same_rule(
    monkeypatch: pytest.MonkeyPatch, url: str, through: bool
) -> None:
    proxies = rule(all="http://user:p%40ss@proxy:3128", bypass="*.left.out:443")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    environment: dict[str, str] = {}
    proxies.export(environment)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    client = httpx.AsyncClient()

    own = client._transport_for_url(httpx.URL(url)) is not client._transport
    assert own is through is (proxies.for_url(URL(url)) is not None)


def test_without_proxies_the_environment_stays_as_it_is() -> None:
    environment = {"NO_PROXY": "x"}

    DIRECT.export(environment)

    assert environment == {"NO_PROXY": "x"}


# ---------------------------------------------------------------------- pictures


class Dns(AbstractResolver):
    """Knows a few names; asked for another, it fails as the system does."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self._names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        number = self._names[host]
        return [ResolveResult(hostname=host, host=number, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


NAMES = {
    "partner.example": "93.184.216.34",
    "rebinding.example": "93.184.216.34",
    "sly.example": "10.0.0.7",
    "home.example": "127.0.0.1",
    "localhost": "127.0.0.1",
    "mapped.example": "::ffff:192.168.0.1",
}


@pytest.fixture
async def elsewhere() -> AsyncIterator[Address]:
    """A web server that stands for the whole Internet."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=f"for {request.host}".encode())

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield host, port
    await runner.cleanup()


async def fetched(url: str, elsewhere: Address, tmp_path: Path) -> tuple[bytes | None, list[str]]:
    """The body, None where the address was refused; and what the proxy was asked for."""
    authority = tmp_path / "authority.pem"
    names = ["partner.example", "rebinding.example", "files.fal.media", "unknown.example"]
    tls = certificate_for(names, authority)
    hosts = dict.fromkeys(["93.184.216.34", "files.fal.media", "10.0.0.7", "unknown.example"], elsewhere)
    async with ForwardProxy(hosts, tls=tls) as proxy:
        connector = PublicConnector(
            allow_loopback=False,
            limit=4,
            tls=ssl.create_default_context(cafile=str(authority)),
            resolver=Dns(NAMES),
            proxies=rule(all=proxy.url),
            proxied_by_name=("fal.media",),
        )
        async with aiohttp.ClientSession(connector=connector) as session:
            try:
                body = await get_capped(session, url, max_bytes=1000, timeout_s=5)
            except (BadAddress, aiohttp.InvalidURL):
                return None, proxy.asked
            return body, proxy.asked


@pytest.mark.parametrize("name", ["partner.example", "rebinding.example"])
async def test_a_name_is_looked_up_here_and_the_proxy_led_to_what_was_found(
    name: str, elsewhere: Address, tmp_path: Path
) -> None:
    body, asked = await fetched(f"https://{name}/x.png", elsewhere, tmp_path)

    assert body == f"for {name}".encode()
    assert asked == ["93.184.216.34:443"]


async def test_fal_s_own_names_go_to_the_proxy_as_names(elsewhere: Address, tmp_path: Path) -> None:
    body, asked = await fetched("https://files.fal.media/x.png", elsewhere, tmp_path)

    assert body == b"for files.fal.media"
    assert asked == ["files.fal.media:443"]


INSIDE = [
    "https://sly.example/",
    "https://home.example/",
    "https://mapped.example/",
    "https://10.0.0.7/",
    "https://169.254.169.254/latest/meta-data",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[fd00::1]/",
    "https://[::ffff:10.0.0.7]/",
    "https://localhost/",
    "https://2130706433/",
    "https://sly.example./",
]


@pytest.mark.parametrize("url", INSIDE)
async def test_nothing_inside_is_asked_for_through_a_proxy(url: str, elsewhere: Address, tmp_path: Path) -> None:
    body, asked = await fetched(url, elsewhere, tmp_path)

    assert body is None
    assert asked == []


async def test_a_name_that_only_the_proxy_might_know_is_not_asked_for(elsewhere: Address, tmp_path: Path) -> None:
    with pytest.raises(aiohttp.ClientConnectorDNSError):
        await fetched("https://unknown.example/", elsewhere, tmp_path)


# ---------------------------------------------------------------------- all others


async def test_plain_http_passes_with_the_password(elsewhere: Address) -> None:
    async with (
        ForwardProxy({"fal.corp": elsewhere}, login="me:it's@secret") as proxy,
        aiohttp.ClientSession(connector=ProxiedConnector(rule(http=proxy.url))) as session,
    ):
        for _ in range(2):
            async with session.get("http://fal.corp/x") as response:
                assert await response.text() == "for fal.corp"

    assert proxy.asked == ["http://fal.corp/x"] * 2
    assert not proxy.refused


async def test_fal_s_callback_keys_come_through_the_proxy() -> None:
    async with ForwardProxy({}) as proxy:
        keys = JwksCache("http://rest.fal.corp", proxies=rule(all=proxy.url))
        assert await keys.known() == ()
        await keys.close()

    assert proxy.asked == ["http://rest.fal.corp/.well-known/jwks.json"]


async def test_a_proxy_that_wants_a_password_is_an_error_of_the_network(tmp_path: Path, elsewhere: Address) -> None:
    tls = certificate_for(["queue.fal.run"], tmp_path / "authority.pem")
    async with (
        ForwardProxy({"queue.fal.run": elsewhere}, tls=tls, login="me:right") as proxy,
        aiohttp.ClientSession(connector=ProxiedConnector(rule(all=proxy.url.replace("right", "wrong")))) as session,
    ):
        with pytest.raises(aiohttp.ClientHttpProxyError) as caught:
            await session.get("https://queue.fal.run/")

    assert caught.value.status == 407
    assert "wrong" not in f"{caught.value!r} {caught.value}"
