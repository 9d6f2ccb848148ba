from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from bot.domain.job import LIVE, MOVES, TERMINAL, Actor, Failure, Job, JobState
from bot.errors import (
    GenerationFailed,
    GenerationTimedOut,
    ProviderError,
    RequestNotFound,
    ResultWithheld,
    SubmitNeverConfirmed,
    SubmitUnresolved,
)
from bot.limits import Refused
from bot.store import Accepted, Store
from bot.store.tables import jobs
from tests.english import english
from tests.store.conftest import OpenStore
from tests.store.makers import (
    FAILURE,
    NOON,
    REQUEST,
    WIDE,
    Clock,
    accepted,
    delivered,
    moved,
    new_job,
    policy,
    result,
    running,
)

HERE = Actor(1, 70, 50)


async def test_a_job_goes_all_the_way_and_every_step_is_read_back_whole(store: Store, clock: Clock) -> None:
    job = await accepted(store, new_job(images=2))
    steps = [job]
    clock.tick(seconds=1)
    (claimed,) = await store.jobs.claim(5)
    sending = await store.jobs.mark_submitting(claimed)
    assert sending is not None
    steps.append(sending)
    clock.tick(seconds=1)
    steps.append(await moved(store, steps[-1], JobState.RUNNING, fal_request=REQUEST, message_id=11))
    clock.tick(seconds=1)
    steps.append(await moved(store, steps[-1], JobState.FINISHED, result=result(2), started_at=clock()))
    clock.tick(seconds=1)
    assert await store.jobs.get(job.id) == steps[-1]
    steps.append(await moved(store, steps[-1], JobState.DELIVERED, message_id=12))

    end = steps[-1]
    assert await store.jobs.get(job.id) == end
    assert [step.state.value for step in steps] == ["queued", "submitting", "running", "finished", "delivered"]
    assert [step.fence for step in steps] == [0, 1, 1, 1, 1]
    moments = (end.created_at, end.submitted_at, end.started_at, end.finished_at, end.ended_at)
    assert moments == tuple(NOON + timedelta(seconds=seconds) for seconds in (0, 1, 3, 3, 4))
    assert (end.fal_request, end.result, end.failure, end.notified, end.attempts) == (REQUEST, result(2), None, True, 1)
    assert [step.reply.message_id for step in steps] == [None, None, 11, 11, 12]


@pytest.mark.parametrize("here", JobState)
@pytest.mark.parametrize("to", JobState)
async def test_only_legal_moves_are_tried(here: JobState, to: JobState, some_job: Job) -> None:
    from dataclasses import replace

    from bot.store.transitions import check_move

    job = replace(some_job, state=here)
    if to in MOVES[here] and to is not JobState.SUBMITTING:
        check_move(job, to)
    else:
        with pytest.raises(ValueError, match="can't go from"):
            check_move(job, to)


@pytest.fixture
def some_job() -> Job:
    from bot.store.rows import queued_job

    return queued_job(new_job(), NOON)


async def test_an_illegal_move_changes_nothing(store: Store) -> None:
    job = await accepted(store)

    with pytest.raises(ValueError, match="queued to delivered"):
        await store.jobs.transition(job, JobState.DELIVERED)

    assert await store.jobs.get(job.id) == job


async def test_a_move_from_a_state_the_job_has_left_is_lost(store: Store) -> None:
    submitting = (await running(store), await accepted(store))[0]
    ended = await moved(store, submitting, JobState.FAILED, failure=FAILURE)

    assert await store.jobs.transition(submitting, JobState.FINISHED, result=result()) is None
    assert await store.jobs.get(ended.id) == ended


async def test_a_move_under_an_old_fence_is_lost(store: Store) -> None:
    await accepted(store)
    (first,) = await store.jobs.claim(1)
    await moved(store, first, JobState.QUEUED)
    (second,) = await store.jobs.claim(1)

    assert (second.id, second.fence, second.attempts) == (first.id, 2, 2)
    assert await store.jobs.transition(first, JobState.RUNNING, fal_request=REQUEST) is None
    assert await store.jobs.get(second.id) == second


async def test_a_move_of_a_job_that_is_gone_is_lost(store: Store, some_job: Job) -> None:
    assert await store.jobs.transition(some_job, JobState.CANCELLED) is None
    assert await store.jobs.annotate(some_job.id, notified=True) is None


async def test_of_two_ends_at_once_one_takes_and_the_reservation_resolves_once(store: Store) -> None:
    job = await running(store, new_job(images=3, user=2))
    await accepted(store, new_job(images=2))

    ends = await asyncio.gather(
        store.jobs.transition(job, JobState.FAILED, failure=FAILURE),
        store.jobs.transition(job, JobState.CANCELLED),
        store.jobs.transition(job, JobState.FAILED, failure=FAILURE),
    )

    assert sum(end is not None for end in ends) == 1
    assert (await store.usage.of(Actor(2, 70, 50))).images_today == 0
    assert (await store.usage.of(HERE)).guild_images_today == 2
    assert await store.check() == []


