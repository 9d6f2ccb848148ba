"""What was accepted for a place that the operator closes afterwards ends, and is not sent to fal."""

from __future__ import annotations

from functools import partial

from bot.access import admits
from bot.domain.job import Job, JobState
from bot.errors import SubmitUnconfirmed
from bot.settings import AccessSettings
from tests.jobs.scripted import TIGHT, Build, RunnerFixture, ScriptedFal, until

CLOSED, OPEN = 3, 4
#: Server 3 is no longer on the list.
LISTED = partial(admits, AccessSettings(servers=(OPEN,)), ())


async def end_of(runner_fixture: RunnerFixture, job: Job) -> Job:
    ended = await runner_fixture.until(job, JobState.FAILED)
    await until(lambda: job.id in {told.id for told in runner_fixture.shown.notified})
    return ended


async def test_jobs_that_wait_for_a_server_taken_off_the_list_end_with_their_reservation_back(build: Build) -> None:
    before = await build(run=False)
    waiting = [await before.ask(guild=CLOSED, policy=TIGHT) for _ in range(2)]
    kept = await before.ask(user=2, guild=OPEN, policy=TIGHT)

    after = await build(admits=LISTED)
    for job in waiting:
        ended = await end_of(after, job)
        assert ended.failure is not None
        assert ended.failure.code == "no_longer_admitted"
        assert not ended.failure.worth_retrying
    await after.until(kept, JobState.DELIVERED)

    assert len(after.fal.submitted) == 1
    assert (await after.store.usage.of(waiting[0].actor)).images_today == 0
    assert (await after.store.usage.of(kept.actor)).images_today == 1


async def test_what_fal_has_already_is_still_delivered(build: Build) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    before = await build(fal)
    job = await before.ask(guild=CLOSED)
    await before.until(job, JobState.RUNNING)

    fal.hold.set()
    after = await build(fal, admits=LISTED)

    await after.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1


async def test_a_request_whose_answer_was_lost_is_not_sent_a_second_time(build: Build) -> None:
    open_to = {CLOSED}
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, reconcile_s=0.02, admits=lambda job: job.actor.guild_id in open_to)
    fal.submit_gate.clear()
    job = await runner_fixture.ask(guild=CLOSED)
    await fal.posts_begun.wait()

    open_to.clear()
    fal.submit_gate.set()

    ended = await end_of(runner_fixture, job)
    assert ended.failure is not None
    assert ended.failure.code == "no_longer_admitted"
    assert len(fal.submitted) == 1


async def test_where_that_request_is_found_at_fal_it_is_delivered(build: Build) -> None:
    open_to = {CLOSED}
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    fal.keeps_lost = True
    runner_fixture = await build(fal, admits=lambda job: job.actor.guild_id in open_to)
    fal.submit_gate.clear()
    job = await runner_fixture.ask(guild=CLOSED)
    await fal.posts_begun.wait()

    open_to.clear()
    fal.submit_gate.set()

    await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1
