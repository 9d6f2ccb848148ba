"""What painting has cost, in sums over the ledger, and the same sums as a table for spreadsheets. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from bot.domain.money import usd_of

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class CostsBy(StrEnum):
    """What costs are added up by."""

    DAY = "day"
    PERSON = "person"
    MODEL = "model"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class CostRow:
    """One sum. What it was not added up by is None."""

    #: Millionths of a US dollar that count: billed, or reserved at the worst case while a picture is painted.
    usd_micros: int
    #: Pictures that count, in the same way.
    pictures: int
    #: Of `usd_micros`, what is only reserved.
    reserved_usd_micros: int = 0
    #: Of `usd_micros`, what fal has not told, or what was assumed because a price is not known.
    estimated_usd_micros: int = 0
    #: The UTC day on which it was reserved.
    day: date | None = None
    #: None also where the person had their data erased.
    user_id: int | None = None
    #: The model's endpoint; None also for what was painted before the ledger knew it.
    endpoint: str | None = None
    #: None also outside servers.
    guild_id: int | None = None

    @property
    def usd(self) -> Decimal:
        """The whole sum in US dollars."""
        return usd_of(self.usd_micros)

    @property
    def is_estimated(self) -> bool:
        """Whether any part of it may still turn out otherwise."""
        return bool(self.reserved_usd_micros or self.estimated_usd_micros)


def total(rows: Iterable[CostRow]) -> CostRow:
    """The sum of sums."""
    every = list(rows)
    return CostRow(
        sum(row.usd_micros for row in every),
        sum(row.pictures for row in every),
        sum(row.reserved_usd_micros for row in every),
        sum(row.estimated_usd_micros for row in every),
    )


def as_csv(
    rows: Iterable[CostRow],
    by: Sequence[CostsBy],
    *,
    person: Callable[[int], str] = str,
    model: Callable[[str], str] = str,
) -> str:
    """A table with a head, one line a row, lines ended as RFC 4180 has it. No cell begins like a formula.

    Args:
        by: what the rows were added up by, in the order of the columns.
        person: how a person's id is written. Spreadsheets round numbers of more than 15 digits.
        model: how a model's endpoint is written.
    """

    def key(row: CostRow, column: CostsBy) -> str:
        match column:
            case CostsBy.DAY:
                return row.day.isoformat() if row.day is not None else ""
            case CostsBy.PERSON:
                return person(row.user_id) if row.user_id is not None else "erased"
            case CostsBy.MODEL:
                return model(row.endpoint) if row.endpoint is not None else "unknown"
            case CostsBy.SERVER:
                return str(row.guild_id) if row.guild_id is not None else "direct messages"

    made = io.StringIO(newline="")
    table = csv.writer(made)
    table.writerow([*by, "pictures", "usd", "usd_reserved", "usd_estimated"])
    for row in rows:
        sums = (row.usd_micros, row.reserved_usd_micros, row.estimated_usd_micros)
        cells = [*(key(row, column) for column in by), str(row.pictures), *(f"{usd_of(micros):f}" for micros in sums)]
        table.writerow([safe_cell(cell) for cell in cells])
    return made.getvalue()


def safe_cell(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would calculate it."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
