"""Sanitize text that people typed, and format numbers as phrases. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from decimal import ROUND_HALF_EVEN, Decimal

from bot import graphemes
from bot.domain.money import LEAST_USD
from bot.phrase import Phrase, phrase

#: Lengths are those of `bot.graphemes`, in UTF-16 units.
length, shorten, head = graphemes.length, graphemes.shorten, graphemes.head

#: Most combining marks kept on one letter (Hebrew and Vietnamese need up to three).
MAX_MARKS = 3


_ZERO_WIDTH_SPACE = "\u200b"
_JOINERS = frozenset("\u200c\u200d")
#: Blank or default-ignorable characters whose category is neither `Cf` nor `Cc`.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_MARKDOWN = re.compile(r"([\\`*_~|\[\]<])")
# Not `\s*`: that would look at the rest of many empty lines from each of them.
_LINE_START = re.compile(r"^([^\S\n]*)(#{1,3}(?=\s)|-#|>{1,3}|[-+](?=\s)|\d{1,9}\.(?=\s))", re.MULTILINE)
_INLINE_CODE = re.compile(r"(`[^`\n]+`)")
_EVERYBODY = re.compile(r"(?i)@(?=everyone|here)")
#: The slash behind what looks like a host: Discord shows `discord.gg/…`, `discord.gift/…` and the like as invites and
#: gifts without any scheme.
_PATH = re.compile(r"(\.[^\W_]{2,24}\.?(?::\d{1,5})?)/")


def clean(text: str) -> str:
    """Remove invisible and spoofing characters: bidi controls, zero-width characters, stacked marks, controls.

    Runs of whitespace become one space, runs of newlines one newline.
    """
    if text.isascii() and text.isprintable():  # most prompts; there is nothing to remove
        return " ".join(text.split())
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


def escape(text: str) -> str:
    """Escape Discord's markdown, mentions, timestamps and links, so that the text is shown literally."""
    text = _MARKDOWN.sub(r"\\\1", text)
    text = _disarmed(text)
    text = _LINE_START.sub(_disarm_line, text)
    return _EVERYBODY.sub("@" + _ZERO_WIDTH_SPACE, text)


def without_links(sentence: str) -> str:
    """A sentence of ours that may quote somebody: nothing in it is a link, but what stands in inline code is kept."""
    pieces = _INLINE_CODE.split(sentence)  # every other one is code
    return "".join(piece if index % 2 else _disarmed(piece).replace("](", r"]\(") for index, piece in enumerate(pieces))


def _disarmed(text: str) -> str:
    """Whatever stands before `://`, Discord makes a link of it where it can; behind a backslash it can't.

    The same goes for an invite, which needs none (`host.tld/…`). The backslashes are not shown.
    """
    text = text.replace("://", r"\:\/\/")
    return _PATH.sub(r"\1\/", text)


def _disarm_line(match: re.Match[str]) -> str:
    indent, sign = match.groups()
    if sign[0].isdigit():
        return f"{indent}{sign[:-1]}\\."
    return indent + "".join("\\" + char for char in sign)


def safe(text: str, limit: int = 600, max_lines: int = 6) -> str:
    """Clean, shorten and escape a person's text for a card.

    The result has `limit` UTF-16 units before escaping, which at most doubles them (a link's `://` grows to six).
    Empty where nothing is visible.
    """
    # Cut before cleaning too, to bound the work; more text would matter only if nearly all of it were removed.
    return escape(_fewer_lines(shorten(clean(text[: limit * 6]), limit), max_lines))


def _fewer_lines(text: str, max_lines: int) -> str:
    lines = text.split("\n")
    if len(lines) <= max_lines:
        return text
    return "\n".join([*lines[: max_lines - 1], " ".join(lines[max_lines - 1 :])])


def plain(text: str, limit: int) -> str:
    """One cleaned line without escapes, for alt texts, labels and autocomplete, which show no markdown."""
    return shorten(clean(text).replace("\n", " "), limit)


def code_block(text: str, language: str = "") -> str:
    """A fenced code block that `text` can't close. Phones copy a whole block with one long press."""
    inner = re.sub(r"``(?=`)", "``" + _ZERO_WIDTH_SPACE, text).strip("\n") or " "
    if inner.endswith("`"):
        inner += " "
    return f"```{language}\n{inner}\n```"


def code(text: str) -> str:
    """Inline code that `text` can't close."""
    return f"`{plain(text, 200).replace('`', 'ˋ') or ' '}`"


def bar(fraction: float, cells: int = 12) -> str:
    """A progress bar for `fraction` 0..1; rounded down, so that it is full only at 1."""
    filled = min(cells, max(0, int(min(1.0, max(0.0, fraction)) * cells)))
    return "▰" * filled + "▱" * (cells - filled)


def duration(seconds: float) -> Phrase:
    """`0.8 s` (never less than `0.1 s`), `12 s`, `2 min 5 s`, `1 h 3 min`."""
    return phrase("duration_tenths", seconds=round(max(0.1, seconds), 1)) if seconds < 9.95 else whole_duration(seconds)


def whole_duration(seconds: float) -> Phrase:
    """`2 s`, `12 s`, `2 min 5 s`, `1 h 3 min`."""
    whole = round(seconds)
    if whole < 60:
        return phrase("duration_seconds", seconds=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        with_seconds = phrase("duration_minutes_seconds", minutes=minutes, seconds=rest)
        return with_seconds if rest else phrase("duration_minutes", minutes=minutes)
    hours, rest = divmod(minutes, 60)
    with_minutes = phrase("duration_hours_minutes", hours=hours, minutes=rest)
    return with_minutes if rest else phrase("duration_hours", hours=hours)


def time_left(seconds: float) -> Phrase:
    """A remaining time, rounded because it is an estimate: `about 5 s left`, `almost done`."""
    if seconds < 1.5:
        return phrase("almost_done")
    step = 1 if seconds < 10 else 5 if seconds < 60 else 15
    return phrase("time_left", duration=whole_duration(max(step, round(seconds / step) * step)))


def rough(seconds: float) -> Phrase:
    """A coarsely rounded estimate: `a few seconds`, `30 s`, `4 min`, `2 h 30 min`."""
    if seconds < 8:
        return phrase("a_few_seconds")
    step = next(step for bound, step in ((60, 10), (600, 60), (7200, 300), (float("inf"), 1800)) if seconds < bound)
    return whole_duration(max(step, round(seconds / step) * step))


def money(usd: Decimal) -> Phrase:
    """`$0.003`, `$0.04`, `$1.20`; four decimals at most."""
    if 0 < usd < LEAST_USD:
        return phrase("usd_under", amount=LEAST_USD)
    return phrase("usd", amount=usd.quantize(LEAST_USD, rounding=ROUND_HALF_EVEN))
