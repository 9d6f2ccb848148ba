from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from dataclasses import replace
from typing import Any

import fal_client.client
import pytest
from aiohttp import web

from bot.domain.job import RemotePicture
from bot.errors import BalanceExhausted, EaselError, KeyRefused, OptionsRefused, ProviderUnreachable, ResultUnusable
from bot.fal import Fal
from bot.fal.origins import APP_NAMESPACES, resolve
from tests.english import raises_saying
from tests.fal.fake import FAST, KEY, FakeFal, Reply, drops, hangs, html, json_reply, sends, tears

# ---------------------------------------------------------------------- download


def at(fake: FakeFal, name: str = "one.png") -> RemotePicture:
    """A picture on this server."""
    return RemotePicture(f"{fake.url}/media/{name}")


async def test_a_picture_is_one_get_without_the_key(fake: FakeFal, fal: Fal) -> None:
    assert await fal.download(at(fake), max_bytes=1000) == b"picture"

    (seen,) = fake.seen
    assert seen.method == "GET"
    assert "Authorization" not in seen.headers
    assert KEY not in str(seen)


PASSING: dict[str, Reply] = {
    "404": html(404),
    "403": html(403),
    "429": html(429),
    "500": html(500),
    "503": html(503),
    "dropped": drops,
    "truncated": tears(b"pic", 7, content_type="image/png"),
    "empty": sends(b""),
}


@pytest.mark.parametrize("case", PASSING)
async def test_transient_failures_are_retried(fake: FakeFal, fal: Fal, case: str) -> None:
    fake.enqueue("media", PASSING[case], PASSING[case])

    assert await fal.download(at(fake), max_bytes=1000) == b"picture"


LASTING: dict[str, type[EaselError]] = {
    "404": ResultUnusable,
    "403": ResultUnusable,
    "429": ProviderUnreachable,
    "500": ProviderUnreachable,
    "503": ProviderUnreachable,
    "dropped": ProviderUnreachable,
    "truncated": ProviderUnreachable,
    "empty": ResultUnusable,
}


@pytest.mark.parametrize("case", LASTING)
async def test_lasting_failures_raise(fake: FakeFal, fal: Fal, case: str) -> None:
    fake.always("media", PASSING[case])

    with pytest.raises(LASTING[case]):
        await fal.download(at(fake), max_bytes=1000)


async def test_a_server_that_trickles_is_left_in_time(fake: FakeFal) -> None:
    fake.always("media", hangs)

    async with fake.fal(timings=replace(FAST, download_s=0.05, tries=2)) as fal:
        with pytest.raises(ProviderUnreachable):
            await fal.download(at(fake), max_bytes=1000)

    assert fake.calls() == 2


async def test_the_cap_holds_for_the_announced_size_before_a_byte_is_read(fake: FakeFal, fal: Fal) -> None:
    async def announces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1001"})
        await response.prepare(request)
        return await hangs(request)

    fake.always("media", announces)

    with raises_saying(ResultUnusable, match="larger"):
        await fal.download(at(fake), max_bytes=1000)

    assert fake.calls() == 1


async def test_the_cap_holds_where_no_size_is_announced(fake: FakeFal, fal: Fal) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)
            sent += 65_536

    fake.always("media", endless)

    with raises_saying(ResultUnusable, match="larger"):
        await fal.download(at(fake), max_bytes=200_000)

    assert sent < 50_000_000  # socket buffers, not an endless read


async def test_the_cap_holds_for_what_comes_out_of_a_compressed_body(fake: FakeFal, fal: Fal) -> None:
    import gzip

    fake.always("media", sends(gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip"))

    with raises_saying(ResultUnusable, match="larger"):
        await fal.download(at(fake), max_bytes=1_000_000)


async def test_five_redirects_are_followed_and_six_are_not(fake: FakeFal, fal: Fal) -> None:
    hop = json_reply({}, 302, Location="/media/next.png")
    fake.enqueue("media", *[hop] * 5)
    assert await fal.download(at(fake), max_bytes=1000) == b"picture"

    fake.enqueue("media", *[hop] * 6)
    with pytest.raises(ResultUnusable):
        await fal.download(at(fake), max_bytes=1000)


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x.png",
        "ftp://example.com/x.png",
        "file:///etc/passwd",
        "//example.com/x.png",
        "https://",
        "x.png",
        "http://127.0.0.1.example.com/x.png",
        "https://[::1/x.png",
    ],
)
async def test_other_addresses_are_not_opened(fal: Fal, address: str) -> None:
    with raises_saying(ResultUnusable, match="address"):
        await fal.download(RemotePicture(address), max_bytes=1000)


