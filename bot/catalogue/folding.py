"""Comparing what was typed or pasted with what we show: other case, other spaces, dashes and ×, labels cut off."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

#: Separates a name from the words about it, in labels of autocomplete.
SEPARATOR: Final = " · "
_LIKE_X = dict.fromkeys(map(ord, "×✕✖⨯⨉╳хХ✗"), "x")
_LIKE_COLON = dict.fromkeys(map(ord, "∶：﹕"), ":")
_LIKE_DOT = dict.fromkeys(map(ord, "•∙⋅‧・"), "·")
_MARKUP = {ord("`"): None}
#: Bold and italic, around the whole or a part; a star between figures is a sign for "times".
_STARS = re.compile(r"\*{2,}|^\s*\*|\*\s*$")
_TIMES = re.compile(r"(?<=[0-9])(\s*)\*(\s*)(?=[0-9])")
_TABLE: Final = {**_LIKE_X, **_LIKE_COLON, **_LIKE_DOT, **_MARKUP}
_CUT = re.compile(r"(?:…|\.\.\.)\s*$")
#: No name has more characters; what was typed behind them matches nothing, but would be looked for in every name.
_LONGEST_TYPED: Final = 200
#: Fewest characters of a label that was cut off.
_LEAST_CUT: Final = 3


def fold(text: str) -> str:
    """The text as it is compared: lower case, plain spaces and signs, nothing invisible, no markup around it."""
    kept = unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)
    kept = _TIMES.sub(r"\1x\2", _STARS.sub("", kept))
    plain = "".join(_plain(character) for character in kept)
    return " ".join(plain.casefold().split())


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Pd" or character == "−":
        return "-"
    return "" if category in {"Cf", "Cs"} else character


def squash(text: str) -> str:
    """Letters and digits alone: `Z-Image Turbo`, `z_image turbo` and `zimageturbo` are the same."""
    return "".join(character for character in fold(text) if character.isalnum())


def by_label(typed: str, labels: Iterable[tuple[str, str]]) -> str | None:
    """The value of the (label, value) that was given back, perhaps cut off; None where none or several fit.

    A beginning counts as one that was cut off where it reaches into the words after the name, or ends with an ellipsis.
    """
    every = [(fold(label), value) for label, value in labels]
    wanted = squash(typed)
    for same in (
        {value for label, value in every if label == fold(typed)},
        {value for label, value in every if squash(label) == wanted} if wanted else set(),
    ):
        if len(same) == 1:
            return same.pop()
    cut = _CUT.sub("", fold(typed)).rstrip(" ·")
    if len(cut) < _LEAST_CUT or (SEPARATOR.strip() not in fold(typed) and not _CUT.search(fold(typed))):
        return None
    begun = {value for label, value in every if label.startswith(cut)}
    return begun.pop() if len(begun) == 1 else None


def match_rank(typed: str, *texts: str) -> int | None:
    """How well typed text matches a name, 0 best; None where a typed word occurs nowhere.

    0 one of the texts exactly, 1 its beginning up to the end of a word, 2 whole words, 3 beginnings of words, 4 inside.
    """
    words = re.split(r"[^\w:.]+|_", fold(typed[:_LONGEST_TYPED]))
    words = [word for word in words if word]
    if not words:
        return 0
    ranks = [rank for text in texts if (rank := _rank(words, text)) is not None]
    if ranks:
        return min(ranks)
    everything = " ".join(map(fold, texts))
    return 4 if all(word in everything for word in words) else None


def _rank(words: list[str], text: str) -> int | None:
    own = [word for word in re.split(r"[^\w:.]+|_", fold(text)) if word]
    if own == words or "".join(own) == "".join(words):
        return 0
    if own[: len(words)] == words:
        return 1
    if all(word in own for word in words):
        return 2
    if all(any(one.startswith(word) for one in own) for word in words):
        return 3
    return 4 if all(word in fold(text) for word in words) else None
