from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from dataclasses import replace

import pytest
from aiohttp import web

from bot.domain.job import FalRequest
from bot.errors import BalanceExhausted, KeyRefused, ProviderError, RequestNotFound
from bot.fal import CompletedStatus, Fal, InProgressStatus, InQueueStatus, Status
from bot.fal.stream import EventParser, NotAStream
from tests.fal.fake import (
    COMPLETED,
    FAST,
    QUEUED,
    WORKING,
    FakeFal,
    Reply,
    bodies,
    drops,
    event,
    hangs,
    html,
    json_reply,
    line,
    model,
    sends,
    streams,
)


async def watched(fal: Fal, request: FalRequest, expected_s: float = 0.0) -> list[Status]:
    """Everything said until the end."""
    async with asyncio.timeout(20), aclosing(fal.watch(request, expected_s=expected_s)) as statuses:
        return [status async for status in statuses]


# ---------------------------------------------------------------------- the stream


async def test_a_streamed_job_costs_four_calls_from_submit_to_picture(fake: FakeFal, fal: Fal) -> None:
    fake.always("stream", streams(event(QUEUED), event(WORKING), event(COMPLETED)))

    request = await fal.submit("owner/alias", {"prompt": "x"}, start_timeout_s=60)
    await watched(fal, request, 5)
    result = await fal.result(request, model=model())
    await fal.download(result.pictures[0], max_bytes=1000)

    assert fake.kinds() == ["submit", "stream", "result", "media"]


async def test_a_stream_reports_position_lines_and_end_once_each(fake: FakeFal, fal: Fal) -> None:
    first, second = line("10%|█ | 1/10 [", "t1"), line("20%|██ | 2/10 [", "t2")
    sent = [
        QUEUED,
        QUEUED,
        {**QUEUED, "queue_position": 0},
        {"status": "IN_PROGRESS", "logs": None},
        WORKING,
        {"status": "IN_PROGRESS", "logs": [first]},
        {"status": "IN_PROGRESS", "logs": [second]},
        {"status": "IN_PROGRESS", "logs": [second]},
        COMPLETED,
    ]
    fake.always("stream", streams(*map(event, sent)))

    assert await watched(fal, fake.request()) == [
        InQueueStatus(2),
        InQueueStatus(0),
        InProgressStatus(),
        InProgressStatus((first["message"],)),
        InProgressStatus((second["message"],)),
        CompletedStatus(),
    ]
    assert fake.seen[0].query == {"logs": "1"}
    assert fake.seen[0].headers["Accept"] == "text/event-stream"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_stream_split_anywhere_is_put_together(fake: FakeFal, fal: Fal, newline: str, size: int) -> None:
    text = newline.join(
        [
            "\ufeff: heartbeat",
            "event: status",
            "id: 1",
            'data: {"status": "IN_PROGRESS",',
            'data: "logs": [{"message": "█▌ naïve 3/4 [", "timestamp": "t"}]}',
            "",
            "",
            ":",
            "data: this is no JSON",
            "",
            "data: [1, 2]",
            "",
            "retry: 10",
            'data:{"status":"COMPLETED"}',
            "",
            "",
        ]
    ).encode()
    fake.always("stream", streams(*(text[at : at + size] for at in range(0, len(text), size))))

    assert await watched(fal, fake.request()) == [InProgressStatus(("█▌ naïve 3/4 [",)), CompletedStatus()]
    assert fake.calls() == 1


async def test_a_last_event_without_its_empty_line_still_counts(fake: FakeFal, fal: Fal) -> None:
    fake.always("stream", streams(event(QUEUED), json.dumps(COMPLETED).join(("data: ", "")).encode()))

    assert await watched(fal, fake.request()) == [InQueueStatus(2), CompletedStatus()]
    assert fake.calls() == 1


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["one long line", "many lines"])
def test_an_event_without_end_is_not_kept_in_memory(end: bytes) -> None:
    parser = EventParser(max_event_bytes=1000)

    def feed() -> None:
        for _ in range(20):
            list(parser.feed(b"data: " + b"x" * 90 + end))

    with pytest.raises(NotAStream):
        feed()


