"""Build autocomplete choices within Discord's limits: 25 choices of 100 characters each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from discord.app_commands import Choice

from bot.catalogue.folding import SEPARATOR, by_label
from bot.catalogue.model import Model
from bot.catalogue.price_labels import model_label
from bot.domain.job import Job, JobState
from bot.phrase import Phrase, phrase
from cogs.ui import text
from cogs.ui.messages import say

MOST = 25
LENGTH = 100
#: The value of `style` that stands for no choice; `bot.catalogue.parse` knows it.
NO_STYLE = "none"


def choices(pairs: Iterable[tuple[str, str]]) -> list[Choice[str]]:
    """Choices from (label, value) pairs; a value that is too long is left out, because it can't be shortened."""
    fitting = [pair for pair in pairs if 0 < text.length(pair[1]) <= LENGTH]
    return [Choice(name=text.plain(label, LENGTH), value=value) for label, value in fitting[:MOST]]


def no_styles(model: Model, models: Sequence[Model], *, locale: str) -> list[Choice[str]]:
    """One choice, which changes nothing, that says that the model has no styles, and which models have."""
    having = tuple(other.title for other in models if other.has_styles)
    message = phrase("completion_no_styles_at_all", model=model.title)
    if having:
        message = phrase("completion_no_styles", model=model.title, having=having)
    return choices([(f"{NO_STYLE}{SEPARATOR}{say(locale, message)}", NO_STYLE)])


def model_choices(models: Sequence[Model]) -> list[Choice[str]]:
    """Choices of models, labelled with title, price and summary."""
    return choices((model_label(model), model.key) for model in models)


def job_choices(jobs: Sequence[Job], typed: str, *, locale: str) -> list[Choice[str]]:
    """Choices of jobs whose label or id contains the typed text, in the given order."""
    wanted = typed.casefold()
    labelled = ((_job_label(job, locale), job.id) for job in jobs)
    return choices((label, job_id) for label, job_id in labelled if wanted in label.casefold() or wanted in job_id)


def labelled_job(jobs: Sequence[Job], label: str, *, locale: str) -> Job | None:
    """The job with that label, perhaps cut off, in whichever state it was shown; of several alike the first."""
    alike: dict[str, Job] = {}
    for job in jobs:
        for state in JobState:
            alike.setdefault(_job_label(replace(job, state=state), locale), job)
        alike.setdefault(text.plain(job.request.prompt, 80), job)
    found = by_label(label, ((name, job.id) for name, job in alike.items() if name))
    return next((job for job in jobs if job.id == found), None)


def _job_label(job: Job, locale: str) -> str:
    named = text.plain(job.request.prompt, 80) or job.id
    return say(locale, Phrase(f"job_{job.state.value}", {"job": named}))
