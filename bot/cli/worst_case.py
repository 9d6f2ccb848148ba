"""What `python -m bot costs --worst-case` prints: the most that can be spent, and which setting bounds it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.worst_case import Bound, Row

_WHO = {
    "stranger": "one stranger",
    "role": "one person with the role {}",
    "any_server": "one server",
    "server": "the server {}",
    "everybody": "everybody together",
}


def as_text(rows: Sequence[Row]) -> str:
    """Aligned columns for a terminal."""
    cells = [("WHO", "IN A DAY", "BOUNDED BY", "IN A MONTH", "BOUNDED BY"), *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[4]]) for row in cells
    ]
    return "\n".join(["The most that can be spent (days and months of UTC):", "", *lines])


def as_markdown(rows: Sequence[Row]) -> str:
    """A GitHub table."""
    lines = ["| Who | In a day | Bounded by | In a month | Bounded by |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        who, day, day_by, month, month_by = _cells(row)
        lines.append(f"| {who[0].upper()}{who[1:]} | {day} | `{day_by}` | {month} | `{month_by}` |")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    who = _WHO[row.who].format(row.subject)
    return who, _usd(row.day), _by(row.day), _usd(row.month), _by(row.month)


def _usd(bound: Bound) -> str:
    return "no bound" if bound.usd is None else f"${bound.usd:,.2f}"


def _by(bound: Bound) -> str:
    if bound.usd is not None:
        return bound.by
    return "limits.enabled is false" if bound.by == "limits.enabled" else "nothing"
