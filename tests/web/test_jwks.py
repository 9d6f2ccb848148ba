from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from unittest.mock import Mock

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bot.web.callbacks import FalCallback, Verifier
from bot.web.jwks import MAX_AGE_S, MAX_BYTES, MAX_KEYS, REFRESH_AFTER_S, JwksCache, read_keys
from tests.web.signing import KEY, Clock, Published, jwk, signed


@pytest.fixture
async def keys(published: Published, clock: Clock) -> AsyncIterator[JwksCache]:
    cache = JwksCache(published.url, min_fetch_interval_s=30.0, monotonic=clock.monotonic)
    yield cache
    await cache.close()


async def settled(cache: JwksCache) -> None:
    """The background fetch, if there is one, is over."""
    if cache._fetching is not None:
        await asyncio.wait((cache._fetching,))


async def test_nothing_is_fetched_before_it_is_needed_and_then_once(
    keys: JwksCache, published: Published, fals_key: Ed25519PrivateKey
) -> None:
    assert published.asked == 0
    published.slow_s = 0.02
    answers = await asyncio.gather(*(keys.known() for _ in range(50)))
    assert answers == [(fals_key.public_key(),)] * 50
    assert published.asked == 1


async def test_keys_older_than_a_day_are_not_believed(keys: JwksCache, published: Published, clock: Clock) -> None:
    await keys.known()
    published.fail()
    clock.pass_s(MAX_AGE_S + 1)
    assert await keys.known() == ()
    assert await keys.newer(()) == ()


async def test_an_outage_of_half_a_day_goes_unnoticed(
    keys: JwksCache, published: Published, clock: Clock, fals_key: Ed25519PrivateKey
) -> None:
    await keys.known()
    published.fail()
    for _ in range(12):
        clock.pass_s(3600)
        assert await keys.known() == (fals_key.public_key(),)
        await settled(keys)
    assert published.asked > 1


async def test_older_keys_are_renewed_in_the_background(
    keys: JwksCache, published: Published, clock: Clock, fals_key: Ed25519PrivateKey
) -> None:
    await keys.known()
    other = Ed25519PrivateKey.generate()
    published.publish(other)
    clock.pass_s(REFRESH_AFTER_S + 1)
    assert await keys.known() == (fals_key.public_key(),)
    await settled(keys)
    assert await keys.known() == (other.public_key(),)


async def test_a_rotation_is_noticed_by_the_first_callback_after_it(
    keys: JwksCache, published: Published, clock: Clock, fals_key: Ed25519PrivateKey
) -> None:
    verifier = Verifier(KEY, keys, clock=clock)
    assert isinstance(await verifier.verify(signed(fals_key)), FalCallback)
    clock.pass_s(60)
    other = Ed25519PrivateKey.generate()
    published.publish(other)
    assert isinstance(await verifier.verify(signed(other, at=clock.now)), FalCallback)
    assert await verifier.verify(signed(fals_key, at=clock.now)) == "signature"


async def test_no_flood_of_forgeries_makes_us_ask_more_often(
    keys: JwksCache, published: Published, clock: Clock, fals_key: Ed25519PrivateKey
) -> None:
    verifier = Verifier(KEY, keys, clock=clock)
    forger = Ed25519PrivateKey.generate()
    for _ in range(20):  # 20 × 15 s
        forged = [verifier.verify(signed(forger, at=clock.now)) for _ in range(50)]
        assert set(await asyncio.gather(*forged)) == {"signature"}
        clock.pass_s(15)
    assert published.asked <= 11
    assert isinstance(await verifier.verify(signed(fals_key, at=clock.now)), FalCallback)


async def test_forgeries_without_a_good_address_make_us_ask_nobody(
    keys: JwksCache, published: Published, clock: Clock
) -> None:
    verifier = Verifier(KEY, keys, clock=clock)
    forger = Ed25519PrivateKey.generate()
    for _ in range(100):
        clock.pass_s(60)
        assert await verifier.verify(signed(forger, at=clock.now, secret=b"some other secret key")) == "address"
    assert published.asked == 0


