"""What a 429 forbids, and what is dropped when many have come. The clock is the test's."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from bot.discord import rate_limits
from bot.discord.rate_limits import ApiCall, Priority, RateLimits

EDIT = ApiCall("PATCH", "/webhooks/1/aaa/messages/@original", as_bot=False)
OTHER_EDIT = ApiCall("PATCH", "/webhooks/1/bbb/messages/@original", as_bot=False)
ANSWER = ApiCall("POST", "/interactions/5/ccc/callback", as_bot=False)
POST = ApiCall("POST", "/channels/7/messages", as_bot=True)
OTHER_POST = ApiCall("POST", "/channels/8/messages", as_bot=True)
NORMAL = Priority.NORMAL


class ManualClock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_rate_limit() -> tuple[RateLimits, ManualClock]:
    clock = ManualClock()
    return RateLimits(clock), clock


def of(scope: str, bucket: str = "b") -> CIMultiDict[str]:
    headers = CIMultiDict({"Via": "1.1 google", "Retry-After": "2", "X-RateLimit-Scope": scope})
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    else:
        headers["X-RateLimit-Bucket"] = bucket
    return headers


EDGE = CIMultiDict({"Retry-After": "2"})


def limited(limits: RateLimits) -> set[ApiCall]:
    return {one for one in (EDIT, OTHER_EDIT, ANSWER, POST, OTHER_POST) if limits.wait_s(one, NORMAL) > 0}


@pytest.mark.parametrize(
    ("call", "headers", "expected"),
    [
        (EDIT, of("user"), {EDIT}),
        (POST, of("user"), {POST}),
        (POST, of("shared"), {POST}),
        (POST, of("global"), {POST, OTHER_POST}),
        (EDIT, of("global"), {EDIT, OTHER_EDIT, ANSWER, POST, OTHER_POST}),
        (POST, EDGE, {EDIT, OTHER_EDIT, ANSWER, POST, OTHER_POST}),
    ],
)
def test_a_429_holds_its_scope_and_nothing_else(
    call: ApiCall, headers: CIMultiDict[str], expected: set[ApiCall]
) -> None:
    limits, clock = a_rate_limit()
    limits.record_response(call, 429, headers, 1.5)
    assert limited(limits) == expected
    clock.now += 1.6
    assert limited(limits) == set()


def test_routes_of_one_bucket_wait_together() -> None:
    limits, _ = a_rate_limit()
    remove = ApiCall("DELETE", "/channels/7/messages/9", as_bot=True)
    for call in (POST, remove):
        limits.record_response(call, 200, of("user", "the same"))
    limits.record_response(POST, 429, of("user", "the same"), 1.0)
    assert limits.wait_s(remove, NORMAL) > 0
    assert limits.wait_s(ApiCall("DELETE", "/channels/8/messages/9", as_bot=True), NORMAL) == 0


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("3", 3.0),
        ("0.25", 0.25),
        (None, rate_limits.DEFAULT_RETRY_AFTER_S),
        ("soon", rate_limits.DEFAULT_RETRY_AFTER_S),
    ],
)
def test_cloudflares_header_is_obeyed_and_its_absence_is_not_taken_for_no_wait(
    header: str | None, expected_s: float
) -> None:
    limits, _ = a_rate_limit()
    headers = CIMultiDict({} if header is None else {"Retry-After": header})
    assert limits.record_response(EDIT, 429, headers) == expected_s
    assert expected_s <= limits.wait_s(POST, NORMAL) <= expected_s + 0.1


def test_shared_limits_do_not_count_and_the_others_count_for_ten_minutes() -> None:
    limits, clock = a_rate_limit()
    limits.record_response(POST, 429, of("shared"), 0.1)
    assert limits.refused == 0
    for status, headers in ((401, {}), (403, {}), (429, of("user")), (429, EDGE)):
        limits.record_response(POST, status, headers, 0.1)
    assert limits.refused == 4
    clock.now += rate_limits.WINDOW_S - 1
    assert limits.refused == 4
    clock.now += rate_limits.SLICE_S + 2
    assert limits.refused == 0


def refuse(limits: RateLimits, times: int) -> None:
    for _ in range(times):
        limits.record_response(POST, 403, {})


def test_progress_is_dropped_first_then_everything_is_spaced_then_only_answers_go_then_nothing() -> None:
    limits, clock = a_rate_limit()

    def waits() -> list[bool]:
        return [limits.wait_s(EDIT, one) > 0 for one in (Priority.PROGRESS, NORMAL, Priority.INITIAL_RESPONSE)]

    refuse(limits, rate_limits.NO_PROGRESS_FROM - 1)
    assert waits() == [False, False, False]
    refuse(limits, 1)
    assert waits() == [True, False, False]

    refuse(limits, rate_limits.SLOW_FROM + 500 - rate_limits.NO_PROGRESS_FROM)
    limits.record_send(NORMAL)
    assert 0.4 < limits.wait_s(EDIT, NORMAL) < 0.6
    clock.now += 0.6
    assert waits() == [True, False, False]

    refuse(limits, rate_limits.RESPONSES_ONLY_FROM - limits.refused)
    assert waits() == [True, True, False]
    refuse(limits, rate_limits.NOTHING_FROM - limits.refused)
    assert waits() == [True, True, True]

    clock.now += limits.wait_s(EDIT, Priority.PROGRESS)
    assert waits() == [False, False, False]


def test_whatever_is_refused_there_are_never_more_refusals_in_ten_minutes_than_the_bound() -> None:
    """Every call is refused; initial responses and others are wanted all the time, for an hour."""
    limits, clock = a_rate_limit()
    times: list[float] = []
    end = clock.now + 3600
    while clock.now < end:
        for priority in (Priority.INITIAL_RESPONSE, NORMAL, Priority.PROGRESS):
            if limits.wait_s(EDIT, priority) == 0:
                limits.record_send(priority)
                limits.record_response(EDIT, 403, {})
                times.append(clock.now)
        clock.now += 0.1
    most = max(sum(1 for other in times[i : i + 3000] if other < one + 600) for i, one in enumerate(times))
    assert rate_limits.RESPONSES_ONLY_FROM < most <= rate_limits.NOTHING_FROM


def test_fewer_calls_at_once_after_a_limit_on_everything_and_as_many_as_before_when_it_is_over() -> None:
    limits, _ = a_rate_limit()
    limits.record_response(POST, 429, of("user"), 0.1, under_way=40)
    assert limits.concurrency_window > rate_limits.UNLIMITED_FROM
    limits.record_response(POST, 429, of("global"), 0.1, under_way=40)
    assert limits.concurrency_window == 20
    for _ in range(8):
        limits.record_response(POST, 429, EDGE, 0.1, under_way=40)
    assert limits.concurrency_window == 1
    for _ in range(rate_limits.UNLIMITED_FROM):
        limits.record_response(POST, 200, {})
    assert limits.concurrency_window > rate_limits.UNLIMITED_FROM
