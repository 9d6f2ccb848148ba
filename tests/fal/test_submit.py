from __future__ import annotations

import asyncio
import json
import socket
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote_plus

import pytest
from aiohttp import web

from bot import metrics
from bot.domain.request import Json
from bot.errors import (
    BalanceExhausted,
    ContentRefused,
    EaselError,
    KeyRefused,
    ModelGone,
    OptionsRefused,
    ProviderError,
    ProviderUnreachable,
    SubmitUnconfirmed,
)
from bot.fal import Fal
from tests.english import raises_saying
from tests.fal.fake import FAST, KEY, RETIRED, FakeFal, Reply, drops, hangs, html, json_reply, model, sends, tears

ARGUMENTS: dict[str, Json] = {
    "prompt": "a hare, naïve\n“quoted”",
    "seed": 2**40,
    "image_size": {"width": 64, "height": 64},
}


async def test_a_submit_is_one_post_of_the_bare_arguments_with_key_and_deadline(fake: FakeFal, fal: Fal) -> None:
    request = await fal.submit("owner/alias/deep/path", ARGUMENTS, start_timeout_s=600, store_payload=True)

    (seen,) = fake.seen
    assert (seen.method, seen.path) == ("POST", "/owner/alias/deep/path")
    assert json.loads(seen.body) == ARGUMENTS
    assert seen.headers["Authorization"] == f"Key {KEY}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["X-Fal-Request-Timeout"] == "600.0"
    assert "X-Fal-Store-IO" not in seen.headers
    assert request == fake.request(1)


@pytest.mark.parametrize(("operator_stores", "order_stores"), [(False, True), (True, False), (False, False)])
async def test_fal_is_told_not_to_store_when_either_side_says_so(
    fake: FakeFal, operator_stores: bool, order_stores: bool
) -> None:
    async with fake.fal(store_payloads=operator_stores) as fal:
        await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60, store_payload=order_stores)

    assert fake.seen[0].headers["X-Fal-Store-IO"] == "0"


LOST: dict[str, Reply] = {
    "connection dropped": drops,
    "500 page": html(500, b"oops"),
    "500": json_reply({"detail": "Internal Server Error"}, 500),
    "502": html(502),
    "504": html(504),
    "503 of a gateway that had passed it on": json_reply(
        {"detail": "upstream connect error or disconnect/reset before headers"}, 503
    ),
    "503 page with a request id": html(503, x_fal_request_id="r1"),
    "empty 200": sends(b"", 200),
    "200 page": html(200),
    "no request id": json_reply({"status": "IN_QUEUE"}),
    "empty request id": json_reply({"request_id": ""}),
    "request id that is a path": json_reply({"request_id": "../../evil"}),
    "a list": json_reply(["r1"]),
    "truncated 200": tears(b'{"request_id": "r1", "status_ur', 500),
}


@pytest.mark.parametrize("case", LOST)
async def test_an_ambiguous_answer_is_unconfirmed_after_exactly_one_post(fake: FakeFal, fal: Fal, case: str) -> None:
    fake.always("submit", LOST[case])

    with pytest.raises(SubmitUnconfirmed):
        await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    assert fake.calls() == 1


#: Answers with a 5xx, and the id of the request that each names.
NAMED: dict[str, tuple[Reply, str | None]] = {
    "500": (json_reply({"detail": "Internal Server Error"}, 500, X_Fal_Request_Id="r1"), "r1"),
    "page": (html(503, x_fal_request_id="r1"), "r1"),
    "with a time to come back": (json_reply({"detail": "busy"}, 503, Retry_After="30", X_Fal_Request_Id="r1"), "r1"),
    "gateway": (html(504), None),
    "a path": (json_reply({"detail": "broken"}, 500, X_Fal_Request_Id="../../evil"), None),
    "empty": (json_reply({"detail": "broken"}, 500, X_Fal_Request_Id=""), None),
}


@pytest.mark.parametrize("case", NAMED)
async def test_a_5xx_says_which_request_fal_may_have_taken(fake: FakeFal, fal: Fal, case: str) -> None:
    reply, named = NAMED[case]
    fake.always("submit", reply)

    with pytest.raises(SubmitUnconfirmed) as caught:
        await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    assert (caught.value.refused, caught.value.request_id, fake.calls()) == (True, named, 1)


