"""One POST a job, whatever becomes of its answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from bot.domain.events import ConfirmingSubmit, ProviderUnavailable
from bot.domain.job import JobState
from bot.errors import ProviderError, ProviderUnreachable, SubmitUnconfirmed
from bot.jobs.timings import JobTimings
from tests.jobs.scripted import (
    Build,
    ScriptedFal,
    until,
)


async def test_a_request_whose_answer_was_lost_is_found_and_not_sent_again(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    fal.keeps_lost = True
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1
    assert done.fal_request is not None
    assert done.fal_request.request_id == "lost1"
    assert done.possible_doubles == 0


async def test_a_request_that_does_not_turn_up_is_sent_again_and_flagged(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, reconcile_s=0.02)
    job = await runner_fixture.ask()
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 2
    assert (done.attempts, done.possible_doubles) == (2, 1)


async def test_after_enough_lost_answers_the_person_is_told(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")] * 9
    runner_fixture = await build(fal, reconcile_s=0.0)
    job = await runner_fixture.ask()
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "submit_never_confirmed"
    assert len(fal.submitted) == JobTimings().most_lost_submits
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


async def test_a_single_job_that_fal_answers_with_an_error_ends_with_a_sentence(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("500", refused=True)] * 9
    runner_fixture = await build(fal, timings={"refused_waits_s": (0.05,)})
    failed = await runner_fixture.until(await runner_fixture.ask(), JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == ProviderError.code
    assert len(fal.submitted) == 1
    assert fal.looks > 0
    assert not any(
        isinstance(event, ProviderUnavailable | ConfirmingSubmit) for _, event in runner_fixture.shown.events
    )


async def test_while_fal_answers_everybody_with_errors_nobody_fails_and_the_queue_is_kept(build: Build) -> None:
    timings = JobTimings()
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("500", refused=True)] * 10**6
    fal.submit_gate.clear()  # a job that is refused a second before all others fails, as it should
    runner_fixture = await build(fal, max_in_flight=0, timings={"refused_waits_s": (1.0,)})
    jobs = [await runner_fixture.ask(user=number) for number in range(150)]
    await until(lambda: len(fal.submitted) >= timings.outage_jobs)
    fal.submit_gate.set()
    async with asyncio.timeout(60):
        while len(fal.submitted) < 2 * timings.most_submits:  # the first ones come round again
            await asyncio.sleep(0.01)
    found = [await runner_fixture.store.jobs.get(job.id) for job in jobs]
    states = Counter(job.state for job in found if job is not None)
    assert states[JobState.QUEUED] >= len(jobs) - timings.claimed_ahead - timings.most_submits
    assert not states[JobState.FAILED]
    fal.submit_errors.clear()
    for job in jobs:
        done = await runner_fixture.until(job, JobState.DELIVERED)
        assert done.possible_doubles == done.attempts - 1
    assert len(runner_fixture.shown.delivered) == len(jobs)


async def test_an_error_of_fal_that_its_list_outlasts_is_an_outage(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("500", refused=True)]
    runner_fixture = await build(fal, timings={"refused_waits_s": (0.0,)})
    find = fal.find_requests

    async def late(*given: Any, **options: Any) -> Any:
        runner_fixture.ahead_s += 60
        return await find(*given, **options)

    vars(fal)["find_requests"] = late
    await runner_fixture.until(await runner_fixture.ask(), JobState.DELIVERED)
    assert len(fal.submitted) == 2


async def test_a_job_found_in_the_middle_of_its_submit_is_reconciled_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    runner_fixture.runner._context.tasks._critical.clear()  # as a kill would: nobody waits for the POST
    fal.keeps_lost = True
    restarted = await build(fal)
    await restarted.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_a_job_found_before_its_submit_is_sent_at_once_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture = await build(fal, run=False)
    job = await runner_fixture.ask()
    (claimed,) = await runner_fixture.store.jobs.claim(1)  # and killed, before anything was sent
    assert claimed.id == job.id
    restarted = await build(fal, reconcile_s=600)
    done = await restarted.until(job, JobState.DELIVERED)
    assert (len(fal.submitted), fal.looks, done.possible_doubles) == (1, 0, 0)


async def test_nothing_is_sent_that_another_process_has_taken_over(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(answered=False)
    claimed = await runner_fixture.until(job, JobState.SUBMITTING)
    await runner_fixture.store.jobs.transition(claimed, JobState.QUEUED)
    runner_fixture.runner._context.recheck_queue = False  # the other one claims it
    await runner_fixture.runner.answered(job.id, 5)
    async with asyncio.timeout(60):
        while runner_fixture.runner.jobs_alive:
            await asyncio.sleep(0.005)
    assert fal.submitted == []


async def test_a_callback_names_a_request_whose_answer_was_lost(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, reconcile_s=600)
    job = await runner_fixture.ask()
    async with asyncio.timeout(60):
        while not fal.looks:
            await asyncio.sleep(0.005)
    await runner_fixture.runner.on_webhook(job.id, 1, "called1")
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert done.fal_request is not None
    assert done.fal_request.request_id == "called1"


async def test_a_submit_that_never_left_is_tried_again(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [ProviderUnreachable("refused"), ProviderUnreachable("refused")]
    runner_fixture = await build(fal, timings={"unreachable_pauses_s": (0.0, 0.0)})
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 3


async def test_a_callback_before_everything_is_taken_up_is_kept(build: Build) -> None:
    """It may be about a submit of the process before, whose answer was lost; fal does not call twice."""
    runner_fixture = await build(run=False)
    await runner_fixture.runner.on_webhook("job0000009", 1, "r5")
    assert runner_fixture.runner._reconciler.webhook_request("job0000009", 1) == "r5"
