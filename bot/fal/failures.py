"""fal's refusals and failures as the errors a person can read.

A failed job is COMPLETED like any other; what happened is the HTTP status and body of the result GET. Three shapes
exist: `{"detail": [{loc, msg, type, ctx, input}]}` from models, `{"detail": "…", "error_type": "…"}` from fal's
infrastructure (also header X-Fal-Error-Type), and account trouble as 401, 403 and 429. `msg` and `input` may quote the
prompt, so neither is ever shown or logged: sentences are made from field names and limits alone.
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
    successor: str | None = None

    @classmethod
    def of(cls, model: ServedModel) -> ModelLabel:
        """Title and named successor of a model."""
        return cls(model.title, model.retired.successor if model.retired else None)


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
        return ResultUnusable("it made no picture")
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
        return ModelGone(served.title, served.successor)
    return None


def _options(trouble: Trouble) -> GenerationFailed | None:
    if trouble.status == 413:
        return OptionsRefused("the pictures given are too large together")
    if (
        trouble.status not in (400, 422)
        or not trouble.is_json
        or (trouble.status == 400 and trouble.says(_NOT_YET_WORDS))
    ):
        return None
    return OptionsRefused(describe(trouble))


def _last(trouble: Trouble) -> GenerationFailed | None:
    """4xx codes that mean nothing to us end the job; those that pass and 5xx are tried again."""
    passing = trouble.status in (400, 403, 404, 408, 409, 421, 425, 429) or trouble.status >= 500
    return None if passing else ProviderError()


# ---------------------------------------------------------------------- the words for OptionsRefused

_LIMITS = (
    ("gt", "more than {}"),
    ("ge", "at least {}"),
    ("lt", "less than {}"),
    ("le", "at most {}"),
    ("multiple_of", "a multiple of {}"),
    ("min_length", "at least {} long"),
    ("max_length", "at most {} long"),
    ("min_width", "at least {} pixels wide"),
    ("min_height", "at least {} pixels high"),
    ("max_width", "at most {} pixels wide"),
    ("max_height", "at most {} pixels high"),
    ("max_size", "at most {} bytes"),
    ("expected", "one of {}"),
    ("supported_formats", "one of {}"),
)
_KINDS = {
    "missing": "it is missing",
    "string_type": "it must be text",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "extra_forbidden": "the model does not know it",
    "image_load_error": "the picture could not be read",
    "file_download_error": "the picture could not be fetched",
    "face_detection_error": "no face was found in the picture",
    "feature_not_supported": "the model does not support it",
    "unsupported_image_format": "the picture's format is not supported",
    "image_too_small": "the picture is too small",
    "image_too_large": "the picture is too large",
    "file_too_large": "the file is too large",
}
_NAME = re.compile(r"[A-Za-z_]\w{0,47}")
_VALUE = re.compile(r"[^`*_~|<>@\x00-\x1f\u202a-\u202e\u2066-\u2069]{1,120}")
_MAX_ENTRIES = 4


def describe(trouble: Trouble) -> str:
    """Field names and limits, e.g. "`num_inference_steps` must be at most 50"."""
    phrases = list(dict.fromkeys(_phrase(entry) for entry in trouble.entries))
    if phrases:
        more = f"; and {len(phrases) - _MAX_ENTRIES} more" if len(phrases) > _MAX_ENTRIES else ""
        return "; ".join(phrases[:_MAX_ENTRIES]) + more
    if trouble.says(("could not load image", "failed to load image", "could not download", "failed to download")):
        return "a picture given could not be read"
    return "fal.ai does not say which"


def _phrase(entry: Mapping[str, Json]) -> str:
    name = _field(entry.get("loc"))
    context = entry.get("ctx")
    limits = [text.format(value) for key, text in _LIMITS if (value := _shown(context, key))]
    if limits:
        return f"`{name}` must be {' and '.join(limits)}"
    kind = entry.get("type")
    return f"`{name}`: {_KINDS.get(kind, 'not accepted') if isinstance(kind, str) else 'not accepted'}"


def _field(loc: Json) -> str:
    """`["body", "loras", 0, "path"]` → `loras.path`; names that look like no field are left out."""
    parts = [part for part in loc if isinstance(part, str) and _NAME.fullmatch(part)] if isinstance(loc, list) else []
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("body", "query") else parts)[:80] or "request"


def _shown(context: Json, key: str) -> str | None:
    """A limit as text, if it is one: a number, or a short list of plain words."""
    value = context.get(key) if isinstance(context, dict) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)[:20]
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value[:20] if isinstance(item, str | int | float))
    return value.strip() if isinstance(value, str) and _VALUE.fullmatch(value) else None
