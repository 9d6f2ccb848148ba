"""The length of a text as Discord may count it, and cuts that leave whole what people see as one character.

Discord's documentation says characters, and what counts them differs: some of its limits count code points, its clients
and others UTF-16 units, of which an emoji is two. Units are never fewer, so what fits by them fits by either count.
"""

from __future__ import annotations

import unicodedata

_ELLIPSIS = "…"
_JOINERS = "\u200c\u200d"
#: What follows a black flag and makes it Scotland's.
_EMOJI_TAGS = ("\U000e0020", "\U000e007f")
#: The second and third letters of a Korean syllable that is written apart.
_VOWEL_JAMO = ("\u1160", "\u11ff")
#: Marks, and the skin tones of emoji.
_FOLLOWERS = frozenset({"Mn", "Me", "Mc", "Sk"})
#: Code points that a cut goes back at most: a family of emoji has up to 14.
_LONGEST_CHARACTER = 40


def length(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """Cut to `limit` UTF-16 units, the ellipsis included; at a word boundary if one is near."""
    if length(text) <= limit:
        return text
    kept = head(text, max(0, limit - 1))
    space = max(text.rfind(" ", 0, len(kept) + 1), text.rfind("\n", 0, len(kept) + 1))
    if space >= len(kept) * 3 // 4:
        kept = text[:space]
    return kept.rstrip() + _ELLIPSIS


def head(text: str, limit: int) -> str:
    """The longest beginning of at most `limit` UTF-16 units that ends between two characters."""
    end = furthest = _fitting(text, limit)
    while 0 < end < len(text) and _joined(text, end):
        end -= 1
    # A longer one is nobody's writing: something is shown of it all the same.
    return text[: end if furthest - end <= _LONGEST_CHARACTER else furthest]


def _fitting(text: str, units: int) -> int:
    """How many code points of the text fit into so many UTF-16 units."""
    end = min(len(text), units)
    while (over := length(text[:end]) - units) > 0:
        end -= (over + 1) // 2
    return end


def _joined(text: str, cut: int) -> bool:
    """Whether what stands before and after the cut is shown as one (close to Unicode's grapheme clusters)."""
    before, after = text[cut - 1], text[cut]
    if after in _JOINERS or before in _JOINERS or _EMOJI_TAGS[0] <= after <= _EMOJI_TAGS[1]:
        return True
    if unicodedata.category(after) in _FOLLOWERS or _VOWEL_JAMO[0] <= after <= _VOWEL_JAMO[1]:
        return True
    if _is_flag_half(before) and _is_flag_half(after):
        start = cut
        while start > 0 and _is_flag_half(text[start - 1]):
            start -= 1
        return (cut - start) % 2 == 1
    return (before, after) == ("\r", "\n")


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
