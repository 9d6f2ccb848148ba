"""Cancelling at every step of a job, also across a restart."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.events import Cancelling, ConfirmingSubmit, InProgress, ProviderQueued, ProviderUnavailable
from bot.domain.job import Failure, Job, JobState
from bot.domain.money import Charge
from bot.domain.provider import CancelAnswer, InQueueStatus
from bot.domain.settlement import Settlement
from bot.errors import Cancelled, SubmitUnconfirmed
from tests.english import english
from tests.jobs.scripted import (
    CATALOGUE,
    TIGHT,
    Build,
    RunnerFixture,
    ScriptedFal,
    now,
    until,
)


async def test_cancelling_a_waiting_job_costs_nothing(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, max_in_flight=1)
    first = await runner_fixture.ask()
    await runner_fixture.until(first, JobState.RUNNING)
    second = await runner_fixture.ask()
    outcome = await runner_fixture.runner.cancel(second.id)
    assert outcome.cancelled
    assert "nothing was charged" in english(outcome)
    await runner_fixture.until(second, JobState.CANCELLED)
    fal.hold.set()
    await runner_fixture.until(first, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_cancelling_a_running_job_tells_fal_and_says_that_it_may_cost(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    fal.cancelled_units = Decimal(1)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    async with asyncio.timeout(60):
        while not any(isinstance(event, InProgress) for _, event in runner_fixture.shown.events):
            await asyncio.sleep(0.005)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert outcome.cancelled
    assert "had painted it by then and bills $0.003 for it. None of your pictures were used." in english(outcome)
    assert [request.request_id for request in fal.cancelled] == ["r1"]
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert ended.failure.charge == Charge(counted=0, forgiven=1, usd_micros=3000)
    assert runner_fixture.shown.notified[0].id == job.id
    used = await runner_fixture.store.usage.of(job.actor)
    assert (used.images_today, used.spent.person_day) == (0, 3000)


async def painted_at_fal(build: Build) -> tuple[ScriptedFal, RunnerFixture, Job]:
    """A running job that fal has painted, which the bot hears once `hold` is set."""
    fal = ScriptedFal()
    fal.hold.clear()
    fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    return fal, runner_fixture, await runner_fixture.until(job, JobState.RUNNING)


async def test_a_cancel_that_comes_too_late_still_delivers(build: Build) -> None:
    fal, runner_fixture, job = await painted_at_fal(build)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert not outcome.cancelled
    fal.hold.set()
    await runner_fixture.until(job, JobState.DELIVERED)


async def test_a_second_cancel_after_a_lost_answer_ends_as_cancelled(build: Build) -> None:
    """fal cancelled it, that answer got lost, and to the second cancel fal says "already completed"."""
    fal, runner_fixture, job = await painted_at_fal(build)
    fal.result_error = Cancelled()
    await runner_fixture.runner.cancel(job.id)
    fal.hold.set()
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert "cancelled at fal.ai" in english(ended.failure)


async def test_a_cancel_during_the_submit_is_carried_out_at_fal(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert outcome.cancelled
    fal.submit_gate.set()
    await runner_fixture.until(job, JobState.CANCELLED)
    assert len(fal.cancelled) == 1


async def test_a_cancel_during_the_submit_holds_even_if_fal_has_painted_it_by_then(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_gate.clear()
    fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(policy=TIGHT)
    await asyncio.wait_for(fal.posts_begun.wait(), 5)
    assert "I stop it as soon as fal.ai has it" in english(await runner_fixture.runner.cancel(job.id))
    fal.submit_gate.set()
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert "had painted it by then" in english(ended.failure)
    used = await runner_fixture.store.usage.of(job.actor)
    assert (used.images_today, used.spent.person_day) == (0, 3000)
    assert runner_fixture.shown.delivered == []


async def test_a_cancel_that_crosses_the_claim_holds(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal, max_in_flight=1)
    first = await runner_fixture.ask()
    await runner_fixture.until(first, JobState.RUNNING)
    second = await runner_fixture.ask()
    really = runner_fixture.runner._context.end

    async def after_the_claim(job: Job, state: JobState, failure: Failure, settlement: Settlement) -> Job | None:
        monkeypatch.undo()
        fal.hold.set()
        await runner_fixture.until(first, JobState.DELIVERED)
        await runner_fixture.until(second, JobState.CANCELLED)
        return await really(job, state, failure, settlement)

    monkeypatch.setattr(runner_fixture.runner._context, "end", after_the_claim)
    outcome = await runner_fixture.runner.cancel(second.id)
    assert outcome.cancelled
    assert "just being sent" in english(outcome)
    assert len(fal.submitted) == 1


async def test_a_cancel_that_a_kill_left_undone_is_carried_out_by_the_next_start(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    runner_fixture = await build(fal)
    job = await runner_fixture.ask()
    await runner_fixture.until(job, JobState.RUNNING)
    await runner_fixture.store.jobs.annotate(job.id, cancel_requested=True)
    restarted = await build(fal)
    await restarted.until(job, JobState.CANCELLED)
    assert len(fal.cancelled) == 1


async def test_what_a_kill_left_undone_holds_even_if_fal_has_painted_it_by_then(build: Build) -> None:
    """Who presses Cancel during the submit is promised that nothing is shown; then the process is killed."""
    fal, runner_fixture, job = await painted_at_fal(build)
    await runner_fixture.store.jobs.annotate(job.id, cancel_requested=True)
    restarted = await build(fal)
    await restarted.until(job, JobState.CANCELLED)
    fal.hold.set()
    assert restarted.shown.delivered == []
    assert (await restarted.store.usage.of(job.actor)).images_today == 0


async def test_who_was_told_that_a_cancel_is_too_late_gets_the_picture_from_the_next_start_too(build: Build) -> None:
    fal, runner_fixture, job = await painted_at_fal(build)
    assert "Too late" in english(await runner_fixture.runner.cancel(job.id))
    restarted = await build(fal)
    fal.hold.set()
    await restarted.until(job, JobState.DELIVERED)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.FINISHED])
async def test_a_picture_is_not_posted_to_who_saw_no_initial_response(build: Build, state: JobState) -> None:
    """Who saw "did not respond" gets nothing, not even when fal has painted it; see `Runner.unanswered`."""
    fal, runner_fixture, job = await painted_at_fal(build)
    if state is JobState.FINISHED:
        await runner_fixture.runner.stop()
        assert job.fal_request is not None
        result = await fal.result(job.fal_request, model=CATALOGUE.get("flux-schnell"))
        assert await runner_fixture.store.jobs.transition(job, JobState.FINISHED, result=result)
    await runner_fixture.store.jobs.annotate(job.id, cancel_requested=True, notified=True)
    fal.hold.set()
    if state is JobState.FINISHED:
        runner_fixture = await build(fal)
    await runner_fixture.until(job, JobState.CANCELLED)
    async with asyncio.timeout(60):
        while runner_fixture.shown.forgotten != [job.id]:  # no progress is shown any more
            await asyncio.sleep(0.005)
    assert (runner_fixture.shown.delivered, runner_fixture.shown.notified) == ([], [])
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


async def with_its_answer_lost(build: Build, fal: ScriptedFal, **options: Any) -> tuple[RunnerFixture, Job]:
    """A job whose answer was lost, while its request is being looked for."""
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, **options)
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: any(isinstance(event, ConfirmingSubmit) for _, event in runner_fixture.shown.events))
    return runner_fixture, job


async def charge_of(runner_fixture: RunnerFixture, job: Job) -> Charge | None:
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert await runner_fixture.store.check() == []
    assert (await runner_fixture.store.usage.of(job.actor)).spent.person_day == ended.failure.charge.usd_micros  # type: ignore[union-attr]
    assert runner_fixture.shown.delivered == []
    return ended.failure.charge


async def test_cancelling_while_an_answer_is_missing_says_that_it_is_looked_for(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture, job = await with_its_answer_lost(build, fal, reconcile_s=600)
    (shown,) = [event.until for _, event in runner_fixture.shown.events if isinstance(event, ConfirmingSubmit)]
    assert 590 < (shown - now()).total_seconds() <= 600
    reason = await runner_fixture.runner.wait_reason(job.id)
    assert reason is not None
    assert (reason.submit_unconfirmed, reason.search_ends_at) == (True, shown)
    assert not any(isinstance(event, ProviderUnavailable) for _, event in runner_fixture.shown.events)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert "If it has, I stop it there" in english(outcome)
    assert (job.id, Cancelling(shown)) in runner_fixture.shown.events
    assert (await runner_fixture.until(job, JobState.SUBMITTING)).cancel_requested


async def test_what_fal_never_got_costs_nothing_when_it_was_cancelled_meanwhile(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture, job = await with_its_answer_lost(build, fal, reconcile_s=0.5, timings={"list_pauses_s": (0.02,)})
    await runner_fixture.runner.cancel(job.id)
    assert await charge_of(runner_fixture, job) == Charge()
    assert english((await runner_fixture.until(job, JobState.CANCELLED)).failure) == (  # type: ignore[arg-type]
        "Cancelled. fal.ai never got it. No quota was used."
    )
    assert len(fal.submitted) == 1


@pytest.mark.parametrize(("units", "expected"), [(0, Charge()), (1, Charge(forgiven=1, usd_micros=3000))])
async def test_what_turns_up_at_fal_later_is_stopped_there_and_counts_as_billed(
    build: Build, units: int, expected: Charge
) -> None:
    """fal lists a request only once it has begun; until then only the search can stop it."""
    fal = ScriptedFal()
    fal.cancelled_units = Decimal(units)
    runner_fixture, job = await with_its_answer_lost(build, fal, timings={"list_pauses_s": (0.02,)})
    await runner_fixture.runner.cancel(job.id)
    fal.keeps_lost = True
    assert await charge_of(runner_fixture, job) == expected
    assert [request.request_id for request in fal.cancelled] == ["lost1"]
    assert len(fal.submitted) == 1


async def test_such_a_search_goes_on_after_a_restart(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture, job = await with_its_answer_lost(build, fal)
    await runner_fixture.runner.cancel(job.id)
    fal.keeps_lost = True
    fal.cancelled_units = Decimal(1)
    restarted = await build(fal, timings={"list_pauses_s": (0.02,)})
    assert await charge_of(restarted, job) == Charge(forgiven=1, usd_micros=3000)
    assert len(fal.submitted) == 1


async def test_where_nobody_can_know_the_worst_case_counts_at_once(build: Build) -> None:
    fal = ScriptedFal()
    runner_fixture, job = await with_its_answer_lost(build, fal, reconcile_s=600, store_payloads=False)
    outcome = await runner_fixture.runner.cancel(job.id)
    assert "may still paint it, and bill for it" in english(outcome)
    assert await charge_of(runner_fixture, job) == Charge(forgiven=1, usd_micros=3000, uncertain=True)
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert "takes up to $0.003 from your budget" in english(ended.failure)


async def test_a_list_that_fal_refuses_us_does_not_say_that_fal_never_got_it(build: Build) -> None:
    fal = ScriptedFal()
    fal.lists = False
    runner_fixture, job = await with_its_answer_lost(build, fal, reconcile_s=0.3, timings={"list_pauses_s": (0.02,)})
    await runner_fixture.runner.cancel(job.id)
    assert await charge_of(runner_fixture, job) == Charge(forgiven=1, usd_micros=3000, uncertain=True)


@pytest.mark.parametrize("ends_with", ["picture", "cancel"])
async def test_what_fal_goes_on_painting_ends_once_fal_says_what_it_billed(build: Build, ends_with: str) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    fal.cancel_takes_effect = False
    runner_fixture = await build(fal, timings={"cancel_bill_pauses_s": (0.01,)})
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: any(isinstance(event, InProgress) for _, event in runner_fixture.shown.events))
    for _ in range(2):  # the second press changes nothing
        outcome = await runner_fixture.runner.cancel(job.id)
        assert outcome.cancelled
        assert "If it had begun to paint, it may bill for that" in english(outcome)
    assert runner_fixture.shown.events[-1] == (job.id, Cancelling())
    assert (await runner_fixture.store.jobs.get(job.id)).state is JobState.RUNNING  # type: ignore[union-attr]
    fal.cancel_takes_effect, fal.cancelled_units = True, Decimal(1)
    if ends_with == "picture":
        fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    fal.hold.set()
    assert await charge_of(runner_fixture, job) == Charge(forgiven=1, usd_micros=3000)


async def test_what_fal_has_not_begun_as_far_as_we_know_is_not_free_before_fal_says_so(build: Build) -> None:
    """The status may be old: what has begun by then is billed."""
    fal = ScriptedFal()
    fal.statuses = [InQueueStatus(0)]
    fal.hold.clear()
    fal.cancel_takes_effect = False
    runner_fixture = await build(fal, timings={"cancel_bill_pauses_s": (0.01,)})
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: any(isinstance(event, ProviderQueued) for _, event in runner_fixture.shown.events))
    await runner_fixture.runner.cancel(job.id)
    fal.cancel_takes_effect, fal.cancelled_units = True, Decimal(1)
    fal.hold.set()
    assert await charge_of(runner_fixture, job) == Charge(forgiven=1, usd_micros=3000)


@pytest.mark.parametrize(
    ("units", "said"), [(0, "Cancelled before fal.ai began."), (1, "Cancelled while it was being")]
)
async def test_what_is_said_of_a_cancel_agrees_with_the_bill(build: Build, units: int, said: str) -> None:
    fal = ScriptedFal()
    fal.statuses = [InQueueStatus(0)]
    fal.hold.clear()
    fal.cancelled_units = Decimal(units)
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: any(isinstance(event, ProviderQueued) for _, event in runner_fixture.shown.events))
    assert english(await runner_fixture.runner.cancel(job.id)).startswith(said)


@pytest.mark.parametrize(("begun", "expected"), [(False, Charge()), (True, Charge(0, 1, 3000, uncertain=True))])
async def test_what_fal_has_forgotten_after_a_cancel_costs_what_it_was_then(
    build: Build, begun: bool, expected: Charge
) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    if not begun:
        fal.statuses = [InQueueStatus(0)]
    fal.forgets_cancelled = True
    runner_fixture = await build(fal)
    job = await runner_fixture.ask(policy=TIGHT)
    kind = InProgress if begun else ProviderQueued
    await until(lambda: any(isinstance(event, kind) for _, event in runner_fixture.shown.events))
    await runner_fixture.runner.cancel(job.id)
    assert await charge_of(runner_fixture, job) == expected
