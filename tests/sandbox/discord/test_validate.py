"""What Discord refuses is refused here, at the path where it is wrong."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.discord import validate
from sandbox.discord.compose import render_components
from sandbox.discord.validate import Files
from sandbox.discord.wire import DiscordError
from sandbox.discord.world import StoredFile

V2 = 1 << 15


def text(content: str) -> dict[str, Any]:
    return {"type": 10, "content": content}


def button(custom_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "Go", "custom_id": custom_id, **more}


def row(*components: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(components)}


def select(count: int = 2, **more: Any) -> dict[str, Any]:
    options = [{"label": f"o{number}", "value": f"v{number}"} for number in range(count)]
    return {"type": 3, "custom_id": "s", "options": options, **more}


def gallery(*urls: str, **more: Any) -> dict[str, Any]:
    return {"type": 12, "items": [{"media": {"url": url}, **more} for url in urls]}


def v2(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"flags": V2, "components": list(components), **more}


def plain(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"content": "x", "components": list(components), **more}


def problems(errors: Any, path: str = "") -> set[tuple[str, str]]:
    """(path, code) of everything in a nested `errors` object."""
    found: set[tuple[str, str]] = set()
    for key, value in errors.items():
        if key == "_errors":
            found |= {(path, one["code"]) for one in value}
        else:
            found |= problems(value, f"{path}.{key}" if path else key)
    return found


FILES = Files(uploaded=[("a.png", 10)], kept=["old.png"])

VALID_PAYLOADS = [
    {"content": "hello"},
    {"embeds": [{"title": "t", "description": "d" * 4096, "fields": [{"name": "n", "value": "v"}]}]},
    plain(row(button("1"), button("2")), row(select())),
    v2(text("x"), gallery("attachment://a.png", "attachment://old.png", "https://example.org/x.png")),
    v2({"type": 17, "components": [text("x"), row(button()), {"type": 14, "spacing": 2}], "accent_color": 0}),
    v2({"type": 9, "components": [text("x")], "accessory": button()}),
    v2({"type": 9, "components": [text("x")], "accessory": {"type": 11, "media": {"url": "attachment://a.png"}}}),
    v2({"type": 13, "file": {"url": "attachment://a.png"}}),
    v2(row({"type": 2, "style": 5, "label": "Open", "url": "https://example.org"})),
    v2(text("x" * 4000)),
    v2(*[text("x") for _ in range(40)]),
    {"content": "x", "nonce": "n" * 25, "enforce_nonce": True, "allowed_mentions": {"parse": []}},
]


@pytest.mark.parametrize("payload", VALID_PAYLOADS)
def test_what_discord_takes_is_taken(payload: dict[str, Any]) -> None:
    validate.message(payload, FILES)


STORED = [
    StoredFile("1", name, 10, {"url": "u", "proxy_url": "u", "content_type": "image/png"})
    for name in ("a.png", "old.png")
]
JUNK: list[Any] = [None, 5, -1, True, "x", "", [], {}, [5], {"type": 99}]


def with_junk(node: Any, junk: Any) -> Iterator[Any]:
    """The payload again and again, each time with another part replaced."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            for changed in (junk, *with_junk(value, junk)):
                other: Any = copy.copy(node)
                other[key] = changed
                yield other


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("payload", VALID_PAYLOADS)
def test_junk_is_refused_and_never_breaks_the_check(payload: dict[str, Any], junk: Any) -> None:
    for changed in with_junk(payload, junk):
        with contextlib.suppress(DiscordError):
            validate.message(changed, FILES)
            render_components(changed.get("components") or [], STORED)


