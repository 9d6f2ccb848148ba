"""Rate and counts of the people and servers one transaction concerns: read once, kept up in memory, written once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, tuple_

from bot.domain.job import Actor
from bot.domain.money import Cost
from bot.limits import Policy, Usage
from bot.store.database import Database
from bot.store.dialect import insert_into, is_sqlite
from bot.store.fair_queue import CLAIMED, HELD
from bot.store.tables import balances, flows, jobs, ledger, rate_state
from bot.store.times import day_of, from_us, span_us

#: Scope ('u' person, 'g' server), id, day.
Count = tuple[str, int, int]
#: A person and which of their rates (`Policy.rate_key`).
RateKey = tuple[int, int]

#: How far back reservations can still count in the GCRA when one of them is given back.
_REPLAY_US = span_us(timedelta(hours=48))


@dataclass(slots=True)
class GcraRow:
    """One row of `rate_state`; `tat_us` is 0 for somebody new."""

    tat_us: int = 0
    #: The latest moment `tat_us` was computed at.
    seen_us: int = 0

    def set(self, tat_us: int, now_us: int) -> None:
        """Keep a newly computed arrival time."""
        self.tat_us = tat_us
        self.seen_us = max(self.seen_us, now_us)


def rate_key_of(actor: Actor, policy: Policy) -> RateKey:
    """The rate that an image of this actor is taken from."""
    return actor.user_id, policy.rate_key(actor.guild_id)


def counts_of(actor: Actor, day: int) -> list[Count]:
    """The balances an image of this actor adds to."""
    own: list[Count] = [("u", actor.user_id, day)]
    return own if actor.guild_id is None else [*own, ("g", actor.guild_id, day)]


class UsageStore:
    """What people have used up; `store.usage`."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def of(self, actor: Actor, policy: Policy | None = None) -> Usage:
        """What somebody has used up, here and now, of the rate in that policy; without one, of the usual rate."""
        day = day_of(self._clock())
        rate = (actor.user_id, 0) if policy is None else rate_key_of(actor, policy)

        def work(connection: Connection) -> Usage:
            snapshot = UsageSnapshot(connection, [actor], [rate], day, lock=False)
            snapshot.read_guilds(connection, [] if actor.guild_id is None else [actor.guild_id])
            return snapshot.usage(actor, rate)

        return await self._database.read(work)


class UsageSnapshot:
    """Usage of everybody concerned, within one transaction."""

    def __init__(
        self, connection: Connection, actors: Sequence[Actor], rates: Collection[RateKey], day: int, *, lock: bool
    ) -> None:
        """Read it; with `lock`, other processes (PostgreSQL) wait until this transaction ends."""
        users = sorted({actor.user_id for actor in actors})
        counts = sorted({count for actor in actors for count in counts_of(actor, day)})
        self._day = day
        self.gcra_rows = lock_gcra_rows(connection, rates, lock=lock)
        self.counts = read_counts(connection, counts, lock=lock)
        self.active = _read_active(connection, users)
        self.guild_active: dict[int, int] = {}

    def read_guilds(self, connection: Connection, guilds: Collection[int]) -> None:
        """Also the unfinished jobs of servers; exact while the queue is locked."""
        self.guild_active.update(_read_guilds(connection, guilds))

    def usage(self, actor: Actor, rate: RateKey) -> Usage:
        """As of now, with what was added since it was read."""
        gcra = self.gcra_rows.get(rate)
        return Usage(
            tat=from_us(gcra.tat_us) if gcra is not None and gcra.tat_us else None,
            images_today=self.counts.get(("u", actor.user_id, self._day), 0),
            guild_images_today=0 if actor.guild_id is None else self.counts.get(("g", actor.guild_id, self._day), 0),
            active_jobs=self.active[actor.user_id],
            in_guild=actor.guild_id is not None,
            guild_active_jobs=0 if actor.guild_id is None else self.guild_active.get(actor.guild_id, 0),
            seen=from_us(gcra.seen_us) if gcra is not None and gcra.seen_us else None,
        )

    def add(self, actor: Actor, rate: RateKey, images: int, *, tat_us: int | None, now_us: int) -> None:
        """Count one accepted job; `tat_us` None leaves the rate alone."""
        if tat_us is not None:
            self.gcra_rows.setdefault(rate, GcraRow()).set(tat_us, now_us)
        for count in counts_of(actor, self._day):
            self.counts[count] = self.counts.get(count, 0) + images
        self.active[actor.user_id] += 1
        if actor.guild_id in self.guild_active:
            self.guild_active[actor.guild_id] += 1


