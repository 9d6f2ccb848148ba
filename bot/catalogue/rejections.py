"""Building refusals of options, and what they need: typed text fit to be shown, names that are close."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

from bot.catalogue.model import COMMON_ALIASES, OPERATOR_ONLY, Model, Option
from bot.errors import InvalidOption
from bot.phrase import Phrase, phrase

_SHOWN_CHARACTERS = 60


def shown(given: object) -> str:
    """What the person gave, short and safe to print (no control, invisible, lone surrogate or backtick characters)."""
    try:
        text = str(given)
    except ValueError:  # an integer of more digits than Python turns into text
        text = "…"
    text = text[: _SHOWN_CHARACTERS * 4].replace("`", "ˋ")
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text)
    text = "".join(c for c in text if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"} or c == "\u200d").strip()
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def refuse(option: str, given: object, takes: Phrase) -> InvalidOption:
    """`option` can't be `given`. It takes …"""
    return InvalidOption(shown(option), shown(given), takes)


def refuse_because(option: str, given: object, why: Phrase) -> InvalidOption:
    """A refusal whose reason is a sentence of its own."""
    return InvalidOption(shown(option), shown(given), because=why)


def names(options: Iterable[Option]) -> tuple[str, ...]:
    """The people's names of options, each once."""
    return tuple(dict.fromkeys(option.label for option in options if option.name != "prompt"))


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a`, `b` and `c`: for the operator; people are told in `cogs.ui.messages`."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def close(word: str, candidates: Iterable[str], limit: int = 3) -> list[str]:
    """Candidates that look like the word or begin with it."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    wanted = word[:100].lower()
    begin = [lower for lower in by_lower if len(wanted) > 1 and lower.startswith(wanted)]
    near = [*begin, *difflib.get_close_matches(wanted, by_lower, limit, 0.6)]
    return [by_lower[found] for found in dict.fromkeys(near)][:limit]


def no_such_option(model: Model, key: str, given: object) -> InvalidOption:
    """The model has no option of that name, or not for people."""
    return refuse_because(key, given, _why_not(model, key))


def _why_not(model: Model, key: str) -> Phrase:
    offered, option = names(model.offered), shown(key)
    if key in OPERATOR_ONLY:
        return phrase("option_operator_only", option=option)
    if key == "count":
        return phrase("option_missing_count", model=model.title, options=offered)
    if key == "seed":
        return phrase("option_missing_seed", model=model.title, options=offered)
    near = close(key, [name for option in model.offered for name in (option.label, option.name)])
    if near and key not in COMMON_ALIASES:
        return phrase("option_missing_close", model=model.title, option=option, close=tuple(near), options=offered)
    return phrase("option_missing", model=model.title, option=option, options=offered)