BAD = [
    ({"content": "x" * 2001}, "content", "BASE_TYPE_MAX_LENGTH"),
    ({"embeds": [{"title": "t"}] * 11}, "embeds", "BASE_TYPE_MAX_LENGTH"),
    ({"embeds": [{"description": "d" * 4000}, {"description": "d" * 2001}]}, "embeds", "MAX_EMBED_SIZE_EXCEEDED"),
    ({"embeds": [{"fields": [{"name": "", "value": "v"}]}]}, "embeds.0.fields.0.name", "BASE_TYPE_REQUIRED"),
    ({"content": "x", "nonce": "n" * 26}, "nonce", "NONCE_TYPE_TOO_LONG"),
    (
        {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
        "allowed_mentions.users",
        "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
    ),
    (
        {"content": "x", "attachments": [{"id": 0, "description": "d" * 1025}]},
        "attachments.0.description",
        "BASE_TYPE_MAX_LENGTH",
    ),
    (plain(*[row(button(str(number))) for number in range(6)]), "components", "BASE_TYPE_MAX_LENGTH"),
    (plain(row(*[button(str(number)) for number in range(6)])), "components.0.components", "BASE_TYPE_BAD_LENGTH"),
    (plain(row()), "components.0.components", "BASE_TYPE_BAD_LENGTH"),
    (plain(row(select(), button())), "components.0.components", "COMPONENT_LAYOUT_WIDTH_EXCEEDED"),
    (plain(text("x")), "components.0", "UNION_TYPE_CHOICES"),
    (
        plain(row(button("same"), button("same"))),
        "components.0.components.1.custom_id",
        "COMPONENT_CUSTOM_ID_DUPLICATED",
    ),
    (plain(row(button("c" * 101))), "components.0.components.0.custom_id", "BASE_TYPE_BAD_LENGTH"),
    (plain(row(button(label="l" * 81))), "components.0.components.0.label", "BASE_TYPE_MAX_LENGTH"),
    (
        plain(row({"type": 2, "style": 1, "custom_id": "a"})),
        "components.0.components.0",
        "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED",
    ),
    (plain(row({"type": 2, "style": 1, "label": "x"})), "components.0.components.0.custom_id", "BASE_TYPE_REQUIRED"),
    (plain(row({"type": 2, "style": 5, "label": "x"})), "components.0.components.0.url", "BASE_TYPE_REQUIRED"),
    (plain(row({"type": 2, "label": "x", "custom_id": "a"})), "components.0.components.0.style", "BASE_TYPE_REQUIRED"),
    (
        plain(row(button(style=5, url="https://example.org"))),
        "components.0.components.0.custom_id",
        "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
    ),
    (plain(row(select(26))), "components.0.components.0.options", "BASE_TYPE_BAD_LENGTH"),
    (plain(row(select(0))), "components.0.components.0.options", "BASE_TYPE_BAD_LENGTH"),
    (
        plain(row(select(options=[{"label": "a", "value": "v"}, {"label": "b", "value": "v"}]))),
        "components.0.components.0.options.1.value",
        "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
    ),
    (v2(text("x"), content="no"), "content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"),
    (v2(text("x"), embeds=[{"title": "t"}]), "embeds", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"),
    (v2(text("x" * 2001), text("x" * 2000)), "components", "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"),
    (v2(text(" ")), "components.0.content", "BASE_TYPE_REQUIRED"),
    (
        v2({"type": 17, "components": [text("x") for _ in range(40)]}),
        "components",
        "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED",
    ),
    (
        v2({"type": 17, "components": [{"type": 17, "components": [text("x")]}]}),
        "components.0.components.0",
        "UNION_TYPE_CHOICES",
    ),
    (v2(gallery()), "components.0.items", "BASE_TYPE_BAD_LENGTH"),
    (v2(gallery(*["attachment://a.png"] * 11)), "components.0.items", "BASE_TYPE_BAD_LENGTH"),
    (
        v2(gallery("attachment://missing.png")),
        "components.0.items.0.media.url",
        "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
    ),
    (v2(gallery("ftp://example.org/a.png")), "components.0.items.0.media.url", "URL_TYPE_INVALID_SCHEME"),
    (
        v2(gallery("attachment://a.png", description="d" * 1025)),
        "components.0.items.0.description",
        "BASE_TYPE_BAD_LENGTH",
    ),
    (v2(gallery("attachment://a.png", description="")), "components.0.items.0.description", "BASE_TYPE_REQUIRED"),
    (v2({"type": 13, "file": {"url": "https://example.org/a"}}), "components.0.file.url", "URL_TYPE_INVALID_SCHEME"),
    (v2({"type": 9, "components": [text("x")]}), "components.0.accessory", "BASE_TYPE_REQUIRED"),
    (
        v2({"type": 9, "components": [text("x")] * 4, "accessory": button()}),
        "components.0.components",
        "BASE_TYPE_BAD_LENGTH",
    ),
    (v2(text("x") | {"id": 7}, text("y") | {"id": 7}), "components.1.id", "COMPONENT_ID_DUPLICATED"),
    (v2({"type": 4, "custom_id": "x"}), "components.0", "UNION_TYPE_CHOICES"),
    (v2({"type": 14, "spacing": 3}), "components.0.spacing", "BASE_TYPE_CHOICES"),
]


@pytest.mark.parametrize(("payload", "path", "code"), BAD)
def test_what_discord_refuses_is_refused(payload: dict[str, Any], path: str, code: str) -> None:
    with pytest.raises(DiscordError) as caught:
        validate.message(payload, FILES)

    assert (caught.value.status, caught.value.code) == (400, 50035)
    assert (path, code) in problems(caught.value.errors)


def test_paths_start_where_the_payload_stands() -> None:
    with pytest.raises(DiscordError) as caught:
        validate.message({"content": "x" * 2001}, Files(), at=("data",))

    assert problems(caught.value.errors) == {("data.content", "BASE_TYPE_MAX_LENGTH")}


def test_an_empty_message_is_refused() -> None:
    with pytest.raises(DiscordError) as caught:
        validate.message({"content": ""}, Files())

    assert caught.value.code == 50006


def test_a_file_above_the_limit_is_refused() -> None:
    with pytest.raises(DiscordError) as caught:
        validate.message({"content": "x"}, Files(uploaded=[("a.png", 11)], limit_bytes=10))

    assert (caught.value.status, caught.value.code) == (413, 40005)


def test_a_message_that_was_v2_stays_v2() -> None:
    old = {"flags": V2, "content": "", "embeds": []}

    validate.message({"components": [text("x")]}, Files(), old=old)
    with pytest.raises(DiscordError) as caught:
        validate.message({"content": "back to text"}, Files(), old=old)

    assert ("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2") in problems(caught.value.errors)


def test_becoming_v2_needs_the_old_text_to_be_cleared() -> None:
    old = {"flags": 0, "content": "working", "embeds": []}

    validate.message(v2(text("x"), content=None), Files(), old=old)
    with pytest.raises(DiscordError):
        validate.message(v2(text("x")), Files(), old=old)


# ---------------------------------------------------------------------- modals


def label(component: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": 18, "label": "Prompt", "component": component, **more}


def field(**more: Any) -> dict[str, Any]:
    return {"type": 4, "style": 2, "custom_id": "prompt", **more}


def a_modal(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"custom_id": "m", "title": "Edit", "components": list(components), **more}


def test_modals_discord_takes_are_taken() -> None:
    validate.modal(a_modal(label(field(value="x" * 4000)), text("hint"), label(select(required=False))))
    validate.modal(a_modal(row(field(label="Prompt"))))
    validate.modal(a_modal(label({"type": 19, "custom_id": "file", "max_values": 2})))


@pytest.mark.parametrize(
    ("payload", "path", "code"),
    [
        (a_modal(label(field()), title="t" * 46), "data.title", "BASE_TYPE_BAD_LENGTH"),
        (a_modal(), "data.components", "BASE_TYPE_BAD_LENGTH"),
        (
            a_modal(*[label(field(custom_id=str(n))) for n in range(6)]),
            "data.components",
            "BASE_TYPE_BAD_LENGTH",
        ),
        (a_modal(label(field(value="x" * 4001))), "data.components.0.component.value", "BASE_TYPE_MAX_LENGTH"),
        (
            a_modal(label(field(value="x" * 11, max_length=10))),
            "data.components.0.component.value",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (a_modal(label(field(), label="l" * 46)), "data.components.0.label", "BASE_TYPE_BAD_LENGTH"),
        (a_modal(label(button())), "data.components.0.component", "UNION_TYPE_CHOICES"),
        (a_modal(row(field())), "data.components.0.components.0.label", "BASE_TYPE_REQUIRED"),
        (
            a_modal(label(field()), label(field())),
            "data.components.1.component.custom_id",
            "COMPONENT_CUSTOM_ID_DUPLICATED",
        ),
    ],
)
def test_modals_discord_refuses_are_refused(payload: dict[str, Any], path: str, code: str) -> None:
    with pytest.raises(DiscordError) as caught:
        validate.modal(payload)

    assert (path, code) in problems(caught.value.errors)


# ---------------------------------------------------------------------- commands and choices


def command(**more: Any) -> dict[str, Any]:
    return {"name": "imagine", "description": "Paint", **more}


def option(**more: Any) -> dict[str, Any]:
    return {"type": 3, "name": "prompt", "description": "What", **more}


def test_commands_discord_takes_are_taken() -> None:
    validate.commands(
        [
            command(options=[option(required=True), option(name="größe", autocomplete=True)]),
            {"type": 3, "name": "Edit & remix prompt"},
            command(name="settings", options=[{"type": 1, "name": "show", "description": "All"}]),
        ]
    )


@pytest.mark.parametrize(
    ("payload", "path", "code"),
    [
        (command(name="Imagine"), "0.name", "APPLICATION_COMMAND_INVALID_NAME"),
        (command(name="two words"), "0.name", "APPLICATION_COMMAND_INVALID_NAME"),
        (command(name="n" * 33), "0.name", "BASE_TYPE_BAD_LENGTH"),
        (command(description=""), "0.description", "BASE_TYPE_REQUIRED"),
        (command(description="d" * 101), "0.description", "BASE_TYPE_BAD_LENGTH"),
        (command(options=[option(name=f"o{n}") for n in range(26)]), "0.options", "BASE_TYPE_MAX_LENGTH"),
        (
            command(options=[option(choices=[{"name": str(n), "value": str(n)} for n in range(26)])]),
            "0.options.0.choices",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (
            command(options=[option(name="a"), option(name="b", required=True)]),
            "0.options.1",
            "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
        ),
        (
            command(options=[option(autocomplete=True, choices=[{"name": "a", "value": "a"}])]),
            "0.options.0.autocomplete",
            "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID",
        ),
        (
            command(options=[option(choices=[{"name": "a", "value": "v" * 100}] * 25, name=f"o{n}") for n in range(4)]),
            "0",
            "APPLICATION_COMMAND_TOO_LARGE",
        ),
        (
            {"type": 3, "name": "menu", "description": "no"},
            "0.description",
            "APPLICATION_COMMANDS_DESCRIPTION_NOT_ALLOWED",
        ),
        (command(contexts=[3]), "0.contexts.0", "BASE_TYPE_CHOICES"),
    ],
)
def test_commands_discord_refuses_are_refused(payload: dict[str, Any], path: str, code: str) -> None:
    with pytest.raises(DiscordError) as caught:
        validate.commands([payload])

    assert (path, code) in problems(caught.value.errors)


def test_two_commands_of_one_name_are_refused() -> None:
    with pytest.raises(DiscordError) as caught:
        validate.commands([command(), command()])

    assert ("1.name", "APPLICATION_COMMANDS_DUPLICATE_NAME") in problems(caught.value.errors)


@pytest.mark.parametrize(
    ("choices", "path"),
    [
        ([{"name": "n", "value": "v"}] * 26, "data.choices"),
        ([{"name": "n" * 101, "value": "v"}], "data.choices.0.name"),
        ([{"name": "n", "value": "v" * 101}], "data.choices.0.value"),
        ([{"name": "n", "value": 3}], "data.choices.0.value"),
    ],
)
def test_choices_discord_refuses_are_refused(choices: list[Any], path: str) -> None:
    with pytest.raises(DiscordError) as caught:
        validate.choices({"choices": choices}, kind=3)

    assert path in {one for one, _ in problems(caught.value.errors)}
