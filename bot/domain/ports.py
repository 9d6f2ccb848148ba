"""What the life of a job needs from outside, and what it tells: the walls between it and Discord."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.domain.events import Progress
from bot.domain.job import Job
from bot.domain.picture import Picture
from bot.phrase import Phrase

#: A process shows places of jobs that another one may claim at any moment: such an edit is given up after that time.
POSITION_EDIT_S = 1.5


@dataclass(frozen=True, slots=True)
class DeliverableImages:
    """Pictures that may be shown, fitted to the channel."""

    pictures: tuple[Picture, ...]
    #: One flag a picture: behind a spoiler.
    spoilers: tuple[bool, ...]
    #: Pictures that the safety checker kept back.
    withheld: int = 0


class AttachmentSource(Protocol):
    """Where a person's attachments come from; `bot.media.Attachments`."""

    def is_attachment(self, url: str) -> bool:
        """Whether the URL is a Discord attachment (anything else is left for fal to fetch)."""

    async def fetch(self, url: str, *, option: str) -> Picture:
        """Fetch and check it. Raises BadPicture."""


class Delivery(Protocol):
    """What shows jobs to people; `cogs.delivery` on Discord."""

    def progress(self, job: Job, progress: Progress) -> None:
        """Take note of a newer state; never blocks, may be dropped."""

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        """Post the pictures; returns the message id. Safe to repeat.

        Raises:
            PaintingFailed: they can't be posted anywhere.
        """

    async def was_answered(self, job: Job) -> bool | None:
        """Whether the first answer to the interaction went out; None when that can't be found out."""

    async def notify_outcome(self, job: Job) -> None:
        """Say how a FAILED or CANCELLED job ended. Safe to repeat."""

    async def repair_message(self, job: Job, ready: DeliverableImages | None) -> None:
        """Show an end that was shown before once more, only where it stood; without pictures for all but DELIVERED."""

    def resumed(self, job: Job) -> None:
        """The job was taken up after a stop that people will have noticed: say so with its progress."""

    def forget(self, job_id: str) -> None:
        """No more progress for this job."""


@dataclass(frozen=True, slots=True)
class CancelOutcome:
    """What became of a wish to cancel."""

    cancelled: bool
    #: Whether anything was charged, and what happens now.
    phrase: Phrase
