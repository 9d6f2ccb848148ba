"""Reconcile a submit whose answer was lost: find out whether fal has the request before it is submitted again.

fal has no idempotency key, so a POST is never blindly repeated. Two sources tell whether it arrived: a webhook callback
to the attempt's own URL (where fal can reach us), and fal's list of requests with their payloads, which contain our
random seed. Only when neither has shown it for `wait_s` may the runner submit again, as a possible double.

Where fal answered with a 5xx, it is looked for in a shorter time: most likely fal has nothing. If that answer names a
request, its status tells. Else the search decides nothing about money: fal lists only what has started, so the
attempt stays in doubt until the list tells all (`bot.jobs.doubts`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.domain.job import FalRequest, Job
from bot.domain.provider import FoundRequest, TruncatedList
from bot.domain.request import Json
from bot.errors import EaselError, SubmitUnresolved
from bot.jobs.active_jobs import ActiveJobs
from bot.jobs.request_match import matches
from bot.jobs.submit_attempts import LostAttempt
from bot.jobs.timings import JobTimings
from bot.retry import repeat_last

log = logging.getLogger(__name__)


class EqualSubmits(Exception):
    """The entry found in fal's list may be another submit with identical arguments that is still unanswered."""

    code = "equal_request_under_way"


class _Unlisted(Exception):
    """fal does not list the requests of this endpoint for our key, so nothing is known of what is not found."""


class Lister(Protocol):
    """What the reconciler needs of fal (see `ImageBackend`)."""

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> Sequence[FoundRequest] | None:
        """The requests submitted in that time; None where fal does not list this endpoint's."""

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        """The URLs of a request."""

    async def knows(self, request: FalRequest) -> bool | None:
        """Whether fal has a request with this id; None where it does not say."""


class Records(Protocol):
    """What the reconciler needs of the store."""

    async def known_requests(self, request_ids: Collection[str]) -> set[str]:
        """The ids among these that are stored with a job."""


@dataclass(slots=True)
class _Search:
    """One search for the request of a lost attempt."""

    job: Job
    #: The arguments by which the request is recognised in fal's list.
    sent: Mapping[str, Json]
    attempt: LostAttempt
    #: Whether fal's list has the payloads of this model's requests, without which it can't be recognised.
    listed: bool
    #: Whether there is time to wait for the outcome; else one read of the list decides.
    wanted: bool
    #: Until then the request may still appear (by the reconciler's timer, as all times here).
    until_s: float
    #: Until then an unreadable list keeps the search going.
    blind_until_s: float
    #: From then on a list without the request shows that fal does not have it: what has not started by then never will.
    certain_from_s: float
    #: The id that fal's answer named; None where it named none.
    named: str | None = None
    #: Whether fal said that it has no request with that id.
    is_unknown: bool = False
    #: Whether the last read of the list failed.
    was_blind: bool = False
    #: Whether fal refused us its list when we last asked.
    was_unlisted: bool = False
    #: After failed reads: from then on a list without the request is conclusive (see `JobTimings.after_blind_s`).
    conclusive_from_s: float = float("-inf")

    def left_s(self, at_s: float) -> float:
        """Seconds until a list without the request shows that fal does not have it."""
        return max(self.until_s, self.conclusive_from_s) - at_s

    def is_conclusive(self, at_s: float) -> bool:
        """Whether fal certainly does not have it, once a read begun at `at_s` decided the search.

        Either its list was read in full, and late; or fal knows nothing of the id that it had named itself.
        """
        if self.attempt.heard.is_set():
            return False
        read = self.listed and not self.was_blind and not self.was_unlisted
        return self.is_unknown or (read and self.wanted and at_s >= self.certain_from_s)

    def is_decided(self, at_s: float) -> bool:
        """Whether the search ends after a read begun at `at_s` that did not show the request.

        Raises:
            SubmitUnresolved: the list could not be read for as long as a job may take.
        """
        if self.attempt.heard.is_set():
            return True
        if self.left_s(at_s) > 0:
            return False
        if not self.was_blind:
            return True
        if at_s < self.blind_until_s:
            return False
        if self.wanted:
            raise SubmitUnresolved
        return True


