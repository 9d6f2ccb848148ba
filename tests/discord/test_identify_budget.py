"""When the bot may identify."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.discord.identify_budget import (
    CRASH_PAUSES_S,
    CROWDED_PAUSE_S,
    FREE_CRASHES,
    FREE_IDENTIFIES_A_DAY,
    IdentifyHistory,
    Pause,
    SessionStartLimit,
    pause_before_identify,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLENTY = SessionStartLimit(remaining=999, reset_after_s=3600)


def test_an_ordinary_start_identifies_at_once() -> None:
    assert pause_before_identify(IdentifyHistory(), PLENTY, NOW) is None
    assert pause_before_identify(IdentifyHistory().with_identify(NOW), PLENTY, NOW) is None


def test_a_low_limit_of_discord_is_waited_for() -> None:
    low = SessionStartLimit(remaining=3, reset_after_s=1234)
    pause = pause_before_identify(IdentifyHistory().with_identify(NOW), low, NOW)
    assert pause is not None
    assert pause.seconds == 1234


def test_a_restart_loop_never_reaches_a_thousand_identifies_a_day() -> None:
    history, now, identifies = IdentifyHistory(), NOW, 0
    while now < NOW + timedelta(hours=24):
        pause = pause_before_identify(history, None, now)
        now += timedelta(seconds=pause.seconds if pause else 0)
        history = history.with_identify(now)
        now += timedelta(seconds=1)  # killed a second after it identified
        identifies += 1
    assert FREE_IDENTIFIES_A_DAY < identifies < 1000


def test_a_loop_that_is_killed_while_it_pauses_comes_through_and_costs_nothing() -> None:
    history, now = IdentifyHistory(tuple(NOW for _ in range(FREE_IDENTIFIES_A_DAY))), NOW
    for _ in range(20):
        pause = pause_before_identify(history, PLENTY, now)
        if pause is None:
            break
        now += timedelta(seconds=30)  # the supervisor's patience
    assert (now - NOW).total_seconds() == CROWDED_PAUSE_S


def test_pauses_between_crashes_count_from_the_identify_before() -> None:
    history = IdentifyHistory((NOW,), crashes_in_a_row=FREE_CRASHES + 2)
    pause = pause_before_identify(history, PLENTY, NOW + timedelta(seconds=10))
    assert pause is not None
    assert pause.seconds == CRASH_PAUSES_S[2] - 10
    assert pause_before_identify(history, PLENTY, NOW + timedelta(hours=1)) is None


def test_crashes_in_a_row_wait_longer_and_longer() -> None:
    history = IdentifyHistory().with_identify(NOW)
    pauses: list[Pause | None] = []
    for _ in range(FREE_CRASHES + len(CRASH_PAUSES_S) + 2):
        pauses.append(pause_before_identify(history, PLENTY, NOW))
        history = history.crashed(NOW)
    waited = [pause.seconds if pause else 0 for pause in pauses]
    assert waited == [*([0] * FREE_CRASHES), *CRASH_PAUSES_S, CRASH_PAUSES_S[-1], CRASH_PAUSES_S[-1]]


def test_a_run_that_ended_well_resets_earlier_crashes() -> None:
    history = IdentifyHistory(crashes_in_a_row=9).ended_well()
    assert pause_before_identify(history.with_identify(NOW), PLENTY, NOW) is None


def test_crashes_months_apart_are_not_in_a_row() -> None:
    history, now = IdentifyHistory(), NOW
    for _ in range(2 * FREE_CRASHES):
        now += timedelta(days=60)
        history = history.with_identify(now).crashed(now + timedelta(seconds=5))
        assert pause_before_identify(history, PLENTY, now + timedelta(seconds=6)) is None
    assert history.crashes_in_a_row == 1


def test_the_longest_pauses_do_not_break_a_row_of_crashes() -> None:
    history = IdentifyHistory().with_identify(NOW).crashed(NOW)
    history = history.crashed(NOW + timedelta(seconds=CRASH_PAUSES_S[-1] + 600))
    assert history.crashes_in_a_row == 2


def test_a_record_of_before_crash_times_were_kept_is_still_read() -> None:
    history = IdentifyHistory.from_text('{"at": [1794916800.0], "row": 5}')
    assert history.crashes_in_a_row == 5
    assert history.crashed(NOW).crashes_in_a_row == 1


def test_the_longest_reason_counts() -> None:
    history = IdentifyHistory(
        tuple(NOW - timedelta(minutes=1) for _ in range(FREE_IDENTIFIES_A_DAY)), crashes_in_a_row=3
    )
    pause = pause_before_identify(history, PLENTY, NOW)
    assert pause is not None
    assert pause.seconds == CROWDED_PAUSE_S - 60


def test_old_identifies_and_those_from_the_future_are_dropped() -> None:
    history = IdentifyHistory((NOW - timedelta(hours=25), NOW + timedelta(hours=1))).with_identify(NOW)
    assert history.at == (NOW,)


def test_the_record_survives_the_store() -> None:
    history = IdentifyHistory().with_identify(NOW).crashed(NOW)
    assert IdentifyHistory.from_text(history.to_text()) == history


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"at": [1e300]}', '{"at": "x"}', '{"row": "many"}'])
def test_an_unreadable_record_counts_as_none(text: str | None) -> None:
    assert IdentifyHistory.from_text(text) == IdentifyHistory()


@pytest.mark.parametrize("body", [{}, {"session_start_limit": 3}, {"session_start_limit": {"remaining": "x"}}])
def test_an_answer_without_a_limit_is_no_limit(body: dict[str, object]) -> None:
    assert SessionStartLimit.read(body) is None


def test_the_limit_is_read_as_discord_sends_it() -> None:
    body = {"session_start_limit": {"total": 1000, "remaining": 7, "reset_after": 14400000, "max_concurrency": 1}}
    assert SessionStartLimit.read(body) == SessionStartLimit(7, 14400.0)
