"""The `options` field: `key=value` pairs as people type them on a phone.

Pairs are separated by spaces, commas or newlines. A value ends at the next `key=`, so lists
(`colors=#f00,#0f0`) and several words need no quotes; quotes (straight or curly) allow a `key=` inside a
value, and a value that starts with `{` or `[` is JSON. The whole field may also be one JSON object.
"""

from __future__ import annotations

import json
import re
from typing import Final

from bot.catalogue.folding import SEPARATOR
from bot.catalogue.kinds import read_json
from bot.catalogue.model import Model, Option
from bot.catalogue.rejections import refuse, refuse_because, shown
from bot.phrase import phrase

MOST_CHARACTERS: Final = 6000
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=(\s*)")
# The lookbehind keeps long runs of separators linear.
_NEXT_KEY = re.compile(r"(?<![\s,;])[\s,;]+(?=[A-Za-z_][A-Za-z0-9_.-]*[ \t]*=)")
_QUOTES: Final = {'"': '"', "'": "'", "“": '””“"', "”": '”“"', "„": '“”"', "‘": "’‘'", "’": "’‘'"}


def plain_key(key: str) -> str:
    """Normalize the name of an option for look-up."""
    return key.strip().lower().replace("-", "_")


def read_pairs(text: str) -> list[tuple[str, object]]:
    """Parse the pairs, in the order given. Raises InvalidOption quoting the part that can't be parsed."""
    text = text.strip()
    if len(text) > MOST_CHARACTERS:
        why = phrase("option_too_long", option="options", length=len(text), most=MOST_CHARACTERS)
        raise refuse_because("options", text, why)
    if text.startswith("{"):
        return _whole_json(text)
    pairs: list[tuple[str, object]] = []
    at = 0
    while at < len(text):
        found = _KEY.match(text, at)
        if not found:
            raise refuse("options", text[at:], phrase("takes_pairs"))
        value: object
        if found[2] and _KEY.match(text, found.end()):
            value, at = "", found.end()
        else:
            value, at = _value(text, found.end(), found[1])
        pairs.append((plain_key(found[1]), value))
    return pairs


# The lookbehind keeps long words linear.
_HINTED = re.compile(rf"(?<![A-Za-z0-9_.-])([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*{SEPARATOR.strip()}[ \t]*")


def without_hints(model: Model, text: str) -> str:
    """Take out what autocomplete's labels say about a key: `steps= · How many steps. 20` becomes `steps=20`.

    The words may be cut off; what was typed behind them stays.
    """
    kept, at = [], 0
    for found in _HINTED.finditer(text):
        if found.start() >= at:
            hint = max(
                (_common(option.description, text[found.end() :]) for option in _named(model, found[1])), default=0
            )
            kept.append(f"{text[at : found.start()]}{found[1]}=")
            at = found.end() + hint
            at += len(re.match(r"\s*(?:…|\.\.\.)?\s*", text[at:])[0])  # type: ignore[index]  # matches always
    return "".join(kept) + text[at:]


def with_equals_signs(model: Model, text: str) -> str:
    """Pairs written with colons, dashes or spaces, as `name=value`: `acceleration: high`, `--acceleration high`."""
    if "=" in text or text.lstrip().startswith("{"):
        return text
    names = sorted({name for option in model.offered for name in (option.name, option.label)}, key=len, reverse=True)
    listed = "|".join(map(re.escape, names))
    pair = re.compile(rf"(?:^|(?<=[\s,;]))-{{0,2}}({listed})(?:\s*:\s*|\s+)(?=\S)", re.IGNORECASE)
    return pair.sub(r"\1=", text)


def _named(model: Model, key: str) -> list[Option]:
    return [option for option in model.offered if plain_key(key) in (option.name, option.alias)]


def _common(hint: str, text: str) -> int:
    """How many characters of the text repeat the beginning of the hint."""
    pairs = zip(hint.casefold(), text.casefold(), strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(hint), len(text)))


def _whole_json(text: str) -> list[tuple[str, object]]:
    try:
        value = read_json(text)
    except ValueError as error:
        raise refuse("options", text, phrase("takes_pairs_or_json")) from error
    if not isinstance(value, dict):
        raise refuse("options", text, phrase("takes_pairs_or_json"))
    return [(plain_key(key), item) for key, item in value.items()]


def _value(text: str, at: int, key: str) -> tuple[object, int]:
    """Parse the value that starts at index `at`; also return the index at which the next pair starts."""
    opening = text[at : at + 1]
    value: object
    if opening in _QUOTES and opening:
        value, end = _quoted(text, at, key)
    elif opening and opening in "[{":
        value, end = _json(text, at, key)
    else:
        following = _NEXT_KEY.search(text, at)
        end = following.start() if following else len(text)
        value = text[at:end].strip(" \t\r\n,;")
    rest = re.compile(r"[\s,;]*").match(text, end)
    after = rest.end() if rest else end
    if after == end and end < len(text):
        raise refuse("options", text[at:], phrase("takes_pairs"))
    return value, after


def _quoted(text: str, at: int, key: str) -> tuple[str, int]:
    closing, letters = _QUOTES[text[at]], []
    place = at + 1
    while place < len(text):
        letter = text[place]
        if letter == "\\" and place + 1 < len(text):
            letters.append(text[place + 1])
            place += 2
        elif letter in closing:
            return "".join(letters), place + 1
        else:
            letters.append(letter)
            place += 1
    raise refuse_because("options", text[at:], phrase("options_quotes", key=shown(key)))


def _json(text: str, at: int, key: str) -> tuple[object, int]:
    try:
        _, end = json.JSONDecoder().raw_decode(text, at)
        return read_json(text[at:end]), end
    except (ValueError, RecursionError) as error:
        raise refuse_because("options", text[at:], phrase("options_json", key=shown(key))) from error
