"""What the runner tells the delivery about a job under way. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Literal

from bot.domain.job import Job


@dataclass(frozen=True, slots=True)
class Queued:
    """In our own queue. `ahead` jobs will start before this one, unless a cap keeps it back longer."""

    ahead: int
    #: The cap that is reached: as many of the server's or of the person's jobs are at fal as may be.
    capped_by: Literal["guild", "user"] | None = None


@dataclass(frozen=True, slots=True)
class ProviderQueued:
    """Handed to fal, not started. `ahead` is fal's queue_position (0-based), None before the first status."""

    ahead: int | None


@dataclass(frozen=True, slots=True)
class InProgress:
    """fal is painting.

    `fraction` is 0..1 as read from the logs, None where the model logs nothing.
    `step`/`steps` are set when the logs count inference steps.
    `left_s` is the expected remaining time learned from past jobs of this model, None if unknown.
    """

    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class Delivering:
    """fal is done; the pictures are on their way into the channel."""


@dataclass(frozen=True, slots=True)
class ProviderUnavailable:
    """fal can't be heard; what it has stays there, and it is asked again until it answers."""


@dataclass(frozen=True, slots=True)
class ConfirmingSubmit:
    """Handed to fal, and the answer got lost: it is looked for there until then, and sent again only after that."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Restarting:
    """Accepted while the process is stopping; the next one starts it."""


Progress = Queued | ProviderQueued | InProgress | Delivering | ProviderUnavailable | ConfirmingSubmit | Restarting


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """A newer state of one job, to be shown."""

    job: Job
    progress: Progress
    #: After that time (of the event loop, `time.monotonic`) it must not be shown any more: another process may have the
    #: job by then. Endless where nobody shares the database.
    valid_until_s: float = inf
    #: The job was taken up after a stop that its person will have noticed: say so.
    resumed: bool = False
