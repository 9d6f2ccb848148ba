"""The devtools: switches, actions and the bot's log."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.steps import Open, eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_the_devtools_make_trouble_and_shows_the_log(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("devtools-toggle").click()
    switch = page.get_by_test_id("fault-fal_down")
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    await page.get_by_test_id("fault-rate_limit").fill("7")
    await page.get_by_test_id("fault-bot_restart").click()
    await eventually(lambda: len(fake.posted) == 3)
    assert [body for _, body in fake.posted] == [
        {"name": "fal_down", "value": True},
        {"name": "rate_limit", "value": 7},
        {"name": "bot_restart", "value": True},
    ]
    await page.get_by_test_id("log-box").locator("summary").click()
    await fake.push("log", line="12:00:03 INFO <b>bold</b>")
    await expect(page.get_by_test_id("log")).to_contain_text("12:00:03 INFO <b>bold</b>")


async def test_a_press_in_the_devtools_counts_while_another_fault_is_set(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("devtools-toggle").click()
    await page.get_by_test_id("fault-rate_limit").click()
    await page.keyboard.type("7")
    await page.get_by_test_id("fault-bot_restart").hover()
    await page.mouse.down()  # the number is on its way from here on
    await eventually(lambda: len(fake.posted) == 1)
    await expect(page.get_by_test_id("fault-rate_limit")).to_have_value("7")
    await asyncio.sleep(0.2)
    await page.mouse.up()
    await eventually(lambda: len(fake.posted) == 2)
    assert [body["name"] for _, body in fake.posted] == ["rate_limit", "bot_restart"]
