"""What a provider of pictures says about the requests it was sent; `bot.fal` speaks for fal.ai."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bot.domain.request import Json
from bot.errors import ProviderUnreachable


@dataclass(frozen=True, slots=True)
class InQueueStatus:
    """In the provider's queue; `position` requests are ahead (0-based), None where it does not say."""

    position: int | None


@dataclass(frozen=True, slots=True)
class InProgressStatus:
    """It is being painted; `lines` are log lines not given before."""

    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletedStatus:
    """The result, or its failure, can be fetched. `error_type` hints at a failure; the result says which."""

    error_type: str | None = None


Status = InQueueStatus | InProgressStatus | CompletedStatus


class CancelAnswer(Enum):
    """What the provider said to a cancel."""

    #: Removed from the queue, or the runner was told; one that is being painted may still finish, and be billed.
    REMOVED_OR_REQUESTED = "removed_or_requested"
    #: Too late: the result is there.
    ALREADY_COMPLETED = "already_completed"
    #: There is no such request.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FoundRequest:
    """One entry of the provider's list of requests."""

    request_id: str
    endpoint: str
    #: What was sent; None where it was not kept or is not told.
    arguments: Mapping[str, Json] | None
    #: When it was sent, aware UTC.
    created_at: datetime | None
    #: `success` or `error` once it has ended, or the provider's word; None before.
    status: str | None


class TruncatedList(ProviderUnreachable):
    """The list is longer than is read: what is missing in this part, oldest first, may be in the rest."""

    code = "fal_list_too_long"

    def __init__(self, found: Sequence[FoundRequest]) -> None:
        self.found = found
        super().__init__("fal.ai's list of requests is longer than is read.")