async def test_a_redirect_away_from_https_is_not_followed(fake: FakeFal, fal: Fal) -> None:
    fake.always("media", json_reply({}, 302, Location="http://example.com/x.png"))

    with raises_saying(ResultUnusable, match="address"):
        await fal.download(at(fake), max_bytes=1000)


async def test_a_data_uri_is_decoded_without_a_request(fake: FakeFal, fal: Fal) -> None:
    body = bytes(range(256))
    encoded = base64.b64encode(body).decode()

    assert await fal.download(RemotePicture(f"data:image/png;base64,{encoded}"), max_bytes=256) == body
    assert await fal.download(RemotePicture("data:,%00%ffx"), max_bytes=256) == b"\0\xffx"
    assert fake.calls() == 0


@pytest.mark.parametrize(
    "address",
    [
        "data:image/png;base64," + "A" * 400,
        "data:," + "x" * 101,
        "data:image/png;base64,A",
        "data:image/png;base64",
        "data:",
        "data:image/png;base64,",
    ],
)
async def test_a_data_uri_that_is_too_large_or_broken_is_said(fal: Fal, address: str) -> None:
    with pytest.raises(ResultUnusable):
        await fal.download(RemotePicture(address), max_bytes=100)


async def test_only_a_few_pictures_are_fetched_at_once(fake: FakeFal) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.002)
        return web.Response(body=b"picture")

    fake.always("media", slow)
    async with fake.fal(timings=replace(FAST, downloads_at_once=3)) as fal:
        await asyncio.gather(*(fal.download(at(fake, f"{n}.png"), max_bytes=1000) for n in range(40)))

    assert fake.most_at_once["media"] == 3


# ---------------------------------------------------------------------- upload


async def test_an_upload_goes_through_unmodified_fal_client_without_the_key_to_the_cdn(fake: FakeFal, fal: Fal) -> None:
    address = await fal.upload(b"pixels", "image/png", "mask.png")

    token, upload = fake.seen
    assert address == f"{fake.url}/media/stored.png"
    assert (token.path, dict(token.query)) == ("/storage/auth/token", {"storage_type": "fal-cdn-v3"})
    assert token.headers["Authorization"] == f"Key {KEY}"
    assert (upload.path, upload.body) == ("/files/upload", b"pixels")
    assert upload.headers["Authorization"] == "Bearer t"
    assert upload.headers["Content-Type"] == "image/png"
    assert upload.headers["X-Fal-File-Name"] == "mask.png"


async def test_uploads_share_one_token_and_take_turns(fake: FakeFal) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        return web.json_response({"access_url": f"{fake.url}/media/stored.png"})

    fake.always("upload", slow)
    async with fake.fal(timings=replace(FAST, uploads_at_once=2)) as fal:
        await asyncio.gather(*(fal.upload(b"pixels", "image/png", f"{n}.png") for n in range(6)))

    assert fake.calls("token") == 1
    assert fake.most_at_once["upload"] == 2


