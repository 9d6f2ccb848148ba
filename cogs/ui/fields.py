"""The fields of windows: for each option of a model a control that takes what the model takes, and no more.

Discord's limits: labels of 45 characters, descriptions and placeholders of 100, texts of 4,000, 25 choices, 10 files. A
file field can't be filled beforehand, so it says what is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import discord

from bot.catalogue import describe_option, size_choices, style_choices
from bot.catalogue.model import Model, Option, OptionKind
from bot.catalogue.parse import candidates
from bot.phrase import Phrase
from cogs.ui import text
from cogs.ui.messages import say
from cogs.ui.typed import Typed

#: Discord's limit for the text of one field.
FIELD_LIMIT: Final = 4000
#: Discord's limit for the choices of a menu.
MOST_CHOICES: Final = 25
#: Discord's limit for the files of one field.
MOST_FILES: Final = 10
#: Longest value of a field of one line.
LINE_LIMIT: Final = 1000

#: Fields that hold whole texts.
_LONG: Final = frozenset({"prompt", "negative_prompt", "options"})
#: A text that is longer than its field goes on in further ones; what their name ends with says what stood in between.
_BETWEEN: Final = {"+": "", ".": " ", "/": "\n"}
_PART = re.compile(r"(?P<name>[a-z_]+)(?P<between>[+./])(?P<number>\d)")

Field = discord.ui.Label[Any]


def has_field(model: Model | None, name: str) -> bool:
    """Whether a window for this model can have the field."""
    if name in {"model", "options"}:
        return True
    if name == "prompt":
        return model is None or model.takes_prompt
    return model is not None and bool(candidates(model, name))


def takes_files(model: Model | None, name: str) -> bool:
    """Whether the field is one for pictures."""
    return model is not None and any(_takes_pictures(option) for option in candidates(model, name))


def _takes_pictures(option: Option) -> bool:
    return option.kind in {OptionKind.PICTURE, OptionKind.PICTURES}


def fields(name: str, model: Model | None, typed: Typed, models: Sequence[Model], *, locale: str) -> list[Field]:
    """The field of that name, filled with what was typed; several if it is longer than one may be.

    Args:
        model: the model that the window is for; None if what was typed names none.
        models: the models to choose from.
    """
    if name == "model":
        return [_model(model, typed, models, locale)]
    if model is not None and takes_files(model, name):
        return [_files(name, model, typed, locale)]
    choices, given = _choices(name, model), typed.shown(name)
    chosen = next((value for label, value in choices if given.lower() in {value.lower(), label.lower()}), None)
    # What was typed and is no choice is shown as it was typed, to be changed.
    if choices and (chosen is not None or not given):
        return [_menu(name, choices, chosen, locale)]
    return _texts(name, model, typed, locale)


# ---------------------------------------------------------------------- menus


def _model(model: Model | None, typed: Typed, models: Sequence[Model], locale: str) -> Field:
    label = say(locale, "form_model")
    if len(models) > MOST_CHOICES or not models:
        return _label(label, say(locale, "form_model_hint"), _line("model", typed.model or "", required=True))
    choices = [
        discord.SelectOption(
            label=text.plain(one.title, 100),
            value=one.key,
            description=text.plain(one.summary, 100) or None,
            default=model is not None and one.endpoint == model.endpoint,
        )
        for one in models
    ]
    return _label(label, "", discord.ui.Select(custom_id="model", options=choices, required=True))


def _choices(name: str, model: Model | None) -> list[tuple[str, str]]:
    """(label, value) of all that an option takes, if that is few enough to choose from; else none."""
    options = candidates(model, name) if model is not None else []
    if not options or any(option.custom_size and option.kind is OptionKind.SIZE for option in options):
        return []
    kinds = {option.kind for option in options}
    if kinds <= {OptionKind.CHOICE, OptionKind.SIZE}:
        return _named_choices(name, model, options)
    low, high = options[0].minimum, options[0].maximum
    if name == "count" and kinds == {OptionKind.INTEGER} and low is not None and high is not None:
        numbers = [str(number) for number in range(int(low), int(high) + 1)[: MOST_CHOICES + 1]]
        return [(number, number) for number in numbers] if len(numbers) <= MOST_CHOICES else []
    return []


def _named_choices(name: str, model: Model | None, options: Sequence[Option]) -> list[tuple[str, str]]:
    values = list(dict.fromkeys(value for option in options for value in option.choices))
    if model is None or len(values) > MOST_CHOICES or any(len(value) > 100 for value in values):
        return []
    labels = {"size": size_choices, "style": style_choices}.get(name)
    named = {value: label for label, value in labels(model)} if labels is not None else {}
    return [(named.get(value, value), value) for value in values]


def _menu(name: str, choices: Sequence[tuple[str, str]], chosen: str | None, locale: str) -> Field:
    options = [
        discord.SelectOption(label=text.plain(label, 100) or value, value=value, default=value == chosen)
        for label, value in choices
    ]
    select: discord.ui.Select[Any] = discord.ui.Select(
        custom_id=name, options=options, placeholder=say(locale, "form_choose"), required=False, min_values=0
    )
    return _label(_optional(name, locale), _hint(name, locale), select)


# ---------------------------------------------------------------------- files


def _files(name: str, model: Model, typed: Typed, locale: str) -> Field:
    options = [option for option in candidates(model, name) if _takes_pictures(option)]
    several = any(option.kind is OptionKind.PICTURES for option in options)
    most = min(max((option.max_items or MOST_FILES) if several else 1 for option in options), MOST_FILES)
    kept = typed.has(name)
    needed = not kept and (typed.trouble == name or any(option.required for option in options))
    upload: discord.ui.FileUpload[Any] = discord.ui.FileUpload(
        custom_id=name, required=needed, min_values=1 if needed else 0, max_values=most
    )
    label = say(locale, f"form_{name}") if needed else _optional(name, locale)
    return _label(label, say(locale, "form_file_kept") if kept else _hint(name, locale), upload)


# ---------------------------------------------------------------------- texts


def _texts(name: str, model: Model | None, typed: Typed, locale: str) -> list[Field]:
    limit = _limit(name, model)
    parts = list(_parts(name, typed.shown(name), limit))
    needed = name == "prompt" and (model is None or _is_required(model, "prompt"))
    first = _label(
        say(locale, f"form_{name}") if needed else _optional(name, locale),
        _hint(name, locale, model),
        _text(name, parts[0][1], limit, needed=needed, placeholder=_example(name, model, locale)),
    )
    rest = [
        _label(say(locale, "form_rest"), say(locale, "form_rest_hint", most=limit), _text(part, words, FIELD_LIMIT))
        for part, words in parts[1:]
    ]
    return [first, *rest]


def _limit(name: str, model: Model | None) -> int:
    """The most characters that the model, or at least Discord, takes in a field."""
    options = [model.option("prompt")] if name == "prompt" and model is not None else []
    options = options or (list(candidates(model, name)) if model is not None else [])
    longest = max((option.max_length or 0 for option in options if option is not None), default=0)
    return min(longest or (FIELD_LIMIT if name in _LONG else LINE_LIMIT), FIELD_LIMIT)


def _is_required(model: Model, name: str) -> bool:
    option = model.option(name)
    return option is not None and option.required


def _parts(name: str, words: str, limit: int) -> Iterator[tuple[str, str]]:
    """(name of the field, text) of a text that is cut where it is longer than fields may be."""
    part, between, left = _cut(words, limit)
    yield name, part
    number = 2
    while left:
        name_of_rest = f"{name}{between}{number}"
        part, between, left = _cut(left, FIELD_LIMIT)
        yield name_of_rest, part
        number += 1


def _cut(words: str, limit: int) -> tuple[str, str, str]:
    """(the beginning that fits, the sign of `_BETWEEN`, the rest), between two words if there is such a place near."""
    part = text.head(words, limit)
    if len(part) == len(words):
        return words, "", ""
    space = max(words.rfind(" ", 0, len(part) + 1), words.rfind("\n", 0, len(part) + 1))
    if space < len(part) * 3 // 4:
        return part, "+", words[len(part) :]
    return words[:space], "." if words[space] == " " else "/", words[space + 1 :]


def joined(values: Mapping[str, str]) -> dict[str, str]:
    """What was typed by name, with the parts of long texts put together again."""
    whole: dict[str, str] = {}
    for name, value in values.items():
        part = _PART.fullmatch(name)
        if part is None:
            whole[name] = value
        elif value.strip():
            whole[part["name"]] = whole.get(part["name"], "") + _BETWEEN[part["between"]] + value
    return {name: value.strip() for name, value in whole.items()}


def _text(name: str, words: str, limit: int, *, needed: bool = False, placeholder: str = "") -> Any:
    if re.split(r"[+./]", name)[0] not in _LONG and len(words) <= LINE_LIMIT:
        return _line(name, words, limit=limit, placeholder=placeholder)
    return discord.ui.TextInput(
        custom_id=name,
        style=discord.TextStyle.paragraph,
        placeholder=text.plain(placeholder, 100) or None,
        default=words or None,
        required=needed,
        min_length=1 if needed else None,
        max_length=limit,
    )


def _line(name: str, words: str, *, limit: int = LINE_LIMIT, placeholder: str = "", required: bool = False) -> Any:
    return discord.ui.TextInput(
        custom_id=name,
        placeholder=text.plain(placeholder, 100) or None,
        default=text.head(words, limit) or None,
        required=required,
        max_length=limit,
    )


def _example(name: str, model: Model | None, locale: str) -> str:
    match name:
        case "prompt":
            return say(locale, "form_prompt_hint")
        case "size":
            return say(locale, "form_size_example")
        case "options":
            return _pairs(model) if model is not None else ""
    return ""


def _pairs(model: Model) -> str:
    """An example for the field `options`: up to two `name=value` pairs that this model takes."""
    pairs = ["seed=7"] if model.option("seed") is not None else []
    pairs += [f"{option.label}={option.choices[-1]}" for option in model.offered if option.kind is OptionKind.CHOICE]
    return " ".join(pairs[:2])


# ---------------------------------------------------------------------- labels


def _optional(name: str, locale: str) -> str:
    return say(locale, "form_optional", field=Phrase(f"form_{name}"))


def _hint(name: str, locale: str, model: Model | None = None) -> str:
    if name == "options" and model is not None:
        return say(locale, "form_options_hint", model=model.key)
    if name in _HINTS:
        return say(locale, _HINTS[name])
    option = next(iter(candidates(model, name)), None) if model is not None else None
    return say(locale, describe_option(option)) if option is not None and option.kind in _NUMBERS else ""


_NUMBERS: Final = frozenset({OptionKind.INTEGER, OptionKind.NUMBER})
_HINTS: Final = {
    "negative_prompt": "form_negative_prompt_hint",
    "size": "form_size_hint",
    "image": "form_image_hint",
    "mask": "form_mask_hint",
}


def _label(label: str, description: str, component: discord.ui.Item[Any]) -> Field:
    return discord.ui.Label(
        text=text.plain(label, 45), description=text.plain(description, 100) or None, component=component
    )


__all__ = ["FIELD_LIMIT", "Field", "fields", "has_field", "joined", "takes_files"]
