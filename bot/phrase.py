"""What a person is to be told, before it is put into words.

Failures, refusals and outcomes are stored and passed as a code with parameters; `cogs.ui.messages` turns them into a
sentence in the reader's language. So a stored failure reads well in any language, also one that was added later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

#: Anything JSON can hold.
Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
#: A parameter of a phrase: a plain value, another phrase inside it, or a list of either.
Param: TypeAlias = "str | int | float | Decimal | datetime | bool | Phrase | tuple[Param, ...] | None"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence, or a part of one, by its code (`limit_reached`, `takes_whole_number`) and its parameters."""

    code: str
    params: Mapping[str, Param] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The phrase as JSON; `from_json` reads it back."""
        return {"code": self.code, "params": {name: _to_json(value) for name, value in self.params.items()}}

    @classmethod
    def from_json(cls, read: Mapping[str, Json]) -> Phrase:
        """The phrase that `to_json` wrote.

        Raises:
            ValueError: it is not of that form.
        """
        code, params = read.get("code"), read.get("params", {})
        if not isinstance(code, str) or not isinstance(params, dict):
            raise ValueError("a phrase has a code and parameters")
        return cls(code, {name: _from_json(value) for name, value in params.items()})


def phrase(code: str, /, **params: Param) -> Phrase:
    """`phrase("takes_values", most=4)`: a phrase with its parameters by name."""
    return Phrase(code, params)


def _to_json(value: Param) -> Json:
    match value:
        case Phrase():
            return {"phrase": value.to_json()}
        case Decimal():
            return {"decimal": str(value)}
        case datetime():
            return {"at": value.isoformat()}
        case tuple():
            return [_to_json(item) for item in value]
    return value


def _from_json(value: Json) -> Param:
    match value:
        case {"phrase": dict(inner)}:
            return Phrase.from_json(inner)
        case {"decimal": str(text)}:
            return Decimal(text)
        case {"at": str(text)}:
            return datetime.fromisoformat(text).astimezone(UTC)
        case dict():
            raise ValueError("a parameter is no table")
        case list():
            return tuple(_from_json(item) for item in value)
    return value
