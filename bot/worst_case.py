"""The most that can be spent under some settings: by one stranger, by one server, and by everybody. No I/O.

Every bound is one that the store holds exactly: a request is accepted only while its worst case fits under all of them.
Days are those of UTC; a month is taken to have 31.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from bot.settings import Settings, Tier

#: Days in the longest month.
DAYS = 31


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that can be spent, and the setting that says so."""

    #: US dollars; None: no bound.
    usd: Decimal | None
    #: The path of the setting, with what it is multiplied by.
    by: str

    def times(self, number: int, of: str) -> Bound:
        """So many times as much: `budget.person_usd_per_day × 31 days`."""
        return self if self.usd is None else Bound(self.usd * number, f"{self.by} × {number} {of}")

    def plus(self, other: Bound) -> Bound:
        """Both together."""
        if self.usd is None or other.usd is None:
            return self if self.usd is None else other
        return Bound(self.usd + other.usd, self.by if not other.usd else f"{self.by} + {other.by}")


#: Whom a row is about: somebody without roles, the holders of a role, a server like any other, one by its id.
Who = Literal["stranger", "role", "any_server", "server", "everybody"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    who: Who
    day: Bound
    month: Bound
    #: The id of the role or server.
    subject: str = ""


def worst_case(settings: Settings) -> list[Row]:
    """The rows of the table; roles and servers that have bounds of their own follow those that have not."""
    limits = settings.limits
    roles = [role for role, tier in limits.tiers.items() if tier.usd_per_day is not None]
    servers = [one for one, own in limits.servers.items() if (own.usd_per_day, own.usd_per_month) != (None, None)]
    rows = [
        _stranger(settings),
        *(_role(settings, role) for role in roles),
        _server(settings, None),
        *(_server(settings, server) for server in servers),
        _everybody(settings),
    ]
    return rows if limits.enabled else [replace(row, day=_LIFTED, month=_LIFTED) for row in rows]


_LIFTED = Bound(None, "limits.enabled")


# ---------------------------------------------------------------------- rows


def _stranger(settings: Settings) -> Row:
    """Somebody without any role, who knows of this bot. Where servers are listed, not in direct messages."""
    if settings.access.people != "any":
        closed = Bound(Decimal(0), "access.people")
        return Row("stranger", closed, closed)
    own = _person_day(settings, settings.limits.default, "limits.default")
    listed_day, listed_month = _listed_servers(settings)
    day = _lowest(own, listed_day, _all_day(settings))
    return Row("stranger", day, _lowest(own.times(DAYS, "days"), listed_month, _all_month(settings)))


def _role(settings: Settings, role: str) -> Row:
    own = _person_day(settings, settings.limits.tiers[role], f"limits.tiers.{role}")
    own = _highest(own, _person_day(settings, settings.limits.default, "limits.default"))
    day = _lowest(own, _all_day(settings))
    return Row("role", day, _lowest(own.times(DAYS, "days"), _all_month(settings)), role)


def _server(settings: Settings, server: str | None) -> Row:
    day = _lowest(_server_day(settings, server), _server_month(settings, server), _all_day(settings))
    month = _lowest(
        _server_month(settings, server), _server_day(settings, server).times(DAYS, "days"), _all_month(settings)
    )
    return Row("any_server" if server is None else "server", day, month, server or "")


def _everybody(settings: Settings) -> Row:
    people = _named_people(settings)
    direct = _best_person_day(settings).times(people, "person listed" if people == 1 else "people listed")
    servers_day, servers_month = _listed_servers(settings)
    by_servers = servers_day.plus(direct), servers_month.plus(direct.times(DAYS, "days"))
    by_people = (direct, direct.times(DAYS, "days")) if settings.access.people != "any" else (_NONE, _NONE)
    day = _lowest(_all_day(settings), by_servers[0], by_people[0])
    return Row("everybody", day, _lowest(_all_month(settings), by_servers[1], by_people[1]))


# ---------------------------------------------------------------------- bounds

#: A bound that is not there.
_NONE = Bound(None, "")


def _of(usd: Decimal, by: str) -> Bound:
    """An operator's sum: 0 lifts the bound."""
    return Bound(usd or None, by)


def _person_day(settings: Settings, tier: Tier, path: str) -> Bound:
    if tier.usd_per_day is not None:
        return _of(tier.usd_per_day, f"{path}.usd_per_day")
    return _of(settings.budget.person_usd_per_day, "budget.person_usd_per_day")


def _best_person_day(settings: Settings) -> Bound:
    tiers = {"limits.default": settings.limits.default}
    tiers |= {f"limits.tiers.{role}": tier for role, tier in settings.limits.tiers.items()}
    return _highest(*(_person_day(settings, tier, path) for path, tier in tiers.items()))


def _server_day(settings: Settings, server: str | None) -> Bound:
    own = settings.limits.servers.get(server or "")
    if own is not None and own.usd_per_day is not None:
        return _of(own.usd_per_day, f"limits.servers.{server}.usd_per_day")
    return _of(settings.budget.server_usd_per_day, "budget.server_usd_per_day")


def _server_month(settings: Settings, server: str | None) -> Bound:
    own = settings.limits.servers.get(server or "")
    if own is not None and own.usd_per_month is not None:
        return _of(own.usd_per_month, f"limits.servers.{server}.usd_per_month")
    return _of(settings.budget.server_usd_per_month, "budget.server_usd_per_month")


def _all_day(settings: Settings) -> Bound:
    """A day can't cost more than its month."""
    budget = settings.budget
    return _lowest(_of(budget.all_usd_per_day, "budget.all_usd_per_day"), _whole_month(settings))


def _all_month(settings: Settings) -> Bound:
    day = _of(settings.budget.all_usd_per_day, "budget.all_usd_per_day")
    return _lowest(_whole_month(settings), day.times(DAYS, "days"))


def _whole_month(settings: Settings) -> Bound:
    return _of(settings.budget.all_usd_per_month, "budget.all_usd_per_month")


def _listed_servers(settings: Settings) -> tuple[Bound, Bound]:
    """What the listed servers may spend together in a day and in a month; no bound where any may use the bot."""
    if settings.access.servers == "any":
        return _NONE, _NONE
    servers = [_server(settings, str(one)) for one in settings.access.servers]
    return _together([one.day for one in servers]), _together([one.month for one in servers])


def _together(bounds: list[Bound]) -> Bound:
    if any(bound.usd is None for bound in bounds):
        return _NONE
    usd = sum((bound.usd for bound in bounds if bound.usd is not None), Decimal(0))
    by = " + ".join(dict.fromkeys(bound.by for bound in bounds))
    return Bound(usd, f"access.servers ({by})" if by else "access.servers")


def _named_people(settings: Settings) -> int:
    """How many people are let in by name, also where they are in no listed server."""
    listed = () if settings.access.people == "any" else settings.access.people
    return len({*listed, *settings.operator.people} - set(settings.access.blocked_people))


def _lowest(*bounds: Bound) -> Bound:
    return min(bounds, key=lambda bound: Decimal("Infinity") if bound.usd is None else bound.usd)


def _highest(*bounds: Bound) -> Bound:
    return max(bounds, key=lambda bound: Decimal("Infinity") if bound.usd is None else bound.usd)