async def test_a_server_that_takes_the_request_and_hangs_got_one_post(fake: FakeFal) -> None:
    fake.always("submit", hangs)

    async with fake.fal(timings=replace(FAST, submit_s=0.3)) as fal:
        with pytest.raises(SubmitUnconfirmed):
            await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    assert fake.calls() == 1


async def test_a_connection_that_was_kept_and_died_is_not_posted_to_again(fake: FakeFal, fal: Fal) -> None:
    fake.enqueue("submit", json_reply({"request_id": "r1"}), drops)
    await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    with pytest.raises(SubmitUnconfirmed):
        await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    assert fake.calls() == 2


async def test_nobody_listening_means_it_never_left() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with Fal(key=KEY, queue_url=url, timings=FAST) as fal:
            with pytest.raises(ProviderUnreachable):
                await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)


async def test_a_server_that_speaks_no_tls_means_it_never_left(fake: FakeFal) -> None:
    async with Fal(key=KEY, queue_url=fake.url.replace("http:", "https:"), timings=FAST) as fal:
        with pytest.raises(ProviderUnreachable):
            await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    assert fake.calls() == 0


async def test_running_out_of_time_for_a_free_connection_means_it_never_left(fake: FakeFal) -> None:
    fake.always("submit", hangs)
    async with fake.fal(timings=replace(FAST, calls_at_once=1, submit_s=0.3)) as fal:
        first = asyncio.create_task(fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60))
        await fake.received(1)
        second = asyncio.create_task(fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60))
        outcomes = await asyncio.gather(first, second, return_exceptions=True)

    assert isinstance(outcomes[0], SubmitUnconfirmed)
    # The second may get the connection that the first gave up at the last moment; then one more POST was seen.
    assert isinstance(outcomes[1], ProviderUnreachable if fake.calls() == 1 else SubmitUnconfirmed)


TURNED_AWAY: dict[str, tuple[Reply, float | None]] = {
    "429 with seconds": (json_reply({"detail": "slow down"}, 429, Retry_After="7"), 7.0),
    "429 with an absurd wait": (json_reply({}, 429, Retry_After="100000"), FAST.retry_after_max_s),
    "429 with a date": (json_reply({}, 429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), 0.0),
    "429 with words": (json_reply({}, 429, Retry_After="soon"), None),
    "429 with nan": (json_reply({}, 429, Retry_After="nan"), None),
    "429": (json_reply({"detail": "slow down"}, 429), None),
    "408": (json_reply({}, 408), None),
    "409": (json_reply({}, 409), None),
    "503 page of the ingress": (html(503), None),
    "503 with a time to come back": (json_reply({"detail": "maintenance"}, 503, Retry_After="30"), 30.0),
}


@pytest.mark.parametrize("case", TURNED_AWAY)
async def test_being_turned_away_before_the_queue_is_safe_to_repeat(fake: FakeFal, fal: Fal, case: str) -> None:
    reply, retry_after_s = TURNED_AWAY[case]
    fake.always("submit", reply)

    with pytest.raises(ProviderUnreachable) as caught:
        await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    assert caught.value.retry_after_s == retry_after_s
    assert fake.calls() == 1


BALANCE = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."


REFUSALS: dict[str, tuple[Reply, type[EaselError]]] = {
    "wrong key": (json_reply({"detail": "Invalid key"}, 401), KeyRefused),
    "wrong key, as a page": (html(401, b"no"), KeyRefused),
    "forbidden": (json_reply({"detail": "Forbidden"}, 403), KeyRefused),
    "no money": (json_reply({"detail": BALANCE}, 403), BalanceExhausted),
    "payment required": (json_reply({}, 402), BalanceExhausted),
    "a firewall in between": (html(403), ProviderError),
    "no such application": (json_reply({"detail": "Application 'owner/alias' not found"}, 404), ModelGone),
    "no such page": (html(404), ModelGone),
    "gone": (json_reply({"detail": "gone"}, 410), ModelGone),
    "validation": (json_reply({"detail": [{"loc": ["body", "seed"], "type": "int_type"}]}, 422), OptionsRefused),
    "bad request": (json_reply({"detail": "bad"}, 400), OptionsRefused),
    "too large": (html(413), OptionsRefused),
    "content policy": (
        json_reply({"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation"}]}, 422),
        ContentRefused,
    ),
    "redirect": (json_reply({}, 307, Location="/elsewhere"), ProviderError),
    "not allowed": (json_reply({}, 405), ProviderError),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_definite_refusal_is_the_end_of_the_job(fake: FakeFal, fal: Fal, case: str) -> None:
    reply, error = REFUSALS[case]
    fake.always("submit", reply)

    with pytest.raises(error):
        await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60)

    assert fake.calls() == 1


