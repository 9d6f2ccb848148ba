"""Writing a command or a message at the composer."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import FilePayload, expect

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.recorded import ADA, GENERAL
from tests.e2e.page.steps import Open, begin, eventually, sent

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_command_is_composed_with_the_keyboard_alone(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.keyboard.type("/ima")
    await expect(page.get_by_test_id("command-suggestion")).to_have_count(1)
    await page.keyboard.press("Tab")
    await page.keyboard.type("a fox in the snow")
    await page.get_by_test_id("add-option-model").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("see")
    await expect(page.get_by_test_id("option-suggestion")).to_have_text(["Seedream 4 · rich detail · $0.03 per image"])
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("command-option-model")).to_have_value(
        "Seedream 4 · rich detail · $0.03 per image"
    )
    await page.keyboard.press("Enter")

    await expect(page.get_by_test_id("button").filter(has_text="Again")).to_be_visible()
    (command,) = sent(fake, "command")
    assert command["person"] == ADA["id"]
    assert command["channel_id"] == GENERAL
    assert command["options"] == [
        {"name": "prompt", "type": 3, "value": "a fox in the snow"},
        {"name": "model", "type": 3, "value": "seedream-v4"},
    ]
    await expect(page.get_by_test_id("used")).to_have_text("Ada used /imagine")
    await expect(page.get_by_test_id("composer")).to_be_focused()


async def test_stale_autocomplete_answers_are_dropped(fake: PageFake, visit: Open) -> None:
    first = asyncio.Event()
    fake.completion_gates = [first]
    page = await visit()
    await begin(page, "imagine")
    await page.get_by_test_id("add-option-model").click()  # asks at once, is answered last
    await eventually(lambda: len(sent(fake, "autocomplete")) == 1)
    await page.get_by_test_id("command-option-model").fill("qwen")
    wanted = ["Qwen Image · lettering · $0.02 per megapixel"]
    await expect(page.get_by_test_id("option-suggestion")).to_have_text(wanted)
    first.set()
    await eventually(lambda: fake.completions == 2)
    await fake.push("log", line="after the stale answer")
    await expect(page.get_by_test_id("log")).to_contain_text("after the stale answer")
    await expect(page.get_by_test_id("option-suggestion")).to_have_text(wanted)
    assert sent(fake, "autocomplete")[-1]["options"][-1] == {
        "name": "model",
        "type": 3,
        "value": "qwen",
        "focused": True,
    }
    assert len(sent(fake, "autocomplete")) == 2, "typing is asked about once, when it pauses"


@pytest.mark.parametrize("phone", [False, True])
async def test_what_is_missing_or_out_of_range_is_said_beside_the_field_and_nothing_is_sent(
    fake: PageFake, visit: Open, phone: bool
) -> None:
    page = await visit(phone=phone)
    await begin(page, "imagine")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("error-prompt")).to_have_text("This option is required.")
    await page.get_by_test_id("command-option-prompt").fill("an owl")
    await expect(page.get_by_test_id("error-prompt")).to_have_text("")
    await page.get_by_test_id("add-option-count").click()
    await page.get_by_test_id("command-option-count").fill("9")
    await page.get_by_test_id("add-option-style").click()
    await page.get_by_test_id("command-option-style").fill("no such style")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("error-count")).to_have_text("Must be 4 or less.")
    await expect(page.get_by_test_id("error-style")).to_have_text("Choose one from the list.")
    assert sent(fake, "command") == []


async def test_every_kind_of_option_is_sent_with_its_own_type(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await begin(page, "imagine")
    await page.get_by_test_id("command-option-prompt").fill("an owl")
    for name, value in (("count", "2"), ("guidance", "7.5"), ("size", "16:9")):
        await page.get_by_test_id(f"add-option-{name}").click()
        await page.get_by_test_id(f"command-option-{name}").fill(value)
    await page.get_by_test_id("add-option-style").click()
    await page.get_by_test_id("option-suggestion").filter(has_text="ink").click()
    await page.get_by_test_id("add-option-spoiler").click()
    await page.get_by_test_id("command-option-spoiler-true").click()
    await page.get_by_test_id("add-option-image").click()
    picture: FilePayload = {"name": "owl.png", "mimeType": "image/png", "buffer": b"not really"}
    await page.get_by_test_id("command-option-image").set_input_files(picture)
    await expect(page.get_by_test_id("field-image")).to_contain_text("owl.png · 10 bytes")
    await page.get_by_test_id("send").click()
    await eventually(lambda: bool(sent(fake, "command")))
    (upload,) = fake.uploads
    assert {one["name"]: (one["type"], one["value"]) for one in sent(fake, "command")[0]["options"]} == {
        "prompt": (3, "an owl"),
        "size": (3, "16:9"),
        "count": (4, 2),
        "style": (3, "ink"),
        "guidance": (10, 7.5),
        "spoiler": (5, True),
        "image": (11, upload),
    }


async def test_subcommands_are_offered_unfolded_and_sent_nested(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await begin(page, "settings limits")
    await page.get_by_test_id("command-option-images_per_day").fill("12")
    await page.keyboard.press("Enter")
    await eventually(lambda: bool(sent(fake, "command")))
    inner = [{"name": "images_per_day", "type": 4, "value": 12}]
    assert sent(fake, "command")[0]["options"] == [{"name": "limits", "type": 1, "options": inner}]


async def test_a_pasted_command_line_fills_the_fields(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill("/imagine prompt: a fox: red, in snow count:2 seed:77")
    await expect(page.get_by_test_id("command-option-prompt")).to_have_value("a fox: red, in snow")
    await expect(page.get_by_test_id("command-option-count")).to_have_value("2")
    await expect(page.get_by_test_id("command-option-seed")).to_have_value("77")


async def test_a_command_typed_out_and_sent_with_the_button_is_a_command(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill("/usage")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("composer")).to_have_value("")
    assert [what for what, _ in fake.posted] == ["interact"]

    await page.get_by_test_id("composer").fill("/imagine")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("command-option-prompt")).to_be_focused()
    assert len(fake.posted) == 1


async def test_a_newcomer_presses_an_example_and_enter(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await expect(page.get_by_test_id("welcome")).to_contain_text("no account, no token")
    await page.get_by_test_id("example-0").click()
    await expect(page.get_by_test_id("command-option-prompt")).to_have_value(
        "a lighthouse keeper's cat asleep on a pile of sea charts, lamplight, oil painting"
    )
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("picture")).to_be_visible()
    await expect(page.get_by_test_id("welcome")).to_have_count(0)


async def test_a_chat_message_is_sent_with_enter_and_shift_enter_makes_a_line(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").click()
    await page.keyboard.type("hello")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("there")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("message-content")).to_have_text("hellothere")
    assert fake.posted == [
        ("message", {"person": ADA["id"], "channel_id": GENERAL, "content": "hello\nthere", "uploads": []})
    ]
