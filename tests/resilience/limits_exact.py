"""Processes that hammer `JobStore.accept` while killed and with clocks that jump; what they got in is counted after.

`python -m tests.resilience.limits_exact URL SECONDS [SAFEGUARD REMOVED]` runs it alone, for for any length of time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import secrets
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from bot.domain.job import Job, JobState
from bot.domain.settlement import Settlement
from bot.limits import Budgets, Policy, Usage
from bot.store import Accepted, Store, accepting, times, usage
from bot.store.jobs import JobStore
from bot.store.tables import jobs, ledger
from bot.store.usage import RateKey, UsageSnapshot, UsageStore
from tests.store.makers import new_job, policy

RATE = policy(interval=timedelta(milliseconds=25), burst_images=9)
#: So slow that an hour gained by a clock shows in what was admitted in all.
SLOW = policy(interval=timedelta(seconds=20), burst_images=9)
DAY = policy(interval=timedelta(microseconds=1), images_per_day=250)
GUILD_DAY = policy(interval=timedelta(microseconds=1), guild_images_per_day=400)
CONCURRENT = policy(interval=timedelta(microseconds=1), concurrent_jobs=3)
GUILD_CONCURRENT = policy(interval=timedelta(microseconds=1), guild_concurrent_jobs=11)
#: Of all who ask, these alone pay, so that the budgets of everybody are theirs. Each has another one besides.
ALL = Budgets(all_day=12_000_000, all_month=20_000_000)
PERSON_BUDGET = policy(interval=timedelta(microseconds=1), budgets=replace(ALL, person_day=1_000_000))
GUILD_BUDGET = policy(interval=timedelta(microseconds=1), budgets=replace(ALL, server_day=1_500_000))
GUILD_MONTH = policy(interval=timedelta(microseconds=1), budgets=replace(ALL, server_month=2_000_000))
TOTAL = policy(interval=timedelta(microseconds=1), budgets=ALL)
PAYING = (PERSON_BUDGET, GUILD_BUDGET, GUILD_MONTH, TOTAL)

#: Person and server with the limit that holds for them.
PEOPLE: Sequence[tuple[int, int | None, Policy]] = (
    *((user, None, RATE) for user in range(1, 5)),
    *((user, None, SLOW) for user in range(5, 7)),
    *((user, 20, DAY) for user in range(11, 14)),
    *((user, 30, GUILD_DAY) for user in range(21, 25)),
    *((user, 40, CONCURRENT) for user in range(31, 35)),
    *((user, 50, GUILD_CONCURRENT) for user in range(41, 47)),
    *((user, 60, PERSON_BUDGET) for user in range(51, 54)),
    *((user, 70, GUILD_BUDGET) for user in range(61, 64)),
    *((user, 80, GUILD_MONTH) for user in range(71, 74)),
    *((user, None, TOTAL) for user in range(81, 87)),
)
POLICIES: Mapping[int, Policy] = {user: limits for user, _, limits in PEOPLE}
CALLERS = 24
#: Share of what was admitted that is cancelled at once.
CANCELLED = 0.2
#: How often a process claims a job to submit it a second time, and what a job that ends without a picture may cost.
RESUBMITTED = 0.02
ENDS = (None, Settlement(usd_micros=None, made=None), Settlement(usd_micros=7_000, made=1))
FREE_ENDS = (None, Settlement(usd_micros=0, made=1))
STEP = timedelta(hours=1)


# ---------------------------------------------------------------------- in the children


def jumping_clock(dice: random.Random) -> None:
    """Let the machine's clock be wrong by up to an hour every now and then."""
    real = datetime

    class Jumping(datetime):
        off = timedelta(0)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            if dice.random() < 0.25:
                Jumping.off = dice.choice((timedelta(0), timedelta(0), STEP, -STEP, STEP * dice.uniform(-1, 1)))
            return real.now(tz) + Jumping.off

    vars(times)["datetime"] = Jumping


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


#: Safeguards that a negative control takes away.
WITHOUT: Mapping[str, Callable[[], None]] = {
    "": lambda: None,
    "row locks": no_row_locks,
    "decision in the transaction": early_decision,
    "memory of moments": no_memory_of_moments,
    "the server's clock": own_clock,
}


