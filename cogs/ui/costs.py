"""The card of /costs: what was spent, by whom and on what, with a chart and a table. Pure functions."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import discord

from bot.domain.costs import CostRow, total
from bot.domain.money import to_show_as_spent, usd_of
from bot.media.charts import Bar, Chart, Line
from bot.phrase import Phrase, phrase
from cogs.ui import text
from cogs.ui.buttons import button, row
from cogs.ui.cards import ALT_LIMIT, BLUE, Card
from cogs.ui.messages import say

CHART_FILE = "costs.png"
#: Lines of each list; the others are summed up.
MOST_LISTED = 5
#: The scale ends with one of these times a power of ten.
_ROUND = (1, 2, 3, 4, 6, 8)
#: A bound that is so many times as high as the highest bar would only press the bars down.
_FAR = 3
_LEAST_SCALE_MICROS = 10_000
#: Every so many days has its number under the chart.
_LABEL_EVERY = 7


class Period(StrEnum):
    """What the lists are about."""

    TODAY = "today"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The budgets that hold for what is shown, in millionths of a US dollar; None: no bound."""

    day: int | None = None
    month: int | None = None


@dataclass(frozen=True, slots=True)
class CostsView:
    """Everything on the card."""

    #: Today, a UTC day.
    today: date
    #: One row for each day of the month on which anything was spent.
    days: Sequence[CostRow]
    bounds: Bounds
    #: What the lists are about, and the lists, the dearest first.
    period: Period
    people: Sequence[CostRow]
    models: Sequence[CostRow]
    #: By server, where all servers are shown.
    servers: Sequence[CostRow] | None = None
    #: Whether the person may change between this server and all of them.
    may_change_place: bool = False
    #: The file with the table, and whether there is a chart.
    table_file: str = ""
    has_chart: bool = True

    @property
    def is_everywhere(self) -> bool:
        """Whether all servers are shown."""
        return self.servers is not None


def costs_page(view: CostsView, name_of: Callable[[str], str], *, locale: str) -> Card:
    """The card, from the sums down to the table.

    Args:
        name_of: the title of a model's endpoint.
    """
    title = "costs_title_everywhere" if view.is_everywhere else "costs_title"
    parts: list[discord.ui.Item[Any]] = [_words("\n".join([f"### {say(locale, title)}", *_sums(view, locale)]))]
    if view.has_chart:
        gallery: discord.ui.MediaGallery[Any] = discord.ui.MediaGallery()
        gallery.add_item(media=f"attachment://{CHART_FILE}", description=alt_text(view, locale=locale))
        parts.append(gallery)
    parts.append(_words(f"-# {say(locale, _legend(view))}"))
    parts += [_words("\n".join(lines)) for lines in _lists(view, name_of, locale)]
    parts.append(discord.ui.File(f"attachment://{view.table_file}"))
    parts.append(row(*_buttons(view, locale)))
    return Card(*parts, colour=BLUE)


def _sums(view: CostsView, locale: str) -> Iterator[str]:
    today = total(one for one in view.days if one.day == view.today)
    for code, spent, bound in (
        ("costs_today", today, view.bounds.day),
        ("costs_month", total(view.days), view.bounds.month),
    ):
        yield say(locale, code, spent=_spent(spent, bound), pictures=spent.pictures)
    reserved = total(view.days).reserved_usd_micros
    if reserved:
        yield f"-# {say(locale, 'costs_reserved', usd=_rounded(reserved))}"


def _spent(spent: CostRow, bound: int | None) -> Phrase:
    about = "_about" if spent.is_estimated else ""
    if bound is None:
        return Phrase(f"costs_spent{about}", {"usd": _rounded(spent.usd_micros)})
    return Phrase(f"costs_spent_of{about}", {"usd": _rounded(spent.usd_micros), "bound": usd_of(bound)})


def _rounded(micros: int) -> Decimal:
    return to_show_as_spent(usd_of(micros))


def _legend(view: CostsView) -> Phrase:
    if not view.has_chart:
        return phrase("costs_no_chart")
    return phrase("costs_legend_bound") if _bound_line(view, "en") is not None else phrase("costs_legend")


def _lists(view: CostsView, name_of: Callable[[str], str], locale: str) -> Iterator[list[str]]:
    when = "" if view.period is Period.MONTH else "_today"
    if view.servers:
        yield _list(f"costs_by_server{when}", view.servers, _server, locale)
    if view.people:
        yield _list(f"costs_by_person{when}", view.people, _person, locale)
    if view.models:
        yield _list(f"costs_by_model{when}", view.models, lambda one: _model(one, name_of), locale)
    if not view.people:
        yield [say(locale, f"costs_nothing{when}")]


