"""The page on a phone, and the channel framed like one."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.recorded import GENERAL, MO
from tests.e2e.page.steps import Open, begin

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_nothing_scrolls_sideways_on_a_phone_and_targets_suit_a_thumb(fake: PageFake, visit: Open) -> None:
    for prompt, count in (("x" * 300, 1), ("a tea house", 4), ("kites", 10)):
        fake.messages[GENERAL].append(fake.result(prompt, count))
    fake.messages[GENERAL].append(
        fake.message(MO, content="```\n" + "wide " * 60 + "\n```\n" + "https://example.org/" + "y" * 300)
    )
    page = await visit(phone=True)
    wide = "[document.documentElement, document.getElementById('scroller')].some((one) => one.scrollWidth > innerWidth)"
    assert not await page.evaluate(wide)
    await begin(page, "imagine")
    await page.get_by_test_id("add-option-negative_prompt").click()
    await page.get_by_test_id("command-option-prompt").fill("long " * 300)
    assert not await page.evaluate(wide)
    small = await page.evaluate(
        """[...document.querySelectorAll("header button, .composer button, .message .button")]
            .filter((node) => node.offsetParent && !node.closest(".suggest"))
            .map((node) => [node.dataset.testid ?? node.className, node.getBoundingClientRect().height])
            .filter(([name, height]) => height < 44 && !["author", "message-menu"].includes(name))"""
    )
    assert small == []
    sizes = await page.evaluate(
        "[...document.querySelectorAll('input, textarea')].map((node) => parseFloat(getComputedStyle(node).fontSize))"
    )
    assert min(sizes) >= 16, "smaller text makes iOS zoom in"


async def test_a_phone_reaches_channels_people_and_devtools(fake: PageFake, visit: Open) -> None:
    page = await visit(phone=True)
    await page.get_by_test_id("open-sidebar").tap()
    await page.get_by_test_id("channel-after-dark").tap()
    await expect(page.get_by_test_id("channel-title")).to_contain_text("after-dark")
    await expect(page.get_by_test_id("channel-general")).not_to_be_in_viewport()
    await page.get_by_test_id("person-switch-small").tap()
    await page.get_by_test_id("person-nia").tap()
    await expect(page.get_by_test_id("channel-title")).to_contain_text("after-dark")
    await page.get_by_test_id("devtools-toggle").tap()
    await page.get_by_test_id("fault-nsfw").tap()
    await page.get_by_test_id("devtools-close").tap()
    await expect(page.get_by_test_id("devtools")).to_be_hidden()


#: Visible texts of which a part is cut off.
_CUT_OFF = """() => [...document.querySelectorAll(
    ".composer-hint, .file-pick span, .me-about, .preview span, .command-head .clip, .used .muted")]
  .filter((node) => node.checkVisibility() && node.scrollWidth > node.clientWidth + 1)
  .map((node) => node.textContent)"""


async def test_no_hint_is_cut_off_on_a_phone(fake: PageFake, visit: Open) -> None:
    page = await visit(phone=True)
    await fake.post_examples()
    await expect(page.get_by_test_id("link-preview").first).to_be_visible()
    assert await page.evaluate(_CUT_OFF) == []
    await page.get_by_test_id("composer").fill("/imagine a fox")
    await expect(page.get_by_test_id("command-option-prompt")).to_be_visible()
    names = [await one.get_attribute("data-testid") for one in await page.locator("[data-testid^=add-option-]").all()]
    assert names
    for name in filter(None, names):
        await page.get_by_test_id(name).tap()
        await expect(page.locator(".composer-hint")).not_to_be_empty()
        assert await page.evaluate(_CUT_OFF) == [], name
    for hint in ("x" * 100, "A black and white picture: white marks the part to change, " * 2):
        await page.locator(".composer-hint").evaluate("(node, text) => { node.textContent = text }", hint)
        assert await page.evaluate(_CUT_OFF) == [], hint


async def test_who_somebody_is_is_read_whole_on_a_phone(visit: Open) -> None:
    page = await visit(phone=True)
    await page.get_by_test_id("open-sidebar").tap()
    await page.locator("#person-switch .me-about").evaluate(
        "(node) => { node.textContent = 'A moderator: Manage Messages and Manage Server' }"
    )
    assert await page.evaluate(_CUT_OFF) == []


async def test_the_phone_channel_is_framed_on_a_desktop(fake: PageFake, visit: Open) -> None:
    page = await visit(at="#ada/phone")
    box = await page.locator("#surface").bounding_box()
    assert box is not None
    assert box["width"] == 390
    await page.get_by_test_id("example-2").click()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("picture")).to_be_visible()
    await page.locator(".tile-open").click()
    light: Any = await page.get_by_test_id("lightbox").bounding_box()
    assert box["x"] <= light["x"]
    assert light["width"] <= box["width"]


async def test_suggestions_stay_on_the_screen_above_a_phones_keyboard(fake: PageFake, visit: Open) -> None:
    page = await visit(phone=True)
    await page.set_viewport_size({"width": 390, "height": 430})
    await page.get_by_test_id("composer").fill(
        "/imagine a fox in the snow under a pale winter sun, with crows in the trees"
    )
    await page.get_by_test_id("add-option-model").tap()
    await expect(page.get_by_test_id("option-suggestion")).to_have_count(5)
    await expect(page.get_by_test_id("command-option-model")).to_be_in_viewport(ratio=1)
    box: Any = await page.get_by_test_id("suggestions").bounding_box()
    assert box["y"] >= 0
    await page.get_by_test_id("option-suggestion").first.tap()
    await expect(page.get_by_test_id("command-option-prompt")).to_be_visible()
    await expect(page.get_by_test_id("send")).to_be_in_viewport(ratio=1)
