"""fal's refusals and failures as the errors a person can read.

A failed job is COMPLETED like any other; what happened is the HTTP status and body of the result GET. Three shapes
exist: `{"detail": [{loc, msg, type, ctx, input}]}` from models, `{"detail": "…", "error_type": "…"}` from fal's
infrastructure (also header X-Fal-Error-Type), and account trouble as 401, 403 and 429. `msg` and `input` may quote the
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
#: How partners say it when they answer with a string.
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
    """What to call the model when fal no longer serves it."""

    title: str
    endpoint: str

    @classmethod
    def of(cls, model: ServedModel) -> ModelLabel:
        """Title and endpoint of a catalogue model."""
        return cls(model.title, model.endpoint)


@dataclass(frozen=True, slots=True)
class Trouble:
    """The part of a failing answer that machines read."""

    status: int
    types: frozenset[str]
    #: Lower case, for searching only: may quote the prompt.
    text: str
    entries: tuple[Mapping[str, Json], ...]
    is_json: bool

    @classmethod
    def of(cls, answer: HttpResponse) -> Trouble:
        """Read an answer that is no 2xx."""
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


def failure_of(answer: HttpResponse, served: ModelLabel) -> GenerationFailed | None:
    """The end that an answer announces, or None where another try may hear something else."""
    trouble = Trouble.of(answer)
    return _named(trouble) or _account(trouble) or _gone(trouble, served) or _options(trouble) or _last(trouble)


def _named(trouble: Trouble) -> GenerationFailed | None:
    """Ends that fal names, whatever the status code."""
    if trouble.types & _CONTENT or (trouble.status in (400, 422) and trouble.says(_CONTENT_WORDS)):
        return ContentRefused()
    if trouble.status == 499 or trouble.types & _CANCELLED:
        return Cancelled()
    if trouble.types & _TIMED_OUT or (trouble.status == 504 and trouble.is_json):
        return GenerationTimedOut()
    if trouble.types & _NO_PICTURE:
        return ResultUnusable(phrase("no_picture_made"))
    if trouble.status < 500 and trouble.types & _BROKEN:
        return ProviderError()
    return None


def account_failure(answer: HttpResponse) -> KeyRefused | BalanceExhausted | None:
    """What an answer says against our account or key; None where it says nothing of the kind."""
    return _account(Trouble.of(answer))


def _account(trouble: Trouble) -> KeyRefused | BalanceExhausted | None:
    if trouble.status == 402:
        return BalanceExhausted()
    # A 403 page of a proxy in between is not fal's word.
    if trouble.status == 403 and trouble.is_json:
        return BalanceExhausted() if trouble.says(BALANCE_WORDS) else KeyRefused()
    return KeyRefused() if trouble.status == 401 else None


def _gone(trouble: Trouble, served: ModelLabel) -> GenerationFailed | None:
    """404 `Path /x not found` or `Application … not found` is the model; `{"status": "NOT_FOUND"}` the request."""
    if trouble.status == 410 or (trouble.status == 404 and trouble.text and "request" not in trouble.text):
        return ModelGone(served.title, served.endpoint)
    return None


def _options(trouble: Trouble) -> GenerationFailed | None:
    if trouble.status == 413:
        return OptionsRefused(phrase("refused_pictures_too_large"))
    if (
        trouble.status not in (400, 422)
        or not trouble.is_json
        or (trouble.status == 400 and trouble.says(_NOT_YET_WORDS))
    ):
        return None
    return OptionsRefused(*describe(trouble))


def _last(trouble: Trouble) -> GenerationFailed | None:
    """4xx codes that mean nothing to us end the job; those that pass and 5xx are tried again."""
    passing = trouble.status in (400, 403, 404, 408, 409, 421, 425, 429) or trouble.status >= 500
    return None if passing else ProviderError()


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


def describe(trouble: Trouble) -> tuple[Phrase, ...]:
    """Field names and limits, e.g. "`num_inference_steps` must be at most 50"."""
    found: list[Phrase] = []
    for entry in trouble.entries:
        if (detail := _detail(entry)) not in found:
            found.append(detail)
    if len(found) > _MAX_ENTRIES:
        return (*found[:_MAX_ENTRIES], phrase("refused_more", count=len(found) - _MAX_ENTRIES))
    if found:
        return tuple(found)
    if trouble.says(("could not load image", "failed to load image", "could not download", "failed to download")):
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
    kind = entry.get("type")
    fault = _FAULTS.get(kind, "not_accepted") if isinstance(kind, str) else "not_accepted"
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