async def test_moves_and_notes_that_share_a_transaction_see_each_other(store: Store) -> None:
    job = await running(store)

    noted, finished, noted_again = await asyncio.gather(
        store.jobs.annotate(job.id, cancel_requested=True),
        store.jobs.transition(job, JobState.FINISHED, result=result()),
        store.jobs.annotate(job.id, message_id=99),
    )

    assert noted is not None
    assert finished is not None
    assert noted_again is not None
    assert finished.cancel_requested
    assert noted == noted_again == await store.jobs.get(job.id)
    assert (noted.state, noted.reply.message_id) == (JobState.FINISHED, 99)


async def test_notes_that_share_a_transaction_return_the_job_as_it_is_on_record(store: Store) -> None:
    job = await running(store)

    one, other = await asyncio.gather(
        store.jobs.annotate(job.id, cancel_requested=True, notified=True),
        store.jobs.annotate(job.id, message_id=99, started_at=NOON),
    )

    assert one == other == await store.jobs.get(job.id)
    assert one is not None
    assert (one.cancel_requested, one.notified, one.reply.message_id, one.started_at) == (True, True, 99, NOON)


async def test_many_moves_at_once_all_take(store: Store) -> None:
    for _ in range(30):
        await accepted(store)
    claimed = await store.jobs.claim(30)

    runs = await asyncio.gather(*(store.jobs.transition(job, JobState.RUNNING, fal_request=REQUEST) for job in claimed))
    ends = await asyncio.gather(
        *(
            store.jobs.transition(job, JobState.FAILED, failure=FAILURE)
            if n % 2
            else store.jobs.transition(job, JobState.FINISHED)
            for n, job in enumerate(job for job in runs if job is not None)
        )
    )

    assert sum(end is not None for end in ends) == 30
    assert (await store.usage.of(HERE)).images_today == 15
    assert await store.check() == []


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.CANCELLED])
async def test_an_end_without_a_picture_gives_everything_back(store: Store, end: JobState) -> None:
    limits = policy(burst_images=4, interval=timedelta(minutes=1))
    await accepted(store, new_job(images=1), limits)
    before = await store.usage.of(HERE)
    job = await accepted(store, new_job(images=3), limits)
    assert isinstance(await store.jobs.accept(new_job(), limits, max_waiting=9), Refused)

    await moved(store, job, end)

    assert await store.usage.of(HERE) == before
    assert isinstance(await store.jobs.accept(new_job(images=3), limits, max_waiting=9), Accepted)


async def test_a_delivered_picture_stays_counted(store: Store) -> None:
    await delivered(store, new_job(images=3))

    usage = await store.usage.of(HERE)

    assert (usage.images_today, usage.guild_images_today, usage.active_jobs) == (3, 3, 0)
    assert usage.tat == NOON + 3 * WIDE.interval


async def test_fewer_pictures_than_reserved_count_only_as_many(store: Store) -> None:
    await delivered(store, new_job(images=6), pictures=2)

    usage = await store.usage.of(HERE)

    assert (usage.images_today, usage.guild_images_today) == (2, 2)
    assert usage.tat == NOON + 2 * WIDE.interval
    assert await store.check() == []


async def test_a_failure_of_yesterday_gives_yesterday_back_and_not_today(store: Store, clock: Clock) -> None:
    yesterday = await accepted(store, new_job(images=3))
    clock.tick(hours=12)
    await accepted(store, new_job(images=2))

    await moved(store, yesterday, JobState.FAILED, failure=FAILURE)

    usage = await store.usage.of(HERE)
    assert (usage.images_today, usage.guild_images_today) == (2, 2)
    assert await store.check() == []


async def test_rate_that_time_has_given_back_already_is_not_given_back_again(store: Store, clock: Clock) -> None:
    limits = policy(burst_images=2, interval=timedelta(minutes=1))
    failing = await accepted(store, new_job(images=2), limits)
    clock.tick(minutes=10)  # rested again
    await accepted(store, new_job(images=2), limits)

    await moved(store, failing, JobState.FAILED, failure=FAILURE)

    refused = await store.jobs.accept(new_job(), limits, max_waiting=9)
    assert isinstance(refused, Refused)
    assert refused.retry_at == clock() + timedelta(minutes=1)


async def test_the_token_is_forgotten_once_the_end_was_notified(store: Store) -> None:
    job = await running(store)
    failed = await moved(store, job, JobState.FAILED, failure=FAILURE)
    assert failed.reply.token
    assert [untold.id for untold in await store.jobs.unnotified()] == [job.id]

    noted = await store.jobs.annotate(job.id, notified=True)

    assert noted is not None
    assert (noted.notified, noted.reply.token) == (True, "")
    assert await store.jobs.get(job.id) == noted
    assert await store.jobs.unnotified() == []


async def test_an_end_that_is_notified_with_it_forgets_the_token_at_once(store: Store) -> None:
    assert (await delivered(store)).reply.token == ""
    job = await moved(store, await running(store), JobState.CANCELLED, notified=True)
    assert (job.notified, job.reply.token) == (True, "")
    assert await store.jobs.unnotified() == []


