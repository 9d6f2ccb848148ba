"""Everything can be done from the keyboard, and a screen reader is told what happens."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.recorded import AFTER_DARK, EPHEMERAL, GENERAL, LOADING, MO
from tests.e2e.page.steps import Open, begin, eventually, sent
from tests.e2e.page.views import VIEWS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

#: A view that lies over the page → what it was opened with, and what it is.
LAYERS = {
    "the_menu_of_a_message": ("message-menu", "menu"),
    "the_choice_of_a_person": ("person-switch", "person-menu"),
    "a_select": ("select", "menu"),
    "a_select_of_several": ("select", "menu"),
    "a_large_picture": (None, "lightbox"),
    "a_form_with_every_field_and_mistakes": (None, "modal"),
}


@pytest.mark.parametrize("name", LAYERS)
async def test_focus_stays_in_what_lies_over_the_page_and_returns_when_it_closes(
    fake: PageFake, visit: Open, name: str
) -> None:
    opener, layer = LAYERS[name]
    page = await VIEWS[name].open(fake, visit, False)
    inside = f"document.querySelector('[data-testid={layer}]').contains(document.activeElement)"
    for key in ["Tab"] * 30 + ["Shift+Tab"] * 5:
        await page.keyboard.press(key)
        assert await page.evaluate(inside), key
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id(layer)).to_have_count(0)
    if opener is not None:
        assert await page.evaluate("document.activeElement.dataset.testid") == opener


async def test_a_menu_and_a_list_are_walked_with_the_arrows(fake: PageFake, visit: Open) -> None:
    page = await VIEWS["a_select_of_several"].open(fake, visit, False)
    for key, label in (("ArrowDown", "Two"), ("ArrowDown", "One"), ("End", "Two"), ("Home", "One")):
        await page.keyboard.press(key)
        assert label in await page.evaluate("document.activeElement.textContent")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")
    await page.get_by_test_id("select-done").press("Enter")
    await eventually(lambda: bool(sent(fake, "component")))
    assert sent(fake, "component")[0]["values"] == ["1", "2"]


async def test_true_and_false_are_chosen_with_the_arrows(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await begin(page, "imagine")
    await page.keyboard.type("an owl")
    await page.get_by_test_id("add-option-spoiler").press("Enter")
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_test_id("command-option-spoiler-false")).to_be_focused()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("remove-option-spoiler")).to_be_focused()
    await page.get_by_test_id("send").press("Enter")
    await eventually(lambda: bool(sent(fake, "command")))
    assert sent(fake, "command")[0]["options"][-1] == {"name": "spoiler", "type": 5, "value": True}


async def test_who_stood_in_a_message_that_goes_stands_in_the_list(fake: PageFake, visit: Open) -> None:
    page = await visit()
    message = fake.result("an owl")
    await fake.post_message(message)
    await page.get_by_test_id("button").first.focus()
    await fake.push("message_delete", channel_id=GENERAL, message_id=message["id"])
    await expect(page.get_by_test_id("scroller")).to_be_focused()


async def test_what_comes_is_said_and_what_is_hidden_is_not(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await fake.post_message(fake.message(MO, content="**hello** <@1204106000004194304> ||the end||"))
    await said(page, "Mo: hello @Ada (spoiler)")
    await fake.post_message(fake.message(used="usage", flags=EPHEMERAL, content="# Left\n7 pictures"))
    await said(page, "Easel, only to you: Left 7 pictures")
    waiting = fake.message(used="imagine", flags=LOADING)
    await fake.post_message(waiting)
    await said(page, "Easel is thinking")
    await fake.post_message(fake.result("an owl", 2) | {"id": waiting["id"]})
    await said(page, "Easel: FLUX.1 [schnell] for @Ada an owl")
    assert (await page.locator("#announce").text_content() or "").endswith(". 2 pictures")
    await fake.post_message(fake.message(MO, content="elsewhere"), AFTER_DARK)
    await fake.post_message(fake.message(MO, content="here"))
    await said(page, "Mo: here")


async def said(page: Page, text: str) -> None:
    await expect(page.locator("#announce")).to_contain_text(text)


async def test_the_number_of_suggestions_is_said(visit: Open) -> None:
    page = await visit()
    await begin(page, "imagine")
    await page.get_by_test_id("add-option-style").press("Enter")
    await said(page, "3 suggestions for style")
    await page.get_by_test_id("command-option-style").fill("inkwell")
    await said(page, "Nothing in the list matches.")
