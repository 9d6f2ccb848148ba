"""What becomes of a submit whose answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.catalogue import load, parse
from bot.domain.job import Actor, FalRequest, Job, JobState, Reply
from bot.domain.provider import FoundRequest, TruncatedList
from bot.domain.request import Json
from bot.errors import ProviderUnreachable, SubmitUnresolved
from bot.jobs.active_jobs import ActiveJobs
from bot.jobs.reconcile import Reconciler
from bot.jobs.timings import JobTimings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MODEL = load().get("flux-schnell")
IMPATIENT = JobTimings(list_pauses_s=(0.001,))
SENT: dict[str, Json] = {"prompt": "a fox", "seed": 7}


class Clock:
    """A clock that goes on when something waits for it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


class ScriptedList:
    """fal's list of requests, one answer after another; the last one repeats."""

    def __init__(self, clock: Clock, *answers: Sequence[FoundRequest] | Exception | None) -> None:
        self.answers = list(answers)
        self.clock = clock
        self.looks = 0
        #: What fal says of a request that its own answer named.
        self.is_known: bool | None = False

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> Sequence[FoundRequest] | None:
        assert since < NOW < until
        self.looks += 1
        self.clock.now += timedelta(seconds=10)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        return FalRequest(request_id, f"https://q/{request_id}/status", f"https://q/{request_id}", "https://q/cancel")

    async def knows(self, request: FalRequest) -> bool | None:
        self.clock.now += timedelta(seconds=10)
        return self.is_known


class Records:
    """Requests that belong to jobs already."""

    def __init__(self, *known: str) -> None:
        self.known = set(known)

    async def known_requests(self, request_ids: Collection[str]) -> set[str]:
        return self.known & set(request_ids)


def found(request_id: str, **arguments: Json) -> FoundRequest:
    return FoundRequest(request_id, MODEL.endpoint, {**SENT, **arguments}, NOW, None)


def a_job(number: int = 1) -> Job:
    reply = Reply(5, 100 + number, "t", NOW + timedelta(minutes=15))
    request = parse(MODEL, {"prompt": "a fox", "seed": 7})
    job = Job(f"lostjob{number:03}", JobState.SUBMITTING, 1, Actor(1, 2), reply, request, None, NOW, submitted_at=NOW)
    return replace(job, attempts=1)


def build(
    clock: Clock, fal: ScriptedList, records: Records, *, store_payloads: bool = True, timings: JobTimings | None = None
) -> Reconciler:
    return Reconciler(
        active=ActiveJobs(),
        timings=timings or IMPATIENT,
        fal=fal,
        records=records,
        clock=clock,
        wait_s=60,
        give_up_s=1800,
        store_payloads=store_payloads,
        timer=clock.seconds,
    )


async def test_a_request_that_fal_has_is_adopted() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [], [found("r1")])
    request = await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0)
    assert request is not None
    assert request.request_id == "r1"
    assert fal.looks == 2


async def test_a_request_with_another_seed_is_not_ours() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [found("r1", seed=8)])
    assert await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0) is None


async def test_a_request_of_another_job_is_not_taken_twice() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [found("r1"), found("r2")])
    request = await build(clock, fal, Records("r1")).find(a_job(), SENT, listed=True, age_s=0)
    assert request is not None
    assert request.request_id == "r2"


async def test_two_lost_jobs_with_equal_arguments_get_a_request_each() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [found("r1"), found("r2")])
    reconciler = build(clock, fal, Records())
    requests = [await reconciler.find(a_job(number), SENT, listed=True, age_s=0) for number in (1, 2)]
    assert {request.request_id for request in requests if request} == {"r1", "r2"}


async def test_what_does_not_turn_up_in_time_is_given_up() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [])
    assert await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0) is None
    assert clock.now - NOW >= timedelta(seconds=60)


