"""Autocomplete for sizes, styles and the `options` field. Discord's limits: 25 choices of 100 characters each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bot import graphemes
from bot.catalogue import sizes
from bot.catalogue.descriptions import choice_label, value_text
from bot.catalogue.folding import SEPARATOR, match_rank
from bot.catalogue.kinds import parse_value
from bot.catalogue.model import Model, Option, OptionKind
from bot.catalogue.option_syntax import plain_key, without_hints
from bot.catalogue.parse import candidates
from bot.catalogue.price_labels import value_price_texts, with_price, without_price, without_prices
from bot.domain.request import Json
from bot.errors import InvalidOption

Choice = tuple[str, str]
_MAX_CHOICES: Final = 25
_MAX_CHARACTERS: Final = 100
_KEYS = re.compile(r"(?:^|[\s,;])([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")


def _short(text: str) -> str:
    return text if graphemes.length(text) <= _MAX_CHARACTERS else graphemes.head(text, _MAX_CHARACTERS - 1) + "…"


def _fitting(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """The choices whose value or label contains every typed word, best matches first, else in their order."""
    ranked = [
        (rank, at, (_short(label), value))
        for at, (label, value) in enumerate(choices)
        if (rank := match_rank(typed, label, label.partition(SEPARATOR)[0], value)) is not None
    ]
    return [choice for _, _, choice in sorted(ranked, key=lambda entry: entry[:2])][:_MAX_CHOICES]


# ---------------------------------------------------------------------- sizes and styles


def size_choices(model: Model, typed: str = "") -> list[Choice]:
    """(label, value) of sizes that match the typed text, small ones last; figures that the model takes come first."""
    option = model.option(model.size_option or "")
    if option is None:
        return []
    typed = without_price(typed)
    usual = sorted(option.choices, key=lambda choice: choice == "square")
    listed = _priced(model, option, _fitting([(sizes.label(option, choice), choice) for choice in usual], typed))
    # A word may mean a preset other than the one it fits best: `square` is fal's name of the small one.
    first = _typed_size(option, typed) if any(map(str.isdigit, typed)) or not listed else []
    return (first + [choice for choice in listed if choice not in first])[:_MAX_CHOICES]


def _typed_size(option: Option, typed: str) -> list[Choice]:
    try:
        value = parse_value(option, "size", typed)
    except InvalidOption:
        return []
    pixels = sizes.pixels_of(option, value)
    if isinstance(value, dict) and pixels:
        return [(f"{pixels[0]} × {pixels[1]}", f"{pixels[0]}x{pixels[1]}")]
    return [(sizes.label(option, str(value)), str(value))]


def style_choices(model: Model, typed: str = "") -> list[Choice]:
    """(label, value) of the model's styles, from all options with the alias `style`."""
    options, typed = candidates(model, "style"), without_price(typed)
    listed = _fitting([(choice_label(style), style) for option in options for style in option.choices], typed)
    for option in options:
        listed = _priced(model, option, listed) if {style for _, style in listed} <= set(option.choices) else listed
    return listed


def _priced(model: Model, option: Option, choices: list[Choice]) -> list[Choice]:
    """The choices of an option with what a picture costs, where that depends on it."""
    prices = value_price_texts(model, option, [value for _, value in choices])
    return [(_short(with_price(label, price)), value) for (label, value), price in zip(choices, prices, strict=True)]


# ---------------------------------------------------------------------- the options field


def option_completions(model: Model, typed: str) -> list[Choice]:
    """Complete a key, or after `key=` a value; each choice is the whole field, with the earlier pairs.

    Choices of more than 100 characters are left out. The label of a key says what it is for. Discord writes the label
    into the field, and people type on from there: `without_hints` takes those words out again.
    """
    typed = without_prices(without_hints(model, typed))
    earlier, key, tail = _split(model, typed)
    if key is None:
        return _whole(earlier, _keys(model, typed, tail))
    option = next(iter(candidates(model, plain_key(key))), None)
    if option is None:
        return _whole(earlier, _keys(model, earlier, key))
    return _whole(f"{earlier}{key}=", _priced_values(model, option, plain_key(key), tail))


