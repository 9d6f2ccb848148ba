from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from aiohttp import web

from bot.domain.request import Json
from bot.errors import ProviderUnreachable
from bot.fal import Fal, FoundRequest, TruncatedList
from bot.fal.origins import resolve
from bot.fal.request_list import read_page
from bot.jobs.request_match import matches
from tests.fal.fake import FAST, KEY, FakeFal, Reply, drops, hangs, html, json_reply, sends, tears

ENDPOINT = "owner/alias/deep/path"
SINCE = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=1)


def item(number: int, **more: object) -> dict[str, object]:
    """One entry as fal documents it."""
    sent = SINCE + timedelta(seconds=number)
    return {
        "request_id": f"r{number}",
        "endpoint_id": ENDPOINT,
        "started_at": (sent + timedelta(seconds=1)).isoformat().replace("+00:00", "Z"),
        "sent_at": sent.isoformat().replace("+00:00", "Z"),
        "ended_at": None,
        "status_code": None,
        "duration": None,
        "json_input": {"prompt": "x", "seed": number},
        **more,
    }


def page(*items: object, cursor: str | None = None) -> Reply:
    return json_reply({"items": items, "next_cursor": cursor, "has_more": cursor is not None})


async def found_by(fal: Fal) -> list[FoundRequest]:
    found = await fal.find_requests(ENDPOINT, since=SINCE, until=UNTIL)
    assert found is not None
    return found


# ---------------------------------------------------------------------- asking


async def test_the_list_is_asked_for_as_documented(fake: FakeFal, fal: Fal) -> None:
    assert await found_by(fal) == []
    (seen,) = fake.seen
    assert (seen.method, seen.path) == ("GET", "/v1/models/requests/by-endpoint")
    assert seen.headers["Authorization"] == f"Key {KEY}"
    assert seen.query == {
        "endpoint_id": ENDPOINT,
        "start": "2026-11-21T10:00:00.000Z",
        "end": "2026-11-21T11:00:00.000Z",
        "expand": "payloads",
        "limit": "100",
    }


async def test_pages_are_followed_and_the_oldest_comes_first(fake: FakeFal, fal: Fal) -> None:
    fake.enqueue("list", page(item(5), item(1), cursor="a b&c"), page(item(3), item(5), cursor="d"), page(item(2)))
    found = await found_by(fal)
    assert [one.request_id for one in found] == ["r1", "r2", "r3", "r5"]
    assert found[0] == FoundRequest("r1", ENDPOINT, {"prompt": "x", "seed": 1}, SINCE + timedelta(seconds=1), None)
    assert [one.query.get("cursor") for one in fake.seen] == [None, "a b&c", "d"]


async def test_a_cursor_that_runs_in_circles_ends_the_reading(fake: FakeFal, fal: Fal) -> None:
    fake.always("list", page(item(1), cursor="again"))
    with pytest.raises(TruncatedList) as part:
        await found_by(fal)
    assert [one.request_id for one in part.value.found] == ["r1"]
    assert fake.calls("list") == 2


