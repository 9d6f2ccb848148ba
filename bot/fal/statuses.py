"""What fal says about a request under way."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from bot.domain.provider import CompletedStatus, InProgressStatus, InQueueStatus, Status
from bot.domain.request import Json

log = logging.getLogger(__name__)

#: Log lines are only searched for progress, so their beginnings suffice.
_LINE_CHARACTERS = 300
#: More lines than any model writes; beyond them repeats are possible, which is harmless.
_MAX_REMEMBERED_LINES = 4_000
_UNKNOWN_SEEN: set[str] = set()


class StatusReader:
    """Parses the status bodies of one request; repeats are dropped.

    fal's logs are cumulative in polled statuses and incremental on the stream, and after a fallback the two mix. A
    line is identified by its time and text, or by its index where a polled one carries no time.
    """

    __slots__ = ("_last", "_seen")

    def __init__(self) -> None:
        self._seen: set[int] | None = None
        self._last: Status | None = None

    def read(self, body: Mapping[str, Json], *, cumulative: bool) -> Status | None:
        """The status with its new log lines, or None where the body repeats the last one."""
        status, last = self._parse(body, cumulative), self._last
        self._last = status
        if isinstance(status, InQueueStatus):
            return None if status == last else status
        if isinstance(status, InProgressStatus) and not status.lines:
            return None if isinstance(last, InProgressStatus) else status
        return status

    def _parse(self, body: Mapping[str, Json], cumulative: bool) -> Status:
        name = body.get("status")
        if name == "COMPLETED":
            error_type = body.get("error_type") or ("error" if body.get("error") else None)
            return CompletedStatus(str(error_type)[:64] if error_type else None)
        if name == "IN_QUEUE":
            position = body.get("queue_position")
            return InQueueStatus(position if isinstance(position, int) and position >= 0 else None)
        if name != "IN_PROGRESS":
            _log_unknown(name)
        return InProgressStatus(self._new_lines(body.get("logs"), cumulative))

    def _new_lines(self, logs: Json, cumulative: bool) -> tuple[str, ...]:
        if not isinstance(logs, list):
            return ()
        lines: list[str] = []
        for index, entry in enumerate(logs):
            message = entry.get("message") if isinstance(entry, dict) else entry
            if not isinstance(message, str):
                continue
            at = entry.get("timestamp") if isinstance(entry, dict) else None
            line = message[:_LINE_CHARACTERS]
            if (at is None and not cumulative) or self._is_new(hash((at if at is not None else index, line))):
                lines.append(line)
        return tuple(lines)

    def _is_new(self, known: int) -> bool:
        if self._seen is None:  # most jobs never need it
            self._seen = set()
        if known in self._seen:
            return False
        if len(self._seen) < _MAX_REMEMBERED_LINES:
            self._seen.add(known)
        return True


def _log_unknown(name: Json) -> None:
    shown = str(name)[:40]
    if shown not in _UNKNOWN_SEEN and len(_UNKNOWN_SEEN) < 100:
        _UNKNOWN_SEEN.add(shown)
        log.warning("fal sent an unknown status; taken for work in progress", extra={"status": shown})