def lock_gcra_rows(connection: Connection, rates: Collection[RateKey], *, lock: bool) -> dict[RateKey, GcraRow]:
    """Rows of `rate_state`; locked in the order of their keys, so that two processes can't lock each other out."""
    if not rates:
        return {}
    if lock and not is_sqlite(connection):
        new = [{"user_id": user, "rate_key": key, "tat_us": 0} for user, key in sorted(rates)]
        connection.execute(insert_into(connection, rate_state).on_conflict_do_nothing(), new)
    statement = _RATE_STATES.with_for_update() if lock else _RATE_STATES
    rows = connection.execute(statement, {"rates": sorted(rates)})
    return {(row.user_id, row.rate_key): GcraRow(row.tat_us, row.seen_us) for row in rows}


_RATE_KEY = (rate_state.c.user_id, rate_state.c.rate_key)
_RATE_STATES = select(rate_state).where(tuple_(*_RATE_KEY).in_(bindparam("rates", expanding=True))).order_by(*_RATE_KEY)


def read_counts(connection: Connection, counts: Sequence[Count], *, lock: bool) -> dict[Count, int]:
    """Rows of `balances`; locked like `lock_gcra_rows`."""
    if not counts:
        return {}
    if lock and not is_sqlite(connection):
        new = [
            {"scope": scope, "subject_id": subject, "day": day, "images": 0} for scope, subject, day in sorted(counts)
        ]
        connection.execute(insert_into(connection, balances).on_conflict_do_nothing(), new)
    statement = _COUNTS.with_for_update() if lock else _COUNTS
    rows = connection.execute(statement, {"counts": list(counts)})
    return {(row.scope, row.subject_id, row.day): row.images for row in rows}


_COUNT_KEY = (balances.c.scope, balances.c.subject_id, balances.c.day)
_COUNTS = select(balances).where(tuple_(*_COUNT_KEY).in_(bindparam("counts", expanding=True))).order_by(*_COUNT_KEY)


def _read_active(connection: Connection, users: Sequence[int]) -> defaultdict[int, int]:
    active: defaultdict[int, int] = defaultdict(int)
    if users:
        active.update(connection.execute(_ACTIVE, {"users": users}).all())
    return active


_ACTIVE = (
    select(jobs.c.user_id, func.count())
    .where(jobs.c.ended_us.is_(None), jobs.c.user_id.in_(bindparam("users", expanding=True)))
    .group_by(jobs.c.user_id)
)


def _read_guilds(connection: Connection, guilds: Collection[int]) -> dict[int, int]:
    active = dict.fromkeys(guilds, 0)
    if guilds:
        for statement in (_GUILD_CLAIMED, _GUILD_WAITING, _GUILD_HELD):
            for guild_id, count in connection.execute(statement, {"guilds": sorted(guilds)}):
                active[guild_id] += count
    return active


_GUILD_CLAIMED = (
    select(jobs.c.guild_id, func.count())
    .where(CLAIMED, jobs.c.guild_id.in_(bindparam("guilds", expanding=True)))
    .group_by(jobs.c.guild_id)
)
_GUILD_HELD = (
    select(jobs.c.guild_id, func.count())
    .where(HELD, jobs.c.guild_id.in_(bindparam("guilds", expanding=True)))
    .group_by(jobs.c.guild_id)
)
_GUILD_WAITING = select(flows.c.flow_id, flows.c.waiting).where(
    flows.c.flow_id.in_(bindparam("guilds", expanding=True))
)


# ---------------------------------------------------------------------- resolving


