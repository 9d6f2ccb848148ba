"""Components of messages: rows and buttons of the first version, layout components of the second."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sandbox.discord.validate.limits import (
    BUTTON,
    CHANNEL_TYPES,
    CONTAINER,
    DEFAULT_VALUE_TYPES,
    FILE,
    GALLERY,
    MAX_ALT_TEXT,
    MAX_BUTTONS,
    MAX_CHOICES,
    MAX_CUSTOM_ID,
    MAX_LABEL,
    MAX_ROWS,
    MAX_V2_COMPONENTS,
    MAX_V2_TEXT,
    ROW,
    SECTION,
    SELECT,
    SELECTS,
    SEPARATOR,
    TEXT,
    THUMBNAIL,
)
from sandbox.discord.validate.problems import Path, Problems, length
from sandbox.discord.wire import Obj

_ROW_CHILDREN = SELECTS | {BUTTON}
_V2_TOP = (ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR, CONTAINER)
_CONTAINER_CHILDREN = (ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR)
_LINK_BUTTON, _PREMIUM_BUTTON = 5, 6


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


@dataclass
class Tally:
    """What has to be unique or bounded over a whole message."""

    files: Files
    custom_ids: set[str] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    components: int = 0
    text: int = 0


def check_v1_components(problems: Problems, path: Path, listed: object, files: Files) -> None:
    """Action rows of a message without IS_COMPONENTS_V2."""
    tally = Tally(files)
    for index, row in enumerate(problems.array(path, listed, MAX_ROWS)):
        at = (*path, index)
        if not isinstance(row, dict) or row.get("type") is True or row.get("type") != ROW:
            problems.add(at, "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1,).')
            continue
        _row(problems, at, row, tally)


def check_v2_components(problems: Problems, path: Path, listed: object, files: Files) -> None:
    """The layout of a message with IS_COMPONENTS_V2, and its limits over the whole message."""
    tally = Tally(files)
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
    problems: Problems, path: Path, listed: object, allowed: Collection[int], tally: Tally, *, shortest: int = 1
) -> None:
    children = problems.array(path, listed, MAX_V2_COMPONENTS, shortest=shortest, required=shortest > 0)
    for index, component in enumerate(children):
        at = (*path, index)
        kind = component.get("type") if isinstance(component, dict) else None
        if isinstance(kind, bool) or kind not in allowed:
            choices = ", ".join(str(one) for one in sorted(allowed))
            problems.add(at, "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({choices}).')
            continue
        _component(problems, at, component, tally)


def _component(problems: Problems, at: Path, component: Obj, tally: Tally) -> None:
    """One component that may stand on its own; rows and leaves have their own functions."""
    match component["type"]:
        case 1:
            _row(problems, at, component, tally)
            return
        case 9:
            _count(problems, at, component, tally)
            _children_of_section(problems, at, component, tally)
        case 10:
            check_text_display(problems, at, component, tally)
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
            problems.boolean((*at, "divider"), component.get("divider"))
        case 17:
            _count(problems, at, component, tally)
            problems.integer((*at, "accent_color"), component.get("accent_color"), 0, 0xFFFFFF)
            problems.boolean((*at, "spoiler"), component.get("spoiler"))
            _children(problems, (*at, "components"), component.get("components"), _CONTAINER_CHILDREN, tally)
        case _:  # pragma: no cover - callers have checked the type
            raise AssertionError(component["type"])


def _count(problems: Problems, at: Path, component: Obj, tally: Tally) -> None:
    tally.components += 1
    number = problems.integer((*at, "id"), component.get("id"), 0, 2**31 - 1)
    if not number:
        return
    if number in tally.ids:
        problems.add((*at, "id"), "COMPONENT_ID_DUPLICATED", f"Component id {number} is used more than once")
    tally.ids.add(number)


def check_text_display(problems: Problems, at: Path, component: Obj, tally: Tally) -> None:
    """A text display; its characters count towards the whole message's."""
    _count(problems, at, component, tally)
    text = problems.text((*at, "content"), component.get("content"), MAX_V2_TEXT, shortest=1, required=True)
    tally.text += length(text or "")


def _children_of_section(problems: Problems, at: Path, section: Obj, tally: Tally) -> None:
    texts = problems.array((*at, "components"), section.get("components"), 3, shortest=1, required=True)
    for index, child in enumerate(texts):
        if child.get("type") != TEXT:
            problems.add(
                (*at, "components", index), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (10,).'
            )
        else:
            check_text_display(problems, (*at, "components", index), child, tally)
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