#: A finished value, the separator after it, and the beginning of the next key.
_FINISHED = re.compile(r"(\"[^\"]*\"|[^\s,;\"'{\[]+)[\s,;]+([A-Za-z_.-]*)")
_LIST_KINDS: Final = frozenset(
    {OptionKind.TEXTS, OptionKind.PICTURES, OptionKind.COLOURS, OptionKind.PALETTE, OptionKind.LORAS}
)


def _split(model: Model, typed: str) -> tuple[str, str | None, str]:
    """Split into (finished pairs, the key whose value is being typed or None, the unfinished word)."""
    keys = list(_KEYS.finditer(typed))
    if not keys:
        return "", None, typed.strip()
    last = keys[-1]
    value = typed[last.end() :]
    finished = _FINISHED.fullmatch(value)
    takes_several = any(option.kind in _LIST_KINDS for option in candidates(model, plain_key(last[1])))
    if finished and not (takes_several and value.rstrip().endswith(",")):
        return f"{typed[: last.end()]}{finished[1]} ", None, finished[2]
    return typed[: last.start(1)], last[1], value


def _whole(earlier: str, endings: Iterable[tuple[str, str]]) -> list[Choice]:
    """Choices from (ending of the field, words about it)."""
    full = {f"{earlier}{ending}": words for ending, words in endings}
    fitting = [(text, words) for text, words in full.items() if graphemes.length(text) <= _MAX_CHARACTERS][
        :_MAX_CHOICES
    ]
    return [(_short(f"{text}{SEPARATOR}{words}") if words else text, text) for text, words in fitting]


#: With at most this many matching keys, `key=value` pairs are suggested too.
_FEW: Final = 3


def _keys(model: Model, earlier: str, word: str) -> list[tuple[str, str]]:
    """(key, what it is for) of options that are not given yet and have no field in /imagine, required ones first.

    If at most `_FEW` keys match the typed word, complete pairs follow.
    """
    used = {option.name for found in _KEYS.finditer(earlier) for option in candidates(model, plain_key(found[1]))}
    free = [option for option in model.offered if option.name not in used | {"prompt"} and option.alias is None]
    ranked = [(rank, option) for option in free if (rank := match_rank(word, option.name)) is not None]
    fitting = [option for _, option in sorted(ranked, key=lambda entry: (entry[0], not entry[1].required))]
    keys = [(f"{option.name}=", option.description) for option in fitting]
    if not plain_key(word) or len(fitting) > _FEW:
        return keys
    pairs = [f"{option.name}={value}" for option in fitting for value in _values(model, option, option.name, "")]
    return keys + [(pair, "") for pair in pairs]


def _priced_values(model: Model, option: Option, key: str, typed: str) -> list[tuple[str, str]]:
    """(value, what a picture costs with it), where that depends on the option."""
    values = _values(model, option, key, typed)
    is_listed = option.kind in {OptionKind.CHOICE, OptionKind.BOOLEAN, OptionKind.SIZE}
    given: list[Json] = [value == "true" if option.kind is OptionKind.BOOLEAN else value for value in values]
    prices = value_price_texts(model, option, given) if is_listed else [""] * len(values)
    return list(zip(values, prices, strict=True))


def _values(model: Model, option: Option, key: str, typed: str) -> list[str]:
    if option.kind is OptionKind.SIZE:
        return [value for _, value in size_choices(model, typed)]
    if option.kind in {OptionKind.CHOICE, OptionKind.PALETTE}:
        every = [choice for found in candidates(model, key) for choice in found.choices]
        return [value for _, value in _fitting([(choice_label(value), value) for value in every], typed)]
    if option.kind is OptionKind.BOOLEAN:
        return [value for value in ("true", "false") if value.startswith(typed.strip().lower())]
    return _fitting_values(model, option, typed)


def _fitting_values(model: Model, option: Option, typed: str) -> list[str]:
    """The typed value if it is valid; else the default and, unless a `Rule` has the option, the ends of its range."""
    if not typed.strip() and option.kind is OptionKind.TEXT:
        return []
    try:
        parse_value(option, option.name, typed)
    except InvalidOption:
        if not value_text(option.default).strip():
            return []
        bound = any(option.name in rule.options for rule in model.rules)
        ends = () if bound else (option.minimum, option.maximum)
        return [value_text(one) for one in (option.default, *ends) if one is not None]
    return [typed]
