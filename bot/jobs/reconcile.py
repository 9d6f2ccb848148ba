"""A submit whose answer was lost: find out whether fal has it before anything is sent again.

fal knows no idempotency key, so a POST is never blindly repeated. Two things can tell what became of it: a callback on
the attempt's own address (where fal can reach us), and fal's list of requests with their payloads, in which our random
seed stands. Only when neither has spoken for `wait_s` may the runner submit again, as a possible double.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from bot.domain.job import FalRequest, Job
from bot.domain.request import Json
from bot.errors import EaselError, SubmitUnresolved
from bot.fal import FoundRequest, TruncatedList, matches

log = logging.getLogger(__name__)

#: Pauses between two looks at fal's list; the last one repeats.
LOOK_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
#: fal's clock and ours may differ by this much.
CLOCK_DIFFERENCE = timedelta(minutes=2)
#: And by this much where one of them is wrong; the last look reaches so far, before anything is sent again.
WRONG_CLOCK = timedelta(minutes=65)
#: After a time in which the list could not be read, it must say for so long that a request is not there: what an outage
#: held up may arrive with its end.
AFTER_BLIND_S = 5.0
#: How long one look waits for submits of the very same order to be answered.
OTHERS_S = 5.0


class _Undecided(Exception):
    """An equal order is just being handed over, and what stands in fal's list may be that one."""

    code = "equal_order_under_way"


class Lister(Protocol):
    """What is asked of fal."""

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> Sequence[FoundRequest] | None:
        """The requests of that time, None where fal does not tell."""

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        """The addresses of a request."""


class Records(Protocol):
    """What is asked of the store."""

    async def known_requests(self, request_ids: Collection[str]) -> set[str]:
        """Those that belong to a job already."""


