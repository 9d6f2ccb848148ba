"""What a person typed and attached, before it is checked; a draft keeps it while it is to be mended."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from bot.catalogue import value_text
from bot.catalogue.model import COMMON_ALIASES, OptionKind
from cogs.ui.details import ATTACHED_AT, pair_value

if TYPE_CHECKING:
    from bot.catalogue.model import Model, Option
    from bot.domain.job import Job
    from bot.domain.request import GenerationRequest, Json

#: The fields of /imagine, besides the model.
FIELDS: Final = ("prompt", *COMMON_ALIASES, "options")


@dataclass(frozen=True, slots=True)
class Typed:
    """A request as it was given, which may be one that can't be accepted."""

    #: The model's name as it was typed, or its key; None: the person's default.
    model: str | None
    #: By field of /imagine: texts and numbers as typed, for pictures the URL of the attachment or a list of them.
    values: Mapping[str, Json] = field(repr=False)
    #: The job that it repeats or edits.
    parent_id: str | None = None
    #: The field on whose account it was refused.
    trouble: str | None = None

    def to_json(self) -> dict[str, Json]:
        """As the payload of a draft."""
        return {
            "model": self.model,
            "values": dict(self.values),
            "parent_id": self.parent_id,
            "trouble": self.trouble,
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Json]) -> Typed:
        """From the payload of a draft."""
        values = cast("Mapping[str, Json]", payload.get("values") or {})
        model, parent_id, trouble = (payload.get(name) for name in ("model", "parent_id", "trouble"))
        return cls(_text(model), values, _text(parent_id), _text(trouble))

    def has(self, name: str) -> bool:
        """Whether anything was given in that field, were it a nought."""
        return self.values.get(name) not in (None, "", [])

    def having(self, values: Mapping[str, Json]) -> Typed:
        """With these values; a field without a value is empty from now on."""
        merged = {name: value for name, value in {**self.values, **values}.items() if value not in (None, "", [])}
        return dataclasses.replace(self, values=merged)

    def without(self, name: str | None) -> Typed:
        """Without the value of that field."""
        return dataclasses.replace(self, values={key: value for key, value in self.values.items() if key != name})

    def shown(self, name: str) -> str:
        """The text of a field, as it was typed or as it could be typed."""
        value = self.values.get(name)
        return (value if isinstance(value, str) else value_text(value)).strip()


def takes_pictures(name: str) -> bool:
    """Whether a field of /imagine is one for pictures."""
    return name in {"image", "mask"}


def _text(value: Json) -> str | None:
    return str(value) if value is not None else None


def typed_of(job: Job, model: Model | None, *, with_seed: bool = True) -> Typed:
    """What a person would type to get the same request as the job's.

    Args:
        model: the job's model; None if it is not known any more.
        with_seed: whether to keep a seed that was chosen by the person.
    """
    request = job.request
    values: dict[str, Json] = {"prompt": request.prompt} if request.prompt else {}
    rest: list[str] = []
    for name, value in _given(request, with_seed=with_seed):
        option = model.option(name) if model is not None else None
        label = option.alias if option is not None else None
        if label in FIELDS and label not in values and not _is_typed_link(option, value):
            values[str(label)] = value if _is_picture(option) else value_text(value) or value
        else:
            rest.append(f"{name}={pair_value(value)}")
    if rest:
        values["options"] = " ".join(rest)
    return Typed(model.key if model is not None else request.endpoint, values, job.id)


def _given(request: GenerationRequest, *, with_seed: bool) -> Iterable[tuple[str, Json]]:
    for name in request.given:
        value = request.options.get(name)
        if name != "prompt" and value not in (None, "", []) and (with_seed or name != "seed"):
            yield name, value


def _is_picture(option: Option | None) -> bool:
    return option is not None and option.kind in {OptionKind.PICTURE, OptionKind.PICTURES}


def _is_typed_link(option: Option | None, value: Json) -> bool:
    """Whether it is a picture by its address in the web, which a file field can't hold."""
    links = value if isinstance(value, list) else [value]
    return _is_picture(option) and not all(str(link).startswith(ATTACHED_AT) for link in links)
