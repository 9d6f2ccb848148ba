"""What Discord refuses, and the words it uses for it.

Every public function looks at one kind of payload and raises `DiscordError` 50035 with the nested
`errors` object when something is wrong. Nothing here changes what it is given.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec
from urllib.parse import urlsplit

from sandbox.discord.wire import DiscordError, Flag, Obj

MAX_CONTENT = 2000
MAX_EMBEDS = 10
MAX_EMBED_TEXT = 6000
MAX_FILES = 10
MAX_ALT_TEXT = 1024
MAX_NONCE = 25
MAX_V2_COMPONENTS = 40
MAX_V2_TEXT = 4000
MAX_ROWS = 5
MAX_BUTTONS = 5
MAX_CUSTOM_ID = 100
MAX_LABEL = 80
MAX_CHOICES = 25
MAX_COMMAND_TEXT = 8000
MAX_REQUEST_BYTES = 25 * 1024 * 1024

ROW, BUTTON, SELECT, TEXT_INPUT, SECTION, TEXT, THUMBNAIL = 1, 2, 3, 4, 9, 10, 11
GALLERY, FILE, SEPARATOR, CONTAINER, LABEL, UPLOAD = 12, 13, 14, 17, 18, 19
RADIO, CHECKBOXES, CHECKBOX = 21, 22, 23
SELECTS = frozenset({3, 5, 6, 7, 8})
_ROW_CHILDREN = SELECTS | {BUTTON}
_V2_TOP = (ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR, CONTAINER)
_CONTAINER_CHILDREN = (ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR)
_LABEL_CHILDREN = SELECTS | {TEXT_INPUT, UPLOAD, RADIO, CHECKBOXES, CHECKBOX}

_COMMAND_NAME = re.compile(r"[-_'\w\u0900-\u097F\u0E00-\u0E7F]{1,32}")
_LINK_BUTTON, _PREMIUM_BUTTON = 5, 6

Path = tuple[str | int, ...]


class Problems:
    """Collects what is wrong, by path."""

    def __init__(self) -> None:
        self._tree: Obj = {}

    def add(self, path: Path, code: str, message: str) -> None:
        """Note one problem at a path such as `("components", 0, "label")`."""
        node = self._tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def __bool__(self) -> bool:
        return bool(self._tree)

    def raise_if_any(self) -> None:
        """Raise 50035 when anything was noted."""
        if self._tree:
            raise DiscordError(400, 50035, "Invalid Form Body", errors=self._tree)

    # ------------------------------------------------------------------ the usual checks

    def required(self, path: Path) -> None:
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required")

    def text(self, path: Path, value: object, longest: int, *, shortest: int = 0, required: bool = False) -> str | None:
        """A string between two lengths; None when it is absent or unusable."""
        if value is None:
            if required:
                self.required(path)
            return None
        if not isinstance(value, str):
            self.add(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value!r}" as string.')
            return None
        length = _length(value)
        if shortest and not value.strip():
            self.required(path)
        elif not shortest <= length <= longest:
            if shortest:
                self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {shortest} and {longest} in length.")
            else:
                self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {longest} or fewer in length.")
        return value

    def integer(self, path: Path, value: object, low: int, high: int, *, required: bool = False) -> int | None:
        """An integer in a range; a string of digits will do, as it does for Discord."""
        if value is None:
            if required:
                self.required(path)
            return None
        if isinstance(value, str) and value.lstrip("-").isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
            return None
        if value < low:
            self.add(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {low}.")
        elif value > high:
            self.add(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {high}.")
        return value

    def array(
        self, path: Path, value: object, longest: int, *, shortest: int = 0, required: bool = False
    ) -> Sequence[Any]:
        """A list between two lengths; empty when absent or unusable."""
        if value is None:
            if required:
                self.required(path)
            return ()
        if not isinstance(value, list):
            self.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return ()
        if not shortest <= len(value) <= longest:
            if shortest:
                self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {shortest} and {longest} in length.")
            else:
                self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {longest} or fewer in length.")
        return value

    def choice(self, path: Path, value: object, allowed: Collection[object], *, required: bool = False) -> None:
        """One of a closed set."""
        if value is None:
            if required:
                self.required(path)
        elif value not in allowed:
            listed = ", ".join(str(one) for one in allowed)
            self.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{listed}}}.")


_Parameters = ParamSpec("_Parameters")


def _refusing(check: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """A number where an object belongs is the sender's fault, too."""

    @functools.wraps(check)
    def checked(*given: _Parameters.args, **named: _Parameters.kwargs) -> None:
        try:
            check(*given, **named)
        except (AttributeError, TypeError) as error:
            wrong = {"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}
            raise DiscordError(400, 50035, "Invalid Form Body", errors={"_errors": [wrong]}) from error

    return checked


def _length(text: str) -> int:
    """Discord counts Unicode code points."""
    return len(text)


# ---------------------------------------------------------------------- messages


@dataclass(frozen=True)
class Files:
    """The names `attachment://…` may point to, and what came with the request."""

    uploaded: Sequence[tuple[str, int]] = ()  # (filename, bytes) in order of files[n]
    kept: Collection[str] = field(default=())  # names of attachments that stay on an edit
    limit_bytes: int = 10 * 1024 * 1024

    @property
    def names(self) -> set[str]:
        """Everything that can be referenced."""
        return {name for name, _ in self.uploaded} | set(self.kept)


@_refusing
def message(
    payload: Obj,
    files: Files,
    *,
    at: Path = (),
    old: Obj | None = None,
    allow_empty: bool = False,
) -> None:
    """A message to be created (or, with `old`, edited).

    Raises:
        DiscordError: 50035 with the nested errors, 50006 when nothing would be shown, 40005 for a
            file above the limit.
    """
    for _, size_bytes in files.uploaded:
        if size_bytes > files.limit_bytes:
            raise DiscordError(413, 40005, "Request entity too large")
    problems = Problems()
    flags = problems.integer((*at, "flags"), payload.get("flags"), 0, 2**31 - 1) or 0
    is_v2 = bool((flags | (old["flags"] if old else 0)) & Flag.COMPONENTS_V2)
    problems.text((*at, "content"), payload.get("content"), MAX_CONTENT)
    _embeds(problems, (*at, "embeds"), payload.get("embeds"))
    _nonce(problems, (*at, "nonce"), payload.get("nonce"))
    _mentions(problems, (*at, "allowed_mentions"), payload.get("allowed_mentions"))
    _attachments(problems, (*at, "attachments"), payload.get("attachments"), files)
    if is_v2:
        _legacy_fields(problems, at, payload, old)
        if "components" in payload or old is None:
            _v2_components(problems, (*at, "components"), payload.get("components"), files)
    elif payload.get("components"):
        _v1_components(problems, (*at, "components"), payload["components"], files)
    problems.raise_if_any()
    if not allow_empty and old is None and not _shows_something(payload, files, is_v2):
        raise DiscordError(400, 50006, "Cannot send an empty message")


def _shows_something(payload: Obj, files: Files, is_v2: bool) -> bool:
    if is_v2:
        return bool(payload.get("components"))
    keys = ("content", "embeds", "components", "sticker_ids", "poll")
    return any(payload.get(key) for key in keys) or bool(files.uploaded) or bool(files.kept)


def _legacy_fields(problems: Problems, at: Path, payload: Obj, old: Obj | None) -> None:
    """With IS_COMPONENTS_V2 there is no content, no embeds, no stickers and no poll."""
    merged = {key: payload.get(key, (old or {}).get(key)) for key in ("content", "embeds", "sticker_ids", "poll")}
    for key, value in merged.items():
        if value:
            problems.add(
                (*at, key),
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
            )


def _nonce(problems: Problems, path: Path, nonce: object) -> None:
    if isinstance(nonce, str) and len(nonce) > MAX_NONCE:
        problems.add(path, "NONCE_TYPE_TOO_LONG", f"Must be {MAX_NONCE} or fewer in length.")
    elif nonce is not None and not isinstance(nonce, str | int):
        problems.add(path, "NONCE_TYPE_INVALID", "Must be a string or an integer.")


def _mentions(problems: Problems, path: Path, mentions: object) -> None:
    if mentions is None:
        return
    if not isinstance(mentions, dict):
        problems.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    parse = problems.array((*path, "parse"), mentions.get("parse"), 3)
    for index, kind in enumerate(parse):
        problems.choice((*path, "parse", index), kind, ("roles", "users", "everyone"))
    for kind in ("users", "roles"):
        listed = problems.array((*path, kind), mentions.get(kind), 100)
        if listed and kind in parse:
            problems.add(
                (*path, kind),
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )


def _attachments(problems: Problems, path: Path, listed: object, files: Files) -> None:
    count = len(files.uploaded) + len(files.kept)
    if count > MAX_FILES:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_FILES} or fewer in length.")
    for index, entry in enumerate(problems.array(path, listed, MAX_FILES)):
        if not isinstance(entry, dict):
            problems.add((*path, index), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        if entry.get("id") is None:
            problems.required((*path, index, "id"))
        problems.text((*path, index, "description"), entry.get("description"), MAX_ALT_TEXT)
        problems.text((*path, index, "filename"), entry.get("filename"), 1024, shortest=1)


def _embeds(problems: Problems, path: Path, embeds: object) -> None:
    total = 0
    for index, embed in enumerate(problems.array(path, embeds, MAX_EMBEDS)):
        at = (*path, index)
        parts = [
            problems.text((*at, "title"), embed.get("title"), 256),
            problems.text((*at, "description"), embed.get("description"), 4096),
            problems.text((*at, "footer", "text"), (embed.get("footer") or {}).get("text"), 2048),
            problems.text((*at, "author", "name"), (embed.get("author") or {}).get("name"), 256),
        ]
        for number, row in enumerate(problems.array((*at, "fields"), embed.get("fields"), 25)):
            parts.append(
                problems.text((*at, "fields", number, "name"), row.get("name"), 256, shortest=1, required=True)
            )
            parts.append(
                problems.text((*at, "fields", number, "value"), row.get("value"), 1024, shortest=1, required=True)
            )
        problems.integer((*at, "color"), embed.get("color"), 0, 0xFFFFFF)
        total += sum(_length(part) for part in parts if part)
    if total > MAX_EMBED_TEXT:
        problems.add(path, "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_EMBED_TEXT}")


# ---------------------------------------------------------------------- components


@dataclass
class _Tally:
    """What has to be unique or bounded over a whole message."""

    files: Files
    custom_ids: set[str] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    components: int = 0
    text: int = 0


def _v1_components(problems: Problems, path: Path, listed: object, files: Files) -> None:
    tally = _Tally(files)
    for index, row in enumerate(problems.array(path, listed, MAX_ROWS)):
        at = (*path, index)
        if not isinstance(row, dict) or row.get("type") != ROW:
            problems.add(at, "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1,).')
            continue
        _row(problems, at, row, tally)


def _v2_components(problems: Problems, path: Path, listed: object, files: Files) -> None:
    tally = _Tally(files)
    _children(problems, path, listed, _V2_TOP, tally, shortest=0)
    if tally.components > MAX_V2_COMPONENTS:
        problems.add(
            path,
            "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
            f"The maximum number of total components ({MAX_V2_COMPONENTS}) has been exceeded: {tally.components}",
        )
    if tally.text > MAX_V2_TEXT:
        problems.add(
            path,
            "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED",
            f"The total displayable text size of components exceeds the maximum size of {MAX_V2_TEXT}",
        )


def _children(
    problems: Problems, path: Path, listed: object, allowed: Collection[int], tally: _Tally, *, shortest: int = 1
) -> None:
    for index, component in enumerate(problems.array(path, listed, MAX_V2_COMPONENTS, shortest=shortest)):
        at = (*path, index)
        kind = component.get("type") if isinstance(component, dict) else None
        if kind not in allowed:
            choices = ", ".join(str(one) for one in sorted(allowed))
            problems.add(at, "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({choices}).')
            continue
        _component(problems, at, component, tally)


def _component(problems: Problems, at: Path, component: Obj, tally: _Tally) -> None:
    """One component that may stand on its own; rows and leaves have their own functions."""
    match component["type"]:
        case 1:
            _row(problems, at, component, tally)
            return
        case 9:
            _count(problems, at, component, tally)
            _children_of_section(problems, at, component, tally)
        case 10:
            _text_display(problems, at, component, tally)
        case 12:
            _count(problems, at, component, tally)
            items = problems.array((*at, "items"), component.get("items"), 10, shortest=1, required=True)
            for index, item in enumerate(items):
                _media(problems, (*at, "items", index), item, "media", tally)
        case 13:
            _count(problems, at, component, tally)
            _media(problems, at, component, "file", tally, attachment_only=True)
        case 14:
            _count(problems, at, component, tally)
            problems.choice((*at, "spacing"), component.get("spacing"), (1, 2))
        case 17:
            _count(problems, at, component, tally)
            problems.integer((*at, "accent_color"), component.get("accent_color"), 0, 0xFFFFFF)
            _children(problems, (*at, "components"), component.get("components"), _CONTAINER_CHILDREN, tally)
        case _:  # pragma: no cover - callers have checked the type
            raise AssertionError(component["type"])


def _count(problems: Problems, at: Path, component: Obj, tally: _Tally) -> None:
    tally.components += 1
    number = problems.integer((*at, "id"), component.get("id"), 0, 2**31 - 1)
    if not number:
        return
    if number in tally.ids:
        problems.add((*at, "id"), "COMPONENT_ID_DUPLICATED", f"Component id {number} is used more than once")
    tally.ids.add(number)


def _text_display(problems: Problems, at: Path, component: Obj, tally: _Tally) -> None:
    _count(problems, at, component, tally)
    text = problems.text((*at, "content"), component.get("content"), MAX_V2_TEXT, shortest=1, required=True)
    tally.text += _length(text or "")


def _children_of_section(problems: Problems, at: Path, section: Obj, tally: _Tally) -> None:
    texts = problems.array((*at, "components"), section.get("components"), 3, shortest=1, required=True)
    for index, child in enumerate(texts):
        if child.get("type") != TEXT:
            problems.add(
                (*at, "components", index), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (10,).'
            )
        else:
            _text_display(problems, (*at, "components", index), child, tally)
    accessory = section.get("accessory")
    if accessory is None:
        problems.required((*at, "accessory"))
    elif accessory.get("type") == BUTTON:
        _button(problems, (*at, "accessory"), accessory, tally)
    elif accessory.get("type") == THUMBNAIL:
        _count(problems, (*at, "accessory"), accessory, tally)
        _media(problems, (*at, "accessory"), accessory, "media", tally)
    else:
        problems.add((*at, "accessory"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (2, 11).')


def _media(
    problems: Problems, at: Path, holder: Obj, key: str, tally: _Tally, *, attachment_only: bool = False
) -> None:
    """An unfurled media item: `attachment://name` must be there, anything else must be a web address."""
    problems.text((*at, "description"), holder.get("description"), MAX_ALT_TEXT, shortest=1)
    media = holder.get(key)
    url = media.get("url") if isinstance(media, dict) else None
    if not isinstance(url, str) or not url:
        problems.required((*at, key, "url"))
        return
    path = (*at, key, "url")
    if url.startswith("attachment://"):
        if url.removeprefix("attachment://") not in tally.files.names:
            problems.add(
                path,
                "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
                f'The referenced attachment ("{url}") was not found',
            )
    elif attachment_only or urlsplit(url).scheme not in {"http", "https"}:
        allowed = "attachment://" if attachment_only else "http, https, attachment"
        problems.add(path, "URL_TYPE_INVALID_SCHEME", f'Scheme of "{url[:80]}" must be one of ({allowed}).')
    elif len(url) > 2048:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", "Must be 2048 or fewer in length.")


def _row(problems: Problems, at: Path, row: Obj, tally: _Tally) -> None:
    _count(problems, at, row, tally)
    path = (*at, "components")
    children = problems.array(path, row.get("components"), MAX_BUTTONS, shortest=1, required=True)
    kinds = [child.get("type") if isinstance(child, dict) else None for child in children]
    if any(kind in SELECTS for kind in kinds) and len(kinds) > 1:
        problems.add(path, "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A select takes the whole row.")
    for index, child in enumerate(children):
        if kinds[index] == BUTTON:
            _button(problems, (*path, index), child, tally)
        elif kinds[index] in SELECTS:
            _select(problems, (*path, index), child, tally)
        else:
            listed = ", ".join(str(one) for one in sorted(_ROW_CHILDREN))
            problems.add((*path, index), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({listed}).')


def _custom_id(problems: Problems, at: Path, component: Obj, tally: _Tally) -> None:
    path = (*at, "custom_id")
    custom_id = problems.text(path, component.get("custom_id"), MAX_CUSTOM_ID, shortest=1, required=True)
    if custom_id is None:
        return
    if custom_id in tally.custom_ids:
        problems.add(path, "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
    tally.custom_ids.add(custom_id)


def _button(problems: Problems, at: Path, button: Obj, tally: _Tally) -> None:
    _count(problems, at, button, tally)
    style = problems.integer((*at, "style"), button.get("style"), 1, 6, required=True)
    problems.text((*at, "label"), button.get("label"), MAX_LABEL)
    if style == _LINK_BUTTON:
        if (
            problems.text((*at, "url"), button.get("url"), 512, shortest=1, required=True)
            and "://" not in button["url"]
        ):
            problems.add((*at, "url"), "URL_TYPE_INVALID_URL", "Not a well formed URL.")
        if button.get("custom_id") is not None:
            problems.add(
                (*at, "custom_id"),
                "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
                "A custom id and url cannot both be specified",
            )
    elif style == _PREMIUM_BUTTON:
        if button.get("sku_id") is None:
            problems.required((*at, "sku_id"))
        return
    else:
        if button.get("url") is not None:
            problems.add((*at, "url"), "BUTTON_COMPONENT_INVALID_URL", "Only a link button takes a url")
        _custom_id(problems, at, button, tally)
    if not button.get("label") and not button.get("emoji"):
        problems.add(at, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A label or emoji is required")


def _select(problems: Problems, at: Path, select: Obj, tally: _Tally) -> None:
    _count(problems, at, select, tally)
    _custom_id(problems, at, select, tally)
    problems.text((*at, "placeholder"), select.get("placeholder"), 150)
    least = problems.integer((*at, "min_values"), select.get("min_values"), 0, MAX_CHOICES)
    most = problems.integer((*at, "max_values"), select.get("max_values"), 1, MAX_CHOICES)
    if least is not None and most is not None and least > most:
        problems.add((*at, "min_values"), "SELECT_MIN_ABOVE_MAX", "min_values must not be above max_values")
    if select.get("type") != SELECT:
        problems.array((*at, "default_values"), select.get("default_values"), MAX_CHOICES)
        return
    options = problems.array((*at, "options"), select.get("options"), MAX_CHOICES, shortest=1, required=True)
    seen: set[object] = set()
    for index, option in enumerate(options):
        path = (*at, "options", index)
        problems.text((*path, "label"), option.get("label"), 100, shortest=1, required=True)
        problems.text((*path, "value"), option.get("value"), 100, shortest=1, required=True)
        problems.text((*path, "description"), option.get("description"), 100)
        if option.get("value") in seen:
            problems.add(
                (*path, "value"),
                "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                "The specified option value is already used",
            )
        seen.add(option.get("value"))
    defaults = sum(bool(option.get("default")) for option in options if isinstance(option, dict))
    if defaults > (most or 1):
        problems.add((*at, "options"), "SELECT_COMPONENT_TOO_MANY_DEFAULT_OPTIONS", "More defaults than max_values")


# ---------------------------------------------------------------------- modals, choices


@_refusing
def modal(payload: Obj, *, at: Path = ("data",)) -> None:
    """The `data` of a type 9 callback."""
    problems = Problems()
    tally = _Tally(Files())
    problems.text((*at, "custom_id"), payload.get("custom_id"), MAX_CUSTOM_ID, shortest=1, required=True)
    problems.text((*at, "title"), payload.get("title"), 45, shortest=1, required=True)
    path = (*at, "components")
    for index, top in enumerate(problems.array(path, payload.get("components"), 5, shortest=1, required=True)):
        _modal_row(problems, (*path, index), top, tally)
    problems.raise_if_any()


def _modal_row(problems: Problems, at: Path, top: Obj, tally: _Tally) -> None:
    match top.get("type"):
        case 1:
            children = problems.array((*at, "components"), top.get("components"), 1, shortest=1, required=True)
            for index, child in enumerate(children):
                if child.get("type") != TEXT_INPUT:
                    problems.add(
                        (*at, "components", index), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (4,).'
                    )
                    continue
                problems.text((*at, "components", index, "label"), child.get("label"), 45, shortest=1, required=True)
                _modal_field(problems, (*at, "components", index), child, tally)
        case 10:
            _text_display(problems, at, top, tally)
        case 18:
            problems.text((*at, "label"), top.get("label"), 45, shortest=1, required=True)
            problems.text((*at, "description"), top.get("description"), 100)
            child = top.get("component")
            if not isinstance(child, dict) or child.get("type") not in _LABEL_CHILDREN:
                listed = ", ".join(str(one) for one in sorted(_LABEL_CHILDREN))
                problems.add(
                    (*at, "component"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({listed}).'
                )
                return
            if child.get("type") == TEXT_INPUT and child.get("label"):
                problems.add(
                    (*at, "component", "label"), "LABEL_NOT_ALLOWED", "The label belongs to the Label component"
                )
            _modal_field(problems, (*at, "component"), child, tally)
        case _:
            problems.add(at, "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1, 10, 18).')


def _modal_field(problems: Problems, at: Path, child: Obj, tally: _Tally) -> None:
    kind = child["type"]
    if kind in SELECTS:
        _select(problems, at, child, tally)
        return
    _custom_id(problems, at, child, tally)
    if kind == TEXT_INPUT:
        _text_input(problems, at, child)
    elif kind == UPLOAD:
        problems.integer((*at, "min_values"), child.get("min_values"), 0, 10)
        problems.integer((*at, "max_values"), child.get("max_values"), 1, 10)
    elif kind in {RADIO, CHECKBOXES}:
        least = 2 if kind == RADIO else 1
        for index, option in enumerate(
            problems.array((*at, "options"), child.get("options"), 10, shortest=least, required=True)
        ):
            problems.text((*at, "options", index, "label"), option.get("label"), 100, shortest=1, required=True)
            problems.text((*at, "options", index, "value"), option.get("value"), 100, shortest=1, required=True)


def _text_input(problems: Problems, at: Path, child: Obj) -> None:
    problems.integer((*at, "style"), child.get("style"), 1, 2, required=True)
    problems.text((*at, "placeholder"), child.get("placeholder"), 100)
    least = problems.integer((*at, "min_length"), child.get("min_length"), 0, 4000)
    most = problems.integer((*at, "max_length"), child.get("max_length"), 1, 4000)
    if least is not None and most is not None and least > most:
        problems.add((*at, "min_length"), "TEXT_INPUT_MIN_ABOVE_MAX", "min_length must not be above max_length")
    problems.text((*at, "value"), child.get("value"), most or 4000)


@_refusing
def choices(payload: Obj, *, kind: int, at: Path = ("data",)) -> None:
    """The `data` of a type 8 callback for an option of type `kind` (3 string, 4 integer, 10 number)."""
    problems = Problems()
    listed = problems.array((*at, "choices"), payload.get("choices"), MAX_CHOICES)
    for index, one in enumerate(listed):
        _choice(problems, (*at, "choices", index), one, kind)
    problems.raise_if_any()


def _choice(problems: Problems, at: Path, one: Obj, kind: int) -> None:
    problems.text((*at, "name"), one.get("name"), 100, shortest=1, required=True)
    value = one.get("value")
    if kind == 3:
        problems.text((*at, "value"), value, 100, required=True)
    elif isinstance(value, bool) or not isinstance(value, int if kind == 4 else (int, float)):
        problems.add((*at, "value"), "NUMBER_TYPE_COERCE", f'Value "{value}" is not a number.')


# ---------------------------------------------------------------------- commands


@_refusing
def commands(listed: object) -> None:
    """A bulk overwrite."""
    problems = Problems()
    seen: set[tuple[object, object]] = set()
    counts = {1: 0, 2: 0, 3: 0}
    for index, command in enumerate(problems.array((), listed, 130)):
        _command(problems, (index,), command)
        key = (command.get("name"), command.get("type") or 1)
        counts[command.get("type") or 1] = counts.get(command.get("type") or 1, 0) + 1
        if key in seen:
            problems.add(
                (index, "name"), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique"
            )
        seen.add(key)
    problems.raise_if_any()
    if counts[1] > 100 or counts[2] > 15 or counts[3] > 15:
        raise DiscordError(400, 30032, "Maximum number of application commands reached (100)")


@_refusing
def command(payload: Obj, *, partial: bool = False) -> None:
    """One command to be created, or (partial) changed."""
    problems = Problems()
    _command(problems, (), payload, partial=partial)
    problems.raise_if_any()


def _command(problems: Problems, at: Path, payload: Obj, *, partial: bool = False) -> None:
    kind = payload.get("type") or 1
    problems.choice((*at, "type"), kind, (1, 2, 3, 4))
    if kind == 1:
        if not partial or "name" in payload:
            _command_name(problems, (*at, "name"), payload.get("name"))
        if not partial or "description" in payload:
            problems.text((*at, "description"), payload.get("description"), 100, shortest=1, required=True)
    else:
        problems.text((*at, "name"), payload.get("name"), 32, shortest=1, required=not partial)
        if payload.get("description"):
            problems.add(
                (*at, "description"),
                "APPLICATION_COMMANDS_DESCRIPTION_NOT_ALLOWED",
                "Context menu commands cannot have a description",
            )
    _localizations(problems, at, payload)
    _options(problems, (*at, "options"), payload.get("options"), depth=0)
    for key, allowed in (("contexts", (0, 1, 2)), ("integration_types", (0, 1))):
        for index, one in enumerate(problems.array((*at, key), payload.get(key), 3)):
            problems.choice((*at, key, index), one, allowed)
    if command_text(payload) > MAX_COMMAND_TEXT:
        problems.add((*at,), "APPLICATION_COMMAND_TOO_LARGE", f"Command exceeds maximum size ({MAX_COMMAND_TEXT})")


def _localizations(problems: Problems, at: Path, payload: Obj) -> None:
    for key, longest in (("name_localizations", 32), ("description_localizations", 100)):
        for locale, text in (payload.get(key) or {}).items():
            problems.text((*at, key, locale), text, longest, shortest=1)


def _command_name(problems: Problems, path: Path, name: object) -> None:
    text = problems.text(path, name, 32, shortest=1, required=True)
    if text is not None and (not _COMMAND_NAME.fullmatch(text) or text != text.lower()):
        problems.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _options(problems: Problems, path: Path, listed: object, *, depth: int) -> None:
    names: set[object] = set()
    optional_seen = False
    for index, option in enumerate(problems.array(path, listed, MAX_CHOICES)):
        at = (*path, index)
        if not isinstance(option, dict):
            problems.add(at, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        _option(problems, at, option, depth=depth)
        if option.get("name") in names:
            problems.add((*at, "name"), "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Option names must be unique")
        names.add(option.get("name"))
        if option.get("required") and optional_seen:
            problems.add(
                at,
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or (option.get("type") not in {1, 2} and not option.get("required"))


def _option(problems: Problems, at: Path, option: Obj, *, depth: int) -> None:
    kind = problems.integer((*at, "type"), option.get("type"), 1, 11, required=True)
    _command_name(problems, (*at, "name"), option.get("name"))
    problems.text((*at, "description"), option.get("description"), 100, shortest=1, required=True)
    _localizations(problems, at, option)
    if kind in {1, 2}:
        if depth > (1 if kind == 1 else 0):
            problems.add(
                at, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Sub-command groups can be nested one level deep"
            )
        _options(problems, (*at, "options"), option.get("options"), depth=depth + 1)
        return
    listed = problems.array((*at, "choices"), option.get("choices"), MAX_CHOICES)
    for index, one in enumerate(listed):
        _choice(problems, (*at, "choices", index), one, kind or 3)
    if option.get("autocomplete") and listed:
        problems.add(
            (*at, "autocomplete"),
            "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID",
            "Autocomplete and choices are mutually exclusive",
        )
    if option.get("autocomplete") and kind not in {3, 4, 10}:
        problems.add(
            (*at, "autocomplete"), "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID", "This type has no autocomplete"
        )
    problems.integer((*at, "min_length"), option.get("min_length"), 0, 6000)
    problems.integer((*at, "max_length"), option.get("max_length"), 1, 6000)


def command_text(payload: Obj) -> int:
    """Characters that count towards a command's 8,000: names, descriptions and choice values.

    With localizations, the longest of each field counts.
    """
    return sum(_texts(payload))


def _texts(node: Obj) -> Iterator[int]:
    for key in ("name", "description"):
        lengths = [_length(str(node.get(key) or ""))]
        lengths += [_length(str(text)) for text in (node.get(f"{key}_localizations") or {}).values()]
        yield max(lengths)
    for one in node.get("choices") or ():
        yield _length(str(one.get("name", "")))
        if isinstance(one.get("value"), str):
            yield _length(one["value"])
    for option in node.get("options") or ():
        yield from _texts(option)
