"""Validate raw input into a frozen `GenerationRequest`. No option is checked again after that."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from bot.catalogue import weights
from bot.catalogue.descriptions import option_name, takes, value_text
from bot.catalogue.folding import SEPARATOR, fold
from bot.catalogue.habits import Reading, read
from bot.catalogue.kinds import Attachment, parse_value
from bot.catalogue.model import Model, Option, OptionKind, Rule
from bot.catalogue.option_syntax import plain_key, read_pairs, with_equals_signs, without_hints
from bot.catalogue.pasted_line import unescape
from bot.catalogue.price_labels import without_price, without_prices
from bot.catalogue.prices import images_of, request_cost_usd, request_size
from bot.catalogue.prompt_links import about_links
from bot.catalogue.rejections import no_such_option, refuse, refuse_because, shown
from bot.catalogue.wishes import pointed_at, understand
from bot.domain.request import GenerationRequest, Json
from bot.errors import InvalidOption
from bot.phrase import Phrase, phrase

#: Values of an alias that are ignored, instead of refused, by a model without such an option: they change nothing.
_HARMLESS: Final[Mapping[str, frozenset[str]]] = {"count": frozenset({"1", "1.0"})}
#: Words for no choice of one's own, unless the model has a choice of that name.
_NO_CHOICE: Final[Mapping[str, frozenset[str]]] = {
    "style": frozenset({"none", "no style"}),
    "seed": frozenset({"-1", "-1.0", "random", "rand", "any"}),
}
_MOST_LABEL: Final = 100
#: Options whose suggestions may say a price.
_PRICED: Final = frozenset({"size", "style"})
#: Kinds with paths to weights.
_WEIGHTS: Final = frozenset({OptionKind.LORAS, OptionKind.CONTROLNET, OptionKind.IP_ADAPTER})


def parse(model: Model, raw: Mapping[str, object]) -> GenerationRequest:
    """Validate everything that a person gave and fill in the defaults.

    Raises:
        InvalidOption: a value, or a combination of values, that this model does not take.
    """
    raw = {name: unescape(value) if type(value) is str else value for name, value in raw.items()}
    reading, raw = _reading(model, raw)
    prompt = _prompt(model, raw)
    given: dict[str, Json] = {}
    notices: list[Phrase] = []
    for key, value in _pairs(model, raw):
        option, parsed = _resolve(model, key, value)
        if option is None:
            notices += [phrase("notice_seed_random")] if key == "seed" and candidates(model, "seed") else []
            continue
        notices += weights.links_set_right(value, parsed) if option.kind in _WEIGHTS else []
        if option.name in given:
            both = tuple(dict.fromkeys((option.label, option.name)))
            raise refuse_because(key, value, phrase("option_twice_as", option=shown(key), names=both))
        given[option.name] = parsed
    understood = understand(model, reading.wishes, given, _resolve)
    given |= understood.values
    _check(model, given)
    request = _request(model, prompt, given)
    told = _told(model, reading)
    return dataclasses.replace(request, notices=(*notices, *understood.notices, *told))


def _reading(model: Model, raw: Mapping[str, object]) -> tuple[Reading, Mapping[str, object]]:
    """What the prompt asks for besides what to paint, and the input with the rest of the prompt."""
    key = next((key for key in raw if plain_key(str(key)) == "prompt"), None)
    value = raw.get(key) if key is not None else None
    if key is None or not isinstance(value, str) or not model.takes_prompt:
        return Reading(""), raw
    reading = read(value)
    return reading, {**raw, key: reading.prompt}


def _told(model: Model, reading: Reading) -> list[Phrase]:
    """What the person should know about the words that are painted."""
    return [*pointed_at(model, reading.unsure), *about_links(model, reading.prompt)]


def _check(model: Model, given: Mapping[str, Json]) -> None:
    _check_required(model, given)
    for rule in model.rules:
        _RULES[rule.kind](model, rule, given)


def _prompt(model: Model, raw: Mapping[str, object]) -> str:
    """Validate the prompt; empty where the model takes none, or where it is optional and not given."""
    option = model.option("prompt")
    given = next((value for key, value in raw.items() if plain_key(str(key)) == "prompt" and value is not None), None)
    if option is None:
        if not _empty(given):
            raise no_such_option(model, "prompt", given)
        return ""
    if given is None and not option.required:
        return ""
    return str(parse_value(option, "prompt", "" if given is None else given))


def _pairs(model: Model, raw: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Every (key, value) that a person gave, including those in the `options` text; empty values are skipped."""
    for key, value in raw.items():
        name = plain_key(str(key))
        if name == "prompt" or _empty(value):
            continue
        if name == "options":
            typed = value
            if isinstance(value, str):
                typed = with_equals_signs(model, without_prices(without_hints(model, value)))
            yield from _option_pairs(typed)
        elif name in _PRICED and isinstance(value, str):
            yield name, without_price(value)
        else:
            yield name, _attached(value) if _takes_pictures(model, name) else value


