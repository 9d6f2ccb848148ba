"""What each end of a job costs, one test a row of the table; and that nothing else is in it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.job import RemotePicture, Result
from bot.domain.settlement import FREE, TABLE, Bill, End, Settlement, Told, bill_of, settlement

NOTHING = Bill(Told.NOTHING, Decimal(0), 0, is_fals=True)
BILLED = Bill(Told.SUM, Decimal("0.12"), 3, is_fals=True)
RECKONED = Bill(Told.SUM, Decimal("0.12"), 3)
UNPRICED = Bill(Told.SOMETHING)
UNKNOWN = Bill()
WORST = Settlement(usd_micros=None, made=None, estimated=True)
PAINTED = Settlement(usd_micros=120_000, made=3)


@pytest.mark.parametrize("end", [End.NEVER_SENT, End.REFUSED, End.CANCELLED_IN_QUEUE, End.PROVIDER_FAILED])
@pytest.mark.parametrize("bill", [NOTHING, UNKNOWN])
def test_what_fal_never_painted_costs_nothing(end: End, bill: Bill) -> None:
    assert settlement(end, bill) == FREE


@pytest.mark.parametrize("end", [End.NEVER_SENT, End.PROVIDER_FAILED])
def test_what_fal_never_bills_costs_nothing_whatever_a_header_says(end: End) -> None:
    assert settlement(end, BILLED) == settlement(end, UNPRICED) == FREE


@pytest.mark.parametrize("end", [End.REFUSED, End.CANCELLED_IN_QUEUE])
def test_what_fal_says_it_billed_is_settled_although_it_ought_to_be_free(end: End) -> None:
    assert settlement(end, BILLED) == PAINTED
    assert settlement(end, UNPRICED) == WORST


def test_what_was_delivered_is_settled_as_billed_and_counts_what_was_shown() -> None:
    assert settlement(End.DELIVERED, BILLED, shown=3) == Settlement(120_000, 3, 3)
    assert settlement(End.DELIVERED, BILLED, shown=1) == Settlement(120_000, 3, 1)
    assert settlement(End.DELIVERED, RECKONED, shown=3) == Settlement(120_000, 3, 3, estimated=True)
    assert settlement(End.DELIVERED, NOTHING, shown=2) == Settlement(0, 2, 2)
    for bill in (Bill(made=2), Bill(Told.SOMETHING, made=2)):
        assert settlement(End.DELIVERED, bill, shown=2) == Settlement(None, 2, 2, estimated=True)


@pytest.mark.parametrize(
    "end",
    [
        End.WITHHELD,
        End.UNDELIVERABLE,
        End.UNUSABLE,
        End.CANCELLED_PAINTING,
        End.POLICY_REFUSED,
        End.LOST,
    ],
)
def test_what_was_painted_unseen_is_settled_as_billed_or_at_its_worst_and_is_forgivable(end: End) -> None:
    assert settlement(end, BILLED) == PAINTED
    assert settlement(end, RECKONED) == Settlement(120_000, 3, estimated=True)
    assert settlement(end, UNPRICED) == settlement(end, UNKNOWN) == WORST
    assert settlement(end, NOTHING) == FREE


@pytest.mark.parametrize("bill", [NOTHING, BILLED, RECKONED, UNPRICED, UNKNOWN])
def test_what_fal_may_have_taken_all_the_same_counts_no_picture_and_its_worst_until_that_is_known(bill: Bill) -> None:
    assert settlement(End.IN_DOUBT, bill) == Settlement(0, 0, estimated=True, in_doubt=True)


def test_every_end_has_a_row_and_every_row_a_value_for_all_that_may_be_known() -> None:
    assert set(TABLE) == set(End)
    assert all(set(row) == set(Told) for row in TABLE.values())


def test_the_bill_of_a_result_is_fals_where_its_units_are_told() -> None:
    pictures = (RemotePicture("a"), RemotePicture("b"))

    assert bill_of(Result(pictures)) == Bill(made=2)
    assert bill_of(Result(pictures, cost_usd=Decimal("0.06"))) == Bill(Told.SUM, Decimal("0.06"), 2)
    told = Result(pictures, cost_usd=Decimal("0.06"), billable_units=Decimal(2))
    assert bill_of(told) == Bill(Told.SUM, Decimal("0.06"), 2, is_fals=True)