async def test_an_expired_token_is_forgotten_once_it_has_expired_by_a_clock_that_is_an_hour_fast(
    store: Store, clock: Clock
) -> None:
    job = await running(store)
    clock.tick(minutes=15 + 64)
    kept = await store.jobs.annotate(job.id, message_id=4)
    assert kept is not None
    assert kept.reply.token
    clock.tick(minutes=1)

    noted = await store.jobs.annotate(job.id, message_id=5)

    assert noted is not None
    assert noted.reply.token == ""


async def test_expired_tokens_are_forgotten_at_start(open_store: OpenStore, clock: Clock) -> None:
    store = await open_store()
    job = await accepted(store)
    await store.close()
    clock.tick(minutes=16 + 65)

    again = await (await open_store()).jobs.get(job.id)

    assert again is not None
    assert again.reply.token == ""


async def test_facts_can_be_noted_and_taken_back(store: Store, clock: Clock) -> None:
    job = await accepted(store)

    first = await store.jobs.annotate(job.id, message_id=5, cancel_requested=True, started_at=clock())
    second = await store.jobs.annotate(job.id, message_id=None, cancel_requested=False, started_at=None)

    assert first is not None
    assert (first.reply.message_id, first.cancel_requested, first.started_at) == (5, True, clock())
    assert second == job


async def test_live_and_ended_jobs_are_told_apart(store: Store) -> None:
    done = await delivered(store)
    failed = await moved(store, await running(store), JobState.FAILED, failure=FAILURE)
    live = await running(store, new_job(user=2))
    waiting = await accepted(store, new_job(user=2))

    assert await store.jobs.live() == [live, waiting]
    assert await store.jobs.of_user(1, live_only=False) == [failed, done]
    assert await store.jobs.of_user(1, live_only=True) == []
    assert await store.jobs.of_user(2, live_only=True, limit=1) == [waiting]
    counts = await store.jobs.counts()
    assert (counts.waiting, counts.in_flight) == (1, 1)
    assert {job.state for job in await store.jobs.live()} <= LIVE
    assert failed.state in TERMINAL


async def test_more_live_jobs_than_a_page_are_all_taken_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [(await accepted(store)).id for _ in range(7)]
    for page in (1, 2, 7, 8):
        monkeypatch.setattr("bot.store.jobs._PAGE", page)
        assert [job.id for job in await store.jobs.live()] == ids


async def test_a_row_of_a_newer_version_is_read_as_far_as_it_is_understood(store: Store) -> None:
    job = await running(store)
    row = await store._database.read(lambda connection: connection.execute(jobs.select()).mappings().one())

    def with_news(text: str) -> str:
        return json.dumps({**json.loads(text), "from_the_future": [1, {"a": None}]})

    names = ("order_json", "reply_json", "request_json")
    newer = {name: with_news(row[name]) for name in names}
    newer["result_json"] = json.dumps({"pictures": [{"url": "https://fal/0.png", "hdr": True}], "news": 1})
    newer["failure_json"] = json.dumps({"code": "x", "sentence": "y", "worth_retrying": True, "news": 1})
    await store._database.write(lambda connection: connection.execute(update(jobs).values(newer)))

    read = await store.jobs.get(job.id)

    assert read is not None
    assert (read.request, read.reply, read.fal_request) == (job.request, job.reply, job.fal_request)
    assert read.result is not None
    assert read.failure is not None
    assert english(read.failure) == "y"  # a row of before failures were stored as code and parameters
    assert [picture.url for picture in read.result.pictures] == ["https://fal/0.png"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("fal_broken", ProviderError()),
        ("request_unknown", RequestNotFound()),
        ("answer_lost", SubmitNeverConfirmed()),
        ("never_found_out", SubmitUnresolved()),
        ("timed_out", GenerationTimedOut()),
        ("withheld", ResultWithheld()),
    ],
)
async def test_a_failure_stored_under_a_former_code_keeps_its_sentence(
    store: Store, code: str, error: GenerationFailed
) -> None:
    job = await running(store)
    stored = {"code": code, "phrase": {"code": code, "params": {}}, "worth_retrying": True, "incident": None}
    await store._database.write(
        lambda connection: connection.execute(update(jobs).values(failure_json=json.dumps(stored)))
    )

    read = await store.jobs.get(job.id)

    assert read is not None
    assert read.failure == Failure.of(error)


@pytest.mark.postgres
async def test_processes_that_end_the_same_jobs_at_once_release_each_once(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(2)]
    for user in range(20):
        await accepted(stores[0], new_job(user=user % 5))
    claimed = await stores[0].jobs.claim(20)

    ends = await asyncio.gather(
        *(stores[n % 2].jobs.transition(job, JobState.FAILED) for n, job in enumerate([*claimed, *reversed(claimed)]))
    )

    assert sum(end is not None for end in ends) == 20
    assert (await stores[0].usage.of(HERE)).guild_images_today == 0
    assert await stores[1].check() == []
    for store in stores:
        await store.close()