def child(url: str, seed: str, without: str, tally: Any) -> None:
    """Ask until killed."""
    dice = random.Random(seed)
    jumping_clock(dice)
    WITHOUT[without]()
    asyncio.run(ask_for_ever(url, dice, tally))


async def ask_for_ever(url: str, dice: random.Random, tally: Any) -> None:
    """On SQLite, callers from four event loops; on PostgreSQL each process has one."""
    while True:
        store = await Store.open(url)
        home = asyncio.get_running_loop()
        if url.startswith("sqlite"):
            for _ in range(4):
                threading.Thread(target=asyncio.run, args=(elsewhere(store, home, dice, tally),), daemon=True).start()
        await asyncio.gather(*(ask(store, dice, tally) for _ in range(CALLERS)))


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
    user, guild, limits = dice.choice(PEOPLE)
    images = dice.choice((1, 1, 2, 3))
    usd = Decimal(dice.randrange(1, 30)) / 100 if limits in PAYING else Decimal(0)
    new = new_job(
        user=user,
        guild=guild,
        images=images,
        interaction=secrets.randbits(62),
        job_id=secrets.token_hex(9),
        cost_usd=usd,
    )
    tally[0] += 1
    outcome = await store.jobs.accept(new, limits, max_waiting=10**9)
    if isinstance(outcome, Accepted):
        tally[1] += 1
        if dice.random() < CANCELLED:
            # What it was charged is given back, and may be had by somebody else at once.
            await store.jobs.transition(
                outcome.job,
                JobState.CANCELLED,
                notified=True,
                settlement=dice.choice(ENDS if limits in PAYING else FREE_ENDS),
                forgiven_per_day=3,
            )
    if dice.random() < RESUBMITTED:
        await submit_twice(store, dice, tally)


async def submit_twice(store: Store, dice: random.Random, tally: Any) -> None:
    """A job whose answer was lost: reserved anew, under its budgets, and most often ended."""
    for job in await store.jobs.claim(1):
        tally[0] += 1
        limits = POLICIES[job.actor.user_id]
        again = await store.jobs.resubmit(job, limits, doubtful=dice.random() < 0.5)
        if isinstance(again, Job) and dice.random() < 0.8:
            await store.jobs.transition(
                again,
                JobState.FAILED,
                notified=True,
                settlement=dice.choice(ENDS if limits in PAYING else FREE_ENDS),
                forgiven_per_day=3,
            )


# ---------------------------------------------------------------------- in the parent


@dataclass(slots=True)
class Run:
    """What was tried, and what came of it."""

    seed: str
    attempts: int = 0
    acknowledged: int = 0
    admitted: int = 0
    kills: int = 0
    seconds: float = 0.0
    #: Fullest window of the rate rule, in images of burst, and the bound.
    fullest: float = 0.0
    #: Share of the fullest budget that is used up.
    filled: float = 0.0
    over: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.attempts} attempts in {self.seconds:.0f} s, {self.kills} kills, "
            f"{self.admitted} admitted ({self.acknowledged} acknowledged); fullest window holds {self.fullest:.2f} of "
            f"{RATE.burst_images} images of burst, the fullest budget {self.filled:.3f}; "
            f"{len(self.over)} over-admissions {self.over[:3]}"
        )


def run(url: str, *, processes: int, seconds: float, seed: str, without: str = "", every_s: float = 0.5) -> Run:
    """Start the processes, kill one every now and then, start another in its place; then count."""
    dice = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    found = Run(seed)
    tallies = []
    children: list[Any] = []

    def start() -> Any:
        tally = context.RawArray("Q", 2)
        tallies.append(tally)
        process = context.Process(target=child, args=(url, f"{seed}-{len(tallies)}", without, tally), daemon=True)
        process.start()
        return process

    began = time.monotonic()
    try:
        children = [start() for _ in range(processes)]
        while time.monotonic() - began < seconds:
            time.sleep(every_s * dice.uniform(0.5, 1.5))
            victim = dice.randrange(processes)
            if sum(tallies[-1]) == 0 and processes == 1:
                continue  # it is only just starting
            assert children[victim].is_alive(), "a process ended by itself"
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


async def count(url: str, found: Run) -> Run:
    """Hold what is on record against the bounds."""
    store = await Store.open(url)
    try:
        found.over += await store.check()
        await store._database.read(lambda connection: _count(connection, found))
    finally:
        await store.close()
    return found


