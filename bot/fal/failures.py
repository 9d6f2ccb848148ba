"""fal's refusals and failures as errors of `bot.errors`.

A failed job is COMPLETED like any other; what happened is the HTTP status and body of the result GET. Three shapes
exist: `{"detail": [{loc, msg, type, ctx, input}]}` from models, `{"detail": "…", "error_type": "…"}` from fal's
infrastructure (also header X-Fal-Error-Type), and account problems as 401, 402 and 403. `problems` reads them,
`partners` knows the words of models' makers, and `refused_options` says which argument was not accepted. The rules are
asked in the order of `failure_of`; what none of them names and may be over soon (`_last`) is retried by the caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.domain.ports import ServedModel
from bot.errors import (
    BalanceExhausted,
    Cancelled,
    GenerationFailed,
    GenerationTimedOut,
    KeyRefused,
    ModelGone,
    OptionsRefused,
    ProviderError,
    ResultUnusable,
)
from bot.fal.http import HttpResponse
from bot.fal.partners import content_refusal, partner_refusal
from bot.fal.problems import ProviderProblem
from bot.fal.refused_options import describe
from bot.fal.results import billable_units
from bot.phrase import phrase

_CANCELLED = frozenset({"client_cancelled", "client_disconnected"})
_TIMED_OUT = frozenset({"request_timeout", "generation_timeout", "startup_timeout"})
#: Model errors with a 4xx that the options are not to blame for.
_BROKEN = frozenset(
    {"downstream_service_error", "downstream_service_unavailable", "internal_server_error", "internal_error"}
)
_NO_PICTURE = frozenset({"no_media_generated"})
BALANCE_WORDS = ("balance", "billing", "top up", "credit")
#: How a model is said to be gone, and what is to be used instead: "Try fal-ai/flux/dev".
_RETIRED = re.compile(
    r"(?:model|endpoint|application|app|version)\b.{0,60}(?:deprecated|discontinued|retired|sunset|no longer|removed)"
    r"|(?:deprecated|discontinued|retired|no longer (?:available|supported|served)).{0,80}(?:try|use|migrate|switch)"
)
_OTHER_ENDPOINT = re.compile(
    r"(?:try|use|to|with|instead)\W{1,3}(?:using )?[`'\"]?([a-z0-9_-]+/[a-z0-9][a-z0-9._/-]{1,90})"
)
_NOT_YET_WORDS = ("still in progress", "not completed", "not ready", "in queue")


@dataclass(frozen=True, slots=True)
class ModelLabel:
    """How a model is named once fal no longer serves it."""

    title: str
    endpoint: str

    @classmethod
    def of(cls, model: ServedModel) -> ModelLabel:
        """Title and endpoint of a catalogue model."""
        return cls(model.title, model.endpoint)


def failure_of(answer: HttpResponse, label: ModelLabel) -> GenerationFailed | None:
    """The failure that a response means, with what fal billed for it; None where a retry may succeed."""
    problem = ProviderProblem.of(answer)
    failure = (
        partner_refusal(problem, label.endpoint)
        or _named(problem)
        or _gone(problem, label)
        or _account(problem)
        or _options(problem)
        or _last(problem)
    )
    if failure is not None:
        failure.billable_units = billable_units(answer.headers)
    return failure


def _named(problem: ProviderProblem) -> GenerationFailed | None:
    """Failures that fal names, whatever the status code."""
    if (refusal := content_refusal(problem)) is not None:
        return refusal
    if problem.status == 499 or problem.types & _CANCELLED:
        return Cancelled()
    if problem.types & _TIMED_OUT or (problem.status == 504 and problem.is_json):
        return GenerationTimedOut()
    if problem.types & _NO_PICTURE:
        return ResultUnusable(phrase("no_picture_made"))
    if problem.status < 500 and problem.types & _BROKEN:
        return ProviderError()
    return None


def account_failure(answer: HttpResponse) -> KeyRefused | BalanceExhausted | None:
    """The failure where an answer is about our account or key; None where it is about anything else."""
    return _account(ProviderProblem.of(answer))


def _account(problem: ProviderProblem) -> KeyRefused | BalanceExhausted | None:
    if problem.status == 402:
        return BalanceExhausted()
    # A 403 without JSON comes from a proxy in between.
    if problem.status == 403 and problem.is_json:
        return BalanceExhausted() if problem.mentions(BALANCE_WORDS) else KeyRefused()
    return KeyRefused() if problem.status == 401 else None


def _gone(problem: ProviderProblem, label: ModelLabel) -> ModelGone | None:
    """404 `Path /x not found` or `Application … not found` is the model; `{"status": "NOT_FOUND"}` the request."""
    is_named = problem.status == 404 and problem.text and "request" not in problem.text
    is_retired = problem.status in (400, 403, 404, 422) and _RETIRED.search(problem.text)
    if problem.status == 410 or is_named or is_retired:
        other = _OTHER_ENDPOINT.search(problem.text)
        return ModelGone(label.title, label.endpoint, other[1].rstrip("/.") if other is not None else None)
    return None


def _options(problem: ProviderProblem) -> GenerationFailed | None:
    if problem.status == 413:
        return OptionsRefused(phrase("refused_pictures_too_large"))
    if (
        problem.status not in (400, 422)
        or not problem.is_json
        or (problem.status == 400 and problem.mentions(_NOT_YET_WORDS))
    ):
        return None
    return OptionsRefused(*describe(problem))


def _last(problem: ProviderProblem) -> GenerationFailed | None:
    """Unknown 4xx codes end the job; transient ones and 5xx are retried."""
    transient = problem.status in (400, 403, 404, 408, 409, 421, 425, 429) or problem.status >= 500
    return None if transient else ProviderError()
