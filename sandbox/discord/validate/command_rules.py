"""Registered commands, and the choices that autocomplete answers with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.discord.validate.component_rules import check_channel_types
from sandbox.discord.validate.limits import MAX_CHOICES, MAX_COMMAND_TEXT, MAX_OPTION_TEXT
from sandbox.discord.validate.problems import Path, Problems, length, refusing
from sandbox.discord.wire import DiscordError, Obj

_ALL_PERMISSIONS = (1 << 54) - 1
_COMMAND_NAME = re.compile(r"[-_'\w\u0900-\u097F\u0E00-\u0E7F]{1,32}")


@refusing
def choices(payload: Obj, *, kind: int, at: Path = ("data",)) -> None:
    """The `data` of a type 8 callback for an option of type `kind` (3 string, 4 integer, 10 number)."""
    problems = Problems()
    listed = problems.array((*at, "choices"), payload.get("choices"), MAX_CHOICES)
    for index, one in enumerate(listed):
        _choice(problems, (*at, "choices", index), one, kind)
    problems.raise_if_any()


def _choice(problems: Problems, at: Path, one: Obj, kind: int) -> None:
    problems.text((*at, "name"), one.get("name"), 100, shortest=1, required=True)
    value = one.get("value")
    if kind == 3:
        problems.text((*at, "value"), value, 100, required=True)
    else:
        _number(problems, (*at, "value"), value, kind)
    for locale, name in problems.mapping((*at, "name_localizations"), one.get("name_localizations")).items():
        problems.text((*at, "name_localizations", locale), name, 100, shortest=1)


def _number(problems: Problems, path: Path, value: object, kind: int) -> None:
    """A value of an integer (4) or number (10) option; integers stay within 53 bits."""
    if isinstance(value, bool) or not isinstance(value, int if kind == 4 else (int, float)):
        problems.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not a number.')
    elif abs(value) >= 2**53:
        problems.add(path, "NUMBER_TYPE_MAX", "The number does not fit into 53 bits.")


@refusing
def commands(listed: object) -> None:
    """A bulk overwrite."""
    problems = Problems()
    seen: set[tuple[object, object]] = set()
    counts = {1: 0, 2: 0, 3: 0}
    for index, command in enumerate(problems.array((), listed, 130)):
        _command(problems, (index,), command)
        key = (command.get("name"), command.get("type") or 1)
        counts[command.get("type") or 1] = counts.get(command.get("type") or 1, 0) + 1
        if key in seen:
            problems.add(
                (index, "name"), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique"
            )
        seen.add(key)
    problems.raise_if_any()
    if counts[1] > 100 or counts[2] > 15 or counts[3] > 15:
        raise DiscordError(400, 30032, "Maximum number of application commands reached (100)")


@refusing
def command(payload: Obj, *, partial: bool = False) -> None:
    """One command to be created, or (partial) changed."""
    problems = Problems()
    _command(problems, (), payload, partial=partial)
    problems.raise_if_any()


def _command(problems: Problems, at: Path, payload: Obj, *, partial: bool = False) -> None:
    kind = 1 if payload.get("type") is None else payload["type"]
    problems.choice((*at, "type"), kind, (1, 2, 3, 4))
    if kind == 1:
        if not partial or "name" in payload:
            _command_name(problems, (*at, "name"), payload.get("name"))
        if not partial or "description" in payload:
            problems.text((*at, "description"), payload.get("description"), 100, shortest=1, required=True)
    else:
        problems.text((*at, "name"), payload.get("name"), 32, shortest=1, required=not partial)
        if payload.get("description"):
            problems.add(
                (*at, "description"),
                "APPLICATION_COMMANDS_DESCRIPTION_NOT_ALLOWED",
                "Context menu commands cannot have a description",
            )
    _localizations(problems, at, payload)
    _options(problems, (*at, "options"), payload.get("options"), depth=0)
    for key, allowed in (("contexts", (0, 1, 2)), ("integration_types", (0, 1))):
        listed = problems.array((*at, key), payload.get(key), 3, shortest=1)
        for index, one in enumerate(listed):
            problems.choice((*at, key, index), one, allowed)
        problems.unique((*at, key), listed)
    problems.integer(
        (*at, "default_member_permissions"), payload.get("default_member_permissions"), 0, _ALL_PERMISSIONS
    )
    problems.booleans(at, payload, "dm_permission", "nsfw")
    if command_text(payload) > MAX_COMMAND_TEXT:
        problems.add((*at,), "APPLICATION_COMMAND_TOO_LARGE", f"Command exceeds maximum size ({MAX_COMMAND_TEXT})")


def _localizations(problems: Problems, at: Path, payload: Obj) -> None:
    for key, longest in (("name_localizations", 32), ("description_localizations", 100)):
        for locale, text in problems.mapping((*at, key), payload.get(key)).items():
            problems.text((*at, key, locale), text, longest, shortest=1)


def _command_name(problems: Problems, path: Path, name: object) -> None:
    text = problems.text(path, name, 32, shortest=1, required=True)
    if text is not None and (not _COMMAND_NAME.fullmatch(text) or text != text.lower()):
        problems.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _options(problems: Problems, path: Path, listed: object, *, depth: int) -> None:
    names: set[object] = set()
    optional_seen = False
    given = problems.array(path, listed, MAX_CHOICES)
    if len({one.get("type") in {1, 2} for one in given if isinstance(one, dict)}) > 1:
        problems.add(
            path,
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
            "Sub-command and sub-command group options cannot be mixed",
        )
    for index, option in enumerate(given):
        at = (*path, index)
        if not isinstance(option, dict):
            problems.add(at, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        _option(problems, at, option, depth=depth)
        if option.get("name") in names:
            problems.add((*at, "name"), "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Option names must be unique")
        names.add(option.get("name"))
        if option.get("required") and optional_seen:
            problems.add(
                at,
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or (option.get("type") not in {1, 2} and not option.get("required"))


def _option(problems: Problems, at: Path, option: Obj, *, depth: int) -> None:
    kind = problems.integer((*at, "type"), option.get("type"), 1, 11, required=True)
    _command_name(problems, (*at, "name"), option.get("name"))
    problems.text((*at, "description"), option.get("description"), 100, shortest=1, required=True)
    _localizations(problems, at, option)
    problems.booleans(at, option, "required", "autocomplete")
    if kind in {1, 2}:
        if depth > (1 if kind == 1 else 0):
            problems.add(
                at, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Sub-command groups can be nested one level deep"
            )
        if kind == 2 and any(one.get("type") != 1 for one in option.get("options") or ()):
            problems.add(at, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "A sub-command group holds sub-commands only")
        _options(problems, (*at, "options"), option.get("options"), depth=depth + 1)
        return
    listed = problems.array((*at, "choices"), option.get("choices"), MAX_CHOICES)
    for index, one in enumerate(listed):
        _choice(problems, (*at, "choices", index), one, kind or 3)
    if len({one.get("name") for one in listed}) != len(listed):
        problems.add(
            (*at, "choices"), "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_DUPLICATE", "Choice names must be unique"
        )
    if option.get("autocomplete") and listed:
        problems.add(
            (*at, "autocomplete"),
            "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID",
            "Autocomplete and choices are mutually exclusive",
        )
    if option.get("autocomplete") and kind not in {3, 4, 10}:
        problems.add(
            (*at, "autocomplete"), "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID", "This type has no autocomplete"
        )
    problems.integer((*at, "min_length"), option.get("min_length"), 0, MAX_OPTION_TEXT)
    problems.integer((*at, "max_length"), option.get("max_length"), 1, MAX_OPTION_TEXT)
    for bound in ("min_value", "max_value"):
        if option.get(bound) is not None:
            _number(problems, (*at, bound), option[bound], kind or 3)
    check_channel_types(problems, at, option)


def command_text(payload: Obj) -> int:
    """Characters that count towards a command's 8,000: names, descriptions and choice values.

    With localizations, the longest of each field counts.
    """
    return sum(_texts(payload))


def _texts(node: Obj) -> Iterator[int]:
    for key in ("name", "description"):
        lengths = [length(str(node.get(key) or ""))]
        lengths += [length(str(text)) for text in (node.get(f"{key}_localizations") or {}).values()]
        yield max(lengths)
    for one in node.get("choices") or ():
        yield length(str(one.get("name", "")))
        if isinstance(one.get("value"), str):
            yield length(one["value"])
    for option in node.get("options") or ():
        yield from _texts(option)
