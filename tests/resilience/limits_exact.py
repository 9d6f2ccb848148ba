"""Processes that hammer `JobStore.accept` while killed and with clocks that jump; what they got in is counted after.

`python -m tests.resilience limits` runs it on both databases for any length of time, as a control without a safeguard.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from bot.domain.job import Job, JobState
from bot.domain.settlement import Settlement
from bot.limits import Policy, Spent, Usage, decision
from bot.store import Accepted, Store, accepting, resubmitting, times, usage
from bot.store.jobs import JobStore
from bot.store.tables import ledger
from bot.store.usage import RateKey, UsageSnapshot, UsageStore
from tests.resilience.limits_judge import Judgement, fullest_window, judged, unwatch, watch
from tests.resilience.limits_people import PAYING, PEOPLE, POLICIES, RATE, SLOW
from tests.store.makers import new_job

CALLERS = 120
#: Share of what was admitted that is cancelled at once; how many of the others are claimed together, for how long, and
#: the share of those that is submitted twice.
CANCELLED = 0.2
CLAIMED = 24
RESUBMITTED = 0.3
LEASE_S = 2.0
#: What a job that ends without a picture may cost.
ENDS = (None, Settlement(usd_micros=None, made=None), Settlement(usd_micros=7_000, made=1))
FREE_ENDS = (None, Settlement(usd_micros=0, made=1))
STEP = timedelta(hours=1)


# ---------------------------------------------------------------------- in the children


def jumping_clock(dice: random.Random, machine_us: Any) -> None:
    """Let this process's clock be wrong by up to an hour every now and then, and set as the machine's is."""
    real = datetime

    class Jumping(datetime):
        off = timedelta(0)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            if dice.random() < 0.25:
                Jumping.off = dice.choice((timedelta(0), timedelta(0), STEP, -STEP, STEP * dice.uniform(-1, 1)))
            return real.now(tz) + Jumping.off + timedelta(microseconds=machine_us.value)

    vars(times)["datetime"] = Jumping
    now_in: Callable[[Connection, Callable[[], datetime]], datetime] = vars(accepting)["now_in"]

    def stepped(connection: Connection, clock: Callable[[], datetime]) -> datetime:
        """On PostgreSQL the machine is the server's."""
        off = timedelta(0) if connection.dialect.name == "sqlite" else timedelta(microseconds=machine_us.value)
        return now_in(connection, clock) + off

    vars(accepting)["now_in"] = stepped


def no_row_locks() -> None:
    """Nobody is kept from reading what another process is about to change."""
    gcra_rows, counts = usage.lock_gcra_rows, usage.read_counts
    vars(usage)["lock_gcra_rows"] = lambda connection, rates, *, lock: gcra_rows(connection, rates, lock=False)
    vars(usage)["read_counts"] = lambda connection, wanted, *, lock: counts(connection, wanted, lock=False)


def early_decision() -> None:
    """What somebody has used up is looked up before the transaction, not in it."""
    accept = JobStore.accept
    seen: dict[int, Usage] = {}

    async def hasty(self: JobStore, new: Any, limits: Policy, *, max_waiting: int) -> Any:
        seen[new.actor.user_id] = await UsageStore(self._database, clock=times.utcnow).of(new.actor, limits)
        return await accept(self, new, limits, max_waiting=max_waiting)

    usage_of = UsageSnapshot.usage
    setattr(JobStore, "accept", hasty)  # noqa: B010 - past its type

    def remembered(self: UsageSnapshot, actor: Any, rate: RateKey) -> Usage:
        return seen.get(actor.user_id) or usage_of(self, actor, rate)

    setattr(UsageSnapshot, "usage", remembered)  # noqa: B010 - past its type


def no_memory_of_moments() -> None:
    """A clock that was set back looks like a rate that was raised."""
    usage_of = UsageSnapshot.usage
    setattr(UsageSnapshot, "usage", lambda self, actor, rate: replace(usage_of(self, actor, rate), seen=None))  # noqa: B010 - past its type


def own_clock() -> None:
    """Limits go by each process's own clock, on PostgreSQL too."""
    vars(accepting)["now_in"] = lambda _connection, clock: clock()


def _budgets_by(compare: Callable[..., Any]) -> None:
    vars(decision)["over_budget"] = vars(resubmitting)["over_budget"] = compare


def no_budgets() -> None:
    """What an order costs is compared with nothing."""
    _budgets_by(lambda *_, **__: iter(()))


def budgets_to_the_job() -> None:
    """A budget that has anything left takes one order more, whatever it costs."""
    over_budget = decision.over_budget

    def lax(spent: Spent, limits: Policy, images: int, usd_micros: int, now: datetime, **left: int) -> Any:
        return over_budget(spent, limits, images, min(usd_micros, 1), now, **left)

    _budgets_by(lax)


def pictures_to_the_job() -> None:
    """A limit of pictures a day that has one left takes one order more."""
    day = vars(decision)["_day"]
    vars(decision)["_day"] = lambda rule, used, bound, usage, limits, _images, now: day(
        rule, used, bound, usage, limits, 1, now
    )


