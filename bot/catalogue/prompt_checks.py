"""Whether a text says anything a model can paint. It is never altered beyond its edges."""

from __future__ import annotations

import re
import unicodedata

from bot.phrase import Phrase, phrase

# Mentions of people, roles, channels and commands, and timestamps. Custom emoji stay: their names are words.
_MENTIONS = re.compile(r"<(?:@[!&]?|#)\d+>|</[^>]{1,80}:\d+>|<t:-?\d+(?::\w)?>|@everyone|@here|https?://\S+")
#: Letters and symbols that show nothing: Hangul fillers and the empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
#: Combining marks a text may have per visible character; no living script needs more than about two.
_MOST_MARKS = 3


def _visible(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] in "LN" or category in {"So", "Sc"}) and character not in _BLANK


def nothing_to_paint(text: str) -> Phrase | None:
    """Why a prompt cannot be painted; None when it can."""
    if not text.strip():
        return phrase("prompt_empty")
    plain = unicodedata.normalize("NFC", _MENTIONS.sub(" ", text))
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
    """Whether the text holds characters that no JSON reader has to take: controls and lone surrogates."""
    return any(
        unicodedata.category(character) == "Cs" or (character < " " and character not in "\n\r\t") for character in text
    )
