"""The catalogue: all known models, those offered here, and look-up and search among them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from bot.catalogue.folding import by_label, fold, match_rank, squash
from bot.catalogue.model import Model, Task
from bot.catalogue.price_labels import model_label
from bot.errors import ModelUnavailable, UnknownModel
from bot.phrase import Phrase, phrase

#: The default of `tasks`: models for any task.
EVERY_TASK = frozenset(Task)
#: What is longer is no name, and no label.
_LONGEST_NAME = 250
#: Words that are compared with others to put their spelling right, and how similar those must be, 0 to 1.
_MOST_WORDS, _LEAST_LETTERS, _MOST_LETTERS, _SIMILAR = 6, 4, 20, 0.78
#: The address of a model's page.
_PAGE = re.compile(r"^https?://(?:www\.)?fal\.ai/models/([^?#]*?)(?:/(?:api|playground|examples))?/?(?:[?#].*)?$")
#: What was copied along from a command or from Details.
_COPIED = re.compile(r"^\s*(?:--)?model\s*[:=]\s*(?=\S)", re.IGNORECASE)


class Catalogue:
    """Every known model, and which of them are not offered and why. Immutable."""

    __slots__ = ("_by_name", "_known", "_unavailable", "_words", "models")

    #: The offered models, in display order.
    models: tuple[Model, ...]

    def __init__(self, known: Iterable[Model], unavailable: Mapping[str, Phrase]) -> None:
        """`unavailable`: endpoint → why it is not offered."""
        every = tuple(known)
        self._known = MappingProxyType({model.endpoint: model for model in every})
        self._unavailable = MappingProxyType(dict(unavailable))
        self._by_name = MappingProxyType({name: model for model in every for name in _names(model)})
        self.models = tuple(model for model in every if model.endpoint not in unavailable)
        self._words = MappingProxyType({written: meant for model in self.models for written, meant in _subjects(model)})

    def get(self, name: str, tasks: Collection[Task] = EVERY_TASK) -> Model:
        """The model with that key, endpoint id, title or label, ignoring case and signs.

        Args:
            tasks: the tasks that the command supports.

        Raises:
            UnknownModel: there is no such model; it has similar names.
            ModelUnavailable: the model is not offered here, or is for none of the `tasks`.
        """
        name = _COPIED.sub("", name[: _LONGEST_NAME * 2]) or name
        wanted = name.strip().lower()
        model = self._by_name.get(wanted) or self._by_loose_name(name[:_LONGEST_NAME])
        if model is None:
            near = self.search(wanted, 3, tasks) if wanted else []
            raise UnknownModel(name, [one.key for one in near], by_subject=self._is_subject(wanted, near))
        if model.endpoint in self._unavailable:
            raise ModelUnavailable(model.title, self._unavailable[model.endpoint])
        if model.task not in tasks:
            raise ModelUnavailable(model.title, phrase("unavailable_task"))
        return model

    def _by_loose_name(self, name: str) -> Model | None:
        """The model whose name or label differs in spaces, dashes and cutting only; None where several do."""
        wanted = squash(_PAGE.sub(r"\1", fold(name)))
        same = {model.endpoint for known, model in self._by_name.items() if wanted and squash(known) == wanted}
        labels = ((label, one.endpoint) for one in self._known.values() for label in (one.label, model_label(one)))
        endpoint = same.pop() if len(same) == 1 else by_label(name, labels)
        return self._known.get(endpoint or "")

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
        """The offered models for any of the tasks that match the typed text, best first; all of them for no text.

        A name comes before what a model is good at, that before a word in its summary; an endpoint id counts only
        where nothing else matches, and after it words and names that are misspelled.
        """
        models, typed = self.offered(tasks), text[:_LONGEST_NAME]
        named = self._by_loose_name(typed) if typed.strip() else None
        others = self._matching(typed, models)
        if named is not None and named in models:
            others = [named, *(model for model in others if model is not named)]
        return others[:limit]

    def _matching(self, typed: str, models: Sequence[Model]) -> list[Model]:
        for rank_of in (_rank, _endpoint_rank):
            ranks = [(rank_of(model, typed), model) for model in models]
            found = sorted(((rank, model) for rank, model in ranks if rank is not None), key=lambda entry: entry[0])
            if found:
                return [model for _, model in found]
        meant = self._respelled(typed)
        return self._matching(meant, models) if meant is not None else self._nearly(fold(typed), models)

    def _is_subject(self, typed: str, found: Sequence[Model]) -> bool:
        """Whether models were found by what they are good at, and not by a name."""
        meant = self._respelled(typed) or typed
        return bool(found) and _rank(found[0], meant) is not None and match_rank(meant, *_names(found[0])) is None

    def _respelled(self, typed: str) -> str | None:
        """Misspelled words of what models are good at, put right; None where nothing is, or a word is like none."""
        words = [word for word in re.findall(r"[\w.]+", fold(typed)) if word not in _FILLING][:_MOST_WORDS]
        found = [self._words.get(word) or self._like(word) for word in words]
        meant = " ".join(word for word in found if word)
        return meant if words and all(found) and meant != " ".join(words) else None

    def _like(self, word: str) -> str | None:
        if not _LEAST_LETTERS <= len(word) <= _MOST_LETTERS:
            return None
        near = difflib.get_close_matches(word, self._words, 1, _SIMILAR)
        return self._words[near[0]] if near else None

    def _nearly(self, typed: str, models: Sequence[Model]) -> list[Model]:
        """Models with a similar name, or with the typed letters in that order in their key."""
        by_name = {name: model for model in models for name in _names(model)}
        near = difflib.get_close_matches(typed[:100], by_name, 6, 0.6)
        loose = [model.key for model in models if _in_order(typed, model.key)] if len(typed) > 1 else []
        endpoints = dict.fromkeys(by_name[name].endpoint for name in [*near, *loose])
        return [self._known[endpoint] for endpoint in endpoints]


def _subjects(model: Model) -> Iterator[tuple[str, str]]:
    """The words for what a model is good at and for its styles, as (written, meant): `pixelart` is `pixel art`."""
    for word in (*model.tags, *_said_as(model.tags)):
        yield word, word
    for option in model.offered:
        for choice in option.choices if option.alias == "style" else ():
            words = [
                word
                for word in re.findall(r"[^\W\d_]+", fold(choice.rpartition("/")[2]))
                if len(word) >= _LEAST_LETTERS - 1
            ]
            yield from ((word, word) for word in words)
            if len(words) > 1:
                yield "".join(words), " ".join(words)


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)


def _names(model: Model) -> set[str]:
    endpoint = model.endpoint.lower()
    return {model.key, model.title.lower(), endpoint, endpoint.removeprefix("fal-ai/")}


def _rank(model: Model, typed: str) -> int | None:
    """Search rank of a model, 0 best; None when one of the typed words does not occur."""
    named = match_rank(typed, model.key, model.title)
    if named is not None and named < _INSIDE:
        return named
    words = re.findall(r"[\w.]+", fold(typed))
    ranks = [_word_rank(model, word) for word in [word for word in words if word not in _FILLING] or words]
    found = [rank for rank in ranks if rank is not None]
    if not found or len(found) < len(ranks):
        return named
    return max(found) if named is None else min(named, max(found))


#: `match_rank` of a word that begins nowhere, and the ranks after it.
_INSIDE = 4


def _word_rank(model: Model, word: str) -> int | None:
    """4 what it is good at, 5 the beginning of that, 6 a word of its summary or styles or in its name, 7 inside one."""
    meant = _MEANT.get(word, word)
    if meant in model.tags:
        return _INSIDE
    if len(word) > 1 and any(tag.startswith(word) for tag in (*model.tags, *_said_as(model.tags))):
        return _INSIDE + 1
    styles = (choice for option in model.offered if option.alias == "style" for choice in option.choices)
    whole = re.findall(r"\w+", fold(" ".join((model.summary, *styles)).replace("_", " ")))
    if word in whole or meant in whole or word in model.key or word in model.title.lower():
        return _INSIDE + 2
    return _INSIDE + 3 if len(word) > 1 and any(word in one for one in whole) else None


def _said_as(tags: Sequence[str]) -> Iterator[str]:
    """Other words for what a model is good at."""
    return (word for word, tag in _MEANT.items() if tag in tags)


def _endpoint_rank(model: Model, typed: str) -> int | None:
    words = typed.lower().split()
    return 0 if words and all(word in model.endpoint.lower() for word in words) else None


#: Words that say nothing of what somebody looks for.
_SAYING_NOTHING = """
    a an and any at best can for good great i in is like look looking make makes me model models my need of on one
    picture pictures really some something style styles that the to very want which with
"""
_FILLING = frozenset(_SAYING_NOTHING.split())

#: What other words mean, in the words of the model files.
_MEANT: Mapping[str, str] = {
    word: tag
    for tag, words in {
        "3d": "render",
        "anime": "manga cartoon cartoons chibi comic comics ghibli kawaii",
        "art": "artistic fantasy cyberpunk scifi concept abstract surreal",
        "cheap": "budget inexpensive cheapest affordable low-cost price",
        "edit": "change editing img2img",
        "fast": "quick speed fastest rapid turbo",
        "icon": "icons emoji sticker",
        "illustration": "illustrations illustrated drawing drawings drawn sketches doodle",
        "inpaint": "inpainting mask remove",
        "large": "big huge hires highres wallpaper",
        "logo": "logos brand",
        "lora": "loras",
        "painting": "painterly paint oil watercolor watercolour",
        "photo": "foto fotos monochrome black white photos photograph photographs photography photorealistic realistic"
        " realism lifelike real",
        "portrait": "face faces selfie",
        "poster": "posters flyer cover",
        "text": "texts lettering letters typography words font fonts writing readable",
        "transparent": "transparency see-through alpha",
        "vector": "vectors svg",
    }.items()
    for word in words.split()
}