#: Safeguards that a negative control takes away.
WITHOUT: Mapping[str, Callable[[], None]] = {
    "": lambda: None,
    "row locks": no_row_locks,
    "decision in the transaction": early_decision,
    "memory of moments": no_memory_of_moments,
    "the server's clock": own_clock,
    "budgets": no_budgets,
    "the last order's cost": budgets_to_the_job,
    "the last order's pictures": pictures_to_the_job,
}


def child(url: str, seed: str, without: str, tally: Any, machine_us: Any) -> None:
    """Ask until killed."""
    dice = random.Random(seed)
    jumping_clock(dice, machine_us)
    WITHOUT[without]()
    asyncio.run(ask_for_ever(url, dice, tally))


async def ask_for_ever(url: str, dice: random.Random, tally: Any) -> None:
    """On SQLite, callers from four event loops; on PostgreSQL each process has one."""
    store = await Store.open(url)
    home = asyncio.get_running_loop()
    for left in await store.leases.adopt(lease_s=LEASE_S):
        await end(store, left, dice)
    if url.startswith("sqlite"):
        for _ in range(4):
            threading.Thread(target=asyncio.run, args=(elsewhere(store, home, dice, tally),), daemon=True).start()
    await asyncio.gather(work(store, dice, tally), *(ask(store, dice, tally) for _ in range(CALLERS)))


async def ask(store: Store, dice: random.Random, tally: Any) -> None:
    while True:
        await one(store, dice, tally)


