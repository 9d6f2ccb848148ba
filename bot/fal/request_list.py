"""fal's list of requests and its entries.

`GET {api_url}/v1/models/requests/by-endpoint` (docs: platform-apis/v1/models/requests/by-endpoint)::

    ?endpoint_id=…            one to 50 ids
    &start=…&end=…            ISO 8601; `end` is exclusive. Which of a request's times is meant is not documented.
    &expand=payloads          with json_input and json_output, where fal kept them
    &limit=100&cursor=…

    {"items": [{"request_id", "endpoint_id", "started_at", "sent_at",          always listed
                "ended_at", "status_code", "duration",                         null or missing until it has ended
                "json_input", "json_output"}],                                 with expand=payloads
     "next_cursor": "…" | null, "has_more": true}

It is sorted by the end, newest first; a request that has not started may be missing. Reading is more tolerant than
that, since a request not found is one that may be paid for twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.domain.provider import FoundRequest
from bot.domain.request import Json
from bot.fal.origins import REQUEST_ID

_LISTS = ("items", "requests", "results", "data")
_IDS = ("request_id", "id")
_ENDPOINTS = ("endpoint_id", "endpoint", "model_id", "app_id")
_INPUTS = ("json_input", "input", "payload", "payloads", "request", "arguments")
_TIMES = ("sent_at", "created_at", "started_at")


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of the list."""

    found: tuple[FoundRequest, ...]
    #: Opaque; None on the last page.
    cursor: str | None


def read_page(body: bytes, endpoint: str) -> ListPage:
    """The requests of one page; entries without a usable id are skipped.

    Raises:
        ValueError: not a list of requests.
    """
    try:
        parsed: Json = json.loads(body)
    except RecursionError:
        raise ValueError("no list of requests") from None
    if isinstance(parsed, list):
        return ListPage(_entries(parsed, endpoint), None)
    if not isinstance(parsed, dict):
        raise ValueError("no list of requests")
    listed = next((parsed[name] for name in _LISTS if isinstance(parsed.get(name), list)), None)
    if not isinstance(listed, list):
        raise ValueError("no list of requests")
    cursor = parsed.get("next_cursor")
    more = isinstance(cursor, str) and cursor != "" and parsed.get("has_more") is not False
    return ListPage(_entries(listed, endpoint), str(cursor) if more else None)


def _entries(listed: Sequence[Json], endpoint: str) -> tuple[FoundRequest, ...]:
    read = (_read(entry, endpoint) for entry in listed if isinstance(entry, dict))
    return tuple(found for found in read if found is not None)


def _read(entry: Mapping[str, Json], endpoint: str) -> FoundRequest | None:
    request_id = _text(entry, _IDS)
    if request_id is None or not REQUEST_ID.fullmatch(request_id):
        return None
    return FoundRequest(
        request_id=request_id,
        endpoint=_text(entry, _ENDPOINTS) or endpoint,
        arguments=_input(entry),
        created_at=next((at for name in _TIMES if (at := _moment(entry.get(name))) is not None), None),
        status=_status(entry),
    )


def _text(entry: Mapping[str, Json], names: Sequence[str]) -> str | None:
    values = (entry.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _input(entry: Mapping[str, Json]) -> Mapping[str, Json] | None:
    for name in _INPUTS:
        given = entry.get(name)
        if isinstance(given, str) and given.startswith("{"):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError):
                continue
        if isinstance(given, dict):
            inner = given.get("json_input", given.get("input"))
            return inner if name == "payloads" and isinstance(inner, dict) else given
    return None


def _moment(given: Json) -> datetime | None:
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else None
        if moment is None:
            return None
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _status(entry: Mapping[str, Json]) -> str | None:
    code = entry.get("status_code")
    if isinstance(code, int) and not isinstance(code, bool):
        return "success" if 200 <= code < 300 else "error"
    return _text(entry, ("status",))
