r"""The line in Details that is pasted back into Discord, and how it is read.

Discord's client takes a pasted line apart wherever it finds the name of an option and a colon, and knows no quotes.
So inside a value such a colon is written with a backslash, `size\:`, and a line break as `\⏎`. Backslashes that stand
there already are doubled; what nobody has to escape stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

from bot.catalogue.model import COMMON_ALIASES

#: The options of /imagine that a line names, in its order.
LINE_FIELDS: Final = ("prompt", "model", *COMMON_ALIASES, "options")
_NAME = re.compile(rf"\b({'|'.join(sorted(LINE_FIELDS, key=len, reverse=True))})(\\*):", re.IGNORECASE)
# The lookbehinds keep long runs of backslashes linear.
_BREAK = re.compile(r"(?<!\\)(\\*)(\n|⏎)")
_WRITTEN_BREAK = re.compile(r"(?<!\\)(\\+)⏎")


def escape(value: str) -> str:
    """Write a value so that `unescape` gives it back, and nothing in it looks like the next option."""
    unbroken = _BREAK.sub(lambda found: found[1] * 2 + ("\\⏎" if found[2] == "\n" else "⏎"), value)
    return _NAME.sub(lambda found: f"{found[1]}{found[2] * 2}\\:", unbroken)


def unescape(value: str) -> str:
    """Read a value that `escape` wrote, or that somebody typed."""
    return _WRITTEN_BREAK.sub(_break, _NAME.sub(_colon, value))


def _colon(found: re.Match[str]) -> str:
    backslashes = len(found[2])
    return f"{found[1]}{found[2][: backslashes // 2]}:" if backslashes % 2 else found[0]


def _break(found: re.Match[str]) -> str:
    half = "\\" * (len(found[1]) // 2)
    return half + ("\n" if len(found[1]) % 2 else "⏎")
