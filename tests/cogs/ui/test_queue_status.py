from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.domain.events import Painting, Progress, WaitingAtFal
from bot.domain.job import JobState
from bot.jobs.queue_status import AtFal, Caps, Why, at_fal_s, queued_s
from bot.store import Place
from cogs.ui.queue_status import waiting_page
from tests.cogs.values import a_job, check_card, shown_text

PLACE = Place(
    ahead=4, waiting=9, in_flight=10, own_in_flight=1, guild_in_flight=3, own_ahead=0, guild_ahead=2, capped_by="global"
)
CAPS = Caps(all=10, guild=3, user=2)
AT_FAL = AtFal(painting=10, waiting=0, usual_s=20)


def why(state: JobState = JobState.QUEUED, **changes: Any) -> Why:
    return Why(a_job(state=state), CAPS, AT_FAL, **changes)


def said(reason: Why, *, own: bool = True, weight: float = 1.0) -> str:
    page = waiting_page(reason, own=own, weight=weight)
    check_card(page)
    return shown_text(page)


def test_a_full_fal_is_named_with_the_place_the_counts_and_the_time() -> None:
    shown = said(why(place=PLACE))
    assert "**4 requests before it**. 9 requests wait in all." in shown
    assert "All 10 places at fal.ai are taken. When one is painted, the next one starts." in shown
    assert "about **10 s**" in shown  # five rounds of 20 s, ten at once
    assert "At fal.ai now: 10 of 10 · of this server: 3 of 3 · yours: 1 of 2" in shown
    assert "Servers take turns" in shown


def test_each_cap_is_its_own_reason_and_nobody_else_is_blamed() -> None:
    own = replace(PLACE, capped_by="user", own_in_flight=2, own_ahead=1)
    assert "2 requests of yours are at fal.ai, the most at once for one person." in said(why(place=own))
    assert "**4 requests before it**, 1 of them yours." in said(why(place=own))
    assert "1 of them by the same person" in said(why(place=own), own=False)
    assert "**1 request before it**, yours." in said(why(place=replace(own, ahead=1)))
    assert "**2 requests before it**, both yours." in said(why(place=replace(own, ahead=2, own_ahead=2)))
    assert "**3 requests before it**, all yours." in said(why(place=replace(own, ahead=3, own_ahead=3)))
    assert "of the same person are at fal.ai" in said(why(place=own), own=False)
    servers = said(why(place=replace(PLACE, capped_by="guild")))
    assert "3 requests of this server are at fal.ai, the most at once for it." in servers
    assert "places at fal.ai" not in servers
    free = said(why(place=replace(PLACE, capped_by=None, ahead=0, waiting=1)))
    assert "**Next in line.** 1 request waits in all." in free
    assert "There is room for it" in free
    assert "should start in" not in free


def test_no_cap_is_invented_and_nothing_is_said_of_servers_outside_of_them() -> None:
    outside = replace(a_job(), actor=replace(a_job().actor, guild_id=None))
    shown = said(Why(outside, Caps(0, 0, 0), AT_FAL, PLACE))
    assert "At fal.ai now: 10 · yours: 1" in shown
    assert "of this server" not in shown


def test_roles_that_count_more_are_named() -> None:
    assert "Your roles give you 2 turns to one of others here." in said(why(place=PLACE), weight=2)
    assert "roles" not in said(why(place=PLACE))


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (WaitingAtFal(3), "fal.ai has it, with 3 requests before it."),
        (WaitingAtFal(0), "and is next in line there."),
        (WaitingAtFal(None), "fal.ai has it and will start it."),
        (None, "fal.ai has it and will start it."),
        (Painting(left_s=8), "it is being painted, about 8 s left."),
    ],
)
def test_where_fal_is_the_one_who_waits_that_is_said(progress: Progress | None, expected: str) -> None:
    assert expected in said(why(JobState.RUNNING, progress=progress))


def test_an_absent_fal_a_lost_answer_and_a_restart_are_reasons_too() -> None:
    assert "does not answer just now" in said(why(place=PLACE, fal_away=True))
    assert "does not answer just now" in said(why(JobState.RUNNING, progress=WaitingAtFal(1), fal_away=True))
    assert "the answer got lost" in said(why(JobState.SUBMITTING, answer_lost=True))
    assert "I was restarted a moment ago" in said(why(place=PLACE, just_started=True))


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
    assert queued_s(PLACE, CAPS, AtFal(painting=2, waiting=8, usual_s=20)) == 130
    assert queued_s(PLACE, CAPS, AtFal(painting=0, waiting=8, usual_s=20)) is None
    assert at_fal_s(2, AtFal(painting=2, waiting=5, usual_s=20)) == 30
    assert at_fal_s(None, AT_FAL) is None
