"""Build refusals of options: sanitize what was typed to quote it, and suggest similar names."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterable, Sequence

from bot.catalogue.model import COMMON_ALIASES, OPERATOR_ONLY, Model, Option
from bot.errors import InvalidOption
from bot.phrase import Phrase, phrase

_SHOWN_CHARACTERS = 60


def shown(given: object) -> str:
    """Shorten and sanitize what the person gave (no control, invisible, lone surrogate or backtick characters)."""
    text = _typed(given)
    text = text[: _SHOWN_CHARACTERS * 4].replace("`", "ˋ")
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text)
    text = "".join(c for c in text if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"} or c == "\u200d").strip()
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _typed(given: object) -> str:
    """A value as somebody could have typed it, never as Python writes it."""
    if isinstance(given, str):
        return given
    if isinstance(given, bytes | bytearray):
        return "…"
    try:
        return json.dumps(given, ensure_ascii=False, default=lambda _: "…")
    except (ValueError, TypeError, RecursionError):  # an integer of too many digits, keys that are no text, circles
        return "…"


def refuse(option: str, given: object, takes: Phrase) -> InvalidOption:
    """The error "`option` can't be `given`. It takes …"."""
    return InvalidOption(shown(option), shown(given), takes)


def refuse_because(option: str, given: object, why: Phrase) -> InvalidOption:
    """An error whose reason is a complete sentence."""
    return InvalidOption(shown(option), shown(given), because=why)


def names(options: Iterable[Option]) -> tuple[str, ...]:
    """The labels of options, without duplicates and without the prompt."""
    return tuple(dict.fromkeys(option.label for option in options if option.name != "prompt"))


def listed(words: Sequence[str], last: str = "and") -> str:
    """Join words as "`a`, `b` and `c`", for messages to the operator; those to people use `cogs.ui.messages`."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def close_matches(word: str, candidates: Iterable[str], limit: int = 3) -> list[str]:
    """The candidates that start with the word or are similar to it, at most `limit`."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    wanted = word[:100].lower()
    begin = [lower for lower in by_lower if len(wanted) > 1 and lower.startswith(wanted)]
    near = [*begin, *difflib.get_close_matches(wanted, by_lower, limit, 0.6)]
    return [by_lower[found] for found in dict.fromkeys(near)][:limit]


def no_such_option(model: Model, key: str, given: object) -> InvalidOption:
    """The error for an option that the model does not have, or that only the operator sets."""
    return refuse_because(key, given, _why_not(model, key))


def _why_not(model: Model, key: str) -> Phrase:
    offered, option = names(model.offered), shown(key)
    if key in OPERATOR_ONLY:
        return phrase("option_operator_only", option=option)
    if key == "count":
        return phrase("option_missing_count", model=model.title, options=offered)
    if key == "seed":
        return phrase("option_missing_seed", model=model.title, options=offered)
    near = close_matches(key, [name for option in model.offered for name in (option.label, option.name)])
    if near and key not in COMMON_ALIASES:
        return phrase("option_missing_close", model=model.title, option=option, close=tuple(near), options=offered)
    return phrase("option_missing", model=model.title, option=option, options=offered)