@dataclass(slots=True)
class _Lost:
    """One attempt whose answer is missing."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    request_id: str | None = None


class Reconciler:
    """Looks for lost requests."""

    def __init__(
        self,
        *,
        fal: Lister,
        records: Records,
        clock: Callable[[], datetime],
        wait_s: float,
        give_up_s: float,
        store_payloads: bool,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fal = fal
        self._records = records
        self._clock = clock
        self._wait_s = wait_s
        self._give_up_s = give_up_s
        self._timer = timer
        self._store_payloads = store_payloads
        self._unconfirmed: dict[tuple[str, int], _Lost] = {}
        #: Request ids handed out in this process, not yet on record.
        self._taken: set[str] = set()
        #: Submits that may still be answered, by what was ordered.
        self._under_way: dict[str, set[asyncio.Future[None]]] = {}

    def on_webhook(self, job_id: str, attempt: int, request_id: str) -> None:
        """Fal called back on the address of this attempt."""
        lost = self._unconfirmed.setdefault((job_id, attempt), _Lost())
        lost.request_id = request_id
        lost.heard.set()

    def webhook_request(self, job_id: str, attempt: int) -> str | None:
        """The request that fal called back about before its answer was on record; told once."""
        lost = self._unconfirmed.pop((job_id, attempt), None)
        return lost.request_id if lost is not None else None

    @contextmanager
    def under_way(self, endpoint: str, sent: Mapping[str, Json]) -> Iterator[None]:
        """Around a submit and the record of its answer: until then its request must not be taken for a lost one."""
        fingerprint = _fingerprint(endpoint, sent)
        done = asyncio.get_running_loop().create_future()
        self._under_way.setdefault(fingerprint, set()).add(done)
        try:
            yield
        finally:
            done.set_result(None)
            self._under_way[fingerprint].discard(done)
            if not self._under_way[fingerprint]:
                del self._under_way[fingerprint]

    def give_up(self, job_id: str, attempt: int) -> None:
        """Nobody wants this job any more: `find` returns at once."""
        lost = self._unconfirmed.get((job_id, attempt))
        if lost is not None:
            lost.heard.set()

    async def find(
        self, job: Job, sent: Mapping[str, Json], *, listed: bool, age_s: float, wait_s: float | None = None
    ) -> FalRequest | None:
        """The request fal took for this attempt, or None when it is not there by the end of the time.

        Only a list that was read to its end at that time, or later, tells that it is not there.

        Args:
            sent: what identifies the request among others: its arguments, without addresses of uploads.
            listed: whether fal keeps the payload of this model's requests.
            age_s: seconds since the attempt.
            wait_s: how long to look; by default until the attempt is as old as was said at the beginning.

        Raises:
            NeverFoundOut: the list could not be read for as long as a job may take.
        """
        attempted_at = job.submitted_at or job.created_at
        until_s = self._timer() + (max(self._wait_s - age_s, 0.0) if wait_s is None else wait_s)
        blind_until_s = until_s if wait_s == 0 else max(self._timer() + self._give_up_s - age_s, until_s)
        lost = self._unconfirmed.setdefault((job.id, job.attempts), _Lost())
        was_blind, settled_at_s = False, float("-inf")
        log.warning("a submit's answer is missing", extra={"job": job.id, "attempt": job.attempts})
        try:
            for pause_s in _pauses():
                blind, began_s = False, self._timer()
                if not lost.heard.is_set() and listed and self._store_payloads:
                    try:
                        apart = WRONG_CLOCK if began_s >= until_s else CLOCK_DIFFERENCE
                        lost.request_id = await self._look(job, sent, attempted_at, apart)
                        if was_blind:
                            was_blind, settled_at_s = False, self._timer() + AFTER_BLIND_S
                    except (EaselError, _Undecided) as error:
                        blind = was_blind = True
                        log.info("fal's list of requests can't be read", extra={"job": job.id, "reason": error.code})
                if lost.request_id is not None:
                    log.info("the missing request is found", extra={"job": job.id, "request": lost.request_id})
                    return self._fal.request_for(job.request.endpoint, lost.request_id)
                left_s = max(until_s, settled_at_s) - began_s
                if lost.heard.is_set() or (left_s <= 0 and not blind):
                    return None
                if left_s <= 0 and began_s >= blind_until_s:
                    if wait_s == 0:  # nobody wants it
                        return None
                    raise SubmitUnresolved
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause_s, left_s) if left_s > 0 else pause_s):
                        await lost.heard.wait()
        finally:
            self._unconfirmed.pop((job.id, job.attempts), None)
        return None

    async def _look(self, job: Job, sent: Mapping[str, Json], attempted_at: datetime, apart: timedelta) -> str | None:
        """The oldest matching request that belongs to nobody.

        Args:
            apart: how far fal's clock and ours may be apart.

        Raises:
            EaselError: the list, or our own records, can't be read, or not all of it, and it is not in the rest.
            _Undecided: it can't be told now whose the matching ones are.
        """
        part: TruncatedList | None = None
        found: Sequence[FoundRequest] | None
        try:
            found = await self._fal.find_requests(
                job.request.endpoint, since=attempted_at - apart, until=self._clock() + apart
            )
        except TruncatedList as error:
            part, found = error, error.found
        fitting = [one.request_id for one in found or () if matches(sent, one)]
        if fitting and (others := self._under_way.get(_fingerprint(job.request.endpoint, sent))):
            # The same order is just being handed over for somebody else: what stands there may be theirs.
            _, pending = await asyncio.wait(others, timeout=OTHERS_S)
            if pending:
                raise _Undecided
        taken = await self._records.known_requests(fitting) | self._taken if fitting else set()
        free = next((request_id for request_id in fitting if request_id not in taken), None)
        if free is not None:
            self._taken.add(free)
        elif part is not None:
            raise part
        return free


def _fingerprint(endpoint: str, sent: Mapping[str, Json]) -> str:
    """What two submits have in common that fal's list can't tell apart. Digested: it holds the prompt."""
    return hashlib.sha256(json.dumps([endpoint, sent], sort_keys=True).encode()).hexdigest()


def _pauses() -> Sequence[float]:
    """More than any wait needs."""
    return (*LOOK_PAUSES_S, *(LOOK_PAUSES_S[-1:] * 10_000))
