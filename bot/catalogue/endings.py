"""Settings at the end of a prompt that are written without two hyphens: `neg: dog`, `-ar 3:2`, `cfg 7`, `[no text]`.

Whatever may as well be part of the picture is left there and pointed at, so that people learn where the option is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Ending:
    """The last setting of a prompt."""

    #: Where it begins; it reaches to the end.
    start: int
    written: str
    #: The option it means.
    key: str
    value: str
    #: False: it may be part of what is to be painted.
    sure: bool


#: What may stand behind the last setting.
TAIL: Final = " \t\r\n,.;"
#: No setting is longer, but for what should not be seen.
_LONGEST: Final = 160
#: Fewest pixels a side: `size 10x12` is a canvas in inches.
_LEAST_SIDE: Final = 64
_MOST_STEPS, _MOST_GUIDANCE, _MOST_COUNT = 150, 50.0, 10
#: Most words behind a dash and "no", without and with commas, and most behind `negative:` without commas.
_MOST_WORDS, _MOST_LISTED, _MOST_TOLD = 3, 8, 6

#: What names mean; those that are no words of English are read without a sign too.
_NO_WORDS: Final[Mapping[str, str]] = {"ar": "size", "cfg": "guidance", "cfgscale": "guidance"}
_MEANT: Final[Mapping[str, str]] = {
    **_NO_WORDS,
    **dict.fromkeys(("aspect", "aspectratio", "ratio", "size", "resolution"), "size"),
    "seed": "seed",
    **dict.fromkeys(("step", "steps"), "steps"),
    **dict.fromkeys(("guidance", "guidancescale"), "guidance"),
}
#: Names that are read behind a dash only.
_DASHED: Final[Mapping[str, str]] = dict.fromkeys(("n", "count", "num", "images", "numimages"), "count")

_SETTING = re.compile(
    r"(?:^|(?<=[\s,;.]))(?P<dash>-?)(?P<name>aspect(?:[ _-]?ratio)?|ar|ratio|size|resolution|seed|steps?"
    r"|cfg(?:[ _-]?scale)?|guidance(?:[ _-]?scale)?|n|count|num(?:[_-]?images)?|images)"
    r"(?P<sign>\s{0,3}[:=]\s{0,3}|\s{1,3})"
    r"(?P<value>[+-]?\d{1,12}(?:\.\d{1,3})?(?:\s?[:/x×*]\s?\d{1,5}(?:\.\d{1,3})?)?|random|square|portrait|landscape)\Z",
    re.IGNORECASE,
)
_SIDES = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)\s?([:/x×*])\s?(\d{1,5}(?:\.\d{1,3})?)", re.IGNORECASE)
_NEGATIVE = re.compile(
    r"(?:^|(?<=[\s,;.]))(?P<name>neg|negative)(?: prompts?)?\s{0,3}[:=]\s{0,3}(?P<value>\S.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_DASHED_NO = re.compile(
    r"(?:^|(?<=\s))-(?:no|neg|negative)\s{1,3}(?P<value>[^\s-](?:(?! -)[^\n.!?;:—–]){0,120})\Z", re.IGNORECASE
)
_BRACKETED_NO = re.compile(r"(?:^|(?<=[\s,;.]))\[\s?no\s{1,3}(?P<value>[^\[\]\n]{1,120}?)\s?\]\Z", re.IGNORECASE)

#: Behind such a word it is text in the picture.
_SPOKEN = re.compile(
    r"\b(?:says?|saying|said|reads?|reading|writes?|written|writing|titled?|called|named|labell?ed|text|words?|lettering"
    r"|caption(?:ed)?|spells?|spelling|shows?|showing|sign|inscribed)[:\"'“]*\Z",
    re.IGNORECASE,
)
#: Behind such a word a name is an ordinary noun, and `negative` a film or an adjective.
_NOUN_FOLLOWS = re.compile(
    r"\b(?:an?|the|of|this|that|each|every|one|two|three|last|first|golden|and|or|with|is|was|are|were|its?|his|her|my|your"
    r"|film|photo|photographic|photograph|glass|camera|colou?r|image|picture|plate|print|inverted|false|double|x-?ray)\s*\Z",
    re.IGNORECASE,
)
#: Settings in brackets at the end: `(ar 16:9)`, `[seed 5, steps 8]`, `(--ar 3:2)`.
_IN_BRACKETS = re.compile(r"(?<=\S)\s{0,3}[(\[{]([^()\[\]{}\n]{3,120})[)\]}]\Z")
#: A shape or size alone at the end; only such as pictures have: `John 3:17` and `10:30` are none.
_BARE_SIZE = re.compile(
    r"(?:^|(?<=[\s,;]))[(\[]?(?P<value>(?:1:1|16:9|9:16|4:3|3:4|3:2|2:3|5:4|4:5|21:9|9:21|16:10|10:16)"
    r"|\d{3,4}\s?[x×]\s?\d{3,4}(?:px)?)[)\]]?\Z",
    re.IGNORECASE,
)


def last_setting(text: str) -> Ending | None:
    """What the prompt ends with, where that has the form of a setting."""
    text = text.rstrip(TAIL)
    return _bracketed(text) or _dashed_no(text) or _setting(text) or _negative(text) or _bare_size(text)


def without_brackets(text: str) -> str:
    """The prompt with the settings at its end out of their brackets; as it is where anything else stands in these."""
    bare = text.rstrip(TAIL)
    found = _IN_BRACKETS.search(bare, _near_the_end(bare)) if bare.endswith((")", "]", "}")) else None
    if found is None or _SPOKEN.search(bare[: found.start()].rstrip()):
        return text
    parts = [part.strip() for part in re.split("[,;|]", found[1])]
    settings = [_setting(part.removeprefix("-")) for part in parts]
    if not all(one is not None and one.start == 0 for one in settings):
        return text
    if any(one is not None and one.key == "guidance" and ":" in one.written for one in settings):
        return text  # a weight: `(guidance:1.2)`
    return f"{bare[: found.start()]}, {', '.join(parts)}"


def _bare_size(text: str) -> Ending | None:
    found = _BARE_SIZE.search(text, _near_the_end(text))
    return _ending(found, "size", sure=False) if found is not None else None


def _ending(found: re.Match[str], key: str, *, sure: bool) -> Ending:
    before = found.string[: found.start()].split()
    sure = sure and bool(before) and _SPOKEN.search(before[-1]) is None
    return Ending(found.start(), found[0], key, found["value"].strip(TAIL), sure)


def _near_the_end(text: str) -> int:
    """Where to begin: all but `negative: …` is short, and a prompt is long."""
    return max(0, len(text) - _LONGEST)


def _bracketed(text: str) -> Ending | None:
    found = _BRACKETED_NO.search(text, _near_the_end(text)) if text.endswith("]") else None
    return _ending(found, "negative_prompt", sure=True) if found is not None else None


def _dashed_no(text: str) -> Ending | None:
    found = _DASHED_NO.search(text, _near_the_end(text)) if "-" in text else None
    if found is None or len(found["value"].split()) > (_MOST_LISTED if "," in found["value"] else _MOST_WORDS):
        return None
    return _ending(found, "negative_prompt", sure=True)


def _negative(text: str) -> Ending | None:
    """`neg: dog` is no English; `negative: dog` may be, behind a noun or with a whole sentence."""
    found = _NEGATIVE.search(text) if ":" in text or "=" in text else None
    if found is None:
        return None
    value, before = found["value"], text[: found.start()]
    words = max(len(part.split()) for part in value.split(","))
    sentence = words > _MOST_TOLD or re.search(r"[.!?]\s", value) is not None
    return _ending(found, "negative_prompt", sure=found["name"].lower() == "neg" or not (sentence or _is_noun(before)))


def _setting(text: str) -> Ending | None:
    found = _SETTING.search(text, _near_the_end(text))
    if found is None:
        return None
    name, before = re.sub("[ _-]", "", found["name"].lower()), text[: found.start()]
    key = _MEANT.get(name) or (_DASHED.get(name) if found["dash"] else None)
    named = bool(found["dash"]) or name in _NO_WORDS
    signed = named or found["sign"].strip() != ""
    if key is None or not _is_possible(key, found["value"].lower(), signed=signed):
        return None
    apart = signed or before.rstrip(" \t").endswith((",", ";", ".", "|", "/", "\n"))
    return _ending(found, key, sure=named or (apart and not _is_noun(before)))


def _is_noun(before: str) -> bool:
    return _NOUN_FOLLOWS.search(" ".join(before.split()[-1:]) if not before.endswith((",", "\n")) else "") is not None


def _is_possible(key: str, value: str, *, signed: bool) -> bool:
    """Whether somebody can mean the value as that option; which values a model takes is not asked here."""
    if key == "size":
        return _is_size(value) or (signed and value.isalpha() and value != "random")
    if key == "seed":
        return value == "random" or re.fullmatch(r"-1|\d+", value) is not None
    if re.fullmatch(r"\d{1,4}(?:\.\d+)?", value) is None:
        return False
    most = {"steps": _MOST_STEPS, "guidance": _MOST_GUIDANCE, "count": _MOST_COUNT}[key]
    return float(value) <= most and (key == "guidance" or value.isdigit())


def _is_size(value: str) -> bool:
    sides = _SIDES.fullmatch(value)
    if sides is None:
        return False
    width, height = float(sides[1]), float(sides[3])
    if sides[2] in ":/":
        return min(width, height) > 0 and max(width, height) < _LEAST_SIDE
    return min(width, height) >= _LEAST_SIDE
