"""The tour's #budget in a real browser: five cents a day, alerts, a refusal and the chart; and fal.ai out of credit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.page.axe import violations
from tests.e2e.test_happy_path import (
    DESKTOP,
    PHONE,
    imagine,
    message_with,
    open_page,
    the_browser,
    the_sandbox,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


async def take_step(page: Page, number: int, who: str, *filled: str) -> None:
    """Press a step of the story, see that it is ready to be sent as the person whom it names, and send it."""
    await page.get_by_test_id(f"example-{number - 1}").click()
    await expect(page).to_have_url(re.compile(f"#{who}/budget$"))
    for option in filled:
        await expect(page.get_by_test_id(f"command-option-{option}")).not_to_have_value("")
    await page.get_by_test_id("send").click()


async def looks_right(page: Page) -> None:
    """Nothing scrolls sideways, and axe finds nothing."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await violations(page) == []


def private(page: Page) -> Locator:
    return page.locator("[data-testid=message][data-ephemeral=true]:not([data-loading])")


@SIZES
async def test_a_budget_of_five_cents_runs_out_before_everybodys_eyes(
    chromium_path: str, tmp_path: Path, size: dict[str, int]
) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, f"{url}#ada/budget", size)
        await expect(page.get_by_test_id("welcome")).to_contain_text("five cents a day")
        await expect(page.get_by_role("heading", name="Welcome to #budget")).to_be_in_viewport()
        await looks_right(page)

        await take_step(page, 1, "mo", "server_day")
        await expect(private(page).last).to_contain_text("$0.05")
        await take_step(page, 2, "mo", "channel")
        await expect(message_with(page, "come to this channel from now on")).to_be_visible()

        await take_step(page, 3, "ada", "prompt", "model")
        await expect(message_with(page, "piggy bank").get_by_test_id("picture")).to_be_visible()
        half = "This server has used 50 % of its budget for today: $0.03 of $0.05."
        await expect(message_with(page, half)).to_be_visible()
        await take_step(page, 4, "ada", "prompt", "count")
        await expect(message_with(page, "four coins").get_by_test_id("picture")).to_have_count(4)
        await expect(message_with(page, "This server has used 80 %")).to_be_visible()

        await take_step(page, 5, "ada", "prompt", "model")
        refusal = private(page).last
        await expect(refusal).to_contain_text("may cost up to $0.03")
        await expect(refusal).to_contain_text("this server's budget for today has less than that left")
        await expect(refusal).to_contain_text(re.compile(r"It starts again at \d"))
        await expect(refusal).to_contain_text("Your own budget has $1.95 left today.")
        await expect(refusal).to_contain_text("No quota was used.")
        over = message_with(
            page, "has nearly used up its budget for today: $0.04 of $0.05. Someone just asked for more"
        )
        await expect(over).to_be_visible()
        await looks_right(page)

        await take_step(page, 6, "mo")
        costs = message_with(page, "What pictures cost in this server")
        await expect(costs).to_contain_text("Today: $0.04 of $0.05 · 5 pictures")
        await expect(costs.get_by_test_id("picture")).to_have_attribute(
            "alt", re.compile("Chart of this month's costs")
        )
        await looks_right(page)
        assert await message_with(page, "of its budget for today").count() == 2
        assert await over.count() == 1
        assert await page.get_by_test_id("refused-panel").count() == 0
        assert errors == []


async def set_trouble(page: Page, name: str, *, on: bool) -> None:
    """Press a switch of the panel, and see that it is as wanted."""
    await page.get_by_test_id("devtools-toggle").click()
    switch = page.get_by_test_id(f"fault-{name}")
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", str(on).lower())
    await page.get_by_test_id("devtools-close").click()


@SIZES
async def test_without_credit_at_fal_people_read_why_they_wait_and_it_paints_once_there_is_some(
    chromium_path: str, tmp_path: Path, size: dict[str, int]
) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, f"{url}#ada/budget", size)
        await set_trouble(page, "balance_exhausted", on=True)
        await imagine(page, "an owl that waits for money")
        waiting = message_with(page, "an owl that waits for money")
        await expect(waiting).to_contain_text("credit at fal.ai is used up")
        await imagine(page, "another owl")
        await expect(message_with(page, "another owl")).to_contain_text("credit at fal.ai is used up")
        alert = message_with(page, "the account has been out of credit since")
        await expect(alert).to_be_visible()
        await looks_right(page)

        await set_trouble(page, "balance_exhausted", on=False)
        for prompt in ("an owl that waits for money", "another owl"):
            await expect(message_with(page, prompt).get_by_test_id("picture")).to_be_visible()
        assert await alert.count() == 1
        assert errors == []
