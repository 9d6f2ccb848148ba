"""What a prompt asked for besides what to paint (`habits`), in the options of one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.catalogue.descriptions import takes
from bot.catalogue.habits import Wish
from bot.catalogue.model import Model, Option
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
    for wish in _joined(wishes):
        if wish.key == "lora":
            found.notices.append(phrase("notice_lora_tag", tag=shown(wish.written)))
        elif wish.key is None or (wish.key == "style" and not _takes(model, wish, resolve)):
            unknown.append(shown(wish.written))
        else:
            read += _use(model, wish, given, resolve, found)
    if read:
        found.notices.insert(0, phrase("notice_read", read=tuple(read)))
    if unknown:
        found.notices.append(phrase("notice_unknown", flags=tuple(unknown)))
    return found


def _use(model: Model, wish: Wish, given: Mapping[str, Json], resolve: Resolve, found: Understood) -> list[Phrase]:
    """Add what the wish gives to `found`; return how it was read, if it was used."""
    key, written = wish.key or "", shown(wish.written)
    named = [option for option in model.offered if option.alias == key]
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


def _takes(model: Model, wish: Wish, resolve: Resolve) -> bool:
    try:
        return resolve(model, wish.key or "", wish.value)[0] is not None
    except InvalidOption:
        return False


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
