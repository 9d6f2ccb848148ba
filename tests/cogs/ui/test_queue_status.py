from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.domain.events import InProgress, Progress, ProviderQueued
from bot.domain.job import JobState
from bot.jobs.queue_status import ConcurrencyCaps, ProviderLoad, WaitReason, at_fal_s, queued_s
from bot.store import QueueStatus
from cogs.ui.queue_status import waiting_page
from tests.cogs.values import a_job, check_card, shown_text
from tests.english import LOCALE

PLACE = QueueStatus(
    ahead=4, waiting=9, in_flight=10, own_in_flight=1, guild_in_flight=3, own_ahead=0, guild_ahead=2, capped_by="global"
)
CAPS = ConcurrencyCaps(all=10, guild=3, user=2)
AT_FAL = ProviderLoad(in_progress=10, queued=0, typical_s=20)


def why(state: JobState = JobState.QUEUED, **changes: Any) -> WaitReason:
    return WaitReason(a_job(state=state), CAPS, AT_FAL, **changes)


def said(reason: WaitReason, *, own: bool = True, weight: float = 1.0) -> str:
    page = waiting_page(reason, own=own, weight=weight, locale=LOCALE)
    check_card(page)
    return shown_text(page)


def test_a_full_fal_is_named_with_the_place_the_counts_and_the_time() -> None:
    shown = said(why(queue_status=PLACE))
    assert "**4 requests before it**. 9 requests are waiting in total." in shown
    assert "All 10 places at fal.ai are taken. When one is done, the next one starts." in shown
    assert "about **10 s**" in shown  # five rounds of 20 s, ten at once
    assert "At fal.ai now: 10 of 10 · from this server: 3 of 3 · yours: 1 of 2" in shown
    assert "Servers take turns" in shown


def test_each_cap_is_its_own_reason_and_nobody_else_is_blamed() -> None:
    own = replace(PLACE, capped_by="user", own_in_flight=2, own_ahead=1)
    assert "2 of your requests are at fal.ai. That is the most at once for one person." in said(why(queue_status=own))
    assert "**4 requests before it**, 1 of them yours." in said(why(queue_status=own))
    assert "1 of them from the same person" in said(why(queue_status=own), own=False)
    assert "**1 request before it**, yours." in said(why(queue_status=replace(own, ahead=1)))
    assert "**2 requests before it**, both yours." in said(why(queue_status=replace(own, ahead=2, own_ahead=2)))
    assert "**3 requests before it**, all yours." in said(why(queue_status=replace(own, ahead=3, own_ahead=3)))
    assert "of the same person are at fal.ai" in said(why(queue_status=own), own=False)
    servers = said(why(queue_status=replace(PLACE, capped_by="guild")))
    assert "3 requests of this server are at fal.ai. That is the most at once for one server." in servers
    assert "places at fal.ai" not in servers
    free = said(why(queue_status=replace(PLACE, capped_by=None, ahead=0, waiting=1)))
    assert "**Next in line.** 1 request is waiting in total." in free
    assert "There is a free place" in free
    assert "My guess: it starts in" not in free


def test_no_cap_is_invented_and_nothing_is_said_of_servers_outside_of_them() -> None:
    outside = replace(a_job(), actor=replace(a_job().actor, guild_id=None))
    shown = said(WaitReason(outside, ConcurrencyCaps(0, 0, 0), AT_FAL, PLACE))
    assert "At fal.ai now: 10 · yours: 1" in shown
    assert "of this server" not in shown


def test_roles_that_count_more_are_named() -> None:
    assert "Because of your roles, you get 2 turns for each turn of other people here." in said(
        why(queue_status=PLACE), weight=2
    )
    assert "roles" not in said(why(queue_status=PLACE))


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (ProviderQueued(3), "It is now at fal.ai, with 3 requests before it."),
        (ProviderQueued(0), "and next in line there."),
        (ProviderQueued(None), "It is now at fal.ai, which will start it."),
        (None, "It is now at fal.ai, which will start it."),
        (InProgress(left_s=8), "it is being painted, about 8 s left."),
    ],
)
def test_where_fal_is_the_one_who_waits_that_is_said(progress: Progress | None, expected: str) -> None:
    assert expected in said(why(JobState.RUNNING, progress=progress))


def test_an_absent_fal_a_lost_answer_and_a_restart_are_reasons_too() -> None:
    assert "is not answering right now" in said(why(queue_status=PLACE, provider_unavailable=True))
    assert "is not answering right now" in said(
        why(JobState.RUNNING, progress=ProviderQueued(1), provider_unavailable=True)
    )
    assert "the connection broke before fal.ai answered" in said(why(JobState.SUBMITTING, submit_unconfirmed=True))
    until = datetime.fromtimestamp(1_800_000_000, UTC)
    lost = said(why(JobState.SUBMITTING, submit_unconfirmed=True, search_ends_at=until))
    assert "I send it again, at the latest by <t:1800000000:f>" in lost  # as on the card
    assert "some minutes" not in lost
    job = a_job(state=JobState.SUBMITTING, cancel_requested=True)
    cancelled = WaitReason(job, CAPS, AT_FAL, submit_unconfirmed=True, search_ends_at=until)
    assert "to stop it there, at the latest until <t:1800000000:f>" in said(cancelled)
    assert "Cancelling…" in said(replace(cancelled, submit_unconfirmed=False))
    assert "I was restarted a moment ago" in said(why(queue_status=PLACE, recently_restarted=True))


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_has_an_answer_and_only_those_who_wait_get_one_about_turns(state: JobState) -> None:
    shown = said(why(state))
    assert len(shown.splitlines()) >= 2
    assert "turns" not in shown


def test_the_time_is_reckoned_by_the_queue_one_stands_in() -> None:
    assert queued_s(PLACE, CAPS, AT_FAL) == 10
    assert queued_s(replace(PLACE, capped_by="guild"), CAPS, AT_FAL) == 20
    assert queued_s(replace(PLACE, capped_by="user", own_ahead=3), CAPS, AT_FAL) == 40
    assert queued_s(replace(PLACE, capped_by=None), CAPS, AT_FAL) is None
    # fal paints two at once, whatever it was handed: those that wait there come first.
    assert queued_s(PLACE, CAPS, ProviderLoad(in_progress=2, queued=8, typical_s=20)) == 130
    assert queued_s(PLACE, CAPS, ProviderLoad(in_progress=0, queued=8, typical_s=20)) is None
    assert at_fal_s(2, ProviderLoad(in_progress=2, queued=5, typical_s=20)) == 30
    assert at_fal_s(None, AT_FAL) is None
