"""Messages of text, variables and plurals, taken apart once; every other message is left to Fluent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from fluent.runtime.resolver import Pattern
from fluent.syntax import ast

#: Looks up the pattern of another message; None where there is none.
Lookup = Callable[[str], Pattern | None]


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice between templates by the plural category of a whole number: `{ $count -> [one] … *[other] … }`."""

    name: str
    variants: Mapping[str, Template]
    default: Template


@dataclass(frozen=True, slots=True)
class Template:
    """Text, and between it names of variables and choices."""

    #: Text, name or choice, text, …, text.
    parts: tuple[str | Choice, ...]
    variables: frozenset[str]
    #: Those of the variables that must be whole numbers, because something is chosen by them.
    counts: frozenset[str]

    def fits(self, arguments: Mapping[str, object]) -> bool:
        """Whether these arguments can be filled in; else Fluent knows what to say."""
        return self.variables <= arguments.keys() and all(type(arguments[name]) is int for name in self.counts)

    def fill(self, arguments: Mapping[str, Any], word: Callable[[object], str], category: Callable[[int], str]) -> str:
        """The text with the `word` for every argument, and what is chosen by the `category` of a number."""
        parts = self.parts
        if len(parts) == 1 and isinstance(parts[0], str):
            return parts[0]
        shown: list[str] = []
        for index, part in enumerate(parts):
            if isinstance(part, Choice):
                chosen = part.variants.get(category(arguments[part.name]), part.default)
                shown.append(chosen.fill(arguments, word, category))
            else:
                shown.append(word(arguments[part]) if index % 2 else part)
        return "".join(shown)


def template_of(pattern: Pattern, lookup: Lookup) -> Template | None:
    """The template of a pattern; None for one that does anything else, or refers to such a one."""
    try:
        return _template(pattern, lookup)
    except _NotPlain:
        return None


class _NotPlain(Exception):
    """Only Fluent can format this."""


def _template(pattern: Pattern, lookup: Lookup) -> Template:
    parts: list[str | Choice] = [""]
    text, variables, counts = "", set[str](), set[str]()
    for piece in _pieces(pattern, lookup):
        match piece:
            case ast.TextElement():
                text += piece.value
                parts[-1] = text
                continue
            case ast.VariableReference():
                parts += [piece.id.name, ""]
                variables.add(piece.id.name)
            case ast.SelectExpression():
                choice = _choice(piece, lookup)
                parts += [choice, ""]
                counts.add(choice.name)
                for one in (*choice.variants.values(), choice.default):
                    variables |= one.variables
                    counts |= one.counts
        text = ""
    return Template(tuple(parts), frozenset(variables | counts), frozenset(counts))


def _choice(piece: ast.SelectExpression, lookup: Lookup) -> Choice:
    if not isinstance(piece.selector, ast.VariableReference):
        raise _NotPlain
    variants: dict[str, Template] = {}
    for variant in piece.variants:
        template = _template(cast("Pattern", variant.value), lookup)
        if not isinstance(variant.key, ast.Identifier):
            raise _NotPlain
        variants.setdefault(variant.key.name, template)
    (default,) = (one.key for one in piece.variants if one.default and isinstance(one.key, ast.Identifier))
    return Choice(piece.selector.id.name, variants, variants[default.name])


def _pieces(
    pattern: Pattern, lookup: Lookup
) -> Iterator[ast.TextElement | ast.VariableReference | ast.SelectExpression]:
    # fluent.runtime leaves the pattern out where it is one piece of text.
    for element in getattr(pattern, "elements", [pattern]):
        piece = element.expression if isinstance(element, ast.Placeable) else element
        match piece:
            case ast.TextElement() | ast.VariableReference() | ast.SelectExpression():
                yield piece
            case ast.MessageReference(attribute=None):
                referred = lookup(piece.id.name)
                if referred is None:
                    raise _NotPlain
                yield from _pieces(referred, lookup)
            case _:
                raise _NotPlain
