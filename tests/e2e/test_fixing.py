"""From a refusal to a picture in a real browser: fix it, go on with another model, give the files that are needed."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.async_api import FilePayload, Page, expect

from tests.e2e.sandbox_driver import a_picture
from tests.e2e.test_happy_path import (
    DESKTOP,
    PHONE,
    button,
    imagine,
    message_with,
    open_page,
    the_browser,
    the_sandbox,
)

pytestmark = pytest.mark.browser
CAT: FilePayload = {"name": "cat.png", "mimeType": "image/png", "buffer": a_picture(256, 256)}


def a_mask() -> bytes:
    image = Image.new("L", (256, 256), 0)
    ImageDraw.Draw(image).rectangle((64, 64, 192, 192), fill=255)
    body = BytesIO()
    image.save(body, "PNG")
    return body.getvalue()


MASK: FilePayload = {"name": "mask.png", "mimeType": "image/png", "buffer": a_mask()}


async def look(page: Page, name: str) -> None:
    """Keep a screenshot where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        size = page.viewport_size
        assert size is not None
        await page.wait_for_timeout(400)
        await page.screenshot(path=Path(folder) / f"{name}-{size['width']}.png")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_every_way_on_from_a_refusal(chromium_path: str, tmp_path: Path, size: dict[str, int]) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, url, size)

        # A picture for a model that takes none: another model paints it, with all that was typed.
        composer = page.get_by_test_id("composer")
        await composer.fill("/imagine")
        await page.locator("[data-testid=command-suggestion][data-value=imagine]").click()
        await page.get_by_test_id("command-option-prompt").fill("a cat in a spacesuit")
        await page.get_by_test_id("add-option-image").click()
        await page.get_by_test_id("command-option-image").set_input_files(CAT)
        await expect(page.get_by_test_id("field-image")).to_contain_text("cat.png")
        await expect(page.get_by_test_id("field-image")).not_to_contain_text("Uploading")
        await page.get_by_test_id("send").click()
        refused = message_with(page, "can't start from a picture").last
        await expect(refused).to_contain_text("OmniGen 2")
        await look(page, "no-picture")
        await refused.get_by_test_id("select").click()
        await look(page, "no-picture-models")
        await page.get_by_test_id("menu").get_by_text("Ideogram V3").click()
        painted = message_with(page, "a cat in a spacesuit").filter(has=page.get_by_test_id("picture"))
        await expect(painted).to_be_visible()
        await expect(painted).to_contain_text("Ideogram V3")

        # A wrong value: the window holds what was typed.
        await composer.fill("/imagine")
        await page.locator("[data-testid=command-suggestion][data-value=imagine]").click()
        await page.get_by_test_id("command-option-prompt").fill("a harbour at night")
        await page.get_by_test_id("add-option-steps").click()
        await page.get_by_test_id("command-option-steps").fill("99")
        await page.get_by_test_id("send").click()
        refused = message_with(page, "`steps`").or_(message_with(page, "whole number from 1 to 12")).last
        await look(page, "wrong-steps")
        await button(refused, "Fix it").click()
        await expect(page.get_by_test_id("modal-input-steps")).to_have_value("99")
        await expect(page.get_by_test_id("modal-input-prompt")).to_have_value("a harbour at night")
        await expect(page.get_by_test_id("modal-input-model")).to_have_value("flux-schnell")
        await look(page, "fix-window")
        await page.get_by_test_id("modal-input-steps").fill("4")
        await page.get_by_test_id("modal-submit").click()
        painted = message_with(page, "a harbour at night").filter(has=page.get_by_test_id("picture"))
        await expect(painted).to_be_visible()

        # The window of a model asks for the files that it needs.
        await composer.fill("/compose")
        await page.locator("[data-testid=command-suggestion][data-value=compose]").click()
        await page.get_by_test_id("add-option-model").click()
        await page.get_by_test_id("command-option-model").fill("inpaint")
        await page.get_by_test_id("option-suggestion").filter(has_text="Inpaint").first.click()
        await page.get_by_test_id("send").click()
        await page.get_by_test_id("modal-input-prompt").fill("a hole in the sky")
        await page.get_by_test_id("modal-submit").click()
        await expect(page.get_by_test_id("modal-error-image")).to_have_text("A file is required.")
        for part in ("modal-submit", "modal-cancel"):
            await expect(page.get_by_test_id(part)).to_be_in_viewport(ratio=1)
        await expect(page.get_by_text("Paint with Z-Image Turbo Inpaint")).to_be_in_viewport(ratio=1)
        await look(page, "inpaint-window")
        await page.get_by_test_id("modal-input-image").set_input_files(CAT)
        await page.get_by_test_id("modal-input-mask").set_input_files(MASK)
        await expect(page.get_by_test_id("modal-field-mask")).to_contain_text("mask.png")
        await page.get_by_test_id("modal-submit").click()
        painted = message_with(page, "a hole in the sky").filter(has=page.get_by_test_id("picture"))
        await expect(painted).to_be_visible()

        # Delete asks first.
        await button(painted, "Delete").click()
        await look(page, "delete")
        await page.get_by_test_id("modal-submit").click()
        await expect(painted).to_have_count(0)

        overflow_px = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow_px <= 0
        assert await page.get_by_test_id("refused-panel").count() == 0
        assert errors == []


async def test_a_failed_picture_is_fixed_from_its_card(chromium_path: str, tmp_path: Path) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, url, PHONE)
        await imagine(page, "forbidden-content and a cat", model="schnell")
        failed = message_with(page, "content policy").last
        await expect(button(failed, "Fix it")).to_be_visible()
        await look(page, "failed")
        await button(failed, "Fix it").click()
        await page.get_by_test_id("modal-input-prompt").fill("only a cat")
        await look(page, "failed-window")
        await page.get_by_test_id("modal-submit").click()
        painted = message_with(page, "only a cat").filter(has=page.get_by_test_id("picture"))
        await expect(painted).to_be_visible()
        assert errors == []
