"""A 5xx of fal's after which it may have the request all the same: never less than its bill, and exact in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.job import Failure, FalRequest, Job, JobState
from bot.domain.money import Charge
from bot.domain.request import Json
from bot.errors import ProviderUnreachable, SubmitUnconfirmed
from bot.limits import Budgets
from bot.phrase import phrase
from tests.english import english
from tests.jobs.scripted import TIGHT, Build, RunnerFixture, ScriptedFal, now, until

#: One picture by flux-schnell, which `ScriptedFal` bills as one unit.
PICTURE = 3000
NOTHING = Charge()
IN_DOUBT = Charge(usd_micros=PICTURE, uncertain=True)
SOON: Mapping[str, Any] = {"refused_waits_s": (0.02,), "doubts_poll_s": 0.01, "last_bill_pauses_s": ()}
HOURS = 3600.0


def broken(request_id: str | None = None) -> SubmitUnconfirmed:
    return SubmitUnconfirmed("502", refused=True, request_id=request_id)


async def refused(fixture: RunnerFixture, **ask: Any) -> Job:
    """A job that ended because fal answered its submit with a 5xx."""
    return await fixture.until(await fixture.ask(policy=TIGHT, **ask), JobState.FAILED)


async def spent(fixture: RunnerFixture, job: Job) -> tuple[int, int]:
    """Pictures and millionths of a dollar that count for its person today."""
    assert await fixture.store.check() == []
    used = await fixture.store.usage.of(job.actor)
    return used.images_today, used.spent.person_day


async def told(fixture: RunnerFixture, job: Job) -> Job:
    """The job once fal's list, of which all is told by now, has settled what is in doubt."""
    doubt = await fixture.store.doubts.of(job.id)
    assert doubt is not None
    assert doubt.told_at is not None
    assert doubt.told_at > now() + timedelta(seconds=HOURS / 2)
    shown = len(fixture.shown.repaired)
    await fixture.store.doubts.postpone(doubt, now())
    await until(lambda: len(fixture.shown.repaired) > shown)
    found = await fixture.store.jobs.get(job.id)
    assert found is not None
    return found


async def test_without_a_request_id_the_worst_case_counts_until_fals_list_tells_that_there_is_nothing(
    build: Build,
) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [broken()]
    fixture = await build(fal, reconcile_s=HOURS, timings=SOON)
    job = await refused(fixture)

    assert job.failure is not None
    assert job.failure.charge == IN_DOUBT
    assert "up to $0.003 counts in your budget until I know" in english(job.failure)
    assert await spent(fixture, job) == (0, PICTURE)

    settled = await told(fixture, job)
    assert settled.failure is not None
    assert settled.failure.charge == NOTHING
    assert english(settled.failure).endswith("No quota was used.")
    assert await spent(fixture, job) == (0, 0)
    assert len(fal.submitted) == 1
    assert fixture.shown.repaired[-1][0].failure == settled.failure


@pytest.mark.parametrize(("units", "charge"), [(0, NOTHING), (1, Charge(usd_micros=PICTURE)), (None, IN_DOUBT)])
async def test_a_request_that_began_after_the_search_counts_as_fal_billed_it(
    build: Build, units: int | None, charge: Charge
) -> None:
    fal = ScriptedFal()
    fal.cancelled_units = None if units is None else Decimal(units)
    fal.submit_errors = [broken()]
    fixture = await build(fal, reconcile_s=HOURS, timings=SOON)
    job = await refused(fixture)
    fal.keeps_lost = True

    settled = await told(fixture, job)
    assert settled.failure is not None
    assert settled.failure.charge == charge
    assert await spent(fixture, job) == (0, charge.usd_micros)
    assert [request.request_id for request in fal.cancelled] == ["lost1"]
    assert await fixture.store.jobs.known_requests(["lost1"]) == {"lost1"}
    assert await fixture.store.doubts.due(now() + timedelta(days=9), 9) == []


async def test_of_two_equal_jobs_each_request_counts_once(build: Build) -> None:
    fal = ScriptedFal()
    fal.cancelled_units = Decimal(1)
    fal.submit_errors = [broken(), broken()]
    fixture = await build(fal, reconcile_s=HOURS, timings=SOON)
    jobs = [await refused(fixture) for _ in range(2)]
    fal.keeps_lost = True

    charges = [settled.failure and settled.failure.charge for settled in [await told(fixture, job) for job in jobs]]
    assert charges == [Charge(usd_micros=PICTURE), NOTHING]
    assert await spent(fixture, jobs[0]) == (0, PICTURE)


async def test_the_request_that_the_answer_names_is_gone_on_with_where_fal_has_it(build: Build) -> None:
    fal = ScriptedFal()
    fal.known = {"named1"}
    fal.submit_errors = [broken("named1")]
    fixture = await build(fal, reconcile_s=HOURS, timings=SOON)
    done = await fixture.until(await fixture.ask(policy=TIGHT), JobState.DELIVERED)

    assert done.fal_request is not None
    assert (done.fal_request.request_id, len(fal.submitted)) == ("named1", 1)
    assert await spent(fixture, done) == (1, PICTURE)


@pytest.mark.parametrize("store_payloads", [True, False])
async def test_what_fal_names_and_does_not_know_costs_nothing_at_once(build: Build, store_payloads: bool) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [broken("named1")]
    fixture = await build(fal, reconcile_s=HOURS, timings=SOON, store_payloads=store_payloads)
    job = await refused(fixture)

    assert job.failure is not None
    assert job.failure.charge == NOTHING
    assert await spent(fixture, job) == (0, 0)
    assert await fixture.store.doubts.of(job.id) is None


