"""Ports: the protocols by which the runner uses an image backend, attachments and the delivery to Discord."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.events import ProgressEvent
from bot.domain.job import FalRequest, Job, RemotePicture, Result
from bot.domain.money import Charge
from bot.domain.picture import InputNeeds, Picture, PreparedInput, ResultPicture
from bot.domain.provider import CancelAnswer, FoundRequest, Status
from bot.domain.request import Json
from bot.errors import GenerationFailed
from bot.phrase import Phrase


@dataclass(frozen=True, slots=True)
class DeliverableImages:
    """The pictures of a job that may be shown in its channel, within the channel's file size limit."""

    pictures: tuple[Picture, ...]
    #: One flag per picture: whether it is posted as a spoiler.
    spoilers: tuple[bool, ...]
    #: Number of pictures not shown because the safety checker flagged them.
    withheld: int = 0
    #: For each picture, what differs from what the model made (`bot.domain.picture.ResultPicture`).
    notices: tuple[tuple[Phrase, ...], ...] = ()
    #: For each picture, what to show in its place where Discord does not show it.
    previews: tuple[Picture | None, ...] = ()
    #: For each picture, which of the set it is, from 1; without it they are numbered as they stand.
    numbers: tuple[int, ...] = ()
    #: How many pictures the model made; 0: as many as these.
    made: int = 0

    def __post_init__(self) -> None:
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(1, len(self.pictures) + 1)))
        if not self.made:
            object.__setattr__(self, "made", max(self.numbers, default=0))

    def as_results(self) -> list[ResultPicture]:
        """The pictures with their notices and previews, to be fitted once more."""
        notices = self.notices or ((),) * len(self.pictures)
        previews = self.previews or (None,) * len(self.pictures)
        return [
            ResultPicture(picture, about, preview)
            for picture, about, preview in zip(self.pictures, notices, previews, strict=True)
        ]


class ServedModel(Protocol):
    """What a backend needs of a model to name it in an error when it is no longer served."""

    @property
    def title(self) -> str:
        """The name shown to people."""

    @property
    def endpoint(self) -> str:
        """The backend's id of the model."""


class ImageBackend(Protocol):
    """Runs models; implemented by `bot.fal.Fal`, whose docstrings say more."""

    @property
    def unavailable(self) -> bool:
        """Whether the latest status poll got no usable answer."""

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
        """Submit one request, with one POST.

        Raises:
            ProviderUnreachable: it never reached the backend; safe to submit again.
            SubmitUnconfirmed: the backend may have accepted it.
            GenerationFailed: the backend refused it.
        """

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> Sequence[FoundRequest] | None:
        """List the requests submitted in that time, oldest first; None where the backend does not list them.

        Raises:
            ProviderUnreachable: no usable answer. TruncatedList: the list has more pages than are read.
        """

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        """Build the URLs of a request from its id. Raises ValueError for a malformed id."""

    async def knows(self, request: FalRequest) -> bool | None:
        """Whether the backend has a request with this id; None where it does not say.

        Raises:
            ProviderUnreachable: no usable answer; ask again later.
        """

    def wake(self, request_id: str) -> bool:
        """Have the watch of a request that fal called back about poll now. False when it is not watched."""

    def watch(self, request: FalRequest, *, expected_s: float, age_s: float | None) -> AsyncGenerator[Status, None]:
        """Yield statuses until CompletedStatus; keeps polling through outages of any length.

        Args:
            expected_s: seconds the job is expected to take from now.
            age_s: seconds since its submit, if it is to be polled at once; else None.

        Raises:
            GenerationFailed: it can't be watched.
        """

    async def result(self, request: FalRequest, *, model: ServedModel) -> Result:
        """Fetch the result of a completed request.

        Raises:
            GenerationFailed: it ended without pictures. ProviderUnreachable: safe to retry.
        """

    async def outcome(self, request: FalRequest, *, model: ServedModel) -> Result | GenerationFailed | None:
        """How a request ended, asked once; None while it is under way, or where the backend does not say.

        Raises:
            ProviderUnreachable: no answer.
        """

    async def cancel(self, request: FalRequest) -> CancelAnswer:
        """Cancel a request. Raises ProviderUnreachable when there is no usable answer."""

    async def upload(self, body: bytes, content_type: str, file_name: str) -> str:
        """Upload a picture to the backend's storage and return its https URL."""

    async def download(
        self, picture: RemotePicture, *, max_bytes: int, reserve: Callable[[int], None] | None = None
    ) -> bytes:
        """Download one picture of a result.

        Args:
            reserve: told how many bytes it takes, as soon as that is known or seen to be more; what it raises ends
                the download.

        Raises:
            ResultUnusable: it is too large, empty or no longer there. ProviderUnreachable: safe to retry.
        """


class AttachmentSource(Protocol):
    """Fetches a person's attachments; implemented by `bot.media.Attachments`."""

    def is_attachment(self, url: str) -> bool:
        """Whether the URL is a Discord attachment (anything else is left for fal to fetch)."""

    async def fetch(
        self,
        url: str,
        *,
        option: str,
        owner: Hashable,
        needs: InputNeeds | None = None,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        """Fetch it and set it right for a model, in its owner's turn.

        Args:
            may_take_long: whether to wait where decoding it takes long and others are before it.
            reserve: told how many bytes it takes, as soon as that is known or seen to be more; what it raises ends
                the download.

        Raises:
            BadPicture: it is no picture, or can't be decoded.
            DecoderUnavailable: nothing can be decoded now.
            DecoderBusy: it would have to wait, and may not.
        """

    async def fetch_mask(
        self,
        url: str,
        *,
        picture: PreparedInput,
        option: str,
        owner: Hashable,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        """Fetch a mask for this picture and set it right; as `fetch`."""


class Delivery(Protocol):
    """Shows jobs to people; implemented by `cogs.delivery` for Discord."""

    def progress(self, event: ProgressEvent) -> None:
        """Show a newer state of a job, soon; never blocks, and the event may be dropped."""

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        """Post the pictures and return the message id. Idempotent.

        Raises:
            GenerationFailed: they can't be posted anywhere.
        """

    async def was_answered(self, job: Job) -> bool | None:
        """Whether the initial response to the interaction was sent; None when that can't be found out."""

    async def notify_outcome(self, job: Job) -> None:
        """Show how a FAILED or CANCELLED job ended. Idempotent."""

    async def repair_message(self, job: Job, ready: DeliverableImages | None) -> None:
        """Show how a job ended once more, by editing the same message. `ready` is None unless it was DELIVERED."""

    def forget(self, job_id: str) -> None:
        """Drop the state of a job that this process no longer runs, and send no more progress edits for it."""


@dataclass(frozen=True, slots=True)
class CancelOutcome:
    """The outcome of a request to cancel."""

    cancelled: bool
    #: Tells the person what happened, and what happens next.
    phrase: Phrase
    #: What was settled; None where that is told by the phrase, or not known yet.
    charge: Charge | None = None
