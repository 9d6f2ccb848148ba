"""Resolving reservations: what fal billed stays, the rest is given back, all in the transaction that ends the job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from bot import metrics
from bot.domain.money import Charge, usd_of
from bot.domain.settlement import Others, Settlement
from bot.store.tables import ledger, rate_state
from bot.store.times import span_us, to_us
from bot.store.usage import Balance, Count, RateKey, counts_of, lock_gcra_rows, read_counts, take_off, write_counts

#: How far back reservations can still count in the GCRA when one of them is given back, from the time it was made.
_REPLAY_US = span_us(timedelta(hours=48))


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one job's reservation becomes."""

    settlement: Settlement
    #: Pictures that may be forgiven a person in a day.
    forgiven_per_day: int = 0


def resolve(connection: Connection, ends: Mapping[str, Resolution], now_us: int) -> dict[str, Charge]:
    """Resolve reservations; one that is resolved already stays as it is.

    Args:
        ends: by job id.

    Returns:
        what counts in the end, by job id.
    """
    rows = connection.execute(_RESERVED, {"jobs": sorted(ends)}).mappings().all()
    pardons = _Pardons(connection, [row for row in rows if ends[row["job_id"]].forgiven_per_day])
    less: defaultdict[Count, Balance] = defaultdict(Balance)
    returned_us: defaultdict[RateKey, int] = defaultdict(int)
    resolved: list[dict[str, Any]] = []
    charges: dict[str, Charge] = {}
    for row in rows:
        charge = charges[row["job_id"]] = _charge(row, ends[row["job_id"]], pardons)
        pace_us = row["pace_us"] * charge.counted // row["images"]
        for count in counts_of(row["user_id"], row["guild_id"], row["day"]):
            less[count].images += row["counted"] - charge.counted
            less[count].usd_micros += row["counted_usd_micros"] - charge.usd_micros
        if row["user_id"] is not None:
            returned_us[row["user_id"], row["rate_key"]] += row["pace_us"] - pace_us
        resolved.append(_resolved(row, ends[row["job_id"]].settlement, charge, pace_us, now_us))
    if resolved:
        connection.execute(_RESOLVE, resolved)
    # Our clock may have been set far ahead since.
    _return_rate(connection, returned_us, min([now_us, *(row["reserved_us"] for row in rows)]))
    pardons.write()
    take_off(connection, less)
    for row, values in zip(rows, resolved, strict=True):
        _count(row, values)
    return charges


def _count(row: RowMapping, values: Mapping[str, Any]) -> None:
    """At /metrics; a transaction that has to be repeated counts twice there, and once in the ledger."""
    billed = values["counted_usd_micros"]
    if not billed:
        return
    metrics.SPENT_USD.inc(float(usd_of(billed)))
    metrics.SETTLED["estimated" if values["estimated"] else "billed"].inc()
    if not values["estimated"] and row["submissions"] == 1:
        metrics.ESTIMATE_RATIO.observe(row["usd_micros"] / billed)


def _charge(row: RowMapping, end: Resolution, pardons: _Pardons) -> Charge:
    """What counts: the bill of the last submission, and of those before it, at their worst where nobody can know."""
    settlement, images = end.settlement, row["images"]
    others = _others(row, settlement)
    worst = -(-row["usd_micros"] // row["submissions"])
    made = images if settlement.made is None else min(settlement.made, images)
    usd_micros = -(-worst * made // images) if settlement.usd_micros is None else settlement.usd_micros
    shown = min(settlement.shown, made)
    forgiven = pardons.take(row, made - shown, end.forgiven_per_day)
    unsettled = settlement.in_doubt or (settlement.told_at is not None and others.at_worst > 0)
    uncertain = unsettled or (settlement.usd_micros is None and settlement.made is None)
    return Charge(made - forgiven, forgiven, usd_micros + others.usd_micros + worst * others.at_worst, uncertain)


def _others(row: RowMapping, settlement: Settlement) -> Others:
    """What counts beside the last submission's bill. Until fal's list tells all, what it does not have is in doubt."""
    others = settlement.others or Others(at_worst=row["doubtful"])
    unlisted = 0
    if settlement.others is not None and settlement.told_at is not None:
        unlisted = max(row["doubtful"] - others.found, 0)
    return replace(others, at_worst=others.at_worst + unlisted + int(settlement.in_doubt))


def _resolved(
    row: RowMapping, settlement: Settlement, charge: Charge, pace_us: int, now_us: int
) -> dict[str, str | int | None]:
    others = _others(row, settlement)
    told_at = settlement.told_at if others.at_worst else None
    return {
        "b_job": row["job_id"],
        "state": "released" if charge == Charge() else "settled",
        "counted": charge.counted,
        "counted_usd_micros": charge.usd_micros,
        "forgiven": charge.forgiven,
        "estimated": int(settlement.estimated or others.estimated or others.at_worst > 0),
        "doubtful": others.at_worst,
        "told_us": None if told_at is None else to_us(told_at),
        "others_usd_micros": others.usd_micros,
        "pace_us": pace_us,
        "resolved_us": now_us,
    }


_RESERVED = (
    select(ledger)
    .where(ledger.c.job_id.in_(bindparam("jobs", expanding=True)), ledger.c.state == "reserved")
    .order_by(ledger.c.job_id)
)
_RESOLVE = (
    ledger.update()
    .where(ledger.c.job_id == bindparam("b_job"), ledger.c.state == "reserved")
    .values(
        {
            name: bindparam(name)
            for name in (
                *("state", "counted", "counted_usd_micros", "forgiven", "estimated", "doubtful"),
                *("told_us", "others_usd_micros", "pace_us", "resolved_us"),
            )
        }
    )
)


class _Pardons:
    """Pictures forgiven a person and day; locked until the transaction ends."""

    def __init__(self, connection: Connection, rows: Sequence[RowMapping]) -> None:
        self._connection = connection
        wanted: set[Count] = {("f", row["user_id"], row["day"]) for row in rows if row["user_id"] is not None}
        self._counts = read_counts(connection, sorted(wanted), lock=True)
        self._changed: set[Count] = set()

    def take(self, row: RowMapping, images: int, most: int) -> int:
        """How many of these images are forgiven; they are from then on."""
        if row["user_id"] is None or not images or not most:
            return 0
        key: Count = ("f", row["user_id"], row["day"])
        balance = self._counts.setdefault(key, Balance())
        forgiven = min(images, max(0, most - balance.images))
        if forgiven:
            balance.images += forgiven
            self._changed.add(key)
        return forgiven

    def write(self) -> None:
        """Keep what was forgiven."""
        write_counts(self._connection, {key: self._counts[key] for key in self._changed})


def _return_rate(connection: Connection, returned_us: Mapping[RateKey, int], since_us: int) -> None:
    rates = [rate for rate, pace_us in returned_us.items() if pace_us]
    gcra_rows = lock_gcra_rows(connection, rates, lock=True)
    replayed = _replay(connection, sorted({user for user, _ in rates}), since_us)
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


def _replay(connection: Connection, users: Sequence[int], since_us: int) -> dict[RateKey, int]:
    """The arrival times as if only what still counts had ever been reserved.

    Plain subtraction would give too much back: time that passed since has already paid for a part of it.
    """
    tats: dict[RateKey, int] = {}
    if users:
        rows: Any = connection.execute(_COUNTING, {"users": users, "since": since_us - _REPLAY_US})
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
