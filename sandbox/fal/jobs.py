"""The fake fal's jobs and counters, which tests compare the bot's own records with."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from bot.catalogue.model import Model
from bot.domain.request import Json


class Status(StrEnum):
    """fal's three job statuses; failures are COMPLETED too."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What a result GET answers: an HTTP status, a JSON body and extra headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, content: Json, **headers: str) -> StoredResponse:
        """Serialise `content` once; `_` in a header's name stands for `-`."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(content, separators=(",", ":")).encode(), names)


@dataclass(frozen=True, slots=True)
class Accepted:
    """One request the queue took, as it came over the wire."""

    request_id: str
    endpoint: str
    arguments: Mapping[str, Json]
    headers: Mapping[str, str]
    at: datetime


@dataclass(eq=False, slots=True)
class Job:
    """One request in the queue. `version` grows with everything a watcher could see."""

    id: str
    gateway_id: str
    model: Model
    #: `owner/alias`: the only part of the endpoint id that status URLs carry.
    app: str
    arguments: Mapping[str, Json]
    base_url: str
    created_at: datetime
    #: Loop time before which the job does not start, even with free capacity.
    ready_at_s: float = 0.0
    webhook: str | None = None
    store_io: bool = True
    status: Status = Status.IN_QUEUE
    position: int = 0
    answer: StoredResponse | None = None
    error: str | None = None
    error_type: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    inference_s: float = 0.0
    #: Width and height of the pictures that its runner is painting; None before it has begun.
    painting_px: tuple[tuple[int, int], ...] | None = None
    #: Names sent that the model does not document (fal ignores them).
    unknown_arguments: tuple[str, ...] = ()
    requests: Counter[str] = field(default_factory=Counter)
    version: int = 0
    logs: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    start_deadline: asyncio.TimerHandle | None = None
    _changed: asyncio.Future[None] | None = None

    @property
    def url(self) -> str:
        """The app-only request URL, which is also where the result is."""
        return f"{self.base_url}/{self.app}/requests/{self.id}"

    @property
    def done(self) -> bool:
        """Whether the job has ended, well or badly."""
        return self.status is Status.COMPLETED

    def log(self, message: str, at: datetime) -> None:
        """Append one line as JSON; serialised once however many watchers read it."""
        stamp = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        line = {"message": message, "level": "STDERR", "source": "USER", "timestamp": stamp}
        self.logs.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False))
        self.touch()

    def touch(self) -> None:
        """Wake everybody who watches this job."""
        self.version += 1
        if self._changed is not None:
            if not self._changed.done():
                self._changed.set_result(None)
            self._changed = None

    @property
    def watched(self) -> bool:
        """Whether somebody waits for the next change."""
        return self._changed is not None

    async def changed(self, seen: int, timeout_s: float) -> bool:
        """Wait until `version` differs from `seen`; False when `timeout_s` passed first."""
        if self.version != seen:
            return True
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait((self._changed,), timeout=timeout_s)
        return bool(done)

    def urls(self) -> dict[str, Json]:
        """The fields that every answer about this job carries."""
        url = self.url
        return {
            "request_id": self.id,
            "response_url": url,
            "status_url": f"{url}/status",
            "cancel_url": f"{url}/cancel",
        }

    def status_json(self, *, with_logs: bool, since: int = 0) -> str:
        """The status body. `since` skips log lines a stream has sent already."""
        head = json.dumps({"status": self.status.value, **self.urls()}, separators=(",", ":"))[:-1]
        logs = f"[{','.join(self.logs[since:])}]" if with_logs else "null"
        if self.status is Status.IN_QUEUE:
            return f'{head},"queue_position":{self.position},"logs":{logs if with_logs and self.logs else "null"}}}'
        if self.status is Status.IN_PROGRESS:
            return f'{head},"logs":{logs}}}'
        tail: dict[str, Json] = {"metrics": {"inference_time": round(self.inference_s, 4)}}
        if self.error is not None:
            tail |= {"error": self.error, "error_type": self.error_type}
        return f'{head},"logs":{logs},{json.dumps(tail, separators=(",", ":"))[1:]}'


@dataclass(slots=True)
class Counters:
    """How often each thing was requested. `requests` counts every HTTP request by kind.

    Kinds: submit, status, stream, result, cancel, token, upload, media, list, jwks, unknown.
    """

    requests: Counter[str] = field(default_factory=Counter)
    #: POSTs that became a job, by fingerprint of (endpoint, arguments): more than one is a duplicate.
    jobs_by_fingerprint: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    unauthorised: int = 0
    #: Requests for public media that carried an Authorization header (a leaked key).
    keys_sent_to_media: int = 0
    webhooks_delivered: int = 0
    webhooks_failed: int = 0
    open_streams: int = 0
    most_open_streams: int = 0

    @property
    def duplicates(self) -> int:
        """Jobs beyond the first for the very same endpoint and arguments."""
        return sum(count - 1 for count in self.jobs_by_fingerprint.values())

    @property
    def calls(self) -> int:
        """HTTP requests of every kind."""
        return self.requests.total()


def error_detail(
    loc: Sequence[str | int], message: str, kind: str, given: Json, ctx: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """One entry of fal's `detail` list. `given` is echoed, as fal does: it may be the prompt."""
    entry: dict[str, Json] = {
        "loc": ["body", *loc],
        "msg": message,
        "type": kind,
        "url": f"https://docs.fal.ai/errors/#{kind}",
        "input": given,
    }
    if ctx:
        entry["ctx"] = dict(ctx)
    return entry
