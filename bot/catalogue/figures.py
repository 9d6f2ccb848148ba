"""Numbers as people write them: with separators, full-width digits, or what they count (`4 pictures`, `#42`, `four`).

A word that belongs to another option is none of this one's: `steps=8 pictures` stays a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bot.catalogue.model import Option

MOST_CHARACTERS: Final = 60
#: `1,000,000` or `1 000 000`, perhaps with decimals.
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+|(?:'[0-9]{3})+)(?:\.[0-9]{0,20})?")
_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９＋－．，", "0123456789+-.,")
_IN_WORDS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS: Final[Mapping[str, str]] = {word: str(number) for number, word in enumerate(_IN_WORDS, 1)}
#: By what commands call an option: what may stand before and behind its number.
_BEFORE: Final[Mapping[str, str]] = {
    "seed": r"#|№|no\.|nr\.|number",
    "count": "x|×",
    "guidance": "cfg(?: scale)?|scale",
}
_BEHIND: Final[Mapping[str, str]] = {
    "count": r"x|×|pictures?|images?|pics?|imgs?|photos?|times|of them",
    "steps": r"steps?|iterations?",
    "guidance": "cfg|x|×",
}


def figure(option: Option, typed: str) -> str:
    """The digits alone where the rest only says what they count; else the text with single spaces."""
    plain = " ".join(typed[:MOST_CHARACTERS].translate(_FULL_WIDTH).split())
    own = option.alias or option.name
    words = "|".join(filter(None, (_BEFORE.get(own), re.escape(own.replace("_", " ")))))
    found = re.fullmatch(
        rf"(?:(?:{words})\s?[:=]?\s?)?([a-z]{{3,5}}|[+-]?[.\d][\d., ']*?)(?:\s?(?:{_BEHIND.get(own, '(?!)')}))?[.!]?",
        plain,
        re.IGNORECASE,
    )
    bare = found[1] if found is not None else plain
    bare = _WORDS.get(bare.lower(), bare) if own == "count" else bare
    return re.sub(r"[, ']", "", bare) if _THOUSANDS.fullmatch(bare) else bare
