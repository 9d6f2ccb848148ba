"""Every field of a payload has its type and its limit, wherever it stands, as Discord's published schema has it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.discord import validate
from sandbox.discord.validate import Files
from sandbox.discord.wire import DiscordError

FILES = Files(uploaded=[("a.png", 10)])
EMOJI = {"id": "41771983429993937", "name": "brush", "animated": False}
OPTIONS = [
    {"label": "a", "value": "1", "description": "d", "default": True, "emoji": EMOJI},
    {"label": "b", "value": "2", "default": False},
]


def label(component: dict[str, Any]) -> dict[str, Any]:
    return {"type": 18, "label": "L", "description": "d", "component": component}


def message(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"flags": 1 << 15, "components": list(components), **more}


PLAIN: dict[str, Any] = {
    "content": "x",
    "tts": False,
    "nonce": "n",
    "enforce_nonce": True,
    "allowed_mentions": {"parse": ["users"], "roles": ["123"], "replied_user": False},
    "attachments": [{"id": "0", "filename": "a.png", "description": "d", "is_spoiler": False}],
    "embeds": [
        {
            "title": "t",
            "url": "https://a.example",
            "description": "d",
            "color": 3,
            "timestamp": "2026-01-01T00:00:00Z",
            "author": {"name": "n", "url": "https://a.example", "icon_url": "https://a.example"},
            "footer": {"text": "f"},
            "image": {"url": "attachment://a.png"},
            "fields": [{"name": "n", "value": "v", "inline": True}],
        }
    ],
    "components": [
        {
            "type": 1,
            "components": [
                {"type": 2, "style": 1, "label": "Go", "custom_id": "go", "emoji": EMOJI, "disabled": False},
                {"type": 2, "style": 5, "label": "Page", "url": "https://a.example"},
            ],
        },
        {"type": 1, "components": [{"type": 3, "custom_id": "s", "options": OPTIONS, "disabled": False}]},
        {
            "type": 1,
            "components": [{"type": 7, "custom_id": "u", "default_values": [{"id": "123", "type": "role"}]}],
        },
        {"type": 1, "components": [{"type": 8, "custom_id": "c", "channel_types": [0, 11]}]},
    ],
}
LAYOUT = message(
    {
        "type": 17,
        "accent_color": 3,
        "spoiler": False,
        "components": [
            {"type": 10, "content": "text"},
            {"type": 12, "items": [{"media": {"url": "attachment://a.png"}, "description": "d", "spoiler": False}]},
            {
                "type": 9,
                "components": [{"type": 10, "content": "text"}],
                "accessory": {"type": 11, "media": {"url": "https://a.example/x.png"}, "spoiler": True},
            },
            {"type": 13, "file": {"url": "attachment://a.png"}, "spoiler": False},
            {"type": 14, "divider": True, "spacing": 2},
        ],
    }
)
FORM: dict[str, Any] = {
    "custom_id": "m",
    "title": "T",
    "components": [
        {"type": 10, "content": "text"},
        label({"type": 3, "custom_id": "s", "options": OPTIONS, "min_values": 0, "max_values": 2, "required": False}),
        label({"type": 22, "custom_id": "b", "options": OPTIONS, "min_values": 1, "max_values": 2, "required": True}),
        label({"type": 19, "custom_id": "f", "min_values": 0, "max_values": 3, "required": False}),
        label({"type": 4, "custom_id": "t", "style": 2, "value": "v", "required": False, "max_length": 30}),
    ],
}
MORE_FORM: dict[str, Any] = {
    "custom_id": "m",
    "title": "T",
    "components": [
        label({"type": 21, "custom_id": "r", "options": OPTIONS, "required": True}),
        label({"type": 23, "custom_id": "c", "default": True}),
        label({"type": 5, "custom_id": "u", "default_values": [{"id": "123", "type": "user"}]}),
    ],
}
COMMAND: dict[str, Any] = {
    "name": "paint",
    "description": "d",
    "type": 1,
    "nsfw": False,
    "dm_permission": True,
    "name_localizations": {"de": "malen"},
    "default_member_permissions": 32,
    "contexts": [0, 1],
    "integration_types": [0, 1],
    "options": [
        {"type": 3, "name": "prompt", "description": "d", "required": True, "max_length": 10, "autocomplete": True},
        {"type": 3, "name": "style", "description": "d", "choices": [{"name": "Ink", "value": "ink"}]},
        {"type": 4, "name": "count", "description": "d", "min_value": 1, "max_value": 4},
        {"type": 10, "name": "guidance", "description": "d", "min_value": 0.5, "max_value": 7.5},
        {"type": 7, "name": "where", "description": "d", "channel_types": [0]},
    ],
}

Check = Callable[[Any], None]
PAYLOADS: list[tuple[dict[str, Any], Check]] = [
    (PLAIN, lambda payload: validate.message(payload, FILES)),
    (LAYOUT, lambda payload: validate.message(payload, FILES)),
    (FORM, validate.modal),
    (MORE_FORM, validate.modal),
    (COMMAND, validate.command),
]
Path = tuple[str | int, ...]


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no list and no object."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*path, key))
    else:
        yield path, node


def replaced(payload: Any, path: Path, value: Any) -> Any:
    changed = copy.deepcopy(payload)
    node = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return changed


def taken(wrong: Callable[[Path, Any], list[Any]]) -> list[tuple[Path, Any]]:
    """What is not refused of all the payloads in which one value is replaced by something wrong for it."""
    found: list[tuple[Path, Any]] = []
    for payload, check in PAYLOADS:
        for path, value in leaves(payload):
            found += [(path, other) for other in wrong(path, value) if takes(check, replaced(payload, path, other))]
    return found


def takes(check: Check, payload: Any) -> bool:
    try:
        check(payload)
    except DiscordError as error:
        return error.code != 50035
    return True


@pytest.mark.parametrize(("payload", "check"), PAYLOADS)
def test_they_are_taken_as_they_are(payload: dict[str, Any], check: Check) -> None:
    check(payload)


def test_a_truth_value_is_nothing_else() -> None:
    # `animated` is told to clients; nobody reads it in a request.
    wrong: list[Any] = ["true", 1, 0.5, "", [], {}]
    assert taken(lambda path, value: wrong if isinstance(value, bool) and path[-1] != "animated" else []) == []


def test_a_number_is_nothing_else_and_has_its_range() -> None:
    wrong: list[Any] = ["x", " ", "", True, [], {}, 2**63]
    assert taken(lambda _, value: wrong if type(value) in {int, float} else []) == []


def test_a_text_is_nothing_else() -> None:
    wrong: list[Any] = [True, 1.5, [1], {"a": 1}]
    assert taken(lambda _, value: wrong if isinstance(value, str) else []) == []


def test_an_id_is_digits() -> None:
    wrong = ["x", "", "-1", "1.5", "٣", "9" * 21, True]
    ids = ("id", "roles")
    assert taken(lambda path, value: wrong if set(ids) & set(path[-2:]) and isinstance(value, str) else []) == []


#: How long a text may be, by the last names of its path.
LONGEST = {
    ("content",): 4000,
    ("title",): 256,
    ("nonce",): 25,
    ("description",): 4096,
    ("label",): 100,
    ("value",): 6000,
    ("custom_id",): 100,
    ("name",): 256,
    ("de",): 32,
    ("url",): 2048,
    ("filename",): 1024,
}


def test_a_text_has_its_limit_also_in_utf_16_units() -> None:
    def too_long(path: Path, value: Any) -> list[Any]:
        limit = LONGEST.get((str(path[-1]),))
        if not isinstance(value, str) or limit is None:
            return []
        return [value[:8] + "x" * limit, value[:8] + "🦊" * (limit // 2 + 1)]

    assert taken(too_long) == []


def test_a_limit_counts_utf_16_units_exactly() -> None:
    check = PAYLOADS[0][1]
    check({"content": "🦊" * 1000})
    check({"content": "x" * 2000})
    for text in ("🦊" * 1000 + "x", "x" * 2001):
        with pytest.raises(DiscordError):
            check({"content": text})
    validate.modal(FORM | {"title": "🦊" * 22})
    with pytest.raises(DiscordError):
        validate.modal(FORM | {"title": "🦊" * 23})


@pytest.mark.parametrize(
    ("payload", "check", "path", "values"),
    [
        (PLAIN, PAYLOADS[0][1], ("allowed_mentions", "parse"), [["users", "users"], "users"]),
        (PLAIN, PAYLOADS[0][1], ("components",), [{}, ""]),
        (PLAIN, PAYLOADS[0][1], ("components", 2, "components", 0, "default_values", 0, "type"), ["channel", None]),
        (PLAIN, PAYLOADS[0][1], ("components", 3, "components", 0, "channel_types"), [[0, 0], [99], 0]),
        (LAYOUT, PAYLOADS[1][1], ("components", 0, "components"), [None, []]),
        (FORM, validate.modal, ("components", 1, "component", "required"), [True, None]),
        (FORM, validate.modal, ("components", 1, "component", "disabled"), [True]),
        (FORM, validate.modal, ("components", 2, "component", "min_values"), [0, 3, 11]),
        (FORM, validate.modal, ("components", 3, "component", "max_values"), [0, 11]),
        (FORM, validate.modal, ("components", 1, "description"), ["", "d" * 101]),
        (COMMAND, validate.command, ("contexts",), [[], [0, 0], [7]]),
        (COMMAND, validate.command, ("options", 1, "choices"), [[{"name": "a", "value": "1"}] * 2, [{}]]),
        (COMMAND, validate.command, ("options", 2, "max_value"), [2**53, 1.5, "4"]),
        (COMMAND, validate.command, ("options", 0, "type"), [1, 2]),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_belongs_together_fits(payload: Any, check: Check, path: Path, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(DiscordError):
            check(replaced(payload, path, value))
