from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bot.settings import WebSettings
from bot.web import callbacks as module
from bot.web import start
from bot.web.callbacks import CallbackReceiver, CallbackRequest, FalCallback, Replays, callback_url
from bot.web.jwks import JwksCache
from tests.web.signing import JOB, KEY, NOW, Clock, Published, body_of, headers_of, path_of, signed


@dataclass
class Receiver:
    """A web server that receives callbacks, and a client that sends them."""

    callbacks: CallbackReceiver
    runner: web.AppRunner
    http: aiohttp.ClientSession
    handled: list[FalCallback] = field(default_factory=list)
    troubles: list[BaseException] = field(default_factory=list)
    hold: asyncio.Event | None = None

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.runner.addresses[0][:2]
        return host, port

    async def record(self, callback: FalCallback) -> None:
        self.handled.append(callback)
        if self.hold is not None:
            await self.hold.wait()
        if self.troubles:
            raise self.troubles.pop()

    async def send(self, delivery: CallbackRequest, **changed: Any) -> tuple[int, dict[str, str], bytes]:
        host, port = self.address
        headers: Mapping[str, str] = changed.pop("headers", None) or headers_of(delivery)
        path = changed.pop("path", None) or path_of(delivery)
        url = f"http://{host}:{port}{path}"
        async with self.http.post(
            url, data=io.BytesIO(changed.pop("data", delivery.body)), headers=headers
        ) as response:
            answer = {name: value for name, value in response.headers.items() if name != "Date"}
            return response.status, answer, await response.read()


@pytest.fixture
async def receiver(published: Published, clock: Clock) -> AsyncIterator[Receiver]:
    handled: list[Receiver] = []

    async def record(callback: FalCallback) -> None:
        await handled[0].record(callback)

    keys = JwksCache(published.url, monotonic=clock.monotonic)
    callbacks = CallbackReceiver(
        key=KEY, handler=record, clock=clock, keys=keys, body_timeout_s=0.3, handler_timeout_s=0.3
    )
    runner = await start(WebSettings(), _health, callbacks=callbacks)
    async with aiohttp.ClientSession() as http:
        handled.append(Receiver(callbacks, runner, http))
        yield handled[0]
    await runner.cleanup()


async def _health() -> dict[str, bool]:
    return {"all": True}


async def test_a_genuine_callback_is_accepted(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    status, _, body = await receiver.send(signed(fals_key, attempt=2))
    assert (status, body) == (200, b"")
    assert receiver.handled == [FalCallback(JOB, 2, "req-1", "gw-req-1", "OK", NOW)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (body_of("req-1", "ERROR", error="Invalid status code: 422"), ("req-1", "gw-req-1", "ERROR")),
        (b'{"status": "OK"}', ("req-1", None, "OK")),
        (b'{"request_id": "../x", "gateway_request_id": 5, "status": "OK"}', ("req-1", None, "OK")),
        (b'{"request_id": "req-2", "status": "SOMETHING"}', ("req-2", None, "ERROR")),
        (b"[]", ("req-1", None, "ERROR")),
        (b"", ("req-1", None, "ERROR")),
        (b"[" * 100_000, ("req-1", None, "ERROR")),
        (b"\xff\xfe", ("req-1", None, "ERROR")),
    ],
)
async def test_whatever_fal_signed_tells_that_the_request_has_ended(
    receiver: Receiver, fals_key: Ed25519PrivateKey, body: bytes, expected: tuple[str, str | None, str]
) -> None:
    assert (await receiver.send(signed(fals_key, body=body)))[0] == 200
    (handled,) = receiver.handled
    assert (handled.request_id, handled.gateway_request_id, handled.status) == expected