async def test_endless_pages_are_cut(fake: FakeFal, fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.fal.request_lookup.MAX_PAGES", 5)

    async def endless(request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("cursor", "0"))
        return web.json_response({"items": [item(number)], "next_cursor": str(number + 1), "has_more": True})

    fake.always("list", endless)
    with pytest.raises(TruncatedList) as part:
        await found_by(fal)
    assert len(part.value.found) == 5


async def test_heavy_pages_are_cut(fake: FakeFal, fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.fal.request_lookup.MAX_BYTES", 100)
    fake.enqueue("list", page(item(1), cursor="a"), page(item(2)))
    with pytest.raises(TruncatedList) as part:
        await found_by(fal)
    assert [one.request_id for one in part.value.found] == ["r1"]


async def test_what_was_sent_outside_the_time_or_elsewhere_is_left_out(fake: FakeFal, fal: Fal) -> None:
    fake.enqueue(
        "list",
        page(item(-1), item(0), item(3599), item(3600), item(7, endpoint_id="owner/other"), item(8, request_id="../x")),
    )
    assert [one.request_id for one in await found_by(fal)] == ["r0", "r3599"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_key_that_may_not_see_the_list_is_told_once(
    fake: FakeFal, fal: Fal, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    fake.always("list", json_reply({"error": {"type": "permission_error"}}, status))
    asked = [fal.find_requests(ENDPOINT, since=SINCE, until=UNTIL) for _ in range(20)]
    assert await asyncio.gather(*asked) == [None] * 20
    assert await fal.find_requests("owner/other", since=SINCE, until=UNTIL) is None
    assert fake.calls("list") == 1
    assert sum("does not show this key" in record.message for record in caplog.records) == 1


async def test_a_refusal_is_not_for_ever(fake: FakeFal) -> None:
    async with fake.fal(timings=replace(FAST, list_refused_s=0.0)) as fal:
        fake.enqueue("list", json_reply({}, 403), page(item(1)))
        assert await fal.find_requests(ENDPOINT, since=SINCE, until=UNTIL) is None
        assert len(await found_by(fal)) == 1


USELESS: dict[str, Reply] = {
    "a gateway's page": html(502),
    "an error": json_reply({}, 500),
    "too many": json_reply({}, 429, Retry_After="0"),
    "a lost connection": drops,
    "a page": html(200),
    "another object": json_reply({"detail": "?"}),
    "nothing": sends(b""),
    "a number": json_reply(5),
    "a half": tears(b'{"items": [', 1000),
    "a bomb": sends(b"[" * 50_000),
    "a redirect": json_reply({}, 302),
}


@pytest.mark.parametrize("what", USELESS)
async def test_no_usable_answer_is_told_to_the_caller_who_may_ask_again(fake: FakeFal, fal: Fal, what: str) -> None:
    tries = 2 if USELESS[what] is drops else 1  # aiohttp repeats a GET whose connection was closed
    fake.enqueue("list", *[USELESS[what]] * tries, page(item(1)))
    with pytest.raises(ProviderUnreachable):
        await found_by(fal)
    assert len(await found_by(fal)) == 1


async def test_many_lookups_at_once_share_few_readings(fake: FakeFal, fal: Fal) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.02)
        return await page(*(item(number) for number in range(50)))(request)

    fake.always("list", slowly)

    async def ask(number: int) -> list[str]:
        since = SINCE + timedelta(seconds=number)
        found = await fal.find_requests(ENDPOINT, since=since, until=since + timedelta(seconds=2))
        return [one.request_id for one in found or ()]

    answers = await asyncio.gather(*(ask(number) for number in range(40)))
    later = await asyncio.gather(*(ask(number) for number in range(40)))
    assert answers == later == [[f"r{number}", f"r{number + 1}"] for number in range(40)]
    assert fake.calls("list") <= 4


async def test_closing_leaves_nobody_waiting(fake: FakeFal) -> None:
    fake.always("list", hangs)
    async with fake.fal() as fal:
        asking = asyncio.create_task(fal.find_requests(ENDPOINT, since=SINCE, until=UNTIL))
        await fake.received(1)
    async with asyncio.timeout(5):
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_reading_that_breaks_is_logged_though_its_caller_has_left(
    fake: FakeFal, fal: Fal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.fal.request_lookup.read_page", Mock(side_effect=RuntimeError("a bug of ours")))
    fake.always("list", page())
    asking = asyncio.create_task(fal.find_requests(ENDPOINT, since=SINCE, until=UNTIL))
    await asyncio.sleep(0)
    asking.cancel()
    async with asyncio.timeout(5):
        while "reading fal's list of requests broke" not in caplog.text:
            await asyncio.sleep(0.005)


async def test_the_key_of_a_stand_in_is_not_sent_to_fal(fake: FakeFal) -> None:
    async with fake.fal(api_url=None) as fal:
        assert await fal.find_requests(ENDPOINT, since=SINCE, until=UNTIL) is None
    assert fake.seen == []


@pytest.mark.parametrize(
    ("queue_url", "api_url", "asked"),
    [
        (None, None, "https://api.fal.ai"),
        ("https://queue.falrun.com", None, "https://api.fal.ai"),
        ("http://queue.fal.run", None, None),
        ("https://queue.fal.run.evil.example", None, None),
        ("http://127.0.0.1:1", "http://127.0.0.1:2/", "http://127.0.0.1:2"),
    ],
)
def test_the_platform_goes_with_the_queue(queue_url: str | None, api_url: str | None, asked: str | None) -> None:
    assert resolve(queue_url, api_url).api == asked


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize("listed", ["items", "requests", "results", "data", None])
@pytest.mark.parametrize("given", ["json_input", "input", "payload", "arguments", "request"])
def test_other_shapes_are_read_too(listed: str | None, given: str) -> None:
    entry = {"id": "r1", "created_at": "2026-11-21T10:00:00", given: {"seed": 1}, "status": "COMPLETED"}
    body = json.dumps([entry] if listed is None else {listed: [entry, 5, None, {}]}).encode()
    expected = FoundRequest("r1", ENDPOINT, {"seed": 1}, SINCE, "COMPLETED")
    assert read_page(body, ENDPOINT).found == (expected,)


@pytest.mark.parametrize(
    ("more", "arguments"),
    [
        ({"json_input": '{"seed": 3}'}, {"seed": 3}),
        ({"json_input": "{broken"}, None),
        ({"json_input": None, "payloads": {"input": {"seed": 4}, "output": None}}, {"seed": 4}),
        ({"json_input": None}, None),
        ({"json_input": 5}, None),
    ],
)
def test_a_payload_is_read_in_every_wrapping(more: Mapping[str, object], arguments: object) -> None:
    body = json.dumps({"items": [item(1, **more)]}).encode()
    assert read_page(body, ENDPOINT).found[0].arguments == arguments


@pytest.mark.parametrize(
    ("more", "status"),
    [({"status_code": 200}, "success"), ({"status_code": 422}, "error"), ({"status_code": True}, None), ({}, None)],
)
def test_the_status_is_none_before_the_end(more: Mapping[str, object], status: str | None) -> None:
    assert read_page(json.dumps({"items": [item(1, **more)]}).encode(), ENDPOINT).found[0].status == status


@pytest.mark.parametrize("sent_at", ["yesterday", "", 5, None, "9999-99-99", "0001-01-01T00:00:00+14:00"])
def test_an_unreadable_time_is_passed_over(sent_at: object) -> None:
    body = json.dumps({"items": [item(1, sent_at=sent_at, started_at=None)]}).encode()
    assert read_page(body, ENDPOINT).found[0].created_at is None


# ---------------------------------------------------------------------- matching


def found(arguments: Mapping[str, Json] | None) -> FoundRequest:
    return FoundRequest("r1", ENDPOINT, arguments, SINCE, None)


SENT: dict[str, Json] = {
    "prompt": "a hare",
    "seed": 7,
    "guidance_scale": 3.5,
    "image_size": {"width": 64, "height": 64},
    "loras": [{"path": "p", "scale": 1}],
    "enable_safety_checker": True,
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_images": 1, "sync_mode": False},
        {"guidance_scale": 3.500000001},
        {"seed": 7.0},
        {"image_size": {"width": 64.0, "height": 64, "unit": "px"}},
        {"loras": [{"path": "p", "scale": 1.0, "weight_name": None}]},
    ],
)
def test_what_fal_adds_or_writes_otherwise_still_matches(changes: dict[str, Json]) -> None:
    assert matches(SENT, found({**SENT, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "a hare "},
        {"seed": 8},
        {"seed": 7.1},
        {"seed": "7"},
        {"seed": None},
        {"guidance_scale": 3.6},
        {"image_size": {"width": 64}},
        {"image_size": "square"},
        {"loras": []},
        {"loras": [{"path": "p", "scale": 1}, {"path": "q", "scale": 1}]},
        {"enable_safety_checker": 1},
        {"enable_safety_checker": False},
    ],
)
def test_anything_else_is_another_request(changes: dict[str, Json]) -> None:
    assert not matches(SENT, found({**SENT, **changes}))


def test_neighbouring_seeds_are_never_taken_for_each_other() -> None:
    for seed in (0, 1, 2**31 - 1, 2**32 - 1):
        assert matches({"seed": seed}, found({"seed": seed}))
        assert matches({"seed": seed}, found({"seed": float(seed)}))
        assert not matches({"seed": seed}, found({"seed": seed + 1}))
        assert not matches({"seed": seed}, found({"seed": float(seed + 1)}))


def test_without_payload_or_without_anything_sent_nothing_matches() -> None:
    assert not matches(SENT, found(None))
    assert not matches({}, found(SENT))
    assert matches({"a": None, "b": 1}, found({"b": 1}))


# ---------------------------------------------------------------------- a request by its id


async def test_a_request_known_by_its_id_has_the_documented_addresses(fake: FakeFal, fal: Fal) -> None:
    request = fal.request_for(ENDPOINT, "r1")
    assert request == fake.request(1)


@pytest.mark.parametrize("request_id", ["", "..", "../x", "a/b", "a?b", "é", "x" * 201, " a", "a\n"])
async def test_what_can_be_no_id_makes_no_address(fal: Fal, request_id: str) -> None:
    with pytest.raises(ValueError, match="no such request id"):
        fal.request_for(ENDPOINT, request_id)


@pytest.mark.parametrize(
    ("status", "body", "known"),
    [
        (202, {"status": "IN_QUEUE", "queue_position": 3}, True),
        (202, {"status": "IN_PROGRESS", "logs": None}, True),
        (200, {"status": "COMPLETED", "logs": None}, True),
        (404, {"status": "NOT_FOUND"}, False),
        (401, {"detail": "no"}, None),
        (422, {"detail": "no"}, None),
    ],
)
async def test_a_status_tells_whether_fal_has_a_request(
    fake: FakeFal, fal: Fal, status: int, body: dict[str, Json], known: bool | None
) -> None:
    fake.always("status", json_reply(body, status))
    assert await fal.knows(fal.request_for(ENDPOINT, "r1")) is known


@pytest.mark.parametrize("status", [404, 429, 502])
async def test_a_page_in_place_of_a_status_tells_nothing(fake: FakeFal, fal: Fal, status: int) -> None:
    fake.always("status", html(status))
    with pytest.raises(ProviderUnreachable):
        await fal.knows(fal.request_for(ENDPOINT, "r1"))
