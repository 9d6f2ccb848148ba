"""Check that a prompt has visible words and can be sent as JSON. The text itself is not changed."""

from __future__ import annotations

import re
import unicodedata

from bot.phrase import Phrase, phrase

# Mentions of people, roles, channels and commands, and timestamps. Custom emoji stay: their names are words.
_MENTIONS = re.compile(r"<(?:@[!&]?|#)\d+>|</[^>]{1,80}:\d+>|<t:-?\d+(?::\w)?>|@everyone|@here|https?://\S+")
#: Letters and symbols that are invisible: Hangul fillers and the empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
#: Most combining marks per visible character; no living script needs more than about two.
_MOST_MARKS = 3


def _visible(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] in "LN" or category in {"So", "Sc"}) and character not in _BLANK


def nothing_to_paint(text: str) -> Phrase | None:
    """Why a prompt has nothing to paint (it is empty, invisible or only marks); None when it has."""
    if not text.strip():
        return phrase("prompt_empty")
    plain = unicodedata.normalize("NFC", _MENTIONS.sub(" ", text))
    if plain.isascii() and any(map(_visible, plain)):  # most prompts; marks are beyond ASCII
        return None
    seen = sum(_visible(character) for character in plain)
    marks = sum(unicodedata.category(character) in {"Mn", "Me"} for character in plain if not _variation(character))
    if not seen:
        return phrase("prompt_invisible")
    if marks > _MOST_MARKS * seen:
        return phrase("prompt_accents")
    return None


def _variation(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or character == "\u20e3"


def unsendable(text: str) -> bool:
    """Whether the text has characters that a JSON parser may refuse: control characters and lone surrogates."""
    return _UNSENDABLE.search(text) is not None
