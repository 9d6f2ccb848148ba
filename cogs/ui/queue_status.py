"""The answer to "Why am I waiting?". Values in, a view out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

import discord

from bot.domain.events import InProgress, ProviderQueued
from bot.domain.job import JobState
from bot.jobs.queue_status import WaitReason, at_fal_s, queued_s
from bot.store import QueueStatus
from cogs.ui import text
from cogs.ui.cards import BLUE, Card

_TURNS_IN_SERVER = "Servers take turns, and within a server people do, so nobody's long list holds up the others."
_TURNS_OUTSIDE = "Servers and people take turns, so nobody's long list holds up the others."
_NEXT = "When one is painted, the next one starts."
_FAL_AWAY = "fal.ai does not answer just now. I keep asking; nothing is lost."
_HANDING = "It is just being handed to fal.ai."
_ANSWER_LOST = (
    "I handed it to fal.ai, and the answer got lost on the way. I look for it there before I send it again, so that "
    "nothing is painted or charged twice. That can take some minutes; your picture is safe."
)


def waiting_page(why: WaitReason, *, own: bool, weight: float = 1.0) -> Card:
    """Where a request stands, what it waits for, and for how long.

    Args:
        own: whether the person who asks is the one it is painted for.
        weight: their share of the queue compared with others.
    """
    lines = [line for line in (*_reasons(why, own=own), _restart(why)) if line]
    small = _turns(why, own=own, weight=weight) if why.queue_status is not None else []
    parts = ["### Why am I waiting?" if own else "### Why is it waiting?", "\n".join(lines)]
    if small:
        parts.append("\n".join(f"-# {line}" for line in small))
    return Card(*(discord.ui.TextDisplay(part) for part in parts), colour=BLUE)


def _reasons(why: WaitReason, *, own: bool) -> Iterator[str]:
    match why.job.state:
        case JobState.HELD:
            yield "Somebody has to look at it before it is painted. Nothing is spent until then."
        case JobState.QUEUED if why.queue_status is not None:
            yield from _queued(why, why.queue_status, own=own)
        case JobState.QUEUED | JobState.SUBMITTING:
            yield _ANSWER_LOST if why.submit_unconfirmed else _FAL_AWAY if why.provider_unavailable else _HANDING
        case JobState.RUNNING:
            yield from _at_fal(why)
        case JobState.FINISHED:
            yield "It is painted. I am bringing it here."
        case JobState.DELIVERED:
            yield "It does not wait any more: it is painted and posted."
        case JobState.FAILED | JobState.CANCELLED:
            yield f"It does not wait any more: it has ended. {_your(own)} quota was not used."
        case _:
            assert_never(why.job.state)


def _queued(why: WaitReason, place: QueueStatus, *, own: bool) -> Iterator[str]:
    yield _place(place, own=own)
    if why.provider_unavailable:
        yield _FAL_AWAY
        return
    caps = why.caps
    match place.capped_by:
        case "user":
            whose = "of yours" if own else "of the same person"
            yield f"{_are(place.own_in_flight, whose)} at fal.ai, the most at once for one person. {_NEXT}"
        case "guild":
            yield f"{_are(place.guild_in_flight, 'of this server')} at fal.ai, the most at once for it. {_NEXT}"
        case "global":
            places = "The one place" if caps.all == 1 else f"All {caps.all} places"
            yield f"{places} at fal.ai {'is' if caps.all == 1 else 'are'} taken. {_NEXT}"
        case None:
            yield "There is room for it: it starts in a moment."
    starts_s = queued_s(place, caps, why.load)
    if starts_s is not None:
        yield f"It should start in about **{text.rough(starts_s)}**, going by how long pictures take."


def _place(place: QueueStatus, *, own: bool) -> str:
    waiting = f"{text.count(place.waiting, 'request')} {'waits' if place.waiting == 1 else 'wait'} in all."
    if place.ahead == 0:
        return f"**Next in line.** {waiting}"
    return f"**{text.count(place.ahead, 'request')} before it**{_of_them(place, own=own)}. {waiting}"


def _of_them(place: QueueStatus, *, own: bool) -> str:
    """How many of those before it are the same person's."""
    theirs = min(place.own_ahead, place.ahead)  # of a long queue the place is an estimate
    whose = "yours" if own else "by the same person"
    if theirs == 0:
        return ""
    if theirs < place.ahead:
        return f", {theirs} of them {whose}"
    return f", {'' if theirs == 1 else 'both ' if theirs == 2 else 'all '}{whose}"


def _are(number: int, whose: str) -> str:
    return f"{text.count(number, 'request')} {whose} {'is' if number == 1 else 'are'}"


def _at_fal(why: WaitReason) -> Iterator[str]:
    if why.provider_unavailable:
        yield _FAL_AWAY
        return
    match why.progress:
        case InProgress(left_s=left_s):
            left = f", {text.time_left(left_s)}" if left_s is not None else ""
            yield f"It does not wait any more: it is being painted{left}."
        case ProviderQueued(ahead=int(ahead)):
            before = f"with {text.count(ahead, 'request')} before it" if ahead else "and is next in line there"
            yield f"It has left my queue: fal.ai has it, {before}."
            yield "fal.ai starts only a few at once for one account, and the rest has to wait there."
            starts_s = at_fal_s(ahead, why.load)
            if starts_s is not None:
                yield f"It should start in about **{text.rough(starts_s)}**, going by how long pictures take."
        case _:
            yield "It has left my queue: fal.ai has it and will start it."


def _restart(why: WaitReason) -> str:
    return (
        "I was restarted a moment ago and am taking everything up again; nothing is lost."
        if why.recently_restarted
        else ""
    )


def _turns(why: WaitReason, *, own: bool, weight: float) -> list[str]:
    lines = [_counts(why, own=own)]
    if why.job.actor.guild_id is None:
        lines.append(_TURNS_OUTSIDE)
    else:
        lines.append(_TURNS_IN_SERVER)
        if weight != 1:
            lines.append(f"{_your(own)} roles give {'you' if own else 'them'} {weight:g} turns to one of others here.")
    return lines


def _counts(why: WaitReason, *, own: bool) -> str:
    place, caps = why.queue_status, why.caps
    if place is None:
        return ""
    counts = [f"At fal.ai now: {_of(place.in_flight, caps.all)}"]
    if why.job.actor.guild_id is not None:
        counts.append(f"of this server: {_of(place.guild_in_flight, caps.guild)}")
    counts.append(f"{'yours' if own else 'of the same person'}: {_of(place.own_in_flight, caps.user)}")
    return " · ".join(counts)


def _of(number: int, cap: int) -> str:
    return f"{number} of {cap}" if cap else f"{number}"


def _your(own: bool) -> str:
    return "Your" if own else "Their"