async def elsewhere(store: Store, home: asyncio.AbstractEventLoop, dice: random.Random, tally: Any) -> None:
    """Callers of another loop, in another thread."""

    async def call() -> None:
        while True:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(one(store, dice, tally), home))

    await asyncio.gather(*(call() for _ in range(CALLERS // 4)))


async def one(store: Store, dice: random.Random, tally: Any) -> None:
    """One order, cancelled at once now and then."""
    user, guild, limits = dice.choice(PEOPLE)
    usd = Decimal(dice.randrange(1, 30)) / 100 if limits in PAYING else Decimal(0)
    new = new_job(
        user=user,
        guild=guild,
        images=dice.choice((1, 1, 2, 3)),
        interaction=secrets.randbits(62),
        job_id=secrets.token_hex(9),
        cost_usd=usd,
    )
    outcome = await store.jobs.accept(new, limits, max_waiting=10**9)
    tally[0] += 1
    if not isinstance(outcome, Accepted):
        return
    tally[1] += 1
    if dice.random() < CANCELLED:
        # What it was charged is given back, and may be had by somebody else at once.
        await end(store, outcome.job, dice)


async def work(store: Store, dice: random.Random, tally: Any) -> None:
    """Claim what waits and let it end, so that there is room for more."""
    while True:
        claimed = await store.jobs.claim(CLAIMED, lease_s=LEASE_S)
        await asyncio.gather(*(submitted(store, job, dice, tally) for job in claimed))
        if not claimed:
            await asyncio.sleep(0.05)


async def submitted(store: Store, job: Job, dice: random.Random, tally: Any) -> None:
    """A job that ends at fal; now and then its first answer was lost, and it is reserved anew, under its budgets."""
    now: Any = job
    if dice.random() < RESUBMITTED:
        now = await store.jobs.resubmit(job, POLICIES[job.actor.user_id], doubtful=dice.random() < 0.5)
        tally[0] += 1
    await end(store, now if isinstance(now, Job) else job, dice)


async def end(store: Store, job: Job, dice: random.Random) -> None:
    """It ends without a picture, in any of the ways that differ in what is settled."""
    await store.jobs.transition(
        job,
        JobState.CANCELLED if job.state is JobState.QUEUED else JobState.FAILED,
        notified=True,
        settlement=dice.choice(ENDS if POLICIES[job.actor.user_id] in PAYING else FREE_ENDS),
        forgiven_per_day=3,
    )


# ---------------------------------------------------------------------- in the parent


@dataclass(slots=True)
class Run:
    """What was tried, and what came of it."""

    seed: str
    attempts: int = 0
    acknowledged: int = 0
    kills: int = 0
    #: Times the machine's clock was set; those of them that were backward, over a UTC midnight, over a month's turn.
    steps: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    #: Fullest window of the rate rule, in images of burst, and the bound.
    fullest: float = 0.0
    judgement: Judgement = field(default_factory=Judgement)
    over: list[str] = field(default_factory=list)

    @property
    def admitted(self) -> int:
        """Orders that were accepted, as the log has them."""
        return self.judgement.admissions

    def __str__(self) -> str:
        bounds = ", ".join(f"{sort} {share:.3f}" for sort, share in sorted(self.judgement.filled.items()))
        return (
            f"seed {self.seed}: {self.attempts} attempts in {self.seconds:.0f} s, {self.admitted} admitted "
            f"({self.acknowledged} acknowledged) and {self.judgement.resubmissions} reserved anew, {self.kills} kills, "
            f"{self.steps['all']} clock steps ({self.steps['back']} backward, {self.steps['midnight']} over a UTC "
            f"midnight, {self.steps['month']} over a month's turn; {self.judgement.days} days of "
            f"{self.judgement.months} months); fullest window holds {self.fullest:.2f} of {RATE.burst_images} images "
            f"of burst; fullest of each bound: {bounds}; {len(self.over)} over-admissions {self.over[:3]}"
        )


def run(
    url: str,
    *,
    processes: int,
    seconds: float,
    seed: str,
    attempts: int = 10**12,
    at_least: int = 0,
    without: str = "",
    every_s: float = 0.5,
    step_s: float | None = None,
) -> Run:
    """Start the processes, kill one every now and then, start another in its place; then count.

    Args:
        seconds: at most; it ends earlier once there were so many `attempts`.
        at_least: so many attempts are waited for where a busy machine is slow, up to ten times as long.
        every_s: from one kill to the next, on average.
        step_s: from one setting of the machine's clock to the next; None leaves it.
    """
    dice, clock_dice = random.Random(seed), random.Random(f"{seed}-clock")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    found, machine_us = Run(seed), context.RawValue("q", 0)
    tallies = []
    children: list[Any] = []

    def start() -> Any:
        tally = context.RawArray("Q", 2)
        tallies.append(tally)
        name = f"{seed}-{len(tallies)}"
        process = context.Process(target=child, args=(url, name, without, tally, machine_us), daemon=True)
        process.start()
        return process

    watch(url)
    began = time.monotonic()
    kill_at = began + every_s
    step_at = began + (step_s or seconds)
    try:
        children = [start() for _ in range(processes)]
        while True:
            tried, now_s = sum(tally[0] for tally in tallies), time.monotonic()
            if tried >= attempts or (now_s >= began + seconds and (tried >= at_least or now_s >= began + 10 * seconds)):
                break
            time.sleep(max(0.0, min(kill_at, step_at, max(began + seconds, now_s + 0.5)) - now_s))
            if step_s is not None and time.monotonic() >= step_at:
                machine_us.value = _stepped(machine_us.value, clock_dice, found.steps)
                step_at += step_s * dice.uniform(0.5, 1.5)
            if time.monotonic() < kill_at:
                continue
            kill_at = time.monotonic() + every_s * dice.uniform(0.5, 1.5)
            victim = dice.randrange(processes)
            assert children[victim].is_alive(), "a process ended by itself"
            if sum(tallies[-1]) == 0 and processes == 1:
                continue  # it is only just starting
            children[victim].kill()
            children[victim].join()
            found.kills += 1
            children[victim] = start()
    finally:
        for process in children:
            process.kill()
            process.join()
    found.seconds = time.monotonic() - began
    found.attempts, found.acknowledged = (sum(tally[n] for tally in tallies) for n in (0, 1))
    return found


def _stepped(machine_us: int, dice: random.Random, steps: Counter[str]) -> int:
    """How wrong the machine's clock is after it was set: often to just before midnight, or back over it."""
    before = datetime.now(UTC) + timedelta(microseconds=machine_us)
    midnight, month = decision.midnight(before), decision.month_end(before)
    second, day = timedelta(seconds=1), timedelta(days=1)
    after = dice.choice(
        (
            midnight - second,
            midnight + STEP * dice.random(),
            month - second,
            month + STEP * dice.random(),
            before + STEP * dice.uniform(-1, 1),
            before + day * dice.uniform(-2, 2),
            midnight - day - second,
            before.replace(day=1, hour=0) - second,
        )
    )
    steps["all"] += 1
    steps["back"] += after < before
    steps["midnight"] += after.date() != before.date()
    steps["month"] += (after.year, after.month) != (before.year, before.month)
    return machine_us + (after - before) // timedelta(microseconds=1)


async def count(url: str, found: Run) -> Run:
    """Hold what is on record against the bounds."""
    store = await Store.open(url)
    try:
        found.over += await store.check()
        found.judgement = await store._database.read(judged)
        found.over += found.judgement.over
        await store._database.read(lambda connection: _count_rates(connection, found))
    finally:
        await store.close()
        await unwatch(url)
    return found


def _count_rates(connection: Connection, found: Run) -> None:
    """The rate rule, from what counts in the end: what was given back may be had again."""
    admitted: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in connection.execute(select(ledger).order_by(ledger.c.reserved_us)):
        admitted[row.user_id].append((row.reserved_us, row.counted))
    for user, limit in ((user, limit) for user, limit in POLICIES.items() if limit in (RATE, SLOW)):
        full = fullest_window(admitted[user], limit.interval)
        found.fullest = max(found.fullest, full)
        earned = limit.burst_images + found.seconds / limit.interval.total_seconds()
        in_all = sum(images for _, images in admitted[user])
        if connection.dialect.name == "postgresql" and not found.steps and in_all > earned:
            found.over.append(f"rate of {user} in all: {in_all} of {earned:.0f}")
        if full > limit.burst_images:
            found.over.append(f"rate of {user}: {full:.2f}")