@pytest.mark.parametrize(
    ("wait_s", "age_s", "certain"), [(None, 0, True), (6, 0, False), (6, 40, False), (6, 70, True)]
)
async def test_only_a_list_read_late_enough_shows_that_fal_has_nothing(
    wait_s: float | None, age_s: float, certain: bool
) -> None:
    """What waits in fal's queue is not listed, so a short search proves nothing."""
    clock = Clock()
    reconciler, job = build(clock, ScriptedList(clock, []), Records()), a_job()
    reconciler._active.open(job.id).unsure_attempt = 1
    assert await reconciler.find(job, SENT, listed=True, age_s=age_s, wait_s=wait_s) is None
    assert (reconciler._active.open(job.id).unsure_attempt is None) is certain


@pytest.mark.parametrize(
    ("is_known", "found_id", "certain"), [(True, "n1", False), (False, None, True), (None, None, False)]
)
@pytest.mark.parametrize("listed", [True, False])
async def test_the_request_that_fals_answer_named_is_asked_for(
    is_known: bool | None, found_id: str | None, certain: bool, listed: bool
) -> None:
    clock = Clock()
    fal, job = ScriptedList(clock, []), a_job()
    fal.is_known = is_known
    reconciler = build(clock, fal, Records())
    reconciler._active.open(job.id).unsure_attempt = 1
    request = await reconciler.find(job, SENT, listed=listed, age_s=0, wait_s=6, named="n1")
    assert (request.request_id if request is not None else None) == found_id
    assert (reconciler._active.open(job.id).unsure_attempt is None) is certain


async def test_a_list_that_cannot_be_read_is_looked_at_again() -> None:
    clock = Clock()
    fal = ScriptedList(clock, ProviderUnreachable("away"), None, [found("r1")])
    request = await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0)
    assert request is not None


async def test_what_a_list_can_not_be_asked_about_is_not_taken_for_missing() -> None:
    clock = Clock()
    fal = ScriptedList(clock, *[ProviderUnreachable("away")] * 20, [found("r1")])
    request = await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0)
    assert request is not None
    assert clock.now - NOW >= timedelta(seconds=200)  # it was to be looked for 60 s


async def test_what_an_outage_held_up_may_arrive_with_its_end() -> None:
    clock = Clock()
    fal = ScriptedList(clock, *[ProviderUnreachable("away")] * 20, [], [found("r1")])
    request = await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0)
    assert request is not None
    fal = ScriptedList(clock, *[ProviderUnreachable("away")] * 20, [])
    assert await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0) is None


async def test_a_list_that_is_never_readable_does_not_say_that_the_request_is_missing() -> None:
    clock = Clock()
    fal = ScriptedList(clock, ProviderUnreachable("away"))
    with pytest.raises(SubmitUnresolved):
        await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0)
    assert clock.now - NOW >= timedelta(seconds=1800)


async def test_what_nobody_wants_is_not_waited_for_though_the_list_is_unreadable() -> None:
    clock = Clock()
    fal = ScriptedList(clock, ProviderUnreachable("away"))
    assert await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0, wait_s=0) is None
    assert fal.looks == 1


async def test_a_part_of_the_list_tells_what_is_there_but_not_what_is_missing() -> None:
    clock = Clock()
    fal = ScriptedList(clock, *[TruncatedList([found("r8", seed=8)])] * 20, TruncatedList([found("r1")]))
    request = await build(clock, fal, Records()).find(a_job(), SENT, listed=True, age_s=0)
    assert request is not None
    assert request.request_id == "r1"
    assert clock.now - NOW >= timedelta(seconds=200)  # it was to be looked for 60 s


async def test_a_last_look_that_an_equal_order_puts_off_is_looked_again() -> None:
    clock = Clock()
    hasty = replace(IMPATIENT, equal_submits_s=0.001)
    reconciler = build(clock, ScriptedList(clock, [found("r1")]), Records(), timings=hasty)
    with reconciler.under_way(MODEL.endpoint, SENT):
        looking = asyncio.create_task(reconciler.find(a_job(), SENT, listed=True, age_s=120))
        await asyncio.sleep(0.02)
        assert not looking.done()
    request = await asyncio.wait_for(looking, 5)
    assert request is not None


