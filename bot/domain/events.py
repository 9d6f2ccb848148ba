"""Progress events of a job, which the runner passes to the delivery. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Literal

from bot.domain.job import Job


@dataclass(frozen=True, slots=True)
class Queued:
    """In our own queue. `ahead` jobs will start before this one; a concurrency cap may delay it longer."""

    ahead: int
    #: The concurrency cap that is reached: that of the server's or of the person's jobs in flight.
    capped_by: Literal["guild", "user"] | None = None


@dataclass(frozen=True, slots=True)
class ProviderQueued:
    """In fal's queue, not started. `ahead` is fal's queue_position (0-based), None before the first status."""

    ahead: int | None


@dataclass(frozen=True, slots=True)
class InProgress:
    """fal is running the job.

    `fraction` is 0..1 as read from the logs, None where the model logs nothing.
    `step`/`steps` are set when the logs count inference steps.
    `left_s` is the expected remaining time learned from past jobs of this kind, None if unknown.
    `overdue` is set when it takes longer than such jobs usually do.
    """

    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    left_s: float | None = None
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Delivering:
    """fal is done; the pictures are being downloaded and posted."""


@dataclass(frozen=True, slots=True)
class ProviderUnavailable:
    """fal can't be reached; its jobs go on there, and it is polled until it answers."""


@dataclass(frozen=True, slots=True)
class OutOfCredit:
    """fal's account is out of credit; the job waits in our own queue until the operator has topped it up."""


@dataclass(frozen=True, slots=True)
class ConfirmingSubmit:
    """The answer to the submit was lost: the request is looked for at fal, and submitted again only after that."""

    #: When the search ends, aware UTC.
    until: datetime


@dataclass(frozen=True, slots=True)
class Cancelling:
    """Cancelled; it ends once fal has told whether it has the request, or what it billed for it."""

    #: When a search for the request ends, aware UTC; None where fal has it.
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Restarting:
    """Accepted while the process is stopping; the next process starts the job."""


Progress = (
    Queued
    | ProviderQueued
    | InProgress
    | Delivering
    | ProviderUnavailable
    | OutOfCredit
    | ConfirmingSubmit
    | Cancelling
    | Restarting
)


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """A newer state of one job, to be shown in its message."""

    job: Job
    progress: Progress
    #: `time.monotonic` time after which it must not be shown any more, because another process may have claimed or
    #: adopted the job by then. Infinite where the database is not shared.
    valid_until_s: float = inf
    #: Whether the job was resumed after a noticeable downtime, which the message then says.
    resumed: bool = False
