from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal

import pytest

from bot.domain.costs import CostRow, CostsBy, as_csv, safe_cell, total


def rows_in(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_table_has_a_head_and_exact_sums() -> None:
    rows = [
        CostRow(1_234_567, 3, 200_000, 34_567, day=date(2026, 11, 2), user_id=7, endpoint="fal-ai/x", guild_id=9),
        CostRow(3, 1, day=date(2026, 11, 3)),
    ]
    by = [CostsBy.DAY, CostsBy.SERVER, CostsBy.PERSON, CostsBy.MODEL]
    first, second = rows_in(as_csv(rows, by, person=lambda one: f"<@{one}>", model=str.upper))
    assert first == {
        "day": "2026-11-02",
        "server": "9",
        "person": "<@7>",
        "model": "FAL-AI/X",
        "pictures": "3",
        "usd": "1.234567",
        "usd_reserved": "0.2",
        "usd_estimated": "0.034567",
    }
    assert (second["usd"], second["person"], second["model"]) == ("0.000003", "erased", "unknown")
    assert second["server"] == "direct messages"


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x","y")', "＝1", " =1"]
)
def test_no_cell_begins_like_a_formula(name: str) -> None:
    row = CostRow(1, 1, endpoint="fal-ai/x")
    (read,) = rows_in(as_csv([row], [CostsBy.MODEL], model=lambda _: name))
    assert not read["model"].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert not read["model"].startswith("＝")
    assert name in read["model"]


def test_other_cells_stay_as_they_are() -> None:
    for name in ("FLUX.1 schnell", "a=b", "1-2", "", "'quoted'", "<@1>", "a,b\nc"):
        assert safe_cell(name) == name
    (read,) = rows_in(as_csv([CostRow(1, 1, endpoint="x")], [CostsBy.MODEL], model=lambda _: 'a,"b"\nc'))
    assert read["model"] == 'a,"b"\nc'


def test_sums_of_sums() -> None:
    summed = total([CostRow(5, 1, 2, 3), CostRow(7, 2, 1, 0)])
    assert summed == CostRow(12, 3, 3, 3)
    assert summed.is_estimated
    assert summed.usd == Decimal("0.000012")
    assert total([]) == CostRow(0, 0)
    assert not CostRow(5, 1).is_estimated
