"""Forms, buttons, selects and menus; what is said when nothing comes back."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import FilePayload, expect

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.recorded import GENERAL, MO, Obj
from tests.e2e.page.steps import Open, begin, eventually, sent

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_form_is_filled_checked_and_sent(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await begin(page, "compose")
    await page.keyboard.press("Enter")
    prompt = page.get_by_test_id("modal-input-prompt")
    await expect(prompt).to_be_focused()
    await expect(prompt).to_have_value("a fox")
    await prompt.fill("x")
    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("modal-error-prompt")).to_have_text("At least 3 characters (now 1).")
    await prompt.fill("a fox\nand a crow")
    await page.get_by_test_id("modal-input-model").select_option("imagen4")
    mask: FilePayload = {"name": "m.png", "mimeType": "image/png", "buffer": b"x"}
    await page.get_by_test_id("modal-input-image").set_input_files(mask)
    await expect(page.get_by_test_id("modal-field-image")).to_contain_text("m.png")
    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("modal")).to_have_count(0)
    (form,) = sent(fake, "modal")
    assert form["custom_id"] == "compose:1"
    assert form["components"] == [
        {"type": 4, "custom_id": "prompt", "value": "a fox\nand a crow"},
        {"type": 3, "custom_id": "model", "values": ["imagen4"]},
        {"type": 19, "custom_id": "image", "values": list(fake.uploads)},
    ]


async def test_a_form_keeps_what_was_typed_when_the_bot_does_not_answer(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await begin(page, "compose")
    await page.keyboard.press("Enter")
    await page.get_by_test_id("modal-input-prompt").fill("a long and careful prompt")
    fake.hold_answers = True
    await page.get_by_test_id("modal-submit").click()
    await eventually(lambda: bool(sent(fake, "modal")))
    await fake.push(
        "failed", interaction_id=fake.last_interaction, channel_id=GENERAL, reason="The application did not respond"
    )
    await expect(page.get_by_test_id("modal-error")).to_contain_text("did not respond")
    await expect(page.get_by_test_id("modal-input-prompt")).to_have_value("a long and careful prompt")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("modal")).to_have_count(0)


async def test_focus_stays_inside_a_form(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await fake.push(
        "modal", interaction_id="1", channel_id=GENERAL, modal={"custom_id": "m", "title": "Small", "components": []}
    )
    await expect(page.get_by_test_id("modal")).to_be_visible()
    for _ in range(8):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.querySelector('[data-testid=modal]').contains(document.activeElement)")


async def test_a_pressed_button_waits_and_then_says_if_nothing_came(fake: PageFake, visit: Open) -> None:
    page = await visit()
    message = fake.result("an owl")
    await fake.post_message(message)
    again = page.get_by_test_id("button").filter(has_text="Again")
    fake.hold_answers = True
    await again.click()
    await expect(again).to_have_attribute("aria-busy", "true")
    await eventually(lambda: bool(sent(fake, "component")))
    press = {"message_id": message["id"], "custom_id": "easel:again:ab12cd34", "component_type": 2}
    assert press.items() <= sent(fake, "component")[0].items()
    await fake.push(
        "failed", interaction_id=fake.last_interaction, channel_id=GENERAL, reason="The application did not respond"
    )
    await expect(page.get_by_test_id("interaction-failed")).to_contain_text("This interaction failed")
    await expect(again).not_to_have_attribute("aria-busy", "true")


async def test_a_select_sends_what_was_chosen(fake: PageFake, visit: Open) -> None:
    page = await visit()
    select: Obj = {
        "type": 3,
        "id": 2,
        "custom_id": "pick",
        "placeholder": "Pick",
        "options": [{"label": "One", "value": "1"}, {"label": "Two", "value": "2"}],
    }
    several = select | {"custom_id": "many", "id": 3, "min_values": 1, "max_values": 2}
    rows = [{"type": 1, "id": 1, "components": [select]}, {"type": 1, "id": 4, "components": [several]}]
    await fake.post_message(fake.message(flags=32768, components=rows))
    await page.get_by_test_id("select").first.click()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await eventually(lambda: len(sent(fake, "component")) == 1)
    await page.get_by_test_id("select").last.click()
    for label in ("Two", "One"):
        await page.get_by_test_id("menu-item").filter(has_text=label).click()
    await page.get_by_test_id("select-done").click()
    await eventually(lambda: len(sent(fake, "component")) == 2)
    assert [one["values"] for one in sent(fake, "component")] == [["2"], ["1", "2"]]


async def test_a_command_nobody_answers_is_said_to_have_failed_and_can_be_tried_again(
    fake: PageFake, visit: Open
) -> None:
    page = await visit()
    await begin(page, "silent")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("failed")).to_have_text("The application did not respond")
    await page.get_by_text("Edit and try again").click()
    await expect(page.get_by_test_id("command-chip")).to_have_text("/silent")
    await expect(page.get_by_test_id("provisional")).to_have_count(0)


async def test_a_refusal_is_loud_and_stays_until_dismissed(fake: PageFake, visit: Open) -> None:
    page = await visit()
    deep = {
        "data": {
            "components": {
                "0": {
                    "label": {
                        "_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 80 or fewer in length."}]
                    }
                }
            }
        }
    }
    await fake.push(
        "refused",
        method="POST",
        path="/interactions/1/t/callback",
        status=400,
        code=50035,
        message="Invalid Form Body",
        errors=deep,
    )
    panel = page.get_by_test_id("refused-panel")
    await expect(panel).to_contain_text("Discord would refuse this")
    await expect(panel).to_contain_text("data.components.0.label Must be 80 or fewer in length.")
    await expect(page.get_by_test_id("refused-code")).to_have_text("HTTP 400 · code 50035")
    await page.get_by_test_id("channel-after-dark").click()
    await expect(panel).to_be_visible()
    await page.get_by_test_id("refused-dismiss").click()
    await expect(panel).to_have_count(0)


async def test_what_somebody_switched_on_is_one_small_line_however_often_it_refuses(
    fake: PageFake, visit: Open
) -> None:
    page = await visit()
    blocked: dict[str, Any] = {"method": "PATCH", "path": "/webhooks/1/t", "status": 400, "code": 200000}
    for _ in range(7):
        await fake.push("refused", **blocked, message="Message was blocked by automatic moderation", provoked=True)
    note = page.get_by_test_id("provoked-note")
    await expect(note).to_have_count(1)
    await expect(note).to_contain_text("Refused 7 times by the trouble that you switched on.")
    await expect(page.get_by_test_id("refused-panel")).to_have_count(0)
    box = await note.bounding_box()
    assert box is not None
    assert box["height"] < 64
    await fake.push("refused", **blocked | {"code": 50035}, message="Invalid Form Body")
    await expect(page.get_by_test_id("refused-panel")).to_have_count(1)  # a fault of the bot stays loud beside it
    await page.get_by_test_id("provoked-dismiss").click()
    await expect(note).to_have_count(0)
    await fake.push("refused", **blocked, message="blocked", provoked=True)
    await expect(note).to_contain_text("Refused once")


async def test_menus_offer_the_apps_commands_and_deletion_to_moderators(fake: PageFake, visit: Open) -> None:
    page = await visit()
    message = fake.message(MO, content="paint me")
    await fake.post_message(message)
    await page.get_by_test_id("message").click(button="right")
    await expect(page.get_by_test_id("delete-message")).to_have_count(0)
    await page.get_by_test_id("app-command").click()
    await eventually(lambda: bool(sent(fake, "message_command")))
    assert sent(fake, "message_command")[0]["target_id"] == message["id"]
    await page.get_by_test_id("person-switch").click()
    await page.get_by_test_id("person-mo").click()
    await expect(page.get_by_test_id("person-switch")).to_contain_text("Mo")
    await page.get_by_test_id("message").hover()
    await page.get_by_test_id("message-menu").click()
    await page.get_by_test_id("delete-message").click()
    await expect(page.get_by_test_id("message")).to_have_count(0)
    assert fake.posted[-1] == ("delete", {"person": MO["id"], "channel_id": GENERAL, "message_id": message["id"]})


async def test_a_lost_connection_is_shown_and_what_was_missed_is_fetched(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await expect(page.get_by_test_id("bot-badge")).to_have_attribute("data-online", "true")
    fake.messages[GENERAL].append(fake.message(MO, content="said while nobody listened"))
    await fake.drop_connections()
    await expect(page.get_by_test_id("message-content")).to_have_text("said while nobody listened")
    await expect(page.get_by_test_id("bot-badge")).to_have_attribute("data-online", "true")
