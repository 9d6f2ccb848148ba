"""A job, its states and legal moves. Values only: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bot.domain.money import Cost
from bot.domain.request import GenerationRequest, Json
from bot.errors import ToldError
from bot.phrase import Phrase


class JobState(StrEnum):
    """Where a job stands. Stored as its value."""

    #: Waits for a reviewer before anything is spent (room kept for moderation).
    HELD = "held"
    #: Accepted, reserved, not yet claimed.
    QUEUED = "queued"
    #: Claimed; the one POST to fal is about to leave, under way, or its answer was lost.
    SUBMITTING = "submitting"
    #: fal has it; `request` is known.
    RUNNING = "running"
    #: fal's result JSON is stored; the pictures are to be fetched and posted.
    FINISHED = "finished"
    #: Posted; ledger settled in the same transaction.
    DELIVERED = "delivered"
    #: Ended without a picture; ledger released in the same transaction.
    FAILED = "failed"
    #: Cancelled by its owner or a moderator; ledger released in the same transaction.
    CANCELLED = "cancelled"


#: The legal moves. The store refuses any other.
MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.HELD: frozenset({JobState.QUEUED, JobState.CANCELLED, JobState.FAILED}),
    JobState.QUEUED: frozenset({JobState.SUBMITTING, JobState.CANCELLED, JobState.FAILED}),
    JobState.SUBMITTING: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.FINISHED, JobState.FAILED, JobState.CANCELLED}),
    JobState.FINISHED: frozenset({JobState.DELIVERED, JobState.FAILED, JobState.CANCELLED}),
    JobState.DELIVERED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

TERMINAL = frozenset(state for state, moves in MOVES.items() if not moves)
LIVE = frozenset(JobState) - TERMINAL


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and from where. Read from the interaction once."""

    user_id: int
    channel_id: int
    guild_id: int | None = None
    role_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Where the answer goes: the interaction, its token, and what the channel allows."""

    application_id: int
    interaction_id: int
    #: Dies 15 minutes after the interaction; never logged.
    token: str = field(repr=False)
    token_expires_at: datetime
    #: The message that shows this job; known once the initial response is out.
    message_id: int | None = None
    #: Bytes one file may have here (Discord's `attachment_size_limit`).
    upload_limit_bytes: int = 10 * 1024 * 1024
    #: Whether the channel is age-restricted (a thread inherits from its parent).
    age_restricted: bool = False
    #: Whether the bot's own token can post in the channel (False for user installs elsewhere).
    bot_can_post: bool = True
    #: Whether only the person sees the answer.
    ephemeral: bool = False
    #: The person's Discord locale, e.g. `en-GB`.
    locale: str = "en-US"


@dataclass(frozen=True, slots=True)
class FalRequest:
    """What fal's submit answered. The URLs are followed exactly as given."""

    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class RemotePicture:
    """One picture in fal's result. Partner endpoints leave everything but the URL out."""

    url: str
    content_type: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """fal's answer, read once by `bot.fal`."""

    pictures: tuple[RemotePicture, ...]
    seed: int | None = None
    #: One flag a picture; None where the model reports none.
    nsfw: tuple[bool, ...] | None = None
    inference_s: float | None = None
    #: Header X-Fal-Billable-Units, where sent.
    billable_units: Decimal | None = None
    #: OpenAI token usage (gpt-image), as sent.
    usage: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended without a picture: a code for machines and a phrase for the person."""

    code: str
    phrase: Phrase
    worth_retrying: bool = True
    #: Short code shown to the person and written to the log, for unexpected errors.
    incident: str | None = None

    @classmethod
    def of(cls, error: ToldError, *, worth_retrying: bool) -> Failure:
        """The failure that an error stands for."""
        return cls(error.code, error.phrase, worth_retrying)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What `/imagine` hands to the store. `id` is chosen by the caller (`new_job_id`)."""

    id: str
    actor: Actor
    reply: Reply
    request: GenerationRequest
    #: The job this one re-rolls or edits.
    parent_id: str | None = None
    #: The draft that becomes this job; one that became a job before gives that one.
    draft_id: str | None = None

    @property
    def cost(self) -> Cost:
        """What is reserved for it: the worst case."""
        return self.request.cost


@dataclass(frozen=True, slots=True)
class Job:
    """One row of `jobs`, whole."""

    id: str
    state: JobState
    #: Fencing token: raised by every claim; a write under an older fence is refused.
    fence: int
    actor: Actor
    reply: Reply
    request: GenerationRequest
    parent_id: str | None
    created_at: datetime
    #: On record just before the latest POST; None: nothing of it has left.
    submitted_at: datetime | None = None
    #: When fal was first seen painting.
    started_at: datetime | None = None
    finished_at: datetime | None = None
    ended_at: datetime | None = None
    fal_request: FalRequest | None = None
    result: Result | None = None
    failure: Failure | None = None
    #: Whether the person has been told about the end (a failure notice survives a restart).
    notified: bool = False
    #: Somebody pressed Cancel; the runner acts on it.
    cancel_requested: bool = False
    #: Submit attempts so far (each is one POST).
    attempts: int = 0
    #: Attempts made although fal may have had the one before.
    possible_doubles: int = 0