async def test_every_refusal_looks_the_same(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    good = signed(fals_key)
    path, headers = path_of(good), headers_of(good)
    late = signed(fals_key, at=NOW.replace(hour=11))
    answers = [
        await receiver.send(replace(good, body=good.body + b" ")),
        await receiver.send(replace(good, signature="00" * 64)),
        await receiver.send(replace(good, signature="")),
        await receiver.send(late),
        await receiver.send(replace(good, url_signature="0" * 64)),
        await receiver.send(replace(good, attempt="2")),
        await receiver.send(replace(good, job_id="UPPER-CASE-JOB")),
        await receiver.send(good, path="/fal/"),
        await receiver.send(good, path=path + "/more"),
        await receiver.send(good, path="/fal/a"),
        await receiver.send(good, headers={"X-Nothing": "1"}),
        await receiver.send(good, headers={**headers, "X-Fal-Webhook-Timestamp": "soon"}),
        await receiver.send(good, data=b"x" * (2 * module.MAX_BODY_BYTES)),
        await receiver.send(signed(fals_key, body=b"x" * (module.MAX_BODY_BYTES + 1))),
    ]
    assert [answer[0] for answer in answers] == [401] * len(answers)
    assert all(answer == answers[0] for answer in answers)
    assert receiver.handled == []
    assert receiver.callbacks.refusals == {"signature": 2, "syntax": 7, "time": 1, "address": 2, "body": 2}


async def test_a_header_that_comes_twice_is_refused(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    good = signed(fals_key)
    twice = [*headers_of(good).items(), ("X-Fal-Webhook-Signature", good.signature)]
    assert (await receiver.send(good, headers=twice))[0] == 401


async def test_the_longest_body_is_accepted(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    frame = len(body_of(payload=""))
    body = body_of(payload="x" * (module.MAX_BODY_BYTES - frame))
    assert len(body) == module.MAX_BODY_BYTES
    assert (await receiver.send(signed(fals_key, body=body)))[0] == 200


async def test_a_compressed_body_is_taken_as_the_bytes_it_is(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    delivery = signed(fals_key, body=b"not really compressed")
    assert (await receiver.send(delivery, headers={**headers_of(delivery), "Content-Encoding": "gzip"}))[0] == 200


async def test_a_repeated_callback_is_answered_and_not_handled_again(
    receiver: Receiver, fals_key: Ed25519PrivateKey
) -> None:
    good = signed(fals_key)
    statuses = [(await receiver.send(one))[0] for one in (good, good, replace(good, signature=good.signature.upper()))]
    assert statuses == [200, 200, 200]
    assert len(receiver.handled) == 1


async def test_fal_repeating_itself_later_is_handled_again(
    receiver: Receiver, clock: Clock, fals_key: Ed25519PrivateKey
) -> None:
    await receiver.send(signed(fals_key))
    clock.pass_s(120)
    assert (await receiver.send(signed(fals_key, at=clock.now)))[0] == 200
    assert len(receiver.handled) == 2


async def test_one_callback_that_comes_many_times_at_once_is_handled_once(
    receiver: Receiver, fals_key: Ed25519PrivateKey
) -> None:
    receiver.hold = asyncio.Event()
    good = signed(fals_key)
    sending = [asyncio.create_task(receiver.send(good)) for _ in range(10)]
    while not receiver.handled:
        await asyncio.sleep(0.001)
    receiver.hold.set()
    assert {(await one)[0] for one in sending} == {200}
    assert len(receiver.handled) == 1


async def test_a_callback_that_could_not_be_handled_is_asked_for_again(
    receiver: Receiver, fals_key: Ed25519PrivateKey
) -> None:
    receiver.troubles.append(RuntimeError("disk on fire"))
    good = signed(fals_key)
    assert [(await receiver.send(good))[0] for _ in range(3)] == [500, 200, 200]
    assert len(receiver.handled) == 2


async def test_a_handler_that_hangs_is_not_waited_for(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    receiver.hold = asyncio.Event()
    assert (await receiver.send(signed(fals_key)))[0] == 500
    receiver.hold = None
    assert (await receiver.send(signed(fals_key)))[0] == 200


async def test_handling_survives_a_caller_who_hangs_up(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    receiver.hold = asyncio.Event()
    sending = asyncio.create_task(receiver.send(signed(fals_key)))
    while not receiver.handled:
        await asyncio.sleep(0.001)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    receiver.hold.set()
    assert (await receiver.send(signed(fals_key)))[0] == 200
    assert len(receiver.handled) == 1


async def slow_loris(receiver: Receiver, delivery: CallbackRequest) -> bytes:
    """Sends half a body and then nothing, for as long as the other side bears it."""
    reader, writer = await asyncio.open_connection(*receiver.address)
    head = [f"POST {path_of(delivery)} HTTP/1.1", "Host: easel", f"Content-Length: {len(delivery.body)}"]
    head += [f"{name}: {value}" for name, value in headers_of(delivery).items()]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + delivery.body[: len(delivery.body) // 2])
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_slow_bodies_are_cut_and_keep_nobody_waiting(receiver: Receiver, fals_key: Ed25519PrivateKey) -> None:
    async with asyncio.timeout(30):
        slow = [asyncio.create_task(slow_loris(receiver, signed(fals_key))) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert (await receiver.send(signed(fals_key, request_id="quick")))[0] == 200
        answers = await asyncio.gather(*slow)
    assert all(answer.startswith(b"HTTP/1.1 401 ") for answer in answers)
    assert [callback.request_id for callback in receiver.handled] == ["quick"]


async def test_stopping_waits_for_no_slow_body_and_no_hanging_handler(
    published: Published, clock: Clock, fals_key: Ed25519PrivateKey
) -> None:
    handling = asyncio.Event()

    async def hang(_: FalCallback) -> None:
        handling.set()
        await asyncio.Event().wait()

    keys = JwksCache(published.url, monotonic=clock.monotonic)
    callbacks = CallbackReceiver(
        key=KEY, handler=hang, clock=clock, keys=keys, body_timeout_s=600, handler_timeout_s=600
    )
    runner = await start(WebSettings(), _health, callbacks=callbacks)
    async with asyncio.timeout(30), aiohttp.ClientSession() as http:
        receiver = Receiver(callbacks, runner, http)
        slow = asyncio.create_task(slow_loris(receiver, signed(fals_key, request_id="slow")))
        hanging = asyncio.create_task(receiver.send(signed(fals_key)))
        await handling.wait()
        await runner.cleanup()
        await asyncio.gather(slow, hanging, return_exceptions=True)
    assert not callbacks._handling


async def test_a_flood_of_large_bodies_has_a_bound(
    receiver: Receiver, fals_key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ALL_BODIES_BYTES", 3 * 1024 * 1024)
    large = signed(fals_key, body=b"x" * 1_000_000)
    slow = [asyncio.create_task(slow_loris(receiver, large)) for _ in range(20)]
    await asyncio.gather(*slow)
    assert receiver.callbacks._reading_bytes == 0
    assert (await receiver.send(signed(fals_key)))[0] == 200


async def test_the_refusals_are_logged_once_with_their_reasons(
    receiver: Receiver, fals_key: Ed25519PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        await receiver.send(replace(signed(fals_key), signature="00" * 64))
    refused = [record for record in caplog.records if "refused" in record.message]
    assert len(refused) == 1
    assert all(part not in caplog.text for part in (signed(fals_key).url_signature, "req-1"))


async def test_the_memory_of_replays_is_bounded_in_size_and_time(clock: Clock, fals_key: Ed25519PrivateKey) -> None:
    replays = Replays(clock=clock, max_entries=100)
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    done.set_result(True)
    for number in range(300):
        replays.remember(signed(fals_key, request_id=f"r{number}"), done)
    assert len(replays) == 100
    assert replays.find(signed(fals_key, request_id="r299")) is done
    assert replays.find(signed(fals_key, request_id="r0")) is None
    clock.pass_s(module.REMEMBERED_S + 1)
    assert replays.find(signed(fals_key, request_id="r299")) is None
    assert len(replays) == 0


async def test_without_callbacks_there_is_no_such_place(fals_key: Ed25519PrivateKey) -> None:
    runner = await start(WebSettings(), _health)
    try:
        host, port = runner.addresses[0][:2]
        url = f"http://{host}:{port}{path_of(signed(fals_key))}"
        async with aiohttp.ClientSession() as http, http.post(url) as response:
            assert response.status == 404
    finally:
        await runner.cleanup()


def test_an_address_can_be_guessed_by_nobody() -> None:
    address = callback_url("https://bot.example/easel/", JOB, 1, KEY)
    assert address.startswith(f"https://bot.example/easel/fal/{JOB}/1/")
    others = {
        callback_url("https://bot.example/easel", JOB, 2, KEY),
        callback_url("https://bot.example/easel", JOB[:-1] + "g", 1, KEY),
        callback_url("https://bot.example/easel", JOB, 1, KEY + b"!"),
    }
    signatures = {url.rsplit("/", 1)[1] for url in {address, *others}}
    assert len(signatures) == 4
    assert {len(one) for one in signatures} == {64}
    assert address == callback_url("https://bot.example/easel", JOB, 1, KEY)


@pytest.mark.parametrize(
    ("job_id", "attempt", "key"), [("../etc", 1, KEY), (JOB, 0, KEY), (JOB, -1, KEY), (JOB, 10**7, KEY), (JOB, 1, b"x")]
)
def test_no_address_is_made_of_what_would_be_refused(job_id: str, attempt: int, key: bytes) -> None:
    with pytest.raises(ValueError, match=r"no such job id|too short"):
        callback_url("https://bot.example", job_id, attempt, key)


async def test_the_keys_are_published_as_fal_does(published: Published, fals_key: Ed25519PrivateKey) -> None:
    status, body = published.answer()
    assert status == 200
    assert json.loads(body)["keys"][0]["x"].endswith("=")
