"""A download never reaches this machine or its network, whatever its address looks like and wherever it is sent."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.domain.job import RemotePicture
from bot.errors import BadPicture, ResultUnusable
from bot.fal import Fal
from bot.media.fetch import BadAddress, get_capped
from bot.media.inputs import Attachments, fetch_attachment
from bot.media.public_addresses import PublicConnector, is_public
from bot.media.workers import ImageWorkers

INSIDE = [
    "127.0.0.1",
    "127.8.9.10",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.0.170",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.251",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fd00::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2001:db8::1",
    "nonsense",
    "",
]
PUBLIC = ["1.1.1.1", "104.16.0.1", "::ffff:1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_the_public_internet_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_known(address: str) -> None:
    assert is_public(address)


# ---------------------------------------------------------------------- connecting


class Dns(AbstractResolver):
    """Answers with the addresses given, another set each time."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def reached() -> AsyncIterator[list[str]]:
    """What was asked of a server on this machine; its port is the first entry."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        if request.path == "/away":
            raise web.HTTPFound(f"http://inside.example:{request.url.port}/secret")
        return web.Response(body=b"secret")

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    seen.append(str(runner.addresses[0][1]))
    yield seen
    await runner.cleanup()


async def get(url: str, *answers: tuple[str, ...], allow_loopback: bool = False) -> bytes:
    connector = PublicConnector(
        allow_loopback=allow_loopback,
        limit=2,
        tls=ssl.create_default_context(),
        ttl_dns_cache=0,
        resolver=Dns(*answers) if answers else None,
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        return await get_capped(session, url, max_bytes=100, timeout_s=5, may_follow=lambda _: True)


@pytest.mark.parametrize("address", [one for one in INSIDE if is_public(one) is False and one not in ("nonsense", "")])
async def test_a_name_that_leads_inside_is_not_connected_to(address: str) -> None:
    with pytest.raises(BadAddress):
        await get("http://innocent.example:9/x", (address,))


async def test_a_name_that_leads_inside_in_several_ways_is_not_connected_to() -> None:
    with pytest.raises(BadAddress):
        await get("http://innocent.example:9/x", ("10.0.0.1", "192.168.0.1", "fd00::1"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"]
)
async def test_an_address_written_as_a_number_is_not_connected_to(reached: list[str], host: str) -> None:
    with pytest.raises((BadAddress, aiohttp.ClientError)):
        await get(f"http://{host}:{reached[0]}/x")

    assert reached[1:] == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "x.localhost"])
async def test_names_of_this_machine_are_not_connected_to(reached: list[str], name: str) -> None:
    with pytest.raises((BadAddress, aiohttp.ClientError)):
        await get(f"http://{name}:{reached[0]}/x")

    assert reached[1:] == []


async def test_where_loopback_is_allowed_the_rest_of_the_network_is_not(reached: list[str]) -> None:
    assert await get(f"http://sandbox.example:{reached[0]}/x", ("127.0.0.1",), allow_loopback=True) == b"secret"
    with pytest.raises(BadAddress):
        await get(f"http://sandbox.example:{reached[0]}/x", ("10.0.0.1",), allow_loopback=True)


async def test_a_redirect_leads_inside_no_more_than_the_first_address(reached: list[str]) -> None:
    """The first name is this machine, as a stand-in for an outside server; the second leads elsewhere inside."""
    with pytest.raises(BadAddress):
        await get(f"http://outside.example:{reached[0]}/away", ("127.0.0.1",), ("192.168.0.9",), allow_loopback=True)

    assert reached[1:] == ["/away"]


async def test_of_mixed_answers_only_the_public_ones_are_connected_to(reached: list[str]) -> None:
    with pytest.raises((aiohttp.ClientConnectorError, TimeoutError)):
        async with asyncio.timeout(1):
            await get(f"http://rebinding.example:{reached[0]}/x", ("240.0.0.1", "127.0.0.1", "203.0.114.1"))

    assert reached[1:] == []


async def test_what_was_checked_is_what_is_connected_to(reached: list[str]) -> None:
    """DNS says something public when it is checked and this machine afterwards: it is asked once."""
    dns = Dns(("203.0.114.1",), ("127.0.0.1",))
    connector = PublicConnector(
        allow_loopback=False, limit=2, tls=ssl.create_default_context(), ttl_dns_cache=0, resolver=dns
    )
    url = f"http://a.example:{reached[0]}/x"
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await get_capped(session, url, max_bytes=9, timeout_s=0.5, may_follow=lambda _: True)

    assert reached[1:] == []


# ---------------------------------------------------------------------- the two who download


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/x", "https://127.0.0.1:{port}/x", "http://[::1]:{port}/x"])
async def test_a_result_at_this_machine_is_not_fetched_for_a_queue_elsewhere(reached: list[str], url: str) -> None:
    async with Fal(key="a:b", queue_url="https://queue.fal.run/") as fal:
        with pytest.raises(ResultUnusable):
            await fal.download(RemotePicture(url.format(port=reached[0])), max_bytes=1000)

    assert reached[1:] == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "fd00::1"])
async def test_a_result_whose_name_leads_inside_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, reached: list[str], address: str
) -> None:
    dns = Dns((address,))
    monkeypatch.setattr("bot.media.public_addresses.DefaultResolver", lambda: dns)
    async with Fal(key="a:b", queue_url="https://queue.fal.run/") as fal:
        with pytest.raises(ResultUnusable):
            await fal.download(RemotePicture(f"https://pictures.example:{reached[0]}/x"), max_bytes=1000)

    assert dns.asked == 1
    assert reached[1:] == []


async def test_a_result_at_this_machine_is_fetched_for_a_queue_there(reached: list[str]) -> None:
    async with Fal(key="a:b", queue_url=f"http://127.0.0.1:{reached[0]}/") as fal:
        assert await fal.download(RemotePicture(f"http://127.0.0.1:{reached[0]}/x"), max_bytes=1000) == b"secret"


async def test_an_attachment_whose_name_leads_inside_is_refused(
    workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discord's own host name, resolved by somebody who lies."""
    monkeypatch.setattr("bot.media.public_addresses.DefaultResolver", lambda: Dns(("10.0.0.1",)))
    monkeypatch.setattr("bot.media.inputs.FETCH_PAUSES_S", ())
    async with Attachments(workers) as attachments:
        with pytest.raises(BadPicture):
            await attachments.fetch("https://cdn.discordapp.com/attachments/1/2/a.png", option="image", owner=1)
        assert attachments._session is not None
        with pytest.raises(BadPicture):
            await fetch_attachment(
                attachments._session, "http://127.0.0.1:9/a", option="image", allowed_origins=["http://127.0.0.1:9"]
            )