class Reconciler:
    """Looks for the requests of submits whose answer was lost.

    Args:
        wait_s: age of an attempt, in seconds, from which a list without its request is conclusive.
        give_up_s: age of an attempt, in seconds, at which the search ends although the list can't be read.
        store_payloads: whether fal is asked to keep the payloads of requests, without which its list can't tell.
        calls_back: whether fal is asked to call back.
        timer: monotonic seconds.
    """

    def __init__(
        self,
        *,
        active: ActiveJobs,
        fal: Lister,
        records: Records,
        clock: Callable[[], datetime],
        wait_s: float,
        give_up_s: float,
        store_payloads: bool,
        timings: JobTimings,
        calls_back: bool = False,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._active = active
        self._fal = fal
        self._records = records
        self._clock = clock
        self._wait_s = wait_s
        self._give_up_s = give_up_s
        self._timings = timings
        self._timer = timer
        self._store_payloads = store_payloads
        self._calls_back = calls_back
        #: Unanswered submits, by the fingerprint of their endpoint and arguments.
        self._under_way: dict[str, set[asyncio.Future[None]]] = {}

    # ------------------------------------------------------------------ events during a search

    def on_webhook(self, job_id: str, attempt: int, request_id: str) -> None:
        """Record the request id of a callback to this attempt's URL, and end a search for it."""
        lost = self._active.open(job_id).lost_attempts.setdefault(attempt, LostAttempt())
        lost.request_id = request_id
        lost.heard.set()

    def webhook_request(self, job_id: str, attempt: int) -> str | None:
        """Take the request id of a callback that came before the submit's answer was stored; None when none did."""
        active = self._active.get(job_id)
        lost = active.lost_attempts.pop(attempt, None) if active is not None else None
        return lost.request_id if lost is not None else None

    @contextmanager
    def under_way(self, endpoint: str, sent: Mapping[str, Json]) -> Iterator[None]:
        """Mark a submit as unanswered until its answer is stored, so that no search claims its request."""
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

    def give_up(self, job_id: str, attempt: int) -> bool:
        """End the search for a job that was cancelled, where nothing can be heard of it: `find` returns at once.

        Otherwise it goes on: what is found can be cancelled at fal, and what is not there costs nothing.

        Returns:
            whether it was given up.
        """
        active = self._active.get(job_id)
        lost = active.lost_attempts.get(attempt) if active is not None else None
        if lost is None or not lost.hopeless:
            return False
        lost.heard.set()
        return True

    def is_hopeless(self, *, listed: bool) -> bool:
        """Whether neither fal's list nor a callback can tell of a request.

        Args:
            listed: whether fal keeps the payloads of this model's requests.
        """
        return not (listed and self._store_payloads) and not self._calls_back

    # ------------------------------------------------------------------ the search

    async def find(
        self,
        job: Job,
        sent: Mapping[str, Json],
        *,
        listed: bool,
        age_s: float,
        wait_s: float | None = None,
        named: str | None = None,
    ) -> FalRequest | None:
        """Look for the request that fal has for this attempt; None when it was not found.

        Only a complete read of the list at the end of the default time, or later, shows that there is none.

        Args:
            sent: the arguments by which the request is recognised, without URLs of uploads.
            listed: whether fal keeps the payloads of this model's requests.
            age_s: seconds since the attempt.
            wait_s: how long to search, in seconds; by default until the attempt is as old as `Reconciler`'s `wait_s`.
            named: the request's id, where fal's answer named one.

        Raises:
            SubmitUnresolved: the list could not be read for as long as a job may take.
        """
        search = self._begin(job, sent, listed=listed, age_s=age_s, wait_s=wait_s)
        search.named = named
        log.warning("a submit's answer is missing", extra={"job": job.id, "attempt": job.attempts})
        try:
            for pause_s in repeat_last(self._timings.list_pauses_s):
                began_s = self._timer()
                await self._look(search, began_s)
                if search.attempt.request_id is not None:
                    return self._found(job, search.attempt.request_id)
                if search.is_decided(began_s):
                    if search.is_conclusive(began_s):
                        self._active.open(job.id).unsure_attempt = None
                    return None
                left_s = search.left_s(began_s)
                await search.attempt.heard_within(min(pause_s, left_s) if left_s > 0 else pause_s)
        finally:
            self.webhook_request(job.id, job.attempts)
        raise AssertionError("the pauses never end")

    def _begin(
        self, job: Job, sent: Mapping[str, Json], *, listed: bool, age_s: float, wait_s: float | None
    ) -> _Search:
        now_s = self._timer()
        certain_from_s = now_s + max(self._wait_s - age_s, 0.0)
        until_s = certain_from_s if wait_s is None else now_s + wait_s
        wanted = wait_s != 0
        attempt = self._active.open(job.id).lost_attempts.setdefault(job.attempts, LostAttempt())
        attempt.hopeless = self.is_hopeless(listed=listed)
        return _Search(
            job,
            sent,
            attempt,
            listed=listed and self._store_payloads,
            wanted=wanted,
            until_s=until_s,
            blind_until_s=max(now_s + self._give_up_s - age_s, until_s) if wanted else until_s,
            certain_from_s=certain_from_s,
        )

    def _found(self, job: Job, request_id: str) -> FalRequest:
        log.info("the missing request is found", extra={"job": job.id, "request": request_id})
        return self._fal.request_for(job.request.endpoint, request_id)

    async def _look(self, search: _Search, now_s: float) -> None:
        """Ask for the request that was named, and read the list once, if it shows payloads.

        The last read allows for a clock that is wrong by an hour.
        """
        if search.attempt.heard.is_set() or not (search.listed or search.named):
            return
        apart = self._timings.wrong_clock if now_s >= search.until_s else self._timings.clock_difference
        try:
            found = await self._named_request(search)
            if found is None and search.listed:
                found = await self._matching_request(search, apart)
            search.attempt.request_id = search.attempt.request_id or found  # a callback may have come meanwhile
        except _Unlisted:
            search.was_unlisted, search.attempt.hopeless = True, not self._calls_back
            return
        except (EaselError, EqualSubmits) as error:
            search.was_blind = True
            log.info("fal's list of requests can't be read", extra={"job": search.job.id, "reason": error.code})
            return
        search.was_unlisted, search.attempt.hopeless = False, False
        if search.was_blind:
            search.was_blind, search.conclusive_from_s = False, self._timer() + self._timings.after_blind_s

    async def _named_request(self, search: _Search) -> str | None:
        """The request that fal's answer named, where fal has it. Raises EaselError where it can't be asked."""
        if search.named is None:
            return None
        known = await self._fal.knows(self._fal.request_for(search.job.request.endpoint, search.named))
        search.is_unknown = known is False
        if not known:
            return None
        self._active.open(search.job.id).found_request_id = search.named
        return search.named

    async def _matching_request(self, search: _Search, apart: timedelta) -> str | None:
        """The oldest matching request that belongs to no other job; it is assigned to this job.

        Args:
            apart: how far fal's clock and ours may be apart.

        Raises:
            _Unlisted: fal does not list this endpoint's requests for us.
            EaselError: the list or the store can't be read, or the part of the list that was read does not have it.
            EqualSubmits: a matching request may belong to another submit that is still unanswered.
        """
        endpoint, cut_off = search.job.request.endpoint, None
        attempted_at = search.job.submitted_at or search.job.created_at
        listed: Sequence[FoundRequest] | None
        try:
            listed = await self._fal.find_requests(endpoint, since=attempted_at - apart, until=self._clock() + apart)
        except TruncatedList as error:
            cut_off, listed = error, error.found
        if listed is None:
            raise _Unlisted
        fitting = [one.request_id for one in listed if matches(search.sent, one)]
        if fitting:
            await self.wait_for_equal_submits(endpoint, search.sent)
        free = await self._first_free(fitting)
        if free is not None:
            self._active.open(search.job.id).found_request_id = free
        elif cut_off is not None:
            raise cut_off
        return free

    async def wait_for_equal_submits(self, endpoint: str, sent: Mapping[str, Json]) -> None:
        """Wait for the answers to other submits with identical arguments, to which a matching request may belong.

        Raises:
            EqualSubmits: they were not answered within `equal_submits_s`.
        """
        others = self._under_way.get(_fingerprint(endpoint, sent))
        if others:
            _, pending = await asyncio.wait(others, timeout=self._timings.equal_submits_s)
            if pending:
                raise EqualSubmits

    async def _first_free(self, request_ids: Sequence[str]) -> str | None:
        """The first request that belongs to no job, neither in the store nor among those found and not stored yet."""
        if not request_ids:
            return None
        taken = await self._records.known_requests(request_ids)
        taken |= {active.found_request_id for active in self._active.found.values() if active.found_request_id}
        return next((request_id for request_id in request_ids if request_id not in taken), None)


def _fingerprint(endpoint: str, sent: Mapping[str, Json]) -> str:
    """A key that is equal for submits that fal's list can't tell apart; hashed, because it covers the prompt."""
    return hashlib.sha256(json.dumps([endpoint, sent], sort_keys=True).encode()).hexdigest()