async def test_where_no_list_tells_a_callback_settles_it_and_else_the_worst_case_stays(build: Build) -> None:
    fal = ScriptedFal()
    fal.cancelled_units = Decimal(0)
    fal.submit_errors = [broken(), broken()]
    fixture = await build(fal, reconcile_s=HOURS, timings=SOON, store_payloads=False)
    called, silent = [await refused(fixture) for _ in range(2)]
    assert await spent(fixture, called) == (0, 2 * PICTURE)

    for _ in range(2):  # fal calls until it is answered
        await fixture.runner.on_webhook(called.id, 1, "called1")
    await until(lambda: fixture.shown.repaired)
    assert fixture.shown.repaired[-1][0].id == called.id
    assert await spent(fixture, called) == (0, PICTURE)
    doubt = await fixture.store.doubts.of(silent.id)
    assert doubt is not None
    assert doubt.told_at is None


async def test_a_try_before_the_one_that_was_delivered_counts_until_the_list_tells(build: Build) -> None:
    """In an outage jobs are sent again; what an earlier try costs is not known when the picture comes."""
    fal = ScriptedFal()
    fal.submit_errors = [broken()]
    fixture = await build(fal, reconcile_s=HOURS, timings={**SOON, "outage_jobs": 1})
    job = await fixture.until(await fixture.ask(policy=TIGHT), JobState.DELIVERED)
    assert await spent(fixture, job) == (1, 2 * PICTURE)

    doubt = await fixture.store.doubts.of(job.id)
    assert doubt is not None
    await fixture.store.doubts.postpone(doubt, now())
    async with asyncio.timeout(60):
        while await fixture.store.doubts.of(job.id) is not None:
            await asyncio.sleep(0.005)
    assert await spent(fixture, job) == (1, PICTURE)


async def test_a_list_that_cannot_be_read_is_read_again_until_it_can(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [broken()]
    fixture = await build(
        fal, reconcile_s=HOURS, timings={**SOON, "doubts_again_s": 0.01, "doubles_pauses_s": (), "outage_jobs": 99}
    )
    job = await refused(fixture)
    find, looks = fal.find_requests, fal.looks

    async def away_at_first(*given: Any, **options: Any) -> Any:
        found = await find(*given, **options)
        if fal.looks < looks + 3:
            raise ProviderUnreachable("away")
        return found

    vars(fal)["find_requests"] = away_at_first
    settled = await told(fixture, job)
    assert settled.failure is not None
    assert settled.failure.charge == NOTHING
    assert fal.looks == looks + 3


async def test_what_the_list_never_tells_stays_at_its_worst(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [broken()]
    fixture = await build(fal, reconcile_s=HOURS, timings={**SOON, "doubts_patience": timedelta(0)})
    job = await refused(fixture)
    fal.lists = False
    doubt = await fixture.store.doubts.of(job.id)
    assert doubt is not None
    await fixture.store.doubts.postpone(doubt, now())
    async with asyncio.timeout(60):
        while await fixture.store.doubts.due(now() + timedelta(days=9), 9):
            await asyncio.sleep(0.005)

    assert await spent(fixture, job) == (0, PICTURE)
    assert fixture.shown.repaired == []


async def test_what_is_in_doubt_leaves_no_room_in_a_budget(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [broken()]
    fixture = await build(fal, reconcile_s=HOURS, timings=SOON)
    policy = replace(TIGHT, budgets=Budgets(person_day=PICTURE))
    job = await fixture.until(await fixture.ask(policy=policy), JobState.FAILED)
    with pytest.raises(AssertionError):
        await fixture.ask(policy=policy)

    await told(fixture, job)
    await fixture.until(await fixture.ask(policy=policy), JobState.DELIVERED)


async def test_what_was_in_doubt_is_settled_by_the_next_start(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [broken()]
    job = await refused(await build(fal, reconcile_s=HOURS, timings=SOON))

    fixture = await build(fal, reconcile_s=HOURS, timings=SOON)
    await told(fixture, job)
    assert await spent(fixture, job) == (0, 0)


class EndedMeanwhile(ScriptedFal):
    """While it takes a request, somebody else ends the job, as when our process hung in the middle of its POST."""

    fixture: RunnerFixture

    async def submit(self, endpoint: str, arguments: Mapping[str, Json], **how: Any) -> FalRequest:
        taken = await super().submit(endpoint, arguments, **how)
        (job,) = await self.fixture.store.jobs.of_user(1, live_only=True, limit=9)
        failure = Failure("cancelled", phrase("cancelled_early"))
        ended = await self.fixture.store.jobs.transition(job, JobState.CANCELLED, failure=failure, notified=True)
        assert ended is not None
        return taken


@pytest.mark.parametrize(("units", "counts"), [(0, 0), (1, PICTURE), (None, PICTURE)])
async def test_what_fal_takes_after_somebody_else_has_ended_the_job_is_stopped_and_counts(
    build: Build, units: int | None, counts: int
) -> None:
    fal = EndedMeanwhile()
    fal.cancelled_units = None if units is None else Decimal(units)
    fal.fixture = fixture = await build(fal, timings=SOON)
    job = await fixture.ask(user=1, policy=TIGHT)
    await until(lambda: fixture.shown.repaired)

    assert [request.request_id for request in fal.cancelled] == ["r1"]
    assert await spent(fixture, job) == (0, counts)