def _list(code: str, rows: Sequence[CostRow], name: Callable[[CostRow], str | Phrase], locale: str) -> list[str]:
    shown, rest = rows[:MOST_LISTED], rows[MOST_LISTED:]
    lines = [say(locale, code)]
    lines += [_line(name(one), one, locale) for one in shown]
    if rest:
        lines.append(_line(phrase("costs_others", count=len(rest)), total(rest), locale))
    return lines


def _line(name: str | Phrase, spent: CostRow, locale: str) -> str:
    return say(locale, "costs_line", name=name, spent=_spent(spent, None), pictures=spent.pictures)


def _person(one: CostRow) -> str | Phrase:
    return f"<@{one.user_id}>" if one.user_id is not None else phrase("costs_erased")


def _model(one: CostRow, name_of: Callable[[str], str]) -> str | Phrase:
    if one.endpoint is None:
        return phrase("costs_unknown_model")
    return text.escape(text.plain(name_of(one.endpoint), 80))


def _server(one: CostRow) -> str | Phrase:
    return phrase("costs_server", id=str(one.guild_id)) if one.guild_id is not None else phrase("costs_no_server")


def _buttons(view: CostsView, locale: str) -> Iterator[discord.ui.Button[Any]]:
    place = ".all" if view.is_everywhere else ""
    for period in Period:
        shown = period is view.period
        label = say(locale, f"action_costs.{period}")
        yield button("costs", f"{period}{place}", locale=locale, label=label, disabled=shown)
    if view.may_change_place:
        other, code = ("", "here") if view.is_everywhere else (".all", "everywhere")
        yield button("costs", f"{view.period}{other}", locale=locale, label=say(locale, f"action_costs.{code}"))


def _words(content: str) -> discord.ui.TextDisplay[Any]:
    return discord.ui.TextDisplay(content)


# ---------------------------------------------------------------------- the chart


def chart_of(view: CostsView, *, locale: str) -> Chart:
    """The days of the month as bars."""
    by_day = {one.day: one for one in view.days}
    bars = tuple(_bar(by_day.get(day), day, view.today) for day in _days_of_month(view.today))
    scale = tuple(Line(micros, say(locale, "amount", usd=usd_of(micros))) for micros in _scale(view))
    return Chart(bars, scale, _bound_line(view, locale))


def _bar(spent: CostRow | None, day: date, today: date) -> Bar:
    label = str(day.day) if (day.day - 1) % _LABEL_EVERY == 0 else ""
    if spent is None:
        return Bar(0, label=label, marked=day == today)
    return Bar(spent.usd_micros, spent.reserved_usd_micros, label, marked=day == today)


def _days_of_month(today: date) -> list[date]:
    first = today.replace(day=1)
    return [first + timedelta(days=at) for at in range(calendar.monthrange(today.year, today.month)[1])]


def _scale(view: CostsView) -> tuple[int, int, int]:
    """0, a half, and a round amount that no bar exceeds, nor a bound that is not far above them."""
    most = max((one.usd_micros for one in view.days), default=0)
    if view.bounds.day is not None and view.bounds.day <= _FAR * most:
        most = max(most, view.bounds.day)
    power = _LEAST_SCALE_MICROS
    while power * _ROUND[-1] < most:
        power *= 10
    top = next(power * times for times in _ROUND if power * times >= most)
    return 0, top // 2, top


def _bound_line(view: CostsView, locale: str) -> Line | None:
    """The day's budget, where it is no higher than the chart."""
    bound = view.bounds.day
    if bound is None or not 0 < bound <= _scale(view)[-1]:
        return None
    return Line(bound, say(locale, "amount", usd=usd_of(bound)))


def alt_text(view: CostsView, *, locale: str) -> str:
    """Every day on which something was spent, for those who don't see the chart."""
    spent = [one for one in view.days if one.day is not None]
    days = tuple(phrase("costs_alt_day", day=one.day.day, usd=_rounded(one.usd_micros)) for one in spent if one.day)
    if not days:
        return say(locale, "costs_alt_nothing")
    return text.shorten(say(locale, "costs_alt", days=days), ALT_LIMIT)


__all__ = ["CHART_FILE", "Bounds", "CostsView", "Period", "alt_text", "chart_of", "costs_page"]
