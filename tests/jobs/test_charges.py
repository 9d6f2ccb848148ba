"""What each end of a job costs its person, through the real runner and store."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bot.catalogue import parse
from bot.domain.job import Failure, Job, JobState
from bot.domain.money import Charge
from bot.domain.provider import FoundRequest, InQueueStatus
from bot.errors import (
    Cancelled,
    ContentRefused,
    GenerationFailed,
    GenerationTimedOut,
    KeyRefused,
    OptionsRefused,
    ProviderError,
    RequestNotFound,
    ResultUnusable,
    SubmitUnconfirmed,
)
from bot.limits import Budgets
from bot.phrase import phrase
from tests.english import english
from tests.jobs.scripted import CATALOGUE, TIGHT, Build, RunnerFixture, ScriptedFal, now

#: One picture by flux-schnell, which `ScriptedFal` bills as one unit.
PICTURE = 3000
FORGIVEN = Charge(forgiven=1, usd_micros=PICTURE)
MAYBE = Charge(forgiven=1, usd_micros=PICTURE, uncertain=True)
NOTHING = Charge()


def told(error: GenerationFailed, units: Decimal | None) -> GenerationFailed:
    error.billable_units = units
    return error


async def charge(fixture: RunnerFixture, job: Job, state: JobState = JobState.FAILED) -> Charge | None:
    ended = await fixture.until(job, state)
    assert ended.failure is not None
    assert await fixture.store.check() == []
    return ended.failure.charge


@pytest.mark.parametrize(
    ("error", "state", "expected"),
    [
        (told(ContentRefused(), None), JobState.FAILED, MAYBE),
        (told(ContentRefused(), Decimal(0)), JobState.FAILED, NOTHING),
        (told(ContentRefused(), Decimal(1)), JobState.FAILED, FORGIVEN),
        (told(OptionsRefused(phrase("refused_unknown")), None), JobState.FAILED, NOTHING),
        (told(OptionsRefused(phrase("refused_unknown")), Decimal(1)), JobState.FAILED, FORGIVEN),
        (ProviderError(), JobState.FAILED, NOTHING),
        (ProviderError(told_by_fal=False), JobState.FAILED, MAYBE),
        (GenerationTimedOut(), JobState.FAILED, NOTHING),
        (told(Cancelled(), None), JobState.CANCELLED, MAYBE),
        (told(Cancelled(), Decimal(0)), JobState.CANCELLED, NOTHING),
        (KeyRefused(), JobState.FAILED, MAYBE),
        (RequestNotFound(), JobState.FAILED, MAYBE),
        (told(ResultUnusable(phrase("no_picture_made")), Decimal(1)), JobState.FAILED, FORGIVEN),
    ],
)
async def test_how_fal_ended_a_request_is_settled(
    build: Build, error: GenerationFailed, state: JobState, expected: Charge
) -> None:
    fal = ScriptedFal()
    fal.result_error = error
    fixture = await build(fal)
    job = await fixture.ask(policy=TIGHT)

    assert await charge(fixture, job, state) == expected
    used = await fixture.store.usage.of(job.actor)
    assert (used.images_today, used.spent.person_day) == (expected.counted, expected.usd_micros)


async def test_flagged_pictures_are_billed_and_counted_once_no_more_are_forgiven(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, True)
    fixture = await build(fal)

    first = await charge(fixture, await fixture.ask(count=2))
    second = await charge(fixture, await fixture.ask(count=2))
    third = await charge(fixture, last := await fixture.ask(count=2))

    assert [first, second, third] == [
        Charge(counted=0, forgiven=2, usd_micros=PICTURE),
        Charge(counted=1, forgiven=1, usd_micros=PICTURE),
        Charge(counted=2, forgiven=0, usd_micros=PICTURE),
    ]
    ended = await fixture.until(last, JobState.FAILED)
    assert ended.failure is not None
    assert english(ended.failure).endswith(
        "fal.ai had painted it by then and bills $0.003 for it, so it counts as 2 pictures of yours."
    )


async def test_of_several_pictures_the_withheld_ones_are_forgiven_and_the_shown_ones_count(build: Build) -> None:
    fal = ScriptedFal()
    fal.nsfw = (True, False, False)
    fixture = await build(fal)
    job = await fixture.ask(count=3)
    await fixture.until(job, JobState.DELIVERED)

    assert (await fixture.store.usage.of(job.actor)).images_today == 2


async def test_a_request_that_fal_no_longer_has_is_reserved_anew_and_billed_once(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    fixture = await build(fal, reconcile_s=0.02)
    job = await fixture.ask(policy=TIGHT)
    await fixture.until(job, JobState.DELIVERED)

    assert len(fal.submitted) == 2
    assert (await fixture.store.usage.of(job.actor)).spent.person_day == PICTURE


async def test_where_fals_list_cannot_tell_both_submits_count(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    fixture = await build(fal, reconcile_s=0.02, store_payloads=False)
    job = await fixture.ask(policy=TIGHT)
    await fixture.until(job, JobState.DELIVERED)

    assert len(fal.submitted) == 2
    assert (await fixture.store.usage.of(job.actor)).spent.person_day == 2 * PICTURE


async def test_where_no_budget_has_room_for_another_submit_the_job_ends_with_a_sentence(build: Build) -> None:
    fal = ScriptedFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    fixture = await build(fal, reconcile_s=0.02)
    fixture.policy = replace(TIGHT, budgets=Budgets(person_day=PICTURE + 1))
    job = await fixture.ask(policy=fixture.policy)

    assert await charge(fixture, job) == NOTHING
    assert len(fal.submitted) == 1
    ended = await fixture.until(job, JobState.FAILED)
    assert ended.failure is not None
    assert english(ended.failure).startswith("fal.ai's answer to your request was lost, and no budget has room for")
    assert english(ended.failure).endswith("No quota was used.")


@pytest.mark.parametrize("named", ["fox", "owl"])
@pytest.mark.parametrize(("units", "counts"), [(Decimal(0), 1), (Decimal(1), 2), (None, 2)])
async def test_a_double_that_fal_has_in_the_end_is_stopped_there_and_counts_as_billed(
    build: Build, named: str, units: Decimal | None, counts: int
) -> None:
    """It arrived late: at the end of the search fal's list did not have it yet."""
    fal = ScriptedFal()
    fal.cancelled_units = units
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    fixture = await build(fal, reconcile_s=0.02, timings={"last_bill_pauses_s": ()})
    fal.hold.clear()
    job = await fixture.ask(policy=TIGHT)
    await fixture.until(job, JobState.RUNNING)
    sent = {**fal.submitted[0][1], "prompt": f"a {named}"}
    fal.listed = [FoundRequest(name, job.request.endpoint, sent, now(), None) for name in ("r2", "late1", "others")]
    fal.hold.set()
    await fixture.until(job, JobState.DELIVERED)

    is_ours = named == "fox"
    assert [request.request_id for request in fal.cancelled] == (["late1"] if is_ours else [])
    assert (await fixture.store.usage.of(job.actor)).spent.person_day == (counts if is_ours else 1) * PICTURE
    assert await fixture.store.check() == []


