"""Words, numbers and other people's text, made fit to be shown. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

#: At most this many combining marks on one letter survive (Hebrew and Vietnamese need up to three).
MAX_MARKS = 3

_ELLIPSIS = "…"
_ZERO_WIDTH_SPACE = "\u200b"
_JOINERS = frozenset("\u200c\u200d")
#: Blank or default-ignorable, yet neither `Cf` nor `Cc` by category.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_MARKDOWN = re.compile(r"([\\`*_~|\[\]<])")
_LINE_START = re.compile(r"^(\s*)(#{1,3}(?=\s)|-#|>{1,3}|[-+](?=\s)|\d{1,9}\.(?=\s))", re.MULTILINE)
_SCHEME = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20})://")
_EVERYBODY = re.compile(r"(?i)@(?=everyone|here)")


def clean(text: str) -> str:
    """Drop what cannot be seen or plays tricks: bidi controls, invisible runs, stacked marks, control characters.

    Whitespace runs become one space, newlines stay (at most one in a row).
    """
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")):
        category = unicodedata.category(char)
        if category in ("Mn", "Me") and char not in _BLANKS:
            marks += 1
            if marks <= MAX_MARKS and kept:
                kept.append(char)
            continue
        marks = 0
        kept.append(_visible(char, category, kept[-1] if kept else " "))
    lines = (" ".join(line.split()).strip("\u200c\u200d") for line in "".join(kept).split("\n"))
    return "\n".join(line for line in lines if line)


def _visible(char: str, category: str, before: str) -> str:
    if char == "\n":
        return char
    if char in _JOINERS:
        return "" if not before or before.isspace() or before in _JOINERS else char
    if category in ("Zs", "Zl", "Zp") or char == "\t":
        return " "
    if category in ("Cc", "Cf", "Cs", "Co", "Cn") or char in _BLANKS:
        return ""
    return char


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a word where one is near, never inside a joined emoji or a marked letter."""
    if len(text) <= limit:
        return text
    cut = max(0, limit - 1)
    space = max(text.rfind(" ", 0, cut), text.rfind("\n", 0, cut))
    if space >= cut * 3 // 4:
        cut = space
    while cut > 0 and _joined(text, cut):
        cut -= 1
    return text[:cut].rstrip() + _ELLIPSIS


def _joined(text: str, cut: int) -> bool:
    after = text[cut]
    return after in _JOINERS or text[cut - 1] in _JOINERS or unicodedata.category(after) in ("Mn", "Me", "Mc", "Sk")


def escape(text: str) -> str:
    """Disarm Discord's markdown, mentions, timestamps and links; what is read stays the same."""
    text = _MARKDOWN.sub(r"\\\1", text)
    text = _SCHEME.sub(r"\1\\:\\/\\/", text)
    text = _LINE_START.sub(_disarm_line, text)
    return _EVERYBODY.sub("@" + _ZERO_WIDTH_SPACE, text)


def _disarm_line(match: re.Match[str]) -> str:
    indent, sign = match.groups()
    if sign[0].isdigit():
        return f"{indent}{sign[:-1]}\\."
    return indent + "".join("\\" + char for char in sign)


def safe(text: str, limit: int = 600, max_lines: int = 6) -> str:
    """A person's text, to be shown in a card: cleaned, shortened to `limit` visible characters, disarmed.

    Escaping at most doubles the length (a link's `://` grows to six). Never empty.
    """
    # Cut before cleaning too: what is beyond can only matter where nearly everything is dropped.
    return escape(_fewer_lines(shorten(clean(text[: limit * 6]), limit), max_lines)) or "(nothing visible)"


def _fewer_lines(text: str, max_lines: int) -> str:
    lines = text.split("\n")
    if len(lines) <= max_lines:
        return text
    return "\n".join([*lines[: max_lines - 1], " ".join(lines[max_lines - 1 :])])


def plain(text: str, limit: int) -> str:
    """One cleaned line without markdown escapes: for alt texts, labels and autocomplete."""
    return shorten(clean(text).replace("\n", " "), limit)


def code_block(text: str, language: str = "") -> str:
    """A fenced block that `text` cannot close. Phones copy a whole block with one long press."""
    inner = re.sub(r"``(?=`)", "``" + _ZERO_WIDTH_SPACE, text).strip("\n") or " "
    if inner.endswith("`"):
        inner += " "
    return f"```{language}\n{inner}\n```"


def code(text: str) -> str:
    """Inline code that `text` cannot leave."""
    return f"`{plain(text, 200).replace('`', 'ˋ') or ' '}`"


def bar(fraction: float, cells: int = 12) -> str:
    """A bar for `fraction` 0..1; full only when it is full."""
    filled = min(cells, max(0, int(min(1.0, max(0.0, fraction)) * cells)))
    return "▰" * filled + "▱" * (cells - filled)


def duration(seconds: float) -> str:
    """`0.8 s` (never less than `0.1 s`), `12 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds < 9.95:
        return f"{max(0.1, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole // 60, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def time_left(seconds: float) -> str:
    """A guess, so rounded: `about 5 s left`, `almost done`."""
    if seconds < 1.5:
        return "almost done"
    step = 1 if seconds < 10 else 5 if seconds < 60 else 15
    return f"about {duration(max(step, round(seconds / step) * step)).replace('.0 s', ' s')} left"


def rough(seconds: float) -> str:
    """A guess: `a few seconds`, `30 s`, `4 min`, `2 h 30 min`."""
    if seconds < 8:
        return "a few seconds"
    step = next(step for bound, step in ((60, 10), (600, 60), (7200, 300), (float("inf"), 1800)) if seconds < bound)
    return duration(max(step, round(seconds / step) * step))


def money(usd: Decimal) -> str:
    """`$0.003`, `$0.04`, `$1.20`; four decimals at most."""
    if 0 < usd < Decimal("0.0001"):
        return "under $0.0001"
    rounded = usd.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN)
    whole, _, cents = f"{rounded:f}".partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 picture`, `2 pictures`, `1,204 pictures`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def when(moment: datetime) -> str:
    """A moment as Discord shows it in the reader's own time zone, relative: "in 5 minutes"."""
    return f"<t:{int(moment.timestamp())}:R>"


def clock_time(moment: datetime) -> str:
    """A moment as Discord shows it in the reader's own time zone: "14:05"."""
    return f"<t:{int(moment.timestamp())}:t>"


def join_words(words: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
