"""The windows that people type into: to paint with a model, to edit a prompt, to mend what was refused. Pure functions.

Discord's windows have at most five fields, and none can follow another without a click. So a window shows what is
likely to be changed: to mend a request, first what was refused. Further windows open by a button, and what none of them
shows stays in the draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import discord

from bot.catalogue.model import COMMON_ALIASES, Model
from bot.domain.job import Job
from cogs.ui.fields import Field, fields, has_field
from cogs.ui.messages import say
from cogs.ui.modals import Form
from cogs.ui.typed import FIELDS, Typed, takes_pictures, typed_of

#: Discord's limit for the fields of a window.
MOST_FIELDS: Final = 5
#: After what was refused, and what the model needs, a window shows these; the others come later.
_FIRST: Final = ("prompt", "model", "image", "mask", "size", "count")


def compose(model: Model, *, locale: str) -> Form:
    """An empty window to paint with a model: a long prompt, what the model needs, and what people change most."""
    needs = [option.label for option in model.needs]
    likely = ("prompt", *needs, "image", "negative_prompt", "style", "size", "count")
    names = [name for name in dict.fromkeys(likely) if has_field(model, name)][: MOST_FIELDS - 1]
    shown = _Shown(model, Typed(model.key, {}), (), locale).parts([*names, "options"])
    return Form(say(locale, "form_compose", model=model.title), "compose", model.key, *shown)


def edit(job: Job, model: Model, *, locale: str) -> Form:
    """A window to edit the prompts of a job, or to give other pictures, and repeat the request so."""
    typed = typed_of(job, model).having({"negative_prompt": job.request.options.get("negative_prompt")})
    names = [name for name in ("prompt", "negative_prompt", "image", "mask") if has_field(model, name)]
    return Form(say(locale, "form_edit"), "edit", job.id, *_Shown(model, typed, (), locale).parts(names))


def fix(draft_id: str, page: int, model: Model | None, typed: Typed, models: Sequence[Model], *, locale: str) -> Form:
    """A window of a draft.

    Args:
        page: which of `pages`; the first begins with what was refused.
        model: the model that it is meant for; None if there is no such model.
        models: the models to choose from.
    """
    every = pages(model, typed)
    names = every[min(page, len(every) - 1)]
    return Form(say(locale, "form_fix"), "fix", draft_id, *_Shown(model, typed, models, locale).parts(names))


def delete(job_id: str, *, locale: str) -> Form:
    """The question before a picture is deleted."""
    question: discord.ui.TextDisplay[Any] = discord.ui.TextDisplay(say(locale, "form_delete_question"))
    return Form(say(locale, "form_delete"), "delete", job_id, question)


def pages(model: Model | None, typed: Typed) -> list[list[str]]:
    """The names of the fields of each window in which a request is mended."""
    shown = _Shown(model, typed, (), "en-US")
    made: list[list[str]] = [[]]
    room = MOST_FIELDS
    for name in _in_order(model, typed):
        size = len(shown.parts([name]))
        if size > room:
            made.append([])
            room = MOST_FIELDS
        made[-1].append(name)
        room -= size
    return made


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the fields of a window show."""

    model: Model | None
    typed: Typed
    models: Sequence[Model]
    locale: str

    def parts(self, names: Sequence[str]) -> list[Field]:
        """The fields of these names; a long text has several."""
        made = [fields(name, self.model, self.typed, self.models, locale=self.locale) for name in names]
        return [part for parts in made for part in parts][:MOST_FIELDS]


def _in_order(model: Model | None, typed: Typed) -> list[str]:
    """The fields of a request: what was refused, what the model needs and lacks, and then the others."""
    needs = model.needs if model is not None else ()
    lacks = [option.label for option in needs if not typed.has(option.label)]
    every = [typed.trouble or "prompt", *lacks, *_FIRST, *COMMON_ALIASES, "options"]
    return [name for name in dict.fromkeys(every) if _is_shown(name, model, typed)]


def _is_shown(name: str, model: Model | None, typed: Typed) -> bool:
    if has_field(model, name):
        return True
    # What the model does not take can be emptied; a file can't, it is left out by a button.
    return name in FIELDS and typed.has(name) and not takes_pictures(name)
