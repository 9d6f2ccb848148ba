"""What fal did not like about the arguments, as phrases: the name of each, and its limit or fault.

`msg` may quote what was sent and is never shown; names, numbers and short plain words are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.domain.request import Json
from bot.fal.fields import Thing, thing_in, thing_of
from bot.fal.partners import is_about_openai
from bot.fal.problems import Entry, ProviderProblem
from bot.phrase import Phrase, phrase

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
)
_SIZES = ("max_size", "max_size_bytes", "max_bytes", "max_file_size")
_CHOICES = ("expected", "supported_formats", "permitted", "allowed", "allowed_values")
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
    "url_parsing": "not_address",
    "url_type": "not_address",
    "url_scheme": "not_address",
    "face_detection_error": "no_face",
    "feature_not_supported": "not_supported",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
}
#: Types of faults of files, as messages with the thing as `$what`.
_FILE_FAULTS = {
    "file_download_error": "not_fetched",
    "image_load_error": "unreadable",
    "image_open_error": "unreadable",
    "lora_load_error": "unreadable",
    "unsupported_image_format": "format",
    "unsupported_file_format": "format",
    "image_too_small": "too_small",
    "image_too_large": "too_many_pixels",
    "file_too_large": "too_large",
}
_VERB = r"(?:could not|couldn.t|cannot|can.t|can not|failed to|unable to|error (?:while )?|failure|problem)"
#: Faults of files in a sentence, the first that fits.
_FILE_WORDS = (
    (
        "not_fetched",
        re.compile(
            rf"{_VERB}\W+(?:\w+\W+){{0,3}}(?:download|fetch|access|retriev|reach|resolv)|download (?:error|failed)"
        ),
    ),
    (
        "too_large",
        re.compile(r"(?:file|image|picture|upload|payload)\b.{0,40}(?:too (?:large|big)|exceeds)|maximum file size"),
    ),
    (
        "format",
        re.compile(r"unsupported (?:image |file |media )?(?:format|type)|(?:format|type) (?:is )?not supported"),
    ),
    (
        "unreadable",
        re.compile(
            rf"{_VERB}\W+(?:\w+\W+){{0,3}}(?:load|open|read|decode|identify|process|parse)"
            "|corrupt|truncated|invalid image"
        ),
    ),
)
_SHAPES = re.compile(r"mask.{0,80}(?:same|match|dimension|size|resolution)|(?:same|match).{0,60}mask")
#: A plain word, as values of options are.
_WORD = re.compile(r"[^`*~|<>@\x00-\x1f\u202a-\u202e\u2066-\u2069]{1,60}")
_QUOTED = re.compile(r"['\"]([^'\"]{1,60})['\"]")
_MAX_CHOICES = 20
_MAX_ENTRIES = 4
_MAX_NUMBER = 10**15


def describe(problem: ProviderProblem) -> tuple[Phrase, ...]:
    """Names, limits and faults, e.g. "`num_inference_steps` must be at most 50"."""
    found: list[Phrase] = []
    for entry in problem.entries:
        detail = None if is_about_openai(entry) else _described(entry)
        if detail is not None and detail not in found:
            found.append(detail)
    if len(found) > _MAX_ENTRIES:
        return (*found[:_MAX_ENTRIES], phrase("refused_more", count=len(found) - _MAX_ENTRIES))
    return tuple(found) or (_by_words(problem.text) or phrase("refused_unknown"),)


def _described(entry: Entry) -> Phrase | None:
    """None where neither its place nor its words say what it is about."""
    field = entry.field
    if not field.name:
        return _by_words(entry.text)
    limits = tuple(_limits(entry))
    if limits and field.number:
        return phrase("refused_limits_numbered", option=field.shown, number=field.number, limits=limits)
    if limits:
        return phrase("refused_limits", option=field.shown, limits=limits)
    if field.number:
        return phrase("refused_fault_numbered", option=field.shown, number=field.number, fault=_fault(entry))
    return phrase("refused_fault", option=field.shown, fault=_fault(entry))


def _fault(entry: Entry) -> Phrase:
    thing = thing_of(entry.field.name, entry.field.inner)
    if thing is Thing.VALUE and entry.type in _FILE_FAULTS:
        thing = Thing.FILE
    fault = _FILE_FAULTS.get(entry.type)
    if fault is None and entry.type not in _FAULTS and thing not in (Thing.VALUE, Thing.PROMPT):
        fault = _file_fault(entry.text)
    if fault is not None:
        return Phrase(f"fault_{fault}", {"what": Phrase(f"thing_{thing}")})
    if thing is Thing.MASK and _SHAPES.search(entry.text):
        return phrase("fault_mask_shape")
    return Phrase(f"fault_{_FAULTS.get(entry.type, 'not_accepted')}")


def _file_fault(text: str) -> str | None:
    return next((fault for fault, words in _FILE_WORDS if words.search(text)), None)


def _by_words(text: str) -> Phrase | None:
    """What a sentence says that names no parameter: which file, and what is wrong with it."""
    thing, fault = thing_in(text), _file_fault(text)
    if _SHAPES.search(text):
        return phrase("fault_mask_shape")
    if fault is not None and thing is not Thing.PROMPT:
        return Phrase(f"fault_{fault}", {"what": Phrase(f"thing_{thing or Thing.FILE}")})
    if thing is Thing.PROMPT and re.search(r"too long|exceeds|maximum (?:length|context)|at most \d+", text):
        return phrase("fault_prompt_too_long")
    return None


# ---------------------------------------------------------------------- limits


def _limits(entry: Entry) -> Iterator[Phrase]:
    context = entry.context
    for key, message in _LIMITS:
        if (value := _number(context.get(key))) is not None:
            several = "_list" if key.endswith("_length") and not entry.type.startswith("string") else ""
            yield Phrase(f"bound_{message}{several}", {"value": value})
    if (size := next((size for key in _SIZES if (size := _size(context.get(key))) is not None), None)) is not None:
        yield size
    choices = next((choices for key in _CHOICES if (choices := _choices(context.get(key)))), ())
    if choices:
        yield phrase("bound_one_of_values", values=choices)


def _number(value: Json) -> int | float | None:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}(?:\.\d{1,9})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_NUMBER:
        return None
    return int(value) if float(value).is_integer() else value


def _size(value: Json) -> Phrase | None:
    """The largest file, which fal gives in bytes."""
    size_bytes = _number(value)
    if size_bytes is None:
        named = (
            re.fullmatch(r"(\d{1,6}(?:\.\d+)?)\s*([km])i?b", value.strip().lower()) if isinstance(value, str) else None
        )
        if named is None:
            return None
        size_bytes = float(named[1]) * (1024 if named[2] == "k" else 1024 * 1024)
    if size_bytes >= 1024 * 1024:
        return phrase("bound_max_mebibytes", value=round(size_bytes / (1024 * 1024), 1))
    return phrase("bound_max_kibibytes", value=max(1, round(size_bytes / 1024)))


def _choices(value: Json) -> tuple[str, ...]:
    """Plain words and numbers, from a list or from Pydantic's "'a', 'b' or 'c'"."""
    if isinstance(value, str):
        value = [*(_QUOTED.findall(value) or re.split(r"\s*,\s*|\s+or\s+", value))]
    if not isinstance(value, list):
        return ()
    words = [f"{item}" for item in value if isinstance(item, str | int | float) and not isinstance(item, bool)]
    if len(words) < len(value) or not all(word.strip() and _WORD.fullmatch(word) for word in words):
        return ()
    return tuple(word.strip() for word in words[:_MAX_CHOICES])
