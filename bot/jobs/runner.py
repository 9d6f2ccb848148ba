"""The life of a job: claim, submit once, watch, fetch, deliver; resumed after a restart.

Every step is written to the store before the next begins, so a killed process leaves rows that say where each
job stood. What cannot be interrupted without losing money or posting twice (a submit with the record of its
answer, a post with the record of its message) runs in tasks of its own that a shutdown waits for.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, Protocol, TypeVar

from bot import metrics
from bot.catalogue import Catalogue, arguments, picture_options, with_pictures
from bot.catalogue.model import Json, Kind, Model, Order
from bot.errors import (
    AnswerLost,
    EaselError,
    FalBroken,
    FalUnreachable,
    ModelGone,
    Overloaded,
    PaintingFailed,
    PaintingTimedOut,
    Refusal,
    ResultUnusable,
    ResultWithheld,
    StoreUnusable,
)
from bot.fal import CancelAnswer, Completed, Fal, Waiting, Working, read_progress
from bot.jobs.callbacks import Callbacks
from bot.jobs.events import FalAway, Painting, Progress, WaitingAtFal, WaitingHere
from bot.jobs.gate import Gate
from bot.jobs.job import TERMINAL, Failure, FalRequest, Job, JobState, NewJob, RemotePicture, Result
from bot.jobs.reconcile import Reconciler
from bot.jobs.waiting import AtFal, Caps, Why
from bot.limits import Policy, Refused
from bot.logs import incident
from bot.media import Picture, fit, inspect, mask_matches
from bot.settings import FalSettings
from bot.store import Accepted, Duplicate, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Most jobs claimed that have not been sent to fal yet; the others keep their places in the queue.
CLAIMED_AHEAD = 64
#: So many first answers under way make everything else wait, and for how long each may.
MANY_ANSWERS = 12
PRESSING_S = 3.0
#: How often a claim that makes room for first answers looks again, and how often it does before it goes on anyway.
PRESSED_PAUSE_S = 0.02
PRESSED_PAUSES = 25
#: Jobs between their end at fal and their post; the others keep next to nothing until it is their turn.
IN_HAND_AT_ONCE = 256
#: How long a result is left with fal meanwhile; fal keeps one for an hour, a large one for some minutes.
UNREAD_S = 60.0
#: Results read, and pictures fetched and posted, at once while the processor is the bottleneck.
FEW_AT_ONCE = 5
#: Most results read at once.
RESULTS_AT_ONCE = 32
#: Most downloads and posts under way at once; keeps memory bounded (a few pictures of a few MB each).
DELIVERIES_AT_ONCE = 64
#: Most submits under way at once.
SUBMITS_AT_ONCE = 32
#: The largest single picture fetched from fal.
MAX_PICTURE_BYTES = 64 * 1024 * 1024
#: How long a process that hangs or dies keeps its jobs from others that share the database. They look every third of
#: it, so that all it held is taken up again after at most 16 s.
LEASE_S = 12.0
#: How long a request is looked for that fal itself answered with an error: most likely there is none.
REFUSED_WAIT_S = 6.0
#: Submits whose answers were lost, without fal seeming to have any, before the person is told.
MOST_LOSSES = 3
#: The same with processes that died in the middle of them; a job that kills the bot must not do so for ever.
MOST_ATTEMPTS = 20
#: Options whose values differ from attempt to attempt, or must not be compared.
PICTURE_KINDS = frozenset({Kind.PICTURE, Kind.PICTURES, Kind.CONTROLNET, Kind.IP_ADAPTER})
SECRETS = frozenset({"openai_api_key"})
#: Where one process cares for a job.
CLAIMED = frozenset({JobState.SUBMITTING, JobState.RUNNING, JobState.FINISHED})
#: How long a job waits for the first answer to the interaction before it starts anyway.
ANSWER_WAIT_S = 900.0
#: How long after another process accepted a job its answer may still be on the way: Discord takes it for 3 s.
ANSWERED_WITHIN_S = 5.0
#: Pauses between looks whether that answer is on record; the last one repeats.
ANSWER_LOOKS_S = (0.02, 0.05, 0.1, 0.2, 0.4)
#: A process shows the places of jobs that another one may claim at any moment. Such an edit is given up after this
#: time, and only `SETTLED_S` after it took a job from the queue another process shows how the job ended.
PLACE_EDIT_S = 1.5
SETTLED_S = 2.0
#: How often a process looks whether somebody cancelled its jobs at another one, and how long that one waits for it.
WISHES_S = 1.0
CANCEL_ELSEWHERE_S = 5.0
#: Pauses between submits that certainly never left (connection refused, no such host), 15 minutes in all.
UNREACHABLE_PAUSES_S = (1, 2, 4, 8, *(15,) * 59)
#: Pauses between tries to fetch what fal has finished, 15 minutes in all; short, so that an outage is soon made good.
PATIENCE_PAUSES_S = (2, 4, 8, *(15,) * 59)
#: Pauses between tries to put on record what has happened, while the database is away; the last one repeats.
STORE_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
#: How soon a person is told that the database does not take their request; Discord waits for three seconds.
ACCEPT_WITHIN_S = 2.0
#: Weight of the newest painting in the expected time of its model.
LEARNING_RATE = 0.3
#: A callback is waited for this many times the usual duration before fal is watched, and at least so long.
CALLBACK_PATIENCE = 2.0
LEAST_CALLBACK_WAIT_S = 15.0
#: A job that others are watched for in its place asks again whether it shall be itself.
SCOUT_AGAIN_S = 30.0
#: A job found after its deadline (a long stop) is still looked at for this long.
LEAST_WATCH_S = 60.0
#: Paintings whose time is written down at every tick, at most; enough to learn from.
DURATIONS_A_TICK = 10
#: How long the store's word on what waits is good while caps may be what keeps a claim from finding anything.
RELEARN_S = 10.0
#: A person who is turned away because too much waits is told to come back after this long at least, and at most.
LEAST_RETRY_S = 30.0
MOST_RETRY_S = 900.0
#: Taken for the time of a picture while nothing is known.
USUAL_S = 5.0
#: How long after a start that is a reason to wait.
JUST_STARTED = timedelta(seconds=60)
#: After a stop of this length people are told of the restart.
NOTICEABLE_S = 15.0
#: While jobs are under way it is noted this often that somebody looks after them.
ALIVE_EVERY_S = 5.0
#: Where the store keeps the latest such moment.
ALIVE_AT = "alive_at"
#: Jobs taken over from another process in one go.
ADOPTED_AT_ONCE = 100
#: Jobs under way whose progress is worked out in one go; the event loop turns in between.
TOLD_AT_ONCE = 200
#: Places in the queue looked up at every tick, of those in front and once more of the rest; more can't be shown anyway.
PLACES_A_TICK = 100
#: How long a shutdown waits for submits and posts under way.
DRAIN_S = 4.0


@dataclass(frozen=True, slots=True)
class Ready:
    """Pictures that may be shown, fitted to the channel."""

    pictures: tuple[Picture, ...]
    #: One flag a picture: behind a spoiler.
    spoilers: tuple[bool, ...]
    #: Pictures that the safety checker kept back.
    withheld: int = 0


class Inputs(Protocol):
    """Where a person's attachments come from; `bot.media.Attachments`."""

    def is_attachment(self, url: str) -> bool:
        """Whether the URL is a Discord attachment (anything else is left for fal to fetch)."""

    async def fetch(self, url: str, *, option: str) -> Picture:
        """Fetch and check it. Raises BadPicture."""