def _empty(value: object) -> bool:
    bare = value.strip() if isinstance(value, str) else value
    return bare is None or (isinstance(bare, str | list | dict) and not bare)


def _takes_pictures(model: Model, name: str) -> bool:
    return any(option.kind in {OptionKind.PICTURE, OptionKind.PICTURES} for option in candidates(model, name))


def _attached(value: object) -> object:
    """Mark the URLs of an attachment field as Discord's; those inside `options` were typed by the person."""
    if isinstance(value, str):
        return Attachment(value.strip())
    return [_attached(item) for item in value] if isinstance(value, list) else value


def _option_pairs(text: object) -> Iterator[tuple[str, object]]:
    pairs = read_pairs(text) if isinstance(text, str) else _typed_pairs(text)
    nested: dict[str, dict[str, object]] = {}
    seen: set[str] = set()
    for key, value in pairs:
        if key in seen or key.partition(".")[0] in seen:
            raise refuse_because(key, value, phrase("option_twice", option=shown(key)))
        seen.add(key)
        outer, dot, inner = key.partition(".")
        if dot:
            nested.setdefault(outer, {})[inner] = value
        elif key == "prompt":
            raise refuse_because(key, value, phrase("option_prompt"))
        elif not _empty(value):
            yield key, value
    for outer, members in nested.items():
        if outer in seen:
            raise refuse_because(outer, members, phrase("option_twice", option=shown(outer)))
        yield outer, members


def _typed_pairs(given: object) -> list[tuple[str, object]]:
    if not isinstance(given, Mapping):
        raise refuse("options", given, phrase("takes_options_text"))
    return [(plain_key(str(key)), value) for key, value in given.items()]


# ---------------------------------------------------------------------- names


def candidates(model: Model, key: str) -> list[Option]:
    """The offered options that a name can mean: those with that alias, else the one with that name at fal."""
    friendly = [option for option in model.offered if option.alias == key]
    return friendly or [option for option in model.offered if option.name == key and key != "prompt"]


def _resolve(model: Model, key: str, value: object) -> tuple[Option | None, Json]:
    """The option and its parsed value. Of several options with that alias, the first that takes the value."""
    options = candidates(model, key)
    if _is_no_choice(options, key, value):
        return None, None
    refusal: InvalidOption | None = None
    for option in options:
        try:
            return option, parse_value(option, key, value)
        except InvalidOption as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal if len(options) == 1 else _none_takes(options, key, value)
    if key in _HARMLESS and str(value)[:8].strip() in _HARMLESS[key]:
        return None, None
    raise no_such_option(model, key, value)


def _is_no_choice(options: list[Option], key: str, value: object) -> bool:
    words = _NO_CHOICE.get(key, frozenset())
    word = (
        fold((value if isinstance(value, str) else shown(value))[:_MOST_LABEL]).partition(SEPARATOR.strip())[0].strip()
    )
    return word in words and not any(word == fold(choice) for option in options for choice in option.choices)


def _none_takes(options: list[Option], key: str, value: object) -> InvalidOption:
    merged = dataclasses.replace(options[0], choices=tuple(choice for option in options for choice in option.choices))
    if {option.kind for option in options} == {OptionKind.CHOICE}:
        try:
            parse_value(merged, key, value)
        except InvalidOption as error:
            return error
    return refuse(key, value, phrase("takes_either", ways=tuple(takes(option) for option in options)))


# ---------------------------------------------------------------------- constraints between options


