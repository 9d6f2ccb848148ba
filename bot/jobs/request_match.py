"""Recognise a lost request in fal's list by its arguments, which contain our random seed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bot.domain.provider import FoundRequest
from bot.domain.request import Json

#: Relative tolerance between a number as sent and as listed, which may have passed through a 32-bit float.
_SAME_NUMBER = 1e-6


def matches(sent: Mapping[str, Json], found: FoundRequest) -> bool:
    """Whether the entry has every argument we sent (fal may add defaults). False when no argument was sent."""
    return bool(sent) and found.arguments is not None and _contains(found.arguments, sent)


def _contains(listed: Mapping[str, Json], sent: Mapping[str, Json]) -> bool:
    return all((name in listed or value is None) and _same(value, listed.get(name)) for name, value in sent.items())


def _same(sent: Json, listed: Json) -> bool:
    if isinstance(sent, bool) or isinstance(listed, bool):
        return sent is listed
    if isinstance(sent, int) and isinstance(listed, int):
        return sent == listed
    if isinstance(sent, int | float) and isinstance(listed, int | float):
        return math.isclose(sent, listed, rel_tol=_SAME_NUMBER) and (
            float(sent) == float(listed) or not (float(sent).is_integer() and float(listed).is_integer())
        )
    if isinstance(sent, Mapping) and isinstance(listed, Mapping):
        return _contains(listed, sent)
    if isinstance(sent, list) and isinstance(listed, list):
        return len(sent) == len(listed) and all(map(_same, sent, listed))
    return type(sent) is type(listed) and sent == listed