async def test_nothing_is_read_past_the_end(fake: FakeFal, fal: Fal) -> None:
    async def forever(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    fake.always("stream", streams(event(COMPLETED), then=forever))

    assert await watched(fal, fake.request()) == [CompletedStatus()]


async def test_a_failed_job_completes_with_its_error_type(fake: FakeFal, fal: Fal) -> None:
    fake.enqueue("stream", streams(event({**COMPLETED, "error": "timed out", "error_type": "request_timeout"})))
    fake.enqueue("stream", streams(event({**COMPLETED, "error": "Invalid status code: 422"})))

    assert await watched(fal, fake.request()) == [CompletedStatus("request_timeout")]
    assert await watched(fal, fake.request()) == [CompletedStatus("error")]


async def test_an_unknown_status_is_taken_for_work(fake: FakeFal, fal: Fal, caplog: pytest.LogCaptureFixture) -> None:
    odd = {"status": "REHEATING-ONCE-MORE"}
    fake.always("stream", streams(event(odd), event(odd), event({"status": None}), event(COMPLETED)))

    assert await watched(fal, fake.request()) == [InProgressStatus(), CompletedStatus()]
    assert sum("unknown status" in record.message for record in caplog.records) == 2


async def test_the_streams_address_keeps_the_query_of_the_status_url(fake: FakeFal, fal: Fal) -> None:
    request = replace(fake.request(), status_url=fake.request().status_url + "?app=a%2Fb&logs=0")

    await watched(fal, request)

    assert fake.seen[0].path.endswith("/status/stream")
    assert fake.seen[0].query == {"app": "a/b", "logs": "1"}


# ---------------------------------------------------------------------- from stream to polls and back

BROKEN: dict[str, Reply] = {
    "closed early": streams(event(QUEUED)),
    "closed at once": streams(),
    "dropped": drops,
    "dropped after a word": streams(event(QUEUED), then=drops),
    "500": html(500),
    "429": json_reply({}, 429),
    "an event without end": streams(*[b"data: " + b"x" * 300_000] * 8),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_after_a_broken_stream_the_status_is_polled_at_once_and_the_job_goes_on(
    fake: FakeFal, fal: Fal, case: str
) -> None:
    fake.always("stream", BROKEN[case])
    fake.enqueue("status", json_reply(WORKING), json_reply(WORKING))

    statuses = await watched(fal, fake.request(), expected_s=1000)

    assert statuses[-2:] == [InProgressStatus(), CompletedStatus()]
    # aiohttp itself repeats a GET once when the connection closes before any answer.
    assert fake.calls("stream") == FAST.stream_tries * (2 if case == "dropped" else 1)
    assert fake.kinds().index("status") < fake.calls("stream")


async def test_a_stream_without_a_byte_is_given_up(fake: FakeFal) -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    fake.always("stream", streams(event(QUEUED), then=silent))

    async with fake.fal(timings=replace(FAST, stream_idle_s=0.05)) as fal:
        assert await watched(fal, fake.request(), 1000) == [InQueueStatus(2), CompletedStatus()]


async def test_after_heartbeats_alone_the_status_is_polled(fake: FakeFal) -> None:
    async def heartbeats(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(b": ping\n\n")
            await asyncio.sleep(0.005)

    fake.always("stream", heartbeats)

    async with fake.fal(timings=replace(FAST, stream_quiet_s=0.05)) as fal:
        assert await watched(fal, fake.request(), 1000) == [CompletedStatus()]


async def test_a_stream_that_was_useful_is_opened_again_and_again(fake: FakeFal) -> None:
    fake.enqueue("stream", *[streams(event({**QUEUED, "queue_position": place})) for place in (5, 4, 3, 2)])
    fake.enqueue("status", *bodies(*[{**QUEUED, "queue_position": place} for place in (4, 3, 2, 1)]))

    async with fake.fal(timings=replace(FAST, stream_useful_s=0)) as fal:
        statuses = await watched(fal, fake.request())

    assert statuses == [
        InQueueStatus(5),
        InQueueStatus(4),
        InQueueStatus(3),
        InQueueStatus(2),
        InQueueStatus(1),
        CompletedStatus(),
    ]
    assert fake.kinds() == ["stream", "status"] * 4 + ["stream"]


NO_STREAM: dict[str, Reply] = {
    "405": json_reply({"detail": "Method Not Allowed"}, 405),
    "501": html(501, b""),
    "a plain status": json_reply(WORKING),
    "a page": html(200),
}


@pytest.mark.parametrize("case", NO_STREAM)
async def test_a_server_without_streams_is_asked_for_one_once(fake: FakeFal, fal: Fal, case: str) -> None:
    fake.always("stream", NO_STREAM[case])

    for number in range(5):
        await watched(fal, fake.request(number))

    assert fake.calls("stream") == 1


async def test_the_second_404_for_streams_counts(fake: FakeFal, fal: Fal) -> None:
    fake.always("stream", json_reply({"detail": "Path /status/stream not found"}, 404))

    for number in range(5):
        await watched(fal, fake.request(number))

    assert fake.calls("stream") == 2


async def test_a_request_too_young_for_the_stream_does_not_end_streams(fake: FakeFal, fal: Fal) -> None:
    young = json_reply({"status": "NOT_FOUND"}, 404)
    for number in range(6):
        if number % 2:
            fake.enqueue("stream", young)
        else:
            fake.enqueue("stream", streams(event(COMPLETED)))

    for number in range(6):
        await watched(fal, fake.request(number))

    assert fake.calls("stream") == 6


async def test_streams_found_missing_are_tried_again_later(fake: FakeFal) -> None:
    fake.enqueue("stream", json_reply({}, 405))

    async with fake.fal(timings=replace(FAST, stream_missing_s=0)) as fal:
        await watched(fal, fake.request(1))
        await watched(fal, fake.request(2))

    assert fake.kinds() == ["stream", "status", "stream"]


async def test_beyond_max_streams_jobs_are_polled(fake: FakeFal) -> None:
    release = asyncio.Event()

    async def stays_open(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    fake.always("stream", streams(event(QUEUED), then=stays_open))
    fake.always("status", json_reply(COMPLETED))

    async with fake.fal(max_streams=3) as fal:
        streaming = [fal.watch(fake.request(number), expected_s=0) for number in range(3)]
        for statuses in streaming:
            assert await anext(statuses) == InQueueStatus(2)
        assert await watched(fal, fake.request(9)) == [CompletedStatus()]
        assert fake.calls("stream") == 3
        for statuses in streaming:
            await statuses.aclose()
        fake.enqueue("stream", streams(event(COMPLETED)))
        await watched(fal, fake.request(10))  # a closed watch gives its stream back
        assert fake.calls("stream") == 3 + 1
        release.set()


async def test_lines_from_the_stream_are_not_repeated_by_polls(fake: FakeFal) -> None:
    old, new = line("1/4 [", "t1"), line("2/4 [", "t2")
    fake.always("stream", streams(event({"status": "IN_PROGRESS", "logs": [old]})))
    fake.enqueue("status", json_reply({"status": "IN_PROGRESS", "logs": [old, new]}), json_reply(COMPLETED))

    async with fake.fal(timings=replace(FAST, stream_tries=1)) as fal:
        assert await watched(fal, fake.request()) == [
            InProgressStatus(("1/4 [",)),
            InProgressStatus(("2/4 [",)),
            CompletedStatus(),
        ]


# ---------------------------------------------------------------------- polls


async def test_a_polled_job_of_known_duration_costs_four_calls(fake: FakeFal) -> None:
    takes_s = 0.2
    loop = asyncio.get_running_loop()
    started_at = float("inf")

    async def status(_: web.Request) -> web.StreamResponse:
        return web.json_response(COMPLETED if loop.time() >= started_at + takes_s else WORKING)

    fake.always("status", status)
    async with fake.fal(max_streams=0, timings=replace(FAST, first_poll_s=10)) as fal:
        request = await fal.submit("owner/alias", {"prompt": "x"}, start_timeout_s=60)
        started_at = loop.time()
        await watched(fal, request, takes_s)
        result = await fal.result(request, model=model())
        await fal.download(result.pictures[0], max_bytes=1000)

    assert fake.kinds() == ["submit", "status", "result", "media"]


async def test_polled_logs_are_cumulative_and_yielded_once(fake: FakeFal) -> None:
    logs = [line("1/4 ["), line("1/4 ["), line("2/4 [")]
    fake.enqueue("status", *bodies(*({"status": "IN_PROGRESS", "logs": logs[:count]} for count in (0, 1, 2, 2, 3))))

    async with fake.fal(max_streams=0) as fal:
        statuses = await watched(fal, fake.request())

    assert statuses == [
        InProgressStatus(),
        InProgressStatus(("1/4 [",)),
        InProgressStatus(("1/4 [",)),
        InProgressStatus(("2/4 [",)),
        CompletedStatus(),
    ]
    assert all(seen.query == {"logs": "1"} for seen in fake.seen)


async def test_status_codes_200_and_202_mean_what_the_body_says(fake: FakeFal) -> None:
    fake.enqueue("status", json_reply(QUEUED, 202), json_reply(WORKING, 200), json_reply(COMPLETED, 202))

    async with fake.fal(max_streams=0) as fal:
        assert await watched(fal, fake.request()) == [InQueueStatus(2), InProgressStatus(), CompletedStatus()]


async def test_logs_that_are_too_large_are_left_out(fake: FakeFal) -> None:
    async def status(request: web.Request) -> web.StreamResponse:
        logs = [line("x" * 1000, str(number)) for number in range(3000)] if request.query["logs"] == "1" else None
        return web.json_response({**COMPLETED, "logs": logs})

    fake.always("status", status)
    async with fake.fal(max_streams=0) as fal:
        assert await watched(fal, fake.request()) == [CompletedStatus()]

    assert fake.calls() == 2


async def test_two_hundred_polled_jobs_share_few_requests(fake: FakeFal) -> None:
    polls: Counter[str] = Counter()

    async def status(request: web.Request) -> web.StreamResponse:
        polls[request.path] += 1
        await asyncio.sleep(0.002)
        return web.json_response(COMPLETED if polls[request.path] == 3 else WORKING)

    fake.always("status", status)
    async with fake.fal(max_streams=0, timings=replace(FAST, polls_at_once=8)) as fal:
        ends = await asyncio.gather(*(watched(fal, fake.request(number)) for number in range(200)))

    assert all(end == [InProgressStatus(), CompletedStatus()] for end in ends)
    assert set(polls.values()) == {3}
    assert fake.most_at_once["status"] <= 8


async def test_a_watch_that_is_given_up_is_not_polled_any_more(fake: FakeFal) -> None:
    async with fake.fal(max_streams=0) as fal:
        given_up = asyncio.create_task(watched(fal, fake.request(1), expected_s=1000))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await watched(fal, fake.request(2), expected_s=1000)  # due after the first

    assert [seen.path for seen in fake.seen] == ["/owner/alias/requests/r2/status"]


# ---------------------------------------------------------------------- trouble

USELESS: dict[str, Reply] = {
    "dropped": drops,
    "500": json_reply({"detail": "x"}, 500),
    "502 page": html(502),
    "503": html(503),
    "429": json_reply({}, 429),
    "429 with a wait": json_reply({}, 429, Retry_After="0.01"),
    "200 page": html(200),
    "200 empty": sends(b""),
    "200 list": json_reply([]),
    "403 of a firewall": html(403),
    "404 page": html(404),
    "redirect": json_reply({}, 302, Location="/"),
}


@pytest.mark.parametrize("case", USELESS)
async def test_useless_answers_are_retried(fake: FakeFal, case: str) -> None:
    fake.enqueue("status", *[USELESS[case]] * 6)

    async with fake.fal(max_streams=0) as fal:
        assert await watched(fal, fake.request()) == [CompletedStatus()]

    assert fake.calls() == 7


async def test_in_an_outage_a_thousand_jobs_ask_one_at_a_time(fake: FakeFal) -> None:
    down = True

    async def status(request: web.Request) -> web.StreamResponse:
        if down:
            await asyncio.sleep(0.01)  # long enough for others to come in between, if they may
        return await (html(502) if down else json_reply(COMPLETED))(request)

    fake.always("status", status)
    async with fake.fal(max_streams=0, timings=replace(FAST, polls_at_once=16)) as fal:
        watches = [asyncio.create_task(watched(fal, fake.request(number))) for number in range(1000)]
        await fake.received(16 + 10)
        after_first_wave = fake.most_at_once.copy()
        fake.most_at_once.clear()
        await fake.received(16 + 20)
        in_outage = fake.most_at_once["status"]
        down = False
        ends = await asyncio.gather(*watches)

    assert after_first_wave["status"] <= 16
    assert in_outage == 1
    assert all(end == [CompletedStatus()] for end in ends)


async def test_retry_after_holds_every_poll_back(fake: FakeFal) -> None:
    loop = asyncio.get_running_loop()
    asked_at: list[float] = []

    async def status(request: web.Request) -> web.StreamResponse:
        asked_at.append(loop.time())
        return await (json_reply({}, 429, Retry_After="0.2") if len(asked_at) == 1 else json_reply(COMPLETED))(request)

    fake.always("status", status)
    async with fake.fal(max_streams=0, timings=replace(FAST, polls_at_once=1)) as fal:
        await asyncio.gather(*(watched(fal, fake.request(number)) for number in range(5)))

    assert min(asked_at[1:]) - asked_at[0] >= 0.19


async def test_an_unknown_request_ends_the_watch_when_answered_three_times(fake: FakeFal, fal: Fal) -> None:
    unknown = json_reply({"status": "NOT_FOUND"}, 404)
    fake.always("stream", unknown).always("status", unknown)

    with pytest.raises(RequestNotFound):
        await watched(fal, fake.request())

    assert fake.kinds() == ["stream", "status", "status", "status"]


async def test_a_single_404_is_ignored(fake: FakeFal, fal: Fal) -> None:
    unknown = json_reply({"status": "NOT_FOUND"}, 404)
    fake.always("stream", unknown)
    fake.enqueue("status", unknown, unknown, json_reply(WORKING), unknown, unknown)

    assert await watched(fal, fake.request()) == [InProgressStatus(), CompletedStatus()]


async def test_a_refused_key_ends_the_watch(fake: FakeFal, fal: Fal) -> None:
    refused = json_reply({"detail": "Invalid key"}, 401)
    fake.always("stream", refused).always("status", refused)

    with pytest.raises(KeyRefused):
        await watched(fal, fake.request())


async def test_an_account_without_credit_is_told_apart_from_a_refused_key(fake: FakeFal, fal: Fal) -> None:
    locked = json_reply({"detail": "User is locked. Reason: Exhausted balance. Top up your balance."}, 403)
    fake.always("stream", locked).always("status", locked)

    with pytest.raises(BalanceExhausted):
        await watched(fal, fake.request())


async def test_the_key_is_not_sent_to_a_strangers_host(fake: FakeFal, fal: Fal) -> None:
    stranger = replace(fake.request(), status_url="https://collector.example/requests/1/status")

    with pytest.raises(ProviderError):
        await watched(fal, stranger)


async def test_closing_the_client_ends_its_watches(fake: FakeFal) -> None:
    fake.always("status", json_reply(WORKING))
    async with fake.fal(max_streams=0) as fal:
        watch = asyncio.create_task(watched(fal, fake.request(), expected_s=1000))
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        await watch


async def test_closing_the_client_ends_watches_that_are_just_polling(fake: FakeFal) -> None:
    fake.always("status", hangs)
    async with fake.fal(max_streams=0) as fal:
        watch = asyncio.create_task(watched(fal, fake.request()))
        await fake.received(1)

    with pytest.raises(asyncio.CancelledError):
        await watch


async def test_a_closed_client_takes_no_more_watches(fake: FakeFal) -> None:
    async with fake.fal(max_streams=0) as fal:
        pass

    with pytest.raises(RuntimeError, match="closed"):
        await watched(fal, fake.request())