class Delivery(Protocol):
    """What shows jobs to people; `cogs.delivery` on Discord."""

    def progress(self, job: Job, progress: Progress) -> None:
        """Take note of a newer state; never blocks, may be dropped."""

    async def deliver(self, job: Job, ready: Ready) -> int | None:
        """Post the pictures; returns the message id. Safe to repeat.

        Raises:
            PaintingFailed: they can't be posted anywhere.
        """

    async def was_answered(self, job: Job) -> bool | None:
        """Whether the first answer to the interaction went out; None when that can't be found out."""

    async def tell(self, job: Job) -> None:
        """Say how a FAILED or CANCELLED job ended. Safe to repeat."""

    def resumed(self, job: Job) -> None:
        """The job was taken up after a stop that people will have noticed: say so with its progress."""

    def forget(self, job_id: str) -> None:
        """No more progress for this job."""


@dataclass(frozen=True, slots=True)
class CancelOutcome:
    """What became of a wish to cancel."""

    cancelled: bool
    #: Whether anything was charged, and what happens now.
    sentence: str


class AnswerLostForGood(PaintingFailed):
    """Every attempt left, none was answered, and fal does not seem to have any of them."""

    code = "answer_lost"

    def __init__(self) -> None:
        super().__init__(
            "fal.ai did not answer when I handed it this picture, and it did not turn up there later. "
            "Your quota was not used; press Again to try once more."
        )


class Undeliverable(PaintingFailed):
    """Every way into the channel is closed."""

    code = "undeliverable"

    def __init__(self) -> None:
        super().__init__("The picture is finished, but I can no longer post in that channel. Your quota was not used.")


