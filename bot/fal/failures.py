"""fal's refusals and failures as errors of `bot.errors`.

A failed job is COMPLETED like any other; what happened is the HTTP status and body of the result GET. Three shapes
exist: `{"detail": [{loc, msg, type, ctx, input}]}` from models, `{"detail": "…", "error_type": "…"}` from fal's
infrastructure (also header X-Fal-Error-Type), and account problems as 401, 403 and 429. `msg` and `input` may quote the
prompt, so neither is ever shown or logged: people are told field names and limits alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bot.domain.ports import ServedModel
from bot.domain.request import Json
from bot.errors import (
    BalanceExhausted,
    Cancelled,
    ContentRefused,
    GenerationFailed,
    GenerationTimedOut,
    KeyRefused,
    ModelGone,
    OptionsRefused,
    ProviderError,
    ResultUnusable,
)
from bot.fal.http import HttpResponse
from bot.phrase import Phrase, phrase

_CONTENT = frozenset({"content_policy_violation", "moderation_blocked"})
_CANCELLED = frozenset({"client_cancelled", "client_disconnected"})
_TIMED_OUT = frozenset({"request_timeout", "generation_timeout", "startup_timeout"})
#: Model errors with a 4xx that the options are not to blame for.
_BROKEN = frozenset(
    {"downstream_service_error", "downstream_service_unavailable", "internal_server_error", "internal_error"}
)
_NO_PICTURE = frozenset({"no_media_generated"})
#: How fal's partners phrase it when they answer with a string.
_CONTENT_WORDS = (
    "content policy",
    "content_policy",
    "content checker",
    "content moderation",
    "safety system",
    "moderation_blocked",
    "flagged as",
    "nsfw content",
)
BALANCE_WORDS = ("balance", "billing", "top up", "credit")
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


@dataclass(frozen=True, slots=True)
class ProviderProblem:
    """What a failing response says, for matching only."""

    status: int
    types: frozenset[str]
    #: Lower case, for searching only: may quote the prompt.
    text: str
    entries: tuple[Mapping[str, Json], ...]
    is_json: bool

    @classmethod
    def of(cls, answer: HttpResponse) -> ProviderProblem:
        """Parse a response that is no 2xx."""
        body = answer.object()
        detail = body.get("detail") if body else None
        entries = tuple(entry for entry in detail if isinstance(entry, dict)) if isinstance(detail, list) else ()
        named = [
            *(entry.get("type") for entry in entries),
            body.get("error_type") if body else None,
            answer.headers.get("X-Fal-Error-Type"),
        ]
        texts = [detail, body.get("error") if body else None, *(entry.get("msg") for entry in entries)]
        return cls(
            status=answer.status,
            types=frozenset(name for name in named if isinstance(name, str)),
            text=" ".join(text for text in texts if isinstance(text, str)).lower()[:20_000],
            entries=entries,
            is_json=body is not None,
        )

    def says(self, words: tuple[str, ...]) -> bool:
        """Whether the text holds one of these."""
        return any(word in self.text for word in words)


def failure_of(answer: HttpResponse, label: ModelLabel) -> GenerationFailed | None:
    """The failure that a response means, or None where a retry may succeed."""
    problem = ProviderProblem.of(answer)
    return _named(problem) or _account(problem) or _gone(problem, label) or _options(problem) or _last(problem)


def _named(problem: ProviderProblem) -> GenerationFailed | None:
    """Failures that fal names, whatever the status code."""
    if problem.types & _CONTENT or (problem.status in (400, 422) and problem.says(_CONTENT_WORDS)):
        return ContentRefused()
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
    """What an answer says against our account or key; None where it says nothing of the kind."""
    return _account(ProviderProblem.of(answer))


def _account(problem: ProviderProblem) -> KeyRefused | BalanceExhausted | None:
    if problem.status == 402:
        return BalanceExhausted()
    # A 403 without JSON comes from a proxy in between.
    if problem.status == 403 and problem.is_json:
        return BalanceExhausted() if problem.says(BALANCE_WORDS) else KeyRefused()
    return KeyRefused() if problem.status == 401 else None


def _gone(problem: ProviderProblem, label: ModelLabel) -> GenerationFailed | None:
    """404 `Path /x not found` or `Application … not found` is the model; `{"status": "NOT_FOUND"}` the request."""
    if problem.status == 410 or (problem.status == 404 and problem.text and "request" not in problem.text):
        return ModelGone(label.title, label.endpoint)
    return None


def _options(problem: ProviderProblem) -> GenerationFailed | None:
    if problem.status == 413:
        return OptionsRefused(phrase("refused_pictures_too_large"))
    if (
        problem.status not in (400, 422)
        or not problem.is_json
        or (problem.status == 400 and problem.says(_NOT_YET_WORDS))
    ):
        return None
    return OptionsRefused(*describe(problem))


def _last(problem: ProviderProblem) -> GenerationFailed | None:
    """Unknown 4xx codes end the job; transient ones and 5xx are retried."""
    transient = problem.status in (400, 403, 404, 408, 409, 421, 425, 429) or problem.status >= 500
    return None if transient else ProviderError()


# ---------------------------------------------------------------------- the details of OptionsRefused

#: Limits that fal names, as messages (`bound_…`) with the value.
_LIMITS = (
    ("gt", "more_than"),
    ("ge", "at_least"),
    ("lt", "less_than"),
    ("le", "at_most"),
    ("multiple_of", "multiple"),
    ("min_length", "min_length"),
    ("max_length", "max_length"),
    ("min_width", "min_width"),
    ("min_height", "min_height"),
    ("max_width", "max_width"),
    ("max_height", "max_height"),
    ("max_size", "max_bytes"),
    ("expected", "one_of"),
    ("supported_formats", "one_of"),
)
#: fal's types of faults, as messages (`fault_…`).
_FAULTS = {
    "missing": "missing",
    "string_type": "not_text",
    "int_type": "not_whole",
    "int_parsing": "not_whole",
    "int_from_float": "not_whole",
    "float_type": "not_number",
    "float_parsing": "not_number",
    "bool_type": "not_boolean",
    "bool_parsing": "not_boolean",
    "extra_forbidden": "not_known",
    "image_load_error": "picture_unreadable",
    "file_download_error": "picture_not_fetched",
    "face_detection_error": "no_face",
    "feature_not_supported": "not_supported",
    "unsupported_image_format": "picture_format",
    "image_too_small": "picture_too_small",
    "image_too_large": "picture_too_large",
    "file_too_large": "file_too_large",
}
_NAME = re.compile(r"[A-Za-z_]\w{0,47}")
_VALUE = re.compile(r"[^`*_~|<>@\x00-\x1f\u202a-\u202e\u2066-\u2069]{1,120}")
_MAX_ENTRIES = 4
_MAX_NUMBER = 10**15


def describe(problem: ProviderProblem) -> tuple[Phrase, ...]:
    """Field names and limits, e.g. "`num_inference_steps` must be at most 50"."""
    found: list[Phrase] = []
    for entry in problem.entries:
        if (detail := _detail(entry)) not in found:
            found.append(detail)
    if len(found) > _MAX_ENTRIES:
        return (*found[:_MAX_ENTRIES], phrase("refused_more", count=len(found) - _MAX_ENTRIES))
    if found:
        return tuple(found)
    if problem.says(("could not load image", "failed to load image", "could not download", "failed to download")):
        return (phrase("refused_picture_unreadable"),)
    return (phrase("refused_unknown"),)


def _detail(entry: Mapping[str, Json]) -> Phrase:
    name = _field(entry.get("loc"))
    context = entry.get("ctx")
    limits = tuple(
        Phrase(f"bound_{message}", {"value": value})
        for key, message in _LIMITS
        if (value := _shown(context, key)) is not None
    )
    if limits:
        return phrase("refused_limits", option=name, limits=limits)
    error_type = entry.get("type")
    fault = _FAULTS.get(error_type, "not_accepted") if isinstance(error_type, str) else "not_accepted"
    return phrase("refused_fault", option=name, fault=Phrase(f"fault_{fault}"))


def _field(loc: Json) -> str:
    """`["body", "loras", 0, "path"]` → `loras.path`; names that look like no field are left out."""
    parts = [part for part in loc if isinstance(part, str) and _NAME.fullmatch(part)] if isinstance(loc, list) else []
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("body", "query") else parts)[:80] or "request"


def _shown(context: Json, key: str) -> str | int | float | None:
    """A limit, if it is one: a number, or a short list of plain words."""
    value = context.get(key) if isinstance(context, dict) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value if abs(value) < _MAX_NUMBER else None
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value[:20] if isinstance(item, str | int | float))
    return (value.strip() or None) if isinstance(value, str) and _VALUE.fullmatch(value) else None