async def test_a_callback_names_the_request_at_once() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [])
    reconciler = Reconciler(
        active=ActiveJobs(),
        timings=IMPATIENT,
        fal=fal,
        records=Records(),
        clock=lambda: NOW,
        wait_s=60,
        give_up_s=1800,
        store_payloads=True,
    )
    looking = asyncio.create_task(reconciler.find(a_job(), SENT, listed=True, age_s=0))
    await asyncio.sleep(0.01)
    reconciler.on_webhook("lostjob001", 1, "r9")
    request = await asyncio.wait_for(looking, 5)
    assert request is not None
    assert request.request_id == "r9"


async def test_a_callback_that_was_quicker_is_not_lost() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [])
    reconciler = build(clock, fal, Records())
    reconciler.on_webhook("lostjob001", 1, "r9")
    request = await reconciler.find(a_job(), SENT, listed=True, age_s=0)
    assert request is not None
    assert fal.looks == 0


async def test_an_earlier_attempts_callback_says_nothing_about_this_one() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [])
    reconciler = build(clock, fal, Records())
    reconciler.on_webhook("lostjob001", 0, "r8")
    assert await reconciler.find(a_job(), SENT, listed=True, age_s=0) is None


async def test_without_stored_payloads_only_time_and_callbacks_count() -> None:
    clock = Clock()
    fal = ScriptedList(clock, [found("r1")])
    reconciler = build(clock, fal, Records(), store_payloads=False)
    assert await reconciler.find(a_job(), SENT, listed=True, age_s=61) is None
    assert fal.looks == 0


@pytest.mark.parametrize(
    ("listed", "calls_back", "gives_up"), [(False, False, True), (False, True, False), (True, False, False)]
)
async def test_nobody_waits_for_what_nobody_wants_and_nobody_can_tell(
    listed: bool, calls_back: bool, gives_up: bool
) -> None:
    reconciler = Reconciler(
        active=ActiveJobs(),
        timings=IMPATIENT,
        fal=ScriptedList(Clock(), []),
        records=Records(),
        clock=lambda: NOW,
        wait_s=60,
        give_up_s=1800,
        store_payloads=True,
        calls_back=calls_back,
    )
    looking = asyncio.create_task(reconciler.find(a_job(), SENT, listed=listed, age_s=0))
    await asyncio.sleep(0.01)
    assert reconciler.give_up("lostjob001", 1) is gives_up
    if gives_up:
        assert await asyncio.wait_for(looking, 5) is None
    looking.cancel()


async def test_a_list_that_fal_refuses_us_does_not_show_that_it_is_missing() -> None:
    clock = Clock()
    reconciler = build(clock, ScriptedList(clock, None), Records())
    reconciler._active.open("lostjob001").unsure_attempt = 1
    assert await reconciler.find(a_job(), SENT, listed=True, age_s=0) is None
    assert reconciler._active.open("lostjob001").unsure_attempt == 1


async def test_a_request_of_the_same_order_that_is_just_being_answered_is_not_taken() -> None:
    clock, records = Clock(), Records()
    fal = ScriptedList(clock, [found("r1"), found("r2")])
    reconciler = build(clock, fal, records)
    with reconciler.under_way(MODEL.endpoint, SENT):
        looking = asyncio.create_task(reconciler.find(a_job(), SENT, listed=True, age_s=0))
        await asyncio.sleep(0.01)
        assert not looking.done(), "r1 may be the other one's"
        records.known.add("r1")  # and so it is
    request = await asyncio.wait_for(looking, 5)
    assert request is not None
    assert request.request_id == "r2"


async def test_other_orders_under_way_are_not_waited_for() -> None:
    clock = Clock()
    reconciler = build(clock, ScriptedList(clock, [found("r1")]), Records())
    with reconciler.under_way(MODEL.endpoint, {**SENT, "seed": 8}):
        request = await asyncio.wait_for(reconciler.find(a_job(), SENT, listed=True, age_s=0), 5)
    assert request is not None


async def test_a_callback_before_the_answer_is_told_once() -> None:
    clock = Clock()
    reconciler = build(clock, ScriptedList(clock, []), Records())
    reconciler.on_webhook("lostjob001", 1, "r9")
    assert [reconciler.webhook_request("lostjob001", 1) for _ in range(2)] == ["r9", None]