class Runner:
    """Owns every job between acceptance and delivery."""

    def __init__(
        self,
        *,
        store: Store,
        fal: Fal,
        catalogue: Catalogue,
        settings: FalSettings,
        max_waiting: int,
        tick_s: float,
        clock: Callable[[], datetime],
        inputs: Inputs,
        callback_url: Callable[[str, int], str] | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        self._store = store
        self._fal = fal
        self._catalogue = catalogue
        self._settings = settings
        self._max_waiting = max_waiting
        self._tick_s = tick_s
        self._clock = clock
        self._inputs = inputs
        self._callback_url = callback_url
        self._lease_s = lease_s
        self._reconciler = Reconciler(
            fal=fal,
            records=store,
            clock=clock,
            wait_s=settings.reconcile_s,
            give_up_s=settings.job_timeout_s,
            store_payloads=settings.store_payloads,
        )
        self._callbacks = Callbacks()
        self._delivery: Delivery | None = None
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._in_flight = 0
        #: Whether all that an earlier process left is here; until then a callback may be about something of it.
        self._taken_up = False
        #: Jobs that are no longer worked on, since the start.
        self.jobs_ended = 0
        self._waiting: dict[str, Job] = {}
        self._running: dict[str, _UnderWay] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._critical: set[asyncio.Task[Any]] = set()
        self._answers: dict[str, _Answer] = {}
        self._messages: dict[str, int] = {}
        #: Jobs whose places this process shows, with the time (of the loop) from which somebody may have done so; 0
        #: for those that another one accepted.
        self._placed: dict[str, float] = {}
        #: When others certainly no longer edit a job's card (time of the loop), by job.
        self._settled: dict[str, float] = {}
        #: Until when nobody can have taken our jobs over (time of the loop).
        self._held_until = float("inf")
        self._unwanted: set[str] = set()
        #: fal may have called back about these while nobody could listen.
        self._look_at_once: set[str] = set()
        #: When this process submitted them, by the event loop's clock, which nobody sets.
        self._attempted_s: dict[str, float] = {}
        #: Claimed, and certain that no POST of theirs is at fal.
        self._unsent: dict[str, Job] = {}
        #: Their answer from fal got lost, and they are looked for there.
        self._sought: set[str] = set()
        self._started_at: datetime | None = None
        #: When an earlier process last looked after jobs; loop time of our own last note of that.
        self._last_alive: datetime | None = None
        self._noted_alive_s = 0.0
        #: Leased to us, but nobody here worked on them when last looked at.
        self._idle: frozenset[str] = frozenset()
        #: Taken over from another process; work on them is about to begin.
        self._taken_over: set[str] = set()
        #: Other processes may have queued something that this one does not know of.
        self._look_around = False
        self._relearned_at_s = float("-inf")
        self._fresh_durations: list[tuple[str, float]] = []
        self._durations: dict[str, float] = {}
        #: Of those far back in the queue, how many had their place looked up in this round.
        self._shown_so_far = 0
        self._submits = Gate(FEW_AT_ONCE, SUBMITS_AT_ONCE, pressed=lambda: self.pressed)
        self._claiming = asyncio.Lock()
        self._in_hand = asyncio.Semaphore(IN_HAND_AT_ONCE)
        self._results = Gate(FEW_AT_ONCE, RESULTS_AT_ONCE, pressed=lambda: self.pressed)
        self._deliveries = Gate(FEW_AT_ONCE, DELIVERIES_AT_ONCE, pressed=lambda: self.pressed)

    # ------------------------------------------------------------------ used by the commands

    def attach(self, delivery: Delivery) -> None:
        """Name who shows the jobs; called once, before `run`."""
        self._delivery = delivery

    async def accept(self, new: NewJob, policy: Policy) -> Accepted | Refused | Duplicate:
        """Reserve and queue, in one transaction. The job starts once `answered` is called.

        Raises:
            Overloaded: too many jobs wait already.
        """
        self._answers[new.id] = _Answer()
        try:
            outcome = await self._store.accept(new, policy, max_waiting=self._max_waiting, within_s=ACCEPT_WITHIN_S)
        except Overloaded as error:
            self._answers.pop(new.id, None)
            metrics.JOBS_REFUSED.labels(error.code).inc()
            raise self._overloaded(error) from None
        except StoreUnusable:
            self._answers.pop(new.id, None)
            self._unwanted.add(new.id)  # should its COMMIT have taken after all: the person was told that it did not
            raise
        except BaseException:
            self._answers.pop(new.id, None)
            raise
        if isinstance(outcome, Accepted):
            metrics.JOBS_ACCEPTED.inc()
            self._waiting[new.id] = outcome.job
            self._placed[new.id] = _now_s() + self._tick_s
            self._wake.set()
        else:
            if isinstance(outcome, Refused):
                metrics.JOBS_REFUSED.labels(outcome.rule).inc()
            self._answers.pop(new.id, None)
        return outcome

    def _overloaded(self, error: Overloaded) -> Overloaded:
        """With the time when a tenth of those that wait should be gone."""
        usual_s = self._at_fal().usual_s
        wait_s = error.waiting / 10 * usual_s / (self._settings.max_in_flight or error.waiting)
        retry_at = self._clock() + timedelta(seconds=min(max(wait_s, LEAST_RETRY_S), MOST_RETRY_S))
        return Overloaded(error.waiting, left_today=error.left_today, retry_at=retry_at)

    async def answered(self, job_id: str, message_id: int | None) -> None:
        """The person sees the job; it may start. `message_id` is where."""
        if message_id is not None:
            self._messages[job_id] = message_id  # goes on record with the next move, unless the job has to wait
        event = self._answers.pop(job_id, None)
        if event is not None:
            event.set()
        elsewhere = self._store.shared and job_id not in self._lives
        if message_id is not None and (elsewhere or job_id in self._waiting):
            try:
                await self._store.note(job_id, message_id=message_id)
            except StoreUnusable as error:  # the job goes on, and so does what we know of it
                log.warning("the first answer is not on record yet", extra={"job": job_id, "reason": error.sentence})
                return
            if job_id not in self._waiting and job_id not in self._lives:
                self._messages.pop(job_id, None)

    async def unanswered(self, job_id: str) -> None:
        """The first answer never reached the person: nothing is started, nothing is spent."""
        # The wish first: a claim in this very moment then finds it before it submits.
        self._unwanted.add(job_id)
        try:
            job = await self._surely(lambda: self._store.note(job_id, cancel_requested=True, told=True))
            queued = job is not None and job.state is JobState.QUEUED
            if job is not None and queued and await self._cancelled(job, "The first answer did not reach Discord."):
                self._unwanted.discard(job_id)
            self._waiting.pop(job_id, None)
        finally:
            event = self._answers.pop(job_id, None)
            if event is not None:
                event.set()

    async def cancel(self, job_id: str, *, patience_s: float = CANCEL_ELSEWHERE_S) -> CancelOutcome:
        """Stop a job for its owner, here and at fal.

        Args:
            patience_s: how long to wait for another process that has the job; the wish is on record in any case.
        """
        job = await self._store.note(job_id, cancel_requested=True)
        if job is None:
            return CancelOutcome(False, "I no longer have the record of this picture, so there is nothing to cancel.")
        if self._store.shared and job.state in CLAIMED and job_id not in self._lives:
            job = await self._ended_elsewhere(job, patience_s)
            if job.state in CLAIMED - {JobState.FINISHED}:
                return CancelOutcome(True, "Cancelling: it stops within a moment. Your quota is not used.")
            if job.state is JobState.CANCELLED and job.failure is not None:
                return CancelOutcome(True, job.failure.sentence)
        match job.state:
            case JobState.HELD | JobState.QUEUED:
                return await self._cancel_waiting(job)
            case JobState.SUBMITTING:
                self._unwanted.add(job_id)
                self._reconciler.give_up(job_id, job.attempts)
                return CancelOutcome(
                    True, "Cancelling: I stop it as soon as fal.ai has answered. Your quota is not used."
                )
            case JobState.RUNNING:
                return await self._cancel_running(job)
            case JobState.FINISHED:
                return CancelOutcome(False, "Too late to cancel: the picture is finished and on its way.")
            case JobState.CANCELLED:
                return CancelOutcome(True, "This one is cancelled already. Your quota was not used.")
            case _:
                return CancelOutcome(False, "This one has ended already, so there is nothing to cancel.")

    async def _ended_elsewhere(self, job: Job, patience_s: float) -> Job:
        """The job, once the process that has it has heeded the wish (or time is up)."""
        until_s = _now_s() + patience_s
        while job.state in CLAIMED and (left_s := until_s - _now_s()) > 0:
            await self._pause(min(0.2, left_s))
            job = await self._store.job(job.id) or job
        return job

    def may_show(self, job_id: str) -> bool | None:
        """Whether nobody else shows this job's progress: it is ours; None when only `waits` can tell."""
        if not self._store.shared:
            return True
        if job_id in self._lives:
            return _now_s() < self._held_until
        return None

    async def waits(self, job_id: str) -> bool:
        """Whether a job is in the queue, by the store."""
        job = await self._store.job(job_id)
        return job is not None and job.state is JobState.QUEUED

    async def heard(self, job_id: str, attempt: int, request_id: str) -> None:
        """Fal called back (verified): a hint to look now, and the name of a request whose answer was lost."""
        log.debug("callback", extra={"job": job_id, "attempt": attempt})
        self._callbacks.heard(job_id)
        under_way = self._running.get(job_id)
        request = under_way.job.request if under_way is not None else None
        if under_way is not None and request is not None and request.request_id == request_id:
            under_way.call_back()
        elif under_way is None and (job_id in self._lives or not self._taken_up):
            self._reconciler.heard(job_id, attempt, request_id)
        self._fal.wake(request_id)

    @property
    def jobs_alive(self) -> int:
        """How many are worked on."""
        return len(self._lives)

    @property
    def stopping(self) -> bool:
        """Whether what is accepted now is left to the next start."""
        return self._stopping.is_set()

    async def why(self, job_id: str) -> Why | None:
        """Where a job stands and what it waits for; None when there is no such job."""
        job, settings = await self._store.job(job_id), self._settings
        if job is None:
            return None
        caps = Caps(settings.max_in_flight, settings.guild_jobs_in_flight, settings.user_jobs_in_flight)
        place = None
        if job.state is JobState.QUEUED:
            place = await self._store.place(
                job_id, in_flight=caps.all, guild_in_flight=caps.guild, user_in_flight=caps.user
            )
        under_way, now = self._running.get(job_id), self._clock()
        return Why(
            job,
            caps,
            self._at_fal(job),
            place,
            progress=None if under_way is None else under_way.progress(now),
            fal_away=self._fal.away,
            answer_lost=job_id in self._sought,
            just_started=self._has_taken_up(job, now),
        )

    def _has_taken_up(self, job: Job, now: datetime) -> bool:
        """Whether the job was here before this process, which has just started."""
        started_at = self._started_at
        return started_at is not None and job.created_at < started_at <= now < started_at + JUST_STARTED

    def _at_fal(self, job: Job | None = None) -> AtFal:
        """What this process sees at fal, with the usual time of `job`'s model where there is nothing."""
        seen = list(self._running.values())
        painting = sum(one.started_at is not None for one in seen)
        usual = [one.expected_s for one in seen]
        if not usual:
            model = self._catalogue.known(job.order.endpoint) if job is not None else None
            usual = [self.expected_s(model, 1) if model is not None else USUAL_S]
        return AtFal(painting, len(seen) - painting, sum(usual) / len(usual))

    def expected_s(self, model: Model, images: int) -> float:
        """Seconds from submit to finished, learned from past jobs of this model."""
        known = self._durations.get(model.endpoint)
        return known if known is not None else model.typical_s * (1 + 0.3 * (max(images, 1) - 1))

    # ------------------------------------------------------------------ main loop

    async def run(self) -> None:
        """Recover what an earlier process left, then claim and care for jobs until `stop`."""
        if self._delivery is None:
            raise RuntimeError("attach a delivery before run()")
        self._started_at = self._clock()
        self._noted_alive_s = asyncio.get_running_loop().time()
        self._durations = dict(await self._surely(self._store.durations))
        helpers = [
            asyncio.create_task(self._tick_forever(), name="runner-ticks"),
            asyncio.create_task(self._keep_leases_forever(), name="runner-leases"),
        ]
        if self._store.shared:
            helpers.append(asyncio.create_task(self._heed_wishes_forever(), name="runner-wishes"))
        try:
            await self._recover()
            self._taken_up = True
            while not self._stopping.is_set():
                self._wake.clear()
                try:
                    claimed = await self._claim_some()
                except EaselError:
                    log.exception("claim failed")
                    await asyncio.sleep(1)
                    continue
                if not claimed:
                    await self._wake.wait()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def stop(self) -> None:
        """Stop claiming, let submits and posts under way end, leave everything else to the next start."""
        self._stopping.set()
        self._wake.set()
        self._callbacks.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S), self._claiming:
                pass  # what is just being claimed is known from now on
        if self._critical:
            await asyncio.wait(set(self._critical), timeout=DRAIN_S)
        # What is still under way then is on record as such; the next start takes it up.
        left = [*self._lives.values(), *self._critical]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with suppress(EaselError):
            # Nothing of these left, so the next start need not look for it.
            await asyncio.gather(*(self._advance(job, JobState.QUEUED) for job in self._unsent.values()))
            await self._write_durations()
            if left:
                await self._store.set_meta(ALIVE_AT, self._clock().isoformat())
            await self._store.release_leases()

    async def _claim_some(self) -> bool:
        """Take the fairest waiting jobs; False when there is no room or nothing waits."""
        limit = self._settings.max_in_flight
        # In halves: a claim for every single submit would cost more than the submits.
        room = CLAIMED_AHEAD - len(self._unsent) if 2 * len(self._unsent) <= CLAIMED_AHEAD else 0
        room = room if limit == 0 else min(room, limit - self._in_flight)
        if room <= 0 or not (self._waiting or self._look_around):
            return False
        await self._make_room()
        async with self._claiming:
            if self._stopping.is_set():
                return False
            claimed = await self._claim(room)
        if not claimed and self._waiting and self._relearning_is_due():
            # We think jobs wait, the store knows better (cancelled, or erased with their owner's data).
            await self._relearn_waiting()
        return bool(claimed)

    async def _claim(self, room: int) -> list[Job]:
        """Claim and start."""
        self._look_around = False
        try:
            claimed = await self._store.claim(
                room,
                lease_s=self._lease_s,
                in_flight=self._settings.max_in_flight if self._store.shared else 0,
                guild_in_flight=self._settings.guild_jobs_in_flight,
                user_in_flight=self._settings.user_jobs_in_flight,
            )
        except EaselError:
            self._look_around = True  # for what waited when it was set to False above
            raise
        for job in claimed:
            self._waiting.pop(job.id, None)
            if self._store.shared and _now_s() >= self._placed.get(job.id, 0):
                self._settled[job.id] = _now_s() + SETTLED_S
            self._unsent[job.id] = job  # at once: a stop may cancel its task before that has begun
            self._start(job)
        return claimed

    async def _make_room(self) -> None:
        """First answers go before new work, for a moment at a time: Discord waits three seconds for them."""
        for _ in range(PRESSED_PAUSES):
            if not self.pressed or self._stopping.is_set():
                return
            await asyncio.sleep(PRESSED_PAUSE_S)

    @property
    def pressed(self) -> bool:
        """Whether so many first answers are under way that everything else had better wait."""
        newest = next(islice(reversed(self._answers.values()), MANY_ANSWERS, None), None)
        return newest is not None and _now_s() - newest.since_s < PRESSING_S

    def _relearning_is_due(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        due = not self._capped or now_s - self._relearned_at_s > RELEARN_S
        if due:
            self._relearned_at_s = now_s
        return due

    @property
    def _capped(self) -> bool:
        """Whether a claim may pass over jobs that wait, until another one has come further."""
        settings = self._settings
        shared = self._store.shared and bool(settings.max_in_flight)
        return shared or bool(settings.guild_jobs_in_flight or settings.user_jobs_in_flight)

    async def _relearn_waiting(self) -> None:
        """What really waits, by the store; what was accepted while it was being read waits too."""
        before = set(self._waiting)
        found = await self._surely(self._store.queued_jobs)
        queued = {job.id: job for job in found}
        self._waiting = queued | {job_id: job for job_id, job in self._waiting.items() if job_id not in before}

    async def _recover(self) -> None:
        """Take up every job that an earlier process left unfinished."""
        accepted_here = set(self._waiting)
        await self._relearn_waiting()
        for job_id in self._waiting:
            self._placed.setdefault(job_id, 0.0)
        # What this process accepts meanwhile is about to be answered; only an earlier one's answers may be missing.
        # (Or other processes' answers, where they share the database: see `_answered_elsewhere`.)
        unseen = [
            job
            for job_id, job in self._waiting.items()
            if job.reply.message_id is None
            and not self._store.shared
            and job_id not in accepted_here | self._answers.keys() | self._messages.keys()
        ]
        self._last_alive = await self._alive_before()
        for job in self._waiting.values():
            self._say_resumed(job)
        adopted = await self._adopt()
        if self._waiting or adopted:
            log.info("recovered", extra={"jobs": adopted, "waiting": len(self._waiting)})
        # A process that was killed between acceptance and answer: the person saw a failure, so nothing is painted.
        await asyncio.gather(*(self._check_answer(job) for job in unseen))

    async def _alive_before(self) -> datetime | None:
        """When an earlier process was last known to look after jobs."""
        known = await self._store.meta(ALIVE_AT)
        with suppress(TypeError, ValueError):
            return datetime.fromisoformat(known or "")
        return None

    async def _note_alive(self) -> None:
        """So that the next start knows for how long nobody looked after the jobs."""
        now_s = asyncio.get_running_loop().time()
        if (self._lives or self._waiting) and now_s - self._noted_alive_s > ALIVE_EVERY_S:
            self._noted_alive_s = now_s
            await self._store.set_meta(ALIVE_AT, self._clock().isoformat())

    def _say_resumed(self, job: Job) -> None:
        """People hear of a restart only where it took so long that they will have noticed."""
        now = self._clock()
        starting = self._started_at is not None and (now - self._started_at).total_seconds() < 2 * self._lease_s
        moments = (self._last_alive, job.created_at, job.submitted_at, job.started_at, job.finished_at)
        seen = max(moment for moment in moments if moment is not None)
        if starting and job.state not in TERMINAL and (now - seen).total_seconds() > NOTICEABLE_S:
            self._shown_by().resumed(job)

    async def _check_answer(self, job: Job) -> None:
        async with self._submits:
            if await self._shown_by().was_answered(job) is False:
                await self.unanswered(job.id)

    async def _adopt(self, orphans: Collection[str] = ()) -> int:
        """Take over what no living process cares for, all of it before work on it begins; how many."""
        adopted: list[Job] = []
        while jobs := await self._surely(
            partial(self._store.adopt, lease_s=self._lease_s, limit=ADOPTED_AT_ONCE, orphans=orphans)
        ):
            orphans = ()
            adopted += jobs
            self._taken_over.update(job.id for job in jobs)
        for number, job in enumerate(adopted, 1):
            self._taken_over.discard(job.id)
            self._look_at_once.add(job.id)
            self._say_resumed(job)
            self._start(job, left_over=job.state is JobState.SUBMITTING)
            if number % ADOPTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        # So that all of them count as in flight before anything more is claimed.
        await asyncio.sleep(0)
        return len(adopted)

    async def _keep_leases_forever(self) -> None:
        """Hold on to our jobs; stop working on one that another process has taken over."""
        pause_s = self._lease_s / 3
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._keep_leases()
            except EaselError:
                log.exception("leases not kept")
                pause_s = min(1.0, self._lease_s / 3)  # they may have run out when the database is back
            else:
                pause_s = self._lease_s / 3

    async def _keep_leases(self) -> None:
        before, began_s = set(self._lives), _now_s()
        held = await self._store.keep_leases(self._lease_s)
        if self._store.shared:
            self._held_until = began_s + self._lease_s
        for job_id in before - held:
            await self._drop_if_lost(job_id)
        # Twice in a row: a claim whose answer is just on its way is no orphan.
        idle = held - self._lives.keys() - self._taken_over
        orphans, self._idle = idle & self._idle, idle
        if orphans or self._store.shared:
            await self._adopt(orphans)
        if self._store.shared:
            self._look_around = True
            self._wake.set()

    async def _drop_if_lost(self, job_id: str) -> None:
        """Not held any more: it ended meanwhile, or another process thought us dead."""
        job = await self._store.job(job_id)
        life = self._lives.get(job_id)
        if life is None or job is None or job.state in TERMINAL:
            return
        if job_id not in await self._store.keep_leases(self._lease_s):
            log.warning("another process took this job over", extra={"job": job_id})
            metrics.LEASES_LOST.inc()
            self._shown_by().forget(job_id)
            life.cancel()

    async def _heed_wishes_forever(self) -> None:
        """Stop what somebody cancelled at another process."""
        while True:
            await asyncio.sleep(WISHES_S)
            try:
                for job_id in await self._store.unwanted() if self._lives else ():
                    await self._heed_wish(job_id)
            except EaselError:
                log.exception("wishes to cancel not read")

    async def _heed_wish(self, job_id: str) -> None:
        job = await self._store.job(job_id) if job_id in self._lives else None
        if job is not None and job.state is JobState.SUBMITTING:
            self._unwanted.add(job_id)
            self._reconciler.give_up(job_id, job.attempts)
        elif job is not None and job.state is JobState.RUNNING:
            await self._cancel_running(job)  # again the next time, while fal can't be reached

    def _start(self, job: Job, *, left_over: bool = False) -> None:
        task = asyncio.create_task(self._live(job, left_over=left_over), name=f"job-{job.id}")
        self._lives[job.id] = task
        task.add_done_callback(partial(self._end_of_life, job.id))

    def _end_of_life(self, job_id: str, _task: asyncio.Task[None]) -> None:
        self.jobs_ended += 1
        self._lives.pop(job_id, None)
        self._messages.pop(job_id, None)
        self._attempted_s.pop(job_id, None)
        self._unwanted.discard(job_id)
        self._look_at_once.discard(job_id)
        self._placed.pop(job_id, None)
        self._settled.pop(job_id, None)
        if not self._stopping.is_set():
            self._unsent.pop(job_id, None)

    # ------------------------------------------------------------------ one job

    async def _live(self, job: Job, *, left_over: bool) -> None:
        """Carry one job from where it stands to its end; the last line of defence for its errors."""
        job_id = job.id
        try:
            match job.state:
                case JobState.SUBMITTING | JobState.RUNNING:
                    painting = self._paint(job, left_over=left_over)
                    del job  # as it was before: thousands of jobs are kept for as long as fal takes
                    painted = await painting
                    if painted is not None:
                        await self._bring(painted)
                case JobState.FINISHED:
                    await self._hand_over(job, job.result or Result(()))
                case _:
                    await self._tell(job)
        except PaintingFailed as error:
            await self._fail(job_id, Failure(error.code, error.sentence, error.worth_retrying))
        except Refusal as error:  # an attachment that turned out to be no picture
            await self._fail(job_id, Failure(error.code, error.sentence, worth_retrying=False))
        except Exception:
            code = incident()
            log.exception("job broke", extra={"job": job_id, "incident": code})
            sentence = f"Something broke on my side (code {code}). Your quota was not used; you can try again."
            await self._fail(job_id, Failure("unexpected", sentence, incident=code))

    async def _bring(self, painted: Job) -> None:
        """From its end at fal to the post, once it is this job's turn."""
        if not await self._turn_within(UNREAD_S):
            # fal does not keep it for ever: on record until then, and out of memory.
            await self._guard(self._advance(painted, JobState.FINISHED, result=await self._result(painted)))
            job_id = painted.id
            del painted
            await self._in_hand.acquire()
            try:
                kept = await self._surely(lambda: self._store.job(job_id))
                if kept is not None and kept.state is JobState.FINISHED:
                    await self._hand_over(kept, kept.result or Result(()))
            finally:
                self._in_hand.release()
            return
        try:
            await self._hand_over(painted, await self._result(painted))
        finally:
            self._in_hand.release()

    async def _turn_within(self, seconds: float) -> bool:
        """Whether it was this job's turn within that time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._in_hand.acquire()
        except TimeoutError:
            return False

    async def _paint(self, job: Job, *, left_over: bool) -> Job | None:
        """From claimed to painted, while counting against the jobs in flight; None when it was cancelled."""
        self._in_flight += 1
        job_id = job.id
        try:
            running = await self._submit(job, unsure=left_over) if job.state is JobState.SUBMITTING else job
            del job
            if running is not None:
                await self._watch(running)
            return running
        finally:
            self._in_flight -= 1
            self._running.pop(job_id, None)
            self._wake.set()

    async def _submit(self, job: Job, *, unsure: bool) -> Job | None:
        """One POST, then its answer on record; never a second one before it is known what became of the first.

        Args:
            unsure: a POST of this attempt may have left already.
        """
        if not unsure:
            self._unsent[job.id] = job
        if not await self._was_answered(job, unsure=unsure):
            self._unwanted.add(job.id)
            # Nobody waits for it, or for a word.
            await self._surely(lambda: self._store.note(job.id, cancel_requested=True, told=True))
        refused, losses = False, 0
        while True:
            if unsure:
                request = await self._find_lost(job, REFUSED_WAIT_S if refused else None)
                if request is not None:
                    self._look_at_once.add(job.id)
                    return await self._unless_unwanted(await self._advance(job, JobState.RUNNING, request=request))
            if job.cancel_requested or job.id in self._unwanted:
                await self._give_up(job, unsure=unsure)
                return None
            if refused:
                raise FalBroken
            if unsure:
                if losses >= MOST_LOSSES or job.attempts >= MOST_ATTEMPTS:
                    raise AnswerLostForGood
                again = await self._again(job)
                if again is None:
                    return None
                job = again
            try:
                async with self._submits:
                    return await self._unless_unwanted(await self._guard(self._post_and_record(job)))
            except AnswerLost as error:
                unsure, refused, losses = True, error.refused, losses + 1

    async def _find_lost(self, job: Job, wait_s: float | None) -> FalRequest | None:
        """What fal made of an attempt whose answer is missing; `wait_s` instead of the usual time."""
        model = self._model(job)
        sent = self._recognisable(model, job)
        self._publish(job, FalAway())
        if job.cancel_requested or job.id in self._unwanted:
            wait_s = 0.0  # one look: what nobody wants is not waited for
        self._sought.add(job.id)
        try:
            return await self._reconciler.find(
                job, sent, listed=model.store_payload, age_s=self._age_s(job), wait_s=wait_s
            )
        finally:
            self._sought.discard(job.id)

    async def _again(self, job: Job) -> Job | None:
        """The next attempt, on record as a possible double; None when the job has moved elsewhere."""
        again = await self._surely(lambda: self._store.resubmit(job))
        if again is not None:
            metrics.POSSIBLE_DOUBLES.inc()
            log.warning("submitting again, possibly a double", extra={"job": job.id, "attempt": again.attempts})
        return again

    async def _give_up(self, job: Job, *, unsure: bool) -> None:
        """Cancelled before fal's request was known."""
        if unsure:
            sentence = "Cancelled. fal.ai never answered, so it may still charge for it; your quota was not used."
        else:
            sentence = "Cancelled before it was handed to fal.ai: nothing was charged."
        ended = await self._cancelled(job, sentence)
        if ended is not None:
            await self._tell(ended)

    async def _unless_unwanted(self, running: Job | None) -> Job | None:
        """The running job, unless it was cancelled while it was being handed over."""
        if running is None or not (running.cancel_requested or running.id in self._unwanted):
            return running
        outcome = await self._cancel_running(running)
        return None if outcome.cancelled else running

    async def _was_answered(self, job: Job, *, unsure: bool) -> bool:
        """Nothing is spent before the person has seen that the job was taken; False when they never will."""
        event = self._answers.get(job.id)
        if event is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_WAIT_S):
                    await event.wait()
            return True
        if job.reply.message_id is not None or job.id in self._messages:
            return True
        if unsure:  # its POST may have waited for an answer that never went out
            return await self._shown_by().was_answered(job) is not False
        return not self._store.shared or bool(self._placed.get(job.id)) or await self._answered_elsewhere(job)

    async def _answered_elsewhere(self, job: Job) -> bool:
        """False when the process that accepted it has died before its answer; what is cancelled meanwhile is noted."""
        until_s = _now_s() + ANSWERED_WITHIN_S
        for pause_s in chain(ANSWER_LOOKS_S, repeat(ANSWER_LOOKS_S[-1])):
            now = await self._surely(lambda: self._store.job(job.id))
            if now is not None and now.cancel_requested:
                self._unwanted.add(job.id)
            if now is None or now.cancel_requested or now.reply.message_id is not None:
                return True
            if _now_s() > until_s:
                break
            await self._pause(pause_s)
        return await self._shown_by().was_answered(job) is not False

    async def _post_and_record(self, job: Job) -> Job | None:
        model = self._model(job)
        order = with_pictures(job.order, await self._upload_inputs(model, job))
        with self._reconciler.under_way(model.endpoint, self._recognisable(model, job)):
            request = await self._post(job, model, self._arguments(model, job, order))
            return await self._advance(job, JobState.RUNNING, request=request)

    def _recognisable(self, model: Model, job: Job) -> dict[str, Json]:
        """By which of its arguments fal's list shows an order: all but what differs from attempt to attempt."""
        private = {option.name for option in model.options if option.kind in PICTURE_KINDS or option.name in SECRETS}
        return {name: value for name, value in self._arguments(model, job, job.order).items() if name not in private}

    def _arguments(self, model: Model, job: Job, order: Order) -> dict[str, Json]:
        secret = self._settings.openai_api_key
        checked = self._settings.safety_checker == "on" or not job.reply.age_restricted
        key = secret.get_secret_value() if secret is not None else None
        return arguments(model, order, safety_checker=checked, openai_api_key=key)

    def _known_message(self, job: Job) -> dict[str, int]:
        """The message id for the next move, where it is not on record yet."""
        message_id = self._messages.pop(job.id, None)
        return {} if message_id is None or job.reply.message_id is not None else {"message_id": message_id}

    async def _post(self, job: Job, model: Model, payload: dict[str, Json]) -> FalRequest:
        """Submit; tried again only while it is certain that no request ever left."""
        if self._stopping.is_set():
            raise asyncio.CancelledError  # what has not left yet is for the next start
        certain = self._unsent.pop(job.id, None) is not None
        self._wake.set()  # there is room for another claim
        for pause_s in (*UNREACHABLE_PAUSES_S, None):
            self._attempted_s[job.id] = asyncio.get_running_loop().time()
            try:
                return await self._fal.submit(
                    model.endpoint,
                    payload,
                    start_timeout_s=self._settings.start_timeout_s,
                    store_payload=model.store_payload,
                    model=model,
                    webhook_url=self._callback_url(job.id, job.attempts) if self._callback_url else None,
                )
            except FalUnreachable:
                if pause_s is None:
                    raise FalBroken from None
                if certain:
                    self._unsent[job.id] = job
                self._publish(job, FalAway())
                await self._pause(pause_s * random.uniform(0.8, 1.2))
                self._unsent.pop(job.id, None)
        raise FalBroken

    async def _upload_inputs(self, model: Model, job: Job) -> dict[str, str]:
        """Attachments are copied to fal's storage: their Discord links are signed and die."""
        fetched: dict[str, tuple[str, Picture]] = {}
        for option, urls in picture_options(model, job.order).items():
            for url in urls:
                if url not in fetched and self._inputs.is_attachment(url):
                    fetched[url] = (option, await self._inputs.fetch(url, option=option))
        fetched = await _with_matching_masks(fetched)
        return {url: await self._upload(job, picture, option) for url, (option, picture) in fetched.items()}

    async def _upload(self, job: Job, picture: Picture, option: str) -> str:
        name = f"{option}.{picture.extension}"
        return await self._patiently(job, lambda: self._fal.upload(picture.body, picture.content_type, name))

    async def _watch(self, job: Job) -> None:
        """Follow fal until it is done."""
        if job.request is None:
            raise RuntimeError("a running job has a request")
        request, model = job.request, self._model(job)
        expected_s = self.expected_s(model, job.order.images)
        under_way = self._running[job.id] = _UnderWay(job, expected_s)
        if self._reconciler.heard_of(job.id, job.attempts) == request.request_id:
            under_way.call_back()  # quicker than the answer to the submit
        deadline_s = self._settings.job_timeout_s - self._age_s(job)
        ended_unheard = False
        try:
            async with asyncio.timeout(max(deadline_s, LEAST_WATCH_S)):
                if await self._called_back(under_way, model):
                    self._learn(model, under_way)
                    return
                age_s = self._age_s(job) if job.id in self._look_at_once else None
                async with aclosing(self._fal.watch(request, expected_s=expected_s, age_s=age_s)) as statuses:
                    async for status in statuses:
                        if isinstance(status, Completed):
                            break
                        self._show(under_way, status)
            ended_unheard = not under_way.called_back
        except TimeoutError:
            with suppress(EaselError):
                await self._fal.cancel(request)
            raise PaintingTimedOut from None
        finally:
            self._callbacks.scouted(job.id, ended_unheard=ended_unheard)
        self._learn(model, under_way)

    async def _called_back(self, under_way: _UnderWay, model: Model) -> bool:
        """Where fal calls back, it need not be watched for as long as this model usually takes; False: it must.

        The result is asked for next, so a callback is only ever a hint.
        """
        job = under_way.job
        if self._callback_url is None or job.id in self._look_at_once:
            return False
        under_way.started_at = self._clock()
        began_s = _now_s()
        while not under_way.called_back:
            patience_s = max(CALLBACK_PATIENCE * self.expected_s(model, job.order.images), LEAST_CALLBACK_WAIT_S)
            left_s = began_s + patience_s - _now_s()
            if left_s <= 0:
                if self._callbacks.may_scout(job.id):
                    return False
                left_s = SCOUT_AGAIN_S * random.uniform(0.8, 1.2)
            await under_way.listen(left_s)
        return True

    def _show(self, under_way: _UnderWay, status: Waiting | Working) -> None:
        if isinstance(status, Waiting):
            under_way.waiting = WaitingAtFal(status.position)
            self._publish(under_way.job, under_way.waiting)
            return
        if under_way.started_at is None:
            under_way.started_at = self._clock()
        painted = read_progress(status.lines)
        if painted is not None and painted.fraction >= (under_way.fraction or 0):
            under_way.fraction, under_way.step, under_way.steps = painted.fraction, painted.step, painted.steps
        self._publish(under_way.job, under_way.painting(self._clock()))

    async def _result(self, job: Job) -> Result:
        request = job.request
        if request is None:
            raise RuntimeError("a running job has a request")
        async with self._results:
            return await self._patiently(job, lambda: self._fal.result(request, model=self._model(job)))

    def _learn(self, model: Model, under_way: _UnderWay) -> None:
        """Remember how long this model takes; written down with the next tick."""
        if under_way.started_at is None:
            return
        took_s = (self._clock() - under_way.started_at).total_seconds()
        known_s = self._durations.get(model.endpoint, took_s)
        self._durations[model.endpoint] = known_s + (took_s - known_s) * LEARNING_RATE
        self._fresh_durations.append((model.endpoint, took_s))

    async def _write_durations(self) -> None:
        fresh, self._fresh_durations = self._fresh_durations[-DURATIONS_A_TICK:], []
        for endpoint, took_s in fresh:
            await self._store.record_duration(endpoint, took_s)

    async def _hand_over(self, job: Job, result: Result) -> None:
        """Fetch the pictures while the result goes on record, fit them, post them, settle."""
        recording: asyncio.Task[Job | None] | None = None
        if job.state is JobState.RUNNING:
            recording = self._critically(self._advance(job, JobState.FINISHED, result=result))
        try:
            await self._others_have_settled(job.id)
            async with self._deliveries:
                ready = await self._fetch(job, result)
                finished = job if recording is None else await asyncio.shield(recording)
                if finished is not None:
                    await self._guard(self._deliver_and_record(finished, ready))
        finally:
            if recording is not None:
                await asyncio.shield(recording)

    async def _deliver_and_record(self, job: Job, ready: Ready) -> Job | None:
        message_id = await self._shown_by().deliver(job, ready)
        return await self._advance(job, JobState.DELIVERED, message_id=message_id, told=True)

    async def _fetch(self, job: Job, result: Result) -> Ready:
        """Download what may be shown here.

        Raises:
            ResultWithheld: the safety checker flagged every picture and the channel is not age-restricted.
        """
        if not result.pictures:
            raise ResultUnusable("it held no picture")
        flags = nsfw_flags(self._model(job), result)
        shown = [
            (remote, flagged)
            for remote, flagged in zip(result.pictures, flags, strict=True)
            if job.reply.age_restricted or not flagged
        ]
        if not shown:
            raise ResultWithheld(flagged=any(result.nsfw or ()))
        bodies = await asyncio.gather(*(self._download(job, remote) for remote, _ in shown))
        pictures = await fit([inspect(body) for body in bodies], file_limit_bytes=job.reply.upload_limit_bytes)
        spoilers = tuple(flagged for _, flagged in shown)
        return Ready(tuple(pictures), spoilers, withheld=len(flags) - len(shown))

    async def _download(self, job: Job, remote: RemotePicture) -> bytes:
        return await self._patiently(job, lambda: self._fal.download(remote, max_bytes=MAX_PICTURE_BYTES))

    async def _pause(self, seconds: float) -> None:
        """Sleep. A stop ends it and the work that waits: the next start goes on with that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        if self._stopping.is_set():
            raise asyncio.CancelledError

    async def _patiently(self, job: Job, attempt: Callable[[], Awaitable[T]]) -> T:
        """A call to fal, tried again while fal can't be heard: what is there stays there for an hour.

        Raises:
            FalBroken: not heard for as long as `PATIENCE_PAUSES_S` adds up to.
        """
        for pause_s in (*PATIENCE_PAUSES_S, None):
            try:
                return await attempt()
            except FalUnreachable as error:
                if pause_s is None:
                    raise FalBroken from error
                wait_s = max(pause_s, error.retry_after_s or 0)
                log.info("fal is out of reach; trying again", extra={"job": job.id, "pause_s": wait_s})
                self._publish(job, FalAway())
                await self._pause(wait_s * random.uniform(0.8, 1.2))
        raise FalBroken

    async def _tell(self, job: Job) -> None:
        if job.told:
            self._shown_by().forget(job.id)
            return
        await self._others_have_settled(job.id)
        await self._shown_by().tell(job)
        await self._surely(lambda: self._store.note(job.id, told=True))

    async def _others_have_settled(self, job_id: str) -> None:
        """No edit by another process that thought the job still waits can land after what is shown next."""
        left_s = self._settled.get(job_id, 0) - _now_s()
        if left_s > 0:
            await self._pause(left_s)

    async def _fail(self, job_id: str, failure: Failure) -> None:
        """Write the end and tell the person; the reservation is released with it."""
        job = await self._surely(lambda: self._store.job(job_id))
        if job is None or job.state in TERMINAL:
            return
        if job.cancel_requested:
            ended = await self._cancelled(job, "Cancelled. Your quota was not used.")
        else:
            ended = await self._advance(job, JobState.FAILED, failure=failure)
            log.info("job failed", extra={"job": job.id, "model": job.order.endpoint, "failure": failure.code})
        if ended is not None:
            await self._tell(ended)

    # ------------------------------------------------------------------ cancelling

    async def _cancel_waiting(self, job: Job) -> CancelOutcome:
        ended = await self._cancelled(job, "Cancelled before it was handed to fal.ai: nothing was charged.")
        if ended is None:
            return CancelOutcome(True, "Cancelling: it was just being handed to fal.ai. Your quota is not used.")
        self._waiting.pop(job.id, None)
        if self._store.shared:
            # At once, and again when an edit by a process that shows its place in the queue can no longer follow.
            await self._shown_by().tell(ended)
            if not self._stopping.is_set():
                self._settled[job.id] = _now_s() + SETTLED_S
                self._critically(self._tell_again(ended))
        else:
            await self._tell(ended)
        return CancelOutcome(
            True, "Cancelled before it was handed to fal.ai: nothing was charged, your quota was not used."
        )

    async def _tell_again(self, job: Job) -> None:
        try:
            await self._tell(job)
        except EaselError:
            log.exception("the end of a cancelled job is not on record")
        finally:
            self._settled.pop(job.id, None)
            self._placed.pop(job.id, None)

    async def _cancel_running(self, job: Job) -> CancelOutcome:
        if job.request is None:
            raise RuntimeError("a running job has a request")
        try:
            answer = await self._fal.cancel(job.request)
        except FalUnreachable:
            return CancelOutcome(
                False, "fal.ai can't be reached just now, so it goes on. Please try again in a moment."
            )
        if answer is CancelAnswer.ALREADY_COMPLETED:
            return CancelOutcome(False, "Too late to cancel: fal.ai has finished it, and the picture is on its way.")
        under_way = self._running.get(job.id)
        if under_way is not None and under_way.started_at is not None:
            sentence = (
                "Cancelled while it was being painted: fal.ai may still charge for it, but your quota was not used."
            )
        else:
            sentence = "Cancelled before fal.ai began: nothing was charged, and your quota was not used."
        ended = await self._cancelled(job, sentence)
        if ended is None:
            return CancelOutcome(False, "Too late to cancel: the picture is finished and on its way.")
        life = self._lives.get(job.id)
        if life is not None and life is not asyncio.current_task():
            life.cancel()
        await self._tell(ended)
        return CancelOutcome(True, sentence)

    async def _cancelled(self, job: Job, sentence: str) -> Job | None:
        return await self._advance(job, JobState.CANCELLED, failure=Failure("cancelled", sentence))

    # ------------------------------------------------------------------ small parts

    async def _advance(self, job: Job, to: JobState, **changes: Any) -> Job | None:
        """Move in the store; None when somebody else moved the job first (a cancel, an erasure)."""
        moved = await self._put_on_record(job, to, **{**self._known_message(job), **changes})
        if moved is not None:
            _count_end(moved)
            if self._capped and moved.state is not JobState.RUNNING:
                # Room for somebody who waited at a cap, perhaps with another process.
                self._look_around = self._look_around or self._store.shared
                self._wake.set()
        if moved is None:
            log.info("job moved elsewhere", extra={"job": job.id, "wanted": to.value})
        return moved

    async def _put_on_record(self, job: Job, to: JobState, **changes: Any) -> Job | None:
        """The move, as soon as the database takes it: what has happened outside must not be forgotten."""
        unsure = False

        async def move() -> Job | None:
            nonlocal unsure
            before, unsure = unsure, True
            moved = await self._store.advance(job, to, **changes)
            if moved is None and before:
                # An earlier try may have been committed although its answer was lost.
                found = await self._store.job(job.id)
                return found if found is not None and (found.state, found.fence) == (to, job.fence) else None
            return moved

        return await self._surely(move)

    async def _surely(self, work: Callable[[], Awaitable[T]]) -> T:
        """A call to the store that outlasts its outages; a stop ends the waiting."""
        for tries in itertools.count():
            try:
                return await work()
            except StoreUnusable as error:
                if self._stopping.is_set():
                    raise
                if tries == 0:
                    log.warning("the database is away; trying again", extra={"reason": error.sentence})
                pause_s = STORE_PAUSES_S[min(tries, len(STORE_PAUSES_S) - 1)]
                await self._pause(pause_s * random.uniform(0.8, 1.2))
        raise AssertionError("it counts for ever")

    async def _guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end even if the caller is cancelled; `stop` waits for it."""
        return await asyncio.shield(self._critically(work))

    def _critically(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._critical.add(task)
        task.add_done_callback(self._critical.discard)
        return task

    def _publish(self, job: Job, progress: Progress) -> None:
        self._shown_by().progress(job, progress)

    def _shown_by(self) -> Delivery:
        if self._delivery is None:
            raise RuntimeError("attach a delivery before run()")
        return self._delivery

    def _model(self, job: Job) -> Model:
        model = self._catalogue.known(job.order.endpoint)
        if model is None:
            raise ModelGone(job.order.endpoint, None)
        return model

    def _age_s(self, job: Job) -> float:
        """Seconds since its submit; by a clock that may have been set meanwhile only where another process did that."""
        if job.id in self._attempted_s:
            return asyncio.get_running_loop().time() - self._attempted_s[job.id]
        since = job.submitted_at or job.created_at
        return max((self._clock() - since).total_seconds(), 0)

    async def _tick_forever(self) -> None:
        """Keep places in the queue and remaining times current."""
        while True:
            await asyncio.sleep(self._tick_s)
            metrics.JOBS_IN_FLIGHT.set(self._in_flight)
            metrics.JOBS_WAITING.set(len(self._waiting))
            await self._publish_all()
            try:
                await self._note_alive()
                await self._write_durations()
                await self._show_places()
            except EaselError:
                log.exception("tick failed")

    async def _publish_all(self) -> None:
        now, away = self._clock(), self._fal.away
        for number, under_way in enumerate(list(self._running.values()), 1):
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
            # What has been painted meanwhile may be shown already.
            if self._running.get(under_way.job.id) is under_way:
                self._publish(under_way.job, FalAway() if away else under_way.progress(now))

    def _next_shown(self) -> list[str]:
        """Those whose place is looked up now: the first in line, and as many of the others in turn."""
        shown = [job_id for job_id in self._waiting if job_id in self._placed]
        first, others = shown[:PLACES_A_TICK], shown[PLACES_A_TICK:]
        start = self._shown_so_far = self._shown_so_far if self._shown_so_far < len(others) else 0
        self._shown_so_far += PLACES_A_TICK
        return first + others[start : start + PLACES_A_TICK]

    async def _show_places(self) -> None:
        shown = [] if self.pressed else self._next_shown()
        if shown:
            settings = self._settings
            full = await self._store.full(settings.guild_jobs_in_flight, settings.user_jobs_in_flight)
            for job_id, ahead in (await self._store.ahead(shown)).items():
                if job_id in self._waiting:
                    job = self._waiting[job_id]
                    self._publish(job, WaitingHere(ahead, full.caps(job.actor)))
        for job_id in self._placed.keys() - self._waiting.keys() - self._lives.keys() - self._answers.keys():
            # Another process has it.
            self._placed.pop(job_id)
            self._messages.pop(job_id, None)
            if self._store.shared:
                self._unwanted.discard(job_id)  # it finds the wish on record
            self._shown_by().forget(job_id)


class _Answer(asyncio.Event):
    """Set once the person has seen that their job was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.since_s = _now_s()


@dataclass(slots=True)
class _UnderWay:
    """A job that fal has, as last seen."""

    job: Job
    expected_s: float
    started_at: datetime | None = None
    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    waiting: WaitingAtFal | None = None
    #: fal has called back about this request.
    called_back: bool = False
    _listening: asyncio.Future[None] | None = None

    def call_back(self) -> None:
        """One has come."""
        self.called_back = True
        if self._listening is not None and not self._listening.done():
            self._listening.set_result(None)

    async def listen(self, seconds: float) -> None:
        """Wait until it has, for so long."""
        self._listening = asyncio.get_running_loop().create_future()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._listening
        finally:
            self._listening = None

    def progress(self, now: datetime) -> Progress:
        """The state as an event."""
        return (self.waiting or WaitingAtFal(None)) if self.started_at is None else self.painting(now)

    def painting(self, now: datetime) -> Painting:
        """The state as an event, with the time left by the clock and by the logs."""
        spent_s = (now - self.started_at).total_seconds() if self.started_at else 0.0
        left_s = self.expected_s - spent_s
        if self.fraction:
            left_s = spent_s / self.fraction - spent_s
        return Painting(self.fraction, self.step, self.steps, left_s if left_s > 0.5 else None)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _count_end(job: Job) -> None:
    match job.state:
        case JobState.DELIVERED:
            metrics.JOBS_DELIVERED.inc()
            if job.finished_at is not None and job.ended_at is not None:
                metrics.FAL_DONE_TO_POSTED_SECONDS.observe((job.ended_at - job.finished_at).total_seconds())
        case JobState.CANCELLED:
            metrics.JOBS_CANCELLED.inc()
        case JobState.FAILED:
            metrics.JOBS_FAILED.labels(job.failure.code if job.failure is not None else "unknown").inc()
        case _:
            pass


async def _with_matching_masks(fetched: dict[str, tuple[str, Picture]]) -> dict[str, tuple[str, Picture]]:
    """Masks in the dimensions of their picture. Raises BadPicture when the shapes differ."""
    image = next((picture for option, picture in fetched.values() if option == "image"), None)
    if image is None:
        return fetched
    return {
        url: (option, await mask_matches(image, picture) if option == "mask" else picture)
        for url, (option, picture) in fetched.items()
    }


def nsfw_flags(model: Model, result: Result) -> tuple[bool, ...]:
    """One flag a picture: True when flagged, or when the model should have said and did not."""
    count = len(result.pictures)
    if not model.output.has_nsfw_concepts:
        return (False,) * count
    told = result.nsfw or ()
    return tuple(told[:count]) + (True,) * (count - len(told))
