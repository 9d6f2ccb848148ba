"""What the end of a job costs: how it ended, and what fal did, to money and quota. One table; no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum

from bot.domain.job import Result
from bot.domain.money import micros_of


class End(StrEnum):
    """How a job ended, as far as it matters for its bill."""

    #: Nothing of it reached fal.
    NEVER_SENT = "never_sent"
    #: fal, or a model's maker, did not take it: the options, the account, the model.
    REFUSED = "refused"
    #: Cancelled while fal still had it in its queue.
    CANCELLED_IN_QUEUE = "cancelled_in_queue"
    #: fal's 5xx, or its start timeout.
    PROVIDER_FAILED = "provider_failed"
    #: fal answered the submit with a 5xx, and may have taken the request all the same.
    IN_DOUBT = "in_doubt"
    DELIVERED = "delivered"
    #: Every picture was flagged, or painted over, and is not shown.
    WITHHELD = "withheld"
    UNDELIVERABLE = "undeliverable"
    #: What came is no picture that can be posted, or could not be fetched.
    UNUSABLE = "unusable"
    #: Cancelled, by the person or by our time limit, while it may have been painted.
    CANCELLED_PAINTING = "cancelled_painting"
    #: A content policy refused it; fal may have painted before.
    POLICY_REFUSED = "policy_refused"
    #: Whether fal has it, or what became of it there, can't be found out.
    LOST = "lost"


class Told(Enum):
    """What is known of fal's bill."""

    #: fal says that it billed nothing.
    NOTHING = "nothing"
    #: What it billed is known: told by fal, or reckoned from what came.
    SUM = "sum"
    #: fal says that it billed for it, in units whose price is not known.
    SOMETHING = "something"
    #: Nobody can know.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Bill:
    """What fal did with the last submission of a job."""

    told: Told = Told.UNKNOWN
    #: US dollars, where that is known.
    usd: Decimal | None = None
    #: Pictures that it made; None where nobody can know.
    made: int | None = None
    #: Whether the sum is fal's own, by its header X-Fal-Billable-Units.
    is_fals: bool = False


class Money(Enum):
    """What of the reservation is settled."""

    NOTHING = "nothing"
    BILLED = "billed"
    WORST_CASE = "worst_case"


class Quota(Enum):
    """What counts towards the person's pictures."""

    NOTHING = "nothing"
    #: Those that were shown; what was made beside them and withheld is forgivable.
    SHOWN = "shown"
    #: Those that fal made, beyond what is forgiven in a day.
    FORGIVABLE = "forgivable"


_FREE: Mapping[Told, tuple[Money, Quota]] = dict.fromkeys(Told, (Money.NOTHING, Quota.NOTHING))
#: Free, unless fal says that it billed for it.
_UNBILLED: Mapping[Told, tuple[Money, Quota]] = {
    **_FREE,
    Told.SUM: (Money.BILLED, Quota.FORGIVABLE),
    Told.SOMETHING: (Money.WORST_CASE, Quota.FORGIVABLE),
}
_PAINTED_UNSEEN: Mapping[Told, tuple[Money, Quota]] = {
    Told.NOTHING: (Money.NOTHING, Quota.NOTHING),
    Told.SUM: (Money.BILLED, Quota.FORGIVABLE),
    Told.SOMETHING: (Money.WORST_CASE, Quota.FORGIVABLE),
    Told.UNKNOWN: (Money.WORST_CASE, Quota.FORGIVABLE),
}

#: How a job ended × what fal told → money and picture quota.
TABLE: Mapping[End, Mapping[Told, tuple[Money, Quota]]] = {
    End.NEVER_SENT: _FREE,
    End.REFUSED: _UNBILLED,
    End.CANCELLED_IN_QUEUE: _UNBILLED,
    End.PROVIDER_FAILED: _FREE,
    #: The worst case counts until fal's list of requests tells what is true (`Settlement.in_doubt`).
    End.IN_DOUBT: dict.fromkeys(Told, (Money.WORST_CASE, Quota.NOTHING)),
    End.DELIVERED: {
        Told.NOTHING: (Money.NOTHING, Quota.SHOWN),
        Told.SUM: (Money.BILLED, Quota.SHOWN),
        Told.SOMETHING: (Money.WORST_CASE, Quota.SHOWN),
        Told.UNKNOWN: (Money.WORST_CASE, Quota.SHOWN),
    },
    End.WITHHELD: _PAINTED_UNSEEN,
    End.UNDELIVERABLE: _PAINTED_UNSEEN,
    End.UNUSABLE: _PAINTED_UNSEEN,
    End.CANCELLED_PAINTING: _PAINTED_UNSEEN,
    End.POLICY_REFUSED: _PAINTED_UNSEEN,
    End.LOST: _PAINTED_UNSEEN,
}


@dataclass(frozen=True, slots=True)
class Others:
    """What fal billed for submissions of a job before its last one, of which fal's list tells all."""

    usd_micros: int = 0
    #: Whether fal did not tell all of it.
    estimated: bool = False
    #: How many of them fal says nothing of, so that they count at their worst.
    at_worst: int = 0
    #: How many of them fal has.
    found: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the ledger settles for the last submission of a job."""

    #: Millionths of a US dollar; None: the worst case, at the share of the pictures made where that is known.
    usd_micros: int | None
    #: Pictures that fal made; None: as many as were reserved.
    made: int | None
    #: Those of them that were shown, and count; the others count once no more are forgiven.
    shown: int = 0
    #: Whether fal did not tell what it billed.
    estimated: bool = False
    #: What earlier submissions cost; None: the worst case of those of which nobody can know.
    others: Others | None = None
    #: Whether the last one counts at its worst beside that, because fal may have taken it.
    in_doubt: bool = False
    #: When fal's list of requests tells what became of those in doubt, so that what counts for them is set right;
    #: None: it tells now, or never.
    told_at: datetime | None = None


#: Nothing was billed, and nothing counts.
FREE = Settlement(usd_micros=0, made=0)


def settlement(end: End, bill: Bill, *, shown: int = 0) -> Settlement:
    """What is settled for an end.

    Args:
        shown: pictures that people were shown.
    """
    money, quota = TABLE[end][bill.told]
    if end is End.IN_DOUBT:
        return Settlement(0, made=0, estimated=True, in_doubt=True)
    usd_micros = None if bill.usd is None else micros_of(bill.usd)
    if money is Money.NOTHING:
        usd_micros = 0
    elif money is Money.WORST_CASE:
        usd_micros = None
    if quota is Quota.NOTHING:
        return Settlement(usd_micros, made=0, estimated=money is not Money.NOTHING and not bill.is_fals)
    made = None if bill.made is None else max(bill.made, shown)
    counts = shown if quota is Quota.SHOWN else 0
    return Settlement(usd_micros, made, counts, estimated=money is not Money.NOTHING and not bill.is_fals)


def bill_of(result: Result) -> Bill:
    """The bill of a result: what it cost, where its price is known, and how many pictures came."""
    made = len(result.pictures)
    if result.cost_usd is None:
        return Bill(Told.UNKNOWN, made=made)
    return Bill(Told.SUM, result.cost_usd, made, is_fals=result.billable_units is not None)