async def test_uploads_and_their_tokens_make_one_tls_context_and_that_beside_the_event_loop(
    fake: FakeFal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_in: list[threading.Thread] = []
    make = ssl.create_default_context

    def noted(*given: Any, **named: Any) -> ssl.SSLContext:
        made_in.append(threading.current_thread())
        return make(*given, **named)

    outdated = {"token": "t", "token_type": "Bearer", "base_url": fake.url, "expires_at": "2001-01-01T00:00:00+00:00"}
    fake.always("token", json_reply(outdated))
    async with fake.fal() as fal:
        monkeypatch.setattr(ssl, "create_default_context", noted)
        for number in range(3):
            await fal.upload(b"pixels", "image/png", f"{number}.png")

    assert fake.calls("token") == 3
    assert len(made_in) == 1
    assert threading.main_thread() not in made_in


UPLOAD_FAILURES: dict[str, tuple[str, Reply, type[EaselError]]] = {
    "token 401": ("token", json_reply({"detail": "no"}, 401), KeyRefused),
    "token 403": ("token", json_reply({"detail": "Exhausted balance."}, 403), BalanceExhausted),
    "token page": ("token", html(200), ProviderUnreachable),
    "token without fields": ("token", json_reply({}), ProviderUnreachable),
    "token 500": ("token", html(500), ProviderUnreachable),
    "upload 413": ("upload", html(413), OptionsRefused),
    "upload 400": ("upload", json_reply({"detail": ["x"]}, 400), ProviderUnreachable),
    "upload 500": ("upload", html(500), ProviderUnreachable),
    "upload page": ("upload", html(200), ProviderUnreachable),
    "upload elsewhere": ("upload", json_reply({"access_url": "http://example.com/x.png"}), ProviderUnreachable),
    "upload nowhere": ("upload", json_reply({"access_url": 5}), ProviderUnreachable),
}


@pytest.mark.parametrize("case", UPLOAD_FAILURES)
async def test_a_failed_upload_never_falls_back_to_the_storage_that_sees_the_key(
    fake: FakeFal, fal: Fal, case: str
) -> None:
    kind, reply, error = UPLOAD_FAILURES[case]
    fake.always(kind, reply)

    with pytest.raises(error):
        await fal.upload(b"pixels", "image/png", "mask.png")

    assert set(fake.kinds()) <= {"token", "upload"}
    assert not any("initiate" in seen.path for seen in fake.seen)


async def test_a_hanging_storage_is_left_in_time(fake: FakeFal) -> None:
    fake.always("upload", hangs)

    async with fake.fal(timings=replace(FAST, upload_s=0.3)) as fal:
        with pytest.raises(ProviderUnreachable):
            await fal.upload(b"pixels", "image/png", "mask.png")


# ---------------------------------------------------------------------- where fal is


async def test_fal_client_is_pointed_elsewhere_only_while_the_client_is_open(fake: FakeFal) -> None:
    module = fal_client.client
    names = ("QUEUE_URL_FORMAT", "RUN_URL_FORMAT", "REST_URL", "CDN_URL")
    before = [getattr(module, name) for name in names]

    async with fake.fal() as fal:
        await fal.upload(b"pixels", "image/png", "mask.png")
        assert [getattr(module, name) for name in names] == [fake.url + "/", fake.url + "/", fake.url, fake.url]

    assert [getattr(module, name) for name in names] == before


def test_without_a_setting_the_queue_is_where_fal_client_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(None).queue == "https://queue.fal.run/"
    assert resolve(None).queue == fal_client.client.QUEUE_URL_FORMAT
    assert list(APP_NAMESPACES) == fal_client.client.APP_NAMESPACES
    # fal_client reads the same at its import.
    monkeypatch.setenv("FAL_RUN_HOST", "localhost:8443")
    assert resolve(None).queue == "https://queue.localhost:8443/"
    monkeypatch.setenv("FAL_QUEUE_RUN_HOST", "localhost:8443")
    assert str(resolve(None).submit_url("owner/alias")) == "https://localhost:8443/owner/alias"


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("https://queue.fal.run/a/b/requests/1", True),
        ("https://queue.falrun.com/a/b/requests/1", True),
        ("https://fal.run/x", True),
        ("http://queue.fal.run/a/b/requests/1", False),
        ("https://queue.fal.run.example.com/x", False),
        ("https://notfal.run/x", False),
        ("https://user@collector.example/x", False),
        ("https://queue.fal.run@collector.example/x", False),
        ("http://127.0.0.1/x", False),
        ("/a/b/requests/1", False),
        ("", False),
    ],
)
def test_who_may_see_the_key(address: str, trusted: bool) -> None:
    assert resolve("https://queue.fal.run").may_see_key(address) is trusted


def test_a_loopback_queue_may_hand_out_plain_addresses_of_itself() -> None:
    assert resolve("https://localhost:8443").may_see_key("http://localhost:8443/a/b/requests/1")
    assert not resolve("https://fal.example").may_see_key("http://fal.example/a/b/requests/1")


def test_a_followed_request_is_addressed_by_owner_and_alias() -> None:
    seedream = resolve(None).request("fal-ai/bytedance/seedream/v4/text-to-image", "r1")
    assert seedream.status_url == "https://queue.fal.run/fal-ai/bytedance/requests/r1/status"
    assert resolve(None).request("workflows/me/mine/x", "r1").response_url.endswith("/workflows/me/mine/requests/r1")
