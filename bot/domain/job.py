"""A job, its states and the legal transitions. Values only: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bot.domain.money import Charge, Cost
from bot.domain.request import GenerationRequest, Json
from bot.errors import ToldError
from bot.phrase import Phrase


class JobState(StrEnum):
    """The states of a job. Stored by value."""

    #: Waits for a reviewer before anything is spent (reserved for moderation).
    HELD = "held"
    #: Accepted, cost reserved, not yet claimed.
    QUEUED = "queued"
    #: Claimed; its POST to fal is about to be sent, is under way, or its answer was lost.
    SUBMITTING = "submitting"
    #: fal has the job; `fal_request` is known.
    RUNNING = "running"
    #: fal's result JSON is stored; the pictures are to be fetched and posted.
    FINISHED = "finished"
    #: Posted; ledger settled in the same transaction.
    DELIVERED = "delivered"
    #: Ended without a picture; ledger released in the same transaction.
    FAILED = "failed"
    #: Cancelled by its owner or a moderator; ledger released in the same transaction.
    CANCELLED = "cancelled"


#: The legal transitions. The store refuses any other.
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
    """The person who requested the job, and where. Read once from the interaction."""

    user_id: int
    channel_id: int
    guild_id: int | None = None
    role_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Where the job is shown: the interaction, its token, and what the channel allows."""

    application_id: int
    interaction_id: int
    #: The interaction token; expires 15 minutes after the interaction. Never logged.
    token: str = field(repr=False)
    token_expires_at: datetime
    #: The message that shows this job; known once the initial response was sent.
    message_id: int | None = None
    #: Largest file in bytes that may be attached here (Discord's `attachment_size_limit`).
    upload_limit_bytes: int = 10 * 1024 * 1024
    #: Whether the channel is age-restricted (a thread inherits from its parent).
    age_restricted: bool = False
    #: Whether the bot's own token can post in the channel (False for user installs elsewhere).
    bot_can_post: bool = True
    #: Whether only the person sees the message.
    ephemeral: bool = False
    #: The person's Discord locale, e.g. `en-GB`.
    locale: str = "en-US"


@dataclass(frozen=True, slots=True)
class FalRequest:
    """fal's answer to a submit. The URLs are used exactly as given."""

    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class RemotePicture:
    """One picture in fal's result. Endpoints of partners give the URL only."""

    url: str
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    #: Its own, where the model reports one for each.
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """fal's result of a job, parsed once by `bot.fal`."""

    pictures: tuple[RemotePicture, ...]
    seed: int | None = None
    #: One flag per picture; None where the model reports none.
    nsfw: tuple[bool, ...] | None = None
    inference_s: float | None = None
    #: Header X-Fal-Billable-Units, where sent.
    billable_units: Decimal | None = None
    #: OpenAI token usage (gpt-image), as sent.
    usage: Mapping[str, Json] | None = None
    #: US dollars for what came, by fal's units or by what the pictures are; None where the price is not known.
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended without a picture: a code for logs and metrics, and a phrase for the person."""

    code: str
    phrase: Phrase
    worth_retrying: bool = True
    #: Short code shown to the person and written to the log, for unexpected errors.
    incident: str | None = None
    #: What was settled; None for a failure of before this was kept, which cost nothing.
    charge: Charge | None = None

    @classmethod
    def of(cls, error: ToldError) -> Failure:
        """The failure that an error describes."""
        return cls(error.code, error.phrase, error.worth_retrying)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted. `id` is chosen by the caller (`new_job_id`)."""

    id: str
    actor: Actor
    reply: Reply
    request: GenerationRequest
    #: The job that this one repeats or edits.
    parent_id: str | None = None
    #: The draft that becomes this job; if it became a job before, accepting returns that one.
    draft_id: str | None = None

    @property
    def cost(self) -> Cost:
        """The cost that is reserved for it: the worst case."""
        return self.request.cost


@dataclass(frozen=True, slots=True)
class Job:
    """One complete row of `jobs`."""

    id: str
    state: JobState
    #: Fencing token: incremented by every claim and adoption; a write under an older fence is refused.
    fence: int
    actor: Actor
    reply: Reply
    request: GenerationRequest
    parent_id: str | None
    created_at: datetime
    #: Stored just before the latest POST to fal; None: nothing was sent.
    submitted_at: datetime | None = None
    #: When fal was first seen running the job.
    started_at: datetime | None = None
    finished_at: datetime | None = None
    ended_at: datetime | None = None
    fal_request: FalRequest | None = None
    result: Result | None = None
    failure: Failure | None = None
    #: Whether the person was shown how the job ended; else the next start shows it.
    notified: bool = False
    #: Whether a cancel was requested; the runner applies it.
    cancel_requested: bool = False
    #: Submit attempts so far (each is one POST).
    attempts: int = 0
    #: Attempts made although fal may have accepted the one before.
    possible_doubles: int = 0
    #: Processes that ended uncleanly while they prepared this job's attachments.
    prepare_crashes: int = 0
