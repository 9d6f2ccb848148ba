"""Rate and balances of the people and servers one transaction concerns: read once, kept up in memory, written once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from sqlalchemy import Connection, bindparam, func, select, tuple_

from bot.domain.job import Actor
from bot.limits import Policy, Spent, Usage
from bot.store.database import Database
from bot.store.dialect import insert_into, is_sqlite, upsert
from bot.store.fair_queue import CLAIMED, HELD
from bot.store.tables import balances, flows, jobs, rate_state
from bot.store.times import day_of, from_us, month_of

#: Scope, subject and day of a balance (`tables.balances`).
Count = tuple[str, int, int]
#: A person and which of their rates (`Policy.rate_key`).
RateKey = tuple[int, int]


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


@dataclass(slots=True)
class Balance:
    """One row of `balances`."""

    images: int = 0
    usd_micros: int = 0


def counts_of(user_id: int | None, guild_id: int | None, day: int) -> list[Count]:
    """The balances to which something adds that a person asks for in a server; either may be None."""
    month = month_of(day)
    counts: list[Count] = [("a", 0, day), ("n", 0, month)]
    if user_id is not None:
        counts.append(("u", user_id, day))
    if guild_id is not None:
        counts += [("g", guild_id, day), ("m", guild_id, month)]
    return counts


def spent_of(balances: Mapping[Count, Balance], actor: Actor, day: int) -> Spent:
    """What counts against each budget of this actor."""
    month, none = month_of(day), Balance()
    return Spent(
        person_day=balances.get(("u", actor.user_id, day), none).usd_micros,
        server_day=balances.get(("g", actor.guild_id or 0, day), none).usd_micros,
        server_month=balances.get(("m", actor.guild_id or 0, month), none).usd_micros,
        all_day=balances.get(("a", 0, day), none).usd_micros,
        all_month=balances.get(("n", 0, month), none).usd_micros,
    )


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
        counts = sorted({count for actor in actors for count in counts_of(actor.user_id, actor.guild_id, day)})
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
            images_today=self._images("u", actor.user_id),
            guild_images_today=self._images("g", actor.guild_id),
            active_jobs=self.active[actor.user_id],
            in_guild=actor.guild_id is not None,
            guild_active_jobs=0 if actor.guild_id is None else self.guild_active.get(actor.guild_id, 0),
            seen=from_us(gcra.seen_us) if gcra is not None and gcra.seen_us else None,
            spent=spent_of(self.counts, actor, self._day),
        )

    def _images(self, scope: str, subject_id: int | None) -> int:
        found = None if subject_id is None else self.counts.get((scope, subject_id, self._day))
        return 0 if found is None else found.images

    def add(
        self, actor: Actor, rate: RateKey, images: int, usd_micros: int, *, tat_us: int | None, now_us: int
    ) -> Sequence[Count]:
        """Count one accepted job, and say in which balances; `tat_us` None leaves the rate alone."""
        if tat_us is not None:
            self.gcra_rows.setdefault(rate, GcraRow()).set(tat_us, now_us)
        added = counts_of(actor.user_id, actor.guild_id, self._day)
        for count in added:
            balance = self.counts.setdefault(count, Balance())
            balance.images += images
            balance.usd_micros += usd_micros
        self.active[actor.user_id] += 1
        if actor.guild_id in self.guild_active:
            self.guild_active[actor.guild_id] += 1
        return added


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


def read_counts(connection: Connection, counts: Collection[Count], *, lock: bool) -> dict[Count, Balance]:
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
    return {(row.scope, row.subject_id, row.day): Balance(row.images, row.usd_micros) for row in rows}


def write_counts(connection: Connection, counts: Mapping[Count, Balance]) -> None:
    """Keep these balances as they now are; they were read under a lock."""
    rows = [
        {"scope": scope, "subject_id": subject, "day": day, "images": kept.images, "usd_micros": kept.usd_micros}
        for (scope, subject, day), kept in sorted(counts.items(), key=itemgetter(0))
    ]
    upsert(connection, balances, rows, replace=("images", "usd_micros"))


def take_off(connection: Connection, less: Mapping[Count, Balance]) -> None:
    """Take this off balances, in the order of their keys, so that two processes can't lock each other out."""
    changes = [
        {"b_scope": scope, "b_subject": subject, "b_day": day, "images_less": off.images, "usd_less": off.usd_micros}
        for (scope, subject, day), off in sorted(less.items(), key=itemgetter(0))
        if off != Balance()
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
    .values(
        images=balances.c.images - bindparam("images_less"), usd_micros=balances.c.usd_micros - bindparam("usd_less")
    )
)


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
