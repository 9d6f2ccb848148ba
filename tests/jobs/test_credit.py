"""While fal's account is out of credit jobs wait in the queue, one is tried now and then, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bot import metrics
from bot.domain.events import OutOfCredit
from bot.domain.job import FalRequest, Job, JobState, Result
from bot.domain.money import Charge
from bot.domain.ports import ServedModel
from bot.domain.provider import Status
from bot.errors import BalanceExhausted, SubmitUnconfirmed
from bot.jobs.credit import OUT_SINCE
from bot.jobs.credit_pause import CreditPause
from tests.english import english
from tests.jobs.scripted import TIGHT, Build, RunnerFixture, ScriptedFal, until

#: One picture by flux-schnell.
PICTURE = 3000
#: Probes so often that a test need not wait, and hardly ever.
SOON: Mapping[str, Any] = {"credit_pauses_s": (0.02,), "credit_poll_s": 0.01}
LATE: Mapping[str, Any] = {"credit_pauses_s": (3600.0,), "credit_poll_s": 0.01}


class PennilessFal(ScriptedFal):
    """Refuses every submit until there is money."""

    def __init__(self) -> None:
        super().__init__()
        self.has_credit = False
        self.refused: list[str] = []

    async def submit(self, endpoint: str, arguments: Mapping[str, Any], **options: Any) -> FalRequest:
        if not self.has_credit and not self.submit_errors:
            self.refused.append(endpoint)
            await asyncio.sleep(0)
            raise BalanceExhausted
        return await super().submit(endpoint, arguments, **options)


def told_of_credit(runner_fixture: RunnerFixture, job: Job) -> bool:
    return (job.id, OutOfCredit()) in runner_fixture.shown.events


def paused(runner_fixture: RunnerFixture) -> bool:
    return runner_fixture.runner.credit.active


async def test_jobs_wait_in_the_queue_and_are_painted_once_when_there_is_credit_again(build: Build) -> None:
    fal = PennilessFal()
    runner_fixture = await build(fal, timings=SOON)
    jobs = [await runner_fixture.ask(user=number, policy=TIGHT) for number in (1, 2, 3)]
    await until(lambda: all(told_of_credit(runner_fixture, job) for job in jobs))
    assert paused(runner_fixture)
    for job in jobs:
        assert (await runner_fixture.store.usage.of(job.actor)).images_today == 1  # still reserved
    fal.has_credit = True
    for job in jobs:
        done = await runner_fixture.until(job, JobState.DELIVERED)
        assert done.possible_doubles == 0
    assert len(fal.submitted) == 3
    assert not paused(runner_fixture)
    assert runner_fixture.shown.notified == []


async def test_nothing_is_submitted_between_two_probes(build: Build) -> None:
    fal = PennilessFal()
    runner_fixture = await build(fal, timings=LATE)
    first = await runner_fixture.ask()
    await runner_fixture.until(first, JobState.QUEUED)
    await until(lambda: paused(runner_fixture) and told_of_credit(runner_fixture, first))
    others = [await runner_fixture.ask(user=number) for number in range(2, 12)]
    await until(lambda: all(told_of_credit(runner_fixture, job) for job in others))
    assert len(fal.refused) == 1
    reason = await runner_fixture.runner.wait_reason(others[0].id)
    assert reason is not None
    assert reason.out_of_credit


async def test_one_job_is_the_probe_for_all(build: Build) -> None:
    fal = PennilessFal()
    runner_fixture = await build(fal, timings={**LATE, "credit_pauses_s": (0.05, 3600.0)})
    first = await runner_fixture.ask()
    await until(lambda: told_of_credit(runner_fixture, first))
    for number in range(2, 12):
        await runner_fixture.ask(user=number)
    await until(lambda: len(fal.refused) == 2)
    await asyncio.sleep(0.1)
    assert len(fal.refused) == 2


async def test_no_pause_between_probes_is_longer_than_the_operator_says(build: Build) -> None:
    fal = PennilessFal()
    runner_fixture = await build(fal, timings=LATE, credit_check_s=1)
    job = await runner_fixture.ask()
    await until(lambda: told_of_credit(runner_fixture, job))
    fal.has_credit = True
    await runner_fixture.until(job, JobState.DELIVERED)


async def test_since_when_is_kept_over_a_restart_and_forgotten_afterwards(build: Build) -> None:
    before = await build(PennilessFal(), timings=LATE)
    job = await before.ask()
    await until(lambda: told_of_credit(before, job))
    since = await before.store.kv.get(OUT_SINCE)
    assert since is not None
    assert datetime.fromisoformat(since) <= job.created_at + timedelta(minutes=1)
    assert metrics.FAL_OUT_OF_CREDIT._value.get() == 1

    again = PennilessFal()
    after = await build(again, timings=LATE)
    await until(lambda: again.refused)  # a probe goes out at once
    assert await after.store.kv.get(OUT_SINCE) == since

    last = await build(ScriptedFal(), timings=LATE)
    await last.until(job, JobState.DELIVERED)
    await until(lambda: not paused(last))
    assert await last.store.kv.get(OUT_SINCE) is None
    assert metrics.FAL_OUT_OF_CREDIT._value.get() == 0


async def test_after_a_day_it_fails_with_its_reservation_back(build: Build) -> None:
    fal = PennilessFal()
    patience = {**LATE, "credit_patience": timedelta(seconds=0.3)}
    runner_fixture = await build(fal, timings=patience)
    jobs = [await runner_fixture.ask(user=number, policy=TIGHT) for number in (1, 2)]
    for job in jobs:
        failed = await runner_fixture.until(job, JobState.FAILED)
        assert failed.failure is not None
        assert failed.failure.code == "balance_exhausted"
        assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0
    await until(lambda: len(runner_fixture.shown.notified) == 2)
    assert fal.submitted == []


async def test_without_such_a_pause_a_job_may_wait_for_longer_than_a_day(build: Build) -> None:
    patience = {**LATE, "credit_patience": timedelta(0)}
    runner_fixture = await build(ScriptedFal(), timings=patience)
    await runner_fixture.until(await runner_fixture.ask(), JobState.DELIVERED)


async def test_what_waits_can_be_cancelled(build: Build) -> None:
    runner_fixture = await build(PennilessFal(), timings=LATE)
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: told_of_credit(runner_fixture, job))
    outcome = await runner_fixture.runner.cancel(job.id)
    assert outcome.phrase.code == "cancelled_early_unused"
    await runner_fixture.until(job, JobState.CANCELLED)
    assert (await runner_fixture.store.usage.of(job.actor)).images_today == 0


@pytest.mark.parametrize("keeps_payloads", [True, False])
async def test_a_job_whose_answer_was_lost_is_reserved_anew_once_however_often_it_is_the_probe(
    build: Build, keeps_payloads: bool
) -> None:
    fal = PennilessFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    before = metrics.RESERVED_USD._value.get()
    runner_fixture = await build(fal, timings=SOON, reconcile_s=0.0, store_payloads=keeps_payloads)
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: len(fal.refused) >= 4)
    assert (await runner_fixture.store.usage.of(job.actor)).spent.person_day == 2 * PICTURE
    fal.has_credit = True
    done = await runner_fixture.until(job, JobState.DELIVERED)
    assert done.possible_doubles == 1
    assert len(fal.submitted) == 2
    assert metrics.RESERVED_USD._value.get() - before == pytest.approx(2 * PICTURE / 1e6)
    counts = PICTURE if keeps_payloads else 2 * PICTURE
    assert (await runner_fixture.store.usage.of(job.actor)).spent.person_day == counts
    assert await runner_fixture.store.check() == []


class SilentFal(ScriptedFal):
    """Has painted it, and says nothing of it until there is money again."""

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of
        self.has_credit = False
        self.asked = 0

    def _ask(self, of: str) -> None:
        if of == self.of and not self.has_credit:
            self.asked += 1
            raise BalanceExhausted

    async def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncGenerator[Status, None]:
        self._ask("status")
        async for status in super().watch(request, expected_s=expected_s, age_s=age_s):
            yield status

    async def result(self, request: FalRequest, *, model: ServedModel) -> Result:
        self._ask("result")
        return await super().result(request, model=model)


@pytest.mark.parametrize("of", ["status", "result"])
async def test_what_fal_has_waits_for_credit_too_and_is_delivered_then(build: Build, of: str) -> None:
    fal = SilentFal(of)
    runner_fixture = await build(fal, timings=SOON)
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: fal.asked >= 3)
    assert told_of_credit(runner_fixture, job)
    assert paused(runner_fixture)
    fal.has_credit = True
    await runner_fixture.until(job, JobState.DELIVERED)
    assert len(fal.submitted) == 1
    assert (await runner_fixture.store.usage.of(job.actor)).spent.person_day == PICTURE


@pytest.mark.parametrize("of", ["status", "result"])
async def test_what_fal_has_waits_for_a_day_at_most_and_counts_at_its_worst(build: Build, of: str) -> None:
    runner_fixture = await build(SilentFal(of), timings={**SOON, "credit_patience": timedelta(seconds=0.2)})
    job = await runner_fixture.ask(policy=TIGHT)
    failed = await runner_fixture.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "balance_exhausted"
    assert failed.failure.charge == Charge(forgiven=1, usd_micros=PICTURE, uncertain=True)


@pytest.mark.parametrize(("keeps_payloads", "expected"), [(True, Charge()), (False, Charge(usd_micros=PICTURE))])
async def test_such_a_job_ends_when_it_is_cancelled(build: Build, keeps_payloads: bool, expected: Charge) -> None:
    """Where fal's list can't tell, the submit whose answer was lost counts at its worst."""
    fal = PennilessFal()
    fal.submit_errors = [SubmitUnconfirmed("dropped")]
    runner_fixture = await build(fal, timings=LATE, reconcile_s=0.0, store_payloads=keeps_payloads)
    job = await runner_fixture.ask(policy=TIGHT)
    await until(lambda: told_of_credit(runner_fixture, job))
    outcome = await runner_fixture.runner.cancel(job.id)
    ended = await runner_fixture.until(job, JobState.CANCELLED)
    assert ended.failure is not None
    assert ended.failure.charge == outcome.charge == expected
    assert "nothing was charged" not in english(outcome)
    assert (await runner_fixture.store.usage.of(job.actor)).spent.person_day == expected.usd_micros


@pytest.mark.parametrize("kills", [1, 3])
async def test_a_stop_meanwhile_loses_nothing(build: Build, kills: int) -> None:
    job: Job | None = None
    for _ in range(kills):
        runner_fixture = await build(PennilessFal(), timings=SOON)
        job = job or await runner_fixture.ask()
        await until(partial(paused, runner_fixture))
    fal = ScriptedFal()
    last = await build(fal)
    assert job is not None
    done = await last.until(job, JobState.DELIVERED)
    assert (len(fal.submitted), done.possible_doubles) == (1, 0)


# ---------------------------------------------------------------------- the pause itself


class Timer:
    """Time of the loop that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_pauses_grow_with_each_probe_and_begin_anew_with_each_outage() -> None:
    timer = Timer()
    pause = CreditPause((10, 30, 60), timer)
    assert [pause.active, pause.begin(), pause.begin()] == [False, True, False]
    for expected in (10, 30, 60, 60, 60):
        timer.now_s += expected - 0.5
        early = pause.due
        timer.now_s += 0.5
        assert (early, pause.due) == (False, True)
        pause.probe("a")
    assert [pause.end(), pause.end()] == [True, False]
    pause.begin()
    timer.now_s += 10
    assert pause.due


def test_only_the_probe_is_let_through() -> None:
    pause = CreditPause((10,), lambda: 0.0)
    assert not pause.holds_back("a")
    pause.probe("a")  # nothing is paused: it is no probe
    pause.begin(probe_now=True)
    assert pause.due
    assert pause.holds_back("a")
    pause.probe("a")
    assert [pause.holds_back(one) for one in "ab"] == [False, True]
    pause.end()
    assert [pause.holds_back(one) for one in "ab"] == [False, False]
