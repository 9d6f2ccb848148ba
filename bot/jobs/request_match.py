"""Which of fal's listed requests is the one whose answer was lost: told by the arguments, in which our seed stands."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bot.domain.provider import FoundRequest
from bot.domain.request import Json

#: Two spellings of one number, a 32-bit float among them.
_SAME_NUMBER = 1e-6


def matches(sent: Mapping[str, Json], found: FoundRequest) -> bool:
    """Whether everything we sent stands in it. fal may have added defaults; without anything sent nothing matches."""
    return bool(sent) and found.arguments is not None and _holds(found.arguments, sent)


def _holds(there: Mapping[str, Json], sent: Mapping[str, Json]) -> bool:
    return all((name in there or value is None) and _same(value, there.get(name)) for name, value in sent.items())


def _same(sent: Json, there: Json) -> bool:
    if isinstance(sent, bool) or isinstance(there, bool):
        return sent is there
    if isinstance(sent, int) and isinstance(there, int):
        return sent == there
    if isinstance(sent, int | float) and isinstance(there, int | float):
        return math.isclose(sent, there, rel_tol=_SAME_NUMBER) and (
            float(sent) == float(there) or not (float(sent).is_integer() and float(there).is_integer())
        )
    if isinstance(sent, Mapping) and isinstance(there, Mapping):
        return _holds(there, sent)
    if isinstance(sent, list) and isinstance(there, list):
        return len(sent) == len(there) and all(map(_same, sent, there))
    return type(sent) is type(there) and sent == there
