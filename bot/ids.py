"""Job ids: short, sortable by time, safe in button ids, nonces and file names."""

from __future__ import annotations

from random import Random

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
#: 36**9 ms reach past the year 5000; until then ids sort as text.
_TIME_CHARS = 9
#: 31 random bits for each millisecond.
_RANDOM_CHARS = 6


def new_job_id(now_ms: int, random: Random) -> str:
    """Make a job id of 15 characters `[0-9a-z]` that sorts by time.

    Args:
        now_ms: milliseconds since 1970 (UTC).
        random: the source of randomness; `random.SystemRandom()` outside tests.
    """
    if not 0 <= now_ms < len(_DIGITS) ** _TIME_CHARS:
        raise ValueError(f"now_ms is out of range: {now_ms}")
    return _base36(now_ms, _TIME_CHARS) + _base36(random.randrange(len(_DIGITS) ** _RANDOM_CHARS), _RANDOM_CHARS)


def _base36(number: int, width: int) -> str:
    text = ""
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text