def _check_required(model: Model, given: Mapping[str, Json]) -> None:
    missing = tuple(option.label for option in model.needs if option.name not in given)
    if missing:
        wanted = tuple(option.label for option in model.needs)
        count = len(missing)
        why = phrase("options_missing", model=model.title, needs=wanted, missing=missing, count=count)
        raise refuse_because(missing[0], "", why)


def _value(model: Model, name: str, given: Mapping[str, Json]) -> Json:
    option = model.option(name)
    return given.get(name, option.default if option else None)


def _labels(model: Model, names: tuple[str, ...]) -> list[str]:
    """The names of options in a refusal: the alias, or fal's name where two options share the alias."""
    return [option_name(model, option) for name in names if (option := model.option(name))]


def _exclusive(model: Model, rule: Rule, given: Mapping[str, Json]) -> None:
    both = tuple(name for name in rule.options if name in given)
    if len(both) > 1:
        why = phrase("options_exclusive", model=model.title, options=tuple(_labels(model, both)))
        raise refuse_because(both[0], value_text(given[both[0]]), why)


def _ordered(model: Model, rule: Rule, given: Mapping[str, Json]) -> None:
    numbers = [value for name in rule.options if isinstance(value := _value(model, name, given), int | float)]
    if numbers != sorted(numbers):
        pairs = pairwise(_labels(model, rule.options))
        wrong = tuple(phrase("options_order", one=one, other=other) for one, other in pairs)
        values = ", ".join(f"{number:g}" for number in numbers)
        raise refuse_because(rule.options[0], values, phrase("options_order_wrong", wrong=wrong, values=tuple(numbers)))


def _product(model: Model, rule: Rule, given: Mapping[str, Json]) -> None:
    values = [_value(model, name, given) for name in rule.options]
    total = math.prod(value for value in values if isinstance(value, int))
    if rule.maximum is not None and total > rule.maximum:
        factors = tuple(_labels(model, rule.options))
        why = phrase("options_product", factors=factors, product=total, most=rule.maximum)
        raise refuse_because(rule.options[0], total, why)


_RULES: Final = {"exclusive": _exclusive, "ordered": _ordered, "product": _product}


# ---------------------------------------------------------------------- requests


def _request(model: Model, prompt: str, given: Mapping[str, Json]) -> GenerationRequest:
    options: dict[str, Json] = {}
    for option in model.offered:
        if option.name in given:
            options[option.name] = given[option.name]
        elif option.default is not None and option.default_unless not in given and option.name != "prompt":
            default = option.default
            options[option.name] = copy.deepcopy(default) if isinstance(default, list | dict) else default
    request = GenerationRequest(
        endpoint=model.endpoint,
        prompt=prompt,
        options=options,
        given=tuple(given),
        images=images_of(model, options),
        size=request_size(model, options),
        cost_usd=None,
    )
    return dataclasses.replace(request, cost_usd=request_cost_usd(model, request))


def with_seed(model: Model, request: GenerationRequest, seed: int | None) -> GenerationRequest:
    """Return the request with another seed, or with none; a model without a seed option gets none.

    Raises:
        InvalidOption: the seed is out of the model's range.
    """
    option = model.option("seed")
    options = {name: value for name, value in request.options.items() if name != "seed"}
    if seed is not None and option is not None:
        options["seed"] = parse_value(option, "seed", seed)
    return dataclasses.replace(request, options=options, given=tuple(name for name in request.given if name != "seed"))


def with_prompt(model: Model, request: GenerationRequest, prompt: str) -> GenerationRequest:
    """Return the request with another prompt and what that asks for besides. Raises InvalidOption like `parse`."""
    reading, raw = _reading(model, {"prompt": prompt})
    understood = understand(model, reading.wishes, {}, _resolve)
    options = {**request.options, **understood.values}
    given = tuple(dict.fromkeys((*request.given, *understood.values)))
    changed = dataclasses.replace(
        request,
        prompt=_prompt(model, raw),
        options=options,
        given=given,
        notices=(*understood.notices, *_told(model, reading)),
    )
    if understood.values:
        _check(model, {name: options[name] for name in given if name in options})
        changed = dataclasses.replace(changed, images=images_of(model, options), size=request_size(model, options))
    return dataclasses.replace(changed, cost_usd=request_cost_usd(model, changed))
