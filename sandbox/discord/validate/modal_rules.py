"""Modals and their fields."""

from __future__ import annotations

from sandbox.discord.validate.component_rules import (
    Files,
    Tally,
    check_custom_id,
    check_option,
    check_select,
    check_text_display,
)
from sandbox.discord.validate.limits import CHECKBOX, CHECKBOXES, MAX_CUSTOM_ID, RADIO, SELECTS, TEXT_INPUT, UPLOAD
from sandbox.discord.validate.problems import Path, Problems, refusing
from sandbox.discord.wire import Obj

_LABEL_CHILDREN = SELECTS | {TEXT_INPUT, UPLOAD, RADIO, CHECKBOXES, CHECKBOX}


@refusing
def modal(payload: Obj, *, at: Path = ("data",)) -> None:
    """The `data` of a type 9 callback."""
    problems = Problems()
    tally = Tally(Files())
    problems.text((*at, "custom_id"), payload.get("custom_id"), MAX_CUSTOM_ID, shortest=1, required=True)
    problems.text((*at, "title"), payload.get("title"), 45, shortest=1, required=True)
    path = (*at, "components")
    for index, top in enumerate(problems.array(path, payload.get("components"), 5, shortest=1, required=True)):
        _modal_row(problems, (*path, index), top, tally)
    problems.raise_if_any()


def _modal_row(problems: Problems, at: Path, top: Obj, tally: Tally) -> None:
    match None if isinstance(top.get("type"), bool) else top.get("type"):
        case 1:
            children = problems.array((*at, "components"), top.get("components"), 1, shortest=1, required=True)
            for index, child in enumerate(children):
                if child.get("type") != TEXT_INPUT:
                    problems.add(
                        (*at, "components", index), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (4,).'
                    )
                    continue
                problems.text((*at, "components", index, "label"), child.get("label"), 45, shortest=1, required=True)
                _modal_field(problems, (*at, "components", index), child, tally)
        case 10:
            check_text_display(problems, at, top, tally)
        case 18:
            problems.text((*at, "label"), top.get("label"), 45, shortest=1, required=True)
            problems.text((*at, "description"), top.get("description"), 100, shortest=1)
            child = top.get("component")
            if not isinstance(child, dict) or child.get("type") not in _LABEL_CHILDREN:
                listed = ", ".join(str(one) for one in sorted(_LABEL_CHILDREN))
                problems.add(
                    (*at, "component"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({listed}).'
                )
                return
            if child.get("type") == TEXT_INPUT and child.get("label"):
                problems.add(
                    (*at, "component", "label"), "LABEL_NOT_ALLOWED", "The label belongs to the Label component"
                )
            _modal_field(problems, (*at, "component"), child, tally)
        case _:
            problems.add(at, "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1, 10, 18).')


def _modal_field(problems: Problems, at: Path, child: Obj, tally: Tally) -> None:
    kind = child["type"]
    if kind in SELECTS:
        check_select(problems, at, child, tally)
        _required(problems, at, child)
        if child.get("disabled"):
            problems.add((*at, "disabled"), "COMPONENT_DISABLED_IN_MODAL", "A select of a modal cannot be disabled")
        return
    check_custom_id(problems, at, child, tally)
    problems.booleans(at, child, "required", "default")
    if kind == TEXT_INPUT:
        _text_input(problems, at, child)
    elif kind in {UPLOAD, CHECKBOXES}:
        least = problems.integer((*at, "min_values"), child.get("min_values"), 0, 10)
        most = problems.integer((*at, "max_values"), child.get("max_values"), 1, 10)
        if least is not None and most is not None and least > most:
            problems.add((*at, "min_values"), "SELECT_MIN_ABOVE_MAX", "min_values must not be above max_values")
        _required(problems, at, child)
    if kind in {RADIO, CHECKBOXES}:
        fewest = 2 if kind == RADIO else 1
        options = problems.array((*at, "options"), child.get("options"), 10, shortest=fewest, required=True)
        for index, option in enumerate(options):
            check_option(problems, (*at, "options", index), option)
        problems.unique((*at, "options"), [option.get("value") for option in options])


def _required(problems: Problems, at: Path, child: Obj) -> None:
    """Nothing chosen is an answer only where none is required, which it is unless said otherwise."""
    if child.get("min_values") == 0 and child.get("required") is not False:
        problems.add((*at, "min_values"), "COMPONENT_REQUIRED_MIN_VALUES", "min_values of 0 goes with required: false")


def _text_input(problems: Problems, at: Path, child: Obj) -> None:
    problems.integer((*at, "style"), child.get("style"), 1, 2, required=True)
    problems.text((*at, "placeholder"), child.get("placeholder"), 100)
    least = problems.integer((*at, "min_length"), child.get("min_length"), 0, 4000)
    most = problems.integer((*at, "max_length"), child.get("max_length"), 1, 4000)
    if least is not None and most is not None and least > most:
        problems.add((*at, "min_length"), "TEXT_INPUT_MIN_ABOVE_MAX", "min_length must not be above max_length")
    problems.text((*at, "value"), child.get("value"), most or 4000)