async def test_a_gone_model_is_named(fake: FakeFal, fal: Fal) -> None:
    fake.always("submit", json_reply({"detail": "not found"}, 404))

    with raises_saying(ModelGone, match="Alias One is no longer offered"):
        await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60, model=RETIRED)


async def test_addresses_on_a_strangers_host_are_replaced_by_the_documented_ones(fake: FakeFal, fal: Fal) -> None:
    stranger = "https://collector.example/owner/alias/requests/r9"
    fake.always(
        "submit",
        json_reply({"request_id": "r9", "status_url": stranger + "/status", "response_url": stranger, "cancel_url": 5}),
    )

    request = await fal.submit("owner/alias/deep/path", ARGUMENTS, start_timeout_s=60)

    assert request == fake.request(9)


async def test_cancelling_the_task_leaves_one_post_behind(fake: FakeFal, fal: Fal) -> None:
    fake.always("submit", hangs)
    task = asyncio.create_task(fal.submit("owner/alias", ARGUMENTS, start_timeout_s=60))
    await fake.received(1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert fake.calls() == 1


async def test_prompt_and_key_never_reach_the_log(fake: FakeFal, fal: Fal, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="bot")
    fake.always("submit", json_reply({"detail": [{"loc": ["body"], "msg": "hare", "input": "hare", "type": "x"}]}, 422))

    with pytest.raises(OptionsRefused) as caught:
        await fal.submit("owner/alias", {"prompt": "hare"}, start_timeout_s=60)

    assert "hare" not in caplog.text + str(caught.value) + "".join(str(vars(record)) for record in caplog.records)
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "webhook_url",
    ["https://a.b/fal/job/1/proof", "https://a.b/c?x=1&y=%2F+z#f", "https://a.b/ü ö", "http://127.0.0.1:8/fal/j/1/p"],
)
async def test_the_callback_address_is_sent_encoded_exactly_once(fake: FakeFal, fal: Fal, webhook_url: str) -> None:
    async def raw(request: web.Request) -> web.StreamResponse:
        raws.append(request.raw_path)
        return web.json_response({"request_id": "r1"})

    raws: list[str] = []
    fake.enqueue("submit", raw)
    await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=600, webhook_url=webhook_url)
    (seen,) = fake.seen
    assert seen.query == {"fal_webhook": webhook_url}
    assert raws == [f"/owner/alias?fal_webhook={quote_plus(webhook_url)}"]


async def test_every_submit_is_counted_by_its_outcome(fake: FakeFal, fal: Fal) -> None:
    def counted() -> dict[str, float]:
        return {
            name: metrics.REGISTRY.get_sample_value("easel_submits_total", {"outcome": name}) or 0.0
            for name in metrics.SUBMITS
        }

    before = counted()
    fake.enqueue("submit", drops, html(502), json_reply({}, 429), json_reply({}, 422), json_reply({}, 200))
    for _ in range(5):
        with pytest.raises(EaselError):
            await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=600)
    await fal.submit("owner/alias", ARGUMENTS, start_timeout_s=600)
    assert {name: count - before[name] for name, count in counted().items()} == {
        "accepted": 1,
        "refused": 1,
        "unreachable": 1,
        "unconfirmed": 3,
    }


async def test_fal_calls_are_counted_by_kind(fake: FakeFal, fal: Fal) -> None:
    def counted() -> dict[str, float]:
        return {
            kind: metrics.REGISTRY.get_sample_value("easel_fal_calls_total", {"call": kind}) or 0.0
            for kind in metrics.FAL_CALLS
        }

    before = counted()
    request = await fal.submit("owner/alias", {}, start_timeout_s=600)
    async with aclosing(fal.watch(request, expected_s=0)) as statuses:
        async for _ in statuses:
            pass
    result = await fal.result(request, model=model())
    await fal.download(result.pictures[0], max_bytes=1000)
    await fal.cancel(request)
    now = datetime.now(UTC)
    await fal.find_requests("owner/alias", since=now, until=now)
    after = counted()
    assert {kind: after[kind] - before[kind] for kind in after} == {
        "submit": 1,
        "stream": 1,
        "poll": 0,
        "result": 1,
        "media": 1,
        "cancel": 1,
        "list": 1,
        "upload": 0,
    }