async def test_a_fetch_that_breaks_in_the_background_is_logged(
    keys: JwksCache, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await keys.known()
    clock.pass_s(REFRESH_AFTER_S + 1)
    monkeypatch.setattr("bot.web.jwks.read_keys", Mock(side_effect=RuntimeError("a bug of ours")))
    known = await keys.known()
    await settled(keys)
    assert known
    assert "fetching fal's callback keys broke" in caplog.text


async def test_an_outage_at_the_first_callback_is_got_over(
    keys: JwksCache, published: Published, clock: Clock, fals_key: Ed25519PrivateKey
) -> None:
    verifier = Verifier(KEY, keys, clock=clock)
    published.fail()
    assert await verifier.verify(signed(fals_key)) == "signature"
    published.publish(fals_key)
    assert await verifier.verify(signed(fals_key)) == "signature"  # too early to ask again
    clock.pass_s(31)
    assert isinstance(await verifier.verify(signed(fals_key)), FalCallback)
    assert published.asked == 2


async def test_one_caller_who_leaves_does_not_take_the_keys_from_the_others(
    keys: JwksCache, published: Published, fals_key: Ed25519PrivateKey
) -> None:
    published.slow_s = 0.05
    leaving, staying = asyncio.create_task(keys.known()), asyncio.create_task(keys.known())
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert await staying == (fals_key.public_key(),)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (200, b""),
        (200, b"[]"),
        (200, b'{"keys": {}}'),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [{"x": 5}, null, "x", {"x": ""}, {"kty": "OKP"}]}'),
        (200, b"[" * 30_000),
        (200, b" " * (MAX_BYTES + 1)),
        (302, b""),
        (500, b'{"keys": []}'),
    ],
)
async def test_an_unusable_key_set_leaves_the_old_keys(
    keys: JwksCache, published: Published, clock: Clock, fals_key: Ed25519PrivateKey, answer: tuple[int, bytes]
) -> None:
    before = await keys.known()
    published.fail(*answer)
    clock.pass_s(60)
    assert await keys.newer(before) == ()
    assert published.asked == 2
    assert await keys.known() == (fals_key.public_key(),)


async def test_a_redirect_is_not_followed(published: Published, clock: Clock, fals_key: Ed25519PrivateKey) -> None:
    async with Published.of(Ed25519PrivateKey.generate()) as elsewhere:
        published.fail(302)
        published.headers = {"Location": f"{elsewhere.url}/.well-known/jwks.json"}
        assert await JwksCache(published.url, monotonic=clock.monotonic).known() == ()
        assert elsewhere.asked == 0


async def test_nobody_listening_is_an_outage(clock: Clock) -> None:
    assert await JwksCache("http://127.0.0.1:9", monotonic=clock.monotonic).known() == ()


@pytest.mark.parametrize("padded", [True, False])
def test_keys_are_read_padded_or_not(fals_key: Ed25519PrivateKey, padded: bool) -> None:
    body = json.dumps({"keys": [jwk(fals_key, padded=padded, use="sig", alg="EdDSA", kid="1")]}).encode()
    assert read_keys(body) == (fals_key.public_key(),)


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "RSA"},
        {"kty": 1},
        {"crv": "X25519"},
        {"use": "enc"},
        *({"x": wrong} for wrong in (None, ["A" * 43], "A" * 42, "A" * 44, "+" * 43, "A" * 43 + "==", "A" * 43 + "\n")),
    ],
)
def test_other_keys_are_passed_over(fals_key: Ed25519PrivateKey, changes: dict[str, object]) -> None:
    body = json.dumps({"keys": [{**jwk(fals_key), **changes}]}).encode()
    with pytest.raises(ValueError, match="no usable key"):
        read_keys(body)


def test_a_long_list_of_keys_is_cut() -> None:
    body = json.dumps({"keys": [jwk(Ed25519PrivateKey.generate()) for _ in range(3 * MAX_KEYS)]}).encode()
    assert len(read_keys(body)) == MAX_KEYS