async def test_what_fal_bills_in_units_that_are_not_ours_is_assumed_and_marked_so(build: Build) -> None:
    fal = ScriptedFal()
    fal.result_error = told(ContentRefused(), Decimal(1))
    fixture = await build(fal)
    billing = fixture.runner._billing
    job = replace(await fixture.ask(policy=TIGHT), state=JobState.RUNNING)
    by_table = replace(job, request=parse(CATALOGUE.get("ideogram-v3"), {"prompt": "a fox"}))

    assert not billing.of_error(job, fal.result_error).estimated
    assert billing.of_error(by_table, fal.result_error).estimated
    assert billing.of_error(by_table, fal.result_error).usd_micros == 60_000


def test_a_failure_of_an_earlier_version_says_that_nothing_was_used() -> None:
    assert english(Failure("provider_error", phrase("provider_error"))).endswith("No quota was used.")
    whole = "It broke. Your quota was not used."
    assert english(Failure("x", phrase("as_stored", text=whole))) == whole


@pytest.mark.parametrize(
    ("model", "usd_micros"), [("flux-schnell", 3000), ("ideogram-v2", 100_000), ("f-lite", 100_000)]
)
async def test_what_fal_says_it_billed_counts_also_where_it_was_not_seen_to_begin_and_has_no_price(
    build: Build, model: str, usd_micros: int
) -> None:
    fal = ScriptedFal()
    fal.hold.clear()
    fal.statuses = [InQueueStatus(0)]
    fal.cancelled_units = Decimal(1)
    fixture = await build(fal)
    job = await fixture.ask(policy=TIGHT, model=model)
    await fixture.until(job, JobState.RUNNING)

    assert (await fixture.runner.cancel(job.id)).cancelled

    assert await charge(fixture, job, JobState.CANCELLED) == Charge(
        forgiven=1, usd_micros=usd_micros, uncertain=model != "flux-schnell"
    )
