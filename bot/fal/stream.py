"""Server-sent events, as fal's `status/stream` sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from yarl import URL

from bot.domain.request import Json

#: Limit for one event; a stream with a longer one is abandoned.
MAX_EVENT_BYTES = 2 * 1024 * 1024


class NotAStream(Exception):
    """The response is no event stream that can be used."""


def stream_url(status_url: str) -> URL:
    """`…/status/stream?logs=1`, keeping whatever query the status URL came with."""
    url = URL(status_url, encoded=True)
    return url.with_path(url.raw_path.rstrip("/") + "/stream", encoded=True, keep_query=True).update_query(logs="1")


def polled_url(status_url: str) -> URL:
    """`…/status?logs=1`, keeping whatever query the status URL came with."""
    return URL(status_url, encoded=True).update_query(logs="1")


class EventParser:
    """Bytes in arbitrary pieces → the JSON objects of `data:` fields.

    Works on bytes until a line is complete, so a character or a CR LF may be split anywhere. Comments, other fields
    and data that is no JSON object are skipped.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first = True
        self._max = max_event_bytes

    def feed(self, chunk: bytes) -> Iterator[dict[str, Json]]:
        """The events that this piece completes.

        Raises:
            NotAStream: one event is longer than the limit.
        """
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        # Universal newlines, but splitlines() on bytes knows exactly \n, \r and \r\n.
        for piece in chunk.splitlines(keepends=True):
            self._line += piece.rstrip(b"\r\n")
            if len(self._line) + self._size > self._max:
                raise NotAStream
            if piece.endswith((b"\r", b"\n")):
                line = bytes(self._line)
                self._line.clear()
                if (event := self._take(line)) is not None:
                    yield event

    def finish(self) -> Iterator[dict[str, Json]]:
        """The last event of a server that closes without the empty line after it."""
        if self._line:
            self._take(bytes(self._line))
            self._line.clear()
        if (event := self._take(b"")) is not None:
            yield event

    def _take(self, line: bytes) -> dict[str, Json] | None:
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            data, self._data, self._size = b"\n".join(self._data), [], 0
            return _object(data) if data else None
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value)
        return None


def _object(data: bytes) -> dict[str, Json] | None:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