def _count(connection: Connection, found: Run) -> None:
    rows = connection.execute(select(ledger).order_by(ledger.c.reserved_us)).all()
    found.admitted = len(rows)
    limits = {user: limit for user, _, limit in PEOPLE}
    admitted: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    days: defaultdict[tuple[str, int, int], int] = defaultdict(int)
    for row in rows:
        admitted[row.user_id].append((row.reserved_us, row.counted))
        days["person", row.user_id, row.day] += row.counted
        days["server", row.guild_id or 0, row.day] += row.counted
    for user, limit in ((user, limit) for user, limit in limits.items() if limit in (RATE, SLOW)):
        full = fullest_window(admitted[user], limit.interval)
        found.fullest = max(found.fullest, full)
        earned = limit.burst_images + found.seconds / limit.interval.total_seconds()
        if connection.dialect.name == "postgresql" and sum(images for _, images in admitted[user]) > earned:
            found.over.append(f"rate of {user} in all: {sum(images for _, images in admitted[user])} of {earned:.0f}")
        if full > limit.burst_images:
            found.over.append(f"rate of {user}: {full:.2f}")
    for (scope, subject, day), images in days.items():
        bound = DAY.images_per_day if scope == "person" and limits[subject] is DAY else None
        bound = GUILD_DAY.guild_images_per_day if scope == "server" and subject == 30 else bound
        if bound is not None and images > bound:
            found.over.append(f"{scope} {subject}, day {day}: {images} of {bound}")
    found.over += _overspent(rows, found)
    live = select(jobs.c.user_id, jobs.c.guild_id).where(jobs.c.ended_us.is_(None))
    own: defaultdict[int, int] = defaultdict(int)
    for row in connection.execute(live):
        own[row.user_id] += limits[row.user_id] is CONCURRENT
        own[0] += row.guild_id == 50
    bounds = dict.fromkeys(own, CONCURRENT.concurrent_jobs) | {0: GUILD_CONCURRENT.guild_concurrent_jobs}
    found.over += [f"at once, {user}: {n} of {bounds[user]}" for user, n in own.items() if n > bounds[user]]


def _overspent(rows: Sequence[Any], found: Run) -> list[str]:
    """Budgets that what counts has exceeded, reckoned from the ledger's rows alone."""
    used: defaultdict[tuple[str, int, int], int] = defaultdict(int)
    for row in rows:
        month = times.month_of(row.day)
        for key in (
            ("person_day", row.user_id, row.day),
            ("server_day", row.guild_id or 0, row.day),
            ("server_month", row.guild_id or 0, month),
            ("all_day", 0, row.day),
            ("all_month", 0, month),
        ):
            used[key] += row.counted_usd_micros
    bounds: dict[tuple[str, int], int | None] = {("all_day", 0): ALL.all_day, ("all_month", 0): ALL.all_month}
    for user, guild, limits in PEOPLE:
        for name, subject in (("person_day", user), ("server_day", guild or 0), ("server_month", guild or 0)):
            if (bound := getattr(limits.budgets, name)) is not None:
                bounds[name, subject] = bound
    limited = {key: bound for key in used if (bound := bounds.get(key[:2])) is not None}
    found.filled = max((used[key] / bound for key, bound in limited.items()), default=0.0)
    return [f"{key}: {used[key]} of {bound}" for key, bound in limited.items() if used[key] > bound]


def fullest_window(admitted: Sequence[tuple[int, int]], interval: timedelta) -> float:
    """The most images in any window beyond what its length earns; `admitted` are moments and images, in order."""
    interval_us = interval / timedelta(microseconds=1)
    images, least, fullest = 0, float("inf"), 0.0
    for moment_us, some in admitted:
        least = min(least, images - moment_us / interval_us)
        images += some
        fullest = max(fullest, images - moment_us / interval_us - least)
    return round(fullest, 6)


@contextmanager
def reported(url: str, **options: Any) -> Iterator[Run]:
    """Run, count, print."""
    found = asyncio.run(count(url, run(url, **options)))
    print(found)
    yield found


if __name__ == "__main__":
    given = {"processes": 1 if sys.argv[1].startswith("sqlite") else 4, "seed": secrets.token_hex(4)}
    with reported(sys.argv[1], seconds=float(sys.argv[2]), without=" ".join(sys.argv[3:]), **given) as result:
        sys.exit(bool(result.over))
