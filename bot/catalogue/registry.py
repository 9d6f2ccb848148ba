"""The catalogue: all known models, those offered here, and look-up and search among them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from bot.catalogue.model import Model, Task
from bot.errors import ModelUnavailable, UnknownModel
from bot.phrase import Phrase, phrase

#: The default of `tasks`: models for any task.
EVERY_TASK = frozenset(Task)


class Catalogue:
    """Every known model, and which of them are not offered and why. Immutable."""

    __slots__ = ("_by_name", "_known", "_unavailable", "models")

    #: The offered models, in display order.
    models: tuple[Model, ...]

    def __init__(self, known: Iterable[Model], unavailable: Mapping[str, Phrase]) -> None:
        """`unavailable`: endpoint → why it is not offered."""
        every = tuple(known)
        self._known = MappingProxyType({model.endpoint: model for model in every})
        self._unavailable = MappingProxyType(dict(unavailable))
        self._by_name = MappingProxyType({name: model for model in every for name in _names(model)})
        self.models = tuple(model for model in every if model.endpoint not in unavailable)

    def get(self, name: str, tasks: Collection[Task] = EVERY_TASK) -> Model:
        """The model with that key, endpoint id or title, ignoring case.

        Args:
            tasks: the tasks that the command supports.

        Raises:
            UnknownModel: there is no such model; it has similar names.
            ModelUnavailable: the model is not offered here, or is for none of the `tasks`.
        """
        wanted = name.strip().lower()
        model = self._by_name.get(wanted)
        if model is None:
            raise UnknownModel(name, [near.key for near in self.search(wanted, 3, tasks)] if wanted else [])
        if model.endpoint in self._unavailable:
            raise ModelUnavailable(model.title, self._unavailable[model.endpoint])
        if model.task not in tasks:
            raise ModelUnavailable(model.title, phrase("unavailable_task"))
        return model

    def offered(self, tasks: Collection[Task]) -> tuple[Model, ...]:
        """The offered models for any of the tasks, in display order."""
        return tuple(model for model in self.models if model.task in tasks)

    def known(self, endpoint: str) -> Model | None:
        """The model with an endpoint id, offered or not (for old jobs); None if it is unknown."""
        return self._known.get(endpoint)

    def successor(self, endpoint: str, instead: str | None = None) -> Model | None:
        """The model to suggest when fal no longer serves this one, if that is offered here.

        Args:
            instead: the endpoint that fal named in its place; the successor in the model's own file goes first.
        """
        model = self._known.get(endpoint)
        named = model.retired.successor if model is not None and model.retired is not None else None
        offered = {other.endpoint: other for other in self.models if other.endpoint != endpoint}
        return next((offered[one] for one in (named, instead) if one in offered), None)

    def search(self, text: str, limit: int = 25, tasks: Collection[Task] = EVERY_TASK) -> list[Model]:
        """The offered models for any of the tasks that match the typed text, best first; all of them for no text."""
        models = self.offered(tasks)
        words = text.lower().split()
        ranked = [(rank, at, model) for at, model in enumerate(models) if (rank := _rank(model, words)) is not None]
        found = [model for _, _, model in sorted(ranked, key=lambda entry: entry[:2])]
        return (found or self._nearly(" ".join(words), models))[:limit]

    def _nearly(self, typed: str, models: Sequence[Model]) -> list[Model]:
        """Models with a similar name, or with the typed letters in that order in their key."""
        by_name = {name: model for model in models for name in _names(model)}
        near = difflib.get_close_matches(typed[:100], by_name, 6, 0.6)
        loose = [model.key for model in models if _in_order(typed, model.key)] if len(typed) > 1 else []
        endpoints = dict.fromkeys(by_name[name].endpoint for name in [*near, *loose])
        return [self._known[endpoint] for endpoint in endpoints]


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)


def _names(model: Model) -> set[str]:
    endpoint = model.endpoint.lower()
    return {model.key, model.title.lower(), endpoint, endpoint.removeprefix("fal-ai/")}


def _rank(model: Model, words: Sequence[str]) -> int | None:
    """Search rank of a model, 0 best; None when one of the words does not occur."""
    places = (model.key, model.title.lower(), model.endpoint.lower(), model.summary.lower())
    if not all(any(word in place for place in places) for word in words):
        return None
    typed = " ".join(words)
    starts = (model.key.startswith(typed), model.title.lower().startswith(typed))
    if any(starts):
        return 0
    return next((at + 1 for at, place in enumerate(places) if typed in place), len(places) + 1)
