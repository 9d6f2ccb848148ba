"""Two runners on one PostgreSQL database: what one of them begins, the other may have to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from bot.domain.events import Queued
from bot.domain.job import JobState
from bot.domain.provider import CancelAnswer
from bot.errors import BalanceExhausted
from bot.jobs.credit import OUT_SINCE
from bot.settings import FalSettings
from bot.store import Store
from tests.english import english
from tests.jobs.scripted import PATIENT, RunnerFixture, ScriptedFal, until
from tests.store.conftest import Postgres, postgres, postgres_url

__all__ = ["Postgres", "postgres", "postgres_url"]

pytestmark = pytest.mark.postgres

Build = Callable[..., Awaitable[RunnerFixture]]


#: Everything that is waited for, sooner.
HASTY = replace(PATIENT, cancel_poll_s=0.2, response_elsewhere_s=0.3, quiet_s=0.4, credit_pauses_s=(0.1,))


@pytest_asyncio.fixture
async def build(postgres_url: str) -> AsyncIterator[Build]:
    """Make runners on the same database, side by side."""
    fixtures: list[RunnerFixture] = []
    tasks: list[asyncio.Task[None]] = []

    async def make(*, run: bool = True, max_in_flight: int = 10, answered: bool | None = True) -> RunnerFixture:
        store = await Store.open(postgres_url)
        runner_fixture = RunnerFixture(store, ScriptedFal(), FalSettings(max_in_flight=max_in_flight), HASTY)
        runner_fixture.count = 100 * len(fixtures)
        runner_fixture.shown.answered = answered
        fixtures.append(runner_fixture)
        if run:
            tasks.append(asyncio.create_task(runner_fixture.runner.run()))
        return runner_fixture

    yield make
    await asyncio.gather(*(runner_fixture.runner.stop() for runner_fixture in fixtures))
    await asyncio.gather(*tasks)
    for runner_fixture in fixtures:
        await runner_fixture.store.close()


async def painting(build: Build) -> tuple[RunnerFixture, RunnerFixture]:
    """A process that paints, and one that does not claim."""
    painter = await build()
    painter.fal.hold.clear()
    return painter, await build(run=False)


async def test_a_cancel_at_another_process_stops_the_job_where_it_is_painted(build: Build) -> None:
    painter, other = await painting(build)
    job = await painter.ask()
    await painter.until(job, JobState.RUNNING)

    outcome = await other.runner.cancel(job.id)

    assert outcome.cancelled
    assert "No quota was used." in english(outcome)
    assert [request.request_id for request in painter.fal.cancelled] == ["r1"]
    assert other.fal.cancelled == []
    ended = await painter.until(job, JobState.CANCELLED)
    async with asyncio.timeout(60):
        while await other.store.jobs.unnotified():
            await asyncio.sleep(0.005)
    assert [one.id for one in painter.shown.notified] == [job.id]
    assert other.shown.notified == []
    assert (await other.store.usage.of(ended.actor)).images_today == 0


async def test_a_cancel_at_another_process_is_heeded_before_the_submit_too(build: Build) -> None:
    painter, other = await painting(build)
    painter.fal.submit_gate.clear()
    job = await painter.ask()
    await painter.fal.posts_begun.wait()

    outcome = await other.runner.cancel(job.id, patience_s=0)
    painter.fal.submit_gate.set()

    assert outcome.cancelled
    await painter.until(job, JobState.CANCELLED)


async def test_a_cancel_at_another_process_that_comes_too_late_says_so(build: Build) -> None:
    painter, other = await painting(build)
    painter.fal.cancel_answer = CancelAnswer.ALREADY_COMPLETED
    job = await painter.ask()
    await painter.until(job, JobState.RUNNING)

    cancelling = asyncio.create_task(other.runner.cancel(job.id))
    async with asyncio.timeout(60):
        while not painter.fal.cancelled:
            await asyncio.sleep(0.005)
    painter.fal.hold.set()

    assert not (await cancelling).cancelled
    await painter.until(job, JobState.DELIVERED)


async def test_a_waiting_job_is_cancelled_at_any_process_and_told_twice(build: Build) -> None:
    """The second time nobody can still be showing its place."""
    asked = await build(run=False)
    other = await build(run=False)
    job = await asked.ask()

    outcome = await other.runner.cancel(job.id)

    assert outcome.cancelled
    assert len(other.shown.notified) == 1
    async with asyncio.timeout(60):
        while not (await other.store.jobs.unnotified() == [] and len(other.shown.notified) == 2):
            await asyncio.sleep(0.005)


async def test_what_another_process_accepted_and_never_answered_is_not_painted(build: Build) -> None:
    died = await build(run=False)
    job = await died.ask(answered=False)
    painter = await build(answered=False)

    ended = await painter.until(job, JobState.CANCELLED)

    assert painter.fal.submitted == []
    assert ended.notified
    assert painter.shown.notified == []


async def test_what_another_process_could_not_answer_is_not_painted(build: Build) -> None:
    asked = await build(run=False)
    job = await asked.ask(answered=False)
    painter = await build()
    await painter.until(job, JobState.SUBMITTING)

    await asked.runner.unanswered(job.id)

    await painter.until(job, JobState.CANCELLED)
    assert painter.fal.submitted == []


async def test_what_another_process_is_just_answering_is_painted_then(build: Build) -> None:
    asked = await build(run=False)
    job = await asked.ask(answered=False)
    painter = await build(answered=False)
    await painter.until(job, JobState.SUBMITTING)
    assert painter.fal.submitted == []

    await asked.runner.answered(job.id, 77)

    done = await painter.until(job, JobState.DELIVERED)
    assert done.reply.message_id == 4242
    assert painter.shown.delivered[0][0].reply.message_id == 77


async def test_an_end_is_shown_only_when_no_other_process_still_shows_a_place(build: Build) -> None:
    asked = await build(run=False)
    job = await asked.ask()
    began_s = asyncio.get_running_loop().time()
    painter = await build()

    await painter.until(job, JobState.DELIVERED)

    assert asyncio.get_running_loop().time() - began_s > 0.4


async def test_positions_are_shown_by_the_process_that_was_asked(build: Build) -> None:
    painter = await build(max_in_flight=1)
    other = await build(max_in_flight=1)
    painter.fal.hold.clear()
    other.fal.hold.clear()
    first = await painter.ask()
    await painter.until(first, JobState.RUNNING)
    second = await painter.ask()
    async with asyncio.timeout(60):
        while not any(one == second.id and isinstance(event, Queued) for one, event in painter.shown.events):
            await asyncio.sleep(0.005)

    assert not any(one == second.id for one, _ in other.shown.events)
    now_s = asyncio.get_running_loop().time()
    await until(lambda: first.id in painter.shown.latest)
    held, queued = painter.shown.latest[first.id], painter.shown.latest[second.id]
    assert now_s < held.valid_until_s <= now_s + HASTY.lease_s + 60
    assert queued.valid_until_s <= asyncio.get_running_loop().time() + HASTY.position_valid_s


async def test_an_end_that_a_late_edit_may_have_hidden_is_shown_again(build: Build) -> None:
    """As after a process hung in the middle of an edit, while another one delivered."""
    painter = await build()
    late = await build()
    painter.fal.hold.clear()
    job = await painter.ask()
    await painter.until(job, JobState.RUNNING)
    late.runner.repair_message(job.id)
    painter.runner.repair_message(job.id)  # it is its own: what it shows next comes after
    await asyncio.sleep(0.1)
    assert late.shown.repaired == []
    painter.fal.hold.set()
    await painter.until(job, JobState.DELIVERED)
    async with asyncio.timeout(60):
        while not late.shown.repaired:
            await asyncio.sleep(0.01)
    shown, ready = late.shown.repaired[0]
    assert (shown.id, ready is not None and len(ready.pictures)) == (job.id, 1)
    assert painter.shown.repaired == []
    assert len(painter.shown.delivered) == 1

    painter.fal.hold.clear()
    job = await painter.ask()
    await painter.until(job, JobState.RUNNING)
    await painter.runner.cancel(job.id)
    late.runner.repair_message(job.id)
    async with asyncio.timeout(60):
        while len(late.shown.repaired) < 2:
            await asyncio.sleep(0.01)
    assert (late.shown.repaired[1][0].state, late.shown.repaired[1][1]) == (JobState.CANCELLED, None)


async def test_a_job_that_ends_while_its_lease_is_looked_up_leaves_the_lease_renewal_running(build: Build) -> None:
    painter, _ = await painting(build)
    job = await painter.ask()
    await painter.until(job, JobState.RUNNING)
    active, leases = painter.runner._context.active.get(job.id), painter.runner._leases
    assert active is not None
    assert active.task is not None
    keep, task = painter.store.leases.keep, active.task

    async def kept_by_nobody(lease_s: float) -> set[str]:
        await keep(lease_s)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0)  # for what follows the end of a task
        return set()

    vars(painter.store.leases)["keep"] = kept_by_nobody
    try:
        await leases._drop_if_lost(job.id)
    finally:
        del vars(painter.store.leases)["keep"]
    assert active.task is None


async def test_fal_without_credit_pauses_both_and_a_success_of_either_lets_both_go_on(build: Build) -> None:
    first, second = await build(), await build()
    for one in (first, second):
        one.fal.submit_errors = [BalanceExhausted() for _ in range(500)]
    jobs = [await first.ask(user=1)]
    await until(lambda: first.runner.credit.active and second.runner.credit.active)
    assert await second.store.kv.get(OUT_SINCE) is not None
    jobs.append(await second.ask(user=2))

    for one in (first, second):
        one.fal.submit_errors.clear()

    for job in jobs:
        done = await first.until(job, JobState.DELIVERED)
        assert done.possible_doubles == 0
    await until(lambda: not first.runner.credit.active and not second.runner.credit.active)
    assert await second.store.kv.get(OUT_SINCE) is None
    assert sum(one.shown.notified != [] for one in (first, second)) == 0
