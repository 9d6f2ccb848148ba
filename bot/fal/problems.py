"""A failing response of fal, read for matching only.

Three shapes exist: `{"detail": [{loc, msg, type, ctx, input}]}` from models, `{"detail": "…", "error_type": "…"}` from
fal's infrastructure (also header X-Fal-Error-Type), and strings in which fal passes on what a partner answered. `msg`
and `input` may quote the prompt, so neither is ever shown or logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.domain.request import Json
from bot.fal.http import HttpResponse

#: Text that is searched at most.
_MAX_TEXT = 20_000
_NAME = re.compile(r"[A-Za-z_]\w{0,47}")
#: `loras[0].path`, as some models write a place in one string.
_PLACE = re.compile(r"[A-Za-z_]\w{0,47}|\d{1,3}")
#: What stands before the name of a field, and is none.
_AROUND = ("body", "query", "__root__", "input", "payload")


@dataclass(frozen=True, slots=True)
class Field:
    """The field of a request that an error is about."""

    #: The name of fal's parameter; empty where the error does not name one.
    name: str
    #: The name of what is inside it, e.g. `path` of a LoRA.
    inner: str = ""
    #: Which one of several, from 1; 0 where there is one.
    number: int = 0

    @classmethod
    def at(cls, loc: Json) -> Field:
        """`["body", "loras", 0, "path"]` or `"body.loras[0].path"`; what looks like no field is left out."""
        parts = list(_parts(loc))
        while parts and parts[0] in _AROUND:
            parts.pop(0)
        names = [part for part in parts if isinstance(part, str)]
        if not names:
            return cls("")
        number = next((part + 1 for part in parts if isinstance(part, int) and 0 <= part < 100), 0)
        return cls(names[0], names[-1] if len(names) > 1 else "", number)

    @property
    def shown(self) -> str:
        """`loras`, `image_size.width`."""
        return f"{self.name}.{self.inner}" if self.inner else self.name


def _parts(loc: Json) -> Iterator[str | int]:
    if isinstance(loc, str):
        for part in _PLACE.findall(loc[:200]):
            yield int(part) if part.isdigit() else part
    elif isinstance(loc, list):
        for part in loc:
            if isinstance(part, int) and not isinstance(part, bool):
                yield part
            elif isinstance(part, str) and part.isdigit() and len(part) < 4:
                yield int(part)
            elif isinstance(part, str) and _NAME.fullmatch(part):
                yield part
            elif isinstance(part, str) and re.fullmatch(r"[\w.\[\]]{1,100}", part):
                yield from _parts(part)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a model's list of errors, or a plain text as one."""

    type: str
    field: Field
    context: Mapping[str, Json]
    #: Lower case, for searching only: may quote the prompt.
    text: str


@dataclass(frozen=True, slots=True)
class ProviderProblem:
    """What a failing response says."""

    status: int
    types: frozenset[str]
    #: Lower case, for searching only: may quote the prompt.
    text: str
    entries: tuple[Entry, ...]
    is_json: bool

    @classmethod
    def of(cls, answer: HttpResponse) -> ProviderProblem:
        """Parse a response that is no 2xx."""
        body = answer.object()
        detail = _detail(body)
        entries = tuple(_entry(entry) for entry in detail if isinstance(entry, dict))
        named = [entry.type for entry in entries]
        if body:
            named += [kind for kind in (body.get("error_type"), body.get("code")) if isinstance(kind, str)]
        if (kind := answer.headers.get("X-Fal-Error-Type")) is not None:
            named.append(kind)
        texts = [text for text in detail if isinstance(text, str)] + [entry.text for entry in entries]
        return cls(
            status=answer.status,
            types=frozenset(filter(None, named)),
            text=" ".join(texts).lower()[:_MAX_TEXT],
            entries=entries,
            is_json=body is not None,
        )

    def mentions(self, words: tuple[str, ...]) -> bool:
        """Whether the text holds one of these, which are in lower case."""
        return any(word in self.text for word in words)


def _detail(body: Mapping[str, Json] | None) -> list[Json]:
    """Everything that says what happened: entries as objects, sentences as strings."""
    said: list[Json] = []
    for name in ("detail", "error", "message", "errors"):
        value = (body or {}).get(name)
        match value:
            case list():
                said += value
            case dict() if isinstance(value.get("message"), str) or isinstance(value.get("msg"), str):
                said.append({"type": value.get("code") or value.get("type"), "msg": value.get("message"), **value})
            case dict() | str():
                said.append(value)
    return said


def _entry(entry: Mapping[str, Json]) -> Entry:
    context, kind, text = entry.get("ctx"), entry.get("type"), entry.get("msg")
    return Entry(
        type=kind if isinstance(kind, str) else "",
        field=Field.at(entry.get("loc")),
        context=context if isinstance(context, dict) else {},
        text=text.lower()[:_MAX_TEXT] if isinstance(text, str) else "",
    )