def _media(problems: Problems, at: Path, holder: Obj, key: str, tally: Tally, *, attachment_only: bool = False) -> None:
    """An unfurled media item: `attachment://name` must be there, anything else must be a web address."""
    problems.text((*at, "description"), holder.get("description"), MAX_ALT_TEXT, shortest=1)
    problems.boolean((*at, "spoiler"), holder.get("spoiler"))
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
    elif length(url) > 2048:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", "Must be 2048 or fewer in length.")


def _row(problems: Problems, at: Path, row: Obj, tally: Tally) -> None:
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
            check_select(problems, (*path, index), child, tally)
        else:
            listed = ", ".join(str(one) for one in sorted(_ROW_CHILDREN))
            problems.add((*path, index), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({listed}).')


def check_custom_id(problems: Problems, at: Path, component: Obj, tally: Tally) -> None:
    """A custom_id, required and unique in its message."""
    path = (*at, "custom_id")
    custom_id = problems.text(path, component.get("custom_id"), MAX_CUSTOM_ID, shortest=1, required=True)
    if custom_id is None:
        return
    if custom_id in tally.custom_ids:
        problems.add(path, "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
    tally.custom_ids.add(custom_id)


def _button(problems: Problems, at: Path, button: Obj, tally: Tally) -> None:
    _count(problems, at, button, tally)
    style = problems.integer((*at, "style"), button.get("style"), 1, 6, required=True)
    problems.text((*at, "label"), button.get("label"), MAX_LABEL)
    problems.boolean((*at, "disabled"), button.get("disabled"))
    _emoji(problems, (*at, "emoji"), button.get("emoji"))
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
        check_custom_id(problems, at, button, tally)
    if not button.get("label") and not button.get("emoji"):
        problems.add(at, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A label or emoji is required")


def _emoji(problems: Problems, path: Path, emoji: object) -> None:
    """A character, or an emoji of a server by its id."""
    if emoji is None:
        return
    given = problems.mapping(path, emoji)
    if given or emoji == {}:
        problems.text((*path, "name"), given.get("name"), 32, shortest=1, required=True)
        problems.snowflake((*path, "id"), given.get("id"))


def check_channel_types(problems: Problems, at: Path, holder: Obj) -> None:
    """Which channels a select or an option offers."""
    listed = problems.array((*at, "channel_types"), holder.get("channel_types"), len(CHANNEL_TYPES))
    for index, one in enumerate(listed):
        problems.choice((*at, "channel_types", index), one, CHANNEL_TYPES)
    problems.unique((*at, "channel_types"), listed)


def check_option(problems: Problems, at: Path, option: Obj) -> None:
    """One choice of a select, a radio group or a checkbox group."""
    problems.text((*at, "label"), option.get("label"), 100, shortest=1, required=True)
    problems.text((*at, "value"), option.get("value"), 100, shortest=1, required=True)
    problems.text((*at, "description"), option.get("description"), 100)
    problems.boolean((*at, "default"), option.get("default"))
    _emoji(problems, (*at, "emoji"), option.get("emoji"))


def _default_values(problems: Problems, at: Path, select: Obj, kind: int) -> None:
    listed = problems.array((*at, "default_values"), select.get("default_values"), MAX_CHOICES)
    for index, one in enumerate(listed):
        path = (*at, "default_values", index)
        given = problems.mapping(path, one)
        problems.snowflake((*path, "id"), given.get("id"), required=True)
        problems.choice((*path, "type"), given.get("type"), DEFAULT_VALUE_TYPES[kind], required=True)


def check_select(problems: Problems, at: Path, select: Obj, tally: Tally) -> None:
    """A select menu of any type."""
    _count(problems, at, select, tally)
    check_custom_id(problems, at, select, tally)
    problems.text((*at, "placeholder"), select.get("placeholder"), 150)
    least = problems.integer((*at, "min_values"), select.get("min_values"), 0, MAX_CHOICES)
    most = problems.integer((*at, "max_values"), select.get("max_values"), 1, MAX_CHOICES)
    if least is not None and most is not None and least > most:
        problems.add((*at, "min_values"), "SELECT_MIN_ABOVE_MAX", "min_values must not be above max_values")
    problems.booleans(at, select, "disabled", "required")
    if select["type"] != SELECT:
        _default_values(problems, at, select, select["type"])
        check_channel_types(problems, at, select)
        return
    options = problems.array((*at, "options"), select.get("options"), MAX_CHOICES, shortest=1, required=True)
    seen: set[object] = set()
    for index, option in enumerate(options):
        path = (*at, "options", index)
        check_option(problems, path, option)
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
