"""Prices and costs in a real browser: a dear order is asked about first, also across a restart, and /costs shows it."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.axe import violations
from tests.e2e.test_happy_path import (
    DESKTOP,
    PHONE,
    RESTARTED,
    button,
    message_with,
    open_page,
    the_browser,
    the_sandbox,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROMPT = "a castle above the clouds"
#: A picture costs $0.06, and the chart's bound lies within its scale.
CHEAP = {"EASEL_BUDGET__CONFIRM_ABOVE_USD": "0.05", "EASEL_BUDGET__SERVER_USD_PER_DAY": "0.10"}


async def write(page: Page, line: str) -> None:
    await page.get_by_test_id("composer").fill(line)
    await page.get_by_test_id("send").click()


async def settled(page: Page) -> None:
    """Nothing scrolls sideways, and axe finds nothing."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await violations(page) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_a_dear_order_is_painted_after_a_yes_even_across_a_restart_and_costs_shows_it(
    chromium_path: str, tmp_path: Path, size: dict[str, int]
) -> None:
    async with the_sandbox(tmp_path, **CHEAP) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, f"{url}#mo/general", size)
        private = page.locator("[data-testid=message][data-ephemeral=true]:not([data-loading])")

        await write(page, f"/imagine prompt:{PROMPT} model:ideogram-v3")
        await expect(private).to_have_count(1)
        await expect(private.last).to_contain_text("This picture by Ideogram V3 costs $0.06 at most.")
        await expect(private.last).to_contain_text("You have $2.00 left for today.")
        await expect(button(private.last, "Change")).to_be_visible()
        await settled(page)

        await page.get_by_test_id("devtools-toggle").click()
        await page.get_by_test_id("fault-bot_restart").click()
        await expect(page.get_by_test_id("log")).to_contain_text(RESTARTED)
        await expect(page.get_by_test_id("bot-badge")).to_have_attribute("data-online", "true")
        await page.keyboard.press("Escape")
        question = private.first
        await button(question, "Change").click()
        await expect(page.locator("[data-testid^=modal-input-prompt]")).to_have_value(PROMPT)
        await page.get_by_test_id("modal-cancel").click()
        await write(page, "/usage")
        await expect(private).to_have_count(2)
        await expect(private.last).to_contain_text("Your budget for today: $2.00 of $2.00 left.")
        await expect(private.last).to_contain_text("You have no requests in progress.")

        await button(question, "Paint for $0.06").click()
        painted = page.locator("[data-testid=message]:not([data-ephemeral=true])").filter(has_text=PROMPT)
        await expect(painted.get_by_test_id("picture")).to_be_visible()
        await expect(painted.last).to_contain_text("$0.06")

        await write(page, "/costs")
        await expect(private).to_have_count(3)
        costs = private.last
        await expect(costs).to_contain_text("Today: $0.06 of $0.10 · 1 picture")
        await expect(costs).to_contain_text("Ideogram V3: $0.06 · 1 picture")
        await expect(costs).to_contain_text("dashed line: the most in a day")
        alt = await costs.get_by_test_id("picture").get_attribute("alt") or ""
        assert re.fullmatch(r"Chart of this month's costs: day \d+: \$0\.06\. .+", alt), alt
        await settled(page)

        await button(costs, "Today").click()
        await expect(costs).to_contain_text("By person, today")
        await expect(costs.get_by_test_id("picture")).to_be_visible()
        async with page.expect_download() as downloading:
            await costs.get_by_text(re.compile(r"costs-\d{4}-\d\d\.csv")).click()
        file = await (await downloading.value).path()
        table = (await asyncio.to_thread(Path(file).read_bytes)).decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(table, newline=""))
        assert (row["model"], row["pictures"], row["usd"]) == ("Ideogram V3", "1", "0.06")
        assert errors == []


async def test_members_without_the_right_are_told_where_their_own_is(chromium_path: str, tmp_path: Path) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, f"{url}#ada/general", DESKTOP)
        await write(page, "/costs")
        private = page.locator("[data-testid=message][data-ephemeral=true]:not([data-loading])")
        await expect(private.last).to_contain_text("Only people with Manage Server can see what others spend")
        assert errors == []


async def test_prices_stand_beside_what_is_chosen(chromium_path: str, tmp_path: Path) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, f"{url}#ada/general", DESKTOP)
        await page.get_by_test_id("composer").fill("/imagine")
        await page.locator("[data-testid=command-suggestion][data-value=imagine]").click()
        await page.get_by_test_id("command-option-prompt").fill(PROMPT)
        await page.get_by_test_id("add-option-model").click()
        await page.get_by_test_id("command-option-model").fill("qwen")
        offered = page.get_by_test_id("option-suggestion")
        await expect(offered.first).to_contain_text("Qwen-Image · $0.02 per megapixel")
        await offered.first.click()
        await page.get_by_test_id("add-option-size").click()
        await expect(offered.filter(has_text="1024 × 1024")).to_contain_text("$0.021")
        await offered.filter(has_text="1024 × 1024").click()
        await page.get_by_test_id("send").click()
        await expect(message_with(page, PROMPT).get_by_test_id("picture")).to_be_visible()
        assert errors == []
