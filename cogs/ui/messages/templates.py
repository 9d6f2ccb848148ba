"""Messages that are nothing but text and variables, taken apart once; every other message is left to Fluent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fluent.runtime.resolver import Pattern
from fluent.syntax import ast

#: Looks up the pattern of another message; None where there is none.
Lookup = Callable[[str], Pattern | None]


@dataclass(frozen=True, slots=True)
class Template:
    """Text, and the names of the variables between it."""

    #: Text, name, text, …, text.
    parts: tuple[str, ...]
    variables: frozenset[str]

    def fill(self, arguments: Mapping[str, object], word: Callable[[object], str]) -> str:
        """The text with the `word` for every argument."""
        parts = self.parts
        if len(parts) == 1:
            return parts[0]
        return "".join([word(arguments[part]) if index % 2 else part for index, part in enumerate(parts)])


def template_of(pattern: Pattern, lookup: Lookup) -> Template | None:
    """The template of a pattern; None for one that selects, calls functions, or refers to such a one."""
    parts = [""]
    try:
        for kind, word in _pieces(pattern, lookup):
            if kind is ast.VariableReference:
                parts += [word, ""]
            else:
                parts[-1] += word
    except _NotPlain:
        return None
    return Template(tuple(parts), frozenset(parts[1::2]))


class _NotPlain(Exception):
    """Only Fluent can format this."""


def _pieces(pattern: Pattern, lookup: Lookup) -> Iterator[tuple[type, str]]:
    """(TextElement, text) and (VariableReference, name)."""
    # fluent.runtime leaves the pattern out where it is one piece of text.
    for element in getattr(pattern, "elements", [pattern]):
        piece = element.expression if isinstance(element, ast.Placeable) else element
        match piece:
            case ast.TextElement():
                yield ast.TextElement, piece.value
            case ast.VariableReference():
                yield ast.VariableReference, piece.id.name
            case ast.MessageReference(attribute=None):
                referred = lookup(piece.id.name)
                if referred is None:
                    raise _NotPlain
                yield from _pieces(referred, lookup)
            case _:
                raise _NotPlain
