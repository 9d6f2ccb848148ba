"""What budgets cost in `accept`: CPU of an accepted order with them, with all lifted, and with no money kept at all.

By turns in one process, on one database after the other, so that a busy machine slows all alike. CPU is that of all
threads of this process: the writer's and that of SQLite. The control keeps each balance by statements of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bot.domain.job import JobState
from bot.limits import Budgets, Policy, decision
from bot.store import Accepted, Store, accepting, usage
from bot.store.usage import Balance, Count
from tests.store.makers import new_job, policy

#: Wide enough that every order is accepted, and every budget is compared with.
WIDE = 10**15
WITH = policy(budgets=Budgets(*[WIDE] * 5))
LIFTED = policy()
#: Orders in one block, and blocks of each way.
BLOCK = 60
BLOCKS = 60
PRICE = Decimal("0.0123")

_people = itertools.count(1)


@contextmanager
def _no_money() -> Iterator[None]:
    """As before there were budgets: a balance for the person's day and one for the server's, and no comparison."""
    counts_of, over_budget, spent_of = usage.counts_of, decision.over_budget, usage.spent_of

    def counts(user_id: int | None, guild_id: int | None, day: int) -> list[Count]:
        own: list[Count] = [] if user_id is None else [("u", user_id, day)]
        return own if guild_id is None else [*own, ("g", guild_id, day)]

    nothing = decision.Spent()
    vars(usage)["counts_of"] = counts
    vars(usage)["spent_of"] = lambda *_: nothing
    vars(decision)["over_budget"] = lambda *_, **__: ()
    try:
        yield
    finally:
        vars(usage)["counts_of"], vars(usage)["spent_of"] = counts_of, spent_of
        vars(decision)["over_budget"] = over_budget


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _one_by_one() -> Iterator[None]:
    """A statement for each balance."""
    read, write = usage.read_counts, usage.write_counts

    def read_each(connection: Connection, counts: Collection[Count], *, lock: bool) -> dict[Count, Balance]:
        found: dict[Count, Balance] = {}
        for count in counts:
            found |= read(connection, [count], lock=lock)
        return found

    def write_each(connection: Connection, counts: Mapping[Count, Balance]) -> None:
        for count, kept in counts.items():
            write(connection, {count: kept})

    vars(usage)["read_counts"], vars(accepting)["write_counts"] = read_each, write_each
    try:
        yield
    finally:
        vars(usage)["read_counts"], vars(accepting)["write_counts"] = read, write


#: How orders are accepted: the policy, and what is changed meanwhile.
WAYS: Mapping[str, tuple[Policy, Callable[[], Any]]] = {
    "with": (WITH, _as_it_is),
    "lifted": (LIFTED, _as_it_is),
    "none": (LIFTED, _no_money),
    "control": (WITH, _one_by_one),
}


async def budgets(folder: Path) -> dict[str, Any]:
    """Microseconds of CPU an accepted order, one at a time and sixty at once, and the ratios."""
    figures: dict[str, Any] = {}
    for name, at_once in (("alone", 1), ("at_once", BLOCK)):
        stores = {way: await Store.open(f"sqlite:///{folder}/{name}-{way}.db") for way in WAYS}
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(BLOCKS):
            for way in sorted(WAYS, reverse=bool(number % 2)):
                took[way].append(await _block(stores[way], *WAYS[way], at_once))
        for store in stores.values():
            await store.close()
        median_us = {way: statistics.median(those[2:]) for way, those in took.items()}
        figures |= {f"{name}_{way}_us": median_us[way] for way in WAYS}
        figures |= {f"{name}_over_{way}": median_us["with"] / median_us[way] for way in ("lifted", "none")}
        figures[f"{name}_control_over_none"] = median_us["control"] / median_us["none"]
    return figures


async def _block(store: Store, limits: Policy, way: Callable[[], Any], at_once: int) -> float:
    """CPU microseconds an order; the jobs are over afterwards, so that no block finds more of them than another."""
    people = [next(_people) for _ in range(BLOCK)]
    orders = [new_job(user=user, guild=user % 9, cost_usd=PRICE) for user in people]
    accepted: list[Any] = []
    with way():
        began = time.process_time()
        for start in range(0, BLOCK, at_once):
            some = orders[start : start + at_once]
            accepted += await asyncio.gather(*(store.jobs.accept(new, limits, max_waiting=10**9) for new in some))
        took_s = time.process_time() - began
        assert all(isinstance(one, Accepted) for one in accepted)
        await asyncio.gather(*(store.jobs.transition(one.job, JobState.CANCELLED) for one in accepted))
    return took_s / BLOCK * 1e6
