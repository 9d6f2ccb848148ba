"""What a prompt asked for besides what to paint (`habits`), in the options of one model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.catalogue.descriptions import takes
from bot.catalogue.habits import Wish, is_foreign
from bot.catalogue.model import Model, Option
from bot.catalogue.option_syntax import plain_key
from bot.catalogue.rejections import shown
from bot.domain.request import Json
from bot.errors import InvalidOption
from bot.phrase import Phrase, phrase

#: Finds the option that a name means and parses the value; (None, None) for one that changes nothing.
Resolve = Callable[[Model, str, object], tuple[Option | None, Json]]


@dataclass(slots=True)
class Understood:
    """The options that wishes give, by fal's names, and what to tell about them."""

    values: dict[str, Json] = field(default_factory=dict)
    notices: list[Phrase] = field(default_factory=list)


def understand(model: Model, wishes: Sequence[Wish], given: Mapping[str, Json], resolve: Resolve) -> Understood:
    """Turn wishes into options. What was given in a field of its own wins; what the model does not have is left out.

    Raises:
        InvalidOption: a flag whose option does not take the value.
    """
    found = Understood()
    read: list[Phrase] = []
    unknown: list[str] = []
    for wish in _joined([_ours(model, wish) for wish in wishes]):
        if wish.key == "lora":
            found.notices.append(phrase("notice_lora_tag", tag=shown(wish.written)))
        elif wish.key == "model" and wish.value:
            found.notices.append(phrase("notice_model_given", written=shown(wish.written), model=model.title))
        elif wish.key is None or _from_elsewhere(model, wish, resolve):
            unknown.append(shown(wish.written))
        elif not wish.value:
            found.notices.append(phrase("notice_no_value", written=shown(wish.written)))
        else:
            read += _use(model, wish, given, resolve, found)
    if read:
        found.notices.insert(0, phrase("notice_read", read=tuple(read)))
    if unknown:
        found.notices.append(phrase("notice_unknown", flags=tuple(unknown)))
    return found


def pointed_at(model: Model, unsure: Sequence[Wish]) -> list[Phrase]:
    """Where the options are that somebody may have meant with words that are painted as they stand."""
    return [
        phrase("notice_unsure", written=shown(wish.written), option=wish.key)
        for wish in unsure
        if any(option.alias == wish.key for option in model.offered)
    ]


#: A flag with one word behind it.
_FLAG: Final = re.compile(r"--([A-Za-z_-]{2,40})[\s=:]+([^\s-]\S*)")


def _ours(model: Model, wish: Wish) -> Wish:
    """A flag that has the name of an option of this model; what other programs mean by such a name is not refused."""
    flag = _FLAG.fullmatch(wish.written) if wish.key is None and not wish.pasted else None
    name = plain_key(flag[1]) if flag is not None else ""
    if flag is None or name == "prompt" or not any(name in (option.alias, option.name) for option in model.offered):
        return wish
    return Wish(wish.written, name, flag[2].rstrip(","), pasted=is_foreign(flag[1]))


def _use(model: Model, wish: Wish, given: Mapping[str, Json], resolve: Resolve, found: Understood) -> list[Phrase]:
    """Add what the wish gives to `found`; return how it was read, if it was used."""
    key, written = wish.key or "", shown(wish.written)
    named = [option for option in model.offered if key in (option.alias, option.name)]
    if any(option.name in given for option in named):
        found.notices.append(phrase("notice_field_wins", written=written, option=key))
        return []
    try:
        option, value = resolve(model, key, wish.value)
    except InvalidOption:
        if named and not wish.pasted:
            raise
        notice = phrase("notice_not_taken", written=written, option=key, takes=takes(named[0])) if named else None
        found.notices.append(notice or phrase("notice_no_option", written=written, option=key, model=model.title))
        return []
    if option is not None:
        found.values[option.name] = value
    elif key == "seed" and named:
        return [phrase("notice_read_as_random", written=written, option=key)]
    return [phrase("notice_read_as", written=written, option=key)] if option is not None else []


#: Styles of Midjourney, which people write everywhere.
_STYLES_ELSEWHERE: Final = frozenset({"raw", "cute", "expressive", "original", "scenic", "4a", "4b", "4c"})


def _from_elsewhere(model: Model, wish: Wish, resolve: Resolve) -> bool:
    """Whether it is a style of another program, and none of this model."""
    if wish.key != "style" or wish.value.lower() not in _STYLES_ELSEWHERE:
        return False
    try:
        return resolve(model, wish.key, wish.value)[0] is None
    except InvalidOption:
        return True


def _joined(wishes: Sequence[Wish]) -> list[Wish]:
    """Of several wishes for one option the last holds; what should not be seen adds up."""
    kept: dict[object, Wish] = {}
    for at, wish in enumerate(wishes):
        place = at if wish.key in (None, "lora") else wish.key
        before = kept.get(place) if wish.key == "negative_prompt" else None
        kept[place] = wish if before is None else _both(before, wish)
    return list(kept.values())


def _both(one: Wish, other: Wish) -> Wish:
    return Wish(f"{one.written} {other.written}", one.key, f"{one.value}, {other.value}", other.pasted)
