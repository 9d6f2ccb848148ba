"""Nobody joins the sandbox but the person who started it: other sites, other names, frames and guesses are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sandbox.discord.server import FakeDiscord
from sandbox.fal import FakeFal

PAGE_PATHS = [
    "/",
    "/index.html",
    "/main.js",
    "/sandbox/api/world",
    "/sandbox/api/events?person=1",
    "/sandbox/api/interact",
    "/sandbox/api/fault",
]
BOT_PATHS = ["/api/v10/gateway/bot", "/gateway", "/gateway/", "/attachments/1/2/a.png"]


@pytest.fixture
async def fake() -> AsyncIterator[FakeDiscord]:
    one = FakeDiscord(host_names=("easel.test", "tunnel.test:444"))
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def fal() -> AsyncIterator[FakeFal]:
    one = FakeFal(models=())
    await one.start()
    yield one
    await one.stop()


def own_headers(fake: FakeDiscord) -> dict[str, str]:
    return {"Cookie": f"{fake.access.cookie}={fake.access.token}"}


async def status(url: str, path: str, headers: dict[str, str], method: str = "GET") -> int:
    async with aiohttp.ClientSession() as session, session.request(method, url + path, headers=headers) as answer:
        return answer.status


async def joins(url: str, path: str, headers: dict[str, str]) -> bool:
    """Whether a WebSocket opens."""
    refused = False
    async with aiohttp.ClientSession() as session:
        try:
            await (await session.ws_connect(url + path, headers=headers)).close()
        except aiohttp.WSServerHandshakeError as error:
            refused = error.status == 403
    return not refused


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize("host", ["evil.test", "evil.test:{port}", "127.0.0.1.evil.test:{port}", "10.0.0.1:{port}", ""])
@pytest.mark.parametrize("path", [*PAGE_PATHS, *BOT_PATHS])
async def test_a_name_that_is_not_ours_reaches_nothing(fake: FakeDiscord, path: str, host: str) -> None:
    headers = {**own_headers(fake), "Host": host.format(port=fake.access.port)}

    assert await status(fake.base_url, path, headers) in (400, 403)


async def status_of_line(fake: FakeDiscord, target: str, host: str) -> int:
    """For a request line and a Host that no client would send together."""
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.access.port)
    cookie = own_headers(fake)["Cookie"]
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


@pytest.mark.parametrize("path", ["/sandbox/api/world", "/api/v10/gateway/bot"])
async def test_a_name_in_the_request_line_counts_as_well(fake: FakeDiscord, path: str) -> None:
    ours = f"127.0.0.1:{fake.access.port}"

    assert await status_of_line(fake, f"http://evil.test{path}", ours) == 403
    assert await status_of_line(fake, f"http://{ours}@evil.test{path}", ours) == 403
    assert await status_of_line(fake, f"http://{ours}{path}", "evil.test") == 403
    assert await status_of_line(fake, f"http://{ours}{path}", ours) == await status_of_line(fake, path, ours) != 403


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:1", "localhost:{port}0", "user@localhost:{port}"])
async def test_another_port_is_another_site(fake: FakeDiscord, host: str) -> None:
    headers = {**own_headers(fake), "Host": host.format(port=fake.access.port)}

    assert await status(fake.base_url, "/sandbox/api/world", headers) in (400, 403)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}", "easel.test", "tunnel.test:444"],
)
async def test_loopback_and_the_names_that_were_given_are_ours(fake: FakeDiscord, host: str) -> None:
    name = host.format(port=fake.access.port)

    for origin in ({}, {"Origin": f"http://{name}"}):
        assert await status(fake.base_url, "/sandbox/api/world", {**own_headers(fake), "Host": name, **origin}) == 200


async def test_a_name_given_with_a_port_is_ours_at_that_port_alone(fake: FakeDiscord) -> None:
    assert await status(fake.base_url, "/", {**own_headers(fake), "Host": "tunnel.test:445"}) == 403


# ---------------------------------------------------------------------- sites

FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost"},
    {"Origin": "https://evil.test", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", [*PAGE_PATHS, *BOT_PATHS])
async def test_another_site_reaches_nothing(fake: FakeDiscord, path: str, headers: dict[str, str]) -> None:
    assert await status(fake.base_url, path, {**own_headers(fake), **headers}) == 403
    assert await status(fake.base_url, path, {**own_headers(fake), **headers}, "POST") == 403


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_another_site_opens_no_websocket(fake: FakeDiscord, headers: dict[str, str]) -> None:
    events = f"/sandbox/api/events?person={fake.world.ada.id}"

    assert not await joins(fake.base_url, events, {**own_headers(fake), **headers})
    assert not await joins(fake.base_url, "/gateway", headers)
    assert await joins(fake.base_url, events, own_headers(fake))
    assert await joins(fake.base_url, events, {**own_headers(fake), "Origin": fake.base_url})


@pytest.mark.parametrize("headers", [*FOREIGN, {"Host": "evil.test"}], ids=str)
async def test_the_fake_fal_is_no_other_sites_business_either(fal: FakeFal, headers: dict[str, str]) -> None:
    key = {"Authorization": "Key a:b"}

    assert await status(fal.url, "/.well-known/jwks.json", key) == 200
    assert await status(fal.url, "/.well-known/jwks.json", {**key, **headers}) == 403
    assert await status(fal.url, "/fal-ai/flux-1/schnell", {**key, **headers}, "POST") == 403


# ---------------------------------------------------------------------- the token


@pytest.mark.parametrize("path", PAGE_PATHS)
@pytest.mark.parametrize("cookie", [None, "", "guess", "é"])
async def test_without_the_token_the_page_stays_shut(fake: FakeDiscord, path: str, cookie: str | None) -> None:
    headers = {} if cookie is None else {"Cookie": f"{fake.access.cookie}={cookie}"}

    assert await status(fake.base_url, path, headers) == 403
    assert await status(fake.base_url, f"{path.partition('?')[0]}?token=guess", headers) == 403


async def test_the_printed_address_opens_the_page_and_leaves_a_strict_cookie(fake: FakeDiscord) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(fake.page_url) as answer:
            assert answer.status == 200
            set_cookie = answer.headers["Set-Cookie"]
            shown: dict[str, Any] = dict(answer.headers)
        async with session.get(fake.base_url + "/sandbox/api/world") as answer:
            assert answer.status == 200

    assert "HttpOnly" in set_cookie
    assert "SameSite=Strict" in set_cookie
    assert shown["X-Frame-Options"] == "DENY"
    assert shown["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert shown["Referrer-Policy"] == "no-referrer"


async def test_the_token_is_worth_nothing_in_the_address_of_anything_else(fake: FakeDiscord) -> None:
    assert await status(fake.base_url, f"/sandbox/api/world?token={fake.access.token}", {}) == 403


async def test_each_start_makes_its_own_token() -> None:
    assert FakeDiscord().access.token != FakeDiscord().access.token
    assert len(FakeDiscord().access.token) >= 32


async def test_a_link_from_anywhere_opens_the_page_for_who_has_the_token_only(fake: FakeDiscord) -> None:
    clicked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    query = fake.page_url.removeprefix(fake.base_url)

    assert await status(fake.base_url, query, clicked) == 200
    assert await status(fake.base_url, "/", clicked) == 403


async def test_no_page_can_be_framed_not_even_a_refusal(fake: FakeDiscord) -> None:
    for path in (*PAGE_PATHS, *BOT_PATHS):
        async with aiohttp.ClientSession() as session, session.get(fake.base_url + path) as answer:
            assert answer.headers["X-Frame-Options"] == "DENY"


async def test_the_bot_needs_no_token_of_the_page(fake: FakeDiscord) -> None:
    headers = {"Authorization": f"Bot {fake.token}"}

    assert await status(fake.base_url, "/api/v10/gateway/bot", headers) == 200
    assert await status(fake.base_url, "/api/v10/gateway/bot", {**headers, "Host": "127.0.0.1:1"}) == 200  # a proxy
    assert await joins(fake.base_url, "/gateway?v=10&encoding=json", {})


@pytest.mark.parametrize(
    "token",
    [None, "", "guess", FakeDiscord().access.token, "é"],
    ids=["none", "empty", "guess", "another start", "text"],
)
async def test_without_this_starts_token_no_websocket_opens(fake: FakeDiscord, token: str | None) -> None:
    events = f"/sandbox/api/events?person={fake.world.ada.id}"
    cookie = {} if token is None else {"Cookie": f"{fake.access.cookie}={token}"}

    assert not await joins(fake.base_url, events, {"Origin": fake.base_url, **cookie})
    assert not await joins(fake.base_url, f"{events}&token={fake.access.token}", {"Origin": fake.base_url, **cookie})


async def test_bytes_that_are_no_text_are_no_token(fake: FakeDiscord) -> None:
    assert fake.access.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.access.port)
    cookie = f"{fake.access.cookie}=".encode() + b"\xe9\xff"
    writer.write(
        b"GET /sandbox/api/world HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: %b\r\n\r\n" % (fake.access.port, cookie)
    )
    assert b" 403 " in await reader.readline()
    writer.close()
