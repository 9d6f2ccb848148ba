"""What clings to a value that was pasted: quotes, a header's word, invisible characters. Told by name, value unseen."""

from __future__ import annotations

import re
import unicodedata

from pydantic_core import PydanticCustomError

#: The type of the errors made here; their message is a whole sentence about the setting.
FLAWED = "flawed"

_QUOTES = "\"'`´“”„‟‘’‚‛«»‹›＂＇"
_QUOTED = (
    "a quotation mark arrived as part of its value. Write the value without quotes: Docker's --env-file, for one, "
    "takes them literally."
)
_PREFIX = re.compile(r"(Bot|Bearer|Basic|Key|Token):?\s", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(export\s+)?[A-Z][A-Z0-9]*_[A-Z0-9_]+\s*=")


def trimmed(text: str) -> str:
    """Without spaces, line breaks and invisible characters (byte order mark, zero-width space) around it."""
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return character.isspace() or (_is_invisible(character) and unicodedata.category(character) != "Cc")


def _is_invisible(character: str) -> bool:
    """Byte order mark, zero-width space and their like; control characters; letters that show nothing."""
    return unicodedata.category(character) in ("Cc", "Cf") or character in "\u115f\u3164\u2800"


def name_meant(name: str) -> str:
    """The name of a variable without what arrived around it."""
    return trimmed(trimmed(name).strip(_QUOTES))


def quotes(text: str) -> str | None:
    """A sentence where a quotation mark stands at the beginning or the end of a value."""
    return _QUOTED if text and (text[0] in _QUOTES or text[-1] in _QUOTES) else None


def of_secret(text: str) -> str | None:
    """A sentence on what is wrong with a token or key that becomes an HTTP header; None where nothing is."""
    if (found := quotes(text)) is not None:
        return found
    if not text.strip(".…·*"):
        return "it is still a placeholder. Put the token or key itself there."
    if (prefix := _PREFIX.match(text)) is not None:
        return f"it begins with “{prefix[1]}”, which is no part of it. Give the token or key alone."
    if _ASSIGNMENT.match(text):
        return "it begins with a name and “=”. Give what stands behind them alone."
    return next((_CHARACTER.format(what) for character in text if (what := _foreign(character)) is not None), None)


_CHARACTER = "there is {} in it. Copy it once more, all of it and nothing else."


def _foreign(character: str) -> str | None:
    """What a character is that no token has."""
    if character in "\r\n\v\f\u2028\u2029\x85":
        return "a line break"
    if character == "\t" or unicodedata.category(character) == "Zs":
        return "a space"
    if _is_invisible(character):
        return f"an invisible character ({unicodedata.name(character, 'control character').lower()})"
    return None if character.isascii() else "a letter or sign that no token has"


def error(sentence: str) -> PydanticCustomError:
    """The sentence as an error of validation."""
    return PydanticCustomError(FLAWED, "{sentence}", {"sentence": sentence})
