"""Every view of the page, and how to get there: a function here brings a view its accessibility check."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from playwright.async_api import FilePayload, Page, expect

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.recorded import COMPONENTS_V2, GENERAL, MO, Obj
from tests.e2e.page.steps import Open, begin

Opener = Callable[[PageFake, Open, bool], Awaitable[Page]]


@dataclass(frozen=True)
class View:
    """One state of the page worth looking at."""

    open: Opener
    desktop: bool = True
    phone: bool = True


VIEWS: dict[str, View] = {}


def view(*, desktop: bool = True, phone: bool = True) -> Callable[[Opener], Opener]:
    """Register a function that opens a view, by its name."""

    def register(opener: Opener) -> Opener:
        VIEWS[opener.__name__] = View(opener, desktop, phone)
        return opener

    return register


# ---------------------------------------------------------------------- reading


@view()
async def an_empty_channel(fake: PageFake, visit: Open, phone: bool) -> Page:
    return await visit(phone=phone)


@view()
async def a_channel_with_every_kind_of_message(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await fake.post_examples()
    await expect(page.get_by_test_id("broken")).to_be_visible()
    return page


@view()
async def the_head_of_the_examples(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await a_channel_with_every_kind_of_message(fake, visit, phone)
    await page.get_by_test_id("message").first.scroll_into_view_if_needed()
    await expect(page.get_by_test_id("to-bottom")).to_be_visible()
    return page


@view()
async def an_age_restricted_channel(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone, at="#ada/after-dark")
    await expect(page.get_by_test_id("gate-continue")).to_be_visible()
    return page


@view()
async def a_picture_and_its_description(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.messages[GENERAL].append(fake.result("a tea house", 4))
    page = await visit(phone=phone)
    await page.get_by_test_id("alt-badge").first.click()
    await expect(page.get_by_test_id("alt-text")).to_be_visible()
    return page


@view()
async def a_large_picture(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.messages[GENERAL].append(fake.result("a tea house", 4))
    page = await visit(phone=phone)
    await page.locator(".tile-open").first.click()
    await expect(page.get_by_test_id("lightbox-next")).to_be_visible()
    return page


@view()
async def a_spoiler_on_every_thing(fake: PageFake, visit: Open, phone: bool) -> Page:
    card = {"type": 17, "id": 1, "spoiler": True, "components": [{"type": 10, "id": 2, "content": "hidden ||twice||"}]}
    fake.messages[GENERAL].append(fake.message(MO, content="a ||spoiler|| in words"))
    fake.messages[GENERAL].append(fake.message(flags=COMPONENTS_V2, components=[card]))
    fake.messages[GENERAL].append(fake.result("kites", 3, spoiler=True))
    return await visit(phone=phone)


@view(desktop=False)
async def the_drawer_with_channels_and_people(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await page.get_by_test_id("open-sidebar").click()
    await expect(page.get_by_test_id("channel-general")).to_be_in_viewport()
    return page


@view(phone=False)
async def the_phone_channel_framed(fake: PageFake, visit: Open, phone: bool) -> Page:
    return await visit(at="#ada/phone")


@view()
async def the_bot_offline_with_a_notice(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await fake.push("bot", online=False, detail="The bot ended unexpectedly, with code 1.")
    await expect(page.get_by_test_id("toast")).to_be_visible()
    return page


# ---------------------------------------------------------------------- writing


@view()
async def the_list_of_commands(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await page.get_by_test_id("open-palette").click()
    await expect(page.get_by_test_id("command-suggestion").first).to_be_visible()
    return page


@view()
async def no_command_of_that_name(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await page.get_by_test_id("composer").fill("/zzz")
    await expect(page.get_by_test_id("suggestions")).to_contain_text("No command matches")
    return page


@view()
async def a_command_with_every_option_and_mistakes(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await begin(page, "imagine")
    for name in ("model", "size", "count", "seed", "style", "guidance", "spoiler", "image"):
        await page.get_by_test_id(f"add-option-{name}").click()
    await page.get_by_test_id("command-option-count").fill("9")
    await page.get_by_test_id("command-option-style").fill("no such style")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("error-count")).not_to_have_text("")
    return page


@view()
async def completion(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await begin(page, "imagine")
    await page.get_by_test_id("add-option-model").click()
    await expect(page.get_by_test_id("option-suggestion")).to_have_count(5)
    await page.keyboard.press("ArrowDown")
    return page


@view()
async def files_of_a_message(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    picture: FilePayload = {"name": "owl.png", "mimeType": "image/png", "buffer": b"x"}
    await page.get_by_test_id("attach-input").set_input_files(picture)
    await expect(page.locator(".tray-item")).to_have_text("owl.png")
    await page.get_by_test_id("composer").fill("x" * 2001)
    return page


# ---------------------------------------------------------------------- answers


@view()
async def a_command_on_its_way_and_one_without_an_answer(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await begin(page, "silent")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("failed")).to_be_visible()
    fake.hold_answers = True
    await begin(page, "usage")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("provisional")).to_have_count(2)
    return page


@view()
async def a_button_that_failed_and_one_that_waits(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.messages[GENERAL] += [fake.result("an owl"), fake.result("a crow")]
    page = await visit(phone=phone)
    fake.hold_answers = True
    async with page.expect_response("**/interact"):
        await page.get_by_test_id("button").filter(has_text="Again").first.click()
    await fake.push("failed", interaction_id=fake.last_interaction, reason="The application did not respond")
    await expect(page.get_by_test_id("interaction-failed")).to_be_visible()
    await page.get_by_test_id("button").filter(has_text="Details").last.click()
    return page


@view()
async def the_menu_of_a_message(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.messages[GENERAL].append(fake.message(MO, content="paint me"))
    page = await visit(phone=phone, at="#mo/general")
    await page.get_by_test_id("message").hover()
    await page.get_by_test_id("message-menu").click()
    await expect(page.get_by_test_id("delete-message")).to_be_visible()
    return page


@view()
async def the_menu_of_a_person(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.messages[GENERAL].append(fake.message(MO, content="paint me"))
    page = await visit(phone=phone)
    await page.locator(".author").first.click()
    await expect(page.get_by_test_id("menu")).to_be_visible()
    return page


@view()
async def the_choice_of_a_person(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await page.get_by_test_id("person-switch-small" if phone else "person-switch").click()
    await expect(page.get_by_test_id("person-nia")).to_be_visible()
    return page


@view()
async def a_select(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.messages[GENERAL].append(_selects(fake))
    page = await visit(phone=phone)
    await page.get_by_test_id("select").first.click()
    await expect(page.get_by_test_id("menu-item").first).to_be_visible()
    return page


@view()
async def a_select_of_several(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.messages[GENERAL].append(_selects(fake))
    page = await visit(phone=phone)
    await page.get_by_test_id("select").nth(1).click()
    await expect(page.get_by_test_id("select-done")).to_be_visible()
    return page


def _selects(fake: PageFake) -> Obj:
    options = [{"label": "One", "value": "1", "default": True}, {"label": "Two", "value": "2", "description": "more"}]
    one = {"type": 3, "id": 2, "custom_id": "pick", "placeholder": "Pick", "options": options}
    rows: list[dict[str, Any]] = [
        one,
        one | {"custom_id": "many", "id": 3, "min_values": 1, "max_values": 2},
        one | {"custom_id": "off", "id": 4, "disabled": True},
    ]
    return fake.message(
        flags=COMPONENTS_V2,
        components=[{"type": 1, "id": 10 + index, "components": [row]} for index, row in enumerate(rows)],
    )


@view()
async def a_form_with_every_field_and_mistakes(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await fake.push("modal", interaction_id="1", channel_id=GENERAL, modal=EVERY_FIELD)
    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("modal-error-text")).not_to_have_text("")
    return page


@view()
async def a_form_that_was_not_answered(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    await begin(page, "compose")
    await page.get_by_test_id("send").click()
    await page.get_by_test_id("modal-input-image").set_input_files(
        {"name": "m.png", "mimeType": "image/png", "buffer": b"x"}
    )
    await expect(page.get_by_test_id("modal-field-image")).to_contain_text("m.png")
    fake.hold_answers = True
    async with page.expect_response("**/interact"):
        await page.get_by_test_id("modal-submit").click()
    await fake.push("failed", interaction_id=fake.last_interaction, reason="The application did not respond")
    await expect(page.get_by_test_id("modal-error")).to_contain_text("did not respond")
    return page


def _labelled(label: str, component: Obj, **more: Any) -> Obj:
    return {"type": 18, "label": label, "component": component, **more}


_OPTIONS = [{"label": "One", "value": "1"}, {"label": "Two", "value": "2", "description": "the second"}]
_OLDER: Obj = {"type": 4, "custom_id": "old", "style": 1, "label": "Older kind", "required": False}
EVERY_FIELD: Obj = {
    "custom_id": "every",
    "title": "Every kind of field",
    "components": [
        {"type": 10, "content": "## A heading\nand a **text**."},
        _labelled(
            "Text",
            {"type": 4, "custom_id": "text", "style": 1, "min_length": 3, "placeholder": "short"},
            description="At least three characters.",
        ),
        _labelled("Long text", {"type": 4, "custom_id": "long", "style": 2, "required": False, "value": "a fox"}),
        _labelled("Choice", {"type": 3, "custom_id": "choice", "options": _OPTIONS}),
        _labelled("Choices", {"type": 3, "custom_id": "choices", "options": _OPTIONS, "max_values": 2}),
        _labelled("Person", {"type": 5, "custom_id": "person", "required": False}),
        _labelled("Channel", {"type": 8, "custom_id": "channel", "required": False}),
        _labelled("One of two", {"type": 21, "custom_id": "radio", "options": _OPTIONS}),
        _labelled("Some of two", {"type": 22, "custom_id": "boxes", "options": _OPTIONS}),
        _labelled("Yes or no", {"type": 23, "custom_id": "box"}),
        _labelled("Pictures", {"type": 19, "custom_id": "files", "max_values": 3}),
        {
            "type": 1,
            "components": [{"type": 4, "custom_id": "old", "style": 1, "label": "Older kind", "required": False}],
        },
    ],
}


# ---------------------------------------------------------------------- trouble


@view()
async def the_trouble_panel(fake: PageFake, visit: Open, phone: bool) -> Page:
    fake.faults.append({"name": "odd", "label": "Odd", "about": "Something rare.", "kind": "switch", "value": True})
    page = await visit(phone=phone)
    await page.get_by_test_id("devtools-toggle").click()
    await page.get_by_test_id("log-box").locator("summary").click()
    await fake.push("log", line="12:00:04 ERROR bot.fal         out of reach")
    await expect(page.get_by_test_id("log")).to_contain_text("out of reach")
    return page


@view()
async def what_discord_would_refuse(fake: PageFake, visit: Open, phone: bool) -> Page:
    page = await visit(phone=phone)
    wrong = {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 80 or fewer in length."}
    await fake.push(
        "refused",
        method="POST",
        path="/interactions/1/t/callback",
        status=400,
        code=50035,
        message="Invalid Form Body",
        errors={"data": {"components": {"0": {"label": {"_errors": [wrong]}}}}},
        payload={"type": 4},
    )
    await fake.push("refused", method="PATCH", path="/x", status=400, code=200000, message="blocked", provoked=True)
    await page.get_by_test_id("provoked-note").wait_for()
    await page.get_by_test_id("refused-panel").locator("summary").click()
    return page


__all__ = ["EVERY_FIELD", "VIEWS", "View", "view"]
