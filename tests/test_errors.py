"""The class tree in the docstring of bot/errors.py is that of the classes."""

from __future__ import annotations

import re

from bot import errors
from bot.errors import EaselError, OperatorError, ToldError

#: Bases that the tree leaves out, because they say how an error is put into words and not what it is.
LEFT_OUT = {ToldError, OperatorError}
LINE = re.compile(r"(?P<branches>(?:[│ ]   )*)[├└]── (?P<name>\w+)")


def drawn(docstring: str) -> dict[str, str]:
    """Each class in the tree → the one it hangs from."""
    parents: dict[str, str] = {}
    path = [EaselError.__name__]
    for line in map(LINE.match, docstring.splitlines()):
        if line is not None:
            depth = len(line["branches"]) // 4 + 1
            path[depth:] = [line["name"]]
            parents[line["name"]] = path[depth - 1]
    return parents


def defined() -> dict[str, str]:
    """The same from the classes themselves."""
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, EaselError)]
    bases = {one: next(base for base in one.__mro__[1:] if base not in LEFT_OUT) for one in classes}
    return {one.__name__: bases[one].__name__ for one in classes if one not in {EaselError, *LEFT_OUT}}


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    assert drawn(errors.__doc__ or "") == defined(), "the class tree in the docstring of bot/errors.py"


def test_a_tree_is_read_with_all_its_levels() -> None:
    tree = """
    EaselError
    ├── A        text
    │   └── B    more └── text
    └── C
        ├── D
        │   └── E
        └── F
    """.replace("\n    ", "\n")
    assert drawn(tree) == {"A": "EaselError", "B": "A", "C": "EaselError", "D": "C", "E": "D", "F": "C"}
