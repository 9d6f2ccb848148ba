"""Statuses and answers of an image provider, as values; `bot.fal` produces them for fal.ai."""

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
    """The request is running; `lines` are the log lines that no earlier status had."""

    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletedStatus:
    """The result or the failure can be fetched. `error_type` is set for most failures; the result has the details."""

    error_type: str | None = None


Status = InQueueStatus | InProgressStatus | CompletedStatus


class CancelAnswer(Enum):
    """The provider's answer to a cancel."""

    #: Removed from its queue, or requested from its worker; a running request may still finish, and be billed.
    REMOVED_OR_REQUESTED = "removed_or_requested"
    #: Too late: the result is available.
    ALREADY_COMPLETED = "already_completed"
    #: There is no such request.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FoundRequest:
    """One entry of the provider's list of requests."""

    request_id: str
    endpoint: str
    #: The arguments as sent; None where they were not kept or are not listed.
    arguments: Mapping[str, Json] | None
    #: When it was sent, aware UTC.
    created_at: datetime | None
    #: `success` or `error`, or another word of the provider, once the request has ended; None before.
    status: str | None


class TruncatedList(ProviderUnreachable):
    """The list has more entries than are read: an entry missing in `found`, the part read, may be in the rest."""

    code = "fal_list_too_long"

    def __init__(self, found: Sequence[FoundRequest]) -> None:
        self.found = found
        super().__init__("fal.ai's list of requests is longer than is read.")
