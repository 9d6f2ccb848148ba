"""`python -m bot costs`: what was spent, from the ledger, also while the bot runs; and what could be at most."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import date

from bot.cli.models import offered_models
from bot.cli.process import OK, configure_logging, run_async, say
from bot.cli.worst_case import as_text
from bot.domain.costs import CostRow, CostsBy, as_csv, total
from bot.settings import Settings, load_settings
from bot.store import Store, utcnow
from bot.worst_case import worst_case

Print = Callable[[str], None]

_HEADS = {
    CostsBy.DAY: "DAY (UTC)",
    CostsBy.PERSON: "PERSON",
    CostsBy.MODEL: "MODEL",
    CostsBy.SERVER: "SERVER",
}


def command(options: argparse.Namespace) -> int:
    """Print what was spent; returns the exit code."""
    settings = load_settings()
    if options.worst_case:
        say(as_text(worst_case(settings)))
        return OK
    configure_logging(settings)
    today = utcnow().date()
    since = options.since or today.replace(day=1)
    return run_async(spent(settings, CostsBy(options.by), since, today, say, as_table=not options.csv))


async def spent(settings: Settings, by: CostsBy, since: date, today: date, write: Print, *, as_table: bool) -> int:
    """Print the sums since a UTC day, as a table or as CSV.

    Raises:
        StoreUnusable: there is no database, or it can't be read.
    """
    store = await Store.open(settings.database_url, exclusive=False)
    try:
        rows = await store.costs.sums([by], since)
        first = await store.costs.first_day()
    finally:
        await store.close()
    if not as_table:
        write(as_csv(rows, [by]).rstrip("\r\n"))
        return OK
    titles = {model.endpoint: model.title for model in offered_models(settings).models}
    write(table(rows, by, titles))
    if first is None or first > since:
        write(f"\nThe ledger has nothing before {first or today}: older days are deleted once no budget needs them.")
    return OK


def table(rows: Sequence[CostRow], by: CostsBy, titles: dict[str, str]) -> str:
    """Aligned columns for a terminal, with the sum below."""
    lines = [(_HEADS[by], "PICTURES", "USD", "OF IT RESERVED", "ESTIMATED")]
    lines += [(_name(row, by, titles), *_figures(row)) for row in rows]
    lines.append(("all", *_figures(total(rows))))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _figures(row: CostRow) -> tuple[str, str, str, str]:
    amounts = (row.usd_micros, row.reserved_usd_micros, row.estimated_usd_micros)
    usd, reserved, estimated = (f"{micros / 1_000_000:.4f}" for micros in amounts)
    return str(row.pictures), usd, reserved, estimated


def _name(row: CostRow, by: CostsBy, titles: dict[str, str]) -> str:
    match by:
        case CostsBy.DAY:
            return str(row.day)
        case CostsBy.PERSON:
            return str(row.user_id) if row.user_id is not None else "erased"
        case CostsBy.MODEL:
            return titles.get(row.endpoint, row.endpoint) if row.endpoint is not None else "not on record"
        case CostsBy.SERVER:
            return str(row.guild_id) if row.guild_id is not None else "direct messages"
