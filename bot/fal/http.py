"""HTTP responses of fal, read up to a size limit and parsed with tolerance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from bot.domain.request import Json

#: Limit for a status; its logs grow with every poll.
STATUS_BYTES = 2 * 1024 * 1024
#: A result with pictures as data URIs (we never ask for them) is far larger than one with links.
RESULT_BYTES = 24 * 1024 * 1024

#: Python's values take up to a hundred times the bytes that JSON does, so their number is bounded as well: a result
#: has some dozens, and a status some thousands.
MOST_JSON_VALUES = 300_000

#: What aiohttp raises for network failures.
NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, headers and body of one HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: The body ended early or exceeded the limit.
    truncated: bool = False

    @property
    def ok(self) -> bool:
        """Any 2xx: fal says 202 while a job is under way and 200 once it is done."""
        return 200 <= self.status < 300

    def json(self) -> Json:
        """The body as JSON, or None where it is none (HTML, truncated, empty, far too many values, or a null)."""
        if self.truncated or sum(map(self.body.count, (b",", b"[", b"{"))) > MOST_JSON_VALUES:
            return None
        try:
            parsed: Json = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return parsed

    def object(self) -> dict[str, Json] | None:
        """The body as a JSON object, or None."""
        parsed = self.json()
        return parsed if isinstance(parsed, dict) else None

    def retry_after_s(self, longest_s: float) -> float | None:
        """Retry-After in seconds (given as such or as a date), at most `longest_s`."""
        given = self.headers.get("Retry-After")
        if given is None:
            return None
        try:
            seconds = float(given)
        except ValueError:
            try:
                at = parsedate_to_datetime(given)
            except (ValueError, TypeError):
                return None
            seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        return None if math.isnan(seconds) else min(max(seconds, 0.0), longest_s)


async def read_response(response: aiohttp.ClientResponse, max_bytes: int) -> HttpResponse:
    """The whole response. A body that ends early or exceeds `max_bytes` is marked `truncated`; the status is kept."""
    body = bytearray()
    truncated = False
    try:
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > max_bytes:
                truncated = True
                break
    except NETWORK_ERRORS:
        truncated = True
    return HttpResponse(response.status, response.headers, bytes(body), truncated)
