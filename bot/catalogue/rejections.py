"""Building refusals: every sentence about an option of a request is made here."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

from bot.catalogue.model import COMMON_ALIASES, OPERATOR_ONLY, Model, Option
from bot.errors import InvalidOption

_SHOWN_CHARACTERS = 60
_NOTHING_SPENT = "Nothing was started and no quota was used."


def shown(given: object) -> str:
    """What the person gave, short and safe to print (no control, invisible, lone surrogate or backtick characters)."""
    try:
        text = str(given)
    except ValueError:  # an integer of more digits than Python turns into text
        text = "a number of thousands of digits"
    text = text[: _SHOWN_CHARACTERS * 4].replace("`", "ˋ")
    text = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text)
    text = "".join(c for c in text if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"} or c == "\u200d").strip()
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def refuse(option: str, given: object, allowed: str) -> InvalidOption:
    """`option` can't be `given`. It takes `allowed`."""
    return InvalidOption(shown(option), shown(given), allowed)


def refuse_with(option: str, given: object, allowed: str, sentence: str) -> InvalidOption:
    """A refusal whose reason is a sentence of its own."""
    return InvalidOption(shown(option), shown(given), allowed, sentence=f"{sentence} {_NOTHING_SPENT}")


def names(options: Iterable[Option]) -> str:
    """The people's names of options, each once, as a phrase."""
    return listed(list(dict.fromkeys(option.label for option in options if option.name != "prompt")))


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a`, `b` and `c`."""
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


_INSTEAD = {"count": "It paints one picture at a time.", "seed": "It chooses its own seed every time."}


def no_such_option(model: Model, key: str, given: object) -> InvalidOption:
    """The model has no option of that name, or not for people."""
    if key in OPERATOR_ONLY:
        return refuse_with(
            key, given, "nothing", f"`{key}` is set by the operator of this bot and can't be given here."
        )
    offered = names(model.offered)
    if key in COMMON_ALIASES:
        hint = f" {_INSTEAD[key]}" if key in _INSTEAD else ""
    else:
        near = close(key, [name for option in model.offered for name in (option.label, option.name)])
        hint = f" Did you mean {listed(near, 'or')}?" if near else ""
    return refuse_with(key, given, offered, f"{model.title} has no option `{shown(key)}`.{hint} It has {offered}.")
