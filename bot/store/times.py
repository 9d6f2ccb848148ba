"""Moments and days as the tables hold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Our clock may be wrong by an hour; what can't be undone waits for so much longer.
WRONG_CLOCK_US = 65 * 60 * 1_000_000


def utcnow() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


def to_us(moment: datetime) -> int:
    """Whole microseconds since 1970; exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """The moment `to_us` was given, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def maybe_us(moment: datetime | None) -> int | None:
    """`to_us`, None staying None."""
    return None if moment is None else to_us(moment)


def maybe_from_us(us: int | None) -> datetime | None:
    """`from_us`, None staying None."""
    return None if us is None else from_us(us)


def span_us(span: timedelta) -> int:
    """A length of time in whole microseconds."""
    return span // _MICROSECOND


def day_of(moment: datetime) -> int:
    """The UTC calendar day, counted from 1970."""
    return (moment - _EPOCH).days


@lru_cache(maxsize=64)
def month_of(day: int) -> int:
    """The first day of the month in which a day is, both counted from 1970."""
    return day_of(moment_of(day).replace(day=1))


def moment_of(day: int) -> datetime:
    """The first moment of a UTC calendar day."""
    return _EPOCH + timedelta(days=day)
