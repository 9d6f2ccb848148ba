"""Look up and format messages; see the package."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from babel import Locale
from babel.lists import format_list
from babel.numbers import format_currency
from fluent.runtime import FluentBundle, FluentResource
from fluent.runtime.resolver import Pattern
from fluent.runtime.types import FluentType, fluent_number

from bot.phrase import Param, Phrase
from cogs.ui.messages.templates import Template, template_of

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
#: The fallback locale, in which every message exists.
ENGLISH = "en"
#: The message that is shown in place of one that does not exist.
MISSING = "message_missing"
#: The locale by whose rules lists are written: `en_GB` has no comma before the last "and".
_LISTS_LIKE = {"en": "en_GB"}
#: Most decimals of a number. Fluent's default is three; guidance and scales of models have more.
_MOST_FRACTION_DIGITS = 6
#: From here on languages write whole numbers in different ways: 1,000 or 1.000.
_FIRST_GROUPED = 1000
#: How many numbers, and sentences about nothing but numbers, each language keeps in words.
_MOST_KEPT = 1000

#: The start of a message, a term (`-name`) or a comment.
_ENTRY = re.compile(r"^(?:(-?[A-Za-z][\w-]*)[ ]*=|#)", re.MULTILINE)
_REFERENCE = re.compile(r"\{\s*(-?[a-z][\w-]*)")


@dataclass(frozen=True)
class _List(FluentType):
    """A list of words: `a, b and c`."""

    words: tuple[FluentType | str, ...]
    style: Literal["standard", "or"] = "standard"
    #: Separator in place of the usual comma and conjunction.
    by: str | None = None
    #: Whether the words are shown as inline code.
    code: bool = False

    def format(self, locale: Locale) -> str:
        shown = [word.format(locale) if isinstance(word, FluentType) else word for word in self.words]
        if self.code:
            shown = [f"`{word}`" for word in shown]
        if self.by is not None:
            return self.by.join(shown)
        like = _LISTS_LIKE.get(str(locale))
        return format_list(shown, self.style, Locale.parse(like) if like else locale)


@dataclass(frozen=True)
class _Money(FluentType):
    """US dollars with all their decimals, at least two."""

    usd: Decimal

    def format(self, locale: Locale) -> str:
        return format_currency(self.usd, "USD", locale=locale, decimal_quantization=False)


#: How far from now a time of day alone says which day is meant.
_UNAMBIGUOUS = timedelta(hours=12)


@dataclass(frozen=True)
class _Moment(FluentType):
    """A time, shown by Discord in the reader's own time zone.

    `f` "4 May 2026 14:05", `t` "14:05" (with the date if that is more than half a day away), `R` "5 minutes ago".
    `R` is for what has happened: of what is to come it says "3 seconds ago" once that is over.
    """

    moment: datetime
    style: Literal["f", "t", "R"] = "f"

    def format(self, locale: Locale) -> str:
        """A Discord timestamp, rounded up so that the moment has come when the clock shows what is shown.

        A time of day shows no seconds, so it is rounded up to the minute; what has happened, to the second.
        """
        step_s = 60 if self.style == "t" else 1
        far = self.style == "t" and abs(self.moment - datetime.now(UTC)) > _UNAMBIGUOUS
        return f"<t:{math.ceil(self.moment.timestamp() / step_s) * step_s}:{'f' if far else self.style}>"


#: Functions that message files may call, besides Fluent's own NUMBER.
FUNCTIONS: dict[str, Callable[..., FluentType]] = {
    "AND": lambda words: words,
    "OR": lambda words: replace(words, style="or"),
    "CODES": lambda words: replace(words, code=True),
    "JOIN": lambda words, by: replace(words, by=by),
    "MONEY": lambda usd: _Money(Decimal(usd)),
    "CLOCK": lambda moment: replace(moment, style="t"),
    "AGO": lambda moment: replace(moment, style="R"),
}


class Language:
    """The messages of one locale. Each is parsed when it is first used, as most of them rarely are."""

    def __init__(self, locale: str, source: str) -> None:
        self.locale = locale
        self.sources = dict(_entries(source))
        self._bundle = FluentBundle([locale], FUNCTIONS, use_isolating=False)
        self._babel = Locale.parse(locale, sep="-")
        #: By code, and whether its attribute had to exist.
        self._patterns: dict[tuple[str, bool], tuple[Template | None, Pattern]] = {}
        self._integer = lru_cache(_MOST_KEPT)(self._shown)
        self._category = lru_cache(_MOST_KEPT)(self._babel.plural_form)
        #: What Fluent made of nothing but numbers, by code and numbers.
        self._counted: dict[tuple[str, ...], str] = {}

    def format(self, code: str, arguments: Mapping[str, Any], *, exactly: bool = False) -> str | None:
        """Format the message, or one of its attributes (`code.attribute`); None when there is none.

        Args:
            exactly: if False, the message itself is used where it does not have the attribute.
        """
        found = self._patterns.get((code, exactly))
        if found is None:
            pattern = self._pattern(code, exactly=exactly)
            if pattern is None:
                return None
            found = self._patterns[code, exactly] = template_of(pattern, self._pattern), pattern
        template, pattern = found
        if template is not None and template.fits(arguments):
            return template.fill(arguments, self._word, self._category)
        return self._by_fluent(code, pattern, arguments)

    def _pattern(self, code: str, *, exactly: bool = False) -> Pattern | None:
        name, _, attribute = code.partition(".")
        if name not in self.sources:
            return None
        self._parse(self._bundle, name)
        if not self._bundle.has_message(name):
            log.error("message can't be read", extra={"message_code": name, "locale": self.locale})
            return None
        message = self._bundle.get_message(name)
        return message.attributes.get(attribute, None if attribute and exactly else message.value)

    def _word(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if type(value) is not int:
            return self._shown(value)
        return str(value) if 0 <= value < _FIRST_GROUPED else self._integer(value)

    def _shown(self, value: Any) -> str:
        fluent = _fluent(value)
        return fluent if isinstance(fluent, str) else fluent.format(self._babel)

    def _by_fluent(self, code: str, pattern: Pattern, arguments: Mapping[str, Any]) -> str:
        """Let Fluent format it; once for the same numbers, while sentences with words of people are not kept."""
        numbers = all(isinstance(value, int | float | Decimal) for value in arguments.values())
        # 1, 1.0 and 1.00 are equal, but read differently.
        key = (code, *(f"{name} {value!r}" for name, value in arguments.items())) if numbers else ()
        if (kept := self._counted.get(key)) is not None:
            return kept
        said, errors = self._bundle.format_pattern(pattern, {name: _fluent(value) for name, value in arguments.items()})
        if errors:
            log.warning("message not filled in", extra={"message_code": code, "locale": self.locale})
        elif key:
            if len(self._counted) >= _MOST_KEPT:
                del self._counted[next(iter(self._counted))]
            self._counted[key] = str(said)
        return str(said)

    def _parse(self, bundle: FluentBundle, name: str) -> None:
        """Add a message, and all messages that it refers to, to the Fluent bundle."""
        if bundle.has_message(name) or name not in self.sources:
            return
        source = self.sources[name]
        bundle.add_resource(FluentResource(source))
        for reference in _REFERENCE.findall(source):
            self._parse(bundle, reference)


def _entries(source: str) -> Iterator[tuple[str, str]]:
    """(name, source text) of the messages and terms in a file."""
    starts = [*_ENTRY.finditer(source)]
    ends = [*(start.start() for start in starts[1:]), len(source)]
    for start, end in zip(starts, ends, strict=True):
        if start[1] is not None:
            yield start[1], source[start.start() : end]


class Languages:
    """All languages in a folder: `de.ftl` or `de/*.ftl`, named like Discord's locales (`pt-BR`) or without region."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("**/*.ftl")):
            self._files.setdefault(path.relative_to(folder).parts[0].removesuffix(".ftl"), []).append(path)
        self._loaded: dict[str, Language] = {}
        self._best: dict[str, str] = {}

    @property
    def locales(self) -> tuple[str, ...]:
        """The locales that have message files."""
        return tuple(self._files)

    def language(self, locale: str) -> Language:
        """The language with exactly that name, read from its files on first use."""
        found = self._loaded.get(locale)
        if found is None:
            source = "\n".join(path.read_text(encoding="utf-8") for path in self._files[locale])
            found = self._loaded[locale] = Language(locale, source)
        return found

    def best(self, locale: str) -> str:
        """The available locale closest to a reader's: `de` for `de-AT`, `pt-BR` for `pt`; English if there is none."""
        best = self._best.get(locale)
        if best is None:
            same = [name for name in self._files if name.partition("-")[0] == locale.partition("-")[0]]
            best = self._best[locale] = locale if locale in same else min(same, key=len, default=ENGLISH)
        return best

    def say(self, locale: str, what: str | Phrase, /, **params: Param) -> str:
        """Format a message or a phrase in a reader's locale."""
        phrase = Phrase(what, params) if isinstance(what, str) else what
        best = self.best(locale)
        arguments = {name: self._argument(best, value) for name, value in phrase.params.items()}
        text = self.language(best).format(phrase.code, arguments)
        if text is None and best != ENGLISH:
            text = self.language(ENGLISH).format(phrase.code, arguments)
        if text is not None:
            return text
        log.error("there is no such message", extra={"message_code": phrase.code})
        return self.say(locale, MISSING, message=phrase.code)

    def _argument(self, locale: str, value: Param) -> Any:
        """Phrases in words, and lists as lists of words; anything else is formatted by the message."""
        match value:
            case Phrase():
                return self.say(locale, value)
            case tuple():
                return _List(tuple(_fluent(self._argument(locale, item)) for item in value))
        return value


def _fluent(value: Any) -> FluentType | str:
    """A parameter as Fluent formats it."""
    match value:
        case datetime():
            return _Moment(value)
        case bool():
            return "yes" if value else "no"
        case int() | Decimal():
            return fluent_number(value)
        case float():
            return fluent_number(value, maximumFractionDigits=_MOST_FRACTION_DIGITS)
        case None:
            return ""
        case FluentType() | str():
            return value
    raise TypeError(f"no message can show {type(value).__name__}")


@cache
def bundled() -> Languages:
    """The languages that come with the bot."""
    return Languages(FOLDER)


def say(locale: str, what: str | Phrase, /, **params: Param) -> str:
    """Format a message or a phrase in a reader's locale (e.g. `en-GB`)."""
    return bundled().say(locale, what, **params)
