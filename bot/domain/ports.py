"""What the life of a job needs from outside, and what it tells: the walls between it and Discord."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.events import ProgressEvent
from bot.domain.job import FalRequest, Job, RemotePicture, Result
from bot.domain.picture import Picture
from bot.domain.provider import CancelAnswer, FoundRequest, Status
from bot.domain.request import Json
from bot.phrase import Phrase


@dataclass(frozen=True, slots=True)
class DeliverableImages:
    """Pictures that may be shown, fitted to the channel."""

    pictures: tuple[Picture, ...]
    #: One flag a picture: behind a spoiler.
    spoilers: tuple[bool, ...]
    #: Pictures that the safety checker kept back.
    withheld: int = 0


class ServedModel(Protocol):
    """What a backend must know of a model to name it when it is gone."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def endpoint(self) -> str:
        """For the backend."""


class ImageBackend(Protocol):
    """What paints; `bot.fal.Fal`, whose docstrings tell more."""

    @property
    def unavailable(self) -> bool:
        """Whether the last thing heard about jobs under way was useless."""

    async def submit(
        self,
        endpoint: str,
        arguments: Mapping[str, Json],
        *,
        start_timeout_s: float,
        store_payload: bool,
        model: ServedModel,
        webhook_url: str | None,
    ) -> FalRequest:
        """Hand in one request, with one POST.

        Raises:
            ProviderUnreachable: it never left; safe to submit again.
            SubmitUnconfirmed: it may have been taken.
            GenerationFailed: it was refused.
        """

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> Sequence[FoundRequest] | None:
        """The requests on record for that time, oldest first; None where they are not told.

        Raises:
            ProviderUnreachable: no usable answer. TruncatedList: more than is read.
        """

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        """The addresses of a request known by its id alone. Raises ValueError for what can't be an id."""

    def wake(self, request_id: str) -> bool:
        """This request has ended, as was just heard: whoever watches it looks at once. False when nobody does."""

    def watch(self, request: FalRequest, *, expected_s: float, age_s: float | None) -> AsyncGenerator[Status, None]:
        """Statuses until CompletedStatus; goes on through outages of any length.

        Args:
            expected_s: seconds the job should take from now.
            age_s: for how long it has been there, where it is to be looked at at once.

        Raises:
            GenerationFailed: it can't be watched.
        """

    async def result(self, request: FalRequest, *, model: ServedModel) -> Result:
        """The result of a completed request.

        Raises:
            GenerationFailed: how it ended instead. ProviderUnreachable: ask again later.
        """

    async def cancel(self, request: FalRequest) -> CancelAnswer:
        """Stop a request. Raises ProviderUnreachable when no usable answer came."""

    async def upload(self, body: bytes, content_type: str, file_name: str) -> str:
        """Put a picture into the backend's storage; its https address."""

    async def download(
        self, picture: RemotePicture, *, max_bytes: int, reserve: Callable[[int], None] | None = None
    ) -> bytes:
        """One picture of a result.

        Args:
            reserve: told how many bytes it takes, as soon as that is known or seen to be more; what it raises ends
                the download.

        Raises:
            ResultUnusable: too large, empty or gone. ProviderUnreachable: ask again later.
        """


class AttachmentSource(Protocol):
    """Where a person's attachments come from; `bot.media.Attachments`."""

    def is_attachment(self, url: str) -> bool:
        """Whether the URL is a Discord attachment (anything else is left for fal to fetch)."""

    async def fetch(self, url: str, *, option: str) -> Picture:
        """Fetch and check it. Raises BadPicture."""


class Delivery(Protocol):
    """What shows jobs to people; `cogs.delivery` on Discord."""

    def progress(self, event: ProgressEvent) -> None:
        """Take note of a newer state; never blocks, may be dropped."""

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        """Post the pictures; returns the message id. Safe to repeat.

        Raises:
            GenerationFailed: they can't be posted anywhere.
        """

    async def was_answered(self, job: Job) -> bool | None:
        """Whether the initial response to the interaction went out; None when that can't be found out."""

    async def notify_outcome(self, job: Job) -> None:
        """Say how a FAILED or CANCELLED job ended. Safe to repeat."""

    async def repair_message(self, job: Job, ready: DeliverableImages | None) -> None:
        """Show an end that was shown before once more, only where it stood; without pictures for all but DELIVERED."""

    def forget(self, job_id: str) -> None:
        """This process has nothing more to do with the job: no more progress for it."""


@dataclass(frozen=True, slots=True)
class CancelOutcome:
    """What became of a request to cancel."""

    cancelled: bool
    #: Whether anything was charged, and what happens now.
    phrase: Phrase
