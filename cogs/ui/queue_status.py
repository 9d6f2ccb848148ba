"""The card that explains what a job waits for. Pure functions from values to a view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

import discord

from bot.domain.events import InProgress, ProviderQueued
from bot.domain.job import JobState
from bot.jobs.queue_status import WaitReason, at_fal_s, queued_s
from bot.phrase import Phrase, phrase
from bot.store import QueueStatus
from cogs.ui import text
from cogs.ui.cards import BLUE, Card
from cogs.ui.messages import say


def waiting_page(why: WaitReason, *, own: bool, locale: str, weight: float = 1.0) -> Card:
    """The state of a job, what it waits for, and for about how long.

    Args:
        own: whether the person who asks owns the job.
        weight: the owner's weight in the fair queue, relative to others.
    """
    title = phrase("waiting_title_own") if own else phrase("waiting_title")
    reasons = [*_reasons(why, own=own), *([phrase("waiting_restarted")] if why.recently_restarted else [])]
    parts = [f"### {say(locale, title)}", "\n".join(say(locale, reason) for reason in reasons)]
    if why.queue_status is not None:
        turns = (say(locale, line) for line in _turns(why, own=own, weight=weight))
        counts = " · ".join(say(locale, count) for count in _counts(why, why.queue_status, own=own))
        parts.append("\n".join(f"-# {line}" for line in (counts, *turns)))
    return Card(*(discord.ui.TextDisplay(part) for part in parts), colour=BLUE)


def _reasons(why: WaitReason, *, own: bool) -> Iterator[Phrase]:
    match why.job.state:
        case JobState.HELD:
            yield phrase("waiting_held")
        case JobState.QUEUED if why.queue_status is not None:
            yield from _queued(why, why.queue_status, own=own)
        case JobState.SUBMITTING | JobState.RUNNING if why.job.cancel_requested:
            until = why.search_ends_at if why.submit_unconfirmed else None
            yield phrase("cancelling") if until is None else phrase("progress_cancelling_lost", until=until)
        case JobState.QUEUED | JobState.SUBMITTING:
            yield _being_submitted(why)
        case JobState.RUNNING:
            yield from _at_fal(why)
        case JobState.FINISHED:
            yield phrase("waiting_finished")
        case JobState.DELIVERED:
            yield phrase("waiting_delivered")
        case JobState.FAILED | JobState.CANCELLED:
            yield phrase("waiting_ended_own") if own else phrase("waiting_ended")
        case _:
            assert_never(why.job.state)


def _being_submitted(why: WaitReason) -> Phrase:
    if why.submit_unconfirmed and why.search_ends_at is not None:
        return phrase("waiting_answer_lost_until", until=why.search_ends_at)
    if why.submit_unconfirmed:
        return phrase("waiting_answer_lost")
    if why.out_of_credit:
        return phrase("out_of_credit")
    return phrase("fal_away") if why.provider_unavailable else phrase("waiting_handing")


def _queued(why: WaitReason, status: QueueStatus, *, own: bool) -> Iterator[Phrase]:
    yield _position(status, own=own)
    if why.out_of_credit:
        yield phrase("out_of_credit")
        return
    if why.provider_unavailable:
        yield phrase("fal_away")
        return
    match status.capped_by:
        case "user":
            number = status.own_in_flight
            yours = phrase("waiting_capped_own", number=number)
            yield yours if own else phrase("waiting_capped_person", number=number)
        case "guild":
            yield phrase("waiting_capped_guild", number=status.guild_in_flight)
        case "global":
            yield phrase("waiting_capped_all", places=why.caps.all)
        case None:
            yield phrase("waiting_room")
    starts_s = queued_s(status, why.caps, why.load)
    if starts_s is not None:
        yield phrase("waiting_starts_in", duration=text.rough(starts_s))


def _position(status: QueueStatus, *, own: bool) -> Phrase:
    """How many jobs are ahead of it, and how many of those have the same owner."""
    ahead, waiting = status.ahead, status.waiting
    theirs = min(status.own_ahead, ahead)  # in a long queue `ahead` is an estimate
    if ahead == 0:
        return phrase("waiting_next", waiting=waiting)
    if theirs == 0:
        return phrase("waiting_before", ahead=ahead, waiting=waiting)
    if theirs == ahead:
        yours = phrase("waiting_before_all_own", ahead=ahead, waiting=waiting)
        return yours if own else phrase("waiting_before_all", ahead=ahead, waiting=waiting)
    yours = phrase("waiting_before_some_own", ahead=ahead, theirs=theirs, waiting=waiting)
    return yours if own else phrase("waiting_before_some", ahead=ahead, theirs=theirs, waiting=waiting)


def _at_fal(why: WaitReason) -> Iterator[Phrase]:
    if why.provider_unavailable:
        yield phrase("fal_away")
        return
    match why.progress:
        case InProgress(left_s=None):
            yield phrase("waiting_painted")
        case InProgress(left_s=float() | int() as left_s):
            yield phrase("waiting_painted_left", left=text.time_left(left_s))
        case ProviderQueued(ahead=int(ahead)):
            yield phrase("waiting_at_fal_before", ahead=ahead) if ahead else phrase("waiting_at_fal_next")
            yield phrase("waiting_at_fal_few")
            starts_s = at_fal_s(ahead, why.load)
            if starts_s is not None:
                yield phrase("waiting_starts_in", duration=text.rough(starts_s))
        case _:
            yield phrase("waiting_at_fal")


def _turns(why: WaitReason, *, own: bool, weight: float) -> Iterator[Phrase]:
    if why.job.actor.guild_id is None:
        yield phrase("waiting_turns")
        return
    yield phrase("waiting_turns_server")
    if weight != 1:
        yield phrase("waiting_weight_own", weight=weight) if own else phrase("waiting_weight", weight=weight)


def _counts(why: WaitReason, status: QueueStatus, *, own: bool) -> Iterator[Phrase]:
    caps = why.caps
    yield phrase("waiting_now", count=_of(status.in_flight, caps.all))
    if why.job.actor.guild_id is not None:
        yield phrase("waiting_now_guild", count=_of(status.guild_in_flight, caps.guild))
    theirs = _of(status.own_in_flight, caps.user)
    yield phrase("waiting_now_own", count=theirs) if own else phrase("waiting_now_person", count=theirs)


def _of(number: int, cap: int) -> Phrase | int:
    return phrase("waiting_of", number=number, cap=cap) if cap else number