def settle_or_release(connection: Connection, kept: Mapping[str, Cost | None], now_us: int) -> None:
    """Settle or release reservations; one that is resolved already stays as it is.

    Args:
        kept: by job id, what to keep: a cost settles (fewer images than reserved: the rest is given back), None
            releases.
    """
    rows = connection.execute(_RESERVED, {"jobs": sorted(kept)}).mappings().all()
    returned_counts: defaultdict[Count, int] = defaultdict(int)
    returned_us: defaultdict[RateKey, int] = defaultdict(int)
    resolved = []
    for row in rows:
        keep = kept[row["job_id"]]
        counted = 0 if keep is None else min(row["images"], keep.images)
        pace_us = row["pace_us"] * counted // row["images"]
        resolved.append(
            {
                "b_job": row["job_id"],
                "state": "released" if keep is None else "settled",
                "counted": counted,
                "counted_usd_micros": _counted_usd_micros(row["usd_micros"], keep),
                "pace_us": pace_us,
                "resolved_us": now_us,
            }
        )
        if row["user_id"] is not None:
            returned_counts["u", row["user_id"], row["day"]] += row["images"] - counted
            returned_us[row["user_id"], row["rate_key"]] += row["pace_us"] - pace_us
        if row["guild_id"] is not None:
            returned_counts["g", row["guild_id"], row["day"]] += row["images"] - counted
    if resolved:
        connection.execute(_RESOLVE, resolved)
    _return_rate(connection, returned_us, now_us)
    _return_counts(connection, returned_counts)


def _counted_usd_micros(reserved: int | None, keep: Cost | None) -> int | None:
    """Nothing for a release, the settled price otherwise; None where the price is not known."""
    if keep is None:
        return None if reserved is None else 0
    return keep.usd_micros


_RESERVED = select(ledger).where(ledger.c.job_id.in_(bindparam("jobs", expanding=True)), ledger.c.state == "reserved")
_RESOLVE = (
    ledger.update()
    .where(ledger.c.job_id == bindparam("b_job"), ledger.c.state == "reserved")
    .values({name: bindparam(name) for name in ("state", "counted", "counted_usd_micros", "pace_us", "resolved_us")})
)


def _return_counts(connection: Connection, returned: Mapping[Count, int]) -> None:
    changes = [
        {"b_scope": scope, "b_subject": subject, "b_day": day, "less": images}
        for (scope, subject, day), images in sorted(returned.items())
        if images
    ]
    if changes:
        connection.execute(_LESS, changes)


_LESS = (
    balances.update()
    .where(
        balances.c.scope == bindparam("b_scope"),
        balances.c.subject_id == bindparam("b_subject"),
        balances.c.day == bindparam("b_day"),
    )
    .values(images=balances.c.images - bindparam("less"))
)


def _return_rate(connection: Connection, returned_us: Mapping[RateKey, int], now_us: int) -> None:
    rates = [rate for rate, pace_us in returned_us.items() if pace_us]
    gcra_rows = lock_gcra_rows(connection, rates, lock=True)
    replayed = _replay(connection, sorted({user for user, _ in rates}), now_us)
    changes = []
    for (user, key), gcra in gcra_rows.items():
        tat_us = min(gcra.tat_us, max(replayed.get((user, key), 0), gcra.tat_us - returned_us[user, key]))
        changes.append({"b_user": user, "b_key": key, "tat_us": tat_us})
    if changes:
        connection.execute(_SET_RATE, changes)


_SET_RATE = (
    rate_state.update()
    .where(rate_state.c.user_id == bindparam("b_user"), rate_state.c.rate_key == bindparam("b_key"))
    .values(tat_us=bindparam("tat_us"))
)


def _replay(connection: Connection, users: Sequence[int], now_us: int) -> dict[RateKey, int]:
    """The arrival times as if only what still counts had ever been reserved.

    Plain subtraction would give too much back: time that passed since has already paid for a part of it.
    """
    tats: dict[RateKey, int] = {}
    if users:
        rows: Any = connection.execute(_COUNTING, {"users": users, "since": now_us - _REPLAY_US})
        for user, key, reserved_us, pace_us in rows:
            tats[user, key] = max(tats.get((user, key), 0), reserved_us) + pace_us
    return tats


_COUNTING = (
    select(ledger.c.user_id, ledger.c.rate_key, ledger.c.reserved_us, ledger.c.pace_us)
    .where(
        ledger.c.user_id.in_(bindparam("users", expanding=True)),
        ledger.c.reserved_us >= bindparam("since"),
        ledger.c.pace_us > 0,
    )
    .order_by(ledger.c.user_id, ledger.c.reserved_us)
)
