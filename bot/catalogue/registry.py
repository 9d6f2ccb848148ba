"""The models that can be painted with here, and how people find them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from bot.catalogue.model import Model, Task
from bot.errors import ModelUnavailable, UnknownModel
from bot.phrase import Phrase, phrase

#: For those who don't care what a model is for.
EVERY_TASK = frozenset(Task)


class Catalogue:
    """Immutable. Holds every known model, and which of them are not offered and why."""

    __slots__ = ("_by_name", "_known", "_unavailable", "models")

    #: The offered ones, in display order.
    models: tuple[Model, ...]

    def __init__(self, known: Iterable[Model], unavailable: Mapping[str, Phrase]) -> None:
        """`unavailable`: endpoint → why it is not offered."""
        every = tuple(known)
        self._known = MappingProxyType({model.endpoint: model for model in every})
        self._unavailable = MappingProxyType(dict(unavailable))
        self._by_name = MappingProxyType({name: model for model in every for name in _names(model)})
        self.models = tuple(model for model in every if model.endpoint not in unavailable)

    def get(self, name: str, tasks: Collection[Task] = EVERY_TASK) -> Model:
        """The model of that key, endpoint id or title, whatever the capitals.

        Args:
            tasks: what the command has use for.

        Raises:
            UnknownModel: no such model; carries close names.
            ModelUnavailable: known, but not offered here, or for none of the `tasks`.
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
        """The model of an endpoint id, offered or not (for old jobs)."""
        return self._known.get(endpoint)

    def successor(self, endpoint: str) -> Model | None:
        """What to offer where fal no longer serves the model: its successor, if that is offered here."""
        model = self._known.get(endpoint)
        if model is None or model.retired is None or model.retired.successor is None:
            return None
        return next((other for other in self.models if other.endpoint == model.retired.successor), None)

    def search(self, text: str, limit: int = 25, tasks: Collection[Task] = EVERY_TASK) -> list[Model]:
        """The offered models for any of the tasks that fit a few typed letters, best first; all of them for none."""
        models = self.offered(tasks)
        words = text.lower().split()
        ranked = [(rank, at, model) for at, model in enumerate(models) if (rank := _rank(model, words)) is not None]
        found = [model for _, _, model in sorted(ranked, key=lambda entry: entry[:2])]
        return (found or self._nearly(" ".join(words), models))[:limit]

    def _nearly(self, typed: str, models: Sequence[Model]) -> list[Model]:
        """Models whose name is a misspelling away, or holds the typed letters in their order."""
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
    """0 best; None when a word is nowhere."""
    places = (model.key, model.title.lower(), model.endpoint.lower(), model.summary.lower())
    if not all(any(word in place for place in places) for word in words):
        return None
    typed = " ".join(words)
    starts = (model.key.startswith(typed), model.title.lower().startswith(typed))
    if any(starts):
        return 0
    return next((at + 1 for at, place in enumerate(places) if typed in place), len(places) + 1)
