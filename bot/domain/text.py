"""How long a text is by either way of counting, and cutting it to that."""

from __future__ import annotations


def utf16_length(text: str) -> int:
    """The length in UTF-16 units: an emoji counts twice. It is never less than the number of characters.

    Discord and fal may count in either way; what fits by this one fits by both.
    """
    return len(text) + sum(character > "\uffff" for character in text)


def cut_utf16(text: str, units: int) -> str:
    """The beginning of a text, at most so many UTF-16 units long; no character is cut in two."""
    if len(text) <= units and utf16_length(text) <= units:
        return text
    left = units
    for at, character in enumerate(text):
        left -= 2 if character > "\uffff" else 1
        if left < 0:
            return text[:at]
    return text
